package mdns

import (
	"net/netip"
	"time"

	"golang.org/x/time/rate"
)

// What one sender may say on one socket, and all of them together. An honest computer sends a few packets when it comes and
// a few each minute; one that passes on what it hears from another wire sends those of a room.
const (
	saidPerSecond   = 40 // instances
	saidBurst       = 150
	asksPerSecond   = 5 // packets with questions
	asksBurst       = 15
	heardPerSecond  = 200 // instances of all senders; the rest is a flood
	heardBurst      = 600
	parsedPerSecond = 1000 // packets of all senders, of each sort
	parsedBurst     = 1000
	newPerSecond    = 200 // packets and instances of senders that have said next to nothing yet, besides
	saidLittle      = 6
	maxAccounts     = 256
	tooMuch         = 200              // packets beyond these: the sender is refused unseen
	refuseFor       = 10 * time.Second // and then may begin anew
)

// accounts is how much may still be said on one socket. Each sender has an account of its own: one that floods must not be
// the reason why another is not heard. It belongs to one goroutine. Anybody can forge the sender of a packet; that all of
// them are forged is no worse than that there are no accounts.
type accounts struct {
	shared  bool // all senders have the same address: those of one computer
	all     map[netip.Addr]*account
	heard   *rate.Limiter
	answers *rate.Limiter // packets parsed: answers, and questions
	asks    *rate.Limiter
	fresh   *rate.Limiter            // in place of the last three for those who have said next to nothing
	refused map[netip.Addr]time.Time // until when
}

type account struct {
	said, asks *rate.Limiter
	little     int // packets and instances so far, as long as they are few
	over       int // packets beyond what it may
	last       time.Time
}

func newAccounts(shared bool) *accounts {
	return &accounts{shared: shared, all: map[netip.Addr]*account{}, refused: map[netip.Addr]time.Time{}, heard: rate.NewLimiter(heardPerSecond, heardBurst),
		answers: rate.NewLimiter(parsedPerSecond, parsedBurst), asks: rate.NewLimiter(parsedPerSecond, parsedBurst),
		fresh: rate.NewLimiter(newPerSecond, newPerSecond)}
}

// of returns the account of a sender. In a flood of senders the one not heard for longest loses it.
func (a *accounts) of(src netip.Addr, now time.Time) *account {
	c := a.all[src]
	if c == nil {
		if len(a.all) >= maxAccounts {
			var first netip.Addr
			for s, c := range a.all {
				if o := a.all[first]; o == nil || c.last.Before(o.last) {
					first = s
				}
			}
			delete(a.all, first)
		}
		c = &account{said: rate.NewLimiter(saidPerSecond, saidBurst), asks: rate.NewLimiter(asksPerSecond, asksBurst)}
		if a.shared { // only the limits of all hold
			c = &account{said: rate.NewLimiter(heardPerSecond, heardBurst), asks: rate.NewLimiter(parsedPerSecond, parsedBurst)}
		}
		a.all[src] = c
	}
	c.last = now
	return c
}

// admit reports whether a packet of a sender is worth parsing.
func (a *accounts) admit(src netip.Addr, response bool, now time.Time) bool {
	c := a.of(src, now)
	ok := false
	if response {
		ok = c.said.TokensAt(now) >= 1 && a.allow(c, a.answers, now)
	} else {
		ok = c.asks.AllowN(now, 1) && a.allow(c, a.asks, now)
	}
	if !ok {
		c.over++
	}
	return ok
}

// believe reports whether one more instance that a sender names counts.
func (a *accounts) believe(src netip.Addr, now time.Time) bool {
	c := a.of(src, now)
	return c.said.AllowN(now, 1) && a.allow(c, a.heard, now)
}

// allow takes from what all senders share. Who has said next to nothing has a share apart from those who talk.
func (a *accounts) allow(c *account, shared *rate.Limiter, now time.Time) bool {
	if c.little < saidLittle {
		c.little++
		if a.fresh.AllowN(now, 1) {
			return true
		}
	}
	return shared.AllowN(now, 1)
}

// flooders brings the list of those to be refused up to date. It reports whether it changed.
func (a *accounts) flooders(now time.Time) (changed bool) {
	for s, until := range a.refused {
		if !now.Before(until) {
			delete(a.refused, s)
			changed = true
		}
	}
	for s, c := range a.all {
		if _, ok := a.refused[s]; !ok && c.over > tooMuch && !a.shared && len(a.refused) < maxSieved {
			a.refused[s] = now.Add(refuseFor)
			changed = true
		}
		c.over = 0
	}
	return changed
}
