package cli

import (
	"context"
	"encoding/hex"
	"strings"
	"time"

	"porchlight/app/control"
	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
)

type memberRow struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Person     string     `json:"person"`
	PersonName string     `json:"person_name"`
	Role       string     `json:"role"`
	Via        string     `json:"via"`
	By         string     `json:"by"`
	Since      *time.Time `json:"since,omitempty"`
	Self       bool       `json:"self"`
}

func rowOfMember(m workgroup.Member) memberRow {
	return memberRow{m.ID.String(), m.Name, hex.EncodeToString(m.Person[:]), m.PersonName, roleOf(m.Role), viaOf(m.Via), m.By.String(), when(m.Since), m.Self}
}

// viaOf is how a member came in, as JSON has it; its words are under "cli.via.".
func viaOf(v ledger.Via) string {
	switch v {
	case ledger.ViaCode:
		return "code"
	case ledger.ViaPictures:
		return "pictures"
	case ledger.ViaQR:
		return "qr"
	case ledger.ViaRecovery:
		return "recovery"
	case ledger.ViaFounder:
		return "founder"
	}
	return toOther
}

func groupMembers(ctx context.Context, c *call, e control.Engine) error {
	w, err := c.pick(ctx, e, isIn)
	if err != nil {
		return err
	}
	if c.json {
		return list(c, w.Members, rowOfMember)
	}
	return c.printMembers(w.Members)
}

func (c *call) printMembers(all []workgroup.Member) error {
	rows := [][]string{c.words.columns("name", "person", "role", "via", "by", "id")}
	for _, m := range all {
		by := ""
		for _, other := range all {
			if other.ID == m.By && other.ID != m.ID {
				by = c.nameOr(other.Name, other.ID)
			}
		}
		name := c.nameOr(m.Name, m.ID)
		if m.Self {
			name += " " + c.words.Text("cli.member.self")
		}
		rows = append(rows, []string{name, show(m.PersonName), c.words.role(m.Role), c.words.value("cli.via.", viaOf(m.Via)), by, m.ID.String()[:15]})
	}
	return table(c.Stdout, rows)
}

// memberAt finds the member a text names: by name, or by the start of its ID.
func memberAt(all []workgroup.Member, text string) (workgroup.Member, error) {
	start := discovery.FoldIDText(text)
	for _, same := range []func(m workgroup.Member) bool{
		func(m workgroup.Member) bool { return m.Name == text },
		func(m workgroup.Member) bool { return m.Name != "" && strings.EqualFold(m.Name, text) },
		func(m workgroup.Member) bool {
			return start != "" && strings.HasPrefix(strings.ReplaceAll(m.ID.String(), "-", ""), start)
		},
	} {
		var found []workgroup.Member
		for _, m := range all {
			if same(m) {
				found = append(found, m)
			}
		}
		if len(found) == 1 {
			return found[0], nil
		}
		if len(found) > 1 {
			f := failed(exitNotFound, nil, "cli.error.ambiguous", "Name", show(text))
			for _, m := range found {
				f.said = append(f.said, sentence{"cli.error.member", []any{"ID", m.ID.String()[:15], "Name", show(m.Name), "Person", show(m.PersonName)}})
			}
			return workgroup.Member{}, f
		}
	}
	return workgroup.Member{}, notFound("cli.error.no-member", "Name", show(text))
}

// membersAt finds several, none of them twice.
func membersAt(all []workgroup.Member, texts []string) (out []discovery.DeviceID, err error) {
	seen := map[discovery.DeviceID]bool{}
	for _, text := range texts {
		m, err := memberAt(all, text)
		if err != nil {
			return nil, err
		}
		if !seen[m.ID] {
			out = append(out, m.ID)
		}
		seen[m.ID] = true
	}
	return out, nil
}

func (c *call) names(all []workgroup.Member) string {
	var out []string
	for _, m := range all {
		out = append(out, c.nameOr(m.Name, m.ID))
	}
	return strings.Join(out, ", ")
}

func groupRemove(ctx context.Context, c *call, e control.Engine) error {
	why := ledger.Removed
	if text, given := c.flags["--reason"]; given {
		why = 0
		for r, name := range reasons() {
			if name == text && r != ledger.Left {
				why = r
			}
		}
		if why == 0 {
			return usage("cli.usage.reason", "Value", show(text))
		}
	}
	w, err := c.pick(ctx, e, isAdmin)
	if err != nil {
		return err
	}
	m, err := memberAt(w.Members, c.args[0])
	if err != nil {
		return err
	}
	let, err := e.AdmittedBy(ctx, w.ID, m.ID)
	if err != nil {
		return err
	}
	name := c.nameOr(m.Name, m.ID)
	if yes, err := c.sure(ctx, "cli.member.remove-ask", "Device", name, "Name", show(w.Name)); err != nil || !yes {
		return err
	}
	out := []workgroup.Member{m}
	_, all := c.flags["--admitted"]
	_, said := c.flags["--yes"]
	if len(let) > 0 && !all && !said {
		if all, err = c.question(ctx, c.words.Text("cli.member.admitted-ask", "Device", name, "Names", c.names(let))); err != nil {
			return err
		}
	}
	if all {
		out = append(out, let...)
	}
	var ids []discovery.DeviceID
	row := struct {
		Removed []string `json:"removed"`
	}{}
	for _, m := range out {
		ids, row.Removed = append(ids, m.ID), append(row.Removed, m.ID.String())
	}
	if err := e.RemoveMembers(ctx, w.ID, why, ids); err != nil {
		return err
	}
	if c.json {
		return c.object(row)
	}
	if err := c.say("cli.member.removed", "Names", c.names(out), "Name", show(w.Name)); err != nil || all || len(let) == 0 {
		return err
	}
	return c.say("cli.member.admitted-stay", "Device", name, "Names", c.names(let))
}

func groupRole(ctx context.Context, c *call, e control.Engine) error {
	role := ledger.Member
	switch c.args[1] {
	case "admin":
		role = ledger.Admin
	case "member":
	default:
		return usage("cli.usage.role", "Value", show(c.args[1]))
	}
	w, err := c.pick(ctx, e, isAdmin)
	if err != nil {
		return err
	}
	m, err := memberAt(w.Members, c.args[0])
	if err != nil {
		return err
	}
	if err := e.SetRole(ctx, w.ID, m.ID, role); err != nil {
		return err
	}
	return c.done("cli.member.role", "Device", c.nameOr(m.Name, m.ID), "Role", c.words.role(role), "Name", show(w.Name))
}

func groupName(ctx context.Context, c *call, e control.Engine) error {
	w, err := c.pick(ctx, e, isAdmin)
	if err != nil {
		return err
	}
	m, err := memberAt(w.Members, c.args[0])
	if err != nil {
		return err
	}
	if err := e.RenameMember(ctx, w.ID, m.ID, c.args[1]); err != nil {
		return err
	}
	return c.done("cli.member.renamed", "Device", c.nameOr(m.Name, m.ID), "New", show(c.args[1]), "Name", show(w.Name))
}
