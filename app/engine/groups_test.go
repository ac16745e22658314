package engine

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"porchlight/discovery"
	machine "porchlight/discovery/calm"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
	"porchlight/share"
	"porchlight/transfer"
)

// found makes a private workgroup.
func (w *world) found(name string) workgroup.ID {
	w.t.Helper()
	g, err := w.CreateWorkgroup(w.t.Context(), workgroup.Founding{Name: name, Device: w.ownName(), PersonName: w.ownName()})
	if err != nil {
		w.t.Fatal(err)
	}
	return g.ID
}

// standing is what w is in a workgroup; empty if it knows none such.
func (w *world) standing(id workgroup.ID) workgroup.Standing {
	g, err := w.workgroup(id)
	if err != nil {
		return ""
	}
	return g.Standing
}

func (w *world) workgroup(id workgroup.ID) (workgroup.Workgroup, error) {
	all, err := w.Workgroups(w.t.Context())
	if err != nil {
		return workgroup.Workgroup{}, err
	}
	for _, g := range all {
		if g.ID == id {
			return g, nil
		}
	}
	return workgroup.Workgroup{}, workgroup.ErrUnknown
}

// joins lets w into a workgroup of admin, by the digits of a code.
func (w *world) joins(admin *world, id workgroup.ID, role ledger.Role) {
	w.t.Helper()
	inv, err := admin.Invite(w.t.Context(), id, discovery.Invite{})
	if err != nil {
		w.t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		if g, err := w.Join(w.t.Context(), inv.Code); err != nil || g.ID != id {
			w.t.Errorf("join: %+v, %v", g, err)
		}
	})
	admin.until("somebody asks", func() bool { return admin.invitation(inv.ID).State == discovery.InviteAsking })
	if got := admin.invitation(inv.ID); got.Device != w.id || got.Name != w.ownName() {
		w.t.Errorf("who asks: %+v", got)
	}
	if err := admin.Approve(w.t.Context(), inv.ID, workgroup.Admission{Role: role}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) invitation(id string) discovery.Invitation {
	all, err := w.Invitations(w.t.Context())
	if err != nil {
		w.t.Error(err)
	}
	for _, i := range all {
		if i.ID == id {
			return i
		}
	}
	return discovery.Invitation{}
}

// inStep says that both see each other as members who may be served.
func inStep(id workgroup.ID, all ...*world) {
	all[0].t.Helper()
	for _, a := range all {
		for _, b := range all {
			if a != b {
				a.until("the others are in step", func() bool {
					for _, m := range a.private.Members(b.id) {
						if m.Workgroup == id {
							return true
						}
					}
					return false
				})
			}
		}
	}
}

// lends shares a folder with a workgroup, and returns it.
func (w *world) lends(name string, id workgroup.ID) share.Offer {
	w.t.Helper()
	w.put(name+"/note.txt", []byte("hello"))
	o := w.offer(name)
	if err := w.AllowShare(w.t.Context(), o.ID, []share.Grant{{Who: share.ToEveryone, Workgroup: id, Level: share.LookOnly}}); err != nil {
		w.t.Fatal(err)
	}
	return o
}

// reads reports whether w may look into a folder of another. Connections that were just cut are made anew.
func (w *world) reads(other *world, o share.Offer) (err error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), machine.Most(5*time.Second))
	defer cancel()
	for {
		err = w.List(ctx, other.id, o.ID, "", share.ByName, func([]share.Entry) error { return nil })
		if !errors.Is(err, transfer.ErrAway) || ctx.Err() != nil {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestJoinByCodeAndSeeWhatIsForTheWorkgroup(t *testing.T) {
	a, b, c := start(t, "anna", ""), start(t, "bert", ""), start(t, "carla", "")
	meet(a, b)
	meet(a, c)
	id := a.found("Home")
	o := a.lends("Stuff", id)
	if err := b.reads(a, o); !errors.Is(err, transfer.ErrGone) {
		t.Errorf("before it is a member: %v", err)
	}
	b.joins(a, id, ledger.Member)
	inStep(id, a, b)
	b.until("it may look", func() bool { return b.reads(a, o) == nil })
	if err := c.reads(a, o); !errors.Is(err, transfer.ErrGone) {
		t.Errorf("somebody else: %v", err)
	}
	if _, err := c.Join(t.Context(), "12345678"); !errors.Is(err, discovery.ErrNobody) {
		t.Errorf("a code that nobody shows: %v", err)
	}
	if _, err := b.Invite(t.Context(), id, discovery.Invite{}); !errors.Is(err, workgroup.ErrNotAdmin) {
		t.Errorf("a member invites: %v", err)
	}
	if !a.sight.Verified(b.id) || !b.sight.Verified(a.id) || a.sight.Verified(c.id) {
		t.Error("a code verifies both, and nobody else")
	}
}

// within waits for a condition, and says how long it took since something began.
func within(t *testing.T, began time.Time, most time.Duration, what string, ok func() bool) {
	t.Helper()
	most = machine.Most(most)
	for ; !ok(); time.Sleep(time.Millisecond) {
		if time.Since(began) > most {
			t.Fatalf("after %v not yet so that %s", most, what)
		}
	}
	t.Logf("%s after %v", what, time.Since(began))
}

// TestRemovedIsCutAndTold: what a removed device is doing ends within a second, the other members know within two, and it is told
// by whom it was removed.
func TestRemovedIsCutAndTold(t *testing.T) {
	a, b, c := start(t, "anna", ""), start(t, "bert", ""), start(t, "carla", "")
	meet(a, b)
	meet(a, c)
	id := a.found("Home")
	o := a.lends("Stuff", id)
	b.joins(a, id, ledger.Member)
	c.joins(a, id, ledger.Member)
	inStep(id, a, b, c)
	fromC := c.lends("Of carla", id)
	for _, w := range []*world{b, c} {
		w.until("it may look", func() bool { return w.reads(a, o) == nil })
	}
	b.until("it may look at a member's", func() bool { return b.reads(c, fromC) == nil })
	a.put("Stuff/big.bin", make([]byte, 64<<20))
	if err := a.SetLimits(t.Context(), transfer.Limits{Up: transfer.MinLimit}); err != nil {
		t.Fatal(err)
	}
	pull, err := b.Pull(t.Context(), transfer.Request{Source: a.id, Share: o.ID, ShareName: o.Name, Paths: []share.Path{"big.bin"}})
	if err != nil {
		t.Fatal(err)
	}
	b.until("it pulls", func() bool { return b.job(pull).Bytes > 0 })
	if !a.sight.Verified(b.id) || !a.sight.Verified(c.id) {
		t.Error("who came in by a code is not verified")
	}
	began := time.Now()
	if err := a.RemoveMembers(t.Context(), id, ledger.Lost, []discovery.DeviceID{b.id}); err != nil {
		t.Fatal(err)
	}
	within(t, began, time.Second, "the removed device may look no more", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := b.List(ctx, a.id, o.ID, "", share.ByName, func([]share.Entry) error { return nil })
		return errors.Is(err, transfer.ErrGone)
	})
	within(t, began, 2*time.Second, "the other member knows", func() bool {
		g, err := c.workgroup(id)
		return err == nil && len(g.Members) == 2
	})
	if err := b.reads(c, fromC); !errors.Is(err, transfer.ErrGone) {
		t.Errorf("a member who heard of it: %v", err)
	}
	within(t, began, 5*time.Second, "it is told", func() bool { return b.standing(id) == workgroup.Out })
	got := b.job(pull).Bytes
	g, err := b.workgroup(id)
	if err != nil || g.Removal == nil || g.Removal.By != a.id || g.Removal.ByName != "anna" || g.Removal.Reason != ledger.Lost {
		t.Errorf("what it is told: %+v, %v", g, err)
	}
	c.until("the remaining have the new key", func() bool { g, err := c.workgroup(id); return err == nil && !g.KeyMissing })
	time.Sleep(time.Second) // of a pull that goes on, megabytes would come
	if now := b.job(pull).Bytes; now != got {
		t.Errorf("its pull goes on: %d bytes, then %d", got, now)
	}
	if err := c.reads(a, o); err != nil {
		t.Errorf("who stayed: %v", err)
	}
	if a.sight.Verified(b.id) || !a.sight.Verified(c.id) {
		t.Errorf("verified afterwards: the removed device %v, who stayed %v", a.sight.Verified(b.id), a.sight.Verified(c.id))
	}
}

// TestAbsentMemberLearnsOnReturn: a device that was off when it was removed, and one that was off when another was.
func TestAbsentMemberLearnsOnReturn(t *testing.T) {
	a, b, c := start(t, "anna", ""), start(t, "bert", ""), start(t, "carla", "")
	meet(a, b)
	meet(a, c)
	id := a.found("Home")
	b.joins(a, id, ledger.Member)
	c.joins(a, id, ledger.Member)
	inStep(id, a, b, c)
	b.stop()
	c.stop()
	a.until("they are away", func() bool { return a.sees(b, discovery.Offline)() && a.sees(c, discovery.Offline)() })
	if err := a.RemoveMembers(t.Context(), id, ledger.Removed, []discovery.DeviceID{b.id}); err != nil {
		t.Fatal(err)
	}
	b, c = start(t, "bert", b.home), start(t, "carla", c.home)
	b.until("it is told", func() bool { return b.standing(id) == workgroup.Out })
	c.until("it knows, and has the new key", func() bool {
		g, err := c.workgroup(id)
		return err == nil && len(g.Members) == 2 && !g.KeyMissing && g.Standing == workgroup.In
	})
	inStep(id, a, c)
}

// TestRemovedAdminHasNoSayAnyMore: what an admin does after it was removed, or demoted, changes nothing.
func TestRemovedAdminHasNoSayAnyMore(t *testing.T) {
	a, b, c := start(t, "anna", ""), start(t, "bert", ""), start(t, "carla", "")
	meet(a, b)
	meet(a, c)
	id := a.found("Home")
	b.joins(a, id, ledger.Admin)
	c.joins(a, id, ledger.Member)
	inStep(id, a, b, c)
	if err := a.SetRole(t.Context(), id, b.id, ledger.Member); err != nil {
		t.Fatal(err)
	}
	b.until("it knows that it was demoted", func() bool { g, err := b.workgroup(id); return err == nil && g.Role == ledger.Member })
	if err := b.RemoveMembers(t.Context(), id, ledger.Removed, []discovery.DeviceID{c.id}); !errors.Is(err, workgroup.ErrNotAdmin) {
		t.Errorf("a demoted admin removes: %v", err)
	}
	if err := a.SetRole(t.Context(), id, b.id, ledger.Admin); err != nil {
		t.Fatal(err)
	}
	b.until("it is an admin again", func() bool { g, err := b.workgroup(id); return err == nil && g.Role == ledger.Admin })
	b.stop()
	a.until("it is away", a.sees(b, discovery.Offline))
	if err := a.RemoveMembers(t.Context(), id, ledger.Removed, []discovery.DeviceID{b.id}); err != nil {
		t.Fatal(err)
	}
	off, err := Open(t.Context(), Config{Home: b.home, Version: "test", Loopback: true}) // on no network: it does not know yet
	if err != nil {
		t.Fatal(err)
	}
	if err := off.RemoveMembers(t.Context(), id, ledger.Removed, []discovery.DeviceID{a.id, c.id}); err != nil {
		t.Fatalf("what it did in its ignorance: %v", err)
	}
	b = &world{Engine: off, t: t, home: b.home, dir: b.dir, id: b.id, stop: running(t, off)}
	b.until("it is told", func() bool { return b.standing(id) == workgroup.Out })
	for _, w := range []*world{a, c} {
		if g, err := w.workgroup(id); err != nil || g.Standing != workgroup.In || len(g.Members) != 2 {
			t.Errorf("%+v, %v", g, err)
		}
	}
	inStep(id, a, c)
}

func TestLeaveAndComeBack(t *testing.T) {
	a, b := start(t, "anna", ""), start(t, "bert", "")
	meet(a, b)
	id := a.found("Home")
	o := a.lends("Stuff", id)
	b.joins(a, id, ledger.Member)
	inStep(id, a, b)
	b.until("it may look", func() bool { return b.reads(a, o) == nil })
	if err := a.LeaveWorkgroup(t.Context(), id, false); !errors.Is(err, workgroup.ErrLastAdmin) {
		t.Errorf("the only admin leaves: %v", err)
	}
	began := time.Now()
	if err := b.LeaveWorkgroup(t.Context(), id, false); err != nil {
		t.Fatal(err)
	}
	within(t, began, 2*time.Second, "the others know", func() bool { g, err := a.workgroup(id); return err == nil && len(g.Members) == 1 })
	if err := b.reads(a, o); !errors.Is(err, transfer.ErrGone) {
		t.Errorf("who left: %v", err)
	}
	if b.standing(id) != workgroup.Left {
		t.Errorf("it is %q", b.standing(id))
	}
	b.joins(a, id, ledger.Member)
	inStep(id, a, b)
	b.until("it may look again", func() bool { return b.reads(a, o) == nil })
}

// TestLeftWhileAway: nobody was there when bert left; anna hears of it when she is back, in the open workgroup or in none.
func TestLeftWhileAway(t *testing.T) {
	a, b := start(t, "anna", ""), start(t, "bert", "")
	meet(a, b)
	id := a.found("Home")
	b.joins(a, id, ledger.Member)
	inStep(id, a, b)
	if err := b.SetOpen(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	a.stop()
	b.until("she is away", b.sees(a, discovery.Offline))
	if err := b.LeaveWorkgroup(t.Context(), id, false); err != nil {
		t.Fatal(err)
	}
	a = start(t, "anna", a.home)
	a.until("she knows", func() bool { g, err := a.workgroup(id); return err == nil && len(g.Members) == 1 })
}

// TestTwoWorkgroupsOfOneName: each sees its own, and nothing of the other.
func TestTwoWorkgroupsOfOneName(t *testing.T) {
	a, b, c := start(t, "anna", ""), start(t, "bert", ""), start(t, "carla", "")
	meet(a, b)
	meet(a, c)
	meet(b, c)
	first, second := a.found("Home"), c.found("Home")
	b.joins(a, first, ledger.Member)
	b.joins(c, second, ledger.Member)
	inStep(first, a, b)
	inStep(second, b, c)
	ofB := b.lends("For the first", first)
	a.until("its member may look", func() bool { return a.reads(b, ofB) == nil })
	if err := c.reads(b, ofB); !errors.Is(err, transfer.ErrGone) {
		t.Errorf("the other Home: %v", err)
	}
	if g, err := b.workgroup(first); err != nil || !g.Twin {
		t.Errorf("two of one name are not told apart: %+v, %v", g, err)
	}
	for _, w := range []*world{a, c} {
		if all, err := w.Workgroups(t.Context()); err != nil || len(all) != 1 || all[0].Twin {
			t.Errorf("%+v, %v", all, err)
		}
	}
}

// TestRecoveryTakesItBack: the founder's computer was stolen and its thief removes everybody; who has the sheet outranks it, on a
// computer that was never a member.
func TestRecoveryTakesItBack(t *testing.T) {
	a, b, c := start(t, "anna", ""), start(t, "bert", ""), start(t, "carla", "")
	meet(a, b)
	meet(b, c)
	id := a.found("Home")
	b.joins(a, id, ledger.Member)
	inStep(id, a, b)
	sheet, err := a.RecoveryCode(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.RemoveMembers(t.Context(), id, ledger.Removed, []discovery.DeviceID{b.id}); err != nil {
		t.Fatal(err)
	}
	b.until("the thief threw it out", func() bool { return b.standing(id) == workgroup.Out })
	all, err := c.Moments(t.Context(), sheet)
	if err != nil || len(all) < 2 {
		t.Fatalf("moments: %+v, %v", all, err)
	}
	var then workgroup.Moment
	for _, m := range all {
		if len(m.Members) == 2 {
			then = m
			break
		}
	}
	g, err := c.Recover(t.Context(), sheet, workgroup.Choice{Heads: then.Heads, Remove: []discovery.DeviceID{a.id}, Name: "carla", PersonName: "Carla"})
	if err != nil || g.Role != ledger.Admin || len(g.Members) != 2 {
		t.Fatalf("recover: %+v, %v", g, err)
	}
	b.until("it is in again", func() bool { return b.standing(id) == workgroup.In })
	a.until("the thief is out", func() bool { return a.standing(id) == workgroup.Out })
	inStep(id, b, c)
	if _, err := c.Moments(t.Context(), "AAAAAAA-AAAAAAA-AAAAAAA-AAAAAAA"); !errors.Is(err, workgroup.ErrCode) {
		t.Errorf("a sheet of nothing: %v", err)
	}
}

func TestStartOverWithAMove(t *testing.T) {
	a, b, c := start(t, "anna", ""), start(t, "bert", ""), start(t, "carla", "")
	meet(a, b)
	meet(a, c)
	meet(b, c)
	old := a.found("Home")
	b.joins(a, old, ledger.Admin)
	c.joins(a, old, ledger.Member)
	inStep(old, a, b, c)
	past, err := b.PastMembers(t.Context(), old)
	if err != nil || len(past) != 3 {
		t.Fatalf("%+v, %v", past, err)
	}
	next, err := b.StartOver(t.Context(), old, workgroup.Founding{Name: "Home", Device: "bert", PersonName: "Bert"}, []discovery.DeviceID{c.id})
	if err != nil {
		t.Fatal(err)
	}
	c.until("it is asked", func() bool { m, err := c.Moves(t.Context()); return err == nil && len(m) == 1 && m[0].ID == next.ID })
	if m, _ := c.Moves(t.Context()); m[0].By.ID != b.id || len(m[0].Without) != 1 || m[0].Without[0].ID != a.id {
		t.Errorf("what it is asked: %+v", m)
	}
	if c.standing(next.ID) != "" {
		t.Error("it moved without a word")
	}
	if err := c.MoveOver(t.Context(), next.ID); err != nil {
		t.Fatal(err)
	}
	if c.standing(old) != workgroup.Left || c.standing(next.ID) != workgroup.In {
		t.Errorf("it is %q in the old one and %q in the new one", c.standing(old), c.standing(next.ID))
	}
	inStep(next.ID, b, c)
	a.until("who was left behind sees that it left", func() bool { g, err := a.workgroup(old); return err == nil && len(g.Members) == 2 })
}
