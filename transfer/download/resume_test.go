package download

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"porchlight/share"
	"porchlight/transfer"
)

func TestAwayAndBack(t *testing.T) {
	s := newFake()
	want := mixed(s)
	var seen atomic.Int64
	s.onBytes = func(p share.Path, off int64, b []byte) error {
		if seen.Add(int64(len(b))) > 20<<20 && seen.Load() < 1<<40 {
			seen.Store(1 << 50)
			s.cut()
		}
		return nil
	}
	w := newWorld(t, s, nil)
	id := w.pull("a")
	j := w.state(id, transfer.Away)
	if j.Trouble != transfer.SourceAway {
		t.Errorf("%+v", j)
	}
	bytes := j.Bytes
	s.back()
	j = w.state(id, transfer.Done)
	if d := cmp.Diff(want, tree(t, w.into)); d != "" {
		t.Errorf("%.1000s", d)
	}
	if j.Skipped != 0 || j.Done != 308 || j.Bytes != j.Total || j.Bytes < bytes {
		t.Errorf("%+v", j)
	}
	if extra := s.read.Load() - int64(44<<20+8); extra > 34<<20 { // what was asked for and cut off: two ranges at most
		t.Errorf("%d MiB asked for twice", extra>>20)
	}
}

func TestPauseResumeCancel(t *testing.T) {
	s := newFake()
	s.put("a/big", random("big", 30<<20))
	s.put("a/f", []byte("f"))
	gate := make(chan struct{})
	s.onBytes = func(p share.Path, off int64, b []byte) error {
		if off >= 8<<20 {
			select {
			case <-gate:
			case <-time.After(5 * time.Millisecond):
			}
		}
		return nil
	}
	w := newWorld(t, s, nil)
	id := w.pull("a")
	w.until(id, "under way", func(j transfer.Job) bool { return j.Bytes > 8<<20 })
	if err := w.m.Pause(id); err != nil {
		t.Fatal(err)
	}
	had := w.state(id, transfer.Paused).Bytes
	if had == 0 || w.job(id).Rate != 0 {
		t.Errorf("%+v", w.job(id))
	}
	if err := w.m.Retry(id); !errors.Is(err, ErrState) {
		t.Error(err)
	}
	if err := w.m.Resume(id); err != nil {
		t.Fatal(err)
	}
	w.until(id, "further", func(j transfer.Job) bool { return j.State == transfer.Running && j.Bytes > had })
	if err := w.m.Cancel(id); err != nil {
		t.Fatal(err)
	}
	w.until(id, "canceled", func(j transfer.Job) bool { return j.State == transfer.Canceled })
	clean(t, w.into)
	if got := tree(t, w.into); len(got["a/big"]) != 0 {
		t.Error("a canceled file has its name")
	}
	close(gate)
	if err := w.m.Retry(id); err != nil {
		t.Fatal(err)
	}
	w.until(id, "done", func(j transfer.Job) bool { return j.State == transfer.Done })
	if got := tree(t, w.into); got["a/big"] != string(random("big", 30<<20)) {
		t.Error("wrong bytes")
	}
	if err := w.m.Cancel(id); !errors.Is(err, ErrState) {
		t.Error(err)
	}
	if err := w.m.Forget(id); err != nil || len(w.m.Jobs()) != 0 {
		t.Error(err, w.m.Jobs())
	}
	if err := w.m.Pause(id); !errors.Is(err, transfer.ErrNoJob) {
		t.Error(err)
	}
}

func TestCancelWaiting(t *testing.T) {
	s := newFake()
	s.put("f", []byte("f"))
	s.cut()
	w := newWorld(t, s, nil)
	id := w.pull("f")
	w.state(id, transfer.Away)
	if err := w.m.Pause(id); err != nil {
		t.Fatal(err)
	}
	s.back()
	time.Sleep(20 * time.Millisecond)
	if j := w.job(id); j.State != transfer.Paused {
		t.Errorf("%+v", j)
	}
	if err := w.m.Cancel(id); err != nil || w.job(id).State != transfer.Canceled {
		t.Error(err, w.job(id))
	}
}

func TestDiskFull(t *testing.T) {
	s := newFake()
	s.put("a/big", random("big", 3<<20))
	var room atomic.Int64
	room.Store(1 << 20)
	w := newWorld(t, s, func(c *Config) { c.free = func(string) (int64, error) { return room.Load(), nil } })
	s.onRead = func(share.Path, int64) error { time.Sleep(20 * time.Millisecond); return nil }
	id := w.pull("a")
	j := w.until(id, "full", func(j transfer.Job) bool { return j.State == transfer.Away })
	if need, _ := strconv.ParseInt(j.Detail, 10, 64); j.Trouble != transfer.DiskFull || need < 64<<20 {
		t.Errorf("%+v", j)
	}
	room.Store(1 << 40)
	w.state(id, transfer.Done)
}

func TestTargetGone(t *testing.T) {
	s := newFake()
	s.put("a/big", random("big", 30<<20))
	closed, open := gate()
	defer open()
	s.onBytes = func(p share.Path, off int64, b []byte) error {
		if off >= 8<<20 {
			<-closed
		}
		return nil
	}
	w := newWorld(t, s, nil)
	id := w.pull("a")
	w.until(id, "under way", func(j transfer.Job) bool { return j.Bytes >= 8<<20 })
	w.m.Pause(id)
	open()
	w.state(id, transfer.Paused)
	away := w.into + "-pulled-out"
	if err := os.Rename(w.into, away); err != nil {
		t.Fatal(err)
	}
	w.m.Resume(id)
	j := w.state(id, transfer.Away)
	if j.Trouble != transfer.TargetGone {
		t.Errorf("%+v", j)
	}
	if _, err := os.Stat(w.into); err == nil {
		t.Error("the folder was made anew in place of the drive")
	}
	os.Rename(away, w.into)
	w.state(id, transfer.Done)
	if tree(t, w.into)["a/big"] != string(random("big", 30<<20)) {
		t.Error("wrong bytes")
	}
}

func TestRestartFromJournal(t *testing.T) {
	s := newFake()
	data := random("big", 60<<20)
	s.put("big", data)
	s.put("small", []byte("s"))
	st, into := NewMemory(), filepath.Join(t.TempDir(), "into")
	var cut atomic.Bool
	cut.Store(true)
	s.onBytes = func(p share.Path, off int64, b []byte) error {
		if cut.Load() && off >= 24<<20 {
			time.Sleep(5 * time.Millisecond)
		}
		return nil
	}
	w := openWorld(t, s, st, into, nil)
	id := w.pull("big", "small")
	had := w.until(id, "half", func(j transfer.Job) bool { return j.Bytes > 30<<20 }).Bytes
	w.stop()
	cut.Store(false)
	s.read.Store(0)
	w = openWorld(t, s, st, into, nil)
	j := w.state(id, transfer.Done)
	if tree(t, into)["big"] != string(data) || j.Skipped != 0 || j.Done != 2 {
		t.Errorf("%+v", j)
	}
	if got, most := s.read.Load(), int64(len(data))-had+1<<20; got > most {
		t.Errorf("%d MiB fetched again", (got-most)>>20)
	}
}

func TestRestartDistrustsParts(t *testing.T) {
	s := newFake()
	data := random("big", 20<<20)
	s.put("big", data)
	st, into := NewMemory(), filepath.Join(t.TempDir(), "into")
	w := openWorld(t, s, st, into, nil)
	var given atomic.Int64
	s.onBytes = func(_ share.Path, _ int64, b []byte) error {
		if given.Add(int64(len(b))) > 14<<20 {
			return transfer.ErrAway
		}
		return nil
	}
	id := w.pull("big")
	w.until(id, "half", func(j transfer.Job) bool { return j.Bytes >= 12<<20 })
	w.stop()
	parts, _ := filepath.Glob(filepath.Join(into, ".porchlight-part", "*", "f*"))
	if len(parts) != 1 {
		t.Fatal(parts)
	}
	f, _ := os.OpenFile(parts[0], os.O_RDWR, 0)
	f.WriteAt(make([]byte, 4096), 3<<20+5) // as after a loss of power
	f.Close()
	s.onBytes = nil
	w = openWorld(t, s, st, into, nil)
	w.state(id, transfer.Done)
	if tree(t, into)["big"] != string(data) {
		t.Error("wrong bytes under a final name")
	}
}

func TestBusySource(t *testing.T) {
	s := newFake()
	want := mixed(s)
	var n atomic.Int64
	busy := func() error {
		if n.Add(1)%2 == 1 {
			return transfer.ErrBusy
		}
		return nil
	}
	s.onRead = func(share.Path, int64) error { return busy() }
	w := newWorld(t, s, nil)
	w.state(w.pull("a"), transfer.Done)
	if d := cmp.Diff(want, tree(t, w.into)); d != "" {
		t.Errorf("%.1000s", d)
	}
}

func TestUnsharedMidway(t *testing.T) {
	s := newFake()
	for i := range 3000 {
		s.put("a/f"+strconv.Itoa(i), []byte("x"))
	}
	var n atomic.Int64
	s.onPack = func(share.Path, []byte) ([]byte, error) {
		if n.Add(1) == 1500 {
			s.mu.Lock()
			clear(s.files)
			clear(s.dirs)
			s.mu.Unlock()
		}
		return []byte("x"), nil
	}
	w := newWorld(t, s, nil)
	j := w.until(w.pull("a"), "failed", func(j transfer.Job) bool { return j.State == transfer.Failed })
	if j.Trouble != transfer.SourceGone {
		t.Errorf("%+v", j)
	}
}

func TestProgressGrows(t *testing.T) {
	s := newFake()
	mixed(s)
	s.onBytes = func(share.Path, int64, []byte) error { time.Sleep(time.Millisecond); return nil }
	var calls atomic.Int64
	w := newWorld(t, s, func(c *Config) { c.OnChange = func() { calls.Add(1) } })
	id := w.pull("a")
	var last transfer.Job
	rated := false
	w.until(id, "done", func(j transfer.Job) bool {
		if j.Bytes < last.Bytes || j.Total < last.Total || j.Done < last.Done || j.Files < last.Files || j.Listed && j.Bytes > j.Total {
			t.Errorf("fell from %+v to %+v", last, j)
		}
		last = j
		rated = rated || j.Rate > 0
		return j.State == transfer.Done
	})
	if !rated || calls.Load() < 3 {
		t.Errorf("rate seen %v, %d calls", rated, calls.Load())
	}
}
