package mdns

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"porchlight/discovery"
)

const (
	retryAfter  = 10 * time.Second // after an ear could not be opened
	idle        = time.Minute      // between rounds once the burst is over; twice as long on battery
	burst       = 6                // pauses in it: 1, 2, 4, 8, 16, 32 s
	refreshGap  = time.Second      // between rounds, however often somebody asks for one
	wonderAgain = 5 * time.Second  // before the same instance is asked again for what it left out
	maxWonder   = 64               // instances asked in that time
)

// browser finds the other devices of the local network.
//
//	round:  jitter  +1  +2  +4  +8  +16  +32 s  then every minute
//	           ▲──────── Refresh, another network, the computer woke ───┘
type browser struct {
	cfg       Config
	self      *self
	health    *health
	responder *responder
	again     chan struct{}
	sightings chan discovery.Sighting
	partial   chan partial
	queries   *queries
	farewells *farewells
	heard     atomic.Int64 // sightings told
	foreign   atomic.Int64 // packets on port 5353 that were none of our business, as far as they can be counted

	// The fields below belong to the goroutine of run.
	links   []link
	ears    map[string]ear       // by link.key
	asked   map[string]time.Time // instances asked for what they left out
	step    int                  // rounds since the burst began
	last    time.Time            // last round
	due     time.Time            // next round
	timer   *time.Timer          // to it
	workers sync.WaitGroup
}

// partial is an instance heard of on a link without all that is needed to dial it.
type partial struct {
	link     link
	instance string
}

func newBrowser(cfg Config, s *self, h *health, r *responder) *browser {
	return &browser{
		cfg: cfg, self: s, health: h, responder: r,
		again: make(chan struct{}, 1), sightings: make(chan discovery.Sighting, 256), partial: make(chan partial, 16),
		queries: newQueries(), farewells: newFarewells(),
		ears: map[string]ear{}, asked: map[string]time.Time{},
	}
}

// run asks and listens until ctx ends.
func (b *browser) run(ctx context.Context, nets <-chan network) {
	defer b.workers.Wait()
	defer keep(b.ears, nil, nil, ear.shut) //nolint:errcheck // closing opens nothing
	b.workers.Go(func() { b.deliver(ctx) })
	b.timer = time.NewTimer(time.Hour) // set by the first network
	defer b.timer.Stop()
	retry := time.NewTicker(retryAfter)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-nets:
			b.links = n.links
			b.open(ctx)
			b.restart(time.Now().Add(jitter()))
		case <-retry.C:
			b.open(ctx)
		case <-b.again:
			if soon := time.Now().Add(jitter()); soon.Before(b.last.Add(refreshGap)) {
				b.restart(b.last.Add(refreshGap))
			} else {
				b.restart(soon)
			}
		case p := <-b.partial:
			if b.curious(p.instance, time.Now()) {
				b.workers.Go(func() { b.ask(ctx, p.link, p.instance+"."+service, dns.TypeANY) })
			}
		case <-b.timer.C:
			b.round(ctx)
		}
	}
}

// deliver hands sightings to the outside, one at a time.
func (b *browser) deliver(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-b.sightings:
			if b.cfg.OnSighting != nil {
				b.cfg.OnSighting(s)
			}
		}
	}
}

// open brings the ears in line with the links. Without an ear the rest works.
func (b *browser) open(ctx context.Context) {
	err := keep(b.ears, b.links, func(l link) (ear, error) { return b.listen(ctx, l, &b.workers) }, ear.shut)
	if len(b.links) == 0 {
		err = ErrNoNetwork
	}
	b.health.set(hearing, err)
}

// restart begins the burst anew at a time, or sooner if a round is due sooner.
func (b *browser) restart(at time.Time) {
	b.step = 0
	if now := time.Now(); b.due.After(now) && b.due.Before(at) {
		return
	}
	b.due = at
	b.timer.Reset(time.Until(at))
}

// round asks on all links in every way.
func (b *browser) round(ctx context.Context) {
	b.last = time.Now()
	for _, l := range b.links {
		b.workers.Go(func() { b.ask(ctx, l, service, dns.TypePTR) })
		if l.loopback() {
			continue // the library listens on the default interface and never hears this one
		}
		b.workers.Go(func() { b.query(ctx, l, false) })
		b.workers.Go(func() { b.query(ctx, l, true) })
	}
	pause := b.pause()
	b.step++
	b.due = b.last.Add(pause)
	b.timer.Reset(pause)
}

// pause returns how long to wait after a round. The minute is spread, so that rooms full of computers do not fall in step.
func (b *browser) pause() time.Duration {
	if b.step < burst {
		return time.Second << b.step
	}
	rest := idle
	if b.self.now().Flags&OnBattery != 0 {
		rest *= 2
	}
	return rest - rest/10 + rand.N(rest/5+1)
}

// tell reports a sighting.
func (b *browser) tell(ctx context.Context, s discovery.Sighting) {
	b.heard.Add(1)
	select {
	case b.sightings <- s:
	case <-ctx.Done():
	}
}

// wonder has instances asked for what they left out. When there are many it forgets some: rounds find them, too.
func (b *browser) wonder(l link, instances []string) {
	for _, i := range instances {
		if b.self.is(i) {
			continue
		}
		select {
		case b.partial <- partial{l, i}:
		default:
			return
		}
	}
}

// curious reports whether an instance may be asked now, and notes that it was.
func (b *browser) curious(instance string, now time.Time) bool {
	for i, t := range b.asked {
		if now.Sub(t) >= wonderAgain {
			delete(b.asked, i)
		}
	}
	if _, ok := b.asked[instance]; ok || len(b.asked) >= maxWonder {
		return false
	}
	b.asked[instance] = now
	return true
}

// farewells remembers for a moment who left, because the library's query reports at its end whoever answered during it.
type farewells struct {
	mu   sync.Mutex // guards the field below
	left map[string]time.Time
}

const maxFarewells = 512 // people leaving within one query

func newFarewells() *farewells { return &farewells{left: map[string]time.Time{}} }

func (f *farewells) note(instance string, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, t := range f.left {
		if at.Sub(t) > 2*queryFor {
			delete(f.left, i)
		}
	}
	if len(f.left) < maxFarewells {
		f.left[instance] = at
	}
}

func (f *farewells) since(instance string, t time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.left[instance]
	return ok && at.After(t)
}
