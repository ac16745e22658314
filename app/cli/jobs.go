package cli

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"porchlight/app/control"
	"porchlight/share"
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
		if _, back := c.flags["--background"]; back {
			if err := e.MoveJob(ctx, id, transfer.MoveBack); err != nil && !errors.Is(err, transfer.ErrState) { // done already
				return err
			}
		}
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
			return nil, usage("cli.usage.get-what", "Value", show(arg))
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
			return "", usage("cli.usage.needs-value", "Option", "-o")
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
			if err := c.say("cli.jobs.begun", "Job", id); err != nil {
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
			if err := c.object(rowOfJob(j, 0)); err != nil {
				return err
			}
		}
	}
	return nil
}

// left says what goes on after the user stopped watching.
func (c *call) left(ids []transfer.JobID) error {
	f := &failure{code: exitFailed, cause: context.Canceled}
	for _, id := range ids {
		f.said = append(f.said, sentence{"cli.error.left", []any{"Job", id}})
	}
	return f
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

type jobRow struct {
	ID       transfer.JobID   `json:"id"`
	State    transfer.State   `json:"state"`
	Trouble  transfer.Trouble `json:"trouble,omitempty"`
	Detail   string           `json:"detail,omitempty"`
	Bytes    int64            `json:"bytes"`
	Total    int64            `json:"total"`
	Rate     int64            `json:"rate"`
	Left     float64          `json:"left_seconds"`
	Listed   bool             `json:"listed"`
	Files    int              `json:"files"`
	Done     int              `json:"done"`
	Skipped  int              `json:"skipped"`
	Failed   int              `json:"failed"`
	Adapted  int              `json:"adapted"`
	From     string           `json:"from"`
	Title    string           `json:"title"`
	Source   string           `json:"source"`
	Share    string           `json:"share"`
	Paths    []share.Path     `json:"paths"`
	Into     string           `json:"into"`
	Result   string           `json:"result,omitempty"`
	Created  *time.Time       `json:"created,omitempty"`
	Ended    *time.Time       `json:"ended,omitempty"`
	Problems []problemRow     `json:"problems"`
	Place    int              `json:"place,omitempty"` // in the queue, from 1
	Took     float64          `json:"took_seconds"`
	Average  int64            `json:"average_rate"`
	Sources  []sourceRow      `json:"sources"`
}

type sourceRow struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	Rate  int64  `json:"rate"`
}

type problemRow struct {
	Path    share.Path       `json:"path"`
	Trouble transfer.Trouble `json:"trouble"`
	As      string           `json:"as,omitempty"`
}

func rowOfJob(j transfer.Job, place int) jobRow {
	r := jobRow{ID: j.ID, State: j.State, Trouble: j.Trouble, Detail: j.Detail, Bytes: j.Bytes, Total: j.Total, Rate: j.Rate, Left: j.Left().Seconds(), Listed: j.Listed,
		Files: j.Files, Done: j.Done, Skipped: j.Skipped, Failed: j.Failed, Adapted: j.Adapted, From: j.From, Title: j.Title, Source: j.Request.Source.String(),
		Share: j.Request.ShareName, Paths: nonNil(j.Request.Paths), Into: j.Request.Into, Result: j.Result, Created: when(j.Created), Ended: when(j.Ended), Problems: []problemRow{},
		Place: place, Took: j.Took.Seconds(), Average: j.Average(), Sources: []sourceRow{}}
	for _, p := range j.Problems {
		r.Problems = append(r.Problems, problemRow(p))
	}
	for _, s := range j.Sources {
		r.Sources = append(r.Sources, sourceRow{s.Device.String(), s.Name, s.Bytes, s.Rate})
	}
	return r
}

func jobs(ctx context.Context, c *call, e control.Engine) error {
	all, err := e.Jobs(ctx)
	if err != nil {
		return err
	}
	all = transfer.InOrder(all)
	place := places(all)
	if c.json {
		return list(c, all, func(j transfer.Job) jobRow { return rowOfJob(j, place[j.ID]) })
	}
	held, err := isHeld(ctx, e)
	if err != nil {
		return err
	}
	if held {
		if err := c.say("cli.jobs.held"); err != nil {
			return err
		}
	}
	if len(all) == 0 {
		return c.say("cli.jobs.none")
	}
	w := c.words
	rows := [][]string{w.columns("job", "state", "place", "done", "files", "rate", "from", "what")}
	for _, j := range all {
		rate := ""
		if j.Rate > 0 {
			rate = w.rate(j.Rate)
		}
		state := w.value("cli.job.", string(j.State))
		if t := w.trouble(j.Trouble); t != "" {
			state += ": " + t
		}
		at := ""
		if n := place[j.ID]; n > 0 {
			at = w.count(n)
		}
		rows = append(rows, []string{strconv.FormatInt(int64(j.ID), 10), state, at, w.Text("cli.jobs.of", "Done", w.size(j.Bytes), "All", w.size(j.Total)),
			w.Text("cli.jobs.of", "Done", w.count(j.Done), "All", w.count(j.Files)), rate, show(j.From), w.title(j)})
	}
	return table(c.Stdout, rows)
}

// jobArg reads JOB.
func (c *call) jobArg() (transfer.JobID, error) {
	n, err := strconv.ParseInt(c.args[0], 10, 64)
	if err != nil || n < 1 {
		return 0, usage("cli.usage.job", "Value", show(c.args[0]))
	}
	return transfer.JobID(n), nil
}

// steer does one thing to the job the arguments name.
func (c *call) steer(f func(id transfer.JobID) error, key string) error {
	id, err := c.jobArg()
	if err != nil {
		return err
	}
	if err := f(id); err != nil {
		return err
	}
	return c.done(key, "Job", id)
}

func pause(ctx context.Context, c *call, e control.Engine) error {
	return c.steer(func(id transfer.JobID) error { return e.PauseJob(ctx, id) }, "cli.jobs.paused")
}

// resume lets a paused job go on, and tries a failed one again: nobody should have to know the difference.
func resume(ctx context.Context, c *call, e control.Engine) error {
	return c.steer(func(id transfer.JobID) error {
		all, err := e.Jobs(ctx)
		if err != nil {
			return err
		}
		for _, j := range all {
			if j.ID == id && j.State == transfer.Failed {
				return e.RetryJob(ctx, id)
			}
		}
		return e.ResumeJob(ctx, id)
	}, "cli.jobs.resumed")
}

func cancel(ctx context.Context, c *call, e control.Engine) error {
	return c.steer(func(id transfer.JobID) error { return e.CancelJob(ctx, id) }, "cli.jobs.canceled")
}
