package workgroup

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
)

const label = "abcdefghijklmnop"

func TestFoundJoinAndServe(t *testing.T) {
	anna, bo, cy := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy")
	id := found(t, anna, bo, cy)
	for _, d := range []*device{anna, bo, cy} {
		wantNames(t, d, id, "anna*", "bo", "cy")
		w := must(d.Workgroup(id))(t)
		if w.Name != "Home" || w.Standing != In || w.Unsaved != (d == anna) || w.KeyMissing || w.Twin || w.NeedsUpdate || w.Removal != nil || d.epoch(id) != 1 {
			t.Errorf("%s: %+v", d.name, w)
		}
		if m := w.Members[0]; m.ID != anna.ID() || m.PersonName != "Person of anna" || m.Via != ledger.ViaFounder || m.By != anna.ID() || m.Self != (d == anna) || m.Since.Year() != anna.clock.Year() {
			t.Errorf("%s: the founder is %+v", d.name, m)
		}
		if m := w.Members[1]; m.By != anna.ID() || m.Via != ledger.ViaCode || m.PersonName != "bo" || m.Person == w.Members[2].Person {
			t.Errorf("%s: %+v", d.name, m)
		}
	}
	if got := bo.Synced(cy.ID()); len(got) != 0 || !slices.Equal(bo.Common(cy.ID()), []ID{id}) {
		t.Error("served before they compared:", got)
	}
	if _, err := bo.Keys(id, cy.ID()); err == nil {
		t.Error("keys before they compared")
	}
	meet(t, bo, cy, id)
	apart(bo, cy)
	if len(bo.Synced(cy.ID())) != 0 {
		t.Error("served when there is no connection")
	}
	meet(t, cy, bo, id) // the other way round
	for _, d := range []*device{anna, bo, cy} {
		before := must(d.Workgroup(id))(t)
		d.restart()
		if diff := cmp.Diff(before, must(d.Workgroup(id))(t)); diff != "" {
			t.Error("after a restart:", diff)
		}
		if len(d.Synced(bo.ID())) != 0 {
			t.Error("in step by memory")
		}
	}
	meet(t, anna, cy, id)
}

func TestWhoMayDoWhat(t *testing.T) {
	anna, bo, cy, eve := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy"), newDevice(t, "eve")
	id := found(t, anna, bo)
	good := Admission{Key: cy.pub(), Name: "cy", Role: ledger.Member}
	with := func(f func(*Admission)) Admission { a := good; f(&a); return a }
	for _, tt := range []struct {
		name string
		want error
		do   func() error
	}{
		{"found without a name", discovery.ErrName, func() error { _, err := anna.Create(Founding{Device: "anna", PersonName: "Anna"}); return err }},
		{"found with a name that hides others", discovery.ErrName, func() error { _, err := anna.Create(Founding{"Ho\u202eme", "anna", "Anna"}); return err }},
		{"a member admits", ErrNotAdmin, func() error { _, _, err := bo.Admit(id, good); return err }},
		{"a member removes", ErrNotAdmin, func() error { _, err := bo.Remove(id, ledger.Removed, anna.ID()); return err }},
		{"a member renames", ErrNotAdmin, func() error { _, err := bo.Rename(id, "Mine"); return err }},
		{"a member makes itself admin", ErrNotAdmin, func() error { _, err := bo.SetRole(id, bo.ID(), ledger.Admin); return err }},
		{"a member hands out a welcome", ErrNotAdmin, func() error { _, err := bo.WelcomeFor(id, anna.ID()); return err }},
		{"a stranger does anything", ErrUnknown, func() error { _, _, err := eve.Admit(id, good); return err }},
		{"admit a member", ErrMember, func() error { _, _, err := anna.Admit(id, with(func(a *Admission) { a.Key = bo.pub() })); return err }},
		{"admit oneself", ErrMember, func() error { _, _, err := anna.Admit(id, with(func(a *Admission) { a.Key = anna.pub() })); return err }},
		{"admit without a role", ErrRole, func() error { _, _, err := anna.Admit(id, with(func(a *Admission) { a.Role = 0 })); return err }},
		{"admit without a name", discovery.ErrName, func() error { _, _, err := anna.Admit(id, with(func(a *Admission) { a.Name = "" })); return err }},
		{"admit for nobody", ErrPerson, func() error {
			_, _, err := anna.Admit(id, with(func(a *Admission) { a.Person = ledger.Person{9} }))
			return err
		}},
		{"remove oneself", ErrSelf, func() error { _, err := anna.Remove(id, ledger.Removed, bo.ID(), anna.ID()); return err }},
		{"remove who is none", ErrNotMember, func() error { _, err := anna.Remove(id, ledger.Removed, bo.ID(), eve.ID()); return err }},
		{"remove nobody", ErrNotMember, func() error { _, err := anna.Remove(id, ledger.Removed); return err }},
		{"remove for leaving", ErrReason, func() error { _, err := anna.Remove(id, ledger.Left, bo.ID()); return err }},
		{"a role for who is none", ErrNotMember, func() error { _, err := anna.SetRole(id, eve.ID(), ledger.Admin); return err }},
		{"a role that is none", ErrRole, func() error { _, err := anna.SetRole(id, bo.ID(), 3); return err }},
		{"no admin is left", ErrLastAdmin, func() error { _, err := anna.SetRole(id, anna.ID(), ledger.Member); return err }},
		{"rename to nothing", discovery.ErrName, func() error { _, err := anna.Rename(id, " "); return err }},
		{"rename who is none", ErrNotMember, func() error { _, err := anna.RenameDevice(id, eve.ID(), "x"); return err }},
		{"the last admin leaves", ErrLastAdmin, func() error { _, err := anna.Leave(id, false); return err }},
		{"forget what one is in", ErrMember, func() error { return anna.Forget(id) }},
		{"contest nothing", ErrNoContest, func() error { _, err := anna.Contest(id); return err }},
		{"the code of another's sheet", ErrErased, func() error { _, err := bo.RecoveryCode(id); return err }},
		{"move nowhere", ErrOffer, func() error { _, err := bo.MoveOver(id); return err }},
		{"decline nothing", ErrOffer, func() error { return bo.Decline(id) }},
		{"a welcome for a stranger", ErrNotMember, func() error { _, err := anna.WelcomeFor(id, eve.ID()); return err }},
		{"entries for a stranger", ErrNotMember, func() error { _, err := anna.Fetch(id, eve.ID(), nil); return err }},
		{"keys for a stranger", ErrNotMember, func() error { _, err := anna.Keys(id, eve.ID()); return err }},
	} {
		before := must(anna.Workgroup(id))(t)
		wants(t, tt.do(), tt.want)
		if diff := cmp.Diff(before, must(anna.Workgroup(id))(t)); diff != "" {
			t.Errorf("%s changed something: %s", tt.name, diff)
		}
	}
	anna.restart() // and nothing of it was stored
	wantNames(t, anna, id, "anna*", "bo")
	wantNames(t, bo, id, "anna*", "bo")
}

func TestPersons(t *testing.T) {
	anna, bo, cy := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy")
	id := found(t, anna, bo)
	whose := must(anna.Member(id, bo.ID()))(t).Person
	_, _, err := anna.Admit(id, Admission{Key: cy.pub(), Name: "cy", Person: whose, PersonName: "somebody else", Role: ledger.Member, Via: ledger.ViaQR})
	no(t, err)
	m := must(anna.Member(id, cy.ID()))(t)
	if m.Person != whose || m.PersonName != "bo" || m.Via != ledger.ViaQR {
		t.Errorf("%+v", m)
	}
	push(t, anna, must(anna.RenameDevice(id, cy.ID(), "cy's laptop"))(t))
	if m := must(anna.Member(id, cy.ID()))(t); m.Name != "cy's laptop" || m.Person != whose {
		t.Errorf("%+v", m)
	}
	must(anna.Rename(id, "Villa"))(t)
	if w := must(anna.Workgroup(id))(t); w.Name != "Villa" || w.ID != id {
		t.Errorf("%+v", w)
	}
}

func TestRemoveCutsAndRekeys(t *testing.T) {
	anna, bo, cy, dora, eve := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy"), newDevice(t, "dora"), newDevice(t, "eve")
	id := found(t, anna, bo, cy)
	push(t, anna, must(anna.SetRole(id, bo.ID(), ledger.Admin))(t), bo, cy)
	push(t, bo, admit(t, bo, dora, id, ledger.Admin), anna, cy)
	push(t, dora, admit(t, dora, eve, id, ledger.Member), anna, bo, cy)
	meet(t, anna, cy, id)
	meet(t, cy, dora, id)
	meet(t, cy, eve, id)

	var also []string
	for _, m := range must(anna.AdmittedBy(id, bo.ID()))(t) {
		also = append(also, m.Name)
	}
	if !slices.Equal(also, []string{"dora", "eve"}) {
		t.Errorf("bo let in %v", also)
	}
	c := must(anna.Remove(id, ledger.Lost, bo.ID(), dora.ID()))(t)
	if !slices.Equal(c.Gone, []discovery.DeviceID{bo.ID(), dora.ID()}) || len(c.Push) != 3 || !c.Announce || c.Self || c.Ask {
		t.Errorf("%+v", c)
	}
	push(t, anna, c, cy, bo)
	if slices.Contains(bo.cut, bo.ID()) {
		t.Error("bo cuts itself")
	}
	if !slices.Equal(cy.cut, []discovery.DeviceID{bo.ID(), dora.ID()}) || len(cy.Synced(dora.ID())) != 0 || len(cy.Synced(eve.ID())) != 1 {
		t.Errorf("cy cut %v", cy.cut)
	}
	if anna.epoch(id) != 2 || cy.epoch(id) != 1 || cy.asked != 1 || !must(cy.Workgroup(id))(t).KeyMissing {
		t.Errorf("epochs %d and %d, asked %d", anna.epoch(id), cy.epoch(id), cy.asked)
	}
	w := must(bo.Workgroup(id))(t)
	if w.Standing != Out || w.Role != 0 || w.Contest || w.Removal == nil || w.Removal.By != anna.ID() || w.Removal.ByName != "anna" || w.Removal.Reason != ledger.Lost || w.Removal.Hearsay {
		t.Errorf("bo sees %+v, %+v", w, w.Removal)
	}
	apart(anna, cy)
	meet(t, anna, cy, id) // and cy gets the key
	if cy.epoch(id) != 2 || must(cy.Workgroup(id))(t).KeyMissing {
		t.Error("cy has no new key")
	}
	// dora was not there. She finds out by asking anybody, and gets nothing else.
	if common, _ := connect(t, dora, cy); len(common) != 0 || standing(t, dora, id) != In {
		t.Errorf("%v in common with a removed device", common)
	}
	if w := must(dora.Workgroup(id))(t); w.Removal == nil || !w.Removal.Hearsay || w.Removal.By != anna.ID() || w.Removal.ByName != "anna" {
		t.Errorf("dora sees %+v", w.Removal)
	}
	for name, err := range map[string]error{
		"compare": second(cy.Compare(id, dora.ID(), must(dora.Have(id))(t))),
		"fetch":   second(cy.Fetch(id, dora.ID(), nil)),
		"keys":    second(cy.Keys(id, dora.ID())),
	} {
		if err == nil {
			t.Error("a removed device may", name)
		}
	}
	// Announcements: who stayed is known to who stayed, and to nobody else.
	tags := must(anna.Announce(label))(t)
	if got := must(cy.Recognise(label, tags))(t); !slices.Equal(got, []ID{id}) {
		t.Error("cy does not know anna")
	}
	for _, d := range []*device{bo, dora} {
		if got := must(d.Recognise(label, tags))(t); len(got) != 0 {
			t.Error(d.name, "knows anna's new key")
		}
	}
	if tags := must(bo.Announce(label))(t); tags != "" {
		t.Error("bo announces what it is not in")
	}
	// Old announcements are known: eve slept.
	if got := must(cy.Recognise(label, must(eve.Announce(label))(t)))(t); !slices.Equal(got, []ID{id}) {
		t.Error("cy does not know who slept")
	}
	meet(t, eve, cy, id)
	if eve.epoch(id) != 2 {
		t.Error("eve slept and has no new key")
	}
	wantNames(t, eve, id, "anna*", "cy", "eve")
}

// TestLetInAgain: who comes back compares again before it is served.
func TestLetInAgain(t *testing.T) {
	anna, bo, cy := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy")
	id := found(t, anna, bo, cy)
	meet(t, bo, cy, id)
	push(t, anna, must(anna.Remove(id, ledger.Removed, bo.ID()))(t), bo, cy)
	push(t, anna, admit(t, anna, bo, id, ledger.Member), cy)
	if len(cy.Common(bo.ID())) != 1 || len(cy.Synced(bo.ID())) != 0 || len(bo.Synced(cy.ID())) != 0 {
		t.Error("in step by a connection from before the removal")
	}
	meet(t, bo, cy, id)
}

func second[T any](_ T, err error) error { return err }

func TestLeave(t *testing.T) {
	anna, bo, cy := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy")
	id := found(t, anna, bo, cy)
	meet(t, anna, bo, id)
	c := must(bo.Leave(id, false))(t)
	push(t, bo, c, anna, cy)
	if standing(t, bo, id) != Left || bo.epoch(id) != 0 || len(bo.Common(anna.ID())) != 0 || len(anna.Synced(bo.ID())) != 0 || !c.Self || !c.Announce {
		t.Error("bo is still in, or has its keys")
	}
	wantNames(t, anna, id, "anna*", "cy")
	bo.restart()
	if standing(t, bo, id) != Left || bo.epoch(id) != 0 {
		t.Error("bo is back after a restart")
	}
	wants(t, second(bo.Leave(id, true)), ErrNotMember)
	wants(t, second(bo.Have(id)), ErrUnknown)
	// Let in again, knowingly.
	push(t, anna, admit(t, anna, bo, id, ledger.Member), cy)
	meet(t, bo, cy, id)
	if standing(t, bo, id) != In {
		t.Error(standing(t, bo, id))
	}
	// The founder goes, in order: another admin, the sheet saved.
	push(t, anna, must(anna.SetRole(id, cy.ID(), ledger.Admin))(t), cy, bo)
	wants(t, second(anna.Leave(id, false)), ErrUnsaved)
	no(t, anna.RecoverySaved(id))
	push(t, anna, must(anna.Leave(id, false))(t), bo, cy)
	wantNames(t, cy, id, "cy*", "bo")
	no(t, anna.Forget(id))
	wants(t, anna.Forget(id), ErrUnknown)
	anna.restart()
	if len(anna.Workgroups()) != 0 {
		t.Error("it is back")
	}
	push(t, cy, admit(t, cy, anna, id, ledger.Member), bo)
	wantNames(t, anna, id, "cy*", "bo", "anna")
}

// TestAdminAgain: somebody who was demoted and is made an admin again can act as one.
func TestAdminAgain(t *testing.T) {
	anna, bo, cy, dora := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy"), newDevice(t, "dora")
	id := found(t, anna, bo, cy)
	set := func(r ledger.Role, entries int) {
		t.Helper()
		c := must(anna.SetRole(id, bo.ID(), r))(t)
		push(t, anna, c, bo, cy)
		if len(c.Push) != entries || len(c.Gone)+len(c.Joined) != 0 {
			t.Errorf("%d entries, gone %v, joined %v", len(c.Push), c.Gone, c.Joined)
		}
		if len(cy.cut) != 0 {
			t.Error("cy cut", cy.cut)
		}
	}
	person := must(cy.Member(id, bo.ID()))(t).PersonName
	set(ledger.Admin, 1)
	set(ledger.Admin, 0)
	set(ledger.Member, 1)
	set(ledger.Admin, 2) // removed and admitted
	push(t, bo, admit(t, bo, dora, id, ledger.Member), anna, cy)
	for _, d := range []*device{anna, bo, cy, dora} {
		wantNames(t, d, id, "anna*", "cy", "bo*", "dora")
	}
	if m := must(cy.Member(id, bo.ID()))(t); m.PersonName != person || m.Name != "bo" {
		t.Errorf("%+v", m)
	}
	set(ledger.Member, 1)
	wants(t, second(bo.Rename(id, "Mine")), ErrNotAdmin)
	set(ledger.Admin, 2)
	push(t, bo, must(bo.Rename(id, "Ours"))(t), anna, cy)
	if w := must(cy.Workgroup(id))(t); w.Name != "Ours" {
		t.Error(w.Name)
	}
}

func TestRecoverySheet(t *testing.T) {
	anna := newDevice(t, "anna")
	id := found(t, anna)
	code := must(anna.RecoveryCode(id))(t)
	anna.restart()
	if again := must(anna.RecoveryCode(id))(t); again != code || len(strings.ReplaceAll(code.String(), "-", "")) != 28 {
		t.Error("another code after a restart")
	}
	remind := func(want bool, what string) {
		t.Helper()
		if w := must(anna.Workgroup(id))(t); w.Remind != want {
			t.Errorf("%s: remind %v", what, w.Remind)
		}
	}
	remind(true, "new")
	no(t, anna.RemindLater(id, 24*time.Hour))
	anna.restart()
	remind(false, "put off")
	anna.clock = anna.clock.Add(25 * time.Hour)
	remind(true, "a day later")
	no(t, anna.RemindLater(id, 1000*MaxSnooze))
	remind(false, "put off for good")
	anna.clock = anna.clock.Add(-50 * 365 * 24 * time.Hour)
	remind(true, "with an empty clock battery")
	no(t, anna.RecoverySaved(id))
	remind(false, "saved")
	wants(t, second(anna.RecoveryCode(id)), ErrErased)
	for _, k := range must(anna.store.Workgroups())(t) {
		if k.Recovery != nil {
			t.Error("the code is still in the store")
		}
	}
}

func TestSeveralWorkgroups(t *testing.T) {
	anna, bo, cy := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy")
	one, two := found(t, anna, bo), found(t, anna, bo, cy)
	third := must(anna.Create(Founding{Name: "hut", Device: "anna", PersonName: "Anna"}))(t)
	all := anna.Workgroups()
	if len(all) != 3 || !all[0].Twin || !all[1].Twin || all[2].Twin || all[0].Short == all[1].Short || all[2].ID != third.ID {
		t.Errorf("%+v", all)
	}
	common, errs := connect(t, anna, bo)
	if !slices.Equal(common, []ID{one, two}) || errs[0] != nil || errs[1] != nil {
		t.Fatal(common, errs)
	}
	if got := anna.Synced(bo.ID()); !slices.Equal(got, []ID{one, two}) {
		t.Error(got)
	}
	if common, _ := connect(t, cy, anna); !slices.Equal(common, []ID{two}) {
		t.Error("cy has", common)
	}
	// Out of one is not out of the other.
	push(t, anna, must(anna.Remove(one, ledger.Removed, bo.ID()))(t), bo)
	if got := anna.Synced(bo.ID()); !slices.Equal(got, []ID{two}) || !slices.Equal(bo.Synced(anna.ID()), []ID{two}) {
		t.Error(got)
	}
	// Announcements tell members their own workgroup and nothing of the others.
	tags := must(anna.Announce(label))(t)
	for d, want := range map[*device][]ID{bo: {two}, cy: {two}, newDevice(t, "eve"): nil} {
		if got := must(d.Recognise(label, tags))(t); !slices.Equal(got, want) {
			t.Errorf("%s recognises %v", d.name, got)
		}
		if got := must(d.Recognise("ponmlkjihgfedcba", tags))(t); len(got) != 0 {
			t.Errorf("%s recognises tags of another label", d.name)
		}
	}
	if _, err := bo.Recognise(label, "!"); err == nil {
		t.Error("anything is a list of tags")
	}
	for len(anna.Workgroups()) < MaxWorkgroups {
		found(t, anna)
	}
	wants(t, second(anna.Create(Founding{"one more", "anna", "Anna"})), ErrMany)
	w, _, err := bo.Admit(found(t, bo), Admission{Key: anna.pub(), Name: "anna", Role: ledger.Member})
	no(t, err)
	wants(t, second(anna.Join(bo.ID(), w)), ErrMany)
}
