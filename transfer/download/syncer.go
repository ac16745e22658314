package download

import (
	"sync"
	"time"

	"porchlight/share/safefs"
)

const (
	syncBytes = 24 << 20
	syncTime  = 5 * time.Second
	maxLoose  = 48 << 20 // bytes of all files under way that a loss of power may take; who writes more waits for the disk
	fewBytes  = 4 << 20  // not worth a sync of their own
)

// syncer makes a growing file durable now and then, beside its writers.
type syncer struct {
	p *pull
	b *partial

	mu      sync.Mutex // guards the fields below
	pending int64
	last    time.Time
	done    chan struct{} // closed when the sync that runs has ended; nil while none does
	err     error
	wg      sync.WaitGroup
}

func (p *pull) newSyncer(b *partial) *syncer { return &syncer{p: p, b: b, last: time.Now()} }

// wrote counts bytes that were written. It waits for the disk where too much is not durable.
func (s *syncer) wrote(n int64) {
	all := s.p.loose.Add(n)
	s.mu.Lock()
	s.pending += n
	if s.done == nil && (s.pending >= syncBytes || time.Since(s.last) >= syncTime || all >= maxLoose/2 && s.pending >= fewBytes) {
		s.begin()
	}
	var slow <-chan struct{}
	if all > maxLoose {
		slow = s.done
	}
	s.mu.Unlock()
	if slow != nil {
		<-slow
	}
}

// begin starts a sync; the caller holds the lock.
func (s *syncer) begin() {
	n, done := s.pending, make(chan struct{})
	s.pending, s.done = 0, done
	s.wg.Go(func() {
		err := s.b.file.Sync()
		if err == nil {
			err = s.p.journal.Sync()
		}
		s.p.loose.Add(-n)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.done, s.last = nil, time.Now()
		close(done)
		if err != nil && s.err == nil {
			s.err = safefs.DiskError(err)
		}
	})
}

// wait returns when no sync runs. What was not synced is the publisher's to sync.
func (s *syncer) wait() error {
	s.wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.p.loose.Add(-s.pending)
	s.b.loose += s.pending
	s.pending = 0
	return s.err
}
