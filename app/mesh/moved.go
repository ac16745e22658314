package mesh

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	movedTime  = time.Second     // within which a neighbour's old address answers if it still has it
	movedEvery = 3 * time.Second // between two looks at one neighbour
)

// moved is told that a neighbour connected from an address. It may have left the other places that connections of this
// device lead to, which those would only notice after wire.OfflineAfter of silence, or wire.StallTime: so these places are
// dialled, and what leads to where nobody answers is made anew. A computer with two addresses answers at both.
func (n *Neighbour) moved(from netip.Addr) {
	if !n.Up() || len(n.elsewhere(from)) == 0 {
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
		n.leave(ctx, from)
	}) {
		n.mu.Lock()
		n.looking = false
		n.mu.Unlock()
	}
}

// elsewhere lists the addresses that connections of this device lead to, but for one.
func (n *Neighbour) elsewhere(from netip.Addr) []netip.AddrPort {
	return slices.DeleteFunc(n.Peer.Dialled(), func(a netip.AddrPort) bool { return a.Addr().WithZone("") == from.WithZone("") })
}

// leave closes the connections to those of the other addresses where nobody answers until ctx ends.
func (n *Neighbour) leave(ctx context.Context, from netip.Addr) {
	var wg sync.WaitGroup
	for _, a := range n.elsewhere(from) {
		wg.Go(func() {
			if g, err := n.m.cfg.Dialer.Dial(ctx, &n.ID, a); err == nil {
				g.Conn.Close()
				return
			}
			n.m.cfg.Log.Info("a neighbour is no longer at an address; connecting anew", "peer", n.ID.Short(), "from", from, "gone", a)
			n.Peer.DropAt(a)
			n.Try()
		})
	}
	wg.Wait()
}
