package viewmodel

import (
	"context"
	"fmt"
	"slices"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
)

// fakePrivate is what a fake engine knows of private workgroups.
type fakePrivate struct {
	groups   []workgroup.Workgroup
	invites  []discovery.Invitation
	compares []discovery.Comparison
	moves    []workgroup.Offer
	members  []workgroup.Member // the answer of AdmittedBy and PastMembers
	moments  []workgroup.Moment
	code     string
	approved workgroup.Admission
	choice   workgroup.Choice
	older    bool // it knows nothing of private workgroups
}

func id(n byte) (w workgroup.ID) { w[0], w[31] = n, n; return w }

func (f *fake) Workgroups(context.Context) ([]workgroup.Workgroup, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.older {
		return nil, errDisk
	}
	return slices.Clone(f.groups), nil
}
func (f *fake) CreateWorkgroup(_ context.Context, x workgroup.Founding) (workgroup.Workgroup, error) {
	return workgroup.Workgroup{ID: id(9), Name: x.Name}, f.did("create %s/%s/%s", x.Name, x.Device, x.PersonName)
}
func (f *fake) RenameWorkgroup(_ context.Context, w workgroup.ID, name string) error {
	return f.did("group %d %s", w[0], name)
}
func (f *fake) LeaveWorkgroup(_ context.Context, w workgroup.ID, anyway bool) error {
	return f.did("leave %d %v", w[0], anyway)
}
func (f *fake) ForgetWorkgroup(_ context.Context, w workgroup.ID) error {
	return f.did("forget group %d", w[0])
}
func (f *fake) SetOpen(_ context.Context, open bool) error { return f.did("open %v", open) }
func (f *fake) RemoveMembers(_ context.Context, w workgroup.ID, why ledger.Reason, all []discovery.DeviceID) error {
	text := fmt.Sprintf("remove %d %d:", w[0], why)
	for _, d := range all {
		text += fmt.Sprintf(" %d", d[0])
	}
	return f.did("%s", text)
}
func (f *fake) SetRole(_ context.Context, w workgroup.ID, d discovery.DeviceID, r ledger.Role) error {
	return f.did("role %d %d %d", w[0], d[0], r)
}
func (f *fake) RenameMember(_ context.Context, w workgroup.ID, d discovery.DeviceID, name string) error {
	return f.did("member %d %d %s", w[0], d[0], name)
}
func (f *fake) AdmittedBy(context.Context, workgroup.ID, discovery.DeviceID) ([]workgroup.Member, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.members, nil
}
func (f *fake) Contest(_ context.Context, w workgroup.ID) error { return f.did("contest %d", w[0]) }
func (f *fake) Invite(_ context.Context, w workgroup.ID, _ discovery.Invite) (discovery.Invitation, error) {
	x := discovery.Invitation{ID: "new", Workgroup: w, State: discovery.InviteOpen, Code: "27482913", QR: "text", Until: noon().Add(10 * time.Minute), Tries: 3}
	return x, f.did("invite %d", w[0])
}
func (f *fake) Invitations(context.Context) ([]discovery.Invitation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.invites), nil
}
func (f *fake) Approve(_ context.Context, invitation string, as workgroup.Admission) error {
	f.mu.Lock()
	f.approved = as
	f.mu.Unlock()
	return f.did("approve %s", invitation)
}
func (f *fake) EndInvitation(_ context.Context, x string) error { return f.did("end %s", x) }
func (f *fake) Join(ctx context.Context, code string) (workgroup.Workgroup, error) {
	err := f.did("join %s", code)
	if code == "99999999" { // somebody takes his time
		<-ctx.Done()
		_ = f.did("gave up")
		return workgroup.Workgroup{}, ctx.Err()
	}
	return workgroup.Workgroup{ID: id(1)}, err
}
func (f *fake) Compare(_ context.Context, d discovery.DeviceID, why pairing.Purpose) (string, error) {
	return "c", f.did("compare %d %s", d[0], why)
}
func (f *fake) Comparisons(context.Context) ([]discovery.Comparison, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.compares), nil
}
func (f *fake) AnswerComparison(_ context.Context, x string, same bool) error {
	return f.did("answer %s %v", x, same)
}
func (f *fake) Unverify(_ context.Context, d discovery.DeviceID) error {
	return f.did("unverify %d", d[0])
}
func (f *fake) RecoveryCode(context.Context, workgroup.ID) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.code == "" {
		return "", workgroup.ErrErased
	}
	return f.code, nil
}
func (f *fake) RecoverySaved(_ context.Context, w workgroup.ID) error { return f.did("saved %d", w[0]) }
func (f *fake) RemindLater(_ context.Context, w workgroup.ID) error   { return f.did("later %d", w[0]) }
func (f *fake) Moments(_ context.Context, code string) ([]workgroup.Moment, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.moments, nil
}
func (f *fake) Recover(_ context.Context, _ string, c workgroup.Choice) (workgroup.Workgroup, error) {
	f.mu.Lock()
	f.choice = c
	f.mu.Unlock()
	return workgroup.Workgroup{ID: id(1), Name: "Home"}, f.did("recover")
}
func (f *fake) PastMembers(context.Context, workgroup.ID) ([]workgroup.Member, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.members, nil
}
func (f *fake) StartOver(_ context.Context, w workgroup.ID, x workgroup.Founding, keep []discovery.DeviceID) (workgroup.Workgroup, error) {
	return workgroup.Workgroup{ID: id(8)}, f.did("over %d %s/%s %d", w[0], x.Name, x.PersonName, len(keep))
}
func (f *fake) Moves(context.Context) ([]workgroup.Offer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.moves), nil
}
func (f *fake) MoveOver(_ context.Context, w workgroup.ID) error { return f.did("move %d", w[0]) }
func (f *fake) DeclineMove(_ context.Context, w workgroup.ID) error {
	return f.did("stay %d", w[0])
}
