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
	"porchlight/discovery/workgroup"
	"porchlight/share"
	"porchlight/share/access"
	"porchlight/share/catalogue"
	"porchlight/share/safefs"
	"porchlight/transfer"
	"porchlight/transfer/server"
	"porchlight/transfer/wire"
)

// rights decides what a device may see, each time anew (server.Shares, server.Circle). Everything a neighbour asks for passes here.
type rights struct{ e *Engine }

var (
	_ server.Shares = rights{}
	_ server.Circle = rights{}
)

// memberships is who belongs to the private workgroups of this device, now. *membership.Membership is one.
type memberships interface {
	// Members names the workgroups in which a device and this one are active, and in step.
	Members(discovery.DeviceID) []access.Member
	// Common names those in which both are active, the other being there or not; of this device itself, those in which it is.
	Common(discovery.DeviceID) []workgroup.ID
}

// noMemberships is a device without private workgroups.
type noMemberships struct{}

func (noMemberships) Members(discovery.DeviceID) []access.Member { return nil }
func (noMemberships) Common(discovery.DeviceID) []workgroup.ID   { return nil }

// groups is who belongs to the private workgroups of this device.
func (e *Engine) groups() memberships {
	if e.members == nil {
		return noMemberships{}
	}
	return e.members
}

// subject is a device as it is at this moment.
func (e *Engine) subject(dev discovery.DeviceID) access.Subject {
	return access.Subject{Device: dev, Blocked: e.blocks.has(dev), Members: e.groups().Members(dev), Verified: e.verified.has(dev), Nearby: e.nearby()}
}

// nearby reports whether this device is in the open workgroup. It is on networks only that its owner is open to: whoever has connected
// is nearby then.
func (e *Engine) nearby() bool { return e.isOpen() }

// Offers returns the shares that are there for a device.
func (r rights) Offers(dev discovery.DeviceID) []share.Offer {
	who := r.e.subject(dev)
	return r.e.catalogue.Offers(func(s share.Share) bool { return mayLook(who, s, time.Now()) })
}

// Tree returns the folder of a share. One that a device may not see is not there, in the same words.
func (r rights) Tree(dev discovery.DeviceID, id share.ID) (*safefs.Tree, error) {
	if _, err := r.look(dev, id); err != nil {
		return nil, err
	}
	t, err := r.e.catalogue.Tree(id)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", transfer.ErrGone, err)
	}
	return t, nil
}

// look returns the grant by which a device may look at a share. It does the same for a share that is not there: nobody learns by the
// time an answer takes which it is.
func (r rights) look(dev discovery.DeviceID, id share.ID) (share.Grant, error) {
	who := r.e.subject(dev)
	s, err := r.e.catalogue.Get(id)
	if err != nil {
		s = share.Share{ID: id, Kind: share.Folder, Audience: []share.Grant{{Who: share.ToNobody}}}
	}
	g, ok := mayLookBy(who, s, time.Now())
	if err != nil || !ok {
		return share.Grant{}, fmt.Errorf("%w: %w", transfer.ErrGone, catalogue.ErrUnknown)
	}
	return g, nil
}

// sees reports whether a device may look at a share now.
func (r rights) sees(dev discovery.DeviceID, s share.Share) bool {
	return mayLook(r.e.subject(dev), s, time.Now())
}

// mayLook reports whether somebody may look at a share, all of it and unasked.
func mayLook(who access.Subject, s share.Share, now time.Time) bool {
	_, ok := mayLookBy(who, s, now)
	return ok
}

// mayLookBy is mayLook with the grant that says so.
func mayLookBy(who access.Subject, s share.Share, now time.Time) (share.Grant, bool) {
	d := access.Policy{Kind: s.Kind, Audience: s.Audience}.Allows(who, access.Look, access.Answer{}, now)
	if s.Lost || !d.Allowed || d.Own {
		return share.Grant{}, false
	}
	if len(s.Audience) == 0 {
		return access.Open()[d.Row], true
	}
	return s.Audience[d.Row], true
}

// Ground is what the right of a device to look at a share rests on; false if it has none.
func (r rights) Ground(dev discovery.DeviceID, id share.ID) (server.Ground, bool) {
	g, err := r.look(dev, id)
	if err != nil {
		return server.Ground{}, false
	}
	by := server.Ground{Group: g.Workgroup}
	if g.Who == share.ToEveryone {
		by.Policy = wire.PolicyMembers
	}
	return by, true
}

// Member reports whether a device and this one are active members of a private workgroup, and in step.
func (r rights) Member(group [32]byte, dev discovery.DeviceID) bool {
	return slices.ContainsFunc(r.e.groups().Members(dev), func(m access.Member) bool { return m.Workgroup == group })
}

// Belongs reports whether both are active members, the other being there or not.
func (r rights) Belongs(group [32]byte, dev discovery.DeviceID) bool {
	return slices.Contains(r.e.groups().Common(dev), workgroup.ID(group))
}

// Met is when this device was in touch with another last.
func (r rights) Met(dev discovery.DeviceID) time.Time {
	p, err := r.e.roster.Get(dev)
	switch {
	case err != nil:
		return time.Time{}
	case p.State == discovery.Online || p.State == discovery.Suspect:
		return time.Now()
	}
	return p.LastSeen
}

// newAudience is for whom a new share is that nobody said it for.
func (e *Engine) newAudience(kind share.Kind) []share.Grant {
	return access.DefaultIn(kind, e.nearby(), e.mine())
}

// mine names the private workgroups this device is active in.
func (e *Engine) mine() (out [][32]byte) {
	for _, id := range e.groups().Common(e.selfID()) {
		out = append(out, id)
	}
	return out
}

// left notes which shares have rows for a workgroup that this device is not in any more: they are about nobody. What is for the open
// workgroup is never for more than was said.
func (e *Engine) left(all []share.Share) []share.Share {
	mine := e.mine()
	for i, s := range all {
		all[i].Left = slices.ContainsFunc(s.Audience, func(g share.Grant) bool {
			return g.Workgroup != [32]byte{} && !slices.Contains(mine, g.Workgroup)
		})
	}
	return all
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
