package download

import (
	"testing"
	"testing/synctest"
	"time"

	"porchlight/share/safefs"
	"porchlight/transfer"
)

// seeking is a disk that writes one thing at a time, and takes long to go to another place.
type seeking struct {
	free   chan struct{} // a token while it writes nothing; who holds it has the fields below
	at     string
	off    int64
	seeks  int
	writes int
}

func (d *seeking) watch(s *safefs.Step, do func() error) error {
	if s.Deed == safefs.SyncedFile || s.Deed == safefs.SyncedDisk {
		return nil // everything is on it as soon as it is written
	}
	if s.Deed != safefs.Wrote || len(s.Data) < 1<<20 {
		return do()
	}
	<-d.free
	defer func() { d.free <- struct{}{} }()
	d.writes++
	if s.Name != d.at || s.Off != d.off {
		d.seeks++
		time.Sleep(8 * time.Millisecond)
	}
	time.Sleep(2 * time.Millisecond)
	d.at, d.off = s.Name, s.Off+int64(len(s.Data))
	return do()
}

// TestSeekingDisk pulls large files of two jobs onto a disk that seeks: after a while it seeks for few of the pieces only. Its time is not that of this computer,
// so that nothing but the disk sets the pace.
func TestSeekingDisk(t *testing.T) {
	data := random("large", 160<<20)
	synctest.Test(t, func(t *testing.T) {
		s := newFake()
		for _, name := range []string{"a/one", "a/two", "b/three", "b/four"} {
			s.put(name, data)
		}
		d := &seeking{free: make(chan struct{}, 1)}
		d.free <- struct{}{}
		w := newWorld(t, s, func(c *Config) { c.watch = d.watch })
		one, two := w.pull("a"), w.pull("b")
		for _, id := range []transfer.JobID{one, two} {
			j := w.until(id, "done", func(j transfer.Job) bool { return j.State.Ended() })
			if j.State != transfer.Done {
				t.Fatalf("%+v", j)
			}
		}
		t.Logf("%d seeks for %d pieces", d.seeks, d.writes)
		if d.writes < 640 || d.seeks > d.writes/2 {
			t.Errorf("at most one piece in two may need one")
		}
		if n := len(w.m.disks.byName); n != 0 {
			t.Errorf("%d disks are in use when all is done", n)
		}
	})
}
