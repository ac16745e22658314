package cli

import (
	"context"
	"errors"
	"strconv"
	"time"

	"porchlight/app/control"
	"porchlight/share"
	"porchlight/transfer"
)

// jobOrAll runs one for the job that is named, or all for --all.
func (c *call) jobOrAll(command string, one func(id transfer.JobID) error, all func() error) error {
	_, every := c.flags["--all"]
	if every == (len(c.args) > 0) {
		return usage("cli.usage.job-or-all", "Command", command)
	}
	if every {
		return all()
	}
	id, err := c.jobArg()
	if err != nil {
		return err
	}
	return one(id)
}

// isHeld reports whether the queue is held. A service of an older version knows of no queue, and so holds none.
func isHeld(ctx context.Context, e control.Engine) (bool, error) {
	q, err := e.Queue(ctx)
	if errors.Is(err, control.ErrVersion) {
		return false, nil
	}
	return q.Held, err
}

// hold holds the queue, or lets it go on.
func (c *call) hold(ctx context.Context, e control.Engine, held bool, key string) error {
	if err := e.HoldQueue(ctx, held); err != nil {
		return err
	}
	if c.json {
		return c.object(struct {
			Held bool `json:"held"`
		}{held})
	}
	return c.say(key)
}

func jobsPause(ctx context.Context, c *call, e control.Engine) error {
	return c.jobOrAll("jobs pause", func(transfer.JobID) error { return pause(ctx, c, e) },
		func() error { return c.hold(ctx, e, true, "cli.jobs.all-paused") })
}

func jobsResume(ctx context.Context, c *call, e control.Engine) error {
	return c.jobOrAll("jobs resume", func(transfer.JobID) error { return resume(ctx, c, e) },
		func() error { return c.hold(ctx, e, false, "cli.jobs.all-resumed") })
}

func jobsMove(ctx context.Context, c *call, e control.Engine) error {
	to := transfer.Move(c.args[1])
	if !to.Valid() {
		return usage("cli.usage.move", "Value", show(c.args[1]))
	}
	return c.steer(func(id transfer.JobID) error { return e.MoveJob(ctx, id, to) }, "cli.jobs.moved")
}

func jobsRetry(ctx context.Context, c *call, e control.Engine) error {
	return c.jobOrAll("jobs retry", func(transfer.JobID) error {
		return c.steer(func(id transfer.JobID) error { return e.RetryJob(ctx, id) }, "cli.jobs.retried")
	}, func() error {
		ids, err := with(ctx, e, func(s transfer.State) bool { return s == transfer.Failed }, e.RetryJob)
		switch {
		case err != nil:
			return err
		case c.json:
			return c.object(idsRow{nonNil(ids)})
		case len(ids) == 0:
			return c.say("cli.jobs.none-failed")
		}
		for _, id := range ids {
			if err := c.say("cli.jobs.retried", "Job", id); err != nil {
				return err
			}
		}
		return nil
	})
}

type idsRow struct {
	Jobs []transfer.JobID `json:"jobs"`
}

func jobsClear(ctx context.Context, c *call, e control.Engine) error {
	ids, err := with(ctx, e, func(s transfer.State) bool { return s == transfer.Done || s == transfer.Canceled }, e.ForgetJob)
	if err != nil {
		return err
	}
	if c.json {
		return c.object(idsRow{nonNil(ids)})
	}
	return c.say("cli.jobs.cleared", "N", c.words.count(len(ids)))
}

// with does something with all jobs in some states, and returns which they were.
func with(ctx context.Context, e control.Engine, in func(transfer.State) bool, do func(context.Context, transfer.JobID) error) (ids []transfer.JobID, err error) {
	all, err := e.Jobs(ctx)
	if err != nil {
		return nil, err
	}
	for _, j := range transfer.InOrder(all) {
		if !in(j.State) {
			continue
		}
		if err := do(ctx, j.ID); err != nil {
			return ids, err
		}
		ids = append(ids, j.ID)
	}
	return ids, nil
}

// places are the places of the jobs in the queue, from 1.
func places(sorted []transfer.Job) map[transfer.JobID]int {
	out := map[transfer.JobID]int{}
	for _, j := range sorted {
		if j.State.Queued() {
			out[j.ID] = len(out) + 1
		}
	}
	return out
}

type mapRow struct {
	Path   share.Path `json:"path"`
	Size   int64      `json:"size"`
	Pieces int        `json:"pieces"`
	Have   int        `json:"have"`
}

func rowOfMap(m transfer.FileMap) mapRow { return mapRow{m.Path, m.Size, m.Pieces, m.Have} }

// jobsShow tells all that is known of one job.
func jobsShow(ctx context.Context, c *call, e control.Engine) error {
	id, err := c.jobArg()
	if err != nil {
		return err
	}
	all, err := e.Jobs(ctx)
	if err != nil {
		return err
	}
	all = transfer.InOrder(all)
	for _, j := range all {
		if j.ID != id {
			continue
		}
		maps, err := e.Pieces(ctx, id)
		if err != nil {
			return err
		}
		if c.json {
			r := struct {
				jobRow
				Under []mapRow `json:"under_way"`
			}{rowOfJob(j, places(all)[id]), []mapRow{}}
			for _, m := range maps {
				r.Under = append(r.Under, rowOfMap(m))
			}
			return c.object(r)
		}
		return c.showJob(j, places(all)[id], maps)
	}
	return transfer.ErrNoJob
}

func (c *call) showJob(j transfer.Job, place int, maps []transfer.FileMap) error {
	w := c.words
	state := w.value("cli.job.", string(j.State))
	if t := w.trouble(j.Trouble); t != "" {
		state += ": " + t
	}
	rows := [][]string{{w.Text("cli.show.what"), w.title(j)}, {w.Text("cli.show.state"), state}}
	fact := func(key, value string) {
		if value != "" {
			rows = append(rows, []string{w.Text("cli.show." + key), value})
		}
	}
	if place > 0 {
		rows = append(rows, []string{w.Text("cli.column.place"), strconv.Itoa(place)})
	}
	fact("from", show(j.From))
	fact("into", show(orElse(j.Result, j.Request.Into)))
	fact("done", w.Text("cli.jobs.of", "Done", w.size(j.Bytes), "All", w.size(j.Total)))
	fact("files", w.Text("cli.jobs.of", "Done", w.count(j.Done), "All", w.count(j.Files)))
	if j.Rate > 0 {
		fact("rate", w.rate(j.Rate))
	}
	fact("asked", moment(j.Created))
	fact("ended", moment(j.Ended))
	if j.Took >= time.Second {
		fact("took", j.Took.Round(time.Second).String())
		fact("average", w.rate(j.Average()))
	}
	if err := table(c.Stdout, rows); err != nil {
		return err
	}
	return c.showParts(j, maps)
}

// showParts prints who gives a job, its files under way and its problems.
func (c *call) showParts(j transfer.Job, maps []transfer.FileMap) error {
	w := c.words
	var sources, files, problems [][]string
	for _, s := range j.Sources {
		rate := ""
		if s.Rate > 0 {
			rate = w.rate(s.Rate)
		}
		sources = append(sources, []string{show(orElse(s.Name, s.Device.Short())), w.size(s.Bytes), rate})
	}
	for _, m := range maps {
		files = append(files, []string{show(string(m.Path)), w.Text("cli.jobs.of", "Done", w.count(m.Have), "All", w.count(m.Pieces))})
	}
	for _, p := range j.Problems {
		text := w.trouble(p.Trouble)
		if p.As != "" {
			text = show(p.As)
		}
		problems = append(problems, []string{show(string(p.Path)), text})
	}
	if more := j.Failed + j.Adapted - len(j.Problems); more > 0 && len(j.Problems) > 0 {
		problems = append(problems, []string{w.Text("cli.show.more-problems", "N", w.count(more))})
	}
	for _, part := range []struct {
		head []string
		rows [][]string
	}{
		{w.columns("source", "got", "rate"), sources}, {w.columns("file", "pieces"), files}, {w.columns("file", "state"), problems},
	} {
		if len(part.rows) == 0 {
			continue
		}
		if err := table(c.Stdout, append([][]string{{}, part.head}, part.rows...)); err != nil {
			return err
		}
	}
	return nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// moment is a point in time on this computer's clock; empty when it is not known.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
}

type limitRow struct {
	Up    int64  `json:"up"` // bytes per second, 0: none
	Down  int64  `json:"down"`
	From  string `json:"from,omitempty"`
	Until string `json:"until,omitempty"`
	Now   bool   `json:"now"` // in force
}

// limit shows the limits, or changes those that are named.
func limit(ctx context.Context, c *call, e control.Engine) error {
	q, err := e.Queue(ctx)
	if err != nil {
		return err
	}
	l := q.Limits
	if _, off := c.flags["--off"]; off {
		if len(c.flags) > 1 {
			return usage("cli.usage.off")
		}
		l = transfer.Limits{}
	}
	if err := c.limits(&l); err != nil {
		return err
	}
	if l != q.Limits {
		if err := e.SetLimits(ctx, l); err != nil {
			return err
		}
		if q, err = e.Queue(ctx); err != nil {
			return err
		}
	}
	return c.showLimits(q)
}

// limits reads the options.
func (c *call) limits(l *transfer.Limits) (err error) {
	for _, o := range []struct {
		name string
		to   *int64
	}{{"--up", &l.Up}, {"--down", &l.Down}} {
		if v, given := c.flags[o.name]; given {
			if *o.to, err = transfer.ParseLimit(v); err != nil {
				return usage("cli.usage.limit", "Value", show(v))
			}
		}
	}
	for _, o := range []struct {
		name string
		to   *int
	}{{"--from", &l.From}, {"--until", &l.Until}} {
		if v, given := c.flags[o.name]; given {
			if *o.to, err = transfer.ParseClock(v); err != nil {
				return usage("cli.usage.clock", "Value", show(v))
			}
		}
	}
	return nil
}

func (c *call) showLimits(q transfer.Queue) error {
	l := q.Limits
	r := limitRow{Up: l.Up, Down: l.Down, Now: q.Now != transfer.Limits{}}
	if l.Timed() {
		r.From, r.Until = transfer.ClockText(l.From), transfer.ClockText(l.Until)
	}
	if c.json {
		return c.object(r)
	}
	w := c.words
	said := func(n int64) string {
		if n == 0 {
			return w.Text("cli.limit.none")
		}
		return w.rate(n)
	}
	rows := [][]string{{w.Text("cli.limit.down"), said(l.Down)}, {w.Text("cli.limit.up"), said(l.Up)}}
	if r.From != "" {
		key := "cli.limit.between"
		if r.Now {
			key = "cli.limit.now"
		}
		rows = append(rows, []string{w.Text("cli.limit.when"), w.Text(key, "From", r.From, "Until", r.Until)})
	}
	return table(c.Stdout, rows)
}
