package ledger

import (
	"errors"
	"testing"
)

// The rows of the law's consequences, in its words.

func TestMemberAdmitsOrRemovesSomeone(t *testing.T) {
	w := newGroup(t)
	w.do(w.anna, Admit, w.bo, Member, nil)
	w.do(w.anna, Admit, w.cy, Member, nil)
	for _, e := range []*Entry{
		w.say(w.bo, Admit, w.dora, Member, nil), w.say(w.bo, Remove, w.cy, 0, nil), w.say(w.bo, Remove, w.anna, 0, nil),
		w.say(w.bo, SetRole, w.bo, Admin, nil), w.say(w.bo, Rename, w.bo, 0, nil), w.say(w.bo, NewDiscoveryKey, w.bo, 0, nil),
		w.say(w.dora, Admit, w.dora, Admin, nil),
	} {
		if _, err := w.g.Insert(e); !errors.Is(err, ErrRight) {
			t.Errorf("kind %d by a member: %v", e.Kind, err)
		}
	}
	if n := w.g.Len(); n != 3 {
		t.Errorf("%d entries", n)
	}
}

func TestMemberLeavesAndIsAdmittedAgainLater(t *testing.T) {
	w := newGroup(t)
	w.do(w.anna, Admit, w.bo, Member, nil)
	w.do(w.bo, Remove, w.bo, 0, nil)
	w.want(w.bo, false, "left")
	w.do(w.anna, Admit, w.bo, Member, nil)
	w.want(w.bo, true, "admitted again")
}

func TestRemovedAdminSignsAdmissionsAndRemovalsOnOldParents(t *testing.T) {
	w := newGroup(t)
	w.do(w.anna, Admit, w.bo, Admin, nil)
	w.do(w.anna, Admit, w.cy, Member, nil)
	old := w.g.Heads()
	w.do(w.anna, Remove, w.bo, 0, nil)
	before := print(w.g.State())
	heads, n := w.g.Heads(), w.g.Len()
	for _, e := range []*Entry{w.say(w.bo, Admit, w.dora, Admin, old), w.say(w.bo, Remove, w.cy, 0, old), w.say(w.bo, Remove, w.anna, 0, old)} {
		kept, err := w.g.Insert(e)
		if err != nil || len(kept) != 0 || !w.g.Has(e.ID()) || !w.g.IsVoid(e.ID()) {
			t.Errorf("kind %d: %d to pass on, %v; here %v, void %v", e.Kind, len(kept), err, w.g.Has(e.ID()), w.g.IsVoid(e.ID()))
		}
	}
	if after := print(w.g.State()); after != before {
		t.Errorf("state was\n%sis\n%s", before, after)
	}
	if len(heads) != 1 || w.g.Heads()[0] != heads[0] || w.g.Len() != n || w.g.Held() != 3 {
		t.Errorf("heads %v, %d entries, %d held", w.g.Heads(), w.g.Len(), w.g.Held())
	}
}

func TestTwoAdminsRemoveEachOtherAtOnce(t *testing.T) {
	w := newGroup(t)
	w.do(w.anna, Admit, w.bo, Admin, nil)
	w.do(w.anna, Admit, w.cy, Admin, nil)
	at := w.g.Heads()
	w.do(w.cy, Remove, w.bo, 0, at)
	w.do(w.bo, Remove, w.cy, 0, at)
	w.want(w.bo, true, "the senior stays")
	w.want(w.cy, false, "the junior")
}

// lostLaptop is the story of four rows: bo, a junior admin, removes the lost laptop of anna, the founder.
func lostLaptop(t *testing.T) (w *group, good []Hash, removal *Entry) {
	w = newGroup(t)
	w.do(w.anna, Admit, w.bo, Admin, nil)
	w.do(w.anna, Admit, w.cy, Member, nil)
	good = w.g.Heads()
	return w, good, w.do(w.bo, Remove, w.anna, 0, nil)
}

func TestJuniorAdminRemovesSeniorUntilItContests(t *testing.T) {
	w, _, removal := lostLaptop(t)
	w.want(w.anna, false, "the senior is out")
	contest := w.say(w.anna, Remove, w.bo, 0, w.g.HeadsWithout(removal.ID()))
	if _, err := w.g.Insert(contest); err != nil {
		t.Fatal(err)
	}
	w.want(w.anna, true, "until it contests")
	w.want(w.bo, false, "whose removal was contested")
}

// thief removes everybody with the laptop that was lost, offline.
func thief(w *group, good []Hash) (last *Entry) {
	first := w.do(w.anna, Remove, w.bo, 0, good)
	return w.do(w.anna, Remove, w.cy, 0, []Hash{first.ID()})
}

func TestThiefOfThatSeniorLaptopOfflineRemovesEverybody(t *testing.T) {
	w, good, _ := lostLaptop(t)
	thief(w, good)
	w.want(w.anna, true, "the thief wins by seniority")
	w.want(w.bo, false, "bo")
	w.want(w.cy, false, "cy")
}

func TestThenTheRecoveryCodeRemovesTheLaptopWithTheLastGoodHeads(t *testing.T) {
	w, good, _ := lostLaptop(t)
	last := thief(w, good)
	w.do(w.code, Remove, w.anna, 0, good)
	check := func(when string) {
		t.Helper()
		w.want(w.anna, false, when+": the laptop")
		w.want(w.bo, true, when+": bo")
		w.want(w.cy, true, when+": cy")
		if !w.g.IsVoid(last.ID()) {
			t.Errorf("%s: the thief's acts are not void", when)
		}
	}
	check("everybody back")
	puppet := w.do(w.anna, Admit, w.dora, Admin, []Hash{last.ID()})
	w.do(w.dora, Admit, dev(50), Member, []Hash{puppet.ID()})
	check("future acts of the thief")
	w.want(w.dora, false, "the thief's puppet")
}

func TestARemovesXWhileBNotKnowingAdmitsX(t *testing.T) {
	w := newGroup(t)
	w.do(w.anna, Admit, w.bo, Admin, nil)
	w.do(w.anna, Admit, w.cy, Member, nil)
	at := w.g.Heads()
	leaves := w.do(w.cy, Remove, w.cy, 0, at)
	w.do(w.bo, Admit, w.cy, Member, []Hash{leaves.ID()}) // bo knows of the leaving, not of anna's removal
	w.do(w.anna, Remove, w.cy, 0, at)
	w.want(w.cy, false, "X is out")
	w.do(w.bo, Admit, w.cy, Member, nil)
	w.want(w.cy, true, "B may admit again knowingly")
}

func TestSeniorDemotesBWhileBAdmitsX(t *testing.T) {
	w := newGroup(t)
	w.do(w.anna, Admit, w.bo, Admin, nil)
	at := w.g.Heads()
	w.do(w.bo, Admit, w.cy, Member, at)
	w.want(w.cy, true, "X before")
	w.do(w.anna, SetRole, w.bo, Member, at)
	w.want(w.cy, false, "X is out")
	w.want(w.bo, true, "B, now a member,")
	if w.g.State().Is(w.bo.Key().ID(), Admin) {
		t.Error("B is still an admin")
	}
	left := w.do(w.bo, Remove, w.bo, 0, at)
	if w.g.IsVoid(left.ID()) {
		t.Error("leaving is void after a demotion")
	}
	w.want(w.bo, false, "who left")
}

func TestPuppetChainOfARemovedAdminDiesWithItsMaker(t *testing.T) {
	w := newGroup(t)
	w.do(w.anna, Admit, w.bo, Admin, nil)
	at := w.g.Heads()
	prev, maker := at, w.bo
	var chain []signer
	for n := range 10 {
		puppet := dev(200 + n)
		prev = []Hash{w.do(maker, Admit, puppet, Admin, prev).ID()}
		chain = append(chain, puppet)
		maker = puppet
	}
	w.want(maker, true, "the last puppet, before")
	w.do(w.anna, Remove, w.bo, 0, at)
	for _, p := range chain {
		w.want(p, false, "puppet")
	}
	if n := len(w.g.State().Members); n != 1 {
		t.Errorf("%d members", n)
	}
}

// A demotion by a senior is a ruling for ever: a later SetRole gives the word back, not the power. Removing and admitting does.
func TestPromotionAfterASeniorsDemotion(t *testing.T) {
	w := newGroup(t)
	w.do(w.anna, Admit, w.bo, Admin, nil)
	w.do(w.anna, SetRole, w.bo, Member, nil)
	w.do(w.anna, SetRole, w.bo, Admin, nil)
	if !w.g.State().Is(w.bo.Key().ID(), Admin) {
		t.Error("role is not that of the last SetRole")
	}
	if e := w.do(w.bo, Admit, w.cy, Member, nil); !w.g.IsVoid(e.ID()) {
		t.Error("the act of a demoted admin counts")
	}
	w.do(w.anna, Remove, w.bo, 0, nil)
	w.do(w.anna, Admit, w.bo, Admin, nil)
	if e := w.do(w.bo, Admit, w.dora, Member, nil); w.g.IsVoid(e.ID()) {
		t.Error("the act of an admin who was admitted anew is void")
	}
	w.want(w.dora, true, "whom it admitted")
}

func TestTargets(t *testing.T) {
	w := newGroup(t)
	w.do(w.anna, Admit, w.bo, Member, nil)
	for name, e := range map[string]*Entry{
		"admit an active device":  w.say(w.anna, Admit, w.bo, Member, nil),
		"admit the recovery key":  w.say(w.anna, Admit, w.code, Member, nil),
		"remove a stranger":       w.say(w.anna, Remove, w.cy, 0, nil),
		"give a stranger a role":  w.say(w.anna, SetRole, w.cy, Admin, nil),
		"remove the recovery key": w.say(w.anna, Remove, w.code, 0, nil),
	} {
		if _, err := w.g.Insert(e); !errors.Is(err, ErrTarget) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNamesAndKeys(t *testing.T) {
	w := newGroup(t)
	w.do(w.anna, Admit, w.bo, Member, nil)
	group := w.g.Draft(Rename)
	group.Name = "Office"
	device := w.g.Draft(Rename)
	device.Target, device.Name, device.Person, device.PersonName = w.anna.Key(), "Anna-PC", Person{9}, "Anna B."
	for _, b := range []Body{group, device} {
		if _, err := w.g.Insert(must[*Entry](t)(Sign(b, w.anna))); err != nil {
			t.Fatal(err)
		}
	}
	w.do(w.anna, NewDiscoveryKey, w.bo, 0, nil)
	last := w.do(w.anna, NewDiscoveryKey, w.cy, 0, nil)
	st := w.g.State()
	anna, ok := st.Member(w.anna.Key().ID())
	if st.Name != "Office" || !ok || anna.Name != "Anna-PC" || anna.PersonName != "Anna B." || anna.Role != Admin {
		t.Errorf("%q, %+v", st.Name, anna)
	}
	if n := len(st.Keys); n != 2 || st.Keys[1].ID != last.KeyID || st.Keys[1].Epoch != last.Epoch {
		t.Errorf("keys %+v", st.Keys)
	}
	if epoch, ok := st.Epoch(last.KeyID); !ok || epoch != last.Epoch {
		t.Errorf("epoch %d, %v", epoch, ok)
	}
	if _, ok := st.Epoch([16]byte{1}); ok {
		t.Error("an epoch of a key nobody announced")
	}
	if bo, _ := st.Member(w.bo.Key().ID()); bo.By != w.anna.Key() || bo.PersonName != "Somebody" {
		t.Errorf("%+v", bo)
	}
	w.do(w.anna, Remove, w.bo, 0, nil)
	if e, ok := w.g.Removal(w.bo.Key().ID()); !ok || e.Author != w.anna.Key() {
		t.Errorf("removal %v %v", e, ok)
	}
	if _, ok := w.g.Removal(w.anna.Key().ID()); ok {
		t.Error("an active device has a removal")
	}
}

func TestStateAt(t *testing.T) {
	w := newGroup(t)
	w.do(w.anna, Admit, w.bo, Member, nil)
	then, was := w.g.Heads(), print(w.g.State())
	w.do(w.anna, Admit, w.cy, Member, nil)
	w.do(w.anna, Remove, w.bo, 0, nil)
	st, err := w.g.StateAt(then)
	if err != nil || print(st) != was {
		t.Errorf("%v\n%s", err, print(st))
	}
	if _, err := w.g.StateAt([]Hash{{1}}); !errors.Is(err, ErrParent) {
		t.Errorf("unknown heads: %v", err)
	}
}
