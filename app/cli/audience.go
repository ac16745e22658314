package cli

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"porchlight/app/control"
	"porchlight/discovery"
	"porchlight/discovery/workgroup"
	"porchlight/share"
)

// What --to takes beside names, and JSON says.
const (
	toNearby = "nearby"
	toNobody = "nobody"
	toOther  = "other" // what this version has no word for
)

// What says which kind a name is of, where it could be of several.
const (
	ofWorkgroup = "workgroup:"
	ofPerson    = "person:" // then NAME, or WORKGROUP/NAME
	ofDevice    = "device:"
)

// audience reads what was said with --to; nil if nothing was.
func audience(ctx context.Context, c *call, e control.Engine) ([]share.Grant, error) {
	var to []share.Grant
	var r *whom
	for _, who := range c.each["--to"] {
		var rows []share.Grant
		switch who {
		case toNobody:
			rows = []share.Grant{{Who: share.ToNobody}}
		case toNearby:
			rows = []share.Grant{{Who: share.ToNearby, Level: share.LookOnly}}
		default:
			var err error
			if r == nil {
				if r, err = newWhom(ctx, e); err != nil {
					return nil, err
				}
			}
			if rows, err = r.find(ctx, who); err != nil {
				return nil, err
			}
		}
		for _, g := range rows {
			if !slices.Contains(to, g) {
				to = append(to, g)
			}
		}
	}
	if len(to) > 1 && slices.ContainsFunc(to, func(g share.Grant) bool { return g.Who == share.ToNearby || g.Who == share.ToNobody }) {
		return nil, usage("cli.usage.to")
	}
	return to, nil
}

// proven returns the device a text names, all of it. One that only announces itself could be anybody.
func (r *resolver) proven(ctx context.Context, text string) (discovery.Peer, error) {
	p, rest, err := r.device(ctx, text)
	switch {
	case err != nil:
		return p, err
	case rest != "":
		return p, notFound("cli.error.no-device", "Name", show(text))
	case p.State == discovery.Candidate || p.ID.IsZero():
		return p, failed(exitAway, nil, "cli.error.unproven", "Name", show(text))
	}
	return p, nil
}

// toValues is the audience of a share as JSON has it.
func toValues(s share.Share) []string {
	if s.Lost {
		return []string{toNobody}
	}
	if len(s.Audience) == 0 {
		return []string{toNearby}
	}
	var out []string
	for _, g := range s.Audience {
		value := toOther
		switch g.Who {
		case share.ToNearby:
			value = toNearby
		case share.ToNobody:
			value = toNobody
		case share.ToDevice:
			value = g.Device.String()
		case share.ToEveryone:
			value = ofWorkgroup + workgroup.ID(g.Workgroup).String()
		case share.ToPerson:
			value = ofPerson + workgroup.ID(g.Workgroup).String() + "/" + hex.EncodeToString(g.Person[:])
		}
		if !slices.Contains(out, value) {
			out = append(out, value)
		}
	}
	return out
}

// present returns the rows of a share that are not about people, computers and workgroups that are gone; if there are none, the
// key of the words that say why.
func present(s share.Share, groups []workgroup.Workgroup) (there []share.Grant, why string) {
	why = "cli.to.left"
	for _, g := range s.Audience {
		i := slices.IndexFunc(groups, func(w workgroup.Workgroup) bool { return w.ID == g.Workgroup })
		switch {
		case g.Workgroup == workgroup.ID{} || i < 0 && !s.Left:
			there = append(there, g)
		case i < 0 || groups[i].Standing != workgroup.In:
		case slices.ContainsFunc(groups[i].Members, func(m workgroup.Member) bool {
			return g.Who == share.ToEveryone || g.Who == share.ToPerson && m.Person == g.Person || g.Who == share.ToDevice && m.ID == g.Device
		}):
			there = append(there, g)
		default:
			why = "cli.to.gone"
		}
	}
	return there, why
}

// toWords is the audience of a share for people.
func (w words) toWords(s share.Share, peers []discovery.Peer, groups []workgroup.Workgroup) string {
	switch {
	case s.Lost:
		return w.Text("cli.to.lost")
	case len(s.Audience) == 0:
		return w.Text("cli.to.nearby")
	}
	there, why := present(s, groups)
	if len(there) == 0 {
		return w.Text(why)
	}
	var out []string
	for _, g := range there {
		text := w.Text("cli.to.other")
		switch g.Who {
		case share.ToNearby:
			text = w.Text("cli.to.nearby")
		case share.ToNobody:
			text = w.Text("cli.to.nobody")
		case share.ToDevice:
			text = deviceName(g.Device, peers)
		case share.ToEveryone:
			text = w.Text("cli.to.workgroup", "Name", show(nameOfGroup(groups, g.Workgroup)))
		case share.ToPerson:
			text = w.Text("cli.to.person", "Person", show(nameOfPerson(groups, g)), "Name", show(nameOfGroup(groups, g.Workgroup)))
		}
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, ", ")
}

// deviceName is the name of a device; its ID where there is none, and beside it where two have it.
func deviceName(id discovery.DeviceID, peers []discovery.Peer) string {
	i := slices.IndexFunc(peers, func(p discovery.Peer) bool { return p.ID == id })
	if i < 0 || peers[i].Name == "" {
		return id.Short()
	}
	name := show(peers[i].Name)
	if slices.ContainsFunc(peers, func(p discovery.Peer) bool {
		return p.ID != id && p.State != discovery.Candidate && strings.EqualFold(p.Name, peers[i].Name)
	}) {
		name += " (" + id.Short() + ")"
	}
	return name
}

func nameOfPerson(groups []workgroup.Workgroup, g share.Grant) string {
	for _, w := range groups {
		for _, m := range w.Members {
			if w.ID == g.Workgroup && m.Person == g.Person {
				return m.PersonName
			}
		}
	}
	return hex.EncodeToString(g.Person[:4])
}

func shareAllow(ctx context.Context, c *call, e control.Engine) error {
	if len(c.each["--to"]) == 0 {
		return usage("cli.usage.to-whom")
	}
	s, err := ownShare(ctx, c, e)
	if err != nil {
		return err
	}
	to, err := audience(ctx, c, e)
	if err != nil {
		return err
	}
	if err := e.AllowShare(ctx, s.ID, to); err != nil {
		return err
	}
	s.Audience, s.Lost, s.Left = to, false, false
	if c.json {
		return c.object(rowOfShare(s))
	}
	peers, err := e.Peers(ctx)
	if err != nil {
		return err
	}
	groups, err := e.Workgroups(ctx)
	if err != nil {
		return err
	}
	return c.say("cli.share.allowed", "Name", show(s.Name), "To", c.words.toWords(s, peers, groups))
}

type blockRow struct {
	Device  string `json:"device"`
	Name    string `json:"name"`
	Blocked bool   `json:"blocked"`
}

func block(ctx context.Context, c *call, e control.Engine) error {
	return setBlocked(ctx, c, e, true, e.Block, "cli.blocked")
}

func unblock(ctx context.Context, c *call, e control.Engine) error {
	return setBlocked(ctx, c, e, false, e.Unblock, "cli.unblocked")
}

func setBlocked(ctx context.Context, c *call, e control.Engine, is bool, do func(context.Context, discovery.DeviceID) error, said string) error {
	r, err := newResolver(ctx, e)
	if err != nil {
		return err
	}
	p, err := r.proven(ctx, c.args[0])
	if err != nil {
		return err
	}
	if err := do(ctx, p.ID); err != nil {
		return err
	}
	if c.json {
		return c.object(blockRow{p.ID.String(), p.Name, is})
	}
	return c.say(said, "Name", show(p.Name))
}
