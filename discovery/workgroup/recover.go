package workgroup

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/keyring"
	"porchlight/discovery/ledger"
)

// Moment is a state of a workgroup to which somebody with the recovery code may go back.
type Moment struct {
	Heads   []ledger.Hash // its newest entries then
	At      time.Time     // of the last change, as its author's clock said
	Members []Member
}

// Choice is what somebody decided who has the recovery code.
type Choice struct {
	Heads      []ledger.Hash        // of a Moment: what devices of Remove signed after it is void
	Remove     []discovery.DeviceID // lost or stolen
	Name       string               // of this device, if it has to be admitted
	PersonName string
}

// WelcomeByCode returns what a device gets that proved on this connection, whose exporter value is exp, to have the recovery code
// of one of this device's workgroups (ledger.RecoveryKey.Prove). ErrCode if it did not.
func (b *Book) WelcomeByCode(exp [32]byte, proof []byte) (Welcome, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, g := range b.groups {
		if !g.kept.Left && g.graph.CheckRecoveryProof(exp, proof) {
			return b.welcome(g)
		}
	}
	return Welcome{}, ErrCode
}

// Moments returns the states to go back to, the newest first: of the ledger that a member gave (WelcomeByCode), or with a zero w of
// this device's own. ErrCode if the code is of another workgroup.
func (b *Book) Moments(code ledger.RecoveryCode, w Welcome) ([]Moment, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	graph, _, err := b.rescue(code, w)
	if err != nil {
		return nil, err
	}
	all := slices.Collect(graph.Entries())
	var out []Moment
	for i := len(all) - 1; i >= 0 && len(out) < MaxMoments; i-- {
		switch all[i].Kind {
		case ledger.Genesis, ledger.Admit, ledger.SetRole, ledger.Remove:
		default:
			continue
		}
		m := Moment{Heads: tops(all[:i+1]), At: time.Unix(all[i].Time, 0).UTC()}
		if len(out) == 0 {
			m.Heads = graph.Heads() // names and keys that came after it are nobody's loss
		}
		st, err := graph.StateAt(m.Heads)
		if err != nil {
			return nil, err
		}
		for _, p := range st.Members {
			m.Members = append(m.Members, b.member(p))
		}
		out = append(out, m)
	}
	return out, nil
}

// tops returns the entries of a list, which is in the order of the law, that are nobody's parents in it.
func tops(list []*ledger.Entry) (heads []ledger.Hash) {
	parents := map[ledger.Hash]bool{}
	for _, e := range list {
		for _, p := range e.Prev {
			parents[p] = true
		}
	}
	for _, e := range list {
		if !parents[e.ID()] {
			heads = append(heads, e.ID())
		}
	}
	heads = heads[max(0, len(heads)-ledger.MaxParents):]
	slices.SortFunc(heads, func(a, b ledger.Hash) int { return bytes.Compare(a[:], b[:]) })
	return heads
}

// rescue returns the ledger that a recovery works on, and the key.
func (b *Book) rescue(code ledger.RecoveryCode, w Welcome) (*ledger.Graph, *ledger.RecoveryKey, error) {
	key, err := code.Key()
	if err != nil {
		return nil, nil, err
	}
	pub := ledger.KeyOf(key.Public())
	at := slices.IndexFunc(b.groups, func(g *group) bool { return g.graph.Genesis().Recovery == pub })
	var graph *ledger.Graph
	if len(w.Entries) > 0 {
		if graph, err = ledger.Read(w.Workgroup, w.Entries); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrEntry, err)
		}
		if graph.Genesis().Recovery != pub {
			return nil, nil, ErrCode
		}
		if at >= 0 {
			p := &pen{b: b, g: &group{graph: graph}}
			err = p.copy(b.groups[at].graph)
		}
		return graph, key, err
	}
	if at < 0 {
		return nil, nil, ErrCode
	}
	graph, err = duplicate(b.groups[at].graph)
	return graph, key, err
}

// Recover uses the recovery code: as of a moment, devices are removed, and this one is an admin. w is as for Moments. The code is
// not kept.
func (b *Book) Recover(code ledger.RecoveryCode, w Welcome, c Choice) (Change, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	graph, key, err := b.rescue(code, w)
	if err != nil {
		return Change{}, err
	}
	st, err := graph.StateAt(c.Heads)
	if err != nil || len(c.Heads) == 0 || len(c.Heads) > ledger.MaxParents {
		return Change{}, ErrMoment
	}
	more := func(p *pen) error {
		p.by = key
		return p.recover(st, c)
	}
	check := func(now *ledger.State) error {
		if !now.Is(b.id, ledger.Admin) {
			return ErrMoment
		}
		return nil
	}
	old, err := b.find(graph.Workgroup())
	if err == nil && b.in(old) {
		return b.edit(old, func(p *pen) error {
			if err := errors.Join(p.copy(graph), more(p)); err != nil {
				return err
			}
			return check(old.graph.State())
		})
	}
	ring := w.Keys
	if len(w.Entries) == 0 {
		if ring, err = keyring.Encode(old.ring.Keys(b.cfg.Now()), true); err != nil {
			return Change{}, err
		}
	}
	return b.enter(graph, ring, check, more)
}

// recover writes with the recovery key.
func (p *pen) recover(then *ledger.State, c Choice) error {
	prev := slices.Clone(c.Heads)
	slices.SortFunc(prev, func(a, b ledger.Hash) int { return bytes.Compare(a[:], b[:]) })
	for _, d := range c.Remove {
		who, ok := then.Member(d)
		switch {
		case d == p.b.id:
			return ErrSelf
		case !ok:
			return ErrNotMember
		}
		body, err := p.g.graph.DraftOn(ledger.Remove, prev)
		if err != nil {
			return err
		}
		body.Target, body.Reason = who.Key, ledger.Lost
		e, err := p.write(body)
		if err != nil {
			return err
		}
		prev = []ledger.Hash{e.ID()}
	}
	self := Admission{Key: p.b.self, Name: c.Name, PersonName: c.PersonName, Role: ledger.Admin, Via: ledger.ViaRecovery}
	st := p.g.graph.State()
	if who, ok := st.Member(p.b.id); ok && who.Role != ledger.Admin {
		self.Name, self.PersonName, self.Person = nameOf(who), who.PersonName, ledger.Person{}
		if err := p.remove(p.b.id, ledger.Replaced); err != nil {
			return err
		}
		self.Person = personIn(p.g.graph.State(), who.Person)
	}
	if !p.g.graph.State().Is(p.b.id, ledger.Member) {
		if err := p.admit(self); err != nil {
			return err
		}
	}
	return p.rekey()
}
