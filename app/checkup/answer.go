package checkup

import (
	"context"
	"sync"
	"time"

	"porchlight/app/doctor"
	"porchlight/discovery"
	"porchlight/transfer/wire"
)

const (
	checkAgain = wire.CheckupAgain // between two dials because one device asks, and between two rounds of questions
	checkTime  = 6 * time.Second   // for one of them, and for the answer to be here
	maxChecks  = 128               // devices whose last one is remembered
	maxKnock   = wire.CheckupAddrs // addresses of one device tried at once
	allChecks  = wire.MaxCheckups  // dials at once: whoever asks beyond that is told nothing of them
)

// checks remembers how dialling those ended that asked: who asks again at once hears the same again.
type checks struct {
	mu    sync.Mutex // guards the fields below
	list  map[discovery.DeviceID]*check
	busy  int       // those that run
	asked time.Time // when the network was last asked because of one
}

// check is one dial; its fields may be read when done is closed.
type check struct {
	done chan struct{}
	dial string
	at   time.Time
}

// Answer says what this device knows of another one that asks (server.Config.Checkup).
func (h *Neighbourhood) Answer(ctx context.Context, dev discovery.DeviceID) wire.Checkup {
	c, ask, mine := h.checks.begin(dev)
	if ask {
		h.cfg.Voice.Announce()
		h.cfg.Voice.Refresh()
	}
	if mine {
		c.dial = h.checkDial(ctx, dev)
		h.checks.end(c)
	}
	select {
	case <-c.done:
	case <-ctx.Done():
	}
	out := wire.Checkup{Dial: wire.DialFailed, Heard: -1}
	select {
	case <-c.done:
		out.Dial = c.dial
	default:
	}
	if ago, ok := h.cfg.Learned.HeardAgo(dev); ok {
		out.Heard = ago.Milliseconds()
	}
	return out
}

// begin returns the last check of a device, or a new one that the caller makes; and whether the network is to be asked.
func (c *checks) begin(dev discovery.DeviceID) (last *check, ask, mine bool) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if ask = now.Sub(c.asked) >= checkAgain; ask {
		c.asked = now
	}
	last = c.list[dev]
	if last != nil && (last.at.IsZero() || now.Sub(last.at) < checkAgain) {
		return last, ask, false
	}
	if c.list == nil || len(c.list) >= maxChecks {
		c.list = map[discovery.DeviceID]*check{}
	}
	last = &check{done: make(chan struct{}), dial: wire.DialNowhere}
	if c.busy >= allChecks {
		close(last.done)
		return last, ask, false
	}
	c.busy++
	c.list[dev] = last
	return last, ask, true
}

func (c *checks) end(done *check) {
	c.mu.Lock()
	c.busy--
	done.at = time.Now()
	c.mu.Unlock()
	close(done.done)
}

// checkDial dials a device that asks for it.
func (h *Neighbourhood) checkDial(ctx context.Context, dev discovery.DeviceID) string {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	reach := h.reach(ctx, &dev, h.cfg.Roster.Addresses(dev))
	for word, r := range dialWords() {
		if r == reach {
			return word
		}
	}
	return wire.DialFailed
}

// reachIn reads what a neighbour says of dialling this device.
func reachIn(word string) doctor.Reach {
	if r, ok := dialWords()[word]; ok {
		return r
	}
	return doctor.Failed
}

// dialWords says what the words on the wire mean to the doctor; there is one for each.
func dialWords() map[string]doctor.Reach {
	return map[string]doctor.Reach{
		wire.DialWorks: doctor.Works, wire.DialRefused: doctor.Refused, wire.DialTimeout: doctor.TimedOut, wire.DialRejected: doctor.Rejected,
		wire.DialUnreachable: doctor.Unreachable, wire.DialNowhere: doctor.Unknown,
	}
}
