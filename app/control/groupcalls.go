package control

import (
	"context"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
)

// Workgroups is Groups'.
func (c *Client) Workgroups(ctx context.Context) ([]workgroup.Workgroup, error) {
	return ask[[]workgroup.Workgroup](ctx, c, "workgroups", nothing{})
}

// CreateWorkgroup is Groups'.
func (c *Client) CreateWorkgroup(ctx context.Context, f workgroup.Founding) (workgroup.Workgroup, error) {
	return ask[workgroup.Workgroup](ctx, c, "create-workgroup", f)
}

// RenameWorkgroup is Groups'.
func (c *Client) RenameWorkgroup(ctx context.Context, id workgroup.ID, name string) error {
	return c.tell(ctx, "rename-workgroup", groupMsg{ID: hashText(id), Name: name})
}

// LeaveWorkgroup is Groups'.
func (c *Client) LeaveWorkgroup(ctx context.Context, id workgroup.ID, anyway bool) error {
	return c.tell(ctx, "leave-workgroup", groupMsg{ID: hashText(id), Yes: anyway})
}

// ForgetWorkgroup is Groups'.
func (c *Client) ForgetWorkgroup(ctx context.Context, id workgroup.ID) error {
	return c.tell(ctx, "forget-workgroup", groupMsg{ID: hashText(id)})
}

// SetOpen is Groups'.
func (c *Client) SetOpen(ctx context.Context, open bool) error {
	return c.tell(ctx, "set-open", yesMsg{open})
}

// RemoveMembers is Members'.
func (c *Client) RemoveMembers(ctx context.Context, id workgroup.ID, why ledger.Reason, devices []discovery.DeviceID) error {
	return c.tell(ctx, "remove-members", membersMsg{ID: hashText(id), Why: why, Devices: devices})
}

// SetRole is Members'.
func (c *Client) SetRole(ctx context.Context, id workgroup.ID, device discovery.DeviceID, role ledger.Role) error {
	return c.tell(ctx, "set-role", memberMsg{ID: hashText(id), Device: device, Role: role})
}

// RenameMember is Members'.
func (c *Client) RenameMember(ctx context.Context, id workgroup.ID, device discovery.DeviceID, name string) error {
	return c.tell(ctx, "rename-member", memberMsg{ID: hashText(id), Device: device, Name: name})
}

// AdmittedBy is Members'.
func (c *Client) AdmittedBy(ctx context.Context, id workgroup.ID, device discovery.DeviceID) ([]workgroup.Member, error) {
	return ask[[]workgroup.Member](ctx, c, "admitted-by", memberMsg{ID: hashText(id), Device: device})
}

// Contest is Members'.
func (c *Client) Contest(ctx context.Context, id workgroup.ID) error {
	return c.tell(ctx, "contest", groupMsg{ID: hashText(id)})
}

// Invite is Invites'.
func (c *Client) Invite(ctx context.Context, id workgroup.ID, how discovery.Invite) (discovery.Invitation, error) {
	return ask[discovery.Invitation](ctx, c, "invite", inviteMsg{hashText(id), how})
}

// Invitations is Invites'.
func (c *Client) Invitations(ctx context.Context) ([]discovery.Invitation, error) {
	return ask[[]discovery.Invitation](ctx, c, "invitations", nothing{})
}

// Approve is Invites'.
func (c *Client) Approve(ctx context.Context, invitation string, as workgroup.Admission) error {
	return c.tell(ctx, "approve", approveMsg{invitation, as})
}

// EndInvitation is Invites'.
func (c *Client) EndInvitation(ctx context.Context, invitation string) error {
	return c.tell(ctx, "end-invitation", answerMsg{ID: invitation})
}

// answerTime is what is left of the caller's time for the answer to a call that ended because of it.
const answerTime = 200 * time.Millisecond

// Join is Invites'. The engine stops a little before the time of ctx is up: it knows what came of the search by then, and this end
// would not.
func (c *Client) Join(ctx context.Context, code string) (workgroup.Workgroup, error) {
	in := joinMsg{Code: []byte(code)}
	if end, ok := ctx.Deadline(); ok {
		left := time.Until(end)
		in.Wait = max(left-answerTime, left/2)
	}
	return ask[workgroup.Workgroup](ctx, c, "join", in)
}

// Compare is Comparisons'.
func (c *Client) Compare(ctx context.Context, device discovery.DeviceID, why pairing.Purpose) (string, error) {
	m, err := ask[answerMsg](ctx, c, "compare", compareMsg{device, why})
	return m.ID, err
}

// Comparisons is Comparisons'.
func (c *Client) Comparisons(ctx context.Context) ([]discovery.Comparison, error) {
	return ask[[]discovery.Comparison](ctx, c, "comparisons", nothing{})
}

// AnswerComparison is Comparisons'.
func (c *Client) AnswerComparison(ctx context.Context, id string, same bool) error {
	return c.tell(ctx, "answer-comparison", answerMsg{id, same})
}

// Unverify is Comparisons'.
func (c *Client) Unverify(ctx context.Context, device discovery.DeviceID) error {
	return c.tell(ctx, "unverify", deviceMsg{device})
}

// RecoveryCode is Recovery's.
func (c *Client) RecoveryCode(ctx context.Context, id workgroup.ID) (string, error) {
	m, err := ask[textMsg](ctx, c, "recovery-code", groupMsg{ID: hashText(id)})
	return string(m.Text), err
}

// RecoverySaved is Recovery's.
func (c *Client) RecoverySaved(ctx context.Context, id workgroup.ID) error {
	return c.tell(ctx, "recovery-saved", groupMsg{ID: hashText(id)})
}

// RemindLater is Recovery's.
func (c *Client) RemindLater(ctx context.Context, id workgroup.ID) error {
	return c.tell(ctx, "remind-later", groupMsg{ID: hashText(id)})
}

// Moments is Recovery's.
func (c *Client) Moments(ctx context.Context, code string) ([]workgroup.Moment, error) {
	return ask[[]workgroup.Moment](ctx, c, "moments", textMsg{[]byte(code)})
}

// Recover is Recovery's.
func (c *Client) Recover(ctx context.Context, code string, choice workgroup.Choice) (workgroup.Workgroup, error) {
	return ask[workgroup.Workgroup](ctx, c, "recover", fromChoice(code, choice))
}

// PastMembers is Moves'.
func (c *Client) PastMembers(ctx context.Context, id workgroup.ID) ([]workgroup.Member, error) {
	return ask[[]workgroup.Member](ctx, c, "past-members", groupMsg{ID: hashText(id)})
}

// StartOver is Moves'.
func (c *Client) StartOver(ctx context.Context, old workgroup.ID, f workgroup.Founding, keep []discovery.DeviceID) (workgroup.Workgroup, error) {
	return ask[workgroup.Workgroup](ctx, c, "start-over", startOverMsg{hashText(old), f, keep})
}

// Moves is Moves'.
func (c *Client) Moves(ctx context.Context) ([]workgroup.Offer, error) {
	return ask[[]workgroup.Offer](ctx, c, "moves", nothing{})
}

// MoveOver is Moves'.
func (c *Client) MoveOver(ctx context.Context, id workgroup.ID) error {
	return c.tell(ctx, "move-over", groupMsg{ID: hashText(id)})
}

// DeclineMove is Moves'.
func (c *Client) DeclineMove(ctx context.Context, id workgroup.ID) error {
	return c.tell(ctx, "decline-move", groupMsg{ID: hashText(id)})
}
