package viewmodel

import (
	"cmp"
	"slices"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
)

// GroupAct is something one can do with a workgroup or a member.
type GroupAct string

// The acts.
const (
	ActInvite      GroupAct = "invite"
	ActMakePrivate GroupAct = "private"
	ActRename      GroupAct = "rename"
	ActLeave       GroupAct = "leave"
	ActSheet       GroupAct = "sheet"
	ActRemind      GroupAct = "remind"
	ActRecover     GroupAct = "recover"
	ActStartOver   GroupAct = "over"
	ActContest     GroupAct = "contest"
	ActForgetGroup GroupAct = "forget"
	ActOpen        GroupAct = "open"  // be in the open workgroup again
	ActClose       GroupAct = "close" // be in it no more
	ActJoin        GroupAct = "join"
	ActRemove      GroupAct = "remove"
	ActAdmin       GroupAct = "admin"
	ActMember      GroupAct = "member"
	ActName        GroupAct = "name" // of a member
)

// ActRow is a button, or a line of a menu.
type ActRow struct {
	Do   GroupAct
	Text string
	Main bool
}

// MemberRow is one computer of a workgroup.
type MemberRow struct {
	ID       discovery.DeviceID
	Name     string
	Role     string // in words; empty in an open workgroup
	Self     bool
	Verified bool // people compared its pictures or digits
	Dot      Dot
	About    string // how it is, whose it is, who let it in
	To       Place  // its page; zero for none
	Acts     []ActRow
}

// GroupNote is something to know about a workgroup, with what can be done about it.
type GroupNote struct {
	Tone Tone // Bad: one should do something
	Text string
	Acts []ActRow
}

// WorkgroupPage is what the page of one workgroup shows.
type WorkgroupPage struct {
	ID       workgroup.ID // zero for the open one
	Name     string
	Short    string    // tells it from one of the same name; empty where none has it
	Pictures []Picture // the same, for the eye
	Text     string    // what kind it is, and what that means
	Private  bool
	Notes    []GroupNote
	Members  []MemberRow
	Acts     []ActRow // of the page, the most important first
}

// Workgroups shows who belongs, and does what members and admins may.
type Workgroups struct {
	core *core
	nav  *Navigation
}

// Page returns the page of a workgroup, and false when this computer does not know it any more. The zero ID is the open one.
func (g *Workgroups) Page(id workgroup.ID) (WorkgroupPage, bool) {
	if id == (workgroup.ID{}) {
		return g.openPage(), true
	}
	w, ok := g.core.group(id)
	if !ok {
		return WorkgroupPage{}, false
	}
	p := WorkgroupPage{ID: id, Name: w.Name, Private: true}
	if w.Twin {
		pictures := g.core.pictures(pairing.SAS(id[:3]))
		p.Short, p.Pictures = w.Short, pictures[:]
	}
	switch w.Standing {
	case workgroup.In:
		g.inside(&p, w)
	case workgroup.Left:
		p.Text = g.core.words.Text("wg.left")
		p.Acts = g.acts(ActForgetGroup)
	default:
		g.outside(&p, w)
	}
	return p, true
}

// acts are buttons in order; the first is the main one.
func (g *Workgroups) acts(all ...GroupAct) (out []ActRow) {
	for i, a := range all {
		out = append(out, ActRow{a, g.core.words.Text("wg.act." + string(a)), i == 0})
	}
	return out
}

// quiet are buttons none of which is the main one.
func (g *Workgroups) quiet(all ...GroupAct) []ActRow {
	out := g.acts(all...)
	if len(out) > 0 {
		out[0].Main = false
	}
	return out
}

func (g *Workgroups) openPage() WorkgroupPage {
	c := g.core
	now, w := c.now(), c.words
	p := WorkgroupPage{Name: now.self.Workgroup, Text: w.Text("wg.open")}
	if !now.self.Open {
		p.Text = w.Text("wg.open.out")
		p.Acts = g.acts(ActOpen, ActMakePrivate, ActJoin)
		return p
	}
	p.Acts = g.acts(ActMakePrivate, ActJoin, ActRename)
	if slices.ContainsFunc(now.groups, func(x workgroup.Workgroup) bool { return x.Standing == workgroup.In }) {
		p.Acts = append(p.Acts, g.quiet(ActClose)...)
	}
	p.Members = []MemberRow{{ID: now.self.ID, Name: now.self.Name, Self: true, Dot: DotHere, About: w.Text("wg.self")}}
	for _, x := range (&Neighbourhood{core: c}).Groups() {
		if !x.Own {
			continue
		}
		for _, m := range x.Computers {
			r := MemberRow{ID: m.ID, Name: m.Name, Verified: m.Verified, Dot: m.Dot, About: m.State}
			if m.Openable {
				r.To = Place{Page: PageComputer, Device: m.ID}
			}
			p.Members = append(p.Members, r)
		}
	}
	return p
}

// inside fills the page of a workgroup this computer belongs to.
func (g *Workgroups) inside(p *WorkgroupPage, w workgroup.Workgroup) {
	c := g.core
	admin := w.Role == ledger.Admin && !w.NeedsUpdate
	p.Text = c.words.Text("wg.private.member")
	if w.Role == ledger.Admin {
		p.Text = c.words.Text("wg.private.admin")
	}
	if w.NeedsUpdate {
		p.Notes = append(p.Notes, GroupNote{Bad, c.words.Text("wg.update"), nil})
	}
	if w.KeyMissing {
		p.Notes = append(p.Notes, GroupNote{Good, c.words.Text("wg.waits"), nil})
	}
	switch {
	case w.Unsaved && w.Remind:
		p.Notes = append(p.Notes, GroupNote{Bad, c.words.Text("wg.unsaved"), g.acts(ActSheet, ActRemind)})
	case w.Unsaved:
		p.Notes = append(p.Notes, GroupNote{Good, c.words.Text("wg.unsaved.later"), g.quiet(ActSheet)})
	}
	for _, o := range c.now().groups { // two of one name stand in the list after somebody started over
		switch {
		case o.ID == w.Replaces:
			p.Notes = append(p.Notes, GroupNote{Good, c.words.Text("wg.continues", "Name", nameOfGroup(o)), nil})
		case o.Replaces == w.ID && o.Standing == workgroup.In:
			p.Notes = append(p.Notes, GroupNote{Good, c.words.Text("wg.continued", "Name", nameOfGroup(o)), nil})
		}
	}
	if len(w.Members) == 1 && admin {
		p.Notes = append(p.Notes, GroupNote{Good, c.words.Text("wg.alone"), nil})
	}
	for _, m := range w.Members {
		p.Members = append(p.Members, g.member(w, m, admin))
	}
	if admin {
		p.Acts = append(g.acts(ActInvite), g.quiet(ActRename, ActLeave, ActStartOver)...)
	} else {
		p.Acts = g.quiet(ActLeave)
	}
}

// outside fills the page of a workgroup that removed this computer.
func (g *Workgroups) outside(p *WorkgroupPage, w workgroup.Workgroup) {
	p.Text = g.core.removed(w)
	if w.Removal != nil {
		p.Text += "\n" + g.core.words.Text("wg.out.files")
	}
	if w.Contest {
		p.Notes = append(p.Notes, GroupNote{Bad, g.core.words.Text("wg.contest"), g.acts(ActContest)})
	}
	p.Acts = g.quiet(ActJoin, ActRecover, ActForgetGroup)
}

// member is the row of one computer, with what an admin may do with it.
func (g *Workgroups) member(w workgroup.Workgroup, m workgroup.Member, admin bool) MemberRow {
	c := g.core
	r := MemberRow{ID: m.ID, Name: memberName(m, w.Members), Self: m.Self, Dot: DotAway, Role: c.words.Text("role.member")}
	other := ActAdmin
	if m.Role == ledger.Admin {
		r.Role, other = c.words.Text("role.admin"), ActMember
	}
	state := c.words.Text("state.away")
	peers := c.now().peers
	if i := slices.IndexFunc(peers, func(p discovery.Peer) bool { return p.ID == m.ID }); i >= 0 {
		x := c.computer(peers[i], namesakesOf(peers))
		r.Dot, r.Verified, state = x.Dot, x.Verified, cmp.Or(x.awayDetail(), x.State)
		if x.Openable {
			r.To = Place{Page: PageComputer, Device: m.ID}
		}
	}
	if m.Self {
		r.Dot, state = DotHere, c.words.Text("wg.self")
	}
	r.About = state
	if m.PersonName != "" && m.PersonName != m.Name {
		r.About += " · " + m.PersonName
	}
	switch i := slices.IndexFunc(w.Members, func(x workgroup.Member) bool { return x.ID == m.By }); {
	case m.Via == ledger.ViaFounder:
		r.About += " · " + c.words.Text("wg.by.founder", "When", c.fmt.When(m.Since, c.cfg.Now()))
	case i >= 0 && m.By != m.ID:
		r.About += " · " + c.words.Text("wg.by", "Name", w.Members[i].Name, "When", c.fmt.When(m.Since, c.cfg.Now()))
	}
	switch {
	case !admin:
	case m.Self:
		r.Acts = g.quiet(ActName)
	default:
		r.Acts = g.quiet(other, ActName, ActRemove)
	}
	return r
}

// awayDetail is when a computer was last here, for one that is away.
func (x Computer) awayDetail() string {
	if x.Dot == DotAway {
		return x.Detail
	}
	return ""
}
