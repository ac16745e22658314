package engine

import (
	"errors"
	"testing"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
)

func TestPicturesVerifyAndLetIn(t *testing.T) {
	a, b := start(t, "anna", ""), start(t, "bert", "")
	meet(a, b)
	if _, err := b.Compare(t.Context(), a.id, pairing.ToJoin); !errors.Is(err, pairing.ErrOver) {
		t.Errorf("nobody invites: %v", err)
	}
	look := func(purpose pairing.Purpose) {
		t.Helper()
		mine, err := b.Compare(t.Context(), a.id, purpose)
		if err != nil {
			t.Fatal(err)
		}
		x, y := b.comparison(mine), a.comparison("")
		if x.SAS != y.SAS || x.SAS == [3]byte{} || !y.Asked || x.Asked || x.Name != "anna" || y.Name != "bert" {
			t.Fatalf("they see %+v and %+v", x, y)
		}
		if err := errors.Join(a.AnswerComparison(t.Context(), y.ID, true), b.AnswerComparison(t.Context(), mine, true)); err != nil {
			t.Fatal(err)
		}
		a.until("both said so", func() bool { return a.comparison(y.ID).State == discovery.CompareSame })
	}
	look(pairing.ToVerify)
	b.until("both are verified", func() bool { return a.sight.Verified(b.id) && b.sight.Verified(a.id) })
	id := a.found("Home")
	inv, err := a.Invite(t.Context(), id, discovery.Invite{})
	if err != nil {
		t.Fatal(err)
	}
	look(pairing.ToJoin)
	a.until("somebody asks", func() bool { return a.invitation(inv.ID).State == discovery.InviteAsking })
	if err := a.Approve(t.Context(), inv.ID, workgroup.Admission{Role: ledger.Member}); err != nil {
		t.Fatal(err)
	}
	inStep(id, a, b)
	if p, err := a.workgroup(id); err != nil || p.Members[1].Via != ledger.ViaPictures {
		t.Errorf("%+v, %v", p, err)
	}
}

// comparison returns one by its ID, or the last one.
func (w *world) comparison(id string) (last discovery.Comparison) {
	all, err := w.Comparisons(w.t.Context())
	if err != nil {
		w.t.Error(err)
	}
	for _, c := range all {
		if id == "" || c.ID == id {
			last = c
		}
	}
	return last
}

// TestAllInPrivate: nobody is in the open workgroup, but for a new computer whose owner has the recovery sheet.
func TestAllInPrivate(t *testing.T) {
	a, b, c := start(t, "anna", ""), start(t, "bert", ""), start(t, "carla", "")
	for _, w := range []*world{a, b} {
		if err := w.SetOpen(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
	id := a.found("Home")
	b.joins(a, id, ledger.Member)
	inStep(id, a, b)
	o := a.lends("Stuff", id)
	b.until("it may look", func() bool { return b.reads(a, o) == nil })
	if p, ok := b.lists(a.id); !ok || p.Name != "anna" || len(p.Groups) != 1 || !p.Verified {
		t.Errorf("%+v", p)
	}
	sheet, err := a.RecoveryCode(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	c.until("it finds a member by the sheet", func() bool { m, err := c.Moments(t.Context(), sheet); return err == nil && len(m) > 0 })
	if err := a.RemoveMembers(t.Context(), id, ledger.Removed, []discovery.DeviceID{b.id}); err != nil {
		t.Fatal(err)
	}
	b.until("it is told", func() bool { return b.standing(id) == workgroup.Out })
	if p, _ := b.lists(a.id); len(p.Groups) != 0 || len(b.private.Members(a.id)) != 0 {
		t.Errorf("still together: %+v", p)
	}
}
