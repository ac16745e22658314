package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"porchlight/app/control"
	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
)

// groupRecovery shows the recovery code, writes the sheet with it, and notes that it is kept elsewhere.
func groupRecovery(ctx context.Context, c *call, e control.Engine) error {
	_, saved := c.flags["--saved"]
	_, later := c.flags["--later"]
	file, toFile := c.flags["--file"]
	if later && (saved || toFile) {
		return usage("cli.usage.later")
	}
	w, err := c.pick(ctx, e, isUnsaved)
	if err != nil {
		return err
	}
	if later {
		if err := e.RemindLater(ctx, w.ID); err != nil {
			return err
		}
		return c.done("cli.recovery.later", "Name", show(w.Name))
	}
	code, err := e.RecoveryCode(ctx, w.ID)
	if err != nil {
		return err
	}
	if toFile {
		if err := c.writeSheet(file, w, code); err != nil {
			return err
		}
	}
	if saved {
		if err := e.RecoverySaved(ctx, w.ID); err != nil {
			return err
		}
	}
	if c.json {
		return c.object(struct {
			Workgroup string `json:"workgroup"`
			Code      string `json:"code"`
			File      string `json:"file,omitempty"`
			Saved     bool   `json:"saved"`
		}{w.ID.String(), code, file, saved})
	}
	switch {
	case toFile:
		err = c.say("cli.recovery.written", "File", show(file))
	default:
		err = c.say("cli.recovery.code", "Name", show(w.Name), "Code", code)
	}
	switch {
	case err != nil:
		return err
	case saved:
		return c.say("cli.recovery.erased")
	}
	return c.say("cli.recovery.keep", "Short", w.Short)
}

// writeSheet writes a new file that only this user can read, whole or not at all.
func (c *call) writeSheet(file string, w workgroup.Workgroup, code string) (err error) {
	text := c.words.Text("cli.recovery.sheet", "Name", show(w.Name), "Code", code, "Short", w.Short, "Day", w.Founded.Local().Format(time.DateOnly))
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text + "\n")
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return nil
}

// typed is the code of the command line, or read from standard input, where no list of processes shows it.
func (c *call) typed(ctx context.Context) (string, error) {
	text := c.arg()
	if text == "" || text == "-" {
		if !c.json {
			fmt.Fprint(c.Stderr, c.words.Text("cli.recovery.type")+" ")
		}
		var err error
		if text, err = c.line(ctx); err != nil {
			return "", err
		}
	}
	code, err := ledger.ParseRecoveryCode(strings.TrimSpace(text))
	if err != nil {
		return "", err
	}
	return code.String(), nil
}

type momentRow struct {
	Moment  int         `json:"moment"`
	At      *time.Time  `json:"at,omitempty"`
	Members []memberRow `json:"members"`
}

func groupRecover(ctx context.Context, c *call, e control.Engine) error {
	which := 1
	if text, given := c.flags["--moment"]; given {
		n, ok := number(text)
		if !ok {
			return usage("cli.usage.number", "Option", "--moment", "Value", show(text))
		}
		which = n
	}
	code, err := c.typed(ctx)
	if err != nil {
		return err
	}
	moments, err := e.Moments(ctx, code)
	if errors.Is(err, discovery.ErrNobody) {
		return failed(exitAway, err, "cli.error.nobody-to-ask")
	}
	if err != nil {
		return err
	}
	if _, only := c.flags["--list"]; only {
		return c.listMoments(moments)
	}
	if which > len(moments) {
		return notFound("cli.error.no-moment", "N", which, "Count", len(moments))
	}
	m := moments[which-1]
	everybody := slices.Clone(m.Members)
	for _, other := range moments { // who came later can be removed, too
		for _, x := range other.Members {
			if !slices.ContainsFunc(everybody, func(k workgroup.Member) bool { return k.ID == x.ID }) {
				everybody = append(everybody, x)
			}
		}
	}
	remove, err := membersAt(everybody, c.each["--remove"])
	if err != nil {
		return err
	}
	self, err := e.Self(ctx)
	if err != nil {
		return err
	}
	gone := slices.DeleteFunc(everybody, func(x workgroup.Member) bool { return !slices.Contains(remove, x.ID) })
	if !c.json {
		if err := c.printMembers(m.Members); err != nil {
			return err
		}
	}
	key := "cli.recovery.ask"
	if len(gone) == 0 {
		key = "cli.recovery.ask-nobody"
	}
	if yes, err := c.sure(ctx, key, "At", c.moment(m), "Names", c.names(gone)); err != nil || !yes {
		return err
	}
	w, err := e.Recover(ctx, code, workgroup.Choice{Heads: m.Heads, Remove: remove, Name: self.Name, PersonName: self.Name})
	if err != nil {
		return err
	}
	return c.printGroup(w, "cli.recovery.done")
}

// moment is a point in time as people here say it.
func (*call) moment(m workgroup.Moment) string { return m.At.Local().Format("2006-01-02 15:04") }

func (c *call) listMoments(all []workgroup.Moment) error {
	if c.json {
		n := 0
		return list(c, all, func(m workgroup.Moment) momentRow {
			n++
			row := momentRow{n, when(m.At), []memberRow{}}
			for _, x := range m.Members {
				row.Members = append(row.Members, rowOfMember(x))
			}
			return row
		})
	}
	rows := [][]string{c.words.columns("moment", "at", "members")}
	for i, m := range all {
		rows = append(rows, []string{strconv.Itoa(i + 1), c.moment(m), c.names(m.Members)})
	}
	return table(c.Stdout, rows)
}

func groupStartOver(ctx context.Context, c *call, e control.Engine) error {
	w, err := c.pick(ctx, e, isThere)
	if err != nil {
		return err
	}
	past, err := e.PastMembers(ctx, w.ID)
	if err != nil {
		return err
	}
	keep, err := membersAt(past, c.each["--keep"])
	if err != nil {
		return err
	}
	self, err := e.Self(ctx)
	if err != nil {
		return err
	}
	keep = slices.DeleteFunc(keep, func(id discovery.DeviceID) bool { return id == self.ID })
	f := workgroup.Founding{Name: c.args[0], Device: self.Name, PersonName: self.Name}
	for _, m := range past {
		if m.Self || m.ID == self.ID {
			f.Device, f.PersonName = firstOf(m.Name, f.Device), firstOf(m.PersonName, f.PersonName)
		}
	}
	kept := slices.DeleteFunc(slices.Clone(past), func(m workgroup.Member) bool { return !slices.Contains(keep, m.ID) })
	key := "cli.move.start-ask"
	if len(kept) == 0 {
		key = "cli.move.start-ask-alone"
	}
	if yes, err := c.sure(ctx, key, "Old", show(w.Name), "Name", show(f.Name), "Names", c.names(kept)); err != nil || !yes {
		return err
	}
	made, err := e.StartOver(ctx, w.ID, f, keep)
	if err != nil {
		return err
	}
	return c.printGroup(made, "cli.move.started")
}

// firstOf is the first text that is not empty.
func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

type moveRow struct {
	ID      string      `json:"id"`
	Old     string      `json:"old"`
	Name    string      `json:"name"`
	By      memberRow   `json:"by"`
	Members []memberRow `json:"members"`
	Without []memberRow `json:"without"`
	Founded *time.Time  `json:"founded,omitempty"`
}

func rowOfMove(o workgroup.Offer) moveRow {
	row := moveRow{o.ID.String(), o.Old.String(), o.Name, rowOfMember(o.By), []memberRow{}, []memberRow{}, when(o.Founded)}
	for _, m := range o.Members {
		row.Members = append(row.Members, rowOfMember(m))
	}
	for _, m := range o.Without {
		row.Without = append(row.Without, rowOfMember(m))
	}
	return row
}

func groupMoves(ctx context.Context, c *call, e control.Engine) error {
	all, err := e.Moves(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return list(c, all, rowOfMove)
	}
	if len(all) == 0 {
		return c.say("cli.move.none")
	}
	for _, o := range all {
		if err := c.sayMove(o); err != nil {
			return err
		}
	}
	return c.say("cli.move.how")
}

func (c *call) sayMove(o workgroup.Offer) error {
	by := c.nameOr(o.By.Name, o.By.ID)
	if len(o.Without) == 0 {
		return c.say("cli.move.offer", "By", by, "Name", show(o.Name), "Short", shortOf(o.ID))
	}
	return c.say("cli.move.offer-without", "By", by, "Name", show(o.Name), "Without", c.names(o.Without), "Short", shortOf(o.ID))
}

// move finds the offer a command is about: the only one, or that of the workgroup --workgroup names, by the new one or the old.
func (c *call) move(ctx context.Context, e control.Engine) (workgroup.Offer, error) {
	all, err := e.Moves(ctx)
	if err != nil {
		return workgroup.Offer{}, err
	}
	if text, given := c.flags["--workgroup"]; given {
		mine, err := e.Workgroups(ctx)
		if err != nil {
			return workgroup.Offer{}, err
		}
		old := groupsNamed(mine, text)
		all = slices.DeleteFunc(all, func(o workgroup.Offer) bool {
			named := discovery.SameWorkgroup(o.Name, text) || strings.EqualFold(shortOf(o.ID), text) || o.ID.String() == strings.ToLower(text)
			return !named && !slices.ContainsFunc(old, func(w workgroup.Workgroup) bool { return w.ID == o.Old })
		})
	}
	switch len(all) {
	case 0:
		return workgroup.Offer{}, notFound("cli.error.no-move")
	case 1:
		return all[0], nil
	}
	f := failed(exitNotFound, nil, "cli.error.several-moves")
	for _, o := range all {
		f.said = append(f.said, sentence{"cli.error.group", []any{"Short", shortOf(o.ID), "Name", show(o.Name)}})
	}
	return workgroup.Offer{}, f
}

func groupMoveOver(ctx context.Context, c *call, e control.Engine) error {
	o, err := c.move(ctx, e)
	if err != nil {
		return err
	}
	if !c.json {
		if err := c.sayMove(o); err != nil {
			return err
		}
	}
	if yes, err := c.sure(ctx, "cli.move.ask", "Name", show(o.Name)); err != nil || !yes {
		return err
	}
	if err := e.MoveOver(ctx, o.ID); err != nil {
		return err
	}
	return c.done("cli.move.done", "Name", show(o.Name))
}

func groupDecline(ctx context.Context, c *call, e control.Engine) error {
	o, err := c.move(ctx, e)
	if err != nil {
		return err
	}
	if err := e.DeclineMove(ctx, o.ID); err != nil {
		return err
	}
	return c.done("cli.move.declined", "Name", show(o.Name))
}
