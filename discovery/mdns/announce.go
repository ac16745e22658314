package mdns

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

const (
	// An announcement is sent at once, and again after 1 and 3 seconds, because packets get lost.
	// RFC 6762 §8.3 wants each pause twice the one before.
	announcements = 3
)

// announcer tells everybody when this device comes, changes or goes.
type announcer struct {
	log       *slog.Logger
	self      *self
	health    *health
	responder *responder
	poke      chan struct{} // the record changed

	// The fields below belong to the goroutine of run.
	links []link
	held  bool        // links is about to be another list: only goodbyes are said
	told  Record      // what neighbours believe; zero if nothing was said, or it was taken back
	left  int         // announcements still due
	timer *time.Timer // to the next of them
}

func newAnnouncer(log *slog.Logger, s *self, h *health, r *responder) *announcer {
	return &announcer{log: log, self: s, health: h, responder: r, poke: make(chan struct{}, 1)}
}

// run announces until ctx ends, and then says goodbye.
func (a *announcer) run(ctx context.Context, nets <-chan network) {
	a.timer = time.NewTimer(time.Hour) // set by the first network
	defer a.timer.Stop()
	defer a.leave()
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-nets:
			if a.held = n.hold; n.hold {
				continue
			}
			a.part() // before: a label of the network before is not to be heard on this one, not even in a goodbye
			a.links = n.links
			a.again(announcements, 0)
		case <-a.poke:
			a.part()
			a.again(announcements, 0)
		case <-a.timer.C:
			a.announce()
		}
	}
}

// again makes the next n announcements due.
func (a *announcer) again(n int, after time.Duration) {
	a.left = n
	a.timer.Reset(after)
}

func (a *announcer) announce() {
	r := a.self.now()
	if a.held {
		return // it is due again when the links are there
	}
	if r.Port == 0 || a.left == 0 {
		a.left = 0
		a.health.set(announcing, nil)
		return
	}
	a.left--
	a.told = r
	var errs []error
	for _, l := range a.links {
		packet, err := hello(r, l.announced())
		if err == nil {
			err = shout(l, packet)
		}
		if err != nil {
			a.log.Debug("announcement not sent", "interface", l.ifi.Name, "error", err)
			errs = append(errs, err)
		}
	}
	if a.left == 0 { // an interface that is only just up may have kept the first one from leaving
		a.health.set(announcing, errors.Join(errs...))
		return
	}
	a.timer.Reset(time.Second << (announcements - 1 - a.left))
}

// part says goodbye if this device has another label now, or none.
func (a *announcer) part() {
	if r := a.self.now(); r.Port == 0 || r.Instance != a.told.Instance {
		a.bye()
	}
}

// leave stops answering first, so that nothing brings the device back after its goodbye.
func (a *announcer) leave() {
	a.responder.quieten()
	a.bye()
}

// bye takes back what was said last. Everything needed for it is in memory: it takes no longer than sending does.
func (a *announcer) bye() {
	if a.told.Port == 0 {
		return
	}
	packet, err := goodbye(a.told)
	a.told = Record{}
	if err != nil {
		a.log.Debug("goodbye not packed", "error", err)
		return
	}
	for range 2 { // one may get lost
		for _, l := range a.links {
			if err := shout(l, packet); err != nil {
				a.log.Debug("goodbye not sent", "interface", l.ifi.Name, "error", err)
			}
		}
	}
}
