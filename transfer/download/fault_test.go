package download

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"porchlight/share"
	"porchlight/share/safefs"
	"porchlight/transfer"
)

// breaking is a disk of which the n-th step of some kinds fails, or all from there on, until it is mended.
type breaking struct {
	deeds   []safefs.Deed
	err     error
	n       int64
	lasting bool
	mended  atomic.Bool
	count   atomic.Int64 // steps of these kinds
	failed  atomic.Int64
}

func (b *breaking) watch(s *safefs.Step, do func() error) error {
	synced := s.Deed == safefs.SyncedFile || s.Deed == safefs.SyncedFolder || s.Deed == safefs.SyncedDisk
	if !slices.Contains(b.deeds, s.Deed) {
		if synced {
			return nil // power stays on: what it would cost is time
		}
		return do()
	}
	n := b.count.Add(1)
	if b.mended.Load() || n < b.n || n > b.n && !b.lasting {
		return do()
	}
	b.failed.Add(1)
	if len(s.Data) > 0 { // a disk takes what still fits
		s.Data = s.Data[:len(s.Data)/2]
		if err := do(); err != nil {
			return err
		}
	}
	return b.err
}

// faultSource is small, so that every step can fail once.
func faultSource() *fakeSource {
	s := newFake()
	s.put("a/big0", random("big0", 2<<20+9))
	s.put("a/big1", random("big1", 1<<20+1))
	for i := range 12 {
		name := "a/d" + strconv.Itoa(i%2) + "/f" + strconv.Itoa(i)
		s.put(name, random(name, 100+i))
	}
	return s
}

// TestEveryStepFails lets each step of a pull fail that one kind of trouble can hit, once and from then on, until a pull no longer meets it. No file is ever
// wrong under its name, the job says what is wrong, and when the disk is well again the pull ends.
func TestEveryStepFails(t *testing.T) {
	for _, tt := range []struct {
		name    string
		deeds   []safefs.Deed
		err     error
		trouble []transfer.Trouble
		resume  bool // break only what a resumed pull does
	}{
		{"disk full", []safefs.Deed{safefs.MadeFile, safefs.MadeFolder, safefs.Sized, safefs.Reserved, safefs.Wrote, safefs.Put}, syscall.ENOSPC, []transfer.Trouble{transfer.DiskFull}, false},
		{"reservation", []safefs.Deed{safefs.Reserved}, syscall.EIO, []transfer.Trouble{transfer.DiskTrouble}, false},
		{"sync", []safefs.Deed{safefs.SyncedFile, safefs.SyncedFolder, safefs.SyncedDisk}, syscall.EIO, []transfer.Trouble{transfer.DiskTrouble}, false},
		{"rename, remove, time", []safefs.Deed{safefs.Renamed, safefs.Removed, safefs.Timed}, syscall.EIO, []transfer.Trouble{transfer.DiskTrouble}, false},
		{"write", []safefs.Deed{safefs.Wrote, safefs.Put, safefs.MadeFile}, syscall.EIO, []transfer.Trouble{transfer.DiskTrouble, transfer.TargetGone}, false},
		{"read", []safefs.Deed{safefs.Read, safefs.Opened}, syscall.EIO, []transfer.Trouble{transfer.DiskTrouble}, true},
		{"read-only", []safefs.Deed{safefs.MadeFile, safefs.Wrote, safefs.Put, safefs.Renamed}, syscall.EROFS, []transfer.Trouble{transfer.DiskReadOnly, transfer.DiskTrouble}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			runs, silent := 0, 0
			for _, lasting := range []bool{false, true} {
				by := int64(1)
				if lasting && os.Getenv("PORCHLIGHT_CRASH_RUNS") == "" {
					by = 4 // each was met alone
				}
				if raced {
					by *= 3
				}
				for n := int64(1); ; n += by {
					b := &breaking{deeds: tt.deeds, err: tt.err, n: n, lasting: lasting}
					told := faultRun(t, b, tt.resume, tt.trouble)
					if b.failed.Load() == 0 {
						break
					}
					runs++
					if !told {
						silent++
					}
				}
			}
			t.Logf("%d pulls met it, %d of them ended well all the same", runs, silent)
			if runs < 2 {
				t.Error("nothing was ever hit")
			}
		})
	}
}

// faultRun pulls on a disk that breaks, mends it, and lets the pull end. It reports whether the job told of it.
func faultRun(t *testing.T, b *breaking, resume bool, troubles []transfer.Trouble) (told bool) {
	t.Helper()
	s := faultSource()
	want, _ := s.all()
	st, into := NewMemory(), filepath.Join(t.TempDir(), "into")
	id := transfer.JobID(1)
	if resume {
		w := openWorld(t, s, st, into, func(c *Config) { c.watch = (&breaking{}).watch })
		s.onBytes = func(share.Path, int64, []byte) error {
			if w.job(id).Bytes > 1<<20 { // a piece of a file that has more
				s.cut()
			}
			return nil
		}
		w.pull("a")
		w.until(id, "away or done", func(j transfer.Job) bool { return j.State == transfer.Away || j.State == transfer.Done })
		w.stop()
		s.onBytes = nil
		s.back()
	}
	w := openWorld(t, s, st, into, func(c *Config) {
		c.watch, c.batch, c.Retry, c.Poll = b.watch, 2*time.Millisecond, 2*time.Millisecond, 2*time.Millisecond
	})
	if !resume {
		w.pull("a")
	}
	j := w.until(id, "in trouble or done", func(j transfer.Job) bool { return j.Trouble != "" || j.State.Ended() })
	if j.Trouble != "" && !slices.Contains(troubles, j.Trouble) {
		t.Errorf("%v at step %d (lasting %v): %+v", b.err, b.n, b.lasting, j)
	}
	if wrong := wrongUnder(t, into, want); wrong != "" {
		t.Errorf("%v at step %d: %s", b.err, b.n, wrong)
	}
	b.mended.Store(true)
	told = j.Trouble != ""
	if j.State == transfer.Failed {
		if err := w.m.Retry(id); err != nil && !errors.Is(err, ErrState) {
			t.Fatal(err)
		}
	}
	w.until(id, "done", func(j transfer.Job) bool { return j.State == transfer.Done })
	w.stop()
	if wrong := wrongUnder(t, into, want); wrong != "" || len(tree(t, into)) != len(want)+3 {
		t.Errorf("%v at step %d, in the end: wrong is %q", b.err, b.n, wrong)
	}
	return told
}
