package download

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"porchlight/discovery/calm"
	"porchlight/share"
	"porchlight/share/safefs"
	"porchlight/transfer"
)

// TestSlowDiskHoldsLittleWithoutNames: what arrived and has no name yet is lost by a crash, so a disk that takes long to sync must slow
// the fetching down before that is much.
func TestSlowDiskHoldsLittleWithoutNames(t *testing.T) {
	const files, most = 96, 64 << 20
	s := newFake()
	data := random("one", 1<<20)
	for i := range files {
		s.put("a/f"+strconv.Itoa(i), data)
	}
	var given atomic.Int64
	s.onPack = func(_ share.Path, b []byte) ([]byte, error) { given.Add(int64(len(b))); return b, nil }
	gate := make(chan struct{})
	var once sync.Once
	held := make(chan struct{})
	w := newWorld(t, s, func(c *Config) {
		c.watch = func(st *safefs.Step, do func() error) error {
			if st.Deed == safefs.SyncedDisk || st.Deed == safefs.SyncedFile && strings.Contains(st.Name, "/s") {
				once.Do(func() { close(held) })
				<-gate
			}
			return do()
		}
	})
	id := w.pull("a")
	select {
	case <-held:
	case <-time.After(calm.Most(20 * time.Second)):
		t.Error("nothing was ever synced")
	}
	got, since := given.Load(), time.Now()
	for end := time.Now().Add(calm.Most(20 * time.Second)); time.Since(since) < 500*time.Millisecond && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if now := given.Load(); now != got {
			got, since = now, time.Now()
		}
	}
	close(gate)
	t.Logf("%d MiB without a name at the most; at most %d", got>>20, most>>20)
	if got > most {
		t.Errorf("%d MiB would be fetched again", got>>20)
	}
	w.state(id, transfer.Done)
	if n := len(tree(t, w.into)); n != files+1 {
		t.Errorf("%d names", n)
	}
}

// TestSlowDiskHoldsLittleUnsynced: what is written and not synced yet is lost with the power, so a disk that takes long to sync must slow
// the fetching down before that is much, however many files it is spread over.
func TestSlowDiskHoldsLittleUnsynced(t *testing.T) {
	const each, most = 48 << 20, 64 << 20
	s := newFake()
	data := random("big", each)
	for i := range bigFiles {
		s.put("a/big"+strconv.Itoa(i), data)
	}
	var loose unsynced
	w := newWorld(t, s, func(c *Config) {
		c.watch = func(st *safefs.Step, do func() error) error {
			switch large := strings.Contains(st.Name, "/f"); {
			case large && st.Deed == safefs.Wrote:
				loose.add(st.Name, int64(len(st.Data)))
				return nil // nobody reads it
			case large && st.Deed == safefs.SyncedFile:
				n := loose.of(st.Name)
				loose.rests()
				loose.add(st.Name, -n)
				return nil
			case st.Deed == safefs.SyncedFile || st.Deed == safefs.Reserved:
				return nil
			}
			return do()
		}
	})
	j := w.state(w.pull("a"), transfer.Done)
	t.Logf("%d MiB pulled, %d syncs; %d MiB not synced at the most; at most %d", j.Bytes>>20, loose.syncs, loose.most>>20, most>>20)
	if loose.most > most || loose.syncs < 3 {
		t.Errorf("%d MiB would be lost", loose.most>>20)
	}
}

// unsynced counts what is written and not synced, by file.
type unsynced struct {
	mu    sync.Mutex // guards the fields below
	files map[string]int64
	all   int64
	most  int64
	syncs int
}

func (u *unsynced) add(name string, n int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.files == nil {
		u.files = map[string]int64{}
	}
	u.files[name] += n
	u.all += n
	u.most = max(u.most, u.all)
	if n < 0 {
		u.syncs++
	}
}

func (u *unsynced) of(name string) int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.files[name]
}

// rests returns when nothing was written for a while: so long the disk takes.
func (u *unsynced) rests() {
	for last := int64(-1); ; time.Sleep(60 * time.Millisecond) {
		u.mu.Lock()
		all := u.all
		u.mu.Unlock()
		if all == last {
			return
		}
		last = all
	}
}
