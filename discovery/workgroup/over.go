package workgroup

import (
	"fmt"
	"slices"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
)

// offer is a workgroup that continues one of this device's, and that it was admitted to.
type offer struct {
	Offer
	welcome Welcome
	from    discovery.DeviceID
}

// Offer is a question to the user: somebody started over; move there?
type Offer struct {
	ID      ID // of the new workgroup
	Old     ID
	Name    string
	By      Member   // who started over, as the new ledger has it
	Members []Member // of the new one
	Without []Member // members of the old one that are not in the new one
	Founded time.Time
}

// Past returns everybody who was ever a member, this device too, as far as the ledger still counts it: of whom StartOver can
// take some along. Roles and names are those of members now; of others, those they were admitted with.
func (b *Book) Past(id ID) ([]Member, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.find(id)
	if err != nil {
		return nil, err
	}
	return b.past(g), nil
}

func (b *Book) past(g *group) (out []Member) {
	st := g.graph.State()
	seen := map[ledger.Key]bool{}
	for e := range g.graph.Entries() {
		p := ledger.Participant{Key: e.Target, Role: e.Role, Name: e.Name, Person: e.Person, PersonName: e.PersonName, Via: e.Via, By: e.Author, Since: e.Time}
		if e.Kind == ledger.Genesis {
			p.Key, p.Role, p.Name = e.Author, ledger.Admin, ""
		} else if e.Kind != ledger.Admit {
			continue
		}
		if seen[p.Key] {
			continue
		}
		seen[p.Key] = true
		p.ID = p.Key.ID()
		if now, ok := st.Member(p.ID); ok {
			p = now
		}
		out = append(out, b.member(p))
	}
	return out
}

// StartOver founds a workgroup that continues another one, with the devices of keep (see Past), when nobody has the recovery code
// and somebody has a key who should not. Each of them is asked before it moves: it gets WelcomeFor, for its Offered.
func (b *Book) StartOver(old ID, f Founding, keep ...discovery.DeviceID) (Workgroup, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	from, err := b.find(old)
	if err != nil {
		return Workgroup{}, err
	}
	past := b.past(from)
	g, err := b.found(f, old, func(p *pen) error {
		persons := map[ledger.Person]discovery.DeviceID{} // of the old one, and a device of theirs in the new one
		for _, m := range past {
			if m.Self {
				persons[m.Person] = b.id
			}
		}
		for _, d := range keep {
			at := slices.IndexFunc(past, func(m Member) bool { return m.ID == d && !m.Self })
			if at < 0 {
				return ErrNotMember
			}
			m := past[at]
			a := Admission{Key: m.Key, Name: m.Name, PersonName: m.PersonName, Role: m.Role, Via: m.Via}
			if a.Name == "" {
				a.Name = m.ID.Short()
			}
			if same, ok := p.g.graph.State().Member(persons[m.Person]); ok {
				a.Person = same.Person
			}
			if err := p.admit(a); err != nil {
				return err
			}
			persons[m.Person] = m.ID
		}
		return nil
	})
	if err != nil {
		return Workgroup{}, fmt.Errorf("start over: %w", err)
	}
	return b.show(g), nil
}

// Offered takes the welcome to a workgroup that continues one of this device's, from the device at the other end of the connection,
// which started it and was in the old one. Nothing of it is stored, and nothing happens, before MoveOver.
func (b *Book) Offered(from discovery.DeviceID, w Welcome) (Offer, error) {
	graph, err := ledger.Welcome(w.Workgroup, w.Entries, from, b.id)
	if err != nil {
		return Offer{}, fmt.Errorf("%w: %w", ErrEntry, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	st := graph.State()
	old, err := b.open(st.Replaces)
	if err != nil {
		return Offer{}, ErrOffer
	}
	if _, err := b.find(w.Workgroup); err == nil {
		return Offer{}, ErrMember
	}
	was := slices.ContainsFunc(b.past(old), func(m Member) bool { return m.ID == from })
	if !was || graph.Genesis().Author.ID() != from || slices.Contains(old.kept.Declined, w.Workgroup) {
		return Offer{}, ErrOffer
	}
	o := Offer{ID: w.Workgroup, Old: st.Replaces, Name: st.Name, Founded: time.Unix(st.Founded, 0).UTC()}
	for _, p := range st.Members {
		m := b.member(p)
		o.Members = append(o.Members, m)
		if p.ID == from {
			o.By = m
		}
	}
	for _, p := range old.graph.State().Members {
		if !st.Is(p.ID, ledger.Member) {
			o.Without = append(o.Without, b.member(p))
		}
	}
	b.offers = slices.DeleteFunc(b.offers, func(x offer) bool { return x.ID == o.ID })
	if len(b.offers) >= MaxWorkgroups {
		return Offer{}, ErrMany
	}
	b.offers = append(b.offers, offer{o, w, from})
	return o, nil
}

// Offers returns what waits for an answer of the user.
func (b *Book) Offers() []Offer {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Offer, 0, len(b.offers))
	for _, o := range b.offers {
		out = append(out, o.Offer)
	}
	return out
}

// MoveOver is the user's yes to an offer: this device joins the new workgroup and leaves the old one. The changes are of both.
func (b *Book) MoveOver(id ID) ([]Change, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := slices.IndexFunc(b.offers, func(o offer) bool { return o.ID == id })
	if at < 0 {
		return nil, ErrOffer
	}
	o := b.offers[at]
	c, err := b.join(o.from, o.welcome)
	if err != nil {
		return nil, fmt.Errorf("move over: %w", err)
	}
	b.offers = slices.Delete(b.offers, at, at+1)
	out := []Change{c}
	if old, err := b.open(o.Old); err == nil {
		c, err := b.leave(old, true)
		if err != nil {
			return out, fmt.Errorf("leave the old workgroup: %w", err)
		}
		out = append(out, c)
	}
	return out, nil
}

// Decline is the user's no. The same offer does not come again.
func (b *Book) Decline(id ID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := slices.IndexFunc(b.offers, func(o offer) bool { return o.ID == id })
	if at < 0 {
		return ErrOffer
	}
	if old, err := b.find(b.offers[at].Old); err == nil {
		if _, err := b.edit(old, func(*pen) error {
			old.kept.Declined = append(old.kept.Declined, id)
			old.kept.Declined = old.kept.Declined[max(0, len(old.kept.Declined)-MaxWorkgroups):]
			return nil
		}); err != nil {
			return err
		}
	}
	b.offers = slices.Delete(b.offers, at, at+1)
	return nil
}
