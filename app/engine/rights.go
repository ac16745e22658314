package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"porchlight/app/store"
	"porchlight/discovery"
	"porchlight/discovery/presence"
	"porchlight/share"
	"porchlight/share/access"
	"porchlight/share/catalogue"
	"porchlight/share/safefs"
	"porchlight/transfer"
)

// rights decides what a device may see, each time anew (server.Shares). Everything a neighbour asks for passes here.
type rights struct{ e *Engine }

// Offers returns the shares that are there for a device.
func (r rights) Offers(dev discovery.DeviceID) []share.Offer {
	return r.e.catalogue.Offers(func(s share.Share) bool { return r.sees(dev, s) })
}

// Tree returns the folder of a share. One that a device may not see is not there, in the same words.
func (r rights) Tree(dev discovery.DeviceID, id share.ID) (*safefs.Tree, error) {
	s, err := r.e.catalogue.Get(id)
	if err == nil && !r.sees(dev, s) {
		err = catalogue.ErrUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", transfer.ErrGone, err)
	}
	t, err := r.e.catalogue.Tree(id)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", transfer.ErrGone, err)
	}
	return t, nil
}

// sees reports whether a device may look at a share now.
func (r rights) sees(dev discovery.DeviceID, s share.Share) bool {
	return mayLook(access.Subject{Device: dev, Blocked: r.e.blocks.has(dev), Nearby: true}, s, time.Now())
}

// mayLook reports whether somebody may look at a share, all of it and unasked. This device is on networks only that its owner is
// open to: whoever has connected is nearby.
func mayLook(who access.Subject, s share.Share, now time.Time) bool {
	if s.Lost {
		return false
	}
	d := access.Policy{Kind: s.Kind, Audience: s.Audience}.Allows(who, access.Look, access.Answer{}, now)
	return d.Allowed && !d.Own
}

// blocks are the devices that this one has nothing to do with. Safe for concurrent use.
type blocks struct {
	change sync.Mutex // makes one change at a time, the store included

	mu sync.RWMutex // guards the field below
	of map[discovery.DeviceID]store.Block
}

func (b *blocks) has(id discovery.DeviceID) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	_, ok := b.of[id]
	return ok
}

func (b *blocks) set(x store.Block, is bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if is {
		b.of[x.Device] = x
	} else {
		delete(b.of, x.Device)
	}
}

// load reads them from the store.
func (b *blocks) load(kept store.Blocks) error {
	all, err := kept.Blocks()
	if err != nil {
		return err
	}
	b.of = map[discovery.DeviceID]store.Block{}
	for _, x := range all {
		b.of[x.Device] = x
	}
	return nil
}

// mark notes which peers are blocked, and adds those that are and are not on the list any more.
func (b *blocks) mark(peers []discovery.Peer) []discovery.Peer {
	b.mu.RLock()
	defer b.mu.RUnlock()
	known := map[discovery.DeviceID]bool{}
	for i, p := range peers {
		_, peers[i].Blocked = b.of[p.ID]
		known[p.ID] = true
	}
	var gone []discovery.Peer
	for id, x := range b.of {
		if !known[id] {
			gone = append(gone, discovery.Peer{ID: id, Name: x.Name, FirstName: x.Name, State: discovery.Offline, Blocked: true})
		}
	}
	slices.SortFunc(gone, func(x, y discovery.Peer) int {
		return cmp.Or(cmp.Compare(x.Name, y.Name), slices.Compare(x.ID[:], y.ID[:]))
	})
	return append(peers, gone...)
}

// AllowShare says anew for whom a share is: to is its whole list, and not empty. Who may not look any more is cut off at once. It
// returns catalogue.ErrUnknown for a share that is not there, and share.ErrGrant for a list that cannot be kept.
func (e *Engine) AllowShare(_ context.Context, id share.ID, to []share.Grant) error {
	was, err := e.catalogue.Get(id)
	if err != nil {
		return err
	}
	if err := e.catalogue.Allow(id, to); err != nil {
		return err
	}
	now, err := e.catalogue.Get(id)
	if err != nil {
		return nil //nolint:nilerr // removed meanwhile
	}
	r := rights{e}
	e.cut(func(dev discovery.DeviceID) bool { return r.sees(dev, was) && !r.sees(dev, now) })
	return nil
}

// cut ends everything that devices are doing here, and their looks at folders that are not theirs to see any more.
func (e *Engine) cut(which func(discovery.DeviceID) bool) {
	e.mu.Lock()
	n := e.net
	e.mu.Unlock()
	if n == nil {
		return
	}
	n.listener.Cut(which)
	n.server.Recheck()
}

// Block has this computer have nothing to do with a device: it sees no share, whoever that is for, and nothing of it is asked.
// presence.ErrUnknown if it is not known.
func (e *Engine) Block(_ context.Context, id discovery.DeviceID) error {
	e.blocks.change.Lock()
	defer e.blocks.change.Unlock()
	if e.blocks.has(id) {
		return nil
	}
	p, err := e.roster.Get(id)
	if err != nil {
		return err
	}
	if id == e.selfID() || id.IsZero() {
		return presence.ErrUnknown
	}
	x := store.Block{Device: id, Name: cmp.Or(p.Name, p.FirstName), Since: time.Now().UTC()}
	if err := e.db.Blocks().PutBlock(x); err != nil {
		return err
	}
	e.blocks.set(x, true)
	if m, err := e.mesh(); err == nil {
		m.letGo(id)
	}
	e.cut(func(dev discovery.DeviceID) bool { return dev == id })
	e.changes.bump()
	return nil
}

// Unblock takes a block back; it is no error if there is none. What is for everyone is for the device again.
func (e *Engine) Unblock(_ context.Context, id discovery.DeviceID) error {
	e.blocks.change.Lock()
	defer e.blocks.change.Unlock()
	if !e.blocks.has(id) {
		return nil
	}
	if err := e.db.Blocks().DeleteBlock(id); err != nil {
		return err
	}
	e.blocks.set(store.Block{Device: id}, false)
	if m, err := e.mesh(); err == nil {
		if _, err := e.roster.Get(id); err == nil {
			if n := m.start(id); n != nil {
				n.try()
			}
		}
	}
	e.changes.bump()
	return nil
}

// letGo ends the connections to a device.
func (m *mesh) letGo(id discovery.DeviceID) {
	m.mu.Lock()
	n := m.list[id]
	delete(m.list, id)
	m.mu.Unlock()
	if n != nil {
		n.peer.Drop()
		n.quit()
	}
}
