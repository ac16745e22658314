package membership

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/identity"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
)

func otherSigner(t *testing.T) ledger.Signer {
	t.Helper()
	seed := make([]byte, 32)
	rand.Read(seed)
	i, err := identity.FromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// wrong is another code with the same slot.
func wrong(code string) string {
	six := (code[7]-'0'+1)%10 + '0'
	return code[:7] + string(six)
}

func TestThreeWrongCodesBurnAnInvitation(t *testing.T) {
	l := newLAN(t)
	a, b := l.device("anna"), l.device("bert")
	id := a.found("Home")
	inv := a.invites(id, discovery.Invite{})
	for try := range pairing.MaxRuns {
		if try == 1 { // one that breaks off before it proves anything counts, too
			c := b.plug(a)
			_, msg, err := pairing.NewJoin(channel(a.id, b.id, c.exporter), pairing.Code{Digits: inv.Code}, "bert", rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			a.ahead.Add(int64(pairing.RunEvery))
			if _, err := (&meeting{cable: c}).Join(t.Context(), msg); err != nil {
				t.Fatal(err)
			}
			c.cut()
		} else {
			a.ahead.Add(int64(pairing.RunEvery))
			if _, err := b.Surface.Join(t.Context(), wrong(inv.Code)); !errors.Is(err, pairing.ErrProof) {
				t.Errorf("wrong code: %v", err)
			}
		}
		if got := a.invited(inv.ID); got.Tried != try+1 || got.Tries != pairing.MaxRuns {
			t.Errorf("after %d tries: %+v", try+1, got)
		}
	}
	until(t, "it is burned", func() bool { return a.invited(inv.ID).State == discovery.InviteBurned })
	if _, open := a.Slot(); open {
		t.Error("a burned invitation is announced")
	}
	if _, err := b.Surface.Join(t.Context(), inv.QR); !errors.Is(err, pairing.ErrOver) {
		t.Errorf("the right code, too late: %v", err)
	}
	if len(a.group(id).Members) != 1 {
		t.Error("somebody came in")
	}
}

func TestInvitationsEnd(t *testing.T) {
	l := newLAN(t)
	a, b := l.device("anna"), l.device("bert")
	id := a.found("Home")
	first := a.invites(id, discovery.Invite{})
	second := a.invites(id, discovery.Invite{})
	if a.invited(first.ID).State != discovery.InviteEnded {
		t.Errorf("two are open: %+v", a.invited(first.ID))
	}
	a.ahead.Add(int64(pairing.CodeLife))
	if got := a.invited(second.ID); got.State != discovery.InviteExpired {
		t.Errorf("after its time: %+v", got)
	}
	if _, open := a.Slot(); open {
		t.Error("an old one is announced")
	}
	third := a.invites(id, discovery.Invite{})
	if err := a.EndInvitation(t.Context(), third.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Surface.Join(t.Context(), third.QR); !errors.Is(err, pairing.ErrOver) {
		t.Errorf("a withdrawn one: %v", err)
	}
	fourth := a.invites(id, discovery.Invite{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := b.Surface.Join(t.Context(), fourth.Code); !errors.Is(err, discovery.ErrDeclined) {
			t.Errorf("the answer is no: %v", err)
		}
	})
	until(t, "somebody asks", func() bool { return a.invited(fourth.ID).State == discovery.InviteAsking })
	if err := a.EndInvitation(t.Context(), fourth.ID); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if err := a.Approve(t.Context(), fourth.ID, workgroup.Admission{}); !errors.Is(err, discovery.ErrNoInvitation) {
		t.Errorf("yes after no: %v", err)
	}
	if _, ok := a.verified.Load(b.id); ok {
		t.Error("verified, though the answer was no")
	}
	fifth := a.invites(id, discovery.Invite{})
	if _, err := a.Surface.Invite(t.Context(), id, discovery.Invite{}); !errors.Is(err, pairing.ErrOften) {
		t.Errorf("a fourth in ten minutes: %v", err)
	}
	if err := a.EndInvitation(t.Context(), fifth.ID); err != nil {
		t.Fatal(err)
	}
	a.ahead.Add(int64(showTime + time.Second))
	if all, err := a.Invitations(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("long after: %+v, %v", all, err)
	}
}

// TestInvitationOfADemotedAdmin: whoever cannot let anybody in any more does not go on asking.
func TestInvitationOfADemotedAdmin(t *testing.T) {
	l := newLAN(t)
	a, b, c := l.device("anna"), l.device("bert"), l.device("carla")
	id := a.found("Home")
	b.in(a, id)
	if err := a.SetRole(t.Context(), id, b.id, ledger.Admin); err != nil {
		t.Fatal(err)
	}
	until(t, "bert is an admin", func() bool { return b.group(id).Role == ledger.Admin })
	inv := b.invites(id, discovery.Invite{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := c.Surface.Join(t.Context(), inv.Code); !errors.Is(err, discovery.ErrDeclined) {
			t.Errorf("join: %v", err)
		}
	})
	until(t, "somebody asks", func() bool { return b.invited(inv.ID).State == discovery.InviteAsking })
	if err := a.SetRole(t.Context(), id, b.id, ledger.Member); err != nil {
		t.Fatal(err)
	}
	until(t, "it is over", func() bool { return b.invited(inv.ID).State == discovery.InviteEnded })
	wg.Wait()
}

// TestConnectionBreaksWhileAPersonDecides: the device asks again on a new one, and is known by its key.
func TestConnectionBreaksWhileAPersonDecides(t *testing.T) {
	l := newLAN(t)
	a, b := l.device("anna"), l.device("bert")
	id := a.found("Home")
	inv := a.invites(id, discovery.Invite{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if w, err := b.Surface.Join(t.Context(), inv.Code); err != nil || w.ID != id {
			t.Errorf("%+v, %v", w, err)
		}
	})
	until(t, "somebody asks", func() bool { return a.invited(inv.ID).State == discovery.InviteAsking })
	a.cutAll()
	if err := a.Approve(t.Context(), inv.ID, workgroup.Admission{Role: ledger.Member}); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	inStep(t, id, a, b)
}

// cutAll breaks what others have begun here.
func (n *node) cutAll() {
	n.mu.Lock()
	var all []*cable
	for c := range n.here {
		all = append(all, c)
	}
	n.mu.Unlock()
	for _, c := range all {
		c.cut()
	}
}

// TestVanishedJoinerComesBack: it was let in and never heard of it; another code brings it in.
func TestVanishedJoinerComesBack(t *testing.T) {
	l := newLAN(t)
	a, b := l.device("anna"), l.device("bert")
	id := a.found("Home")
	inv := a.invites(id, discovery.Invite{})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := b.Surface.Join(ctx, inv.Code); err == nil {
			t.Error("it was let in after all")
		}
	})
	until(t, "somebody asks", func() bool { return a.invited(inv.ID).State == discovery.InviteAsking })
	cancel()
	wg.Wait()
	if err := a.Approve(t.Context(), inv.ID, workgroup.Admission{Role: ledger.Member}); err != nil {
		t.Fatal(err)
	}
	if b.group(id).Standing == workgroup.In || len(a.group(id).Members) != 2 {
		t.Fatal("not the case to be tested")
	}
	a.ahead.Add(int64(pairing.RunEvery))
	b.in(a, id)
}

// TestRelayGetsNowhere: somebody with two connections carries every message faithfully between two who want to meet.
func TestRelayGetsNowhere(t *testing.T) {
	l := newLAN(t)
	a, b, relay := l.device("anna"), l.device("bert"), l.device("mallory")
	id := a.found("Home")
	inv := a.invites(id, discovery.Invite{Yes: true})
	b.between.Store(relay)
	for _, code := range []string{inv.Code, inv.QR} {
		if _, err := b.Surface.Join(t.Context(), code); !errors.Is(err, pairing.ErrProof) {
			t.Errorf("join: %v", err)
		}
		a.ahead.Add(int64(pairing.RunEvery))
	}
	if len(a.group(id).Members) != 1 || a.invited(inv.ID).Tried != 2 {
		t.Errorf("%+v, %+v", a.group(id), a.invited(inv.ID))
	}
	mine, err := b.Surface.Compare(t.Context(), a.id, pairing.ToJoin)
	if err == nil {
		x, y := b.compared(mine), a.compared("")
		if x.SAS == y.SAS {
			t.Errorf("both see %v", x.SAS)
		}
		if y.Device != relay.id {
			t.Errorf("anna compares with %v", y.Device)
		}
		if err := a.AnswerComparison(t.Context(), y.ID, false); err != nil {
			t.Fatal(err)
		}
		if err := b.AnswerComparison(t.Context(), mine, true); err != nil {
			t.Fatal(err)
		}
		until(t, "both are warned", func() bool {
			return b.compared(mine).State == discovery.CompareDifferent && a.compared(y.ID).State == discovery.CompareDifferent
		})
	} else if !errors.Is(err, pairing.ErrProof) {
		t.Fatal(err)
	}
	if a.invited(inv.ID).State != discovery.InviteOpen || len(a.group(id).Members) != 1 {
		t.Errorf("%+v", a.invited(inv.ID))
	}
}

func (n *node) compared(id string) (last discovery.Comparison) {
	all, err := n.Comparisons(n.lan.t.Context())
	if err != nil {
		n.lan.t.Error(err)
	}
	for _, c := range all {
		if id == "" || c.ID == id {
			last = c
		}
	}
	return last
}

func TestComparisons(t *testing.T) {
	for _, tt := range []struct {
		name           string
		first          string // who answers first
		joiner, dialed bool
		want           discovery.CompareState
	}{
		{"both the same", "joiner", true, true, discovery.CompareSame},
		{"both the same, the other first", "dialled", true, true, discovery.CompareSame},
		{"the dialled one says no", "dialled", true, false, discovery.CompareDifferent},
		{"the dialled one says no afterwards", "joiner", true, false, discovery.CompareDifferent},
		{"the other one says no", "joiner", false, true, discovery.CompareDifferent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLAN(t)
			a, b := l.device("anna"), l.device("bert")
			mine, err := b.Surface.Compare(t.Context(), a.id, pairing.ToVerify)
			if err != nil {
				t.Fatal(err)
			}
			x, y := b.compared(mine), a.compared("")
			if x.SAS != y.SAS || x.SAS == [3]byte{} || x.State != discovery.CompareShown || y.State != discovery.CompareShown || !y.Asked || x.Asked || y.Name != "bert" {
				t.Fatalf("%+v, %+v", x, y)
			}
			say := map[string]func() error{
				"joiner":  func() error { return b.AnswerComparison(t.Context(), mine, tt.joiner) },
				"dialled": func() error { return a.AnswerComparison(t.Context(), y.ID, tt.dialed) },
			}
			second := map[string]string{"joiner": "dialled", "dialled": "joiner"}[tt.first]
			if err := say[tt.first](); err != nil {
				t.Fatal(err)
			}
			if !tt.joiner && tt.first == "joiner" {
				until(t, "the warning is at the other side", func() bool { return a.compared(y.ID).State == discovery.CompareDifferent })
			}
			if err := say[second](); err != nil && !errors.Is(err, discovery.ErrDifferent) {
				t.Fatal(err)
			}
			until(t, "both see how it ended", func() bool { return a.compared(y.ID).State == tt.want && b.compared(mine).State == tt.want })
			_, va := a.verified.Load(b.id)
			_, vb := b.verified.Load(a.id)
			if same := tt.want == discovery.CompareSame; va != same || vb != same {
				t.Errorf("verified: %v, %v", va, vb)
			}
			_, err = b.Surface.Compare(t.Context(), a.id, pairing.ToVerify)
			if blocked := errors.Is(err, pairing.ErrBlocked); blocked != (tt.want == discovery.CompareDifferent) {
				t.Errorf("another one at once: %v", err)
			}
			b.gate = pairing.Gate{} // the other side has its own
			if _, err = b.Surface.Compare(t.Context(), a.id, pairing.ToVerify); errors.Is(err, pairing.ErrBlocked) != (tt.want == discovery.CompareDifferent) {
				t.Errorf("it is the other side that blocks: %v", err)
			}
		})
	}
}

// TestComparisonEndsWithTheConnection on both sides; and there are not many of them.
func TestComparisonEndsWithTheConnection(t *testing.T) {
	l := newLAN(t)
	a, b := l.device("anna"), l.device("bert")
	mine, err := b.Surface.Compare(t.Context(), a.id, pairing.ToVerify)
	if err != nil {
		t.Fatal(err)
	}
	a.cutAll()
	until(t, "both see it", func() bool {
		return a.compared("").State == discovery.CompareOver && b.compared(mine).State == discovery.CompareOver
	})
	if err := b.AnswerComparison(t.Context(), mine, true); !errors.Is(err, pairing.ErrTurn) {
		t.Errorf("an answer to nothing: %v", err)
	}
	for i := range pairing.MaxCompares {
		_, err = b.Surface.Compare(t.Context(), a.id, pairing.ToVerify)
		if often := errors.Is(err, pairing.ErrOften); often != (i == pairing.MaxCompares-1) {
			t.Errorf("comparison %d: %v", i+2, err)
		}
	}
	a.ahead.Add(int64(showTime + waitTime))
	b.ahead.Add(int64(showTime + waitTime))
	a.expire()
	if len(a.compared("").ID) != 0 && a.compared("").State == discovery.CompareOver {
		t.Errorf("%+v", a.compared(""))
	}
}

func TestPicturesLetIn(t *testing.T) {
	l := newLAN(t)
	a, b := l.device("anna"), l.device("bert")
	id := a.found("Home")
	if _, err := b.Surface.Compare(t.Context(), a.id, pairing.ToJoin); !errors.Is(err, pairing.ErrOver) {
		t.Errorf("nobody invites: %v", err)
	}
	inv := a.invites(id, discovery.Invite{})
	mine, err := b.Surface.Compare(t.Context(), a.id, pairing.ToJoin)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.AnswerComparison(t.Context(), mine, true), a.AnswerComparison(t.Context(), a.compared("").ID, true)); err != nil {
		t.Fatal(err)
	}
	until(t, "somebody asks", func() bool { return a.invited(inv.ID).State == discovery.InviteAsking })
	if got := a.invited(inv.ID); got.Device != b.id || got.Name != "bert" {
		t.Errorf("%+v", got)
	}
	if _, err := l.device("carla").Surface.Join(t.Context(), inv.QR); !errors.Is(err, pairing.ErrOver) {
		t.Errorf("its code lets in somebody else: %v", err)
	}
	if err := a.Approve(t.Context(), inv.ID, workgroup.Admission{Role: ledger.Admin}); err != nil {
		t.Fatal(err)
	}
	until(t, "it is in", func() bool {
		return b.compared(mine).State == discovery.CompareSame && b.group(id).Role == ledger.Admin
	})
	if m, err := a.book().Member(id, b.id); err != nil || m.Via != ledger.ViaPictures {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestJoinFindsTheRightOne among several that announce the same slot.
func TestJoinFindsTheRightOne(t *testing.T) {
	l := newLAN(t)
	b := l.device("bert")
	var codes []string
	var ids []workgroup.ID
	for i := range 3 {
		n := l.device(fmt.Sprint("inviter ", i))
		ids = append(ids, n.found("Home"))
		inv := n.invites(ids[i], discovery.Invite{Yes: true})
		codes = append(codes, inv.QR)
	}
	for i, code := range codes {
		if w, err := b.Surface.Join(t.Context(), code); err != nil || w.ID != ids[i] {
			t.Errorf("%d: %+v, %v", i, w, err)
		}
	}
	if _, err := b.Surface.Join(t.Context(), "no code"); !errors.Is(err, pairing.ErrCode) {
		t.Errorf("%v", err)
	}
}
