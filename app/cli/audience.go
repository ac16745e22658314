package cli

import (
	"context"
	"slices"
	"strings"

	"porchlight/app/control"
	"porchlight/discovery"
	"porchlight/share"
)

// What --to takes beside devices, and JSON says.
const (
	toNearby = "nearby"
	toNobody = "nobody"
	toOther  = "other" // what this version has no word for
)

// audience reads what was said with --to; nil if nothing was.
func audience(ctx context.Context, c *call, e control.Engine) ([]share.Grant, error) {
	said := c.each["--to"]
	var to []share.Grant
	var r *resolver
	for _, who := range said {
		g := share.Grant{Who: share.ToNobody}
		switch who {
		case toNobody:
		case toNearby:
			g = share.Grant{Who: share.ToNearby, Level: share.LookOnly}
		default:
			if r == nil {
				var err error
				if r, err = newResolver(ctx, e); err != nil {
					return nil, err
				}
			}
			p, err := r.proven(ctx, who)
			if err != nil {
				return nil, err
			}
			g = share.Grant{Who: share.ToDevice, Device: p.ID, Level: share.LookOnly}
		}
		if !slices.Contains(to, g) {
			to = append(to, g)
		}
	}
	if len(to) > 1 && slices.ContainsFunc(to, func(g share.Grant) bool { return g.Who != share.ToDevice }) {
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
		switch {
		case g.Who == share.ToNearby:
			value = toNearby
		case g.Who == share.ToNobody:
			value = toNobody
		case g.Who == share.ToDevice:
			value = g.Device.String()
		}
		out = append(out, value)
	}
	return out
}

// toWords is the audience of a share for people.
func (w words) toWords(s share.Share, peers []discovery.Peer) string {
	if s.Lost {
		return w.Text("cli.to.lost")
	}
	var out []string
	for _, value := range toValues(s) {
		if w.Has("cli.to." + value) {
			out = append(out, w.Text("cli.to."+value))
			continue
		}
		short := value[:7]
		i := slices.IndexFunc(peers, func(p discovery.Peer) bool { return p.ID.String() == value })
		if i < 0 || peers[i].Name == "" {
			out = append(out, short)
			continue
		}
		name := show(peers[i].Name)
		if slices.ContainsFunc(peers, func(p discovery.Peer) bool {
			return p.ID != peers[i].ID && p.State != discovery.Candidate && strings.EqualFold(p.Name, peers[i].Name)
		}) {
			name += " (" + short + ")"
		}
		out = append(out, name)
	}
	return strings.Join(out, ", ")
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
	s.Audience, s.Lost = to, false
	if c.json {
		return c.object(rowOfShare(s))
	}
	peers, err := e.Peers(ctx)
	if err != nil {
		return err
	}
	return c.say("cli.share.allowed", "Name", show(s.Name), "To", c.words.toWords(s, peers))
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
