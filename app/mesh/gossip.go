package mesh

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"porchlight/discovery"
	"porchlight/transfer"
	"porchlight/transfer/wire"
)

// Hints are the neighbours of a workgroup that a device is in, too (server.Neighbours).
func (m *Mesh) Hints(dev discovery.DeviceID) []wire.PeerHint {
	p, err := m.cfg.Roster.Get(dev)
	if err != nil {
		return nil
	}
	var out []wire.PeerHint
	for _, q := range m.cfg.Roster.Snapshot() {
		if q.State != discovery.Online || q.ID == dev || !m.cfg.Sight.Together(p, q) {
			continue
		}
		n := m.Neighbour(q.ID)
		h := wire.PeerHint{ID: q.ID[:], Direct: n != nil && n.Peer.Direct(), Age: uint32(max(0, time.Since(q.LastSeen)/time.Second))}
		for _, a := range q.Addresses {
			if !a.Addr().IsLinkLocalUnicast() && !a.Addr().IsLoopback() && len(h.Addrs) < wire.MaxPeerAddrs {
				h.Addrs = append(h.Addrs, a.String())
			}
		}
		if len(h.Addrs) > 0 && len(out) < wire.MaxPeers {
			out = append(out, h)
		}
	}
	return out
}

// hail asks a neighbour for those it knows, in the background, once at a time however often it says that it knows more.
func (m *Mesh) hail(n *Neighbour) {
	if !n.asking.CompareAndSwap(false, true) {
		return
	}
	if !m.spawn(func(ctx context.Context) {
		defer n.asking.Store(false)
		m.gossip(ctx, n)
	}) {
		n.asking.Store(false)
	}
}

// gossip asks a neighbour for those it knows. What it says is only a hint where to dial.
func (m *Mesh) gossip(ctx context.Context, n *Neighbour) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	hints, err := n.Client.Hints(ctx)
	if err != nil {
		if !errors.Is(err, transfer.ErrAway) {
			m.cfg.Log.Debug("no gossip", "peer", n.ID.Short(), "err", err)
		}
		return
	}
	for _, h := range hints {
		s := discovery.Sighting{ID: discovery.DeviceID(h.ID), Source: discovery.FromGossip, At: time.Now()}
		for _, text := range h.Addrs {
			if a, err := netip.ParseAddrPort(text); err == nil {
				s.Addresses = append(s.Addresses, a)
			}
		}
		m.Sighted(s)
	}
}
