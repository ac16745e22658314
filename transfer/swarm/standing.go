package swarm

import (
	"sync"
	"time"

	"porchlight/discovery"
	"porchlight/transfer"
)

// The rules of when a peer is not asked for a while.
const (
	badSpan   = time.Hour // as many bad pieces as a Conduct has room for
	badRest   = 24 * time.Hour
	lateSpan  = 5 * time.Minute // as many time-outs
	lateOne   = 5 * time.Second // requests that time out so close together met the same silence, and count once
	lateRest  = time.Minute     // doubles up to lateLongest
	lateLong  = 30 * time.Minute
	recordAge = 90 * 24 * time.Hour // then forgotten
)

// Standing is what this device has seen of others when it fetched from them: facts, kept here and told to nobody. Safe for concurrent use.
type Standing struct {
	mu      sync.Mutex // guards the fields below
	records map[discovery.DeviceID]*transfer.Conduct
	reports uint64
}

// Current reports whether what is remembered from earlier says anything at now: it is not too old, and no clock was wrong when it was made.
func Current(r transfer.Conduct, now time.Time) bool {
	return now.Sub(r.Seen) <= recordAge && r.Seen.Sub(now) <= badSpan && r.HelpTill.Sub(now) <= badRest+badSpan && r.RestTill.Sub(now) <= lateLong+badSpan &&
		r.LateRest >= 0 && r.LateRest <= lateLong && r.Bytes >= 0 && r.Rate >= 0 && r.BadCount >= 0
}

// NewStanding remembers records from earlier, and starts with nothing if there are none.
func NewStanding(old ...transfer.Conduct) *Standing {
	s := &Standing{records: make(map[discovery.DeviceID]*transfer.Conduct, len(old))}
	for _, r := range old {
		s.records[r.Device] = &r
	}
	return s
}

// of returns the record of a device; the caller holds the lock.
func (s *Standing) of(id discovery.DeviceID, now time.Time) *transfer.Conduct {
	r := s.records[id]
	if r == nil {
		if len(s.records) >= transfer.MaxConduct {
			s.forget()
		}
		r = &transfer.Conduct{Device: id}
		s.records[id] = r
	}
	r.Seen = now
	s.reports++
	return r
}

// forget drops the record that is oldest; the caller holds the lock.
func (s *Standing) forget() {
	var oldest *transfer.Conduct
	for _, r := range s.records {
		if oldest == nil || r.Seen.Before(oldest.Seen) {
			oldest = r
		}
	}
	delete(s.records, oldest.Device)
}

// Bad notes data that was not what it was asked as: after three in an hour the device is no helper for a day.
func (s *Standing) Bad(id discovery.DeviceID, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.of(id, now)
	copy(r.Bad[1:], r.Bad[:])
	r.Bad[0] = now
	r.BadCount++
	if first := r.Bad[len(r.Bad)-1]; !first.IsZero() && now.Sub(first) <= badSpan {
		r.HelpTill = now.Add(badRest)
	}
}

// TimedOut notes a request that stalled: after three in five minutes the device rests for a minute, then for two, up to thirty.
func (s *Standing) TimedOut(id discovery.DeviceID, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.of(id, now)
	if now.Sub(r.Late[0]) < lateOne {
		return
	}
	copy(r.Late[1:], r.Late[:])
	r.Late[0] = now
	if first := r.Late[len(r.Late)-1]; first.IsZero() || now.Sub(first) > lateSpan {
		return
	}
	r.LateRest = min(max(2*r.LateRest, lateRest), lateLong)
	r.RestTill = now.Add(r.LateRest)
	clear(r.Late[:])
}

// Served notes a request that brought bytes at a rate. Half an hour after its last rest a device that delivers starts anew.
func (s *Standing) Served(id discovery.DeviceID, n int64, rate float64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.of(id, now)
	r.Bytes += n
	if r.Rate == 0 {
		r.Rate = rate
	}
	r.Rate += (rate - r.Rate) * newestShare
	if r.LateRest > 0 && now.Sub(r.RestTill) > lateLong {
		r.LateRest = 0
	}
}

// Rest returns until when a device is not to be asked; a time past or zero if it may be.
func (s *Standing) Rest(id discovery.DeviceID, now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.records[id]; r != nil && r.RestTill.After(now) {
		return r.RestTill
	}
	return time.Time{}
}

// Rate returns the rate of one request to a device, in bytes per second, as it was last; 0 if that is not known.
func (s *Standing) Rate(id discovery.DeviceID) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.records[id]; r != nil {
		return r.Rate
	}
	return 0
}

// MayHelp reports whether a device may be asked for what others own.
func (s *Standing) MayHelp(id discovery.DeviceID, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.records[id]
	return r == nil || !r.HelpTill.After(now)
}

// Reports counts what was noted: Records says nothing new while it stays the same.
func (s *Standing) Reports() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reports
}

// Records returns what is worth keeping across restarts, in no order.
func (s *Standing) Records(now time.Time) []transfer.Conduct {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]transfer.Conduct, 0, len(s.records))
	for id, r := range s.records {
		if now.Sub(r.Seen) > recordAge {
			delete(s.records, id)
			continue
		}
		out = append(out, *r)
	}
	return out
}
