package membership

import (
	"context"
	"time"

	"golang.org/x/text/unicode/norm"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
)

// Surface is what people do with private workgroups. Errors are those of packages workgroup and pairing, and of discovery where
// people do not meet. Names are brought to normal form C.
type Surface struct{ m *Membership }

// Surface returns the part of m that is for people.
func (m *Membership) Surface() Surface { return Surface{m} }

// normal is the one form of a name: the same letters are the same bytes.
func normal(name string) string { return norm.NFC.String(name) }

func composed(f workgroup.Founding) workgroup.Founding {
	return workgroup.Founding{Name: normal(f.Name), Device: normal(f.Device), PersonName: normal(f.PersonName)}
}

// do follows what an operation of the user changed.
func (s Surface) do(c workgroup.Change, err error) error {
	s.m.follow(c, discovery.DeviceID{})
	return err
}

// noted tells people of something that is not in a ledger.
func (s Surface) noted(err error) error {
	s.m.cfg.OnChange()
	return err
}

// Workgroups returns the private workgroups of this device, the oldest first.
func (s Surface) Workgroups(context.Context) ([]workgroup.Workgroup, error) {
	return s.m.book().Workgroups(), nil
}

// CreateWorkgroup founds a private workgroup.
func (s Surface) CreateWorkgroup(_ context.Context, f workgroup.Founding) (workgroup.Workgroup, error) {
	w, err := s.m.book().Create(composed(f))
	if err == nil {
		s.m.founded(w)
	}
	return w, err
}

// RenameWorkgroup gives a workgroup another name.
func (s Surface) RenameWorkgroup(_ context.Context, id workgroup.ID, name string) error {
	return s.do(s.m.book().Rename(id, normal(name)))
}

// LeaveWorkgroup takes this device out of a workgroup, also one that it leaves without an admin or recovery code if anyway is set.
func (s Surface) LeaveWorkgroup(ctx context.Context, id workgroup.ID, anyway bool) error {
	s.m.warm(ctx, id)
	return s.do(s.m.book().Leave(id, anyway))
}

// ForgetWorkgroup drops what is kept of a workgroup that this device is not in.
func (s Surface) ForgetWorkgroup(_ context.Context, id workgroup.ID) error {
	return s.noted(s.m.book().Forget(id))
}

// RemoveMembers removes devices, all or none.
func (s Surface) RemoveMembers(_ context.Context, id workgroup.ID, why ledger.Reason, devices []discovery.DeviceID) error {
	return s.do(s.m.book().Remove(id, why, devices...))
}

// SetRole makes a member an admin, or an admin a member.
func (s Surface) SetRole(_ context.Context, id workgroup.ID, device discovery.DeviceID, role ledger.Role) error {
	return s.do(s.m.book().SetRole(id, device, role))
}

// RenameMember gives a member another name.
func (s Surface) RenameMember(_ context.Context, id workgroup.ID, device discovery.DeviceID, name string) error {
	return s.do(s.m.book().RenameDevice(id, device, normal(name)))
}

// AdmittedBy returns whom a device let in, and whom these let in.
func (s Surface) AdmittedBy(_ context.Context, id workgroup.ID, device discovery.DeviceID) ([]workgroup.Member, error) {
	return s.m.book().AdmittedBy(id, device)
}

// Contest takes back a removal of this device by somebody junior to it.
func (s Surface) Contest(_ context.Context, id workgroup.ID) error {
	return s.do(s.m.book().Contest(id))
}

// Invite shows a code by which one device may come in.
func (s Surface) Invite(_ context.Context, id workgroup.ID, how discovery.Invite) (discovery.Invitation, error) {
	return s.m.invite(id, how)
}

// Invitations returns this device's invitations, the oldest first; those that are over stay for a few minutes.
func (s Surface) Invitations(context.Context) ([]discovery.Invitation, error) {
	s.m.expire() // what is over by now is not to be seen open
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	out := make([]discovery.Invitation, 0, len(s.m.invitations))
	for _, i := range s.m.invitations {
		out = append(out, i.show())
	}
	return out, nil
}

// Approve lets in who asks by an invitation. discovery.ErrNoInvitation if nobody does.
func (s Surface) Approve(_ context.Context, invitation string, as workgroup.Admission) error {
	return s.m.approve(invitation, as)
}

// EndInvitation withdraws an invitation; to who asks by it, it is the no.
func (s Surface) EndInvitation(_ context.Context, invitation string) error {
	return s.m.decline(invitation, discovery.ErrDeclined)
}

// Join asks to be let in by whoever shows a code: its digits, or the text of its picture. It waits until that is decided.
func (s Surface) Join(ctx context.Context, code string) (workgroup.Workgroup, error) {
	return s.m.joinByCode(ctx, code)
}

// Compare begins a comparison of pictures with a device, and returns its ID when they can be shown.
func (s Surface) Compare(ctx context.Context, device discovery.DeviceID, purpose pairing.Purpose) (string, error) {
	return s.m.compare(ctx, device, purpose)
}

// Comparisons returns those under way, and those that ended a few minutes ago.
func (s Surface) Comparisons(context.Context) ([]discovery.Comparison, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	out := make([]discovery.Comparison, 0, len(s.m.comparisons))
	for _, c := range s.m.comparisons {
		out = append(out, c.Comparison)
	}
	return out, nil
}

// AnswerComparison says whether the pictures are the same. discovery.ErrDifferent if the other side said that they are not;
// pairing.ErrTurn if there is nothing to answer any more.
func (s Surface) AnswerComparison(_ context.Context, id string, same bool) error {
	return s.m.answerComparison(id, same)
}

// RecoveryCode returns the code of a workgroup that this device founded, as it is written on the sheet.
func (s Surface) RecoveryCode(_ context.Context, id workgroup.ID) (string, error) {
	code, err := s.m.book().RecoveryCode(id)
	if err != nil {
		return "", err
	}
	return code.String(), nil
}

// RecoverySaved erases the code from this computer.
func (s Surface) RecoverySaved(_ context.Context, id workgroup.ID) error {
	return s.noted(s.m.book().RecoverySaved(id))
}

// remindIn is how long somebody who says "later" is left in peace.
const remindIn = 7 * 24 * time.Hour

// RemindLater puts the reminder off for a week.
func (s Surface) RemindLater(_ context.Context, id workgroup.ID) error {
	return s.noted(s.m.book().RemindLater(id, remindIn))
}

// Moments returns the states to which a recovery code may go back. workgroup.ErrCode if nobody here knows a workgroup of it,
// discovery.ErrNobody if nobody is here.
func (s Surface) Moments(ctx context.Context, code string) ([]workgroup.Moment, error) {
	return s.m.moments(ctx, code)
}

// Recover uses a recovery code.
func (s Surface) Recover(ctx context.Context, code string, c workgroup.Choice) (workgroup.Workgroup, error) {
	return s.m.recover(ctx, code, c)
}

// PastMembers returns everybody who was ever a member: of whom StartOver can take some along.
func (s Surface) PastMembers(_ context.Context, id workgroup.ID) ([]workgroup.Member, error) {
	return s.m.book().Past(id)
}

// StartOver founds a workgroup that continues another one, with those of keep, each of whom is asked.
func (s Surface) StartOver(_ context.Context, old workgroup.ID, f workgroup.Founding, keep []discovery.DeviceID) (workgroup.Workgroup, error) {
	return s.m.startOver(old, f, keep)
}

// Moves returns what others who started over ask this device.
func (s Surface) Moves(context.Context) ([]workgroup.Offer, error) { return s.m.book().Offers(), nil }

// MoveOver is the yes.
func (s Surface) MoveOver(ctx context.Context, id workgroup.ID) error { return s.m.moveOver(ctx, id) }

// DeclineMove is the no; the same question does not come again.
func (s Surface) DeclineMove(_ context.Context, id workgroup.ID) error {
	return s.noted(s.m.book().Decline(id))
}

// endInvitations withdraws those into a workgroup of which this device is no admin any more.
func (m *Membership) endInvitations(id workgroup.ID) {
	m.mu.Lock()
	var ids []string
	for _, i := range m.invitations {
		if i.workgroup == id && !i.over() {
			ids = append(ids, i.id)
		}
	}
	m.mu.Unlock()
	for _, id := range ids {
		m.decline(id, discovery.ErrDeclined) //nolint:errcheck // it may just have been answered
	}
}
