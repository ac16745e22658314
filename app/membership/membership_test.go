package membership

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/calm"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
	"porchlight/transfer"
)

func (n *node) found(name string) workgroup.ID {
	n.lan.t.Helper()
	w, err := n.CreateWorkgroup(n.lan.t.Context(), workgroup.Founding{Name: name, Device: n.name, PersonName: n.name})
	if err != nil {
		n.lan.t.Fatal(err)
	}
	return w.ID
}

func (n *node) group(id workgroup.ID) workgroup.Workgroup {
	w, err := n.book().Workgroup(id)
	if err != nil && !errors.Is(err, workgroup.ErrUnknown) {
		n.lan.t.Error(err)
	}
	return w
}

func (n *node) invites(id workgroup.ID, how discovery.Invite) discovery.Invitation {
	n.lan.t.Helper()
	inv, err := n.Surface.Invite(n.lan.t.Context(), id, how)
	if err != nil {
		n.lan.t.Fatal(err)
	}
	return inv
}

func (n *node) invited(id string) discovery.Invitation {
	all, err := n.Invitations(n.lan.t.Context())
	if err != nil {
		n.lan.t.Error(err)
	}
	for _, i := range all {
		if i.ID == id {
			return i
		}
	}
	return discovery.Invitation{}
}

// in lets a device into a workgroup of admin, without a question.
func (n *node) in(admin *node, id workgroup.ID) {
	n.lan.t.Helper()
	admin.desk = pairing.Desk{} // many in a row is not what is tested here
	inv := admin.invites(id, discovery.Invite{Yes: true})
	if w, err := n.Surface.Join(n.lan.t.Context(), inv.Code); err != nil || w.ID != id {
		n.lan.t.Fatalf("join: %+v, %v", w, err)
	}
	inStep(n.lan.t, id, n, admin)
}

func inStep(t *testing.T, id workgroup.ID, a, b *node) {
	t.Helper()
	for _, x := range [][2]*node{{a, b}, {b, a}} {
		until(t, fmt.Sprintf("%s may serve %s", x[0].name, x[1].name), func() bool {
			for _, m := range x[0].Members(x[1].id) {
				if m.Workgroup == id {
					return true
				}
			}
			return false
		})
	}
}

func TestJoinByCodeAndByPicture(t *testing.T) {
	l := newLAN(t)
	a, b, c := l.device("anna"), l.device("bert"), l.device("carla")
	meet(a, b) // neighbours before: their connections prove nothing yet
	id := a.found("Home")
	for _, x := range []struct {
		who  *node
		text func(discovery.Invitation) string
		via  ledger.Via
	}{
		{b, func(i discovery.Invitation) string { return i.Code }, ledger.ViaCode},
		{c, func(i discovery.Invitation) string { return i.QR }, ledger.ViaQR},
	} {
		inv := a.invites(id, discovery.Invite{})
		if slot, open := a.Slot(); !open || fmt.Sprintf("%02d", slot) != inv.Code[:2] {
			t.Errorf("slot %d, %v of %s", slot, open, inv.Code)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if w, err := x.who.Surface.Join(t.Context(), x.text(inv)); err != nil || w.ID != id || w.Standing != workgroup.In {
				t.Errorf("join: %+v, %v", w, err)
			}
		})
		until(t, "somebody asks", func() bool { return a.invited(inv.ID).State == discovery.InviteAsking })
		if _, open := a.Slot(); open {
			t.Error("the slot is announced still")
		}
		if got := a.invited(inv.ID); got.Device != x.who.id || got.Name != x.who.name || got.Tried != 0 {
			t.Errorf("who asks: %+v", got)
		}
		if err := a.Approve(t.Context(), inv.ID, workgroup.Admission{Name: "  "}); !errors.Is(err, discovery.ErrName) {
			t.Errorf("no name: %v", err)
		}
		if err := a.Approve(t.Context(), inv.ID, workgroup.Admission{Name: "Cafe\u0301", Role: ledger.Member, Key: a.key, Via: ledger.ViaFounder}); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		m, err := a.book().Member(id, x.who.id)
		if err != nil || m.Via != x.via || m.Name != "Caf\u00e9" {
			t.Errorf("admitted as %+v, %v", m, err)
		}
		if a.invited(inv.ID).State != discovery.InviteDone {
			t.Errorf("%+v", a.invited(inv.ID))
		}
		for _, v := range [][2]*node{{a, x.who}, {x.who, a}} {
			if via, ok := v[0].verified.Load(v[1].id); !ok || via != x.via {
				t.Errorf("%s verified %s by %v", v[0].name, v[1].name, via)
			}
		}
		inStep(t, id, a, x.who)
	}
	if _, ok := b.verified.Load(c.id); ok {
		t.Error("who never met is verified")
	}
}

// TestConnectionsAreMadeAnewOnce: neighbours that enter a workgroup have to prove it to each other, and that is all.
func TestConnectionsAreMadeAnewOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t)
		a, b := l.device("anna"), l.device("bert")
		meet(a, b)
		b.in(a, a.found("Home"))
		time.Sleep(renewEvery + renewEvery/4) // what was put off happens
		before := a.renewed.Load() + b.renewed.Load()
		time.Sleep(renewEvery + renewEvery/4) // and then nothing is to happen
		if after := a.renewed.Load() + b.renewed.Load(); after != before || before > 4 {
			t.Errorf("connections were made anew %d times, then %d", before, after)
		}
	})
}

// TestChangesTravel: entries go from neighbour to neighbour, and so do keys.
func TestChangesTravel(t *testing.T) {
	l := newLAN(t)
	a, b, c := l.device("anna"), l.device("bert"), l.device("carla")
	meet(a, b)
	id := a.found("Home")
	b.in(a, id)
	c.in(a, id)
	part(a, c)
	meet(b, c)
	inStep(t, id, b, c)
	if err := a.RenameWorkgroup(t.Context(), id, "Haus"); err != nil {
		t.Fatal(err)
	}
	within(t, calm.Most(2*time.Second), "who is two steps away knows the name", func() bool { return c.group(id).Name == "Haus" })
	d := l.device("dora")
	d.in(a, id)
	within(t, calm.Most(2*time.Second), "it knows the new member", func() bool { return len(c.group(id).Members) == 4 })
	if err := a.RemoveMembers(t.Context(), id, ledger.Removed, []discovery.DeviceID{d.id}); err != nil {
		t.Fatal(err)
	}
	within(t, calm.Most(2*time.Second), "it knows who is out, and has the new key", func() bool { w := c.group(id); return len(w.Members) == 3 && !w.KeyMissing })
	until(t, "who is out is told", func() bool {
		w := d.group(id)
		return w.Standing == workgroup.Out && w.Removal != nil && w.Removal.By == a.id
	})
	if len(a.Members(d.id)) != 0 || len(d.Members(a.id)) != 0 {
		t.Error("who is out is served")
	}
	tags, err := a.Announce("abcdefghijklmnop")
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := c.Recognise("abcdefghijklmnop", tags); err != nil || len(ids) != 1 {
		t.Errorf("a member recognises %v, %v", ids, err)
	}
	if ids, err := d.Recognise("abcdefghijklmnop", tags); err != nil || len(ids) != 0 {
		t.Errorf("who is out recognises %v, %v", ids, err)
	}
}

// TestNothingIsServedWithoutAConnection: who is in step is so while it is there.
func TestNothingIsServedWithoutAConnection(t *testing.T) {
	l := newLAN(t)
	a, b := l.device("anna"), l.device("bert")
	id := a.found("Home")
	b.in(a, id)
	part(a, b)
	until(t, "both are strangers", func() bool { return len(a.Members(b.id)) == 0 && len(b.Members(a.id)) == 0 })
	a.mu.Lock()
	if n := len(a.here); n != 0 {
		t.Errorf("%d connections are left", n)
	}
	a.mu.Unlock()
	meet(a, b)
	inStep(t, id, a, b)
}

// TestRemovedWhileAway: it hears of it from the first it meets, and of who else is gone.
func TestRemovedWhileAway(t *testing.T) {
	l := newLAN(t)
	a, b, c := l.device("anna"), l.device("bert"), l.device("carla")
	id := a.found("Home")
	b.in(a, id)
	c.in(a, id)
	part(a, b)
	part(a, c)
	if err := a.RemoveMembers(t.Context(), id, ledger.Lost, []discovery.DeviceID{b.id}); err != nil {
		t.Fatal(err)
	}
	meet(b, c) // neither knows
	inStep(t, id, b, c)
	meet(a, c)
	until(t, "who is out is told by a third one", func() bool { return b.group(id).Standing == workgroup.Out })
	if len(c.Members(b.id)) != 0 {
		t.Error("it is served still")
	}
}

// TestContest: a junior admin removes the founder; everybody believes it until the founder says otherwise.
func TestContest(t *testing.T) {
	l := newLAN(t)
	a, b, c := l.device("anna"), l.device("bert"), l.device("carla")
	id := a.found("Home")
	b.in(a, id)
	c.in(a, id)
	if err := a.SetRole(t.Context(), id, b.id, ledger.Admin); err != nil {
		t.Fatal(err)
	}
	meet(b, c)
	inStep(t, id, b, c)
	until(t, "bert is an admin", func() bool { return b.group(id).Role == ledger.Admin })
	if err := b.RemoveMembers(t.Context(), id, ledger.Removed, []discovery.DeviceID{a.id}); err != nil {
		t.Fatal(err)
	}
	until(t, "the founder is out", func() bool { w := a.group(id); return w.Standing == workgroup.Out && w.Contest })
	until(t, "the others believe it", func() bool { return len(c.group(id).Members) == 2 })
	if err := a.Contest(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	until(t, "the founder has the last word", func() bool {
		return b.group(id).Standing == workgroup.Out && len(c.group(id).Members) == 2 && c.group(id).Standing == workgroup.In
	})
	inStep(t, id, a, c)
}

// TestMoveOver: who starts over asks those who are to come along, when they are there, and does not ask twice who said no.
func TestMoveOver(t *testing.T) {
	l := newLAN(t)
	a, b, c := l.device("anna"), l.device("bert"), l.device("carla")
	old := a.found("Home")
	b.in(a, old)
	c.in(a, old)
	meet(b, c)
	inStep(t, old, b, c)
	part(b, a)
	part(b, c)
	next, err := b.StartOver(t.Context(), old, workgroup.Founding{Name: "Home", Device: "bert", PersonName: "bert"}, []discovery.DeviceID{a.id, c.id})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := c.Moves(t.Context()); err != nil || len(m) != 0 {
		t.Errorf("before it is there: %+v, %v", m, err)
	}
	meet(b, a)
	meet(b, c)
	asked := func(n *node) func() bool {
		return func() bool { m, err := n.Moves(t.Context()); return err == nil && len(m) == 1 && m[0].ID == next.ID }
	}
	until(t, "anna is asked", asked(a))
	until(t, "carla is asked", asked(c))
	if err := a.DeclineMove(t.Context(), next.ID); err != nil {
		t.Fatal(err)
	}
	if err := c.MoveOver(t.Context(), next.ID); err != nil {
		t.Fatal(err)
	}
	inStep(t, next.ID, b, c)
	until(t, "anna sees that carla left", func() bool { return len(a.group(old).Members) == 2 })
	part(a, b)
	meet(a, b)
	inStep(t, old, a, b)
	if m, err := a.Moves(t.Context()); err != nil || len(m) != 0 {
		t.Errorf("who said no is asked again: %+v, %v", m, err)
	}
}

func TestRecoverFromANeighbour(t *testing.T) {
	l := newLAN(t)
	a, b := l.device("anna"), l.device("bert")
	id := a.found("Home")
	b.in(a, id)
	sheet, err := a.RecoveryCode(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	c := l.device("carla")
	meet(b, c)
	all, err := c.Moments(t.Context(), sheet)
	if err != nil || len(all) == 0 {
		t.Fatalf("%+v, %v", all, err)
	}
	w, err := c.Surface.Recover(t.Context(), sheet, workgroup.Choice{Heads: all[0].Heads, Remove: []discovery.DeviceID{a.id}})
	if err != nil || w.ID != id || w.Role != ledger.Admin {
		t.Fatalf("%+v, %v", w, err)
	}
	inStep(t, id, b, c)
	until(t, "the stolen one is told", func() bool { return a.group(id).Standing == workgroup.Out })
	other, err := ledger.NewRecoveryCode(c.cfg.Rand)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Moments(t.Context(), other.String()); !errors.Is(err, workgroup.ErrCode) {
		t.Errorf("a code of nothing: %v", err)
	}
	alone := newLAN(t).device("alone")
	if _, err := alone.Moments(t.Context(), other.String()); !errors.Is(err, discovery.ErrNobody) {
		t.Errorf("nobody to ask: %v", err)
	}
}

// mute never answers well: what asks it again and again would do so without end.
type mute struct {
	remote
	asked func()
}

func (m mute) Compare(context.Context, workgroup.ID, workgroup.Summary) (workgroup.Summary, error) {
	m.asked()
	m.to.Greeted(m.caller(), nil, nil, nil) // each request may be on a new connection
	return workgroup.Summary{}, transfer.ErrProtocol
}

func TestWhoDoesNotAnswerIsLeftInPeace(t *testing.T) {
	l := newLAN(t)
	a, b := l.device("anna"), l.device("bert")
	id := a.found("Home")
	b.in(a, id)
	part(a, b)
	var mu sync.Mutex
	var times []time.Time
	a.Up(b.id, mute{remote{b.plug(a)}, func() {
		mu.Lock()
		defer mu.Unlock()
		times = append(times, time.Now())
	}})
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(times) }
	until(t, "it is asked twice", func() bool { return count() >= 2 })
	if pause := times[1].Sub(times[0]); pause < retryFirst/2 {
		t.Errorf("asked again after %v", pause)
	}
	if err := a.RenameWorkgroup(t.Context(), id, "Haus"); err != nil {
		t.Fatal(err)
	}
	if n := count(); n > 3 {
		t.Errorf("asked %d times", n)
	}
}

// TestDamagedLedger: what cannot be read is told, and the rest is there.
func TestDamagedLedger(t *testing.T) {
	kept := workgroup.NewMemory()
	self := otherSigner(t)
	m := New(Config{Self: self, Store: kept, Network: &node{}})
	first, err := m.Surface().CreateWorkgroup(t.Context(), workgroup.Founding{Name: "Home", Device: "anna", PersonName: "anna"})
	if err != nil {
		t.Fatal(err)
	}
	if err := kept.PutWorkgroup(workgroup.Kept{ID: workgroup.ID{1}, Entries: [][]byte{[]byte("no entry")}}); err != nil {
		t.Fatal(err)
	}
	again := New(Config{Self: self, Store: kept, Network: &node{}})
	if err := again.Load(); err == nil {
		t.Error("nothing is told")
	}
	if all, err := again.Surface().Workgroups(t.Context()); err != nil || len(all) != 1 || all[0].ID != first.ID {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestBecomeAnother(t *testing.T) {
	l := newLAN(t)
	a, b := l.device("anna"), l.device("bert")
	id := a.found("Home")
	b.in(a, id)
	inv := a.invites(id, discovery.Invite{})
	if err := a.Become(otherSigner(t)); err != nil {
		t.Fatal(err)
	}
	if w := a.group(id); w.Standing == workgroup.In {
		t.Errorf("another device is a member: %+v", w)
	}
	if got := a.invited(inv.ID); got.State != discovery.InviteEnded {
		t.Errorf("%+v", got)
	}
	if len(a.Common(b.id)) != 0 || len(a.Members(b.id)) != 0 {
		t.Error("it has members")
	}
}
