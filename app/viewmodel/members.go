package viewmodel

import (
	"context"
	"slices"
	"strings"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
)

// RemoveQuestion is asked before a member is removed.
type RemoveQuestion struct {
	Group workgroup.ID
	ID    discovery.DeviceID
	Title string
	Text  string
	Also  []Tick // those it let in, and that these let in
	Ask   string // what the ticks are for
	Lost  string // label of the tick that says it was lost or stolen
	Yes   string
}

// AskRemove finds out what the question is; then is called from another goroutine.
func (g *Workgroups) AskRemove(id workgroup.ID, d discovery.DeviceID, then func(RemoveQuestion)) {
	c := g.core
	c.ask(func(ctx context.Context, e Engine) error {
		also, err := e.AdmittedBy(ctx, id, d)
		if err != nil {
			return err
		}
		w, _ := c.group(id)
		i := slices.IndexFunc(w.Members, func(m workgroup.Member) bool { return m.ID == d })
		if i < 0 {
			return workgroup.ErrNotMember
		}
		name := memberName(w.Members[i], w.Members)
		q := RemoveQuestion{Group: id, ID: d, Title: c.words.Text("remove.title", "Name", name, "Group", nameOfGroup(w)), Text: c.words.Text("remove.text"),
			Lost: c.words.Text("remove.lost"), Yes: c.words.Text("remove.yes")}
		for _, m := range also {
			if !m.Self && m.ID != d {
				q.Also = append(q.Also, Tick{m.ID, memberName(m, w.Members), m.PersonName, false})
			}
		}
		if len(q.Also) > 0 {
			q.Ask = c.words.Text("remove.also", "Name", name, "Count", len(q.Also))
		}
		then(q)
		return nil
	})
}

// Remove removes a member, and those ticked beside it.
func (g *Workgroups) Remove(q RemoveQuestion, lost bool) {
	devices, why := []discovery.DeviceID{q.ID}, ledger.Removed
	if lost {
		why = ledger.Lost
	}
	for _, t := range q.Also {
		if t.Chosen {
			devices = append(devices, t.ID)
		}
	}
	g.core.ask(func(ctx context.Context, e Engine) error {
		if err := e.RemoveMembers(ctx, q.Group, why, devices); err != nil {
			return err
		}
		g.core.note.say(Good, g.core.words.Text("remove.done", "Count", len(devices)))
		return nil
	})
}

// SetAdmin makes a member an admin, or an admin a member.
func (g *Workgroups) SetAdmin(id workgroup.ID, d discovery.DeviceID, admin bool) {
	role := ledger.Member
	if admin {
		role = ledger.Admin
	}
	g.core.ask(func(ctx context.Context, e Engine) error { return e.SetRole(ctx, id, d, role) })
}

// AdminQuestion asks before SetAdmin.
func (g *Workgroups) AdminQuestion(name string, admin bool) (title, text string) {
	key := "wg.member"
	if admin {
		key = "wg.admin"
	}
	return g.core.words.Text(key+".title", "Name", name), g.core.words.Text(key + ".text")
}

// RenameMember gives a member another name.
func (g *Workgroups) RenameMember(id workgroup.ID, d discovery.DeviceID, name string) {
	name = strings.TrimSpace(name)
	g.core.ask(func(ctx context.Context, e Engine) error { return e.RenameMember(ctx, id, d, name) })
}

// Rename gives a workgroup another name, the open one for this computer only.
func (g *Workgroups) Rename(id workgroup.ID, name string) {
	name = strings.TrimSpace(name)
	if id == (workgroup.ID{}) {
		g.core.ask(func(ctx context.Context, e Engine) error { return e.SetWorkgroup(ctx, name) })
		return
	}
	g.core.ask(func(ctx context.Context, e Engine) error { return e.RenameWorkgroup(ctx, id, name) })
}

// LeaveQuestion asks before Leave, and names all that is lost with it.
func (g *Workgroups) LeaveQuestion(id workgroup.ID) (title, text string) {
	w, _ := g.core.group(id)
	words := g.core.words
	parts := []string{words.Text("leave.text")}
	admins := 0
	for _, m := range w.Members {
		if m.Role == ledger.Admin {
			admins++
		}
	}
	switch {
	case len(w.Members) == 1:
		parts = append(parts, words.Text("leave.last"))
	case w.Role == ledger.Admin && admins == 1:
		parts = append(parts, words.Text("leave.last-admin"))
	}
	if w.Unsaved && len(w.Members) > 1 {
		parts = append(parts, words.Text("leave.unsaved"))
	}
	return words.Text("leave.title", "Name", nameOfGroup(w)), strings.Join(parts, "\n\n")
}

// Leave takes this computer out; the question said what follows.
func (g *Workgroups) Leave(id workgroup.ID) {
	g.core.ask(func(ctx context.Context, e Engine) error { return e.LeaveWorkgroup(ctx, id, true) })
}

// ForgetQuestion asks before Forget.
func (g *Workgroups) ForgetQuestion(id workgroup.ID) (title, text string) {
	return g.core.words.Text("forget.title", "Name", g.core.groupName(id)), g.core.words.Text("forget.text")
}

// Forget takes a workgroup that this computer is not in off the list.
func (g *Workgroups) Forget(id workgroup.ID) {
	g.core.ask(func(ctx context.Context, e Engine) error { return e.ForgetWorkgroup(ctx, id) })
	g.nav.Go(Place{Page: PageNeighbours})
}

// ContestQuestion asks before Contest.
func (g *Workgroups) ContestQuestion(id workgroup.ID) (title, text string) {
	w, _ := g.core.group(id)
	by := ""
	if w.Removal != nil {
		if by = w.Removal.ByName; by == "" {
			by = w.Removal.By.Short()
		}
	}
	return g.core.words.Text("contest.title", "Name", by), g.core.words.Text("contest.text", "Name", by)
}

// Contest is the founder's veto.
func (g *Workgroups) Contest(id workgroup.ID) {
	g.core.ask(func(ctx context.Context, e Engine) error { return e.Contest(ctx, id) })
}

// CloseQuestion asks before SetOpen(false).
func (g *Workgroups) CloseQuestion() (title, text string) {
	name := g.core.now().self.Workgroup
	return g.core.words.Text("close.title", "Name", name), g.core.words.Text("close.text")
}

// SetOpen says whether this computer is in the open workgroup.
func (g *Workgroups) SetOpen(open bool) {
	g.core.ask(func(ctx context.Context, e Engine) error { return e.SetOpen(ctx, open) })
}

// RemindLater puts the reminder of the recovery sheet off by a week.
func (g *Workgroups) RemindLater(id workgroup.ID) {
	g.core.ask(func(ctx context.Context, e Engine) error { return e.RemindLater(ctx, id) })
}
