package download

import (
	"bytes"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/transfer"
)

// seen is a StandingStore in memory.
type seen struct {
	mu      sync.Mutex // guards the fields below
	records []transfer.Conduct
	err     error
}

func (s *seen) Standing() ([]transfer.Conduct, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records, s.err
}

func (s *seen) PutStanding(all []transfer.Conduct) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records, s.err = all, nil
	return nil
}

func (s *seen) of(id discovery.DeviceID) (r transfer.Conduct) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r = range s.records {
		if r.Device == id {
			return r
		}
	}
	return transfer.Conduct{}
}

// TestThreeBadPiecesAreRemembered: whoever sent a bad piece of three files is named with each, and asked for nothing of others for a day, by the next process too.
// What cannot be read is forgotten.
func TestThreeBadPiecesAreRemembered(t *testing.T) {
	data := random("film", filmSize)
	kept := &seen{err: errors.New("damaged")}
	pull := func() (*fakeHelper, transfer.Job) {
		good, bad := newHelper(2, data), newHelper(3, data)
		bad.content = func(_ int, p []byte) ([]byte, error) { p = bytes.Clone(p); p[0] ^= 1; return p, nil }
		s := newCrowdSource(good, bad)
		s.put("film", data)
		slow(s, 20*time.Millisecond)
		w := openWorld(t, s.fakeSource, NewMemory(), filepath.Join(t.TempDir(), "into"), func(c *Config) {
			c.Sources, c.Helpers, c.Self, c.Standing = s, helpers{good, bad}, func() discovery.DeviceID { return keyOf(9).id() }, kept
		})
		j := w.state(w.film(s), transfer.Done)
		w.isFilm(data)
		w.stop()
		return bad, j
	}
	helper := newHelper(3, data).id
	for i := 0; i < 3 && kept.of(helper).HelpTill.IsZero(); i++ { // two requests at a time may both bring a bad one
		bad, j := pull()
		named := 0
		for _, s := range j.Sources {
			if s.Bad > 0 {
				named++
				if s.Device != bad.id || s.Bytes != 0 {
					t.Errorf("%s gave %d bytes, %d bad pieces", s.Device.Short(), s.Bytes, s.Bad)
				}
			}
		}
		if n := kept.of(bad.id).BadCount; named != 1 || n <= i {
			t.Fatalf("pull %d: %d devices are named, %d bad pieces are known of it", i, named, n)
		}
	}
	n, till := kept.of(helper).BadCount, kept.of(helper).HelpTill
	if d := time.Until(till); n < 3 || d < 23*time.Hour || d > 24*time.Hour {
		t.Errorf("it is asked again in %v", d)
	}
	again, j := pull()
	if again.gave.Load() != 0 || kept.of(helper).BadCount != n || from(j)[helper] != 0 {
		t.Errorf("it was asked again: %d pieces", again.gave.Load())
	}
}

// TestOldConductDoesNotCount: neither what is too old, nor what a clock that was wrong left behind.
func TestOldConductDoesNotCount(t *testing.T) {
	now, day := time.Now(), 24*time.Hour
	fresh, old, wrong := discovery.DeviceID{1}, discovery.DeviceID{2}, discovery.DeviceID{3}
	s := recallStanding(Config{Standing: &seen{records: []transfer.Conduct{
		{Device: fresh, HelpTill: now.Add(day), Seen: now},
		{Device: old, HelpTill: now.Add(day), Seen: now.Add(-91 * day)},
		{Device: wrong, HelpTill: now.Add(30 * day), Seen: now},
	}}})
	if s.MayHelp(fresh, now) || !s.MayHelp(old, now) || !s.MayHelp(wrong, now) {
		t.Errorf("may help: fresh %v, old %v, wrong %v", s.MayHelp(fresh, now), s.MayHelp(old, now), s.MayHelp(wrong, now))
	}
}
