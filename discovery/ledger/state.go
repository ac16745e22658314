package ledger

import (
	"slices"

	"porchlight/discovery"
)

// State is what a ledger says. A value; readers may keep it, and must not change it.
type State struct {
	Workgroup Hash
	Name      string
	Founded   int64          // Unix seconds, as its founder's clock said
	Replaces  Hash           // the workgroup this one continues; zero if none
	Members   []Participant  // the active devices, most senior first
	Keys      []DiscoveryKey // what was announced, in order; the last one is in use. At most MaxDiscoveryKeys
	place     map[discovery.DeviceID]int
}

// MaxDiscoveryKeys is how many announced keys a State names; nobody recognises older ones.
const MaxDiscoveryKeys = 16

// Participant is an active device.
type Participant struct {
	Key        Key
	ID         discovery.DeviceID
	Role       Role
	Name       string // given by an admin; empty for a founder nobody has named yet
	Person     Person
	PersonName string
	Via        Via   // how it proved itself
	Grant      Hash  // the entry it is in by: Admit, or Genesis
	By         Key   // who signed that
	Since      int64 // Unix seconds of that, as its author's clock said
}

// DiscoveryKey announces a key without telling it.
type DiscoveryKey struct {
	Epoch uint32
	ID    [16]byte
}

// Member returns the active device id.
func (s *State) Member(id discovery.DeviceID) (Participant, bool) {
	if i, ok := s.place[id]; ok {
		return s.Members[i], true
	}
	return Participant{}, false
}

// Is reports whether the device id is active with the given role, or a greater one.
func (s *State) Is(id discovery.DeviceID, least Role) bool {
	p, ok := s.Member(id)
	return ok && p.Role >= least
}

// Epoch returns the epoch of an announced key, by its ID.
func (s *State) Epoch(id [16]byte) (epoch uint32, ok bool) {
	for _, k := range s.Keys {
		if k.ID == id {
			return k.Epoch, true
		}
	}
	return 0, false
}

// summary is what is worked out of the graph when somebody asks, until something with an effect arrives.
type summary struct {
	state *State
	live  set   // what is not void, and its ancestors
	list  []int // live, in order
	heads []int // of live
}

func (g *Graph) sum() *summary {
	if g.cache == nil {
		c := &summary{live: make(set, len(g.all))}
		for _, i := range slices.Backward(g.order) {
			if !g.now.void.has(i) && !c.live.has(i) {
				c.live.add(i)
				c.live.or(g.nodes[i].ancestors)
			}
		}
		for _, i := range g.order {
			if c.live.has(i) {
				c.list = append(c.list, i)
			}
		}
		c.heads = g.headsOf(c.list)
		c.state = g.describe(g.now, g.all)
		g.cache = c
	}
	return g.cache
}

// State returns what the ledger says now. It is worked out once for each change.
func (g *Graph) State() *State { return g.sum().state }

// StateAt returns what the ledger said when heads were its newest entries; all of them must be here.
func (g *Graph) StateAt(heads []Hash) (*State, error) {
	s, err := g.closure(heads)
	if err != nil {
		return nil, err
	}
	return g.describe(g.resolve(s), s), nil
}

// closure returns the nodes of ids and their ancestors.
func (g *Graph) closure(ids []Hash) (s set, err error) {
	for _, id := range ids {
		i, ok := g.index[id]
		if !ok {
			return nil, ErrParent
		}
		s.or(g.nodes[i].ancestors)
		s.add(i)
	}
	return s, nil
}

// describe makes a State of the set s, of which v is the view.
func (g *Graph) describe(v *view, s set) *State {
	st := &State{Workgroup: g.Workgroup(), Founded: g.nodes[0].Time, Replaces: g.nodes[0].Replaces, place: map[discovery.DeviceID]int{}}
	type label struct {
		name, person string
		who          Person
	}
	labels := map[Key]label{}
	for _, i := range g.order {
		if !s.has(i) || v.void.has(i) {
			continue
		}
		n := &g.nodes[i]
		l := labels[n.subject()]
		switch n.Kind {
		case NewDiscoveryKey:
			st.Keys = append(st.Keys, DiscoveryKey{n.Epoch, n.KeyID})
			continue
		case Admit, Rename, Genesis:
		default:
			continue
		}
		if n.Kind == Genesis || n.Target == (Key{}) {
			st.Name = n.Name
		} else {
			l.name = n.Name
		}
		if n.PersonName != "" {
			l.who, l.person = n.Person, n.PersonName
		}
		labels[n.subject()] = l
	}
	st.Keys = st.Keys[max(0, len(st.Keys)-MaxDiscoveryKeys):]
	for _, i := range g.grants {
		if !s.has(i) {
			continue
		}
		n := &g.nodes[i]
		k := n.subject()
		d := g.number[k]
		if d >= len(v.devices) || v.devices[d].grant != i {
			continue
		}
		l := labels[k]
		p := Participant{
			Key: k, ID: k.ID(), Role: v.devices[d].role, Name: l.name, Person: l.who, PersonName: l.person,
			Via: n.Via, Grant: n.id, By: n.Author, Since: n.Time,
		}
		st.place[p.ID] = len(st.Members)
		st.Members = append(st.Members, p)
	}
	return st
}

// Removal returns the entry by which a device that is not active was removed, the last if there are several.
func (g *Graph) Removal(id discovery.DeviceID) (*Entry, bool) {
	if g.State().Is(id, Member) {
		return nil, false
	}
	for _, i := range slices.Backward(g.order) {
		if n := &g.nodes[i]; n.Kind == Remove && !g.now.void.has(i) && n.Target.ID() == id {
			return n.Entry, true
		}
	}
	return nil, false
}
