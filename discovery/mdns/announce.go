package mdns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"time"

	library "github.com/hashicorp/mdns"
)

const (
	retryAfter = 10 * time.Second // after a responder or an ear could not be started
	// Programs that share port 5353 on their machine miss answers sent to them alone. One announcement in this time,
	// if anybody asks at all, keeps what they know alive (it would expire after ttl).
	remind = 50 * time.Second
	// An announcement is sent at once, and again after 1 and 3 seconds, because packets get lost.
	// RFC 6762 §8.3 wants each pause twice the one before.
	announcements = 3
)

// announcer makes this device visible to others: an answer to whoever asks, and word to all when it comes, changes or goes.
type announcer struct {
	log    *slog.Logger
	self   *self
	health *health
	poke   chan struct{} // the record changed
	asked  chan struct{} // somebody asked

	// The fields below belong to the goroutine of run.
	links     []link
	answering map[string]*library.Server // by link.key
	told      Record                     // what neighbours believe; zero if nothing was said, or it was taken back
	said      time.Time                  // when
	left      int                        // announcements still due
	timer     *time.Timer                // to the next of them
}

func newAnnouncer(log *slog.Logger, s *self, h *health) *announcer {
	return &announcer{log: log, self: s, health: h, poke: make(chan struct{}, 1), asked: make(chan struct{}, 1), answering: map[string]*library.Server{}}
}

// run announces until ctx ends, and then says goodbye.
func (a *announcer) run(ctx context.Context, nets <-chan network) {
	a.timer = time.NewTimer(time.Hour) // set by the first network
	defer a.timer.Stop()
	retry := time.NewTicker(retryAfter)
	defer retry.Stop()
	defer a.leave()
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-nets:
			a.links = n.links
			a.start()
			a.again(announcements, 0)
		case <-a.poke:
			if r := a.self.now(); r.Port == 0 || r.Instance != a.told.Instance {
				a.bye()
			}
			a.again(announcements, 0)
		case <-a.asked:
			if a.left == 0 && time.Since(a.said) > remind {
				a.again(1, jitter())
			}
		case <-a.timer.C:
			a.announce()
		case <-retry.C:
			a.start()
		}
	}
}

// start brings the responders in line with the links.
func (a *announcer) start() {
	err := keep(a.answering, a.links, a.respond, stop)
	if len(a.links) == 0 {
		err = ErrNoNetwork
	}
	a.health.set(answering, err)
}

func (a *announcer) respond(l link) (*library.Server, error) {
	ifi := l.ifi
	srv, err := library.NewServer(&library.Config{
		Zone:   newZone(a.self, l.announced(), func() { nudge(a.asked) }),
		Iface:  &ifi,
		Logger: log.New(io.Discard, "", 0), // a line for every broken packet of anybody
	})
	if err != nil {
		return nil, fmt.Errorf("answer on %s: %w", l.ifi.Name, err)
	}
	return srv, nil
}

func stop(s *library.Server) { s.Shutdown() } //nolint:errcheck // it closes what it can

// again makes the next n announcements due.
func (a *announcer) again(n int, after time.Duration) {
	a.left = n
	a.timer.Reset(after)
}

func (a *announcer) announce() {
	r := a.self.now()
	if r.Port == 0 || a.left == 0 {
		a.left = 0
		a.health.set(announcing, nil)
		return
	}
	a.left--
	a.told, a.said = r, time.Now()
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

// leave stops answering first, so that nothing brings the device back after its goodbye.
func (a *announcer) leave() {
	keep(a.answering, nil, a.respond, stop) //nolint:errcheck // closing opens nothing
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
