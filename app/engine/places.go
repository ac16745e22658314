package engine

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"porchlight/app/config"
	"porchlight/discovery"
	"porchlight/discovery/mdns"
	location "porchlight/discovery/place"
)

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

// places is where this computer is. Guarded by Engine.mu.
type places struct {
	looked  bool // at least once
	fixed   bool // Config.Network was applied
	spots   []spot
	since   map[string]time.Time         // when a spot was first seen as it is
	assumed map[string]discovery.Network // networks nobody was there to ask about
	turn    int                          // counts the changes that need another start of the network
}

// watchPlaces looks where this computer is until ctx ends.
func (e *Engine) watchPlaces(ctx context.Context) error {
	if e.cfg.Loopback {
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
		again, err := e.look(ctx)
		if err != nil && ctx.Err() == nil {
			e.log.Warn("networks unknown", "err", err)
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
		case <-e.relook:
		}
	}
}

// look finds out where this computer is; again says that some network has no name yet.
func (e *Engine) look(ctx context.Context) (again bool, err error) {
	e.mu.Lock()
	cfg := mdns.Config{Also: e.settings.Also, Not: e.settings.Not}
	before, since, first := e.at.spots, e.at.since, !e.at.looked
	e.mu.Unlock()
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
			if s.place = e.placeOf(ifi, now.Sub(seen[key]), first); s.place == "" {
				again = true
			}
		} else if i := slices.IndexFunc(before, func(b spot) bool { return b.Name == ifi.Name }); ifi.Used && i >= 0 {
			s.place = before[i].place // an unplugged cable keeps what it led to
		}
		spots = append(spots, s)
	}
	return again, e.settle(ctx, spots, seen)
}

// placeOf names the network behind an interface that has looked like this for some time; empty if it is too early.
func (e *Engine) placeOf(ifi mdns.Interface, age time.Duration, first bool) string {
	name, sure := location.Name(ifi.Index, ifi.Name, ifi.Prefixes)
	e.mu.Lock()
	_, known := e.known(name)
	e.mu.Unlock()
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

// known says what the owner decided about a network, or what was assumed for want of somebody to ask. The caller holds mu.
func (e *Engine) known(name string) (discovery.Network, bool) {
	if k, ok := e.settings.Networks[name]; ok {
		return k.Network, true
	}
	kind, ok := e.at.assumed[name]
	return kind, ok
}

// settle decides what the networks count as, and has everything follow.
func (e *Engine) settle(ctx context.Context, spots []spot, seen map[string]time.Time) error {
	var err error
	e.mu.Lock()
	if names := placesOf(spots, nil); len(names) > 0 {
		kind := discovery.Unsaid
		if e.settings.FirstRunDone && e.settings.Networks == nil {
			kind = e.settings.Network // of a home that is older than the memory for networks, or met none in its first run
		}
		if e.cfg.Network != "" && !e.at.fixed {
			kind, e.at.fixed = e.cfg.Network, true
		}
		if kind != discovery.Unsaid {
			e.mu.Unlock()
			err = e.know(ctx, names, kind)
			e.mu.Lock()
		}
	}
	ask := e.cfg.AskFirst || len(e.windows) > 0
	for i, s := range spots {
		if s.place == "" {
			continue
		}
		kind, ok := e.known(s.place)
		if !ok && !ask {
			kind = e.settings.Network
			e.at.assumed[s.place] = kind
			e.log.Info("a new network", "interface", s.Name, "counts as", kind)
		}
		spots[i].kind = kind
	}
	same := slices.EqualFunc(e.at.spots, spots, sameSpot)
	same = same && e.at.looked
	e.at.spots, e.at.since, e.at.looked = spots, seen, true
	n := e.net
	e.mu.Unlock()
	if same {
		return err
	}
	e.againNetwork()
	if n != nil {
		n.mdns.Look()
	}
	e.changes.bump()
	return err
}

func sameSpot(a, b spot) bool {
	return a.place == b.place && a.kind == b.kind && a.Name == b.Name && a.Used == b.Used && a.Rule == b.Rule && a.Running == b.Running &&
		slices.Equal(a.Prefixes, b.Prefixes)
}

// placesOf lists the networks of the spots that match; all if match is nil.
func placesOf(spots []spot, match func(spot) bool) (out []string) {
	for _, s := range spots {
		if s.place != "" && (match == nil || match(s)) && !slices.Contains(out, s.place) {
			out = append(out, s.place)
		}
	}
	return out
}

// know keeps what was decided about networks.
func (e *Engine) know(ctx context.Context, names []string, kind discovery.Network) error {
	return e.change(ctx, func(s *config.Settings) {
		if len(names) == 0 { // on no network: what the next one counts as
			s.Network = kind
		}
		for _, name := range names {
			s.Know(name, kind, time.Now().UTC().Truncate(time.Second))
		}
	})
}

// SetNetwork says whom the network belongs to: the new ones if there are any; otherwise the one this computer is seen on, and
// for Public all it is on. On a public one this device neither announces itself nor answers.
func (e *Engine) SetNetwork(ctx context.Context, kind discovery.Network) error {
	if !kind.Valid() {
		return fmt.Errorf("network %q is none of home, office and public", kind)
	}
	e.mu.Lock()
	names := placesOf(e.at.spots, func(s spot) bool { return s.kind == discovery.Unsaid })
	if len(names) == 0 {
		names = placesOf(e.at.spots, nil)
	}
	if main, ok := e.main(); ok && kind != discovery.Public && main.kind != discovery.Unsaid {
		names = []string{main.place}
	}
	e.mu.Unlock()
	if err := e.know(ctx, names, kind); err != nil {
		return err
	}
	e.recount()
	return nil
}

// recount has everything follow what was decided about networks.
func (e *Engine) recount() {
	e.mu.Lock()
	spots := slices.Clone(e.at.spots)
	for i, s := range spots {
		if kind, ok := e.known(s.place); ok && s.place != "" {
			spots[i].kind = kind
		}
	}
	e.at.spots = spots
	n := e.net
	e.mu.Unlock()
	e.againNetwork()
	if n != nil {
		n.mdns.Look()
	}
	e.lookNow()
	e.changes.bump()
}

// SetInterface has neighbours looked for behind an interface, or not. It returns fs.ErrNotExist for one that is not there.
func (e *Engine) SetInterface(ctx context.Context, name string, use bool) error {
	list, err := mdns.Config{}.Interfaces()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(x mdns.Interface) bool { return x.Name == name })
	if i < 0 {
		return fmt.Errorf("interface %q: %w", name, fs.ErrNotExist)
	}
	err = e.change(ctx, func(s *config.Settings) {
		other := func(x string) bool { return x == name }
		s.Also, s.Not = slices.DeleteFunc(slices.Clone(s.Also), other), slices.DeleteFunc(slices.Clone(s.Not), other)
		switch {
		case use && !list[i].Rule:
			s.Also = append(s.Also, name)
		case !use && list[i].Rule:
			s.Not = append(s.Not, name)
		}
	})
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.at.turn++
	e.mu.Unlock()
	e.lookNow()
	e.againNetwork()
	return nil
}

// lookNow has watchPlaces look.
func (e *Engine) lookNow() {
	select {
	case e.relook <- struct{}{}:
	default:
	}
}

// main is the spot whose network is shown: a new one, else one this computer is seen on, else any. The caller holds mu.
func (e *Engine) main() (spot, bool) {
	for _, fits := range []func(spot) bool{
		func(s spot) bool { return s.kind == discovery.Unsaid },
		spot.open,
		func(spot) bool { return true },
	} {
		if i := slices.IndexFunc(e.at.spots, func(s spot) bool { return s.Used && s.place != "" && fits(s) }); i >= 0 {
			return e.at.spots[i], true
		}
	}
	return spot{}, false
}

// whereabouts completes s with where this computer is. The caller holds mu.
func (e *Engine) whereabouts(s *discovery.Self) {
	s.Network = e.settings.Network
	if m, ok := e.main(); ok && (m.kind != discovery.Unsaid || e.settings.FirstRunDone) {
		s.Network, s.Ask = m.kind, m.kind == discovery.Unsaid
	}
	for _, x := range e.at.spots {
		i := discovery.Interface{Name: x.Name, Used: x.Used, Chosen: x.Used != x.Rule, Network: x.kind}
		for _, p := range x.Prefixes {
			i.Addresses = append(i.Addresses, p.Addr())
		}
		s.Interfaces = append(s.Interfaces, i)
	}
}

// trustedPlace reports whether this device may be on a network at all where it is now. The caller holds mu.
func (e *Engine) trustedPlace() bool {
	if e.cfg.Loopback {
		return e.settings.Network != discovery.Public
	}
	closed := !e.at.looked
	for _, s := range e.at.spots {
		if s.open() {
			return true
		}
		closed = closed || s.Used && (s.Running || s.place != "")
	}
	return !closed && e.settings.Network != discovery.Public // nowhere: whatever comes is looked at first
}

// fits reports whether this device may be seen behind an interface (mdns.Config.Fit). One whose addresses are all new since
// the last look leads to another network, perhaps.
func (e *Engine) fits(name string, prefixes []netip.Prefix) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.at.spots, func(s spot) bool {
		return s.Name == name && s.open() && (slices.Equal(prefixes, s.Prefixes) || slices.ContainsFunc(prefixes, func(p netip.Prefix) bool {
			return !p.Addr().IsLinkLocalUnicast() && slices.Contains(s.Prefixes, p)
		}))
	})
}

// door is a listener that answers nobody who comes by a network on which this device is not to be seen.
type door struct {
	net.Listener
	e *Engine
}

func (d door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		a, ok := c.LocalAddr().(*net.TCPAddr)
		if !ok || !d.e.hidden(a.AddrPort().Addr().Unmap().WithZone("")) {
			return c, nil
		}
		c.Close() //nolint:errcheck // nobody to tell
	}
}

// hidden reports whether an address of this computer lies on a network on which it is not to be seen, or belongs to an
// interface its owner does not want used. Those the rule leaves out (tunnels to a second home) are open to whoever was told.
func (e *Engine) hidden(a netip.Addr) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	hidden := false
	for _, s := range e.at.spots {
		if slices.ContainsFunc(s.Prefixes, func(p netip.Prefix) bool { return p.Addr() == a }) {
			if s.open() || !s.Used && !s.Rule {
				return false
			}
			hidden = true
		}
	}
	return hidden
}

// Attend says that a window is open, until ctx ends. show is called when another start of the program wants it seen.
func (e *Engine) Attend(ctx context.Context, show func()) error {
	wants := make(chan struct{}, 1)
	e.mu.Lock()
	e.windows[wants] = true
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.windows, wants)
	}()
	for {
		select {
		case <-wants:
			show()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ShowWindow asks the windows that are open to be seen; false if there is none.
func (e *Engine) ShowWindow(context.Context) (bool, error) {
	e.mu.Lock()
	all := slices.Collect(maps.Keys(e.windows))
	e.mu.Unlock()
	for _, w := range all {
		select {
		case w <- struct{}{}:
		default: // it was asked already
		}
	}
	return len(all) > 0, nil
}
