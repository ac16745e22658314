package workgroup

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/keyring"
	"porchlight/discovery/ledger"
)

// group is one workgroup of the book.
type group struct {
	kept    Kept // with all entries; its Keys are those of the last time it was stored
	graph   *ledger.Graph
	ring    *keyring.Ring
	missing bool // the key in use is not in the ring
	contest bool // see Workgroup.Contest
	told    *claim
	synced  map[discovery.DeviceID]bool
	inboxes map[discovery.DeviceID]*ledger.Inbox
}

// claim is a removal of this device that an admin signed and whose parents are not here.
type claim struct {
	Removal
	author ledger.Key
}

// revive makes a group of what the store has.
func (b *Book) revive(k Kept) (*group, error) {
	graph, err := ledger.Read(k.ID, k.Entries)
	if err != nil {
		return nil, err
	}
	g := &group{
		kept: k, graph: graph, ring: keyring.Restore(k.Keys),
		synced: map[discovery.DeviceID]bool{}, inboxes: map[discovery.DeviceID]*ledger.Inbox{},
	}
	b.settle(g)
	return g, nil
}

func (b *Book) find(id ID) (*group, error) {
	for _, g := range b.groups {
		if g.kept.ID == id {
			return g, nil
		}
	}
	return nil, ErrUnknown
}

// in reports whether this device belongs to g.
func (b *Book) in(g *group) bool { return !g.kept.Left && g.graph.State().Is(b.id, ledger.Member) }

// admin returns the group if this device is an admin of it.
func (b *Book) admin(id ID) (*group, error) {
	g, err := b.find(id)
	switch {
	case err != nil:
		return nil, err
	case !b.in(g):
		return nil, ErrNotMember
	case !g.graph.State().Is(b.id, ledger.Admin):
		return nil, ErrNotAdmin
	}
	return g, nil
}

func (b *Book) common(g *group, device discovery.DeviceID) bool {
	return device != b.id && b.in(g) && g.graph.State().Is(device, ledger.Member)
}

// settle works out what depends on the ledger and is kept beside it.
func (b *Book) settle(g *group) {
	st := g.graph.State()
	now := b.cfg.Now()
	g.missing = len(st.Keys) > 0 && !g.kept.Left
	for i, k := range slices.Backward(st.Keys) {
		if g.ring.Use(keyring.ID(k.ID), now) {
			g.missing = i != len(st.Keys)-1
			break
		}
	}
	if g.told != nil && !(b.in(g) && st.Is(g.told.author.ID(), ledger.Admin)) {
		g.told = nil
	}
	g.contest = !g.kept.Left && b.mayContest(g)
	for device := range g.synced {
		if !st.Is(device, ledger.Member) {
			delete(g.synced, device)
		}
	}
	if !b.in(g) {
		clear(g.synced)
	}
}

// view is what a Change is the difference of.
type view struct {
	state *ledger.State
	in    bool
	role  ledger.Role
	key   keyring.Key
	lack  bool
}

func (b *Book) view(g *group) view {
	v := view{state: g.graph.State(), in: b.in(g), lack: g.missing}
	if p, ok := v.state.Member(b.id); ok && v.in {
		v.role = p.Role
	}
	v.key, _ = g.ring.InUse()
	return v
}

// since returns what is different from before.
func (b *Book) since(g *group, before view, kept []*ledger.Entry) Change {
	after := b.view(g)
	c := Change{
		Workgroup: g.kept.ID,
		Self:      before.in != after.in || before.role != after.role,
		Announce:  before.in != after.in || before.key.Secret != after.key.Secret,
		Ask:       after.lack && after.in && (!before.lack || !before.in || slices.ContainsFunc(kept, isKey)),
	}
	for _, p := range before.state.Members {
		if p.ID != b.id && !after.state.Is(p.ID, ledger.Member) {
			c.Gone = append(c.Gone, p.ID)
		}
	}
	for _, p := range after.state.Members {
		if p.ID != b.id && !before.state.Is(p.ID, ledger.Member) {
			c.Joined = append(c.Joined, p.ID)
		}
	}
	for _, e := range kept {
		c.Push = append(c.Push, e.Raw())
	}
	return c
}

func isKey(e *ledger.Entry) bool { return e.Kind == ledger.NewDiscoveryKey }

// edit lets f change g, and keeps all of it or nothing. The caller holds mu.
func (b *Book) edit(g *group, f func(*pen) error) (Change, error) {
	before, old, oldKeys := b.view(g), g.kept.clone(), g.ring.Keys(b.cfg.Now())
	p := &pen{b: b, g: g, by: b.cfg.Self}
	err := f(p)
	if err == nil {
		g.graph.Trim()
		b.settle(g)
		err = b.store(g, p.kept)
	}
	if err == nil {
		return b.since(g, before, p.kept), nil
	}
	if errors.Is(err, errNothing) { // void entries may have come, which stay unseen
		g.graph.Trim()
		return Change{}, err
	}
	if len(old.Entries) == 0 { // a new one that will not be
		return Change{}, err
	}
	g.kept, g.ring = old, keyring.Restore(oldKeys)
	graph, bad := ledger.Read(old.ID, old.Entries)
	if bad == nil {
		g.graph = graph
		b.settle(g)
	}
	return Change{}, errors.Join(err, bad)
}

// store keeps g and its new entries.
func (b *Book) store(g *group, kept []*ledger.Entry) error {
	g.kept.Keys = g.ring.Keys(b.cfg.Now())
	out := g.kept.clone()
	out.Entries = nil
	for _, e := range kept {
		out.Entries = append(out.Entries, e.Raw())
	}
	if err := b.cfg.Store.PutWorkgroup(out); err != nil {
		return fmt.Errorf("keep the workgroup: %w", err)
	}
	g.kept.Entries = append(g.kept.Entries, out.Entries...)
	return nil
}

// pen writes entries of one signer.
type pen struct {
	b    *Book
	g    *group
	by   ledger.Signer
	kept []*ledger.Entry
}

// write signs an entry on top of everything. One that would have no effect is ErrNotAdmin: somebody senior took the right away.
func (p *pen) write(body ledger.Body) (*ledger.Entry, error) {
	body.Time = p.b.cfg.Now().Unix()
	e, err := ledger.Sign(body, p.by)
	if err != nil {
		return nil, err
	}
	kept, err := p.g.graph.Insert(e)
	if errors.Is(err, ledger.ErrRight) || err == nil && len(kept) == 0 {
		return nil, ErrNotAdmin
	}
	if err != nil {
		return nil, err
	}
	p.kept = append(p.kept, kept...)
	return e, nil
}

// rekey makes a new discovery key and announces it.
func (p *pen) rekey() error {
	secret, err := keyring.NewSecret(p.b.cfg.Rand)
	if err != nil {
		return err
	}
	body := p.g.graph.Draft(ledger.NewDiscoveryKey)
	for _, k := range p.g.graph.State().Keys {
		body.Epoch = max(body.Epoch, k.Epoch)
	}
	if body.Epoch == ^uint32(0) {
		body.Epoch-- // somebody wrote the greatest there is; the order of the ledger decides, and not the number
	}
	body.Epoch++
	body.KeyID = secret.ID()
	if _, err := p.write(body); err != nil {
		return err
	}
	p.b.learn(p.g, []keyring.Key{{Epoch: body.Epoch, Secret: secret}})
	return nil
}

// learn takes keys that the ledger names.
func (b *Book) learn(g *group, keys []keyring.Key) int {
	st := g.graph.State()
	return g.ring.Learn(keys, func(id keyring.ID) (uint32, bool) { return st.Epoch(id) }, b.cfg.Now())
}

func (b *Book) member(p ledger.Participant) Member {
	return Member{
		ID: p.ID, Key: p.Key, Name: p.Name, Person: p.Person, PersonName: p.PersonName, Role: p.Role, Via: p.Via,
		By: p.By.ID(), Since: time.Unix(p.Since, 0).UTC(), Self: p.ID == b.id,
	}
}

func (b *Book) show(g *group) Workgroup {
	st := g.graph.State()
	w := Workgroup{
		ID: g.kept.ID, Name: st.Name, Short: discovery.DeviceID(g.kept.ID).Short(), Standing: Out, Contest: g.contest,
		Unsaved: g.kept.Recovery != nil, NeedsUpdate: g.graph.NeedsUpdate(), Replaces: st.Replaces, Founded: time.Unix(st.Founded, 0).UTC(),
	}
	for _, p := range st.Members {
		w.Members = append(w.Members, b.member(p))
	}
	switch p, ok := st.Member(b.id); {
	case g.kept.Left:
		w.Standing = Left
	case ok:
		w.Standing, w.Role, w.KeyMissing = In, p.Role, g.missing
		if g.told != nil {
			said := g.told.Removal
			w.Removal = &said
		}
	default:
		if e, ok := g.graph.Removal(b.id); ok {
			r := removal(e, st)
			w.Removal = &r
		}
	}
	now := b.cfg.Now()
	w.Remind = w.Unsaved && (!now.Before(g.kept.Remind) || g.kept.Remind.Sub(now) > MaxSnooze)
	return w
}

// removal describes the entry that removed this device.
func removal(e *ledger.Entry, st *ledger.State) Removal {
	r := Removal{By: e.Author.ID(), Reason: e.Reason, At: time.Unix(e.Time, 0).UTC()}
	if p, ok := st.Member(r.By); ok {
		r.ByName = p.Name
	}
	return r
}
