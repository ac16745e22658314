package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"porchlight/app/control"
	"porchlight/transfer"
)

func get(ctx context.Context, c *call, e control.Engine) error {
	requests, err := c.requests(ctx, e)
	if err != nil {
		return err
	}
	var ids []transfer.JobID
	for _, r := range requests {
		id, err := e.Pull(ctx, r)
		if err != nil {
			return errors.Join(err, c.detached(ctx, e, ids))
		}
		ids = append(ids, id)
	}
	if _, detach := c.flags["--detach"]; detach {
		return c.detached(ctx, e, ids)
	}
	f := &follower{call: c, engine: e, bar: newBar(c)}
	var all []error
	for i, id := range ids { // the engine works on them in this order; one after another is what fits on a line
		err := f.follow(ctx, id)
		if errors.Is(err, errLeft) {
			return c.left(ids[i:])
		}
		all = append(all, err)
		if errors.Is(err, control.ErrNoEngine) {
			break
		}
	}
	return worst(all)
}

// requests makes one request for each share that is named, in the order of the arguments.
func (c *call) requests(ctx context.Context, e control.Engine) ([]transfer.Request, error) {
	into, err := c.target(ctx, e)
	if err != nil {
		return nil, err
	}
	r, err := newResolver(ctx, e)
	if err != nil {
		return nil, err
	}
	_, check := c.flags["--check"]
	var out []transfer.Request
	for _, arg := range c.args {
		at, err := r.place(ctx, arg)
		if err != nil {
			return nil, err
		}
		if !at.inShare {
			return nil, usage(wordGetWhat, show(arg))
		}
		i := slices.IndexFunc(out, func(r transfer.Request) bool { return r.Source == at.peer.ID && r.Share == at.offer.ID })
		if i < 0 {
			i = len(out)
			out = append(out, transfer.Request{Source: at.peer.ID, Share: at.offer.ID, ShareName: at.offer.Name, Into: into, Check: check})
		}
		if !slices.Contains(out[i].Paths, at.path) {
			out[i].Paths = append(out[i].Paths, at.path)
		}
	}
	return out, nil
}

// target is the folder of -o, or the one of the settings.
func (c *call) target(ctx context.Context, e control.Engine) (string, error) {
	if dir, given := c.flags["-o"]; given {
		if dir == "" {
			return "", usage(wordNeedsValue, "-o")
		}
		return filepath.Abs(dir)
	}
	self, err := e.Self(ctx)
	return self.Downloads, err
}

// detached says which jobs were begun.
func (c *call) detached(ctx context.Context, e control.Engine, ids []transfer.JobID) error {
	if !c.json {
		for _, id := range ids {
			if _, err := fmt.Fprintf(c.Stdout, wordBegun+"\n", id); err != nil {
				return err
			}
		}
		return nil
	}
	all, err := e.Jobs(ctx)
	if err != nil {
		return err
	}
	for _, j := range all {
		if slices.Contains(ids, j.ID) {
			if err := c.object(rowOfJob(j)); err != nil {
				return err
			}
		}
	}
	return nil
}

// left says what goes on after the user stopped watching.
func (c *call) left(ids []transfer.JobID) error {
	text := ""
	for i, id := range ids {
		if i > 0 {
			text += "\n"
		}
		text += fmt.Sprintf(wordGoesOn, id)
	}
	return &failure{code: exitFailed, text: text, cause: context.Canceled}
}

// worst returns the error that decides the exit code: the first one, told already or not.
func worst(all []error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}
