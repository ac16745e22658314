package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"porchlight/app/control"
	"porchlight/discovery"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
)

type comparisonRow struct {
	ID       string       `json:"id"`
	Device   string       `json:"device"`
	Name     string       `json:"name"`
	Join     bool         `json:"join"`
	Asked    bool         `json:"asked"`
	Pictures []pictureRow `json:"pictures"`
	Digits   string       `json:"digits"`
	State    string       `json:"state"`
	Since    *time.Time   `json:"since,omitempty"`
}

type pictureRow struct {
	Symbol string `json:"symbol"`
	Word   string `json:"word"`
}

func (w words) pictures(sas [3]byte) (out []pictureRow) {
	for _, p := range pairing.SAS(sas).Pictures() {
		row := pictureRow{p.Symbol, p.English}
		if w.Lang() == "de" {
			row.Word = p.German
		}
		out = append(out, row)
	}
	return out
}

func (w words) comparison(c discovery.Comparison) comparisonRow {
	return comparisonRow{c.ID, c.Device.String(), c.Name, c.Join, c.Asked, w.pictures(c.SAS), pairing.SAS(c.SAS).Digits(), string(c.State), when(c.Since)}
}

// verify compares pictures with a device that is named, or answers the comparisons that others began.
func verify(ctx context.Context, c *call, e control.Engine) error {
	wait, err := c.patience()
	if err != nil {
		return err
	}
	_, yes := c.flags["--yes"]
	_, no := c.flags["--no"]
	if yes && no {
		return usage("cli.usage.yes-or-no")
	}
	if len(c.args) == 0 {
		return c.answerAll(ctx, e, wait)
	}
	r, err := newResolver(ctx, e)
	if err != nil {
		return err
	}
	p, err := r.proven(ctx, c.args[0])
	if err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	id, err := e.Compare(short, p.ID, pairing.ToVerify)
	if err != nil {
		return about(p.Name, err)
	}
	return c.compare(ctx, e, id, wait)
}

// answerAll answers each comparison that waits for this side; with --json and no answer it lists them.
func (c *call) answerAll(ctx context.Context, e control.Engine, wait time.Duration) error {
	all, err := e.Comparisons(ctx)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(x discovery.Comparison) bool { return x.State != discovery.CompareShown })
	_, yes := c.flags["--yes"]
	_, no := c.flags["--no"]
	if c.json && !yes && !no {
		return list(c, all, c.words.comparison)
	}
	if len(all) == 0 {
		return notFound("cli.error.no-comparison")
	}
	if (yes || no) && len(all) > 1 {
		return notFound("cli.error.several-comparisons") // an answer is for pictures that somebody looked at
	}
	for _, x := range all {
		if err := c.compare(ctx, e, x.ID, wait); err != nil {
			return err
		}
	}
	return nil
}

// compare shows the pictures of a comparison, asks whether they are the same, and waits for the other side.
func (c *call) compare(ctx context.Context, e control.Engine, id string, wait time.Duration) error {
	x, err := comparisonAt(ctx, e, id)
	if err != nil {
		return err
	}
	_, same := c.flags["--yes"]
	_, no := c.flags["--no"]
	if c.json && !same && !no {
		return c.object(c.words.comparison(x)) // the answer is for another call
	}
	if !c.json {
		if err := c.showPictures(x); err != nil {
			return err
		}
	}
	if !no && !same {
		if same, err = c.question(ctx, c.words.Text("cli.verify.same")); err != nil {
			return err
		}
	}
	if err := e.AnswerComparison(ctx, id, same); err != nil {
		return err
	}
	if same {
		c.tell("cli.verify.waiting", "Device", c.nameOr(x.Name, x.Device))
	}
	short, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	x, err = settled(short, e, id)
	if err != nil && short.Err() != nil && ctx.Err() == nil {
		return failed(exitAway, err, "cli.error.verify-slow", "Device", c.nameOr(x.Name, x.Device))
	}
	if err != nil {
		return err
	}
	return c.compared(x)
}

// compared says how a comparison ended.
func (c *call) compared(x discovery.Comparison) error {
	name := c.nameOr(x.Name, x.Device)
	switch x.State {
	case discovery.CompareSame:
		switch {
		case c.json:
			return c.object(c.words.comparison(x))
		case x.Join && x.Asked:
			return c.say("cli.verify.asks", "Device", name)
		case x.Join:
			return c.say("cli.verify.join", "Device", name)
		}
		return c.say("cli.verify.verified", "Device", name)
	case discovery.CompareDifferent:
		return failed(exitFailed, discovery.ErrDifferent, "cli.error.different", "Device", name)
	}
	return failed(exitAway, nil, "cli.error.comparison-over", "Device", name)
}

func (c *call) showPictures(x discovery.Comparison) error {
	if err := c.say("cli.verify.look", "Device", c.nameOr(x.Name, x.Device)); err != nil {
		return err
	}
	for _, p := range c.words.pictures(x.SAS) {
		if _, err := fmt.Fprintf(c.Stdout, "  %s  %s\n", p.Symbol, p.Word); err != nil {
			return err
		}
	}
	return c.say("cli.verify.digits", "Digits", pairing.SAS(x.SAS).Digits())
}

func comparisonAt(ctx context.Context, e control.Engine, id string) (discovery.Comparison, error) {
	all, err := e.Comparisons(ctx)
	if err != nil {
		return discovery.Comparison{}, err
	}
	if i := slices.IndexFunc(all, func(x discovery.Comparison) bool { return x.ID == id }); i >= 0 {
		return all[i], nil
	}
	return discovery.Comparison{}, notFound("cli.error.no-comparison")
}

// settled waits until a comparison needs nobody's answer any more.
func settled(ctx context.Context, e control.Engine, id string) (x discovery.Comparison, err error) {
	for since := uint64(0); ; {
		if x, err = comparisonAt(ctx, e, id); err != nil || x.State != discovery.CompareShown && x.State != discovery.CompareWaiting {
			return x, err
		}
		if since, err = e.Wait(ctx, since); err != nil {
			return x, err
		}
	}
}

// joinByPictures asks a computer that invites to compare pictures, and waits until its owner lets this one in.
func (c *call) joinByPictures(ctx context.Context, e control.Engine, device string) (none workgroup.Workgroup, err error) {
	r, err := newResolver(ctx, e)
	if err != nil {
		return none, err
	}
	p, err := r.proven(ctx, device)
	if err != nil {
		return none, err
	}
	before, err := e.Workgroups(ctx)
	if err != nil {
		return none, err
	}
	id, err := e.Compare(ctx, p.ID, pairing.ToJoin)
	if err != nil {
		return none, about(p.Name, err)
	}
	x, err := comparisonAt(ctx, e, id)
	if err != nil {
		return none, err
	}
	if !c.json {
		if err := c.showPictures(x); err != nil {
			return none, err
		}
	}
	_, same := c.flags["--yes"]
	if !same {
		if same, err = c.question(ctx, c.words.Text("cli.verify.same")); err != nil {
			return none, err
		}
	}
	if err := e.AnswerComparison(ctx, id, same); err != nil {
		return none, err
	}
	if !same {
		return none, failed(exitFailed, discovery.ErrDifferent, "cli.error.different", "Device", show(p.Name))
	}
	c.tell("cli.verify.join", "Device", show(p.Name))
	return c.entered(ctx, e, id, before)
}

// entered waits until this computer is in a workgroup in which it was not before, or the comparison came to nothing.
func (c *call) entered(ctx context.Context, e control.Engine, id string, before []workgroup.Workgroup) (none workgroup.Workgroup, err error) {
	was := func(w workgroup.Workgroup) bool {
		return slices.ContainsFunc(before, func(b workgroup.Workgroup) bool { return b.ID == w.ID && isIn(b) })
	}
	for since := uint64(0); ; {
		x, err := comparisonAt(ctx, e, id)
		if err != nil {
			return none, err
		}
		all, err := e.Workgroups(ctx)
		if err != nil {
			return none, err
		}
		for _, w := range all {
			if isIn(w) && !was(w) {
				return w, nil
			}
		}
		switch x.State {
		case discovery.CompareDifferent:
			return none, c.compared(x)
		case discovery.CompareOver:
			return none, failed(exitAway, nil, "cli.error.join-over", "Device", c.nameOr(x.Name, x.Device))
		}
		if since, err = e.Wait(ctx, since); err != nil {
			return none, err
		}
	}
}

func unverify(ctx context.Context, c *call, e control.Engine) error {
	r, err := newResolver(ctx, e)
	if err != nil {
		return err
	}
	p, err := r.proven(ctx, c.args[0])
	if err != nil {
		return err
	}
	if err := e.Unverify(ctx, p.ID); err != nil {
		return err
	}
	return c.done("cli.verify.undone", "Device", show(p.Name))
}
