package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/goleak"

	"porchlight/discovery/calm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seen counts hints.
type seen struct {
	mu sync.Mutex
	n  map[string]int
}

func (s *seen) changed(dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n[dir]++
}

func (s *seen) count(dir string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n[dir]
}

// run starts a watcher and ends it with the test.
func run(t *testing.T, cfg Config) (*Watcher, *seen) {
	t.Helper()
	s := &seen{n: map[string]int{}}
	cfg.OnChange = s.changed
	w := New(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("run: %v", err)
			}
		case <-time.After(calm.Most(5 * time.Second)):
			t.Error("run did not end")
		}
	})
	eventually(t, "the watcher runs", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.system != nil
	})
	return w, s
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(calm.Most(5 * time.Second)); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
}

func (w *Watcher) systemWatches() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.attached
}

// afterALook returns when all folders that were added were looked at since: changes of another one that comes and goes are told from its second look on.
func afterALook(t *testing.T, w *Watcher, s *seen) {
	t.Helper()
	other := filepath.Join(t.TempDir(), "other")
	must(t, w.Add(other))
	there := false
	eventually(t, "two looks", func() bool {
		if there {
			must(t, os.Remove(other))
		} else {
			must(t, os.Mkdir(other, 0o755))
		}
		there = !there
		return s.count(other) > 0
	})
	w.Remove(other)
}

func TestHintComesSoon(t *testing.T) {
	w, s := run(t, Config{})
	dir := t.TempDir()
	must(t, w.Add(dir))
	best, worst := time.Hour, time.Duration(0)
	for i := range 5 {
		before, start := s.count(dir), time.Now()
		write(t, dir, "f", string(rune('a'+i)))
		eventually(t, "a hint", func() bool { return s.count(dir) > before })
		took := time.Since(start)
		best, worst = min(best, took), max(worst, took)
		time.Sleep(2 * w.cfg.Settle) // the rest of this write's notifications belongs to this hint
	}
	t.Logf("between %v and %v", best, worst)
	if best > calm.Most(100*time.Millisecond) { // whatever else this computer does delays some, and not all
		t.Errorf("no hint took less than %v", best)
	}
}

func TestManyWritesAreOneHint(t *testing.T) {
	w, s := run(t, Config{Settle: 200 * time.Millisecond})
	dir := t.TempDir()
	must(t, w.Add(dir))
	began := time.Now()
	for i := range 50 {
		write(t, dir, fmt.Sprint("f", i), "x")
	}
	most := 2 + int(time.Since(began)/w.cfg.Settle) // where the disk is slow, it is no burst
	eventually(t, "a hint", func() bool { return s.count(dir) > 0 })
	if n := s.count(dir); n > most {
		t.Errorf("%d hints for one burst, at most %d", n, most)
	}
}

func TestReferencesAreCounted(t *testing.T) {
	w, s := run(t, Config{Settle: time.Millisecond})
	dir, other := t.TempDir(), t.TempDir()
	must(t, w.Add(dir))
	must(t, w.Add(dir+"/")) // the same folder
	must(t, w.Add(other))
	w.Remove(dir)
	write(t, dir, "a", "1")
	eventually(t, "a hint while one is left", func() bool { return s.count(dir) > 0 })
	w.Remove(dir)
	w.Remove(dir)
	w.Remove(filepath.Join(dir, "never added"))
	if n := w.systemWatches(); n != 1 {
		t.Errorf("%d folders are watched", n)
	}
	before := s.count(dir)
	write(t, dir, "b", "1")
	write(t, other, "b", "1")
	eventually(t, "the other hint", func() bool { return s.count(other) > 0 })
	if s.count(dir) > before+1 { // one may have been under way
		t.Error("hints after the last remove")
	}
	if err := w.Add("relative"); err == nil {
		t.Error("a relative path was taken")
	}
}

func TestFoldersComeAndGo(t *testing.T) {
	w, s := run(t, Config{Settle: time.Millisecond, Rescan: 20 * time.Millisecond})
	base := t.TempDir()
	dir := filepath.Join(base, "later")
	must(t, w.Add(dir))
	looked := func(want bool) {
		t.Helper()
		eventually(t, "a look at the folder", func() bool { return (w.systemWatches() == 1) == want })
	}
	afterALook(t, w, s) // and found nothing
	must(t, os.Mkdir(dir, 0o755))
	eventually(t, "it appeared", func() bool { return s.count(dir) > 0 })
	looked(true)
	for _, away := range []func() error{func() error { return os.RemoveAll(dir) }, func() error { return os.Rename(dir, filepath.Join(base, "moved")) }} {
		n := s.count(dir)
		must(t, away())
		eventually(t, "it went", func() bool { return s.count(dir) > n })
		looked(false)
		n = s.count(dir)
		must(t, os.Mkdir(dir, 0o755))
		eventually(t, "it is back", func() bool { return s.count(dir) > n })
		looked(true)
		n = s.count(dir)
		write(t, dir, "x", "y")
		eventually(t, "it is watched again", func() bool { return s.count(dir) > n })
	}
}

// Moving the folder above leaves the system's watch on a folder that is no longer at the path.
func TestFolderAboveMoved(t *testing.T) {
	w, s := run(t, Config{Settle: time.Millisecond, Rescan: 20 * time.Millisecond})
	base := t.TempDir()
	dir := filepath.Join(base, "a", "b")
	must(t, os.MkdirAll(dir, 0o755))
	must(t, w.Add(dir))
	afterALook(t, w, s) // which knows the folder
	must(t, os.Rename(filepath.Join(base, "a"), filepath.Join(base, "c")))
	eventually(t, "it went", func() bool { return s.count(dir) > 0 })
	must(t, os.MkdirAll(dir, 0o755))
	n := s.count(dir)
	eventually(t, "the new one is watched", func() bool { return w.systemWatches() == 1 })
	write(t, dir, "x", "y")
	eventually(t, "a hint", func() bool { return s.count(dir) > n })
}

func TestBeyondTheLimitFoldersAreRead(t *testing.T) {
	var log lines
	w, s := run(t, Config{Settle: time.Millisecond, Limit: 1, Rescan: 20 * time.Millisecond, Log: slog.New(slog.NewTextHandler(&log, nil))})
	first, second := t.TempDir(), t.TempDir()
	must(t, w.Add(first))
	must(t, w.Add(second))
	must(t, w.Add(t.TempDir()))
	if n := w.systemWatches(); n != 1 {
		t.Fatalf("%d folders are watched, the limit is 1", n)
	}
	afterALook(t, w, s) // which knows the folder
	write(t, second, "a", "1")
	eventually(t, "a hint by reading", func() bool { return s.count(second) > 0 })
	if n := log.n.Load(); n != 1 {
		t.Errorf("it is said %d times that some folders are read", n)
	}
	w.Remove(first)
	eventually(t, "the free place is taken", func() bool { return w.systemWatches() == 1 })
}

// lines counts what is logged.
type lines struct{ n atomic.Int32 }

func (l *lines) Write(p []byte) (int, error) {
	l.n.Add(1)
	return len(p), nil
}

func TestLostNotificationsConcernAll(t *testing.T) {
	s := &seen{n: map[string]int{}}
	w := New(Config{Settle: time.Millisecond, OnChange: s.changed})
	a, b := t.TempDir(), t.TempDir()
	must(t, w.Add(a))
	must(t, w.Add(b))
	errs := make(chan error, 1)
	errs <- fsnotify.ErrEventOverflow
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { w.loop(ctx, nil, errs, nil) })
	eventually(t, "hints for all", func() bool { return s.count(a) == 1 && s.count(b) == 1 })
	cancel()
	wg.Wait()
}

func TestPrivateFilesAreNoChange(t *testing.T) {
	w := New(Config{})
	dir := t.TempDir()
	must(t, w.Add(dir))
	var got []string
	mark := func(p string) { got = append(got, p) }
	w.notified(fsnotify.Event{Name: filepath.Join(dir, ".porchlight-part"), Op: fsnotify.Create}, mark)
	w.notified(fsnotify.Event{}, mark)
	w.notified(fsnotify.Event{Name: filepath.Join(dir, "f"), Op: fsnotify.Write}, mark)
	if len(got) != 1 || got[0] != dir {
		t.Errorf("marked %q", got)
	}
}

func TestDefaults(t *testing.T) {
	w := New(Config{})
	if w.cfg.Limit <= 0 || w.cfg.Limit > mostWatches || w.cfg.Settle != defaultSettle {
		t.Errorf("%+v", w.cfg)
	}
}
