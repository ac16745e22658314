package engine

import (
	"context"
	"errors"
	"net/netip"

	"porchlight/app/membership"
	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/presence"
	"porchlight/transfer"
	"porchlight/transfer/client"
	"porchlight/transfer/link"
)

// openGroups takes the private workgroups into use. What cannot be read of them is told in Self.Health.
func (e *Engine) openGroups() {
	m := membership.New(membership.Config{Self: e.ident, Store: e.db.Workgroups(), Network: meetings{e}, Name: e.ownName, Addresses: e.ownAddresses,
		OnChange: e.changes.bump, Announce: e.announceChanged, Refresh: e.askNetwork, Verified: e.proven, Doubted: e.doubted, Called: e.nameOf, Blocked: e.blocks.has, Log: e.log})
	e.private, e.Surface = m, m.Surface()
	e.members = m
	e.sight = visibility{circle: m, guest: m.Guest, slot: m.Slot}
	e.groupsHealth(m.Load())
}

func (e *Engine) groupsHealth(err error) {
	if err != nil {
		e.log.Error("private workgroups are missing", "err", err)
		e.setHealth("store-workgroups", err.Error())
	}
}

func (e *Engine) ownName() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.settings.Name
}

func (e *Engine) ownAddresses() []netip.AddrPort {
	e.mu.Lock()
	n := e.net
	e.mu.Unlock()
	if n == nil {
		return nil
	}
	return n.addresses()
}

func (e *Engine) askNetwork() {
	if m, err := e.mesh(); err == nil {
		m.refresh()
	}
}

func (e *Engine) nameOf(id discovery.DeviceID) string {
	if p, err := e.roster.Get(id); err == nil && p.Name != "" {
		return p.Name
	}
	return e.memberName(id)
}

// proven notes that people made sure whose key it is.
func (e *Engine) proven(id discovery.DeviceID, via ledger.Via) {
	switch via {
	case ledger.ViaCode:
		e.verify(id, "code")
	case ledger.ViaQR:
		e.verify(id, "qr")
	case ledger.ViaPictures:
		e.verify(id, "pictures")
	}
}

// meetings is the network as private workgroups need it (membership.Network).
type meetings struct{ e *Engine }

// Meet connects anew to a device, or to whoever has an address.
func (x meetings) Meet(ctx context.Context, id discovery.DeviceID, at netip.AddrPort) (membership.Meeting, membership.Session, error) {
	m, err := x.e.mesh()
	if err != nil {
		return nil, membership.Session{}, err
	}
	var want *discovery.DeviceID
	var addrs []netip.AddrPort
	if at.IsValid() {
		addrs = append(addrs, at)
	}
	if !id.IsZero() {
		want, addrs = &id, append(addrs, m.roster.Dialable(id)...)
	}
	errs := []error{transfer.ErrAway}
	for _, a := range addrs {
		g, err := m.dialer.Dial(ctx, want, a)
		if err == nil {
			return client.Meet(context.WithoutCancel(ctx), g), membership.SessionOf(g.Conn.Session), nil
		}
		errs = append(errs, err)
	}
	if n := m.get(id); n != nil { // it cannot be dialled, and lends connections
		c, err := n.peer.Connect(ctx)
		if err == nil {
			return client.Meet(context.WithoutCancel(ctx), link.Greeting{Conn: c}), membership.SessionOf(c.Session), nil
		}
		errs = append(errs, err)
	}
	return nil, membership.Session{}, errors.Join(errs...)
}

// Renew makes the connections to a device anew.
func (x meetings) Renew(id discovery.DeviceID) {
	if m, err := x.e.mesh(); err == nil {
		if n := m.get(id); n != nil {
			n.drop()
		}
	}
}

// Keep makes a neighbour of a device that was met at an address.
func (x meetings) Keep(id discovery.DeviceID, at netip.AddrPort) {
	m, err := x.e.mesh()
	if err != nil {
		return
	}
	m.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, probeTime)
		defer cancel()
		if _, err := m.probe(ctx, presence.Target{ID: id, Addresses: []netip.AddrPort{at}}, false); err != nil {
			m.log.Debug("not kept", "peer", id.Short(), "err", err)
		}
	})
}

// Cut ends what devices are doing here.
func (x meetings) Cut(which func(discovery.DeviceID) bool) { x.e.cut(which) }

// Inviters returns where invitations with this slot are announced.
func (x meetings) Inviters(slot int) []netip.AddrPort { return x.e.inviters(slot) }

// maxNameless is how many of those who do not say who they are may be asked.
const maxNameless = 24

// Around returns who may be here: the neighbours, then those who are announced and not known, with a name and without.
func (x meetings) Around() (out []membership.Spot) {
	var later []membership.Spot
	for _, p := range x.e.roster.Snapshot() {
		switch {
		case p.State == discovery.Online && !p.ID.IsZero():
			out = append(out, membership.Spot{Device: p.ID})
		case p.State != discovery.Offline && len(p.Addresses) > 0:
			later = append(later, membership.Spot{Device: p.ID, At: p.Addresses[0]})
		}
	}
	for _, a := range x.e.roster.Nameless(maxNameless) {
		later = append(later, membership.Spot{At: a})
	}
	return append(out, later...)
}

// answered takes what a device answered to a hello of this one.
func (n *neighbour) answered(g link.Greeting) {
	n.m.e.private.Greeted(membership.SessionOf(g.Conn.Session), g.Answer.Proven(), g.Answer.Notices(), n.client)
}
