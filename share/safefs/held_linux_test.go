package safefs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"porchlight/share"
)

// TestHeldByOthers: another program has a file open for writing, has it locked, or has a lease of it, as file servers take. It is listed and nothing waits;
// only the lease keeps it from being read, which then is neither gone nor changed, and comes once the other has heard of it.
func TestHeldByOthers(t *testing.T) {
	dir := plant(t, "open", "locked", "leased")
	tr := tree(t, dir)
	hold := func(name string, flags int) *os.File {
		f, err := os.OpenFile(filepath.Join(dir, name), flags, 0)
		must(t, err)
		t.Cleanup(func() { f.Close() })
		return f
	}
	hold("open", os.O_RDWR)
	locked := hold("locked", os.O_RDWR)
	must(t, unix.Flock(int(locked.Fd()), unix.LOCK_EX))
	must(t, unix.FcntlFlock(locked.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
	leased := hold("leased", os.O_RDONLY)
	if _, err := unix.FcntlInt(leased.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Skip("no leases on this disk:", err)
	}
	quick(t, "listing, opening and reading", func() {
		if got := list(t, tr, "", share.ByName); len(got) != 3 {
			t.Error(got)
		}
		for _, p := range []share.Path{"open", "locked"} {
			f, err := tr.Open(p)
			must(t, err)
			b := make([]byte, 4)
			if n, err := f.ReadAt(b, 0); n == 0 {
				t.Errorf("%s: %v", p, err)
			}
			must(t, f.Check())
			f.Close()
		}
		if err := second(tr.Open("leased")); err == nil || errors.Is(err, ErrGone) || errors.Is(err, ErrChanged) {
			t.Errorf("leased: %v", err)
		}
		e, err := tr.Stat("leased")
		must(t, err)
		b := tr.Batch()
		defer b.Close()
		if _, err := b.Read("leased", e.Version, make([]byte, 99)); err == nil || errors.Is(err, ErrGone) || errors.Is(err, ErrChanged) {
			t.Errorf("leased, in a batch: %v", err)
		}
	})
	_, err := unix.FcntlInt(leased.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	must(t, err)
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		f, err := tr.Open("leased")
		if err == nil {
			f.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal("it never opens:", err)
		}
	}
}

// TestIsFAT: by the names that file systems are mounted by.
func TestIsFAT(t *testing.T) {
	for kind, want := range map[string]bool{"fuse.fusefat": true, "vfat": true, "msdos": true, "fuse.exfat": false, "exfat": false, "fuseblk": false, "ext4": false, "": false} {
		if got := isFAT(kind); got != want {
			t.Errorf("%q: %v", kind, got)
		}
	}
	if kind := mountKind("/proc"); kind != "proc" {
		t.Errorf("/proc is %q", kind)
	}
	if kind := mountKind("/nowhere at all"); kind != "" {
		t.Errorf("nothing is %q", kind)
	}
}
