package server

import (
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// stage is how far a meeting has come. A connection has one meeting.
//
//	none ──join──► joined ──confirm──► proved ──result──►
//	  ├────sas───► begun ───reveal───► shown ───confirm─►
//	  └──recover──►
type stage uint8

const (
	none   stage = iota
	during       // a request of it is being answered; if that fails, it stays so
	joined
	proved
	begun
	shown
)

// waits reports whether a person decides now, who may take long.
func (s stage) waits() bool { return s == proved || s == shown }

// lobby is where the connections are that are in a meeting. For several goroutines.
type lobby struct {
	often *rate.Limiter // meetings that anybody begins

	mu     sync.Mutex // guards the fields below
	guests map[*link.Session]*guest
}

type guest struct {
	stage   stage
	since   time.Time
	waiting bool        // has come to where a person decides
	over    bool        // kept so that the connection has no second one
	limit   *time.Timer // ends the connection
}

func newLobby() *lobby {
	return &lobby{often: rate.NewLimiter(rate.Every(wire.MeetAllEvery), wire.MeetAllBurst), guests: map[*link.Session]*guest{}}
}

// has reports whether the connection had a meeting.
func (l *lobby) has(s *link.Session) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.guests[s] != nil
}

// enter begins a meeting. If there is no room, who has been there the longest gives way: an honest program needs no time until a
// person has to decide.
func (l *lobby) enter(s *link.Session, to stage) error {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	early, oldest, _ := l.count()
	if early >= wire.MaxMeetings {
		if now.Sub(l.guests[oldest].since) < wire.MeetingGrace {
			return &transfer.Busy{Retry: wire.MeetingGrace}
		}
		l.guests[oldest].end()
		go oldest.End() // closing takes other locks
	}
	l.guests[s] = &guest{stage: to, since: now, limit: time.AfterFunc(wire.MeetingTime, s.End)}
	return nil
}

// again begins a meeting where a person decides: its connection broke there.
func (l *lobby) again(s *link.Session) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, _, waiting := l.count(); waiting >= wire.MaxWaiting {
		return transfer.ErrBusy
	}
	l.guests[s] = &guest{stage: during, since: time.Now(), waiting: true, limit: time.AfterFunc(decisionTime, s.End)}
	return nil
}

// decisionTime is longer than an answer that waits for a person, which ends by itself.
const decisionTime = wire.DecisionTime + wire.StallTime

// step takes a meeting from one stage to the next; transfer.ErrProtocol says that it is not at the first.
func (l *lobby) step(s *link.Session, from, to stage) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.guests[s]
	if g == nil || g.stage != from {
		return transfer.ErrProtocol
	}
	if to.waits() && !g.waiting {
		if _, _, waiting := l.count(); waiting >= wire.MaxWaiting {
			return transfer.ErrBusy
		}
		g.waiting = true
		g.limit.Reset(decisionTime)
	}
	if to == during && g.waiting { // one person has decided, and the other one has as long
		g.limit.Reset(decisionTime)
	}
	g.stage = to
	return nil
}

// count forgets the connections that are gone, and counts the others: those a program leads, with the oldest of them, and those that
// wait for a person. The caller holds mu.
func (l *lobby) count() (early int, oldest *link.Session, waiting int) {
	for s, g := range l.guests {
		select {
		case <-s.Gone():
			g.end()
			delete(l.guests, s)
			continue
		default:
		}
		switch {
		case g.over:
		case g.waiting:
			waiting++
		default:
			if early++; oldest == nil || g.since.Before(l.guests[oldest].since) {
				oldest = s
			}
		}
	}
	return early, oldest, waiting
}

// leave ends a meeting.
func (l *lobby) leave(s *link.Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.guests[s]; g != nil {
		g.end()
	}
}

func (g *guest) end() {
	g.over, g.stage = true, during
	g.limit.Stop()
}

// checks holds back the checking of signatures: many cost seconds of a processor.
type checks chan struct{}

// entries waits for a turn to check n entries of a device and does it.
func (c checks) entries(r *http.Request, d *device, n int, do func() error) error {
	if !d.entries.AllowN(time.Now(), n) {
		pause(r, wire.RefusalTime)
		return transfer.ErrBusy
	}
	return c.do(r, do)
}

func (c checks) do(r *http.Request, do func() error) error {
	patience := time.NewTimer(wire.Patience)
	defer patience.Stop()
	select {
	case c <- struct{}{}:
	case <-patience.C:
		return transfer.ErrBusy
	case <-r.Context().Done():
		return transfer.ErrAway
	}
	defer func() { <-c }()
	return do()
}
