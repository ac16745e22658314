// Package pace bounds how many bytes go by in a second, and is fair to those who want to send them.
//
// A Limit is a token bucket (golang.org/x/time/rate) behind a queue. The queue gives each device the same share, whatever the
// number of its connections: start-time fair queueing (Goyal, Vin, Cheng 1996), with equal weights and no clock.
package pace

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/time/rate"

	"porchlight/discovery"
)

// One turn is a fiftieth of a second's bytes: a device waits no longer than that for each of the others. Between these bounds a
// turn is worth the trouble, and short.
const (
	turnsPerSecond = 50
	minTurn        = 4 << 10
	maxTurn        = 256 << 10
	burst          = 20 // of a second's bytes, the part that may go at once after a pause: a late timer must not cost speed
)

// Limit bounds the bytes of many devices together. Make one with New. Safe for concurrent use.
type Limit struct {
	mu      sync.Mutex // guards the fields below
	bucket  *rate.Limiter
	turn    int // bytes; 0: no limit
	busy    bool
	waiting []*waiter
	now     int64                        // the virtual time: how much whoever had the last turn had before it
	had     map[discovery.DeviceID]int64 // virtual time after the last turn of a device; those at or before now are as good as not there
}

// waiter wants a turn.
type waiter struct {
	who  discovery.DeviceID
	n    int
	turn chan struct{} // closed when it has it
}

// New makes a Limit that limits nothing.
func New() *Limit { return &Limit{had: map[discovery.DeviceID]int64{}} }

// Set changes the bytes per second; 0 takes the limit away. Those who wait feel it within a turn.
func (l *Limit) Set(perSecond int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if perSecond <= 0 {
		l.bucket, l.turn = nil, 0
		return
	}
	if l.bucket != nil && l.bucket.Limit() == rate.Limit(perSecond) {
		return
	}
	l.turn = int(min(max(perSecond/turnsPerSecond, minTurn), maxTurn))
	l.bucket = rate.NewLimiter(rate.Limit(perSecond), max(l.turn, int(perSecond/burst)))
}

// Turn is how many bytes are best taken at once; 0 while there is no limit.
func (l *Limit) Turn() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.turn
}

// Take waits until a device may send n bytes. It returns an error only if ctx ends first.
func (l *Limit) Take(ctx context.Context, who discovery.DeviceID, n int) error {
	for n > 0 {
		turn := l.Turn()
		if turn == 0 {
			return ctx.Err()
		}
		k := min(n, turn)
		if err := l.take(ctx, who, k); err != nil {
			return err
		}
		n -= k
	}
	return nil
}

// take takes one turn.
func (l *Limit) take(ctx context.Context, who discovery.DeviceID, n int) error {
	if err := l.enter(ctx, who, n); err != nil {
		return err
	}
	defer l.leave()
	l.mu.Lock()
	bucket := l.bucket
	l.mu.Unlock()
	if bucket == nil {
		return ctx.Err()
	}
	for n > 0 { // the limit may have become smaller than the turn
		k := min(n, bucket.Burst())
		if err := bucket.WaitN(ctx, k); err != nil {
			return err
		}
		n -= k
	}
	return nil
}

// enter waits for the device's turn.
func (l *Limit) enter(ctx context.Context, who discovery.DeviceID, n int) error {
	l.mu.Lock()
	if !l.busy {
		l.busy = true
		l.serve(who, n)
		l.mu.Unlock()
		return nil
	}
	w := &waiter{who: who, n: n, turn: make(chan struct{})}
	l.waiting = append(l.waiting, w)
	l.mu.Unlock()
	select {
	case <-w.turn:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.waiting, w); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	} else { // the turn came meanwhile, and is for the next
		l.next()
	}
	return ctx.Err()
}

// leave ends a turn.
func (l *Limit) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next()
}

// next gives the turn to the device that has had least; of its connections, and of those alike, to the one that waits longest. The
// caller holds mu.
func (l *Limit) next() {
	best := -1
	for i, w := range l.waiting {
		if best < 0 || l.start(w.who) < l.start(l.waiting[best].who) {
			best = i
		}
	}
	if best < 0 {
		l.busy = false
		return
	}
	w := l.waiting[best]
	l.waiting = slices.Delete(l.waiting, best, best+1)
	l.serve(w.who, w.n)
	close(w.turn)
}

// start is the virtual time at which the next turn of a device would begin: a pause saves nothing up. The caller holds mu.
func (l *Limit) start(who discovery.DeviceID) int64 { return max(l.had[who], l.now) }

// serve counts a turn. The caller holds mu.
func (l *Limit) serve(who discovery.DeviceID, n int) {
	l.now = l.start(who)
	for d, had := range l.had {
		if had <= l.now {
			delete(l.had, d)
		}
	}
	l.had[who] = l.now + int64(n)
}
