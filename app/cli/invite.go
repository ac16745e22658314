package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"porchlight/app/control"
	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
)

// joinWait is how long a computer waits to be let in unless --timeout says otherwise: a person has to come and say yes.
const joinWait = 2 * time.Minute

type invitationRow struct {
	ID        string     `json:"id"`
	Workgroup string     `json:"workgroup"`
	State     string     `json:"state"`
	Code      string     `json:"code"`
	QR        string     `json:"qr"`
	Until     *time.Time `json:"until,omitempty"`
	Tried     int        `json:"tried"`
	Tries     int        `json:"tries"`
	Yes       bool       `json:"yes"`
	Device    string     `json:"device,omitempty"`
	Name      string     `json:"name,omitempty"`
}

func rowOfInvitation(i discovery.Invitation) invitationRow {
	row := invitationRow{ID: i.ID, Workgroup: workgroup.ID(i.Workgroup).String(), State: string(i.State), Code: i.Code, QR: i.QR, Until: when(i.Until),
		Tried: i.Tried, Tries: i.Tries, Yes: i.Yes, Name: i.Name}
	if !i.Device.IsZero() {
		row.Device = i.Device.String()
	}
	return row
}

// stands reports whether somebody may still come in by an invitation.
func stands(i discovery.Invitation) bool {
	return i.State == discovery.InviteOpen || i.State == discovery.InviteAsking
}

// spaced is a code as it is read aloud.
func spaced(digits string) string { return pairing.Code{Digits: digits}.String() }

func groupInvite(ctx context.Context, c *call, e control.Engine) error {
	w, err := c.pick(ctx, e, isAdmin)
	if err != nil {
		return err
	}
	_, yes := c.flags["--yes"]
	i, err := e.Invite(ctx, w.ID, discovery.Invite{Yes: yes})
	if err != nil {
		return err
	}
	if c.json {
		return c.object(rowOfInvitation(i))
	}
	if err := c.say("cli.invite.code", "Code", spaced(i.Code), "Name", show(w.Name), "Until", i.Until.Local().Format("15:04")); err != nil {
		return err
	}
	if err := c.say("cli.invite.there", "Code", show(i.Code)); err != nil || yes {
		return err
	}
	return c.say("cli.invite.then")
}

// patience reads --timeout.
func (c *call) patience() (time.Duration, error) {
	text, given := c.flags["--timeout"]
	if !given {
		return joinWait, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, usage("cli.usage.timeout", "Value", show(text))
	}
	return d, nil
}

func groupJoin(ctx context.Context, c *call, e control.Engine) error {
	wait, err := c.patience()
	if err != nil {
		return err
	}
	device, pictures := c.flags["--pictures"]
	if pictures == (len(c.args) == 1) {
		return usage("cli.usage.join")
	}
	if _, yes := c.flags["--yes"]; pictures && c.json && !yes {
		return usage("cli.usage.yes")
	}
	short, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var w workgroup.Workgroup
	if pictures {
		w, err = c.joinByPictures(short, e, device)
	} else {
		if _, _, err := pairing.ParseCode(c.args[0]); err != nil {
			return usage("cli.usage.code", "Value", show(c.args[0]))
		}
		c.tell("cli.invite.joining")
		w, err = e.Join(short, c.args[0])
	}
	late := short.Err() != nil || errors.Is(err, context.DeadlineExceeded)
	searched := errors.Is(err, discovery.ErrNobody) || errors.Is(err, pairing.ErrProof) || errors.Is(err, pairing.ErrOver) || errors.Is(err, pairing.ErrOften)
	if err != nil && late && !searched && ctx.Err() == nil { // somebody was found, and said nothing
		return failed(exitAway, err, "cli.error.join-slow", "Time", wait.String())
	}
	if err != nil {
		return err
	}
	return c.printGroup(w, "cli.group.joined")
}

// tell says on standard error what goes on.
func (c *call) tell(key string, params ...any) {
	if !c.json {
		fmt.Fprintln(c.Stderr, c.words.Text(key, params...))
	}
}

// asking finds the invitations by which somebody asks to be let in: of the device a text names, of all if it is empty. Only
// those of the workgroup that --workgroup names, if it does.
func (c *call) asking(ctx context.Context, e control.Engine, text string) ([]discovery.Invitation, error) {
	all, err := e.Invitations(ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(i discovery.Invitation) bool { return !stands(i) })
	if _, given := c.flags["--workgroup"]; given {
		w, err := c.pick(ctx, e, isAdmin)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(i discovery.Invitation) bool { return i.Workgroup != w.ID })
	}
	if text == "" {
		return all, nil
	}
	start := discovery.FoldIDText(text)
	for _, same := range []func(i discovery.Invitation) bool{
		func(i discovery.Invitation) bool { return i.Name == text },
		func(i discovery.Invitation) bool { return strings.EqualFold(i.Name, text) },
		func(i discovery.Invitation) bool {
			return start != "" && !i.Device.IsZero() && strings.HasPrefix(strings.ReplaceAll(i.Device.String(), "-", ""), start)
		},
	} {
		var found []discovery.Invitation
		for _, i := range all {
			if i.State == discovery.InviteAsking && same(i) {
				found = append(found, i)
			}
		}
		if len(found) > 0 {
			return found, nil
		}
	}
	return nil, notFound("cli.error.nobody-of-name", "Name", show(text))
}

func (c *call) arg() string {
	if len(c.args) == 0 {
		return ""
	}
	return c.args[0]
}

func groupApprove(ctx context.Context, c *call, e control.Engine) error {
	found, err := c.asking(ctx, e, c.arg())
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(i discovery.Invitation) bool { return i.State != discovery.InviteAsking })
	switch len(found) {
	case 0:
		return notFound("cli.error.nobody-asks")
	case 1:
	default:
		f := failed(exitNotFound, nil, "cli.error.several-ask")
		for _, i := range found {
			f.said = append(f.said, sentence{"cli.error.asker", []any{"ID", i.Device.String()[:15], "Name", show(i.Name)}})
		}
		return f
	}
	i := found[0]
	all, err := e.Workgroups(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(all, func(w workgroup.Workgroup) bool { return w.ID == i.Workgroup })
	if at < 0 {
		return workgroup.ErrUnknown
	}
	w := all[at]
	as := workgroup.Admission{Name: c.flags["--name"], Role: ledger.Member}
	if as.Name == "" {
		as.Name = i.Name
	}
	if _, admin := c.flags["--admin"]; admin {
		as.Role = ledger.Admin
	}
	if person, given := c.flags["--person"]; given {
		if as.Person, as.PersonName, err = personIn(w, person); err != nil {
			return err
		}
	}
	if err := e.Approve(ctx, i.ID, as); err != nil {
		return err
	}
	return c.done("cli.invite.approved", "Device", show(as.Name), "Role", c.words.role(as.Role), "Name", show(w.Name))
}

// personIn finds a person of a workgroup by name, or makes the name that of somebody new.
func personIn(w workgroup.Workgroup, name string) (ledger.Person, string, error) {
	found := personsNamed(w, name)
	switch len(found) {
	case 0:
		return ledger.Person{}, name, nil
	case 1:
		return found[0].Person, found[0].PersonName, nil
	}
	return ledger.Person{}, "", notFound("cli.error.two-persons", "Name", show(name), "Group", show(w.Name))
}

// personsNamed returns a member for each person of that name; names as they are written go first.
func personsNamed(w workgroup.Workgroup, name string) []workgroup.Member {
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		var found []workgroup.Member
		for _, m := range w.Members {
			if same(m.PersonName, name) && !slices.ContainsFunc(found, func(o workgroup.Member) bool { return o.Person == m.Person }) {
				found = append(found, m)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// groupDeny says no to who asks; when nobody does, it withdraws the invitation.
func groupDeny(ctx context.Context, c *call, e control.Engine) error {
	found, err := c.asking(ctx, e, c.arg())
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return notFound("cli.error.nobody-asks")
	}
	asks := func(i discovery.Invitation) bool { return i.State == discovery.InviteAsking }
	if slices.ContainsFunc(found, asks) {
		found = slices.DeleteFunc(found, func(i discovery.Invitation) bool { return !asks(i) })
	}
	for _, i := range found {
		if err := e.EndInvitation(ctx, i.ID); err != nil && !errors.Is(err, discovery.ErrNoInvitation) {
			return err
		}
		key := "cli.invite.withdrawn"
		if asks(i) {
			key = "cli.invite.denied"
		}
		if !c.json {
			if err := c.say(key, "Device", c.nameOr(i.Name, i.Device), "Code", spaced(i.Code)); err != nil {
				return err
			}
		}
	}
	if c.json {
		return c.object(struct{}{})
	}
	return nil
}
