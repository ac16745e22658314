package viewmodel

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
)

// InvitePage is what the page of an invitation shows.
type InvitePage struct {
	Title  string
	Text   string // what to do with the digits, or what became of them
	Digits string // big; empty when they are good no more
	QR     QR
	Facts  string // time left, wrong tries
	Again  string // label of the button that makes new digits, "" for none
	Done   bool   // somebody was let in
	Busy   bool   // the digits are being made
}

// ApproveCard is the question whether somebody who has the digits may come in.
type ApproveCard struct {
	ID     string
	Title  string
	Text   string
	Device string   // what it calls itself
	People []string // who has computers here
	Roles  []string // member first, then admin
	Yes    string
}

// Inviting shows invitations, and asks about those who come with them.
type Inviting struct {
	core *core
	nav  *Navigation

	mu      sync.Mutex // guards the fields below
	busy    bool       // digits are being made
	ticking bool       // the clock of the page runs
}

// Start goes to the page of an invitation. One that is open is shown again, else new digits are made.
func (v *Inviting) Start(id workgroup.ID) {
	v.nav.Go(Place{Page: PageInvite, Group: id})
	if x, ok := v.newest(id); !ok || x.State != discovery.InviteOpen && x.State != discovery.InviteAsking {
		v.Again(id)
	}
}

// Again makes new digits.
func (v *Inviting) Again(id workgroup.ID) {
	v.mu.Lock()
	busy := v.busy
	v.busy = true
	v.mu.Unlock()
	if busy {
		return
	}
	v.core.changed()
	v.core.ask(func(ctx context.Context, e Engine) error {
		defer func() {
			v.mu.Lock()
			v.busy = false
			v.mu.Unlock()
			v.core.changed()
		}()
		x, err := e.Invite(ctx, id, discovery.Invite{})
		if err != nil {
			return err
		}
		v.core.mu.Lock()
		if !slices.ContainsFunc(v.core.snap.invites, func(o discovery.Invitation) bool { return o.ID == x.ID }) {
			v.core.snap.invites = append(slices.Clone(v.core.snap.invites), x) // not to wait for the engine's next word
		}
		v.core.mu.Unlock()
		return nil
	})
}

// End withdraws the invitation on screen and leaves the page.
func (v *Inviting) End(id workgroup.ID) {
	if x, ok := v.newest(id); ok && x.State == discovery.InviteOpen {
		v.end(x.ID)
	}
	v.nav.Go(Place{Page: PageWorkgroup, Group: id})
}

func (v *Inviting) end(invitation string) {
	v.core.ask(func(ctx context.Context, e Engine) error { return e.EndInvitation(ctx, invitation) })
}

// newest returns the invitation of a workgroup that holds longest.
func (v *Inviting) newest(id workgroup.ID) (x discovery.Invitation, ok bool) {
	for _, o := range v.core.now().invites {
		if o.Workgroup == id && (!ok || !o.Until.Before(x.Until)) {
			x, ok = o, true
		}
	}
	return x, ok
}

// Page returns what the page of a workgroup's invitation shows.
func (v *Inviting) Page(id workgroup.ID) InvitePage {
	w := v.core.words
	p := InvitePage{Title: w.Text("invite.title", "Name", v.core.groupName(id))}
	v.mu.Lock()
	p.Busy = v.busy
	v.mu.Unlock()
	x, ok := v.newest(id)
	if p.Busy {
		p.Text = w.Text("invite.busy")
		return p
	}
	state := x.State
	if state == discovery.InviteOpen && !x.Until.After(v.core.cfg.Now()) {
		state = discovery.InviteExpired
	}
	if !ok {
		state = discovery.InviteEnded
	}
	p.Again = w.Text("invite.again")
	switch state {
	case discovery.InviteOpen, discovery.InviteAsking:
		p.Text, p.Again = w.Text("invite.text"), ""
		p.Digits, p.QR = spell(x.Code), newQR(x.QR)
		p.Facts = w.Text("invite.left", "Time", v.core.fmt.Left(max(x.Until.Sub(v.core.cfg.Now()), time.Second)))
		if x.Tried > 0 {
			p.Facts += " · " + w.Text("invite.tried", "Count", x.Tried, "All", x.Tries)
		}
	case discovery.InviteDone:
		p.Text, p.Done, p.Again = w.Text("invite.done", "Name", cmp.Or(x.Name, x.Device.Short())), true, w.Text("invite.another")
	case discovery.InviteBurned:
		p.Text = w.Text("invite.burned", "Count", x.Tries)
	case discovery.InviteExpired:
		p.Text = w.Text("invite.expired")
	default:
		p.Text = w.Text("invite.ended")
	}
	if state == discovery.InviteAsking {
		p.Text = w.Text("invite.asking", "Name", x.Name)
	}
	return p
}

// spell writes eight digits as they are read aloud: "27 · 482 913".
func spell(code string) string {
	d := digitsOf(code)
	if len(d) != codeDigits {
		return code
	}
	return d[:2] + " · " + d[2:5] + " " + d[5:]
}

// codeDigits is how many digits a code has.
const codeDigits = 8

// digitsOf keeps the digits of a text.
func digitsOf(text string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, text)
}

// watch has the time that is left drawn as long as the page shows.
func (v *Inviting) watch() {
	v.mu.Lock()
	on := v.ticking
	v.ticking = true
	v.mu.Unlock()
	if on {
		return
	}
	v.core.work.do(func(ctx context.Context) {
		for v.nav.Place().Page == PageInvite && pause(ctx, time.Second) {
			v.core.changed()
		}
		v.mu.Lock()
		v.ticking = false
		v.mu.Unlock()
	})
}

// Card returns the question about somebody who wants in, and false when nobody does.
func (v *Inviting) Card() (ApproveCard, bool) {
	now := v.core.now()
	i := slices.IndexFunc(now.invites, func(x discovery.Invitation) bool { return x.State == discovery.InviteAsking })
	if i < 0 {
		return ApproveCard{}, false
	}
	x, w := now.invites[i], v.core.words
	c := ApproveCard{ID: x.ID, Device: x.Name, Title: w.Text("approve.title", "Name", x.Name, "Group", v.core.groupName(x.Workgroup)), Text: w.Text("approve.text"), Yes: w.Text("action.add")}
	c.Roles = []string{w.Text("role.member"), w.Text("role.admin")}
	if g, ok := v.core.group(x.Workgroup); ok {
		for _, p := range people(g) {
			c.People = append(c.People, p.Name)
		}
	}
	return c, true
}

// person is somebody who has computers in a workgroup.
type person struct {
	ID      ledger.Person
	Name    string
	Devices []workgroup.Member
}

// people returns those whose computers belong, by name; of two with one name the second has its first computer beside it.
func people(g workgroup.Workgroup) (out []person) {
	for _, m := range g.Members {
		i := slices.IndexFunc(out, func(p person) bool { return p.ID == m.Person })
		if i < 0 {
			i = len(out)
			out = append(out, person{ID: m.Person, Name: cmp.Or(m.PersonName, m.Name)})
			if slices.ContainsFunc(out[:i], func(p person) bool { return strings.EqualFold(p.Name, out[i].Name) }) {
				out[i].Name += " (" + memberName(m, g.Members) + ")"
			}
		}
		out[i].Devices = append(out[i].Devices, m)
	}
	slices.SortStableFunc(out, func(a, b person) int { return byName(a.Name, b.Name) })
	return out
}

// Approve lets in who asks: under a name, as a computer of somebody (one of People, or anybody new; empty: of nobody yet
// known, under the computer's name), as an admin or not. It returns in words what is wrong, or "".
func (v *Inviting) Approve(invitation, name, owner string, admin bool) string {
	name, owner = strings.TrimSpace(name), strings.TrimSpace(owner)
	if discovery.CheckName(name) != nil || owner != "" && discovery.CheckName(owner) != nil {
		return v.core.words.Text("error.name")
	}
	now := v.core.now()
	i := slices.IndexFunc(now.invites, func(x discovery.Invitation) bool { return x.ID == invitation })
	if i < 0 {
		return v.core.words.Text("error.no-invitation")
	}
	as := workgroup.Admission{Name: name, PersonName: owner, Role: ledger.Member}
	if admin {
		as.Role = ledger.Admin
	}
	if g, ok := v.core.group(now.invites[i].Workgroup); ok {
		for _, p := range people(g) {
			if strings.EqualFold(p.Name, owner) {
				as.Person, as.PersonName = p.ID, ""
			}
		}
	}
	v.core.ask(func(ctx context.Context, e Engine) error { return e.Approve(ctx, invitation, as) })
	return ""
}

// Decline says no to who asks.
func (v *Inviting) Decline(invitation string) { v.end(invitation) }

// Copied says that the text of the picture is in the clipboard.
func (v *Inviting) Copied() { v.core.note.say(Good, v.core.words.Text("invite.copied")) }
