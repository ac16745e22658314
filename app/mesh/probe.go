package mesh

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"

	"porchlight/app/membership"
	"porchlight/discovery"
	"porchlight/discovery/identity"
	"porchlight/discovery/presence"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// Sighted follows one hint.
func (m *Mesh) Sighted(s discovery.Sighting) {
	if m.cfg.Learned.announced(s) {
		m.cfg.OnChange()
	}
	if m.cfg.Learned.hear(s) {
		if !m.cfg.Sight.Open() {
			return // whoever announces it would learn that this device is here
		}
		if t, dial := m.cfg.Roster.Knock(s); dial { // a copy of this device, or this one itself
			m.dial(t, s)
		}
		return
	}
	s.Stranger = !s.Gone && !m.cfg.Sight.LooksFor(s)
	t, dial := m.cfg.Roster.See(s)
	if t.Known && s.Source == discovery.FromMDNS {
		m.cfg.Learned.heardFrom(t.ID)
	}
	if !dial || s.Newer { // it would not understand
		return
	}
	if !t.Known {
		m.dial(t, s)
		return
	}
	n := m.Start(t.ID)
	if n == nil && !s.Stranger { // it hid, and does not any more
		n = m.begin(t.ID)
	}
	if n != nil {
		n.hinted()
	}
}

// tried notes how dialling an address ended, for the roster to know where to look and where not to.
func (m *Mesh) tried(want *discovery.DeviceID, a netip.AddrPort, err error) {
	var who discovery.DeviceID
	if want != nil {
		who = *want
	}
	if err == nil {
		m.cfg.Roster.Reached(a, who)
		return
	}
	if m.cfg.Learned.failed(a, who, err) {
		m.cfg.OnChange()
	}
	var slow net.Error
	switch {
	case NoRoute(err): // the fault of this computer's own network
	case errors.Is(err, identity.ErrOtherDevice):
		m.cfg.Roster.Failed(a, who, presence.Another)
	case Unreachable(err), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		m.cfg.Roster.Failed(a, who, presence.Silent)
	default:
		m.cfg.Roster.Failed(a, who, presence.Refused)
	}
}

// dial probes an unproven target in the background, when its turn comes.
func (m *Mesh) dial(t presence.Target, s discovery.Sighting) {
	door := t.Addresses[0].Addr()
	if s.From.IsValid() {
		door = s.From
	}
	if !m.queue(door) {
		return
	}
	if !m.spawn(func(ctx context.Context) {
		defer m.unqueue(door)
		if m.pace.Wait(ctx) != nil {
			return
		}
		select {
		case m.probes <- struct{}{}:
			defer func() { <-m.probes }()
		case <-ctx.Done():
			return
		}
		ctx, cancel := context.WithTimeout(ctx, probeTime)
		defer cancel()
		id, err := m.probe(ctx, t, s.Source == discovery.FromManual)
		if err != nil {
			m.cfg.Log.Debug("not met", "addresses", t.Addresses, "err", err)
		} else if s.Instance != "" && m.cfg.Sight.Friend(id) {
			m.cfg.Roster.Met(s.Instance, id)
		}
	}) {
		m.unqueue(door)
	}
}

// queue reports whether another target may wait to be dialled. This computer itself may be many devices.
func (m *Mesh) queue(door netip.Addr) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waiting >= maxWaiting || m.doors[door] >= maxDoor && !door.IsLoopback() {
		return false
	}
	m.waiting++
	m.doors[door]++
	return true
}

func (m *Mesh) unqueue(door netip.Addr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting--
	if m.doors[door]--; m.doors[door] <= 0 {
		delete(m.doors, door)
	}
}

// probe dials an unproven target and makes it a neighbour if somebody answers.
func (m *Mesh) probe(ctx context.Context, t presence.Target, manual bool) (discovery.DeviceID, error) {
	var want *discovery.DeviceID
	if !t.ID.IsZero() {
		want = &t.ID
	}
	var errs []error
	for _, a := range t.Addresses {
		g, err := m.cfg.Dialer.Dial(ctx, want, a)
		if err != nil {
			if m.cfg.Learned.failed(a, t.ID, err) {
				m.cfg.OnChange()
			}
			errs = append(errs, err)
			continue
		}
		id := g.Conn.Session.ID
		g.Conn.Close()
		if id == m.cfg.Self {
			m.own(g.Answer)
			return id, ErrSelf
		}
		if !m.prove(g.Conn.Session, g.Answer, a, true, manual) {
			m.cfg.Groups.Greeted(membership.SessionOf(g.Conn.Session), g.Answer.Proven(), g.Answer.Notices(), nil) // it may say that this device was removed
			return id, ErrStranger
		}
		if n := m.begin(id); n != nil {
			n.setBlocked(!g.Answer.DialBack)
		}
		return id, nil
	}
	return discovery.DeviceID{}, errors.Join(errs...)
}

// own notes that this device's identity answered or called: perhaps from another computer.
func (m *Mesh) own(h wire.Hello) {
	if m.cfg.Learned.own(h) {
		m.cfg.OnTwin()
	}
}

// prove notes who said hello. It reports whether that device may be a neighbour; of one that may not, nothing is kept.
func (m *Mesh) prove(s *link.Session, h wire.Hello, a netip.AddrPort, reached, manual bool) bool {
	id := s.ID
	m.cfg.Learned.understood(a, id)
	if n := m.Neighbour(id); n != nil {
		defer n.latest(s, &h)()
	}
	if !m.cfg.Sight.Welcome(s, h) && (m.hasPassed(id) || !m.cfg.Sight.Guest(s, h)) {
		m.cfg.Roster.Renamed(id, "", h.Workgroup)
		return false
	}
	m.cfg.Learned.Meet(id, h)
	if h.Name == "" {
		h.Name = m.cfg.Sight.Called(id)
	}
	fresh := m.cfg.Roster.Prove(presence.Proof{ID: id, Name: h.Name, Workgroup: h.Workgroup, Install: h.Install, Version: h.App,
		Caps: h.Caps, Address: a, Reached: reached, Manual: manual})
	if fresh {
		m.cfg.Log.Info("met", "peer", id.Short(), "name", h.Name)
		m.tellNews(true)
	}
	return true
}

// Greeted is told of every hello this device hears (server.Neighbours).
func (m *Mesh) Greeted(s *link.Session, h wire.Hello) bool {
	if s.ID == m.cfg.Self {
		m.own(h)
		return true
	}
	var at netip.AddrPort
	if h.Port != 0 && !s.Reversed {
		at = netip.AddrPortFrom(s.Remote.Addr(), h.Port)
	}
	if !m.prove(s, h, at, false, false) {
		return true
	}
	n := m.begin(s.ID)
	if n == nil {
		return true
	}
	if !n.Up() {
		n.Try()
	} else if !s.Reversed {
		n.moved(s.Remote.Addr())
	}
	return n.reachable()
}

// Lent takes a connection another device lends (server.Neighbours); who lends has said who it is on another one before.
func (m *Mesh) Lent(c *link.Conn) {
	var n *Neighbour
	if _, err := m.cfg.Roster.Get(c.Session.ID); err == nil {
		n = m.Start(c.Session.ID)
	}
	if n == nil || !m.spawn(func(ctx context.Context) {
		n.Peer.Offer(ctx, c)
		if !n.Up() {
			n.Try()
		}
	}) {
		c.Close()
	}
}
