package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
)

var (
	homeID = workgroup.ID{1}
	oldID  = workgroup.ID{2}
	newID  = workgroup.ID{3}
)

// code is a recovery code that can be parsed.
var code = ledger.RecoveryCode{1, 2, 3}.String()

func member(n byte, name string, person byte, personName string, role ledger.Role, by byte) workgroup.Member {
	return workgroup.Member{ID: deviceID(n), Name: name, Person: ledger.Person{person}, PersonName: personName, Role: role, Via: ledger.ViaCode, By: deviceID(by), Since: day, Self: n == 1}
}

// newGroups is this computer as the founder of Home, in which it let in bo, who let in anna, who has a phone.
func newGroups() []workgroup.Workgroup {
	me := member(1, "me", 1, "Mia", ledger.Admin, 1)
	me.Via = ledger.ViaFounder
	return []workgroup.Workgroup{{ID: homeID, Name: "Home", Short: shortOf(homeID), Standing: workgroup.In, Role: ledger.Admin, Unsaved: true, Founded: day, Members: []workgroup.Member{
		me, member(2, "bo", 2, "Bo", ledger.Admin, 1), member(3, "anna: work", 3, "Anna", ledger.Member, 2), member(20, "anna's phone", 3, "Anna", ledger.Member, 3)}}}
}

// edit changes the private workgroup of an ID.
func (f *fake) edit(id workgroup.ID, change func(w *workgroup.Workgroup) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.groups {
		if f.groups[i].ID == id {
			return change(&f.groups[i])
		}
	}
	return workgroup.ErrUnknown
}

func (f *fake) Workgroups(context.Context) ([]workgroup.Workgroup, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := slices.Clone(f.groups)
	for i := range out {
		out[i].Members = slices.Clone(out[i].Members)
		out[i].Twin = slices.ContainsFunc(out, func(w workgroup.Workgroup) bool {
			return w.ID != out[i].ID && discovery.SameWorkgroup(w.Name, out[i].Name)
		})
	}
	return out, nil
}

func (f *fake) CreateWorkgroup(_ context.Context, by workgroup.Founding) (workgroup.Workgroup, error) {
	for _, name := range []string{by.Name, by.Device, by.PersonName} {
		if err := discovery.CheckName(name); err != nil {
			return workgroup.Workgroup{}, err
		}
	}
	_ = f.note("CreateWorkgroup %s by %s of %s", by.Name, by.Device, by.PersonName)
	w := workgroup.Workgroup{ID: newID, Name: by.Name, Short: shortOf(newID), Standing: workgroup.In, Role: ledger.Admin, Members: []workgroup.Member{member(1, by.Device, 1, by.PersonName, ledger.Admin, 1)}}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.groups = append(f.groups, w)
	return w, nil
}

func (f *fake) RenameWorkgroup(_ context.Context, id workgroup.ID, name string) error {
	return f.edit(id, func(w *workgroup.Workgroup) error {
		w.Name = name
		return nil
	})
}

func (f *fake) LeaveWorkgroup(_ context.Context, id workgroup.ID, anyway bool) error {
	return f.edit(id, func(w *workgroup.Workgroup) error {
		if w.Unsaved && !anyway {
			return workgroup.ErrUnsaved
		}
		w.Standing, w.Role, w.Unsaved = workgroup.Left, 0, false
		return nil
	})
}

func (f *fake) ForgetWorkgroup(_ context.Context, id workgroup.ID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.groups = slices.DeleteFunc(f.groups, func(w workgroup.Workgroup) bool { return w.ID == id })
	return nil
}

func (f *fake) SetOpen(_ context.Context, open bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.self.Open = open
	return nil
}

func (f *fake) RemoveMembers(_ context.Context, id workgroup.ID, why ledger.Reason, devices []discovery.DeviceID) error {
	_ = f.note("removed for %d", why)
	return f.edit(id, func(w *workgroup.Workgroup) error {
		if w.Role != ledger.Admin {
			return workgroup.ErrNotAdmin
		}
		w.Members = slices.DeleteFunc(slices.Clone(w.Members), func(m workgroup.Member) bool { return slices.Contains(devices, m.ID) })
		return nil
	})
}

func (f *fake) SetRole(_ context.Context, id workgroup.ID, d discovery.DeviceID, r ledger.Role) error {
	return f.editMember(id, d, func(m *workgroup.Member) { m.Role = r })
}

func (f *fake) RenameMember(_ context.Context, id workgroup.ID, d discovery.DeviceID, name string) error {
	return f.editMember(id, d, func(m *workgroup.Member) { m.Name = name })
}

func (f *fake) editMember(id workgroup.ID, d discovery.DeviceID, change func(m *workgroup.Member)) error {
	return f.edit(id, func(w *workgroup.Workgroup) error {
		for i := range w.Members {
			if w.Members[i].ID == d {
				change(&w.Members[i])
				return nil
			}
		}
		return workgroup.ErrNotMember
	})
}

func (f *fake) AdmittedBy(_ context.Context, id workgroup.ID, d discovery.DeviceID) (out []workgroup.Member, err error) {
	err = f.edit(id, func(w *workgroup.Workgroup) error {
		from := []discovery.DeviceID{d}
		for _, m := range w.Members {
			if slices.Contains(from, m.By) && m.ID != d && !m.Self {
				from, out = append(from, m.ID), append(out, m)
			}
		}
		return nil
	})
	return out, err
}

func (f *fake) Contest(_ context.Context, id workgroup.ID) error {
	return f.edit(id, func(w *workgroup.Workgroup) error {
		w.Standing, w.Role, w.Removal, w.Contest = workgroup.In, ledger.Admin, nil, false
		return nil
	})
}

func (f *fake) Invite(_ context.Context, id workgroup.ID, how discovery.Invite) (discovery.Invitation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.invitations = append(f.invitations, discovery.Invitation{ID: "i1", Workgroup: id, State: discovery.InviteOpen, Code: "27482913", QR: "Porchlight 27 482 913\n", Until: day, Tries: 3, Yes: how.Yes})
	return f.invitations[len(f.invitations)-1], nil
}

func (f *fake) Invitations(context.Context) ([]discovery.Invitation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.invitations), nil
}

func (f *fake) Approve(_ context.Context, id string, as workgroup.Admission) error {
	_ = f.note("approved as %s of %s%x role %d", as.Name, as.PersonName, as.Person[:1], as.Role)
	return f.endInvitation(id, discovery.InviteDone)
}

func (f *fake) EndInvitation(_ context.Context, id string) error {
	return f.endInvitation(id, discovery.InviteEnded)
}

func (f *fake) endInvitation(id string, state discovery.InviteState) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.invitations {
		if f.invitations[i].ID == id {
			f.invitations[i].State = state
			return nil
		}
	}
	return discovery.ErrNoInvitation
}

func (f *fake) Join(ctx context.Context, text string) (workgroup.Workgroup, error) {
	c, _, err := pairing.ParseCode(text)
	switch {
	case err != nil:
		return workgroup.Workgroup{}, err
	case c.Digits == "11111111":
		return workgroup.Workgroup{}, pairing.ErrProof
	case c.Digits == "22222222":
		return workgroup.Workgroup{}, discovery.ErrNobody
	case c.Digits == "33333333":
		<-ctx.Done()
		return workgroup.Workgroup{}, ctx.Err()
	case c.Digits == "44444444":
		<-ctx.Done()
		return workgroup.Workgroup{}, errors.Join(ctx.Err(), discovery.ErrNobody)
	}
	return f.joined(), nil
}

func (f *fake) joined() workgroup.Workgroup {
	w := workgroup.Workgroup{ID: oldID, Name: "Club", Short: shortOf(oldID), Standing: workgroup.In, Role: ledger.Member,
		Members: []workgroup.Member{member(6, "gone", 1, "Gus", ledger.Admin, 6), member(1, "me", 2, "Mia", ledger.Member, 6)}}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.groups = append(f.groups, w)
	return w
}

// compares puts a comparison on the list that the other side began, or not.
func (f *fake) compares(id string, join, asked bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.comparisons = append(f.comparisons, discovery.Comparison{ID: id, Device: deviceID(2), Name: "bo", Join: join, Asked: asked, SAS: [3]byte{1, 2, 3}, State: discovery.CompareShown, Since: day})
}

func (f *fake) Compare(_ context.Context, d discovery.DeviceID, why pairing.Purpose) (string, error) {
	if d != deviceID(2) {
		return "", pairing.ErrBlocked
	}
	f.mu.Lock()
	id := fmt.Sprint("c", len(f.comparisons))
	f.mu.Unlock()
	f.compares(id, why == pairing.ToJoin, false)
	return id, nil
}

func (f *fake) Comparisons(context.Context) ([]discovery.Comparison, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.comparisons), nil
}

// AnswerComparison has the other side say the same, one Wait later; then it lets this one in if it is to.
func (f *fake) AnswerComparison(_ context.Context, id string, same bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.comparisons {
		x := &f.comparisons[i]
		if x.ID != id {
			continue
		}
		x.State = discovery.CompareDifferent
		if same {
			x.State = discovery.CompareWaiting
			f.steps = append(f.steps, func() { f.comparisons[i].State = f.other })
			if x.Join && !x.Asked && f.other == discovery.CompareSame {
				f.steps = append(f.steps, func() {
					f.mu.Unlock()
					f.joined()
					f.mu.Lock()
				})
			}
		}
		return nil
	}
	return pairing.ErrTurn
}

func (f *fake) Unverify(_ context.Context, d discovery.DeviceID) error {
	return f.note("Unverify %s", d.Short())
}

func (f *fake) RecoveryCode(_ context.Context, id workgroup.ID) (text string, err error) {
	err = f.edit(id, func(w *workgroup.Workgroup) error {
		if !w.Unsaved {
			return workgroup.ErrErased
		}
		text = code
		return nil
	})
	return text, err
}

func (f *fake) RecoverySaved(_ context.Context, id workgroup.ID) error {
	return f.edit(id, func(w *workgroup.Workgroup) error {
		w.Unsaved = false
		return nil
	})
}

func (f *fake) RemindLater(context.Context, workgroup.ID) error { return f.note("RemindLater") }

func (f *fake) Moments(_ context.Context, text string) ([]workgroup.Moment, error) {
	if text != code {
		return nil, workgroup.ErrCode
	}
	all := newGroups()[0].Members
	return []workgroup.Moment{{Heads: []ledger.Hash{{9}}, At: day.Add(time.Hour), Members: all}, {Heads: []ledger.Hash{{8}}, At: day, Members: all[:2]}}, nil
}

func (f *fake) Recover(_ context.Context, _ string, c workgroup.Choice) (workgroup.Workgroup, error) {
	var out []string
	for _, d := range c.Remove {
		out = append(out, d.Short())
	}
	_ = f.note("Recover %x without %s as %s of %s", c.Heads[0][:1], strings.Join(out, " "), c.Name, c.PersonName)
	return newGroups()[0], nil
}

func (f *fake) PastMembers(context.Context, workgroup.ID) ([]workgroup.Member, error) {
	return append(newGroups()[0].Members, member(30, "old", 9, "Olga", ledger.Member, 1)), nil
}

func (f *fake) StartOver(ctx context.Context, old workgroup.ID, by workgroup.Founding, keep []discovery.DeviceID) (workgroup.Workgroup, error) {
	_ = f.note("StartOver %x by %s with %d", old[:1], by.PersonName, len(keep))
	return f.CreateWorkgroup(ctx, by)
}

func (f *fake) Moves(context.Context) ([]workgroup.Offer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.offers), nil
}

func (f *fake) MoveOver(_ context.Context, id workgroup.ID) error { return f.endMove(id, "MoveOver") }
func (f *fake) DeclineMove(_ context.Context, id workgroup.ID) error {
	return f.endMove(id, "DeclineMove")
}

func (f *fake) endMove(id workgroup.ID, how string) error {
	_ = f.note("%s %x", how, id[:1])
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offers = slices.DeleteFunc(f.offers, func(o workgroup.Offer) bool { return o.ID == id })
	return nil
}
