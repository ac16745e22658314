package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"porchlight/app/control"
	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
)

// groupCommands are the commands about private workgroups.
func groupCommands() []command {
	const group = `{"id","short","name","twin","standing":"in"|"out"|"left","role":"admin"|"member","members","removal","contest","unsaved","needs_update","replaces","founded"}`
	const member = `{"id","name","person","person_name","role","via","by","since","self"}`
	const invitation = `{"id","workgroup","state","code","qr","until","tried","tries","yes","device","name"}`
	in := option{"--workgroup", "NAME"}
	yes := option{"--yes", ""}
	return []command{
		{"workgroup", "[list]", 0, 1, nil, []string{`{"workgroup","open","private":[` + group + `,…],"invitations":[` + invitation + `,…],"moves"}`}, connected(groupList)},
		{"workgroup open", "[on|off]", 0, 1, []option{{"--name", "NAME"}}, []string{`{"workgroup","open"}`}, connected(groupOpen)},
		{"workgroup new", "NAME", 1, 1, []option{{"--private", ""}, {"--stay-open", ""}, {"--person", "NAME"}}, []string{group}, connected(groupNew)},
		{"workgroup invite", "", 0, 0, []option{yes, in}, []string{invitation}, connected(groupInvite)},
		{"workgroup join", "[CODE]", 0, 1, []option{{"--pictures", "DEVICE"}, {"--timeout", "2m"}, yes}, []string{group}, connected(groupJoin)},
		{"workgroup approve", "[DEVICE]", 0, 1, []option{{"--name", "NAME"}, {"--person", "NAME"}, {"--admin", ""}, in}, nil, connected(groupApprove)},
		{"workgroup deny", "[DEVICE]", 0, 1, []option{in}, nil, connected(groupDeny)},
		{"workgroup members", "", 0, 0, []option{in}, []string{"[" + member + ",…]"}, connected(groupMembers)},
		{"workgroup remove", "DEVICE", 1, 1, []option{{"--reason", "removed|lost|replaced"}, {"--admitted", ""}, yes, in}, []string{`{"removed":[ID,…]}`}, connected(groupRemove)},
		{"workgroup role", "DEVICE admin|member", 2, 2, []option{in}, nil, connected(groupRole)},
		{"workgroup name", "DEVICE NAME", 2, 2, []option{in}, nil, connected(groupName)},
		{"workgroup rename", "NAME", 1, 1, []option{in}, nil, connected(groupRename)},
		{"workgroup leave", "", 0, 0, []option{yes, {"--anyway", ""}, in}, nil, connected(groupLeave)},
		{"workgroup forget", "", 0, 0, []option{in}, nil, connected(groupForget)},
		{"workgroup contest", "", 0, 0, []option{yes, in}, nil, connected(groupContest)},
		{"workgroup recovery", "", 0, 0, []option{{"--file", "FILE"}, {"--saved", ""}, {"--later", ""}, in}, []string{`{"workgroup","code","file","saved"}`}, connected(groupRecovery)},
		{"workgroup recover", "[CODE]", 0, 1, []option{{"--remove", "DEVICE"}, {"--moment", "N"}, {"--list", ""}, yes},
			[]string{group, `[{"moment","at","members":[` + member + `,…]},…]`}, connected(groupRecover)},
		{"workgroup start-over", "NAME", 1, 1, []option{{"--keep", "DEVICE"}, yes, in}, []string{group}, connected(groupStartOver)},
		{"workgroup moves", "", 0, 0, nil, []string{`[{"id","old","name","by","members","without","founded"},…]`}, connected(groupMoves)},
		{"workgroup move-over", "", 0, 0, []option{yes, in}, nil, connected(groupMoveOver)},
		{"workgroup decline", "", 0, 0, []option{in}, nil, connected(groupDecline)},
		{"verify", "[DEVICE]", 0, 1, []option{yes, {"--no", ""}, {"--timeout", "2m"}}, []string{`{"id","device","name","pictures":[{"symbol","word"},…],"digits","state"}`}, connected(verify)},
		{"unverify", "DEVICE", 1, 1, nil, nil, connected(unverify)},
	}
}

type groupRow struct {
	ID          string      `json:"id"`
	Short       string      `json:"short"`
	Name        string      `json:"name"`
	Twin        bool        `json:"twin"`
	Standing    string      `json:"standing"`
	Role        string      `json:"role,omitempty"`
	Members     int         `json:"members"`
	Removal     *removalRow `json:"removal,omitempty"`
	Contest     bool        `json:"contest"`
	Unsaved     bool        `json:"unsaved"`
	NeedsUpdate bool        `json:"needs_update"`
	KeyMissing  bool        `json:"key_missing"`
	Replaces    string      `json:"replaces,omitempty"`
	Founded     *time.Time  `json:"founded,omitempty"`
}

type removalRow struct {
	By      string     `json:"by"`
	ByName  string     `json:"by_name"`
	Reason  string     `json:"reason"`
	At      *time.Time `json:"at,omitempty"`
	Hearsay bool       `json:"hearsay"`
}

func rowOfGroup(w workgroup.Workgroup) groupRow {
	row := groupRow{ID: w.ID.String(), Short: w.Short, Name: w.Name, Twin: w.Twin, Standing: string(w.Standing), Role: roleOf(w.Role), Members: len(w.Members),
		Contest: w.Contest, Unsaved: w.Unsaved, NeedsUpdate: w.NeedsUpdate, KeyMissing: w.KeyMissing, Founded: when(w.Founded)}
	if w.Replaces != (workgroup.ID{}) {
		row.Replaces = w.Replaces.String()
	}
	if r := w.Removal; r != nil {
		row.Removal = &removalRow{r.By.String(), r.ByName, reasonOf(r.Reason), when(r.At), r.Hearsay}
	}
	return row
}

// roleOf is a role as JSON has it and commands take it.
func roleOf(r ledger.Role) string {
	switch r {
	case ledger.Admin:
		return "admin"
	case ledger.Member:
		return "member"
	}
	return ""
}

func (w words) role(r ledger.Role) string {
	if r == ledger.Admin {
		return w.Text("cli.role.admin")
	}
	return w.Text("cli.role.member")
}

// reasons are those of removals, as JSON has them; their words are under "cli.removal.".
func reasons() map[ledger.Reason]string {
	return map[ledger.Reason]string{ledger.Removed: "removed", ledger.Left: "left", ledger.Lost: "lost", ledger.Replaced: "replaced"}
}

func reasonOf(r ledger.Reason) string {
	if text, ok := reasons()[r]; ok {
		return text
	}
	return toOther
}

// pick finds the workgroup a command is about: the one that --workgroup names, or else the only one for which ok holds.
func (c *call) pick(ctx context.Context, e control.Engine, ok func(workgroup.Workgroup) bool) (workgroup.Workgroup, error) {
	all, err := e.Workgroups(ctx)
	if err != nil {
		return workgroup.Workgroup{}, err
	}
	text, named := c.flags["--workgroup"]
	var found []workgroup.Workgroup
	if named {
		found = groupsNamed(all, text)
	} else {
		for _, w := range all {
			if ok(w) {
				found = append(found, w)
			}
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0 && named:
		return workgroup.Workgroup{}, notFound("cli.error.no-group", "Name", show(text))
	case len(found) == 0:
		return workgroup.Workgroup{}, notFound("cli.error.no-groups")
	}
	f := failed(exitNotFound, nil, "cli.error.which-group")
	for _, w := range found {
		f.said = append(f.said, sentence{"cli.error.group", []any{"Short", w.Short, "Name", show(w.Name)}})
	}
	return workgroup.Workgroup{}, f
}

// groupsNamed returns the workgroups a text names: by ID or its first letters, or by name.
func groupsNamed(all []workgroup.Workgroup, text string) (found []workgroup.Workgroup) {
	for _, same := range []func(w workgroup.Workgroup) bool{
		func(w workgroup.Workgroup) bool {
			return w.ID.String() == strings.ToLower(text) || strings.EqualFold(w.Short, text)
		},
		func(w workgroup.Workgroup) bool { return w.Name == text },
		func(w workgroup.Workgroup) bool { return discovery.SameWorkgroup(w.Name, text) },
	} {
		for _, w := range all {
			if same(w) {
				found = append(found, w)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

func isIn(w workgroup.Workgroup) bool      { return w.Standing == workgroup.In }
func isAdmin(w workgroup.Workgroup) bool   { return isIn(w) && w.Role == ledger.Admin }
func isOut(w workgroup.Workgroup) bool     { return w.Standing != workgroup.In }
func isThere(w workgroup.Workgroup) bool   { return w.Standing != workgroup.Left }
func isUnsaved(w workgroup.Workgroup) bool { return w.Unsaved }

func groupList(ctx context.Context, c *call, e control.Engine) error {
	if len(c.args) == 1 && c.args[0] != "list" {
		return usage("cli.usage.workgroup", "Value", show(c.args[0]))
	}
	self, err := e.Self(ctx)
	if err != nil {
		return err
	}
	all, errAll := e.Workgroups(ctx)
	invitations, errInvitations := e.Invitations(ctx)
	moves, errMoves := e.Moves(ctx)
	if err := errors.Join(errAll, errInvitations, errMoves); err != nil {
		return err
	}
	open := slices.DeleteFunc(invitations, func(i discovery.Invitation) bool { return !stands(i) })
	if c.json {
		row := struct {
			Workgroup   string          `json:"workgroup"`
			Open        bool            `json:"open"`
			Private     []groupRow      `json:"private"`
			Invitations []invitationRow `json:"invitations"`
			Moves       int             `json:"moves"`
		}{self.Workgroup, self.Open, []groupRow{}, []invitationRow{}, len(moves)}
		for _, w := range all {
			row.Private = append(row.Private, rowOfGroup(w))
		}
		for _, i := range open {
			row.Invitations = append(row.Invitations, rowOfInvitation(i))
		}
		return c.object(row)
	}
	rows := [][]string{c.words.columns("name", "kind", "role", "members", "id")}
	kind := c.words.Text("cli.group.open")
	if !self.Open {
		kind = c.words.Text("cli.group.open-off")
	}
	rows = append(rows, []string{show(self.Workgroup), kind})
	for _, w := range all {
		role := c.words.value("cli.standing.", string(w.Standing))
		if isIn(w) {
			role = c.words.role(w.Role)
		}
		rows = append(rows, []string{show(w.Name), c.words.Text("cli.group.private"), role, strconv.Itoa(len(w.Members)), w.Short})
	}
	if err := table(c.Stdout, rows); err != nil {
		return err
	}
	return c.groupNotes(all, open, moves)
}

// groupNotes says what waits for somebody to do something.
func (c *call) groupNotes(all []workgroup.Workgroup, open []discovery.Invitation, moves []workgroup.Offer) error {
	var notes []string
	note := func(key string, params ...any) { notes = append(notes, c.words.Text(key, params...)) }
	for _, w := range all {
		name := show(w.Name)
		if w.Removal != nil {
			note("cli.group.removed", "Name", name, "By", c.nameOr(w.Removal.ByName, w.Removal.By), "Why", c.words.value("cli.removal.", reasonOf(w.Removal.Reason)))
		}
		if w.Contest {
			note("cli.group.contest", "Name", name)
		}
		if w.Unsaved {
			note("cli.group.unsaved", "Name", name)
		}
		if w.NeedsUpdate {
			note("cli.group.needs-update", "Name", name)
		}
	}
	for _, i := range open {
		if i.State == discovery.InviteAsking {
			note("cli.group.asks", "Device", c.nameOr(i.Name, i.Device), "Name", show(nameOfGroup(all, i.Workgroup)))
			continue
		}
		note("cli.group.inviting", "Code", spaced(i.Code), "Until", i.Until.Local().Format("15:04"), "Name", show(nameOfGroup(all, i.Workgroup)))
	}
	for _, m := range moves {
		note("cli.group.move", "Name", show(m.Name), "By", c.nameOr(m.By.Name, m.By.ID))
	}
	if len(notes) == 0 {
		return nil
	}
	_, err := fmt.Fprintln(c.Stdout, "\n"+strings.Join(notes, "\n"))
	return err
}

// nameOr is a name, or the start of the device ID where there is none.
func (*call) nameOr(name string, id discovery.DeviceID) string {
	if name == "" {
		return id.Short()
	}
	return show(name)
}

func nameOfGroup(all []workgroup.Workgroup, id workgroup.ID) string {
	for _, w := range all {
		if w.ID == id {
			return w.Name
		}
	}
	return shortOf(id)
}

// shortOf is what workgroup.Workgroup.Short is, of one that is not this computer's.
func shortOf(id workgroup.ID) string { return discovery.DeviceID(id).Short() }

// printGroup shows one workgroup that has just been made or entered.
func (c *call) printGroup(w workgroup.Workgroup, key string) error {
	if c.json {
		return c.object(rowOfGroup(w))
	}
	_, err := fmt.Fprintln(c.Stdout, c.words.Text(key, "Name", show(w.Name), "Members", c.words.count(len(w.Members))))
	return err
}

func groupOpen(ctx context.Context, c *call, e control.Engine) error {
	if name, given := c.flags["--name"]; given {
		if err := e.SetWorkgroup(ctx, name); err != nil {
			return err
		}
	}
	if len(c.args) == 1 {
		if c.args[0] != "on" && c.args[0] != "off" {
			return usage("cli.usage.on-off", "Value", show(c.args[0]))
		}
		if err := e.SetOpen(ctx, c.args[0] == "on"); err != nil {
			return err
		}
	}
	self, err := e.Self(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.object(struct {
			Workgroup string `json:"workgroup"`
			Open      bool   `json:"open"`
		}{self.Workgroup, self.Open})
	}
	if self.Open {
		return c.say("cli.group.open-is-on", "Name", show(self.Workgroup))
	}
	return c.say("cli.group.open-is-off", "Name", show(self.Workgroup))
}

func groupNew(ctx context.Context, c *call, e control.Engine) error {
	_, private := c.flags["--private"]
	_, stay := c.flags["--stay-open"]
	if private && stay {
		return usage("cli.usage.private-or-open")
	}
	self, err := e.Self(ctx)
	if err != nil {
		return err
	}
	f := workgroup.Founding{Name: c.args[0], Device: self.Name, PersonName: c.flags["--person"]}
	if f.PersonName == "" {
		f.PersonName = self.Name
	}
	w, err := e.CreateWorkgroup(ctx, f)
	if err != nil {
		return err
	}
	if private {
		if err := e.SetOpen(ctx, false); err != nil {
			return err
		}
		self.Open = false
	}
	if err := c.printGroup(w, "cli.group.made"); err != nil || c.json {
		return err
	}
	if err := c.say("cli.group.made-next", "Short", w.Short); err != nil {
		return err
	}
	if self.Open && !stay {
		return c.say("cli.group.still-open", "Name", show(self.Workgroup))
	}
	return nil
}

func groupRename(ctx context.Context, c *call, e control.Engine) error {
	w, err := c.pick(ctx, e, isAdmin)
	if err != nil {
		return err
	}
	if err := e.RenameWorkgroup(ctx, w.ID, c.args[0]); err != nil {
		return err
	}
	return c.done("cli.group.renamed", "Old", show(w.Name), "Name", show(c.args[0]))
}

func groupLeave(ctx context.Context, c *call, e control.Engine) error {
	w, err := c.pick(ctx, e, isThere)
	if err != nil {
		return err
	}
	if yes, err := c.sure(ctx, "cli.group.leave-ask", "Name", show(w.Name)); err != nil || !yes {
		return err
	}
	_, anyway := c.flags["--anyway"]
	err = e.LeaveWorkgroup(ctx, w.ID, anyway)
	why := ""
	switch {
	case errors.Is(err, workgroup.ErrLastAdmin):
		why = c.words.Text("cli.group.leave-last-admin", "Name", show(w.Name))
	case errors.Is(err, workgroup.ErrUnsaved):
		why = c.words.Text("cli.group.leave-unsaved", "Name", show(w.Name))
	}
	if why != "" {
		if _, yes := c.flags["--yes"]; yes || c.json {
			return err // its words say what to do
		}
		if yes, errAsk := c.question(ctx, why); errAsk != nil || !yes {
			return errAsk
		}
		err = e.LeaveWorkgroup(ctx, w.ID, true)
	}
	if err != nil {
		return err
	}
	return c.done("cli.group.left", "Name", show(w.Name))
}

func groupForget(ctx context.Context, c *call, e control.Engine) error {
	w, err := c.pick(ctx, e, isOut)
	if err != nil {
		return err
	}
	if err := e.ForgetWorkgroup(ctx, w.ID); err != nil {
		return err
	}
	return c.done("cli.group.forgotten", "Name", show(w.Name))
}

func groupContest(ctx context.Context, c *call, e control.Engine) error {
	w, err := c.pick(ctx, e, func(w workgroup.Workgroup) bool { return w.Contest })
	if err != nil {
		return err
	}
	by := ""
	if w.Removal != nil {
		by = c.nameOr(w.Removal.ByName, w.Removal.By)
	}
	if yes, err := c.sure(ctx, "cli.group.contest-ask", "Name", show(w.Name), "By", by); err != nil || !yes {
		return err
	}
	if err := e.Contest(ctx, w.ID); err != nil {
		return err
	}
	return c.done("cli.group.contested", "Name", show(w.Name))
}
