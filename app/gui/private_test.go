//go:build !headless

package gui

import (
	"context"
	"errors"
	"slices"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
)

// private is what the engine of a household knows of private workgroups.
type private struct {
	groups   []workgroup.Workgroup
	invites  []discovery.Invitation
	compares []discovery.Comparison
	moves    []workgroup.Offer
	past     []workgroup.Member
	admitted []workgroup.Member
	moments  []workgroup.Moment
	erased   bool
	join     func(ctx context.Context, code string) (workgroup.Workgroup, error)
	compare  func(d discovery.DeviceID, why pairing.Purpose) (string, error)
	answer   func(id string, same bool)
	approve  func(invitation string, as workgroup.Admission)
}

const letters = "ONUXQ5D-FMVXCA3-FOR4ZG2-LTMV2GK"

func groupID(n byte) (id workgroup.ID) {
	for i := range id {
		id[i] = n*53 + byte(i)*29
	}
	return id
}

func (h *house) member(n byte, name, owner string, role ledger.Role, by byte, via ledger.Via) workgroup.Member {
	return workgroup.Member{ID: device(n), Name: name, Person: ledger.Person{n}, PersonName: owner, Role: role, By: device(by), Via: via,
		Since: time.Now().AddDate(0, 0, -int(n)), Self: n == 1}
}

// home is a private workgroup of which this computer is an admin.
func (h *house) home() workgroup.Workgroup {
	return workgroup.Workgroup{ID: groupID(1), Name: "Home", Short: "QWERTZU", Standing: workgroup.In, Role: ledger.Admin, Founded: time.Now().AddDate(0, -1, 0), Members: []workgroup.Member{
		h.member(1, "Anna’s desktop", "Anna", ledger.Admin, 1, ledger.ViaFounder),
		h.member(2, "Bo’s mini-PC", "Bo", ledger.Admin, 1, ledger.ViaCode),
		h.member(3, "Clara’s laptop", "Clara", ledger.Member, 2, ledger.ViaPictures),
		h.member(9, "The old laptop in the attic that nobody dares to throw away", "Dad", ledger.Member, 2, ledger.ViaQR),
	}}
}

func (h *house) Workgroups(context.Context) ([]workgroup.Workgroup, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.groups), nil
}

func (h *house) CreateWorkgroup(_ context.Context, f workgroup.Founding) (workgroup.Workgroup, error) {
	h.note("create %s %s", f.Name, f.PersonName)
	w := workgroup.Workgroup{ID: groupID(byte(len(h.groups) + 1)), Name: f.Name, Short: "QWERTZU", Standing: workgroup.In, Role: ledger.Admin, Unsaved: true,
		Members: []workgroup.Member{{ID: h.self.ID, Name: f.Device, PersonName: f.PersonName, Person: ledger.Person{1}, Role: ledger.Admin, Via: ledger.ViaFounder, By: h.self.ID, Since: time.Now(), Self: true}}}
	h.change(func() { h.groups = append(slices.Clone(h.groups), w) })
	return w, nil
}

func (h *house) RenameWorkgroup(_ context.Context, id workgroup.ID, name string) error {
	h.note("rename group %s", name)
	h.alter(id, func(w *workgroup.Workgroup) { w.Name = name })
	return nil
}

// alter changes one workgroup as the engine would.
func (h *house) alter(id workgroup.ID, f func(*workgroup.Workgroup)) {
	h.change(func() {
		h.groups = slices.Clone(h.groups)
		for i := range h.groups {
			if h.groups[i].ID == id {
				f(&h.groups[i])
			}
		}
	})
}

func (h *house) LeaveWorkgroup(_ context.Context, id workgroup.ID, _ bool) error {
	h.alter(id, func(w *workgroup.Workgroup) { w.Standing, w.Members = workgroup.Left, nil })
	return nil
}

func (h *house) ForgetWorkgroup(_ context.Context, id workgroup.ID) error {
	h.change(func() {
		h.groups = slices.DeleteFunc(slices.Clone(h.groups), func(w workgroup.Workgroup) bool { return w.ID == id })
	})
	return nil
}

func (h *house) SetOpen(_ context.Context, open bool) error {
	h.change(func() { h.self.Open = open })
	return nil
}

func (h *house) RemoveMembers(_ context.Context, id workgroup.ID, why ledger.Reason, devices []discovery.DeviceID) error {
	h.note("remove %d for %d", len(devices), why)
	h.alter(id, func(w *workgroup.Workgroup) {
		w.Members = slices.DeleteFunc(slices.Clone(w.Members), func(m workgroup.Member) bool { return slices.Contains(devices, m.ID) })
	})
	return nil
}

func (h *house) SetRole(_ context.Context, _ workgroup.ID, d discovery.DeviceID, role ledger.Role) error {
	h.note("role %s %d", d.Short(), role)
	return nil
}

func (h *house) RenameMember(_ context.Context, _ workgroup.ID, d discovery.DeviceID, name string) error {
	h.note("member %s %s", d.Short(), name)
	return nil
}

func (h *house) AdmittedBy(context.Context, workgroup.ID, discovery.DeviceID) ([]workgroup.Member, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.admitted), nil
}

func (h *house) Contest(context.Context, workgroup.ID) error { h.note("contest"); return nil }

func (h *house) Invite(_ context.Context, id workgroup.ID, _ discovery.Invite) (discovery.Invitation, error) {
	x := invitation(id, discovery.InviteOpen)
	h.change(func() { h.invites = append(slices.Clone(h.invites), x) })
	return x, nil
}

func invitation(id workgroup.ID, s discovery.InviteState) discovery.Invitation {
	code := pairing.Code{Digits: "27482913", Secret: "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
	x := discovery.Invitation{ID: "one", Workgroup: id, State: s, Code: code.Digits, QR: code.QR(nil), Until: time.Now().Add(9 * time.Minute), Tries: 3}
	if s == discovery.InviteAsking || s == discovery.InviteDone {
		x.Device, x.Name = device(6), "Reception"
	}
	return x
}

func (h *house) Invitations(context.Context) ([]discovery.Invitation, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.invites), nil
}

func (h *house) Approve(_ context.Context, id string, as workgroup.Admission) error {
	h.note("approve %s %s %d", as.Name, as.PersonName, as.Role)
	if h.approve != nil {
		h.approve(id, as)
	}
	return nil
}

// invited puts an invitation into another state.
func (h *house) invited(id string, f func(*discovery.Invitation)) {
	h.change(func() {
		h.invites = slices.Clone(h.invites)
		for i := range h.invites {
			if h.invites[i].ID == id {
				f(&h.invites[i])
			}
		}
	})
}

func (h *house) EndInvitation(_ context.Context, id string) error {
	h.invited(id, func(x *discovery.Invitation) { x.State = discovery.InviteEnded })
	return nil
}

func (h *house) Join(ctx context.Context, code string) (workgroup.Workgroup, error) {
	h.note("join %s", code)
	if h.join == nil {
		return workgroup.Workgroup{}, discovery.ErrNobody
	}
	return h.join(ctx, code)
}

func (h *house) Compare(_ context.Context, d discovery.DeviceID, why pairing.Purpose) (string, error) {
	h.note("compare %s %s", d.Short(), why)
	if h.compare == nil {
		return "", errors.ErrUnsupported
	}
	return h.compare(d, why)
}

func (h *house) Comparisons(context.Context) ([]discovery.Comparison, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.compares), nil
}

func (h *house) AnswerComparison(_ context.Context, id string, same bool) error {
	h.note("answer %s %v", id, same)
	if h.answer != nil {
		h.answer(id, same)
	}
	return nil
}

// compared puts a comparison into another state.
func (h *house) compared(s discovery.CompareState) {
	h.change(func() {
		h.compares = slices.Clone(h.compares)
		for i := range h.compares {
			h.compares[i].State = s
		}
	})
}

func (h *house) Unverify(_ context.Context, d discovery.DeviceID) error {
	h.note("unverify %s", d.Short())
	return nil
}

func (h *house) RecoveryCode(context.Context, workgroup.ID) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.erased {
		return "", workgroup.ErrErased
	}
	return letters, nil
}

func (h *house) RecoverySaved(_ context.Context, id workgroup.ID) error {
	h.change(func() { h.erased = true })
	h.alter(id, func(w *workgroup.Workgroup) { w.Unsaved, w.Remind = false, false })
	return nil
}

func (h *house) RemindLater(_ context.Context, id workgroup.ID) error {
	h.note("remind later")
	h.alter(id, func(w *workgroup.Workgroup) { w.Remind = false })
	return nil
}

func (h *house) Moments(_ context.Context, code string) ([]workgroup.Moment, error) {
	h.note("moments %s", code)
	return h.moments, nil
}

func (h *house) Recover(_ context.Context, _ string, c workgroup.Choice) (workgroup.Workgroup, error) {
	h.note("recover without %d as %s", len(c.Remove), c.Name)
	w := h.home()
	h.change(func() { h.groups = []workgroup.Workgroup{w} })
	return w, nil
}

func (h *house) PastMembers(context.Context, workgroup.ID) ([]workgroup.Member, error) {
	return h.past, nil
}

func (h *house) StartOver(_ context.Context, _ workgroup.ID, f workgroup.Founding, keep []discovery.DeviceID) (workgroup.Workgroup, error) {
	h.note("over %s with %d", f.Name, len(keep))
	return h.home(), nil
}

func (h *house) Moves(context.Context) ([]workgroup.Offer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.moves), nil
}

func (h *house) MoveOver(context.Context, workgroup.ID) error {
	h.note("move over")
	h.change(func() { h.moves = nil })
	return nil
}

func (h *house) DeclineMove(context.Context, workgroup.ID) error {
	h.note("stay")
	h.change(func() { h.moves = nil })
	return nil
}

func (h *house) isErased() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.erased
}
