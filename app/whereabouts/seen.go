package whereabouts

import (
	"net"
	"net/netip"
	"slices"

	"porchlight/discovery"
)

// main is the spot whose network is shown: a new one, else one this computer is seen on, else any. The caller holds mu.
func (w *Whereabouts) main() (spot, bool) {
	for _, fits := range []func(spot) bool{
		func(s spot) bool { return s.kind == discovery.Unsaid },
		spot.open,
		func(spot) bool { return true },
	} {
		if i := slices.IndexFunc(w.spots, func(s spot) bool { return s.Used && s.place != "" && fits(s) }); i >= 0 {
			return w.spots[i], true
		}
	}
	return spot{}, false
}

// Describe completes s with where this computer is.
func (w *Whereabouts) Describe(s *discovery.Self) {
	w.mu.Lock()
	defer w.mu.Unlock()
	said := w.cfg.Owner.Settings()
	s.Network = said.Network
	if m, ok := w.main(); ok && (m.kind != discovery.Unsaid || said.FirstRunDone) {
		s.Network, s.Ask = m.kind, m.kind == discovery.Unsaid
	}
	for _, x := range w.spots {
		i := discovery.Interface{Name: x.Name, Used: x.Used, Chosen: x.Used != x.Rule, Network: x.kind}
		for _, p := range x.Prefixes {
			i.Addresses = append(i.Addresses, p.Addr())
		}
		s.Interfaces = append(s.Interfaces, i)
	}
}

// Trusted reports whether this device may be on a network at all where it is now.
func (w *Whereabouts) Trusted() bool {
	s := w.cfg.Owner.Settings()
	switch {
	case w.cfg.AskFirst && !s.FirstRunDone:
		return false
	case w.cfg.Loopback:
		return s.Network != discovery.Public
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	closed := !w.looked
	for _, x := range w.spots {
		if x.open() {
			return true
		}
		closed = closed || x.Used && (x.Running || x.place != "")
	}
	return !closed && s.Network != discovery.Public // nowhere: whatever comes is looked at first
}

// Fits reports whether this device may be seen behind an interface (mdns.Config.Fit). One whose addresses are all new since
// the last look leads to another network, perhaps.
func (w *Whereabouts) Fits(name string, prefixes []netip.Prefix) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.spots, func(s spot) bool {
		return s.Name == name && s.open() && (slices.Equal(prefixes, s.Prefixes) || slices.ContainsFunc(prefixes, func(p netip.Prefix) bool {
			return !p.Addr().IsLinkLocalUnicast() && slices.Contains(s.Prefixes, p)
		}))
	})
}

// Guard returns a listener that answers nobody who comes by a network on which this device is not to be seen.
func (w *Whereabouts) Guard(in net.Listener) net.Listener { return guard{in, w} }

type guard struct {
	net.Listener
	w *Whereabouts
}

func (g guard) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		a, ok := c.LocalAddr().(*net.TCPAddr)
		if !ok || !g.w.hidden(a.AddrPort().Addr().Unmap().WithZone("")) {
			return c, nil
		}
		c.Close() //nolint:errcheck // nobody to tell
	}
}

// hidden reports whether an address of this computer lies on a network on which it is not to be seen, or belongs to an
// interface its owner does not want used. Those the rule leaves out (tunnels to a second home) are open to whoever was told.
func (w *Whereabouts) hidden(a netip.Addr) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	hidden := false
	for _, s := range w.spots {
		if slices.ContainsFunc(s.Prefixes, func(p netip.Prefix) bool { return p.Addr() == a }) {
			if s.open() || !s.Used && !s.Rule {
				return false
			}
			hidden = true
		}
	}
	return hidden
}
