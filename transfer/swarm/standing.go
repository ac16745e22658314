package swarm

import (
	"sync"
	"time"

	"porchlight/discovery"
)

// The rules of when a peer is not asked for a while.
const (
	badMost    = 3 // bad pieces within badSpan
	badSpan    = time.Hour
	badRest    = 24 * time.Hour
	lateMost   = 3 // time-outs within lateSpan
	lateSpan   = 5 * time.Minute
	lateOne    = 5 * time.Second // requests that time out so close together met the same silence, and count once
	lateRest   = time.Minute     // doubles up to lateLongest
	lateLong   = 30 * time.Minute
	recordMost = 4096                // devices remembered
	recordAge  = 90 * 24 * time.Hour // then forgotten
)

// Standing is what this device has seen of others when it fetched from them: facts, kept here and told to nobody. Safe for concurrent use.
type Standing struct {
	mu      sync.Mutex // guards the fields below
	records map[discovery.DeviceID]*Record
}

// Record is what is remembered of one device. A bad piece proves other data than its root stands for, not malice.
type Record struct {
	Device   discovery.DeviceID
	Bytes    int64   // received, all of it
	Rate     float64 // bytes per second of one request, smoothed
	Bad      [badMost]time.Time
	BadCount int
	Late     [lateMost]time.Time
	LateRest time.Duration // the last rest for time-outs
	RestTill time.Time     // asked for nothing before
	HelpTill time.Time     // not asked as a helper before
	Seen     time.Time     // last report of any kind
}

// NewStanding remembers records from earlier, and starts with nothing if there are none.
func NewStanding(old ...Record) *Standing {
	s := &Standing{records: make(map[discovery.DeviceID]*Record, len(old))}
	for _, r := range old {
		s.records[r.Device] = &r
	}
	return s
}

// of returns the record of a device; the caller holds the lock.
func (s *Standing) of(id discovery.DeviceID, now time.Time) *Record {
	r := s.records[id]
	if r == nil {
		if len(s.records) >= recordMost {
			s.forget()
		}
		r = &Record{Device: id}
		s.records[id] = r
	}
	r.Seen = now
	return r
}

// forget drops the record that is oldest; the caller holds the lock.
func (s *Standing) forget() {
	var oldest *Record
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
	if first := r.Bad[badMost-1]; !first.IsZero() && now.Sub(first) <= badSpan {
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
	if first := r.Late[lateMost-1]; first.IsZero() || now.Sub(first) > lateSpan {
		return
	}
	r.LateRest = min(max(2*r.LateRest, lateRest), lateLong)
	r.RestTill = now.Add(r.LateRest)
	r.Late = [lateMost]time.Time{}
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

// Records returns what is worth keeping across restarts, in no order.
func (s *Standing) Records(now time.Time) []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Record, 0, len(s.records))
	for id, r := range s.records {
		if now.Sub(r.Seen) > recordAge {
			delete(s.records, id)
			continue
		}
		out = append(out, *r)
	}
	return out
}
