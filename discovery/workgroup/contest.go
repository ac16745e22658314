package workgroup

import (
	"fmt"
	"slices"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
)

// Contest is the founder's veto: a device that was removed by one junior to it removes that one, as of the moment before. The law
// decides whether it may; if not, it is ErrNoContest. Others learn of it when this device hands them Change.Push, even while they
// take it for removed.
func (b *Book) Contest(id ID) (Change, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.find(id)
	if err != nil {
		return Change{}, err
	}
	if g.kept.Left {
		return Change{}, ErrNotMember
	}
	return b.edit(g, func(p *pen) error {
		if b.in(g) {
			if err := p.answer(); err != nil {
				return err
			}
		} else if err := p.contest(); err != nil {
			return err
		}
		g.told = nil
		return p.rekey()
	})
}

// answer removes who is said to have removed this device, in a ledger in which that has not arrived.
func (p *pen) answer() error {
	if !p.b.outranks(p.g) {
		return ErrNoContest
	}
	return p.remove(p.g.told.author.ID(), ledger.Removed)
}

// outranks reports whether this device is an admin senior to who is said to have removed it.
func (b *Book) outranks(g *group) bool {
	if g.told == nil || !g.graph.State().Is(b.id, ledger.Admin) {
		return false
	}
	for _, p := range g.graph.State().Members { // the most senior stand first
		if p.ID == b.id || p.Key == g.told.author {
			return p.ID == b.id
		}
	}
	return false
}

// contest removes everybody whose removal of this device stands, with parents that do not know of it.
func (p *pen) contest() error {
	graph := p.g.graph
	hostile := hostile(graph, p.b.self)
	var done []ledger.Key
	for _, e := range hostile {
		if slices.Contains(done, e.Author) {
			continue
		}
		done = append(done, e.Author)
		var ids []ledger.Hash
		for _, h := range hostile {
			ids = append(ids, h.ID())
		}
		body, err := graph.DraftOn(ledger.Remove, graph.HeadsWithout(ids...))
		if err != nil {
			return err
		}
		body.Target, body.Reason = e.Author, ledger.Removed
		if _, err := p.write(body); err != nil {
			return fmt.Errorf("%w: %w", ErrNoContest, err)
		}
	}
	if !graph.State().Is(p.b.id, ledger.Member) {
		return ErrNoContest
	}
	return nil
}

// hostile returns the removals of a device by others that keep it out, in order.
func hostile(g *ledger.Graph, self ledger.Key) (out []*ledger.Entry) {
	var known map[ledger.Hash]bool // by its last admission
	for e := range g.Entries() {
		if !g.IsVoid(e.ID()) && (e.Kind == ledger.Admit && e.Target == self || e.Kind == ledger.Genesis && e.Author == self) {
			known = ancestors(g, e.ID())
		}
	}
	for e := range g.Entries() {
		if e.Kind == ledger.Remove && e.Target == self && e.Author != self && !g.IsVoid(e.ID()) && !known[e.ID()] {
			out = append(out, e)
		}
	}
	return out
}

// mayContest reports whether Contest would do, by trying it on a copy.
func (b *Book) mayContest(g *group) bool {
	st := g.graph.State()
	if st.Is(b.id, ledger.Member) {
		return b.outranks(g)
	}
	if len(hostile(g.graph, b.self)) == 0 {
		return false
	}
	graph, err := duplicate(g.graph)
	if err != nil {
		return false
	}
	return (&pen{b: b, g: &group{graph: graph}, by: b.cfg.Self}).contest() == nil
}

// duplicate makes a graph of the entries of another one that count.
func duplicate(g *ledger.Graph) (*ledger.Graph, error) {
	var raw [][]byte
	for e := range g.Entries() {
		raw = append(raw, e.Raw())
	}
	return ledger.Read(g.Workgroup(), raw)
}

// Notice tells a device of the entry by which it was removed, or by which the one that tells it has left.
type Notice struct {
	Workgroup ID
	Entry     []byte
}

// Told takes a notice from peer that this device was removed, or that peer left. It believes the entry, not the peer. If this device
// knows better, own is what it has to hand in: its own entries, parents first, to be given to the peer, and then what that says is missing.
func (b *Book) Told(peer discovery.DeviceID, n Notice) (c Change, own [][]byte, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.open(n.Workgroup)
	if err != nil {
		return Change{}, nil, err
	}
	e, err := ledger.Parse(n.Entry)
	if err == nil && e.Workgroup == n.Workgroup && e.Kind == ledger.Remove && e.Author == e.Target && e.Target.ID() == peer {
		c, _, err = b.receive(g, peer, []*ledger.Entry{e})
		return c, nil, err
	}
	if err != nil || e.Workgroup != n.Workgroup || e.Kind != ledger.Remove || e.Target != b.self {
		return Change{}, nil, fmt.Errorf("%w: not a notice of removal", ErrEntry)
	}
	if !b.in(g) {
		return Change{}, nil, nil
	}
	orphan := slices.ContainsFunc(e.Prev, func(p ledger.Hash) bool { return !g.graph.Has(p) })
	if !orphan {
		c, _, err = b.receive(g, peer, []*ledger.Entry{e})
		if !b.in(g) || err != nil {
			return c, nil, err
		}
		return c, b.own(g), nil // the entry is void here
	}
	who, ok := g.graph.State().Member(e.Author.ID())
	if ok && who.Role == ledger.Admin && who.ID != b.id && g.told == nil {
		said := removal(e, g.graph.State())
		said.Hearsay = true
		g.told = &claim{said, e.Author}
		b.settle(g)
		c = Change{Workgroup: n.Workgroup, Self: true}
	}
	return c, b.own(g), nil
}

// own returns the newest entries that this device signed.
func (b *Book) own(g *group) (out [][]byte) {
	for e := range g.graph.Entries() {
		if e.Author == b.self && e.Kind != ledger.Genesis {
			out = append(out, e.Raw())
		}
	}
	return out[max(0, len(out)-maxOwn):]
}
