package workgroup

import (
	"fmt"
	"io"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/keyring"
	"porchlight/discovery/ledger"
)

// MaxSnooze is the longest that a reminder may be put off. One that is further away is due: a clock was wrong.
const MaxSnooze = 30 * 24 * time.Hour

// Founding is what a new workgroup begins with.
type Founding struct {
	Name       string // of the workgroup
	Device     string // what this device is called in it
	PersonName string // whose device it is
}

// Create founds a private workgroup, of which this device is the first admin. Its recovery code is on this computer until
// RecoverySaved.
func (b *Book) Create(f Founding) (Workgroup, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.found(f, ID{}, func(*pen) error { return nil })
	if err != nil {
		return Workgroup{}, fmt.Errorf("found the workgroup: %w", err)
	}
	return b.show(g), nil
}

// found makes a workgroup and lets more write more entries before it is stored.
func (b *Book) found(f Founding, replaces ID, more func(*pen) error) (*group, error) {
	for _, name := range []string{f.Name, f.Device, f.PersonName} {
		if err := discovery.CheckName(name); err != nil {
			return nil, err
		}
	}
	if len(b.groups) >= MaxWorkgroups {
		return nil, ErrMany
	}
	code, err := ledger.NewRecoveryCode(b.cfg.Rand)
	if err != nil {
		return nil, err
	}
	key, err := code.Key()
	if err != nil {
		return nil, err
	}
	now := b.cfg.Now()
	body := ledger.Body{
		Kind: ledger.Genesis, Time: now.Unix(), Name: f.Name, PersonName: f.PersonName, Via: ledger.ViaFounder,
		Recovery: ledger.KeyOf(key.Public()), Replaces: replaces,
	}
	if body.Person, err = b.newPerson(); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(b.cfg.Rand, body.Salt[:]); err != nil {
		return nil, err
	}
	genesis, err := ledger.Sign(body, b.cfg.Self)
	if err != nil {
		return nil, err
	}
	g, err := b.revive(Kept{ID: genesis.ID(), Entries: [][]byte{genesis.Raw()}, Recovery: &code, Joined: now})
	if err != nil {
		return nil, err
	}
	g.kept.Entries = nil // nothing is stored yet
	p := &pen{b: b, g: g, by: b.cfg.Self, kept: []*ledger.Entry{genesis}}
	name := g.graph.Draft(ledger.Rename)
	name.Target, name.Name = b.self, f.Device
	if _, err := p.write(name); err != nil {
		return nil, err
	}
	if err := more(p); err != nil {
		return nil, err
	}
	if err := p.rekey(); err != nil {
		return nil, err
	}
	b.settle(g)
	if err := b.store(g, p.kept); err != nil {
		return nil, err
	}
	b.groups = append(b.groups, g)
	b.cfg.Log.Info("a workgroup was founded", "workgroup", g.kept.ID)
	return g, nil
}

func (b *Book) newPerson() (p ledger.Person, err error) {
	_, err = io.ReadFull(b.cfg.Rand, p[:])
	return p, err
}

// RecoveryCode returns the code of a workgroup that this device founded, to be shown or printed; ErrErased if it was saved before.
func (b *Book) RecoveryCode(id ID) (ledger.RecoveryCode, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.find(id)
	if err != nil {
		return ledger.RecoveryCode{}, err
	}
	if g.kept.Recovery == nil {
		return ledger.RecoveryCode{}, ErrErased
	}
	return *g.kept.Recovery, nil
}

// RecoverySaved erases the code: its owner has it somewhere else.
func (b *Book) RecoverySaved(id ID) error {
	return b.note(id, func(g *group) { g.kept.Recovery = nil })
}

// RemindLater puts the reminder off, at most MaxSnooze.
func (b *Book) RemindLater(id ID, d time.Duration) error {
	return b.note(id, func(g *group) { g.kept.Remind = b.cfg.Now().Add(min(d, MaxSnooze)) })
}

// note changes what is kept beside the ledger.
func (b *Book) note(id ID, f func(*group)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.find(id)
	if err != nil {
		return err
	}
	_, err = b.edit(g, func(*pen) error { f(g); return nil })
	return err
}

// Welcome is what a device gets that was let in.
type Welcome struct {
	Workgroup ID
	Keys      []byte   // as keyring.Encode writes them
	Entries   [][]byte // all, parents first
}

func (b *Book) welcome(g *group) (Welcome, error) {
	keys, err := keyring.Encode(g.ring.Keys(b.cfg.Now()), true)
	w := Welcome{Workgroup: g.kept.ID, Keys: keys}
	for e := range g.graph.Entries() {
		w.Entries = append(w.Entries, e.Raw())
	}
	return w, err
}

// WelcomeFor returns what an active member needs to begin anew: one whose connection broke before it had its welcome, or who was
// admitted to a workgroup that continues another. This device must be an admin, or the other one would not believe it.
func (b *Book) WelcomeFor(id ID, device discovery.DeviceID) (Welcome, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.admin(id)
	if err != nil {
		return Welcome{}, err
	}
	if !b.common(g, device) {
		return Welcome{}, ErrNotMember
	}
	return b.welcome(g)
}

// Join enters the workgroup that inviter, the device at the other end of the connection, let this one into. Nothing of it is
// stored unless the ledger says that inviter is an admin and this device a member. A workgroup that this device was in before
// keeps what it knew.
func (b *Book) Join(inviter discovery.DeviceID, w Welcome) (Change, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := b.join(inviter, w)
	if err != nil {
		return Change{}, fmt.Errorf("join the workgroup: %w", err)
	}
	return c, nil
}

func (b *Book) join(inviter discovery.DeviceID, w Welcome) (Change, error) {
	graph, err := ledger.Welcome(w.Workgroup, w.Entries, inviter, b.id)
	if err != nil {
		return Change{}, err
	}
	return b.enter(graph, w.Keys, func(st *ledger.State) error {
		if !st.Is(inviter, ledger.Admin) || !st.Is(b.id, ledger.Member) {
			return ledger.ErrWelcome // what this device knew from before outweighs it
		}
		return nil
	}, nil)
}

// enter takes a ledger and its keys into the book, if check has nothing against what comes of it. more may write more entries.
func (b *Book) enter(graph *ledger.Graph, ring []byte, check func(*ledger.State) error, more func(*pen) error) (Change, error) {
	keys, err := keyring.Decode(ring)
	if err != nil {
		return Change{}, err
	}
	old, err := b.find(graph.Workgroup())
	switch {
	case err == nil && b.in(old):
		return Change{}, ErrMember
	case err != nil && len(b.groups) >= MaxWorkgroups:
		return Change{}, ErrMany
	}
	g := old
	if err != nil {
		g, err = b.revive(Kept{ID: graph.Workgroup(), Entries: [][]byte{graph.Genesis().Raw()}, Joined: b.cfg.Now()})
		if err != nil {
			return Change{}, err
		}
		g.kept.Entries = nil
	}
	c, err := b.edit(g, func(p *pen) error {
		if old == nil {
			p.kept = append(p.kept, graph.Genesis())
		}
		if err := p.copy(graph); err != nil {
			return err
		}
		g.kept.Left, g.told = false, nil
		if more != nil {
			if err := more(p); err != nil {
				return err
			}
		}
		b.learn(g, keys)
		if b.settle(g); !inUse(g) {
			return ErrKey
		}
		return check(g.graph.State())
	})
	if err != nil {
		return Change{}, err
	}
	if old == nil {
		b.groups = append(b.groups, g)
		c.Joined = nil
		for _, p := range g.graph.State().Members {
			if p.ID != b.id {
				c.Joined = append(c.Joined, p.ID)
			}
		}
	}
	if more == nil {
		c.Push = nil // who let this device in tells the others
	}
	c.Self, c.Announce = true, true
	b.cfg.Log.Info("in a workgroup", "workgroup", g.kept.ID, "members", len(g.graph.State().Members))
	return c, nil
}

func inUse(g *group) bool { _, ok := g.ring.InUse(); return ok }

// copy inserts the entries of another graph of the same workgroup.
func (p *pen) copy(from *ledger.Graph) error {
	for e := range from.Entries() {
		kept, err := p.g.graph.Insert(e)
		if err != nil && !later(p.g.graph, err) {
			return err
		}
		p.kept = append(p.kept, kept...)
	}
	return nil
}
