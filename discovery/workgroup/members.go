package workgroup

import (
	"errors"
	"fmt"
	"slices"

	"porchlight/discovery"
	"porchlight/discovery/keyring"
	"porchlight/discovery/ledger"
)

// Admission says who is let in, after it proved itself.
type Admission struct {
	Key        ledger.Key    // the key at the other end of the connection on which it proved itself
	Name       string        // what the device is called from now on
	Person     ledger.Person // whose it is: one of the workgroup's; zero for somebody new
	PersonName string        // of somebody new; the device's name if empty
	Role       ledger.Role
	Via        ledger.Via
}

// Admit lets a device in. The Welcome is for that device, on that connection.
func (b *Book) Admit(id ID, a Admission) (Welcome, Change, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.admin(id)
	if err != nil {
		return Welcome{}, Change{}, err
	}
	c, err := b.edit(g, func(p *pen) error { return p.admit(a) })
	if err != nil {
		return Welcome{}, Change{}, fmt.Errorf("admit a device: %w", err)
	}
	w, err := b.welcome(g)
	return w, c, err
}

func (p *pen) admit(a Admission) (err error) {
	st := p.g.graph.State()
	if st.Is(a.Key.ID(), ledger.Member) {
		return ErrMember
	}
	if a.Role != ledger.Member && a.Role != ledger.Admin {
		return ErrRole
	}
	if a.Person != (ledger.Person{}) {
		at := slices.IndexFunc(st.Members, func(m ledger.Participant) bool { return m.Person == a.Person })
		if at < 0 {
			return ErrPerson
		}
		a.PersonName = st.Members[at].PersonName
	} else if a.Person, err = p.b.newPerson(); err != nil {
		return err
	}
	if a.PersonName == "" {
		a.PersonName = a.Name
	}
	for _, name := range []string{a.Name, a.PersonName} {
		if err := discovery.CheckName(name); err != nil {
			return err
		}
	}
	body := p.g.graph.Draft(ledger.Admit)
	body.Target, body.Role, body.Via = a.Key, a.Role, a.Via
	body.Name, body.Person, body.PersonName = a.Name, a.Person, a.PersonName
	_, err = p.write(body)
	return err
}

// AdmittedBy returns the members that the device let in, and those that these let in, and so on: who to ask about when it is
// removed.
func (b *Book) AdmittedBy(id ID, device discovery.DeviceID) ([]Member, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.find(id)
	if err != nil {
		return nil, err
	}
	var out []Member
	from := map[discovery.DeviceID]bool{device: true}
	for again := true; again; {
		again = false
		for _, p := range g.graph.State().Members {
			if from[p.By.ID()] && !from[p.ID] && p.ID != b.id {
				from[p.ID], again = true, true
				out = append(out, b.member(p))
			}
		}
	}
	return out, nil
}

// Remove removes devices, all or none, and makes a new discovery key, which they do not get. What they copied they keep.
func (b *Book) Remove(id ID, reason ledger.Reason, devices ...discovery.DeviceID) (Change, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.admin(id)
	if err != nil {
		return Change{}, err
	}
	switch {
	case reason != ledger.Removed && reason != ledger.Lost && reason != ledger.Replaced:
		return Change{}, ErrReason
	case slices.Contains(devices, b.id):
		return Change{}, ErrSelf
	case len(devices) == 0:
		return Change{}, ErrNotMember
	}
	return b.edit(g, func(p *pen) error {
		for _, d := range devices {
			if err := p.remove(d, reason); err != nil {
				return err
			}
		}
		return p.rekey()
	})
}

func (p *pen) remove(device discovery.DeviceID, reason ledger.Reason) error {
	who, ok := p.g.graph.State().Member(device)
	if !ok {
		return ErrNotMember
	}
	body := p.g.graph.Draft(ledger.Remove)
	body.Target, body.Reason = who.Key, reason
	_, err := p.write(body)
	return err
}

// Leave takes this device out and erases the keys of the workgroup. Unless anyway is true it is ErrLastAdmin when others stay
// behind without an admin, and ErrUnsaved when the recovery code would be lost with it. One that was removed just stops caring.
func (b *Book) Leave(id ID, anyway bool) (Change, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.find(id)
	if err != nil {
		return Change{}, err
	}
	return b.leave(g, anyway)
}

func (b *Book) leave(g *group, anyway bool) (Change, error) {
	if g.kept.Left {
		return Change{}, ErrNotMember
	}
	if !anyway && b.in(g) && len(g.graph.State().Members) > 1 {
		if b.lastAdmin(g, b.id) {
			return Change{}, ErrLastAdmin
		}
		if g.kept.Recovery != nil {
			return Change{}, ErrUnsaved
		}
	}
	return b.edit(g, func(p *pen) error {
		if b.in(g) {
			if err := p.remove(b.id, ledger.Left); err != nil {
				return err
			}
		}
		g.kept.Left, g.kept.Recovery, g.ring, g.told = true, nil, &keyring.Ring{}, nil
		return nil
	})
}

// Forget drops a workgroup that this device is not in, and everything that was kept of it.
func (b *Book) Forget(id ID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.find(id)
	if err != nil {
		return err
	}
	if b.in(g) {
		return ErrMember
	}
	if err := b.cfg.Store.DeleteWorkgroup(id); err != nil {
		return fmt.Errorf("forget the workgroup: %w", err)
	}
	b.groups = slices.DeleteFunc(b.groups, func(x *group) bool { return x == g })
	return nil
}

// lastAdmin reports whether device is the only admin.
func (b *Book) lastAdmin(g *group, device discovery.DeviceID) bool {
	return !slices.ContainsFunc(g.graph.State().Members, func(p ledger.Participant) bool { return p.Role == ledger.Admin && p.ID != device })
}

// SetRole makes a member an admin, or an admin a member. Somebody who was an admin before, and demoted, is removed and admitted
// anew in one go: the law would void what it signs, else.
func (b *Book) SetRole(id ID, device discovery.DeviceID, role ledger.Role) (Change, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.admin(id)
	if err != nil {
		return Change{}, err
	}
	who, ok := g.graph.State().Member(device)
	switch {
	case role != ledger.Member && role != ledger.Admin:
		return Change{}, ErrRole
	case !ok:
		return Change{}, ErrNotMember
	case who.Role == role:
		return Change{Workgroup: id}, nil
	case role != ledger.Admin && b.lastAdmin(g, device):
		return Change{}, ErrLastAdmin
	}
	return b.edit(g, func(p *pen) error {
		if role == ledger.Admin && demoted(g.graph, who) {
			if err := p.remove(device, ledger.Replaced); err != nil {
				return err
			}
			return p.admit(Admission{Key: who.Key, Name: nameOf(who), PersonName: who.PersonName, Person: personIn(g.graph.State(), who.Person), Role: role, Via: who.Via})
		}
		body := g.graph.Draft(ledger.SetRole)
		body.Target, body.Role = who.Key, role
		_, err := p.write(body)
		return err
	})
}

// nameOf returns the name of a device; a founder may have none.
func nameOf(p ledger.Participant) string {
	if p.Name == "" {
		return p.ID.Short()
	}
	return p.Name
}

// personIn returns the person if one of its devices is active, and otherwise nobody, which makes a new one.
func personIn(st *ledger.State, who ledger.Person) ledger.Person {
	if slices.ContainsFunc(st.Members, func(p ledger.Participant) bool { return p.Person == who }) {
		return who
	}
	return ledger.Person{}
}

// demoted reports whether somebody took p's admin role since it was let in.
func demoted(g *ledger.Graph, p ledger.Participant) bool {
	past := ancestors(g, p.Grant)
	for e := range g.Entries() {
		if e.Kind == ledger.SetRole && e.Role != ledger.Admin && e.Target == p.Key && !g.IsVoid(e.ID()) && !past[e.ID()] {
			return true
		}
	}
	return false
}

// ancestors returns what an entry rests on.
func ancestors(g *ledger.Graph, id ledger.Hash) map[ledger.Hash]bool {
	past := map[ledger.Hash]bool{}
	for todo := []ledger.Hash{id}; len(todo) > 0; {
		e, ok := g.Entry(todo[len(todo)-1])
		todo = todo[:len(todo)-1]
		if !ok {
			continue
		}
		for _, parent := range e.Prev {
			if !past[parent] {
				past[parent] = true
				todo = append(todo, parent)
			}
		}
	}
	return past
}

// Rename gives the workgroup another name.
func (b *Book) Rename(id ID, name string) (Change, error) {
	return b.rename(id, func(*ledger.State, *ledger.Body) error { return nil }, name)
}

// RenameDevice gives a member another name.
func (b *Book) RenameDevice(id ID, device discovery.DeviceID, name string) (Change, error) {
	return b.rename(id, func(st *ledger.State, body *ledger.Body) error {
		who, ok := st.Member(device)
		if !ok {
			return ErrNotMember
		}
		body.Target = who.Key
		return nil
	}, name)
}

func (b *Book) rename(id ID, about func(*ledger.State, *ledger.Body) error, name string) (Change, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.admin(id)
	if err != nil {
		return Change{}, err
	}
	if err := discovery.CheckName(name); err != nil {
		return Change{}, err
	}
	return b.edit(g, func(p *pen) error {
		body := g.graph.Draft(ledger.Rename)
		body.Name = name
		if err := about(g.graph.State(), &body); err != nil {
			return err
		}
		_, err := p.write(body)
		return err
	})
}

// later reports whether an entry is refused for now only: a newer program would understand it.
func later(g *ledger.Graph, err error) bool {
	return errors.Is(err, ledger.ErrUpdate) || g.NeedsUpdate() && errors.Is(err, ledger.ErrParent)
}
