package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery"
	"porchlight/discovery/calm"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
)

// groups is the part of the fake engine that private workgroups are.
type groups struct {
	all         []workgroup.Workgroup
	members     []workgroup.Member
	invitations []discovery.Invitation
	comparisons []discovery.Comparison
	moments     []workgroup.Moment
	offers      []workgroup.Offer
	admission   workgroup.Admission // of the last Approve
	choice      workgroup.Choice    // of the last Recover
	join        func(context.Context) error
}

func (g *groups) first() (w workgroup.Workgroup) {
	if len(g.all) > 0 {
		w = g.all[0]
	}
	return w
}

func short(id workgroup.ID) string { return id.String()[:4] }

func shorts(ids []discovery.DeviceID) string {
	var out []string
	for _, id := range ids {
		out = append(out, id.Short())
	}
	return strings.Join(out, " ")
}

func (f *fake) Workgroups(context.Context) ([]workgroup.Workgroup, error) {
	return f.groups.all, f.did("Workgroups")
}
func (f *fake) CreateWorkgroup(_ context.Context, w workgroup.Founding) (workgroup.Workgroup, error) {
	return f.groups.first(), f.did("CreateWorkgroup", w.Name, w.Device, w.PersonName)
}
func (f *fake) RenameWorkgroup(_ context.Context, id workgroup.ID, name string) error {
	return f.did("RenameWorkgroup", short(id), name)
}
func (f *fake) LeaveWorkgroup(_ context.Context, id workgroup.ID, anyway bool) error {
	return f.did("LeaveWorkgroup", short(id), fmt.Sprint(anyway))
}
func (f *fake) ForgetWorkgroup(_ context.Context, id workgroup.ID) error {
	return f.did("ForgetWorkgroup", short(id))
}
func (f *fake) SetOpen(_ context.Context, open bool) error { return f.did("SetOpen", fmt.Sprint(open)) }

func (f *fake) RemoveMembers(_ context.Context, id workgroup.ID, why ledger.Reason, devices []discovery.DeviceID) error {
	return f.did("RemoveMembers", short(id), fmt.Sprint(why), shorts(devices))
}
func (f *fake) SetRole(_ context.Context, id workgroup.ID, d discovery.DeviceID, r ledger.Role) error {
	return f.did("SetRole", short(id), d.Short(), fmt.Sprint(r))
}
func (f *fake) RenameMember(_ context.Context, id workgroup.ID, d discovery.DeviceID, name string) error {
	return f.did("RenameMember", short(id), d.Short(), name)
}
func (f *fake) AdmittedBy(_ context.Context, id workgroup.ID, d discovery.DeviceID) ([]workgroup.Member, error) {
	return f.groups.members, f.did("AdmittedBy", short(id), d.Short())
}
func (f *fake) Contest(_ context.Context, id workgroup.ID) error { return f.did("Contest", short(id)) }

func (f *fake) Invite(_ context.Context, id workgroup.ID, how discovery.Invite) (i discovery.Invitation, err error) {
	if len(f.groups.invitations) > 0 {
		i = f.groups.invitations[0]
	}
	return i, f.did("Invite", short(id), fmt.Sprint(how.Yes))
}
func (f *fake) Invitations(context.Context) ([]discovery.Invitation, error) {
	return f.groups.invitations, f.did("Invitations")
}
func (f *fake) Approve(_ context.Context, id string, as workgroup.Admission) error {
	f.groups.admission = as
	return f.did("Approve", id)
}
func (f *fake) EndInvitation(_ context.Context, id string) error { return f.did("EndInvitation", id) }
func (f *fake) Join(ctx context.Context, code string) (workgroup.Workgroup, error) {
	err := f.did("Join", code)
	if f.groups.join != nil {
		err = f.groups.join(ctx)
	}
	return f.groups.first(), err
}

func (f *fake) Compare(_ context.Context, d discovery.DeviceID, why pairing.Purpose) (string, error) {
	return "c1", f.did("Compare", d.Short(), why)
}
func (f *fake) Comparisons(context.Context) ([]discovery.Comparison, error) {
	return f.groups.comparisons, f.did("Comparisons")
}
func (f *fake) AnswerComparison(_ context.Context, id string, same bool) error {
	return f.did("AnswerComparison", id, fmt.Sprint(same))
}
func (f *fake) Unverify(_ context.Context, d discovery.DeviceID) error {
	return f.did("Unverify", d.Short())
}

func (f *fake) RecoveryCode(_ context.Context, id workgroup.ID) (string, error) {
	return "AAAAAAA-BBBBBBB", f.did("RecoveryCode", short(id))
}
func (f *fake) RecoverySaved(_ context.Context, id workgroup.ID) error {
	return f.did("RecoverySaved", short(id))
}
func (f *fake) RemindLater(_ context.Context, id workgroup.ID) error {
	return f.did("RemindLater", short(id))
}
func (f *fake) Moments(_ context.Context, code string) ([]workgroup.Moment, error) {
	return f.groups.moments, f.did("Moments", code)
}
func (f *fake) Recover(_ context.Context, code string, c workgroup.Choice) (workgroup.Workgroup, error) {
	f.groups.choice = c
	return f.groups.first(), f.did("Recover", code)
}

func (f *fake) PastMembers(_ context.Context, id workgroup.ID) ([]workgroup.Member, error) {
	return f.groups.members, f.did("PastMembers", short(id))
}
func (f *fake) StartOver(_ context.Context, id workgroup.ID, w workgroup.Founding, keep []discovery.DeviceID) (workgroup.Workgroup, error) {
	return f.groups.first(), f.did("StartOver", short(id), w.Name, shorts(keep))
}
func (f *fake) Moves(context.Context) ([]workgroup.Offer, error) {
	return f.groups.offers, f.did("Moves")
}
func (f *fake) MoveOver(_ context.Context, id workgroup.ID) error {
	return f.did("MoveOver", short(id))
}
func (f *fake) DeclineMove(_ context.Context, id workgroup.ID) error {
	return f.did("DeclineMove", short(id))
}

var (
	home = workgroup.ID{0xbe, 0xef, 31: 7}
	anna = workgroup.Member{ID: discovery.DeviceID{9, 31: 1}, Key: ledger.Key{5, 31: 2}, Name: "Ännas PC", Person: ledger.Person{3, 15: 4}, PersonName: "Änna",
		Role: ledger.Admin, Via: ledger.ViaPictures, By: bo, Since: now, Self: true}
)

func newGroups() groups {
	w := workgroup.Workgroup{ID: home, Name: "Zu <Hause>", Short: "ABCDEFG", Twin: true, Standing: workgroup.Out, Role: ledger.Member, Members: []workgroup.Member{anna, {}},
		Removal: &workgroup.Removal{By: bo, ByName: "bo", Reason: ledger.Lost, At: now, Hearsay: true}, Contest: true, Unsaved: true, Remind: true, NeedsUpdate: true,
		KeyMissing: true, Replaces: workgroup.ID{1, 31: 1}, Founded: now}
	return groups{
		all: []workgroup.Workgroup{w, {}}, members: []workgroup.Member{anna, {}},
		invitations: []discovery.Invitation{{ID: "i1", Workgroup: home, State: discovery.InviteAsking, Code: "27482913", QR: "Porchlight 27 482 913\n192.0.2.1:5\nABC\n", Until: now,
			Tried: 1, Tries: 3, Yes: true, Device: bo, Name: "bö"}, {}},
		comparisons: []discovery.Comparison{{ID: "c1", Device: bo, Name: "bö", Join: true, Asked: true, SAS: [3]byte{0, 255, 7}, State: discovery.CompareWaiting, Since: now, Trouble: "x"}, {}},
		moments:     []workgroup.Moment{{Heads: []ledger.Hash{home, {2}}, At: now, Members: []workgroup.Member{anna}}, {}},
		offers:      []workgroup.Offer{{ID: home, Old: workgroup.ID{1}, Name: "Neu", By: anna, Members: []workgroup.Member{anna}, Without: []workgroup.Member{{Name: "old"}}, Founded: now}, {}},
	}
}

func TestEveryGroupCallArrivesAsItWasMade(t *testing.T) {
	f := &fake{}
	c, _ := start(t, f)
	ctx, b := t.Context(), bo.Short()
	two := []discovery.DeviceID{bo, {9}}
	second := func(_ any, err error) error { return err }
	for _, tt := range []struct {
		want string
		err  error
	}{
		{`RenameWorkgroup["beef" "Zu <Hause>"]`, c.RenameWorkgroup(ctx, home, "Zu <Hause>")},
		{`LeaveWorkgroup["beef" "true"]`, c.LeaveWorkgroup(ctx, home, true)},
		{`LeaveWorkgroup["beef" "false"]`, c.LeaveWorkgroup(ctx, home, false)},
		{`ForgetWorkgroup["beef"]`, c.ForgetWorkgroup(ctx, home)},
		{`SetOpen["false"]`, c.SetOpen(ctx, false)},
		{`SetOpen["true"]`, c.SetOpen(ctx, true)},
		{`RemoveMembers["beef" "3" "` + shorts(two) + `"]`, c.RemoveMembers(ctx, home, ledger.Lost, two)},
		{`SetRole["beef" "` + b + `" "2"]`, c.SetRole(ctx, home, bo, ledger.Admin)},
		{`RenameMember["beef" "` + b + `" "bö"]`, c.RenameMember(ctx, home, bo, "bö")},
		{`Contest["beef"]`, c.Contest(ctx, home)},
		{`EndInvitation["i1"]`, c.EndInvitation(ctx, "i1")},
		{`AnswerComparison["c1" "true"]`, c.AnswerComparison(ctx, "c1", true)},
		{`AnswerComparison["c1" "false"]`, c.AnswerComparison(ctx, "c1", false)},
		{`Unverify["` + b + `"]`, c.Unverify(ctx, bo)},
		{`RecoverySaved["beef"]`, c.RecoverySaved(ctx, home)},
		{`RemindLater["beef"]`, c.RemindLater(ctx, home)},
		{`MoveOver["beef"]`, c.MoveOver(ctx, home)},
		{`DeclineMove["beef"]`, c.DeclineMove(ctx, home)},
		{`CreateWorkgroup["Home" "PC" "Änna"]`, second(c.CreateWorkgroup(ctx, workgroup.Founding{Name: "Home", Device: "PC", PersonName: "Änna"}))},
		{`AdmittedBy["beef" "` + b + `"]`, second(c.AdmittedBy(ctx, home, bo))},
		{`Invite["beef" "true"]`, second(c.Invite(ctx, home, discovery.Invite{Yes: true}))},
		{`Join["27 482-913"]`, second(c.Join(ctx, "27 482-913"))},
		{`Join["a\n\xff"]`, second(c.Join(ctx, "a\n\xff"))},
		{`Moments["IBAUEQ2-EIVDEO7"]`, second(c.Moments(ctx, "IBAUEQ2-EIVDEO7"))},
		{`PastMembers["beef"]`, second(c.PastMembers(ctx, home))},
		{`StartOver["beef" "Neu" "` + shorts(two) + `"]`, second(c.StartOver(ctx, home, workgroup.Founding{Name: "Neu"}, two))},
		{`Compare["` + b + `" "verify"]`, second(c.Compare(ctx, bo, pairing.ToVerify))},
	} {
		if tt.err != nil {
			t.Errorf("%s: %v", tt.want, tt.err)
		}
		if f.calls[0] != tt.want {
			t.Errorf("%s, want %s", f.calls[0], tt.want)
		}
		f.calls = f.calls[1:]
	}
	admission := workgroup.Admission{Key: anna.Key, Name: "PC", Person: anna.Person, PersonName: "Änna", Role: ledger.Member, Via: ledger.ViaQR}
	if err := c.Approve(ctx, "i1", admission); err != nil || f.last() != `Approve["i1"]` || f.groups.admission != admission {
		t.Error(err, f.last(), f.groups.admission)
	}
	choice := workgroup.Choice{Heads: []ledger.Hash{home, {31: 9}}, Remove: two, Name: "PC", PersonName: "Änna"}
	if _, err := c.Recover(ctx, "IBA\xff", choice); err != nil || f.last() != `Recover["IBA\xff"]` || !cmp.Equal(f.groups.choice, choice) {
		t.Error(err, f.last(), cmp.Diff(choice, f.groups.choice))
	}
}

func TestEveryGroupAnswerArrivesAsItWasGiven(t *testing.T) {
	f := &fake{groups: newGroups()}
	c, _ := start(t, f)
	ctx, g := t.Context(), &f.groups
	same := func(want any) func(got any, err error) {
		return func(got any, err error) {
			t.Helper()
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Error(f.last(), err, diff)
			}
		}
	}
	any2 := func(got any, err error) (any, error) { return got, err }
	same(g.all)(any2(c.Workgroups(ctx)))
	same(g.all[0])(any2(c.CreateWorkgroup(ctx, workgroup.Founding{})))
	same(g.members)(any2(c.AdmittedBy(ctx, home, bo)))
	same(g.invitations[0])(any2(c.Invite(ctx, home, discovery.Invite{})))
	same(g.invitations)(any2(c.Invitations(ctx)))
	same(g.all[0])(any2(c.Join(ctx, "")))
	same("c1")(any2(c.Compare(ctx, bo, pairing.ToJoin)))
	same(g.comparisons)(any2(c.Comparisons(ctx)))
	same("AAAAAAA-BBBBBBB")(any2(c.RecoveryCode(ctx, home)))
	same(g.moments)(any2(c.Moments(ctx, "x")))
	same(g.all[0])(any2(c.Recover(ctx, "x", workgroup.Choice{})))
	same(g.members)(any2(c.PastMembers(ctx, home)))
	same(g.all[0])(any2(c.StartOver(ctx, home, workgroup.Founding{}, nil)))
	same(g.offers)(any2(c.Moves(ctx)))
}

// TestEveryKindOfErrorArrives: each sentinel is itself at the other end, and none of the others.
func TestEveryKindOfErrorArrives(t *testing.T) {
	f := &fake{}
	c, _ := start(t, f)
	for _, k := range kinds() {
		f.err = fmt.Errorf("do the thing: %w", k.err)
		err := c.Contest(t.Context(), home)
		if err == nil || err.Error() != f.err.Error() {
			t.Errorf("%s: %v", k.name, err)
		}
		for _, other := range kinds() {
			if got, want := errors.Is(err, other.err), errors.Is(f.err, other.err); got != want {
				t.Errorf("%s is %s: %t, want %t", k.name, other.name, got, want)
			}
		}
	}
}

// TestGivingUpAJoinEndsIt: who stops waiting to be let in does not stay in line.
func TestGivingUpAJoinEndsIt(t *testing.T) {
	f := &fake{}
	in, out := make(chan struct{}), make(chan struct{})
	f.groups.join = func(ctx context.Context) error {
		close(in)
		<-ctx.Done()
		close(out)
		return ctx.Err()
	}
	c, _ := start(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() {
		_, err := c.Join(ctx, "27482913")
		over <- err
	}()
	<-in
	cancel()
	if err := <-over; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	select {
	case <-out:
	case <-time.After(calm.Most(10 * time.Second)):
		t.Error("the engine goes on joining for nobody")
	}
}

// TestAJoinSaysWhyItsTimeIsUp: the end of the caller's time does not swallow what the engine found out: the engine stops before it, so that
// the answer has time to come.
func TestAJoinSaysWhyItsTimeIsUp(t *testing.T) {
	f := &fake{}
	c, _ := start(t, f)
	for _, tt := range []struct{ wait, least, most time.Duration }{{time.Hour, 59 * time.Minute, time.Hour - answerTime}, {time.Minute, 30 * time.Second, time.Minute - answerTime}} {
		var left time.Duration
		f.groups.join = func(ctx context.Context) error {
			end, ok := ctx.Deadline()
			if !ok {
				return errors.New("the engine may take for ever")
			}
			left = time.Until(end)
			return errors.Join(context.DeadlineExceeded, discovery.ErrNobody) // as when that time is up
		}
		ctx, cancel := context.WithTimeout(t.Context(), tt.wait)
		_, err := c.Join(ctx, "27482913")
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, discovery.ErrNobody) {
			t.Errorf("within %v: %v", tt.wait, err)
		}
		if left > tt.most || left < tt.least {
			t.Errorf("of %v the engine has %v", tt.wait, left)
		}
	}
	f.groups.join = func(ctx context.Context) error {
		<-ctx.Done()
		return errors.Join(ctx.Err(), discovery.ErrNobody)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	if _, err := c.Join(ctx, "27482913"); !errors.Is(err, context.DeadlineExceeded) || calm.Is() && !errors.Is(err, discovery.ErrNobody) {
		t.Errorf("within so short a time: %v", err)
	}
}

func TestAnIDThatIsNoneIsRefused(t *testing.T) {
	var h hashText
	for _, bad := range []string{"", "00", home.String() + "0", home.String()[:63], home.String()[:62] + "xy"} {
		if err := h.UnmarshalText([]byte(bad)); !errors.Is(err, errHash) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if text, err := hashText(home).MarshalText(); err != nil || string(text) != home.String() {
		t.Errorf("%s %v", text, err)
	}
	if err := h.UnmarshalText([]byte(strings.ToUpper(home.String()))); err != nil || h != hashText(home) {
		t.Error(h, err)
	}
}
