package mesh

import (
	"context"
	"errors"
	"net/netip"

	"porchlight/app/membership"
	"porchlight/discovery"
	"porchlight/discovery/presence"
	"porchlight/transfer"
	"porchlight/transfer/client"
	"porchlight/transfer/link"
)

// Add connects to whoever answers at one of the addresses, and remembers it. transfer.ErrAway if nobody does.
func (m *Mesh) Add(ctx context.Context, addrs []netip.AddrPort) error {
	id, err := m.probe(ctx, presence.Target{Addresses: addrs}, true)
	if err != nil {
		return err
	}
	if n := m.Neighbour(id); n != nil {
		n.Try()
	}
	return nil
}

// Meet connects anew to a device, or to whoever has an address.
func (m *Mesh) Meet(ctx context.Context, id discovery.DeviceID, at netip.AddrPort) (membership.Meeting, membership.Session, error) {
	var want *discovery.DeviceID
	var addrs []netip.AddrPort
	if at.IsValid() {
		addrs = append(addrs, at)
	}
	if !id.IsZero() {
		want, addrs = &id, append(addrs, m.cfg.Roster.Dialable(id)...)
	}
	errs := []error{transfer.ErrAway}
	for _, a := range addrs {
		g, err := m.cfg.Dialer.Dial(ctx, want, a)
		if err == nil {
			return client.Meet(context.WithoutCancel(ctx), g), membership.SessionOf(g.Conn.Session), nil
		}
		errs = append(errs, err)
	}
	if n := m.Neighbour(id); n != nil { // it cannot be dialled, and lends connections
		c, err := n.Peer.Connect(ctx)
		if err == nil {
			return client.Meet(context.WithoutCancel(ctx), link.Greeting{Conn: c}), membership.SessionOf(c.Session), nil
		}
		errs = append(errs, err)
	}
	return nil, membership.Session{}, errors.Join(errs...)
}

// Renew makes the connections to a device anew.
func (m *Mesh) Renew(id discovery.DeviceID) {
	if n := m.Neighbour(id); n != nil {
		n.drop()
	}
}

// Keep makes a neighbour of a device that was met at an address.
func (m *Mesh) Keep(id discovery.DeviceID, at netip.AddrPort) {
	m.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, probeTime)
		defer cancel()
		if _, err := m.probe(ctx, presence.Target{ID: id, Addresses: []netip.AddrPort{at}}, false); err != nil {
			m.cfg.Log.Debug("not kept", "peer", id.Short(), "err", err)
		}
	})
}
