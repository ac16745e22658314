package workgroup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery"
	"porchlight/discovery/canon"
	"porchlight/discovery/ledger"
)

// TestEverybodyAgrees: devices act on what they know, meet by chance, and agree in the end on members, names and the key in use.
func TestEverybodyAgrees(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			var all []*device
			for _, n := range []string{"anna", "bo", "cy", "dora", "eve"} {
				all = append(all, newDevice(t, n))
			}
			id := found(t, all[0], all[1:4]...)
			for _, d := range all[1:3] {
				push(t, all[0], must(all[0].SetRole(id, d.ID(), ledger.Admin))(t), all[1], all[2], all[3])
			}
			done := map[string]int{}
			for range 40 {
				d, about := all[r.IntN(4)], all[1+r.IntN(3)] // the founder stays, so that there is an end
				var err error
				what := ""
				switch r.IntN(7) {
				case 0:
					what, err = "remove", second(d.Remove(id, ledger.Removed, about.ID()))
				case 1:
					_, _, err = d.Admit(id, Admission{Key: about.pub(), Name: about.name, Role: ledger.Role(1 + r.IntN(2)), Via: ledger.ViaCode})
					what = "admit"
				case 2:
					what, err = "role", second(d.SetRole(id, about.ID(), ledger.Role(1+r.IntN(2))))
				case 3:
					what, err = "rename", second(d.Rename(id, fmt.Sprint("Home ", r.IntN(100))))
				case 4:
					what, err = "restart", nil
					d.restart()
				default:
					if about != d {
						apart(d, about)
						connect(t, d, about)
						what = "meet"
					}
				}
				if err == nil {
					done[what]++
				}
				if len(must(all[0].Workgroup(id))(t).Members) == 0 {
					t.Fatal("nobody is left")
				}
			}
			settleAll(t, id, all[:4])
			want := must(all[0].Workgroup(id))(t)
			for _, d := range all[1:4] {
				got := must(d.Workgroup(id))(t)
				if standing(t, d, id) != In { // who was told of its removal does not learn what came later
					continue
				}
				if diff := cmp.Diff(plainly(want), plainly(got)); diff != "" {
					t.Errorf("%s does not agree: %s", d.name, diff)
				}
				if d.epoch(id) != all[0].epoch(id) || got.KeyMissing {
					t.Errorf("%s uses key %d, the founder %d", d.name, d.epoch(id), all[0].epoch(id))
				}
				if tags := must(d.Announce(label))(t); !slices.Contains(must(all[0].Recognise(label, tags))(t), id) {
					t.Error("the founder does not know", d.name)
				}
			}
			t.Log(done, plainly(want))
		})
	}
}

// settleAll lets everybody meet everybody until nothing moves.
func settleAll(t *testing.T, id ID, all []*device) {
	for range 4 {
		for _, a := range all {
			for _, b := range all {
				if a != b {
					apart(a, b)
					connect(t, a, b)
				}
			}
		}
	}
}

func plainly(w Workgroup) (out []string) {
	for _, m := range w.Members {
		out = append(out, fmt.Sprint(m.Name, m.Role, m.By.Short()))
	}
	return append(out, w.Name)
}

// TestTheDayAfter: a device that was away gets a long history in several rounds.
func TestTheDayAfter(t *testing.T) {
	anna, bo := newDevice(t, "anna"), newDevice(t, "bo")
	id := found(t, anna, bo)
	long := string(bytes.Repeat([]byte("n"), discovery.MaxName))
	const n = MaxBatch + 76
	anna.mu.Lock()
	g := must(anna.find(id))(t)
	_, err := anna.edit(g, func(p *pen) error {
		for range n {
			body := g.graph.Draft(ledger.Rename)
			body.Name = long
			if _, err := p.write(body); err != nil {
				return err
			}
		}
		return nil
	})
	anna.mu.Unlock()
	no(t, err)
	c := counted{wire: wire{bo, anna}}
	no(t, bo.Sync(t.Context(), id, anna.ID(), &c, func(Change) {}))
	if must(bo.Workgroup(id))(t).Name != long || c.most > MaxBatch || c.bytes > MaxBatchBytes || c.takes < 2 {
		t.Errorf("%d messages of up to %d entries and %d bytes", c.takes, c.most, c.bytes)
	}
	t.Logf("%d entries in %d messages of up to %d entries and %d bytes", n, c.takes, c.most, c.bytes)
	if a, b := must(anna.Have(id))(t), must(bo.Have(id))(t); !a.same(b) {
		t.Error("not equal")
	}
	if k := must(bo.store.Workgroups())(t)[0]; len(k.Entries) != n+4 {
		t.Errorf("%d entries stored", len(k.Entries))
	}
}

// counted is a wire that looks at what goes over it.
type counted struct {
	wire
	takes, most, bytes int
}

func (c *counted) Take(ctx context.Context, id ID, want []ledger.Prefix) ([][]byte, error) {
	raw, err := c.wire.Take(ctx, id, want)
	c.takes, c.most, c.bytes = c.takes+1, max(c.most, len(raw), len(want)), max(c.bytes, len(bytes.Join(raw, nil)))
	return raw, err
}

// TestHostileEntries: a neighbour that breaks the rules is told from one that is only ahead, and what came before counts.
func TestHostileEntries(t *testing.T) {
	anna, bo, cy := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy")
	id := found(t, anna, bo, cy)
	heads := must(anna.Have(id))(t).Heads
	sign := func(s ledger.Signer, k ledger.Kind, f func(*ledger.Body)) []byte {
		b := ledger.Body{Workgroup: id, Kind: k, Prev: heads, Depth: depthOf(t, anna, id, heads) + 1}
		if f(&b); k > 6 {
			b.Role = 0
		}
		return must(ledger.Sign(b, s))(t).Raw()
	}
	rename := sign(anna.key, ledger.Rename, func(b *ledger.Body) { b.Name = "Villa" })
	next := must(ledger.Parse(rename))(t)
	child := must(ledger.Sign(ledger.Body{Workgroup: id, Kind: ledger.Rename, Prev: []ledger.Hash{next.ID()}, Depth: next.Depth + 1, Name: "Hut"}, anna.key))(t).Raw()
	bent := bytes.Clone(rename)
	bent[len(bent)-1] ^= 1
	for _, tt := range []struct {
		name    string
		raw     [][]byte
		want    error
		wg      string
		missing int
	}{
		{"nothing", nil, nil, "Home", 0},
		{"not an entry", [][]byte{[]byte("hello")}, ErrEntry, "Home", 0},
		{"a bad signature", [][]byte{bent}, ErrEntry, "Home", 0},
		{"by a member", [][]byte{sign(bo.key, ledger.Rename, func(b *ledger.Body) { b.Name = "Mine" })}, ErrEntry, "Home", 0},
		{"by a stranger", [][]byte{sign(keyOf("eve"), ledger.Rename, func(b *ledger.Body) { b.Name = "Mine" })}, ErrEntry, "Home", 0},
		{"good after bad", [][]byte{sign(bo.key, ledger.Rename, func(b *ledger.Body) { b.Name = "Mine" }), rename}, ErrEntry, "Home", 0},
		{"too many", slices.Repeat([][]byte{rename}, MaxBatch+1), ErrEntry, "Home", 0},
		{"before its parent", [][]byte{child}, nil, "Home", 1},
		{"the parent", [][]byte{rename}, nil, "Hut", 0},
		{"both again", [][]byte{child, rename, child}, nil, "Hut", 0},
		{"a wrong depth", [][]byte{sign(anna.key, ledger.Rename, func(b *ledger.Body) { b.Name, b.Depth = "Deep", b.Depth+1 })}, ErrEntry, "Hut", 0},
		{"good, then bad", [][]byte{sign(anna.key, ledger.Rename, func(b *ledger.Body) {
			b.Name, b.Prev, b.Depth = "Shed", []ledger.Hash{must(ledger.Parse(child))(t).ID()}, b.Depth+2
		}), bent}, ErrEntry, "Shed", 0},
	} {
		c, missing, err := cy.Receive(id, bo.ID(), tt.raw)
		wants(t, err, tt.want)
		if got := must(cy.Workgroup(id))(t).Name; got != tt.wg || len(missing) != tt.missing || (len(c.Push) > 0) != (c.Any()) {
			t.Errorf("%s: %q, %d missing, %+v", tt.name, got, len(missing), c)
		}
	}
	cy.restart()
	if got := must(cy.Workgroup(id))(t).Name; got != "Shed" {
		t.Error(got)
	}
}

// TestAFloodByARemovedDevice: it signs what it likes, and nothing is stored, pushed, or changed.
func TestAFloodByARemovedDevice(t *testing.T) {
	anna, bo, cy := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy")
	id := found(t, anna, bo, cy)
	push(t, anna, must(anna.SetRole(id, bo.ID(), ledger.Admin))(t), bo, cy)
	heads := must(bo.Have(id))(t).Heads
	deep := depthOf(t, bo, id, heads) + 1
	push(t, anna, must(anna.Remove(id, ledger.Removed, bo.ID()))(t), cy)
	before, stored := must(cy.Workgroup(id))(t), len(must(cy.store.Workgroups())(t)[0].Entries)
	var flood [][]byte
	for i := range 300 {
		flood = append(flood, must(ledger.Sign(ledger.Body{
			Workgroup: id, Kind: ledger.Admit, Prev: heads, Depth: deep, Target: keyOf2(i), Role: ledger.Admin, Name: "puppet", Person: ledger.Person{1}, PersonName: "P",
		}, bo.key))(t).Raw())
	}
	for chunk := range slices.Chunk(flood, 100) {
		c, _, err := cy.Receive(id, bo.ID(), chunk)
		if c.Any() || err != nil {
			t.Error(c, err)
		}
	}
	cy.mu.Lock()
	held := cy.groups[0].graph.Held()
	cy.mu.Unlock()
	if diff := cmp.Diff(before, must(cy.Workgroup(id))(t)); diff != "" || held > ledger.MaxHeld || held == 0 {
		t.Errorf("%d held; %s", held, diff)
	}
	if n := len(must(cy.store.Workgroups())(t)[0].Entries); n != stored {
		t.Errorf("%d entries stored, %d before", n, stored)
	}
	meet(t, anna, cy, id) // and it keeps nobody from being in step
}

func keyOf2(i int) ledger.Key { return ledger.KeyOf(keyOf(fmt.Sprint("puppet ", i)).Public()) }

// TestNewerProgram: the state stays the last one known, it is said, and nothing is served to who knows more.
func TestNewerProgram(t *testing.T) {
	anna, bo := newDevice(t, "anna"), newDevice(t, "bo")
	id := found(t, anna, bo)
	heads := must(anna.Have(id))(t).Heads
	b := ledger.Body{Workgroup: id, Kind: 7, Prev: heads, Depth: depthOf(t, anna, id, heads) + 1}
	e := must(ledger.Sign(b, anna.key))(t)
	c, _, err := bo.Receive(id, anna.ID(), [][]byte{e.Raw()})
	if w := must(bo.Workgroup(id))(t); err != nil || c.Any() || !w.NeedsUpdate || w.Standing != In {
		t.Errorf("%v %+v %+v", err, c, w)
	}
	newer := newerWire{wire{bo, anna}, e.ID()}
	wants(t, bo.Sync(t.Context(), id, anna.ID(), newer, func(Change) {}), ErrSync)
	if len(bo.Synced(anna.ID())) != 0 {
		t.Error("in step with who knows more")
	}
}

// newerWire leads to a device that has one entry more, which nobody here understands.
type newerWire struct {
	wire
	extra ledger.Hash
}

func (w newerWire) Compare(ctx context.Context, id ID, s Summary) (Summary, error) {
	s.Count = 1 // whatever it is, it is another one
	s, err := w.wire.Compare(ctx, id, s)
	s.IDs = append(s.IDs, w.extra.Prefix())
	s.Heads, s.Count = []ledger.Hash{w.extra}, s.Count+1
	return s, err
}

// TestAllOrNothing: what cannot be stored did not happen.
func TestAllOrNothing(t *testing.T) {
	anna, bo, cy := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy")
	id := found(t, anna, bo)
	meet(t, anna, bo, id)
	more := must(anna.Rename(id, "Villa"))(t)
	w := must(anna.WelcomeFor(id, bo.ID()))(t)
	welcome, _, err := anna.Admit(id, Admission{Key: cy.pub(), Name: "cy", Role: ledger.Member})
	no(t, err)
	no(t, second(anna.Remove(id, ledger.Removed, cy.ID())))
	before, key := must(anna.Workgroup(id))(t), anna.epoch(id)
	anna.store.broken, bo.store.broken, cy.store.broken = true, true, true
	for name, err := range map[string]error{
		"found":   second(anna.Create(Founding{"Hut", "anna", "Anna"})),
		"remove":  second(anna.Remove(id, ledger.Removed, bo.ID())),
		"rename":  second(anna.Rename(id, "Hut")),
		"leave":   second(anna.Leave(id, true)),
		"saved":   anna.RecoverySaved(id),
		"over":    second(anna.StartOver(id, Founding{"Hut", "anna", "Anna"}, bo.ID())),
		"receive": func() error { _, _, err := bo.Receive(id, anna.ID(), more.Push); return err }(),
		"join":    second(cy.Join(anna.ID(), welcome)),
	} {
		if !errors.Is(err, errBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if diff := cmp.Diff(before, must(anna.Workgroup(id))(t)); diff != "" || anna.epoch(id) != key || len(anna.Workgroups()) != 1 || len(cy.Workgroups()) != 0 {
		t.Errorf("epoch %d; %s", anna.epoch(id), diff)
	}
	if must(bo.Workgroup(id))(t).Name != "Home" {
		t.Error("bo took what it could not store")
	}
	anna.store.broken, bo.store.broken, cy.store.broken = false, false, false
	push(t, anna, more, bo) // and it is taken when it comes again
	if must(bo.Workgroup(id))(t).Name != "Villa" {
		t.Error("bo does not take it any more")
	}
	apart(anna, bo)
	meet(t, bo, anna, id)
	wants(t, second(bo.Join(anna.ID(), w)), ErrMember)
}

func TestManyAtOnce(t *testing.T) {
	anna, bo, cy := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy")
	id := found(t, anna, bo, cy)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 5 {
				c, err := anna.Rename(id, fmt.Sprint("Home ", i, j))
				if err == nil {
					_, _, err = bo.Receive(id, anna.ID(), c.Push)
				}
				if err != nil {
					t.Error(err)
				}
				anna.Workgroups()
				bo.Common(anna.ID())
				if _, err := bo.Announce(label); err != nil {
					t.Error(err)
				}
				if err := bo.Sync(t.Context(), id, anna.ID(), wire{bo, anna}, func(Change) {}); err != nil && !errors.Is(err, ErrSync) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	meet(t, bo, anna, id)
	if a, b := must(anna.Workgroup(id))(t), must(bo.Workgroup(id))(t); a.Name != b.Name {
		t.Error(a.Name, b.Name)
	}
}

func TestSummaryIsBounded(t *testing.T) {
	most := Summary{Heads: make([]ledger.Hash, ledger.MaxParents), Count: ledger.MaxEntries, IDs: make([]ledger.Prefix, ledger.MaxEntries)}
	b := must(most.Encode())(t)
	if len(b) > MaxSummary {
		t.Errorf("%d bytes, at most %d", len(b), MaxSummary)
	}
	t.Logf("the longest summary has %d bytes", len(b))
	if got := must(ParseSummary(b))(t); !got.same(most) || len(got.IDs) != len(most.IDs) {
		t.Error("not what it was")
	}
	for name, w := range map[string]wireSummary{
		"no entries":      {},
		"less than none":  {Count: -1},
		"too many":        {Count: ledger.MaxEntries + 1},
		"half a head":     {Heads: make([]byte, 33), Count: 1},
		"too many heads":  {Heads: make([]byte, 17*32), Count: 1},
		"half a prefix":   {IDs: make([]byte, 9), Count: 1},
		"a prefix more":   {IDs: make([]byte, 8*(ledger.MaxEntries+1)), Count: 1},
		"too many of all": {Heads: make([]byte, 16*32), IDs: make([]byte, 8*(ledger.MaxEntries+9)), Count: 1},
	} {
		if _, err := ParseSummary(must(canon.Marshal(w))(t)); !errors.Is(err, ErrEntry) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSummaryOfAnything: bytes of a neighbour are a summary that is written the same again, or ErrEntry.
func TestSummaryOfAnything(t *testing.T) {
	good := must(Summary{Heads: []ledger.Hash{{1}, {2}}, Count: 3, IDs: []ledger.Prefix{{1}, {2}, {3}}}.Encode())(t)
	r := rand.New(rand.NewPCG(3, 4))
	taken := 0
	for range 20_000 {
		b := bytes.Clone(good)
		for range r.IntN(3) {
			b[r.IntN(min(len(b), 1+r.IntN(len(b))))] ^= 1 << r.IntN(8)
		}
		if r.IntN(8) == 0 {
			b = b[:r.IntN(len(b))]
		}
		s, err := ParseSummary(b)
		if err != nil {
			if !errors.Is(err, ErrEntry) {
				t.Fatal(err)
			}
			continue
		}
		taken++
		if again := must(ParseSummary(must(s.Encode())(t)))(t); !again.same(s) || !slices.Equal(again.IDs, s.IDs) {
			t.Fatalf("%x is %+v and then %+v", b, s, again)
		}
	}
	if t.Logf("%d were one", taken); taken < 1000 || taken > 19_000 {
		t.Errorf("%d of 20000 were one", taken)
	}
}

// BenchmarkCommon is what each request asks first.
func BenchmarkCommon(b *testing.B) {
	anna, bo := newDevice(b, "anna"), newDevice(b, "bo")
	w := must(anna.Create(Founding{Name: "Home", Device: "anna", PersonName: "Anna"}))(b)
	_, _, err := anna.Admit(w.ID, Admission{Key: bo.pub(), Name: "bo", Role: ledger.Member})
	no(b, err)
	for b.Loop() {
		if len(anna.Common(bo.ID())) != 1 {
			b.Fatal("not a member")
		}
	}
}
