package safefs

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"porchlight/discovery/calm"
	"porchlight/share"
	"porchlight/share/content"
)

// quick fails if what a neighbour may ask for takes longer than a second on a calm computer.
func quick(t *testing.T, what string, do func()) {
	t.Helper()
	start := time.Now()
	do()
	if took := time.Since(start); took > calm.Most(time.Second) {
		t.Errorf("%s takes %v", what, took)
	}
}

// TestNothingBlocks: a pipe, a socket, devices and what /proc has are listed as what they are and never opened.
func TestNothingBlocks(t *testing.T) {
	dir := plant(t, "plain")
	must(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o666))
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	must(t, err)
	defer l.Close()
	for name, to := range map[string]string{"fd": "/proc/self/fd/0", "root": "/proc/self/root", "exe": "/proc/self/exe", "cwd": "/proc/self/cwd", "mem": "/proc/self/mem", "tty": "/dev/tty"} {
		must(t, os.Symlink(to, filepath.Join(dir, name)))
	}
	want := map[string]string{"plain": "", "pipe": ReasonPipe, "socket": ReasonSocket, "fd": ReasonLink, "root": ReasonLink, "exe": ReasonLink, "cwd": ReasonLink, "mem": ReasonLink, "tty": ReasonLink}
	for name, mode := range map[string]uint32{"null": unix.S_IFCHR | 0o666, "disk": unix.S_IFBLK | 0o666} {
		if unix.Mknod(filepath.Join(dir, name), mode, int(unix.Mkdev(1, 3))) == nil { // only root may make one
			want[name] = ReasonDevice
		}
	}
	tr := tree(t, dir)
	quick(t, "all of it", func() {
		seen := 0
		must(t, tr.Walk(t.Context(), "", func(e share.Entry) error {
			if e.Path == "" {
				return nil
			}
			seen++
			if e.Reason != want[string(e.Path)] || e.Kind == share.Other && (e.Size != 0 || e.Version != share.Version{}) {
				t.Errorf("%+v, want reason %q", e, want[string(e.Path)])
			}
			return nil
		}))
		if seen != len(want) {
			t.Errorf("%d entries, want %d", seen, len(want))
		}
		for name := range want {
			err := second(tr.Open(share.Path(name)))
			if name == "plain" && err != nil || name != "plain" && !errors.Is(err, ErrGone) {
				t.Errorf("open %s: %v", name, err)
			}
			b := tr.Batch()
			if _, err := b.Read(share.Path(name), share.Version{}, make([]byte, 8)); err == nil {
				t.Errorf("%s was read", name)
			}
			b.Close()
		}
		for _, p := range []share.Path{"root/etc/passwd", "cwd/plain", "fd/x"} {
			if err := second(tr.Open(p)); !errors.Is(err, ErrGone) {
				t.Errorf("open %s: %v", p, err)
			}
		}
	})
}

// TestHardLinks: a second name of one's own file is a file like any other. A file of somebody else with a second name may be one that lies elsewhere: it is shown and not read.
func TestHardLinks(t *testing.T) {
	dir := plant(t, "mine", "theirs", "alone")
	must(t, os.Link(filepath.Join(dir, "mine"), filepath.Join(dir, "mine too")))
	must(t, os.Link(filepath.Join(dir, "theirs"), filepath.Join(dir, "theirs too")))
	a, err := openAnchor(dir)
	must(t, err)
	defer a.close()
	var st unix.Stat_t
	for _, tt := range []struct {
		name   string
		nlink  uint64
		uid    uint32
		reason string
	}{
		{"one's own", 2, uint32(os.Geteuid()), ""}, {"the folder's owner's", 3, a.owner, ""}, {"another's with one name", 1, a.owner + 4711, ""},
		{"another's", 2, a.owner + 4711, ReasonAccess},
	} {
		must(t, unix.Fstatat(a.fd, "mine", &st, 0))
		st.Uid, st.Nlink = tt.uid, uint64(tt.nlink)
		if m := a.judge(&st); m.reason != tt.reason || (m.kind == share.File) != (tt.reason == "") {
			t.Errorf("%s: %+v", tt.name, m)
		}
	}
	if os.Geteuid() != 0 {
		return // nobody else can give a file away
	}
	must(t, os.Chown(filepath.Join(dir, "theirs"), 4711, 4711))
	must(t, os.Chown(filepath.Join(dir, "alone"), 4711, 4711))
	tr := tree(t, dir)
	for p, open := range map[share.Path]bool{"mine": true, "mine too": true, "alone": true, "theirs": false, "theirs too": false} {
		if err := second(tr.Open(p)); open && err != nil || !open && !errors.Is(err, ErrGone) {
			t.Errorf("open %s: %v", p, err)
		}
		if e, err := tr.Stat(p); err != nil || (e.Kind == share.File) != open {
			t.Errorf("%s is %+v, %v", p, e, err)
		}
	}
}

// TestChangesWhileRead: whatever happens to a file that is open, what was read is told to be of it, or told to be of none.
func TestChangesWhileRead(t *testing.T) {
	for name, do := range map[string]func(path string) error{
		"grows": func(p string) error {
			f, err := os.OpenFile(p, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString("more")
			return err
		},
		"is cut":         func(p string) error { return os.Truncate(p, 3) },
		"is overwritten": func(p string) error { return os.WriteFile(p, []byte("OTHER BYTES"), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			must(t, os.WriteFile(path, []byte("first bytes"), 0o644))
			old := time.Now().Add(-time.Hour)
			must(t, os.Chtimes(path, old, old))
			tr := tree(t, dir)
			f, err := tr.Open("f")
			must(t, err)
			defer f.Close()
			must(t, f.Check())
			must(t, do(path))
			if err := f.Check(); !errors.Is(err, ErrChanged) {
				t.Errorf("check: %v", err)
			}
			b := tr.Batch()
			defer b.Close()
			if _, err := b.Read("f", f.Entry().Version, make([]byte, 64)); !errors.Is(err, ErrChanged) {
				t.Errorf("batch: %v", err)
			}
			must(t, os.Chtimes(path, old, old)) // whoever puts the time back is found out too
			if err := f.Check(); !errors.Is(err, ErrChanged) {
				t.Errorf("check after the time was put back: %v", err)
			}
		})
	}
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "f"), []byte("first"), 0o644))
	tr := tree(t, dir)
	f, err := tr.Open("f")
	must(t, err)
	defer f.Close()
	must(t, os.WriteFile(filepath.Join(dir, "new"), []byte("other"), 0o644))
	must(t, os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "f")))
	buf := make([]byte, 5)
	if n, err := f.ReadAt(buf, 0); string(buf[:n]) != "first" || err != nil {
		t.Errorf("replaced while open: %q, %v", buf[:n], err)
	}
	if e, err := tr.Stat("f"); err != nil || e.Version == f.Entry().Version {
		t.Error("the one that came has the version of the one that went")
	}
}

// TestWrittenAllTheTime: of a file that is rewritten without a pause a reader gets whole versions or none, never a mixture.
func TestWrittenAllTheTime(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	must(t, os.WriteFile(path, make([]byte, 8), 0o644))
	tr := tree(t, dir)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	wg.Go(func() {
		for c := byte(0); ; c++ {
			select {
			case <-stop:
				return
			default:
			}
			b := make([]byte, 64<<10)
			for i := range b {
				b[i] = c
			}
			os.WriteFile(path+".new", b, 0o644) //nolint:errcheck // the test sees what comes of it
			os.Rename(path+".new", path)        //nolint:errcheck // likewise
		}
	})
	b := tr.Batch()
	defer b.Close()
	buf := make([]byte, 64<<10)
	whole, changed := 0, 0
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); {
		e, err := tr.Stat("log")
		must(t, err)
		n, err := b.Read("log", e.Version, buf)
		if err != nil {
			if !errors.Is(err, ErrChanged) {
				t.Fatal(err)
			}
			changed++
			continue
		}
		whole++
		for i := range n {
			if buf[i] != buf[0] {
				t.Fatalf("a mixture of %d and %d", buf[0], buf[i])
			}
		}
	}
	if whole == 0 {
		t.Error("no version was ever whole")
	}
	t.Logf("%d whole, %d changed", whole, changed)
}

// TestSparse: a file of 1 TiB of nothing is listed with its size, any range of it is read at once, and whoever has it hashed keeps nobody waiting and can stop.
func TestSparse(t *testing.T) {
	dir := plant(t, "small")
	path := filepath.Join(dir, "huge")
	must(t, os.WriteFile(path, nil, 0o644))
	const size = 1 << 40
	if err := os.Truncate(path, size); err != nil {
		t.Skip("the disk of this test holds no file of 1 TiB:", err)
	}
	end, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	_, err = end.WriteAt([]byte("end"), size-3)
	must(t, err)
	must(t, end.Close())
	tr := tree(t, dir)
	f, err := tr.Open("huge")
	must(t, err)
	defer f.Close()
	if f.Entry().Size != size {
		t.Errorf("%d bytes", f.Entry().Size)
	}
	quick(t, "a range at the end", func() {
		buf := make([]byte, 4<<20)
		if n, err := f.ReadAt(buf, size-int64(len(buf))); n != len(buf) || string(buf[n-3:]) != "end" || buf[0] != 0 {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := content.Build(ctx, f, size, 0)
		ended <- err
	}()
	var worst time.Duration
	for range 100 {
		start := time.Now()
		list(t, tr, "", share.ByName)
		must(t, second(tr.Open("small")))
		worst = max(worst, time.Since(start))
	}
	t.Logf("beside it the slowest of 100 listings takes %v", worst)
	if worst > calm.Most(time.Second) {
		t.Errorf("a listing takes %v", worst)
	}
	quick(t, "stopping", func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the hashing ended with %v", err)
		}
	})
	must(t, f.Check())
}
