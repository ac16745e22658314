package engine

import (
	"context"
	"net/netip"
	"slices"
	"time"
)

const (
	movedTime  = time.Second     // within which a neighbour's old address answers if it still has it
	movedEvery = 3 * time.Second // between two looks at one neighbour
)

// moved is told that a neighbour connected from an address. If the connections this device made to it lead elsewhere it may
// have left that place, which they would only notice after wire.OfflineAfter of silence: so the old address is dialled,
// and if nobody answers there all connections are made anew. A computer with two addresses answers at both.
func (n *neighbour) moved(from netip.Addr) {
	old := n.peer.Dialled()
	if up, _ := n.isUp(); !up || len(old) == 0 || slices.ContainsFunc(old, func(a addrPort) bool { return a.Addr().WithZone("") == from.WithZone("") }) {
		return
	}
	n.mu.Lock()
	looks := n.looking
	n.looking = true
	wait := movedEvery - time.Since(n.looked)
	n.mu.Unlock()
	if looks {
		return
	}
	if !n.m.spawn(func(ctx context.Context) {
		select { // it may have two addresses and have said so a moment ago, and lose one of them now
		case <-time.After(wait):
		case <-ctx.Done():
		}
		n.mu.Lock()
		n.looked, n.looking = time.Now(), false
		n.mu.Unlock()
		ctx, cancel := context.WithTimeout(ctx, movedTime)
		defer cancel()
		old := n.peer.Dialled()
		if len(old) == 0 {
			return // connected anew meanwhile, or about to be
		}
		for _, a := range old {
			if g, err := n.m.dialer.Dial(ctx, &n.id, a); err == nil {
				g.Conn.Close()
				return
			}
		}
		n.m.log.Info("a neighbour has another address; connecting anew", "peer", n.id.Short(), "from", from)
		n.drop()
	}) {
		n.mu.Lock()
		n.looking = false
		n.mu.Unlock()
	}
}
