package workgroup

import (
	"crypto/sha256"
	"errors"
	"slices"
	"testing"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
)

// TestContest: a junior removes the founder, which takes it back, in each way it can learn of it.
func TestContest(t *testing.T) {
	for _, way := range []string{"pushed", "told", "told by hearsay"} {
		t.Run(way, func(t *testing.T) {
			anna, bo, cy, dora := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy"), newDevice(t, "dora")
			id := found(t, anna, bo, cy)
			push(t, anna, must(anna.SetRole(id, bo.ID(), ledger.Admin))(t), bo, cy)
			if way == "told by hearsay" { // what removes anna rests on something that she does not have
				push(t, bo, must(bo.Rename(id, "Bo's"))(t), cy)
			}
			c := must(bo.Remove(id, ledger.Lost, anna.ID()))(t)
			push(t, bo, c, cy)
			push(t, bo, admit(t, bo, dora, id, ledger.Admin), cy)
			if len(c.Gone) != 1 || !slices.Equal(cy.cut, []discovery.DeviceID{anna.ID()}) {
				t.Error("cy cut", cy.cut)
			}
			meet(t, bo, cy, id) // and so cy has the new key, which anna does not know
			switch way {
			case "pushed":
				push(t, bo, c, anna)
			default:
				if common, _ := connect(t, anna, cy); len(common) != 0 {
					t.Error("a removed device has in common", common)
				}
			}
			w := must(anna.Workgroup(id))(t)
			if !w.Contest || w.Removal == nil || w.Removal.By != bo.ID() || w.Removal.ByName != "bo" || w.Removal.Reason != ledger.Lost ||
				w.Removal.Hearsay != (way == "told by hearsay") || (w.Standing == In) != w.Removal.Hearsay {
				t.Fatalf("anna sees %+v, %+v", w, w.Removal)
			}
			if way != "told by hearsay" { // what is hearsay is told again
				anna.restart()
				if !must(anna.Workgroup(id))(t).Contest {
					t.Error("not after a restart")
				}
			}
			c = must(anna.Contest(id))(t)
			if !slices.Contains(c.Gone, bo.ID()) || len(c.Push) != 2 {
				t.Errorf("%+v", c)
			}
			wantNames(t, anna, id, "anna*", "cy")
			w = must(anna.Workgroup(id))(t)
			if w.Contest || w.Removal != nil || w.Standing != In {
				t.Errorf("after it %+v", w)
			}
			// She hands it to who takes her for removed, and is served from the next connection on.
			connect(t, anna, cy)
			wantNames(t, cy, id, "anna*", "cy")
			if !slices.Contains(cy.cut, bo.ID()) || !slices.Contains(cy.cut, dora.ID()) {
				t.Error("cy cut", cy.cut)
			}
			meet(t, anna, cy, id)
			if cy.epoch(id) != anna.epoch(id) || len(must(cy.Recognise(label, must(anna.Announce(label))(t)))(t)) != 1 {
				t.Error("cy has another key in use")
			}
			connect(t, bo, cy)
			if w := must(bo.Workgroup(id))(t); w.Contest || w.Removal == nil {
				t.Errorf("bo sees %+v", w)
			}
			wants(t, second(bo.Contest(id)), ErrNoContest)
		})
	}
}

// TestNobodyContestsASenior: the removed junior, and a removal that nobody may take back.
func TestNobodyContestsASenior(t *testing.T) {
	anna, bo, cy := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy")
	id := found(t, anna, bo, cy)
	push(t, anna, must(anna.SetRole(id, bo.ID(), ledger.Admin))(t), bo, cy)
	push(t, anna, must(anna.Remove(id, ledger.Removed, bo.ID(), cy.ID()))(t), bo, cy)
	for _, d := range []*device{bo, cy} {
		if w := must(d.Workgroup(id))(t); w.Contest || w.Standing != Out {
			t.Errorf("%s: %+v", d.name, w)
		}
		wants(t, second(d.Contest(id)), ErrNoContest)
		wants(t, second(d.Rename(id, "Mine")), ErrNotMember)
	}
}

// TestAJuniorDoesNotAnswerHearsay: nor does it contest a senior's removal that it has only heard of.
func TestAJuniorDoesNotAnswerHearsay(t *testing.T) {
	anna, bo, cy := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy")
	id := found(t, anna, bo, cy)
	push(t, anna, must(anna.SetRole(id, bo.ID(), ledger.Admin))(t), bo, cy)
	push(t, anna, must(anna.Rename(id, "Anna's"))(t), cy)
	push(t, anna, must(anna.Remove(id, ledger.Removed, bo.ID()))(t), cy)
	connect(t, bo, cy)
	if w := must(bo.Workgroup(id))(t); w.Contest || w.Removal == nil || !w.Removal.Hearsay {
		t.Errorf("%+v %+v", w, w.Removal)
	}
	wants(t, second(bo.Contest(id)), ErrNoContest)
	wantNames(t, bo, id, "anna*", "bo*", "cy")
}

// TestTwoRemoveTheFounderAtOnce: one contest answers both.
func TestTwoRemoveTheFounderAtOnce(t *testing.T) {
	anna, bo, cy, dora := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy"), newDevice(t, "dora")
	id := found(t, anna, bo, cy, dora)
	for _, d := range []*device{bo, cy} {
		push(t, anna, must(anna.SetRole(id, d.ID(), ledger.Admin))(t), bo, cy, dora)
	}
	byBo, byCy := must(bo.Remove(id, ledger.Removed, anna.ID()))(t), must(cy.Remove(id, ledger.Removed, anna.ID()))(t)
	push(t, bo, byBo, anna, dora)
	push(t, cy, byCy, anna, dora)
	wantNames(t, dora, id, "bo*", "cy*", "dora")
	push(t, anna, must(anna.Contest(id))(t), dora, bo, cy)
	for _, d := range []*device{anna, dora, bo, cy} {
		wantNames(t, d, id, "anna*", "dora")
	}
}

// TestTold: a notice is believed for its signature, and nothing else.
func TestTold(t *testing.T) {
	anna, bo, cy := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy")
	id, other := found(t, anna, bo, cy), found(t, anna, bo)
	notice := func(b ledger.Body, s ledger.Signer) Notice {
		return Notice{id, must(ledger.Sign(b, s))(t).Raw()}
	}
	far := ledger.Body{Workgroup: id, Kind: ledger.Remove, Target: bo.pub(), Prev: []ledger.Hash{{1}}, Depth: 9, Reason: ledger.Removed}
	for _, tt := range []struct {
		name string
		n    Notice
		want error
		told bool
	}{
		{"nothing", Notice{Workgroup: id}, ErrEntry, false},
		{"of no workgroup", Notice{Workgroup: ID{1}, Entry: notice(far, anna.key).Entry}, ErrUnknown, false},
		{"of another workgroup", Notice{Workgroup: other, Entry: notice(far, anna.key).Entry}, ErrEntry, false},
		{"about somebody else", notice(func() ledger.Body { b := far; b.Target = cy.pub(); return b }(), anna.key), ErrEntry, false},
		{"no removal", Notice{Workgroup: id, Entry: must(bo.Fetch(id, anna.ID(), all(t, bo, id)))(t)[1]}, ErrEntry, false},
		{"by a member", notice(far, cy.key), nil, false},
		{"by a stranger", notice(far, newDevice(t, "eve").key), nil, false},
		{"by a member, on what is here", notice(func() ledger.Body {
			b := far
			b.Prev, b.Depth = must(bo.Have(id))(t).Heads, depth(bo, id)+1
			return b
		}(), cy.key), ErrEntry, false},
		{"by itself", notice(far, bo.key), nil, false},
		{"by an admin", notice(far, anna.key), nil, true},
	} {
		c, _, err := bo.Told(cy.ID(), tt.n)
		wants(t, err, tt.want)
		w := must(bo.Workgroup(id))(t)
		if (w.Removal != nil) != tt.told || c.Any() != tt.told || w.Standing != In || w.Contest {
			t.Errorf("%s: %+v %+v", tt.name, c, w)
		}
	}
}

// TestLeftUnheard: nobody was there when bo left. Whoever says hello to it later and was a member with it is told, and nobody else.
func TestLeftUnheard(t *testing.T) {
	anna, bo, cy, eve := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy"), newDevice(t, "eve")
	id := found(t, anna, bo, cy)
	must(bo.Leave(id, false))(t)
	bo.restart()
	for _, tt := range []struct {
		who   *device
		times int
	}{{anna, 1}, {cy, 1}, {eve, 0}} {
		exp := exporter(tt.who, bo)
		r := must(bo.Answer(exp, tt.who.ID(), must(tt.who.Prove(exp))(t)))(t)
		if len(r.Left) != tt.times || len(r.Removed) != 0 || len(r.Common) != 0 {
			t.Fatalf("%s is answered %+v", tt.who.name, r)
		}
		if tt.times == 0 {
			continue
		}
		if _, _, err := tt.who.Told(eve.ID(), r.Left[0]); !errors.Is(err, ErrEntry) {
			t.Errorf("%s hears of it from somebody else: %v", tt.who.name, err)
		}
		c, own, err := tt.who.Told(bo.ID(), r.Left[0])
		no(t, err)
		if !slices.Equal(c.Gone, []discovery.DeviceID{bo.ID()}) || len(own) != 0 || len(must(tt.who.Workgroup(id))(t).Members) != 2 {
			t.Errorf("%s, told: %+v", tt.who.name, c)
		}
		if c, _, err = tt.who.Told(bo.ID(), r.Left[0]); c.Any() || err != nil {
			t.Errorf("%s, told once more: %+v, %v", tt.who.name, c, err)
		}
	}
	no(t, bo.Forget(id))
	exp := exporter(anna, bo)
	if r := must(bo.Answer(exp, anna.ID(), must(anna.Prove(exp))(t)))(t); len(r.Left) != 0 {
		t.Errorf("what was forgotten is told: %+v", r)
	}
}

// all returns the start of the ID of every entry.
func all(t *testing.T, d *device, id ID) []ledger.Prefix {
	t.Helper()
	return must(d.Compare(id, discovery.DeviceID{}, Summary{Count: 1}))(t).IDs
}

func depth(d *device, id ID) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	g, _ := d.find(id)
	return g.graph.Draft(ledger.Rename).Depth - 1
}

// TestRecover: the founder's laptop is stolen, and the thief removes everybody. Somebody with the sheet takes it all back, on a
// computer that was a member, on one that was removed, and on one that never was one.
func TestRecover(t *testing.T) {
	for _, who := range []string{"cy", "zoe", "bo"} {
		t.Run(who, func(t *testing.T) {
			anna, bo, cy, zoe := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy"), newDevice(t, "zoe")
			id := found(t, anna, bo, cy)
			code := must(anna.RecoveryCode(id))(t)
			no(t, anna.RecoverySaved(id))
			c := must(anna.Remove(id, ledger.Removed, bo.ID()))(t) // the thief
			push(t, anna, c, bo)
			if who == "zoe" {
				push(t, anna, c, cy)
			}
			hero := map[string]*device{"bo": bo, "cy": cy, "zoe": zoe}[who]
			var w Welcome
			if who == "zoe" {
				exp := exporter(zoe, cy)
				sheet := must(must(ledger.ParseRecoveryCode(code.String()))(t).Key())(t)
				w = must(cy.WelcomeByCode(exp, sheet.Prove(exp)))(t)
				wants(t, second(cy.WelcomeByCode(exporter(cy, zoe), sheet.Prove(exp))), ErrCode)
				wants(t, second(cy.WelcomeByCode(exp, nil)), ErrCode)
				wants(t, second(zoe.Moments(code, Welcome{})), ErrCode)
			}
			wants(t, second(hero.Moments(ledger.RecoveryCode{1}, w)), ErrCode)
			moments := must(hero.Moments(code, w))(t)
			at := slices.IndexFunc(moments, func(m Moment) bool { return len(m.Members) == 3 })
			if at < 0 || moments[len(moments)-1].Members[0].ID != anna.ID() || len(moments[len(moments)-1].Members) != 1 {
				t.Fatalf("%+v", moments)
			}
			choice := Choice{Heads: moments[at].Heads, Remove: []discovery.DeviceID{anna.ID()}, Name: who, PersonName: "Rescuer"}
			bad := choice
			bad.Heads = nil
			wants(t, second(hero.Recover(code, w, bad)), ErrMoment)
			bad.Heads = []ledger.Hash{{1}}
			wants(t, second(hero.Recover(code, w, bad)), ErrMoment)
			bad = choice
			bad.Remove = []discovery.DeviceID{zoe.ID()}
			if who == "zoe" {
				wants(t, second(hero.Recover(code, w, bad)), ErrSelf)
			} else {
				wants(t, second(hero.Recover(code, w, bad)), ErrNotMember)
			}
			wants(t, second(hero.Recover(ledger.RecoveryCode{1}, w, choice)), ErrCode)

			c = must(hero.Recover(code, w, choice))(t)
			for _, d := range []*device{bo, cy, anna} {
				if d != hero {
					push(t, hero, c, d)
				}
			}
			want := map[string][]string{"bo": {"cy", "bo*"}, "cy": {"bo", "cy*"}, "zoe": {"bo", "cy", "zoe*"}}[who]
			for _, d := range []*device{hero, bo, cy, anna} {
				wantNames(t, d, id, want...)
			}
			if standing(t, anna, id) != Out || must(anna.Workgroup(id))(t).Contest {
				t.Error("the thief may contest")
			}
			hero.restart()
			wantNames(t, hero, id, want...)
			other := bo
			if who == "bo" {
				other = cy
			}
			meet(t, other, hero, id)
			if other.epoch(id) != hero.epoch(id) {
				t.Error("not the same key in use")
			}
			// What the thief does from now on is nothing.
			c, _, err := hero.Receive(id, anna.ID(), [][]byte{must(ledger.Sign(ledger.Body{
				Workgroup: id, Kind: ledger.Remove, Target: cy.pub(), Prev: moments[at].Heads, Depth: depthOf(t, hero, id, moments[at].Heads) + 1, Reason: ledger.Removed,
			}, anna.key))(t).Raw()})
			if c.Any() || err != nil {
				t.Error(c, err)
			}
			wantNames(t, hero, id, want...)
		})
	}
}

func depthOf(t *testing.T, d *device, id ID, heads []ledger.Hash) (deep uint32) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	g := must(d.find(id))(t)
	return must(g.graph.DraftOn(ledger.Remove, heads))(t).Depth - 1
}

func TestStartOver(t *testing.T) {
	anna, bo, cy, dora := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy"), newDevice(t, "dora")
	old := found(t, anna, bo, cy, dora)
	push(t, anna, must(anna.Remove(old, ledger.Removed, bo.ID(), cy.ID()))(t), bo, cy, dora) // anna is in bad hands
	var past []string
	for _, m := range must(bo.Past(old))(t) {
		past = append(past, m.Name)
	}
	if !slices.Equal(past, []string{"anna", "bo", "cy", "dora"}) {
		t.Error(past)
	}
	f := Founding{Name: "Home", Device: "bo", PersonName: "Bo"}
	wants(t, second(bo.StartOver(old, f, newDevice(t, "eve").ID())), ErrNotMember)
	wants(t, second(bo.StartOver(old, f, bo.ID())), ErrNotMember)
	wants(t, second(bo.StartOver(ID{1}, f)), ErrUnknown)
	w := must(bo.StartOver(old, f, cy.ID(), dora.ID()))(t)
	wantNames(t, bo, w.ID, "bo*", "cy", "dora")
	if w.Replaces != old || len(bo.Workgroups()) != 2 || !bo.Workgroups()[0].Twin {
		t.Errorf("%+v", w)
	}
	welcome := must(bo.WelcomeFor(w.ID, cy.ID()))(t)
	wants(t, second(cy.Offered(anna.ID(), welcome)), ErrEntry) // not from who started it
	wants(t, second(anna.Offered(bo.ID(), welcome)), ErrEntry) // not for anna
	o := must(cy.Offered(bo.ID(), welcome))(t)
	if o.Name != "Home" || o.Old != old || o.By.Name != "bo" || len(o.Members) != 3 || len(o.Without) != 1 || o.Without[0].Name != "anna" {
		t.Errorf("%+v", o)
	}
	if len(cy.Workgroups()) != 1 || len(must(cy.store.Workgroups())(t)) != 1 || len(cy.Offers()) != 1 {
		t.Error("something happened without a click")
	}
	must(cy.Offered(bo.ID(), welcome))(t) // again, at the next connection
	cs := must(cy.MoveOver(w.ID))(t)
	if len(cs) != 2 || cs[0].Workgroup != w.ID || cs[1].Workgroup != old || len(cy.Offers()) != 0 {
		t.Errorf("%+v", cs)
	}
	if standing(t, cy, w.ID) != In || standing(t, cy, old) != Left {
		t.Error("not moved")
	}
	meet(t, cy, bo, w.ID)
	// dora does not want to.
	must(dora.Offered(bo.ID(), must(bo.WelcomeFor(w.ID, dora.ID()))(t)))(t)
	no(t, dora.Decline(w.ID))
	dora.restart()
	wants(t, second(dora.Offered(bo.ID(), must(bo.WelcomeFor(w.ID, dora.ID()))(t))), ErrOffer)
	if len(dora.Workgroups()) != 1 {
		t.Error("moved without a click")
	}
	// Somebody who was never in the old one offers.
	eve := newDevice(t, "eve")
	fake := must(ledger.Sign(ledger.Body{Kind: ledger.Genesis, Name: "Home", Person: ledger.Person{1}, PersonName: "Eve", Recovery: ledger.Key(sha256.Sum256(nil)), Salt: [16]byte{1}, Replaces: old}, eve.key))(t)
	g := must(ledger.New(fake))(t)
	body := g.Draft(ledger.Admit)
	body.Target, body.Role, body.Name, body.Person, body.PersonName = dora.pub(), ledger.Member, "dora", ledger.Person{2}, "Dora"
	in := must(ledger.Sign(body, eve.key))(t)
	wants(t, second(dora.Offered(eve.ID(), Welcome{Workgroup: fake.ID(), Entries: [][]byte{fake.Raw(), in.Raw()}})), ErrOffer)
}
