package viewmodel

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
)

// Groups are the private workgroups of this computer, and whether it is in the open one.
type Groups interface {
	Workgroups(ctx context.Context) ([]workgroup.Workgroup, error)
	CreateWorkgroup(ctx context.Context, f workgroup.Founding) (workgroup.Workgroup, error)
	RenameWorkgroup(ctx context.Context, id workgroup.ID, name string) error
	LeaveWorkgroup(ctx context.Context, id workgroup.ID, anyway bool) error
	ForgetWorkgroup(ctx context.Context, id workgroup.ID) error
	SetOpen(ctx context.Context, open bool) error
}

// Members is what one may do with those who belong.
type Members interface {
	RemoveMembers(ctx context.Context, id workgroup.ID, why ledger.Reason, devices []discovery.DeviceID) error
	SetRole(ctx context.Context, id workgroup.ID, device discovery.DeviceID, role ledger.Role) error
	RenameMember(ctx context.Context, id workgroup.ID, device discovery.DeviceID, name string) error
	AdmittedBy(ctx context.Context, id workgroup.ID, device discovery.DeviceID) ([]workgroup.Member, error)
	Contest(ctx context.Context, id workgroup.ID) error
}

// Invites is how somebody is let in. Join blocks until this computer is let in, refused, or ctx ends.
type Invites interface {
	Invite(ctx context.Context, id workgroup.ID, how discovery.Invite) (discovery.Invitation, error)
	Invitations(ctx context.Context) ([]discovery.Invitation, error)
	Approve(ctx context.Context, invitation string, as workgroup.Admission) error
	EndInvitation(ctx context.Context, invitation string) error
	Join(ctx context.Context, code string) (workgroup.Workgroup, error)
}

// Comparisons is two people looking at pictures. Compare returns when they can be shown.
type Comparisons interface {
	Compare(ctx context.Context, device discovery.DeviceID, why pairing.Purpose) (id string, err error)
	Comparisons(ctx context.Context) ([]discovery.Comparison, error)
	AnswerComparison(ctx context.Context, id string, same bool) error
	Unverify(ctx context.Context, device discovery.DeviceID) error
}

// Recovery is what the recovery sheet is for.
type Recovery interface {
	RecoveryCode(ctx context.Context, id workgroup.ID) (string, error)
	RecoverySaved(ctx context.Context, id workgroup.ID) error
	RemindLater(ctx context.Context, id workgroup.ID) error
	Moments(ctx context.Context, code string) ([]workgroup.Moment, error)
	Recover(ctx context.Context, code string, c workgroup.Choice) (workgroup.Workgroup, error)
}

// Moves is beginning anew where nobody has the sheet.
type Moves interface {
	PastMembers(ctx context.Context, id workgroup.ID) ([]workgroup.Member, error)
	StartOver(ctx context.Context, old workgroup.ID, f workgroup.Founding, keep []discovery.DeviceID) (workgroup.Workgroup, error)
	Moves(ctx context.Context) ([]workgroup.Offer, error)
	MoveOver(ctx context.Context, id workgroup.ID) error
	DeclineMove(ctx context.Context, id workgroup.ID) error
}

// makeMeetings makes the screens of private workgroups.
func (s *Set) makeMeetings() {
	c := s.core
	s.Workgroups = &Workgroups{core: c, nav: s.Nav}
	s.Founding = &Founding{core: c, nav: s.Nav}
	s.Sheet = &Sheet{core: c, nav: s.Nav}
	s.Inviting = &Inviting{core: c, nav: s.Nav}
	s.Comparing = &Comparing{core: c, hidden: map[string]bool{}}
	s.Joining = &Joining{core: c, nav: s.Nav, compare: s.Comparing}
	s.Recovering = &Recovering{core: c, nav: s.Nav}
	c.joined = s.Joining.joined
	c.showSheet = func(id workgroup.ID) { s.Nav.Go(Place{Page: PageSheet, Group: id}) }
}

// loadPrivate reads what there is of private workgroups. A service of an older version knows none, and all else works with it.
func (c *core) loadPrivate(ctx context.Context, n *snapshot) {
	last, e := c.now(), c.eng()
	n.groups, n.invites, n.compares, n.moves = last.groups, last.invites, last.compares, last.moves
	if x, err := e.Workgroups(ctx); err == nil {
		n.groups = x
	}
	if x, err := e.Invitations(ctx); err == nil {
		n.invites = x
	}
	if x, err := e.Comparisons(ctx); err == nil {
		n.compares = x
	}
	if x, err := e.Moves(ctx); err == nil {
		n.moves = x
	}
	n.peers = named(n.peers, n.groups)
}

// named gives members the names their workgroup knows them by: an admin chose these, and a device may say none by itself.
func named(peers []discovery.Peer, groups []workgroup.Workgroup) []discovery.Peer {
	out := slices.Clone(peers)
	for _, w := range slices.Backward(groups) { // the oldest workgroup has the last word
		if w.Standing != workgroup.In {
			continue
		}
		for _, m := range w.Members {
			for i := range out {
				if out[i].ID == m.ID {
					out[i].Name, out[i].FirstName = m.Name, m.Name
				}
			}
		}
	}
	return out
}

// group returns one of this computer's private workgroups.
func (c *core) group(id workgroup.ID) (workgroup.Workgroup, bool) {
	all := c.now().groups
	i := slices.IndexFunc(all, func(w workgroup.Workgroup) bool { return w.ID == id })
	if i < 0 {
		return workgroup.Workgroup{}, false
	}
	return all[i], true
}

// groupName is what a workgroup is called, with what tells it from one of the same name; the zero ID is the open one.
func (c *core) groupName(id workgroup.ID) string {
	if id == (workgroup.ID{}) {
		return c.now().self.Workgroup
	}
	if w, ok := c.group(id); ok {
		return nameOfGroup(w)
	}
	return c.words.Text("page.workgroup")
}

func nameOfGroup(w workgroup.Workgroup) string {
	if w.Twin {
		return w.Name + " (" + w.Short + ")"
	}
	return w.Name
}

// memberName is what a member is called, with the start of its device ID beside it where two are called alike.
func memberName(m workgroup.Member, all []workgroup.Member) string {
	for _, x := range all {
		if x.ID != m.ID && m.Name != "" && strings.EqualFold(x.Name, m.Name) {
			return m.Name + " (" + m.ID.Short() + ")"
		}
	}
	return cmp.Or(m.Name, m.ID.Short())
}
