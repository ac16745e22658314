// Package whereabouts knows which networks this computer is on, what each counts as, and behind which interfaces it may be seen.
//
// A network is told apart by its name (package place), and counts as what its owner said of it. Until somebody has said so this device
// is not seen there. Nothing is announced, listened for or asked here: the engine does that, where Trusted, Fits and Guard let it.
package whereabouts

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"porchlight/app/config"
	"porchlight/discovery"
	"porchlight/discovery/mdns"
	"porchlight/discovery/place"
)

// Owner is whose computer this is, as far as networks go.
type Owner interface {
	// Settings are what was decided. It may be called with locks held, and calls nobody.
	Settings() config.Settings
	// Change changes the settings and keeps them.
	Change(context.Context, func(*config.Settings)) error
	// Attends reports whether a person is there who can be asked about a new network.
	Attends() bool
}

// Config says what a Whereabouts works with. Owner is needed.
type Config struct {
	Owner    Owner
	First    discovery.Network // what the network counts as on which it begins; if empty, as is decided about any
	AskFirst bool              // nothing is assumed for want of somebody to ask, and nothing is trusted before the first run is done
	Loopback bool              // this device keeps to this machine: there is no network to look at
	OnChange func()            // where this computer is, or what that counts as, may be another now; called with no lock held
	Log      *slog.Logger
}

// How long a network may take to get its name. A link comes up first, gets its addresses then, and its gateway last; who is
// asked too early is asked about a network that does not exist.
const (
	graceGateway = 3 * time.Second        // for the gateway's hardware address
	graceRange   = 500 * time.Millisecond // for a gateway, once there are addresses
	graceWire    = 5 * time.Second        // for addresses other than link-local ones
	lookAgain    = 150 * time.Millisecond // between two looks meanwhile
)

// spot is one interface of this computer with the network behind it.
type spot struct {
	mdns.Interface
	place string            // name of the network; empty while it has none yet
	kind  discovery.Network // what it counts as; Unsaid if its owner has to be asked, or place is empty
}

// open reports whether this device may be seen behind the interface.
func (s spot) open() bool {
	return s.Used && s.place != "" && s.kind.Valid() && s.kind != discovery.Public
}

// Whereabouts is where this computer is. Safe for concurrent use.
type Whereabouts struct {
	cfg Config
	now chan struct{} // holds one: look now

	mu      sync.Mutex // guards the fields below; Owner.Settings may be called under it
	looked  bool       // at least once
	fixed   bool       // Config.First was applied
	spots   []spot
	since   map[string]time.Time         // when a spot was first seen as it is
	assumed map[string]discovery.Network // networks nobody was there to ask about
}

// New makes one that has not looked yet. Nothing is started.
func New(cfg Config) *Whereabouts {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.OnChange == nil {
		cfg.OnChange = func() {}
	}
	return &Whereabouts{cfg: cfg, now: make(chan struct{}, 1), assumed: map[string]discovery.Network{}}
}

// Run looks where this computer is until ctx ends.
func (w *Whereabouts) Run(ctx context.Context) error {
	if w.cfg.Loopback {
		return nil
	}
	poke := make(chan struct{}, 1)
	stir := func() {
		select {
		case poke <- struct{}{}:
		default:
		}
	}
	done := make(chan struct{})
	go func() { defer close(done); mdns.Watch(ctx, stir) }()
	defer func() { <-done }()
	for {
		again, err := w.look(ctx)
		if err != nil && ctx.Err() == nil {
			w.cfg.Log.Warn("networks unknown", "err", err)
		}
		var soon <-chan time.Time
		if again {
			soon = time.After(lookAgain)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-soon:
		case <-poke:
		case <-w.now:
		}
	}
}

// look finds out where this computer is; again says that some network has no name yet.
func (w *Whereabouts) look(ctx context.Context) (again bool, err error) {
	s := w.cfg.Owner.Settings()
	cfg := mdns.Config{Also: s.Also, Not: s.Not}
	w.mu.Lock()
	before, since, first := w.spots, w.since, !w.looked
	w.mu.Unlock()
	list, err := cfg.Interfaces()
	if err != nil {
		return false, err
	}
	var spots []spot
	seen, now := map[string]time.Time{}, time.Now()
	for _, ifi := range list {
		s := spot{Interface: ifi}
		if ifi.Used && ifi.Running {
			key := keyOf(ifi)
			if seen[key] = now; !since[key].IsZero() {
				seen[key] = since[key]
			}
			if s.place = w.placeOf(ifi, now.Sub(seen[key]), first); s.place == "" {
				again = true
			}
		} else if i := slices.IndexFunc(before, func(b spot) bool { return b.Name == ifi.Name }); ifi.Used && i >= 0 {
			s.place = before[i].place // an unplugged cable keeps what it led to
		}
		spots = append(spots, s)
	}
	return again, w.settle(ctx, spots, seen)
}

// placeOf names the network behind an interface that has looked like this for some time; empty if it is too early.
func (w *Whereabouts) placeOf(ifi mdns.Interface, age time.Duration, first bool) string {
	name, sure := place.Name(ifi.Index, ifi.Name, ifi.Prefixes)
	w.mu.Lock()
	_, known := w.known(name)
	w.mu.Unlock()
	wait := graceRange
	switch {
	case !sure:
		wait = graceGateway
	case known || first || strings.HasPrefix(name, "gateway "):
		wait = 0
	case strings.HasPrefix(name, "wire "):
		wait = graceWire
	}
	if age < wait {
		return ""
	}
	return name
}

// keyOf changes whenever an interface leads to other ranges.
func keyOf(ifi mdns.Interface) string {
	var all []string
	for _, p := range ifi.Prefixes {
		all = append(all, p.Masked().String())
	}
	slices.Sort(all)
	return fmt.Sprint(ifi.Name, slices.Compact(all))
}
