package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// signer is a device of the tests, made from a number.
type signer struct{ key ed25519.PrivateKey }

func dev(n int) signer {
	seed := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("test device"), uint64(n)))
	return signer{ed25519.NewKeyFromSeed(seed[:])}
}

func (s signer) Public() ed25519.PublicKey { return s.key.Public().(ed25519.PublicKey) }
func (s signer) Sign(msg []byte) []byte    { return ed25519.Sign(s.key, msg) }
func (s signer) Key() Key                  { return KeyOf(s.Public()) }

func must[T any](t testing.TB) func(v T, err error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func genesisBody(rec signer) Body {
	return Body{Kind: Genesis, Name: "Home", Person: Person{1}, PersonName: "Anna", Recovery: rec.Key(), Salt: [16]byte{7}}
}

// group is a workgroup under test: four devices with names and the recovery key.
type group struct {
	t                  testing.TB
	g                  *Graph
	anna, bo, cy, dora signer
	code               signer
}

func newGroup(t testing.TB) *group {
	w := &group{t: t, anna: dev(1), bo: dev(2), cy: dev(3), dora: dev(4), code: dev(99)}
	w.g = must[*Graph](t)(New(must[*Entry](t)(Sign(genesisBody(w.code), w.anna))))
	return w
}

// say signs an entry of by with the given parents (the heads if nil), and does not insert it.
func (w *group) say(by signer, k Kind, about signer, role Role, prev []Hash) *Entry {
	w.t.Helper()
	if prev == nil {
		prev = w.g.Heads()
	}
	b := must[Body](w.t)(w.g.DraftOn(k, prev))
	return must[*Entry](w.t)(Sign(complete(b, about.Key(), role), by))
}

// complete gives b what its kind needs.
func complete(b Body, about Key, role Role) Body {
	switch b.Kind {
	case Admit:
		b.Target, b.Role, b.Name, b.Person, b.PersonName, b.Via = about, role, "PC "+about.ID().Short(), Person(about[:16]), "Somebody", ViaCode
	case SetRole:
		b.Target, b.Role = about, role
	case Remove:
		b.Target, b.Reason = about, Removed
	case Rename:
		b.Target, b.Name = about, "New name"
	case NewDiscoveryKey:
		b.Epoch, b.KeyID = b.Depth, [16]byte(about[:16])
	}
	return b
}

// do is say, and the entry must be taken.
func (w *group) do(by signer, k Kind, about signer, role Role, prev []Hash) *Entry {
	w.t.Helper()
	e := w.say(by, k, about, role, prev)
	if _, err := w.g.Insert(e); err != nil {
		w.t.Fatal(err)
	}
	return e
}

// in reports whether d is active.
func (w *group) in(d signer) bool { return w.g.State().Is(d.Key().ID(), Member) }

func (w *group) want(d signer, in bool, what string) {
	w.t.Helper()
	if w.in(d) != in {
		w.t.Errorf("%s: active is %v", what, !in)
	}
}

// print is a state as text, for comparison: everything in it that a user or a program could see.
func print(s *State) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q %d %x\n", s.Workgroup, s.Name, s.Founded, s.Replaces)
	for _, p := range s.Members {
		fmt.Fprintf(&b, "%s %d %q %x %q %d %s %x %d\n", p.ID.Short(), p.Role, p.Name, p.Person, p.PersonName, p.Via, p.Grant, p.By, p.Since)
	}
	for _, k := range s.Keys {
		fmt.Fprintf(&b, "key %d %x\n", k.Epoch, k.ID)
	}
	return b.String()
}

// plain is the law of the package comment in the plainest words, to hold the fast one against: it knows only sets of IDs.
type plain struct {
	entries map[Hash]*Entry
	order   []*Entry
	past    map[Hash]map[Hash]bool // strict ancestors
	groups  map[Hash]Hash          // found so far; a group depends on the entry's past alone
}

func newPlain(entries []*Entry) *plain {
	p := &plain{map[Hash]*Entry{}, slices.Clone(entries), map[Hash]map[Hash]bool{}, map[Hash]Hash{}}
	slices.SortFunc(p.order, func(a, b *Entry) int {
		if a.Depth != b.Depth {
			return int(a.Depth) - int(b.Depth)
		}
		return slices.Compare(a.id[:], b.id[:])
	})
	for _, e := range p.order {
		p.entries[e.id] = e
		p.past[e.id] = map[Hash]bool{}
		for _, q := range e.Prev {
			p.past[e.id][q] = true
			for a := range p.past[q] {
				p.past[e.id][a] = true
			}
		}
	}
	return p
}

// only returns the entries of a set of IDs.
func (p *plain) only(ids map[Hash]bool) *plain {
	q := &plain{map[Hash]*Entry{}, nil, p.past, p.groups}
	for _, e := range p.order {
		if ids[e.id] {
			q.entries[e.id] = e
			q.order = append(q.order, e)
		}
	}
	return q
}

func (p *plain) genesis() *Entry { return p.order[0] }

// group returns the grant an entry's author acted under; the zero hash for the recovery key.
func (p *plain) group(e *Entry) Hash {
	if e.Kind == Genesis {
		return e.id
	}
	if e.Author == p.genesis().Recovery {
		return Hash{}
	}
	if _, ok := p.groups[e.id]; !ok {
		_, grants := p.only(p.past[e.id]).members()
		p.groups[e.id] = grants[e.Author]
	}
	return p.groups[e.id]
}

func (p *plain) place(id Hash) int {
	return slices.IndexFunc(p.order, func(e *Entry) bool { return e.id == id })
}

// void returns the entries without effect.
func (p *plain) void() map[Hash]bool {
	groups := map[Hash]Hash{}
	for _, e := range p.order {
		groups[e.id] = p.group(e)
	}
	void := map[Hash]bool{}
	for _, grant := range p.order {
		if grant.Kind != Genesis && grant.Kind != Admit {
			continue
		}
		who := grant.Target
		if grant.Kind == Genesis {
			who = grant.Author
		}
		for _, e := range p.order {
			if groups[e.id] != grant.id || e.id == grant.id {
				continue
			}
			bad := void[grant.id]
			for _, r := range p.order {
				removes := r.Kind == Remove && r.Target == who
				demotes := r.Kind == SetRole && r.Target == who && r.Role != Admin && !(e.Kind == Remove && e.Target == who)
				rg := groups[r.id]
				senior := rg == Hash{} || rg != grant.id && p.place(rg) < p.place(grant.id)
				if (removes || demotes) && !void[r.id] && senior && !p.past[grant.id][r.id] && !p.past[r.id][e.id] {
					bad = true
				}
			}
			if bad {
				void[e.id] = true
			}
		}
	}
	return void
}

// members returns roles and grants of the active devices.
func (p *plain) members() (roles map[Key]Role, grants map[Key]Hash) {
	roles, grants = map[Key]Role{}, map[Key]Hash{}
	void := p.void()
	for _, a := range p.order {
		who, role := a.Target, a.Role
		if a.Kind == Genesis {
			who, role = a.Author, Admin
		} else if a.Kind != Admit {
			continue
		}
		if _, done := grants[who]; done || void[a.id] {
			continue
		}
		known := true
		for _, r := range p.order {
			known = known && !(r.Kind == Remove && r.Target == who && !void[r.id] && !p.past[a.id][r.id])
		}
		if !known {
			continue
		}
		for _, s := range p.order {
			if s.Kind == SetRole && s.Target == who && !void[s.id] && p.past[s.id][a.id] {
				role = s.Role
			}
		}
		roles[who], grants[who] = role, a.id
	}
	return roles, grants
}

func hashWith(domain string, b []byte) [32]byte { return sha256.Sum256(append([]byte(domain), b...)) }
