package ledger

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// scale returns the number in an environment variable, or usual, which is less under the race detector.
func scale(t testing.TB, name string, usual int) int {
	v := os.Getenv(name)
	if v == "" {
		if raced {
			usual /= 10
		}
		return usual
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// history is what several devices wrote that met now and then.
type history struct {
	genesis *Entry
	good    []*Entry // parents before children
	refused []*Entry // accepted by nobody
}

const people = 6 // devices of a history, number 0 founds it

func author(r *rand.Rand) signer {
	if r.IntN(12) == 0 {
		return dev(99) // the recovery key
	}
	return dev(r.IntN(people))
}

// parents picks what an author has seen: mostly everything of its replica, else any few entries.
func parents(r *rand.Rand, g *Graph) []Hash {
	if r.IntN(10) < 6 {
		return g.Heads()
	}
	var prev []Hash
	for range 1 + r.IntN(3) {
		prev = append(prev, g.nodes[r.IntN(len(g.nodes))].id)
	}
	slices.SortFunc(prev, func(a, b Hash) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(prev)
}

func randomHistory(t testing.TB, r *rand.Rand) history {
	h := history{genesis: must[*Entry](t)(Sign(genesisBody(dev(99)), dev(0)))}
	replicas := make([]*Graph, 3)
	for i := range replicas {
		replicas[i] = must[*Graph](t)(New(h.genesis))
	}
	for n := 1; n < people; n++ { // all but one begin as admins that everybody knows
		e := must[*Entry](t)(Sign(complete(replicas[0].Draft(Admit), dev(n).Key(), Role(1+min(1, n-1))), dev(0)))
		h.good = append(h.good, e)
		for _, g := range replicas {
			if _, err := g.Insert(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	kinds := []Kind{Admit, Admit, Admit, Admit, SetRole, SetRole, Remove, Remove, Rename, NewDiscoveryKey, 40}
	seen := map[Hash]bool{}
	for range 30 + r.IntN(60) {
		g := replicas[r.IntN(len(replicas))]
		b := must[Body](t)(g.DraftOn(kinds[r.IntN(len(kinds))], parents(r, g)))
		role := Admin
		if r.IntN(3) == 0 {
			role = Member
		}
		e := must[*Entry](t)(Sign(complete(b, dev(r.IntN(people)).Key(), role), author(r)))
		_, err := g.Insert(e)
		if fresh := g.resolve(g.all); !slices.Equal(fresh.void, append(slices.Clone(g.now.void), make(set, len(fresh.void)-len(g.now.void))...)) ||
			!slices.Equal(fresh.devices[:len(g.now.devices)], g.now.devices) {
			t.Fatalf("after an entry of kind %d the running view is not the law's", e.Kind)
		}
		if !seen[e.id] {
			seen[e.id] = true
			if err == nil {
				h.good = append(h.good, e)
			} else {
				h.refused = append(h.refused, e)
			}
		}
		if r.IntN(4) == 0 {
			from, to := replicas[r.IntN(len(replicas))], replicas[r.IntN(len(replicas))]
			for i := range from.nodes {
				if _, err := to.Insert(from.nodes[i].Entry); err != nil {
					t.Fatalf("replica refuses what another took: %v", err)
				}
			}
		}
	}
	return h
}

// check holds everything g says against the law in plain words, and its running view against one made from nothing.
func (g *Graph) check(t testing.TB) {
	t.Helper()
	entries := make([]*Entry, 0, len(g.nodes))
	for i := range g.nodes {
		entries = append(entries, g.nodes[i].Entry)
	}
	p := newPlain(entries)
	void := p.void()
	roles, grants := p.members()
	fresh := g.resolve(g.all)
	held := 0
	for i := range g.nodes {
		n := &g.nodes[i]
		if n.held {
			held++
		}
		if g.now.void.has(i) != void[n.id] || fresh.void.has(i) != void[n.id] || n.held && !void[n.id] {
			t.Fatalf("entry %d of kind %d: void %v, from nothing %v, by the law %v, held %v", i, n.Kind, g.now.void.has(i), fresh.void.has(i), void[n.id], n.held)
		}
	}
	st := g.State()
	if len(st.Members) != len(roles) || held != g.held {
		t.Fatalf("%d members, by the law %d; %d held, counted %d", len(st.Members), len(roles), held, g.held)
	}
	for _, m := range st.Members {
		if m.Role != roles[m.Key] || m.Grant != grants[m.Key] {
			t.Fatalf("%s has role %d by %s, by the law %d by %s", m.ID.Short(), m.Role, m.Grant, roles[m.Key], grants[m.Key])
		}
	}
}

// deliver inserts all of a history in an order of r's. With trim, void entries are forgotten at any moment, and then everything is
// offered again as peers do, parents first and forgetting only at the end, until nothing changes.
func (h history) deliver(t testing.TB, r *rand.Rand, trim bool) *Graph {
	g := must[*Graph](t)(New(h.genesis))
	insert := func(all []*Entry, drop bool) {
		var box Inbox
		for _, e := range all {
			_, _, err := box.Add(g, e, time.Unix(0, 0))
			if err != nil && !errors.Is(err, ErrRight) && !errors.Is(err, ErrTarget) {
				t.Fatal(err)
			}
			if drop && r.IntN(3) == 0 {
				g.drop()
			}
		}
	}
	all := slices.Concat(h.good, h.refused)
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	insert(all, trim)
	for again := trim; again; {
		before, n := print(g.State()), g.Len()
		insert(h.good, false)
		g.drop()
		again = print(g.State()) != before || g.Len() != n
	}
	return g
}

// drop forgets every held entry: Trim, with no patience at all.
func (g *Graph) drop() {
	drop := make([]bool, len(g.nodes))
	for i := range g.nodes {
		drop[i] = g.nodes[i].held
	}
	g.rebuild(drop)
}

func TestAnyOrderOfDelivery(t *testing.T) {
	graphs := scale(t, "PORCHLIGHT_GRAPHS", 120)
	const orders = 4
	entries, voids, replays := 0, 0, 0
	for n := range graphs {
		r := rand.New(rand.NewPCG(uint64(n), 1))
		h := randomHistory(t, r)
		var first *Graph
		for o := range orders {
			g := h.deliver(t, r, o >= orders/2)
			if first == nil {
				first = g
				g.check(t)
				voids += g.now.void.count()
			}
			if a, b := print(first.State()), print(g.State()); a != b {
				t.Fatalf("graph %d, order %d: state\n%sinstead of\n%s", n, o, b, a)
			}
			if first.Len() != g.Len() || !slices.Equal(first.Heads(), g.Heads()) {
				t.Fatalf("graph %d, order %d: %d entries, heads %v, instead of %d, %v", n, o, g.Len(), g.Heads(), first.Len(), first.Heads())
			}
			for _, e := range h.good {
				if o < orders/2 && !g.Has(e.id) {
					t.Fatalf("graph %d, order %d: lacks an accepted entry of kind %d", n, o, e.Kind)
				}
			}
			for _, e := range h.refused {
				if g.Has(e.id) {
					t.Fatalf("graph %d, order %d: has a refused entry", n, o)
				}
			}
			replays++
		}
		entries += len(h.good)
	}
	t.Logf("%d graphs, %d replays, %d entries, %d void: one state each", graphs, replays, entries, voids)
	if replays != graphs*orders || voids*50 < entries {
		t.Errorf("%d replays, %d of %d entries void: too few to say anything", replays, voids, entries)
	}
}

// hostile is a removed device and its puppets, who write whatever might be taken on whatever is there.
type hostile struct {
	r     *rand.Rand
	first signer
	crowd map[Key]signer
	kinds []Kind
}

// entry builds on any entry at all: on what honest devices wrote as the removed device, on what the crowd wrote as its author
// or as whom it let in.
func (h *hostile) entry(t testing.TB, g *Graph) *Entry {
	n := &g.nodes[h.r.IntN(len(g.nodes))]
	by, ours := h.crowd[n.Author]
	if puppet, ok := h.crowd[n.Target]; ours && ok && h.r.IntN(2) == 0 {
		by = puppet
	} else if !ours {
		by = h.first
	}
	prev := []Hash{n.id}
	if h.r.IntN(10) == 0 {
		prev = parents(h.r, g)
	}
	b := must[Body](t)(g.DraftOn(h.kinds[h.r.IntN(len(h.kinds))], prev))
	b.Time = h.r.Int64()
	target := dev(h.r.IntN(8)).Key()
	if b.Kind == Admit {
		puppet := dev(10_000 + h.r.IntN(500))
		h.crowd[puppet.Key()] = puppet
		target = puppet.Key()
	}
	return must[*Entry](t)(Sign(complete(b, target, Admin), by))
}

func TestHostileEntriesOfARemovedDeviceAndItsPuppets(t *testing.T) {
	total := scale(t, "PORCHLIGHT_HOSTILE", 3000)
	const batch = 250 // entries that come together
	r := rand.New(rand.NewPCG(7, 7))
	w := newGroup(t)
	for n := range 8 {
		if d := dev(n); d.Key() != w.anna.Key() {
			w.do(w.anna, Admit, d, Admin, nil)
		}
	}
	for range 30 { // some life, on parallel branches
		e := w.say(dev(r.IntN(8)), Rename, dev(r.IntN(8)), 0, parents(r, w.g))
		if _, err := w.g.Insert(e); err != nil && !errors.Is(err, ErrRight) { // its author may not have been there yet
			t.Fatal(err)
		}
	}
	w.do(w.code, Remove, w.bo, 0, nil)
	before, n := print(w.g.State()), w.g.Len()
	h := &hostile{r: r, first: w.bo, crowd: map[Key]signer{w.bo.Key(): w.bo}, kinds: []Kind{Admit, Admit, Admit, Remove, Remove, SetRole, Rename, NewDiscoveryKey, 33}}
	entered, most := 0, 0
	for i := range total {
		kept, err := w.g.Insert(h.entry(t, w.g))
		if err == nil {
			entered++
		}
		if len(kept) != 0 {
			t.Fatalf("hostile entry %d is passed on", i)
		}
		most = max(most, w.g.Held())
		if i%batch == batch-1 {
			w.g.Trim()
			if w.g.Held() > MaxHeld {
				t.Fatalf("%d held of one maker", w.g.Held())
			}
			if after := print(w.g.describe(w.g.resolve(w.g.all), w.g.all)); after != before {
				t.Fatalf("after hostile entry %d the state is\n%sand was\n%s", i, after, before)
			}
		}
	}
	if after := print(w.g.State()); after != before || w.g.Len() != n {
		t.Errorf("state is\n%sand was\n%s", after, before)
	}
	t.Logf("%d hostile entries, %d accepted, 0 with effect; at most %d held", total, entered, most)
	if entered*4 < total {
		t.Errorf("only %d of %d entered: too few to say anything", entered, total)
	}
}

// Without anybody to call Trim, the hostile fill the graph and are cleared out when room is needed.
func TestHostileEntriesCannotFillTheGraph(t *testing.T) {
	if raced {
		t.Skip("10,000 entries take a minute under the race detector, and nothing here runs in parallel")
	}
	w := newGroup(t)
	w.do(w.anna, Admit, w.bo, Admin, nil)
	old := w.g.Heads()
	w.do(w.anna, Remove, w.bo, 0, nil)
	prev := old
	for len(w.g.nodes) < MaxEntries {
		e := w.say(w.bo, Rename, dev(len(w.g.nodes)), 0, prev)
		if _, err := w.g.Insert(e); err != nil {
			t.Fatal(err)
		}
		if prev = []Hash{e.ID()}; len(w.g.nodes)%100 == 0 {
			prev = old
		}
	}
	w.do(w.anna, Admit, w.cy, Member, nil)
	w.want(w.cy, true, "who is admitted to a full graph")
	if n := len(w.g.nodes); n > MaxHeld+4 || w.g.Held() != MaxHeld {
		t.Errorf("%d entries, %d held", n, w.g.Held())
	}
}

// Entries of a removed admin on which somebody built who did not know yet: they came void, and are needed, however many.
func TestVoidEntriesThatAreNeeded(t *testing.T) {
	w := newGroup(t)
	w.do(w.anna, Admit, w.bo, Admin, nil)
	w.do(w.anna, Admit, w.cy, Admin, nil)
	there := must[*Graph](t)(New(w.g.Genesis()))
	var box Inbox
	for e := range w.g.Entries() {
		if _, _, err := box.Add(there, e, time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	at := w.g.Heads()
	w.do(w.anna, Remove, w.bo, 0, at)
	prev := at
	var chain []*Entry
	for n := range 3 * MaxHeld {
		e := w.say(w.bo, Rename, dev(n), 0, prev)
		if _, err := w.g.Insert(e); err != nil {
			t.Fatal(err)
		}
		if _, err := there.Insert(e); err != nil {
			t.Fatal(err)
		}
		chain, prev = append(chain, e), []Hash{e.ID()}
	}
	w.g.drop()
	if w.g.Held() != 0 || w.g.Has(prev[0]) {
		t.Fatalf("%d held", w.g.Held())
	}
	b := there.Draft(Admit)
	last := must[*Entry](t)(Sign(complete(b, w.dora.Key(), Member), w.cy))
	if _, err := there.Insert(last); err != nil {
		t.Fatal(err)
	}
	want, _ := w.g.Diff(there.Prefixes())
	if len(want) != len(chain)+1 {
		t.Errorf("%d wanted of %d", len(want), len(chain)+1)
	}
	var kept []*Entry
	for _, e := range append(chain, last) {
		more, _, err := box.Add(w.g, e, time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, more...)
	}
	w.g.Trim()
	w.want(w.dora, true, "whom the one who did not know admitted")
	if len(kept) != len(chain)+1 || kept[len(chain)] != last || w.g.Held() != 0 {
		t.Errorf("%d kept of %d, %d held", len(kept), len(chain)+1, w.g.Held())
	}
	if removal, _ := w.g.Removal(w.bo.Key().ID()); removal == nil || there.Has(removal.ID()) {
		t.Fatalf("removal %v", removal)
	} else if _, err := there.Insert(removal); err != nil {
		t.Fatal(err)
	}
	if print(there.State()) != print(w.g.State()) || !slices.Equal(there.Heads(), w.g.Heads()) || there.Len() != w.g.Len() {
		t.Error("the two sides differ in the end")
	}
}
