package viewmodel

import (
	"cmp"
	"context"
	"slices"
	"time"

	"porchlight/transfer"
)

// MoveAct is a way of a transfer through the queue, ready to offer.
type MoveAct struct {
	To   transfer.Move
	Name string
}

// SourceLine is one computer that gives bytes.
type SourceLine struct {
	Name    string
	Figures string
}

// MapLine is the piece map of one large file under way.
type MapLine struct {
	Name  string
	Text  string  // "312 of 1,430 pieces"
	Parts []uint8 // as transfer.FileMap.Parts; never written again
}

// JobDetails are what an opened transfer shows beside its row.
type JobDetails struct {
	Facts   []Fact
	Moves   []MoveAct
	Sources []SourceLine
	Maps    []MapLine
}

// Section is what stands above the first transfer of a kind; no Title: nothing does.
type Section struct {
	Title  string
	Action string // words of what one can do with all of them
	Do     func()
}

// QueueBar is what is so for all transfers together.
type QueueBar struct {
	Held   bool
	Text   string // what that means; empty when there is nothing to say
	Action string // words of what one can do, "" while there is nothing to do it with
}

// Queue says whether all is paused, and what can be done about it.
func (t *Transfers) Queue() QueueBar {
	now, w := t.core.now(), t.core.words
	if now.queue.Held {
		return QueueBar{Held: true, Text: w.Text("queue.held"), Action: w.Text("queue.resume")}
	}
	b := QueueBar{Text: t.limits(now.queue.Now)}
	if slices.ContainsFunc(now.jobs, func(j transfer.Job) bool { return j.State == transfer.Running || j.State.Queued() }) {
		b.Action = w.Text("queue.pause")
	}
	return b
}

// limits says which limits are in force.
func (t *Transfers) limits(l transfer.Limits) string {
	w, f := t.core.words, t.core.fmt
	switch {
	case l.Up > 0 && l.Down > 0:
		return w.Text("queue.limits", "Down", f.Rate(l.Down), "Up", f.Rate(l.Up))
	case l.Down > 0:
		return w.Text("queue.limit-down", "Down", f.Rate(l.Down))
	case l.Up > 0:
		return w.Text("queue.limit-up", "Up", f.Rate(l.Up))
	}
	return ""
}

// Hold pauses everything, or lets it go on.
func (t *Transfers) Hold() {
	held := !t.core.now().queue.Held
	t.core.ask(func(ctx context.Context, e Engine) error { return e.HoldQueue(ctx, held) })
}

// Move gives a transfer another place in the queue.
func (t *Transfers) Move(id transfer.JobID, to transfer.Move) {
	t.core.ask(func(ctx context.Context, e Engine) error { return e.MoveJob(ctx, id, to) })
}

// RetryFailed begins again what failed, all of it.
func (t *Transfers) RetryFailed() {
	t.each(func(j transfer.Job) bool { return j.State == transfer.Failed }, Engine.RetryJob)
}

// each does something with some transfers.
func (t *Transfers) each(which func(transfer.Job) bool, do func(Engine, context.Context, transfer.JobID) error) {
	var ids []transfer.JobID
	for _, j := range t.core.now().jobs {
		if which(j) {
			ids = append(ids, j.ID)
		}
	}
	t.core.ask(func(ctx context.Context, e Engine) error {
		for _, id := range ids {
			if err := do(e, ctx, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// Toggle opens a transfer, or closes it; one is open at a time.
func (t *Transfers) Toggle(id transfer.JobID) {
	c := t.core
	c.mu.Lock()
	if c.opened == id {
		id = 0
	}
	c.opened, c.maps = id, nil
	c.mu.Unlock()
	c.changed()
	if id != 0 {
		c.work.do(func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			c.loadMaps(ctx, c.now().jobs)
			c.changed()
		})
	}
}

// loadMaps reads the piece maps of the open transfer while it moves. What it cannot read is not shown: the transfer itself says why.
func (c *core) loadMaps(ctx context.Context, jobs []transfer.Job) {
	c.mu.Lock()
	id := c.opened
	c.mu.Unlock()
	i := slices.IndexFunc(jobs, func(j transfer.Job) bool { return j.ID == id && (j.State == transfer.Running || j.State.Queued()) })
	var maps []transfer.FileMap
	if i >= 0 {
		var err error
		if maps, err = c.eng().Pieces(ctx, id); err != nil {
			c.cfg.Log.Debug("no piece map", "job", id, "error", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened == id {
		c.maps = maps
	}
}

// details are those of the open transfer.
func (t *Transfers) details(j transfer.Job) JobDetails {
	w, f := t.core.words, t.core.fmt
	var d JobDetails
	fact := func(key, value string) {
		if value != "" {
			d.Facts = append(d.Facts, Fact{w.Text("transfer.fact." + key), value})
		}
	}
	now := t.core.cfg.Now()
	fact("from", j.From)
	fact("asked", f.When(j.Created, now))
	fact("ended", f.When(j.Ended, now))
	if j.Took >= time.Second {
		fact("took", f.Took(j.Took))
		fact("average", f.Rate(j.Average()))
	}
	fact("into", cmp.Or(j.Result, j.Request.Into))
	for _, s := range j.Sources {
		if s.Bad > 0 {
			fact("damaged", w.Text("transfer.damaged", "Count", s.Bad, "N", f.Count(s.Bad), "Name", cmp.Or(s.Name, s.Device.Short())))
		}
	}
	for _, m := range movesOf(j) {
		d.Moves = append(d.Moves, MoveAct{m, w.Text("queue.move." + string(m))})
	}
	for _, s := range j.Sources {
		line := SourceLine{Name: cmp.Or(s.Name, s.Device.Short()), Figures: f.Size(s.Bytes)}
		if s.Rate > 0 {
			line.Figures += " · " + f.Rate(s.Rate)
		}
		d.Sources = append(d.Sources, line)
	}
	t.core.mu.Lock()
	maps := t.core.maps
	t.core.mu.Unlock()
	for _, m := range maps {
		d.Maps = append(d.Maps, MapLine{Name: m.Path.Base(), Text: w.Text("transfer.pieces", "Count", m.Pieces, "Have", f.Count(m.Have), "All", f.Count(m.Pieces)), Parts: m.Parts})
	}
	return d
}

// shownHistory is how many transfers that are over show unasked: people look for the last ones, and each costs time to draw.
const shownHistory = 30

// listed returns the transfers that show, in their order, and how many older ones do not.
func (t *Transfers) listed() (jobs []transfer.Job, hidden int) {
	jobs = transfer.InOrder(t.core.now().jobs)
	t.core.mu.Lock()
	whole := t.core.whole
	t.core.mu.Unlock()
	first := slices.IndexFunc(jobs, over)
	if whole || first < 0 {
		return jobs, 0
	}
	n := min(len(jobs), first+shownHistory)
	return jobs[:n], len(jobs) - n
}

// More says how many older transfers can be shown, "" if all are.
func (t *Transfers) More() string {
	if _, n := t.listed(); n > 0 {
		return t.core.words.Text("queue.more", "N", t.core.fmt.Count(n))
	}
	return ""
}

// ShowMore shows the whole history.
func (t *Transfers) ShowMore() {
	t.core.mu.Lock()
	t.core.whole = true
	t.core.mu.Unlock()
	t.core.changed()
}

// over says that nothing more will come of a transfer, nor need it.
func over(j transfer.Job) bool { return j.State == transfer.Done || j.State == transfer.Canceled }

// section is what stands above a transfer, if it is the first of its kind.
func (t *Transfers) section(before, j transfer.Job, first bool) Section {
	w := t.core.words
	switch {
	case j.State == transfer.Failed && (first || before.State != transfer.Failed):
		return Section{w.Text("queue.failed"), w.Text("queue.retry"), t.RetryFailed}
	case over(j) && (first || !over(before)):
		return Section{w.Text("queue.history"), w.Text("action.clear"), t.ForgetEnded}
	}
	return Section{}
}

// movesOf lists what can be done with the place of a transfer.
func movesOf(j transfer.Job) (moves []transfer.Move) {
	if j.State.Queued() {
		moves = append(moves, transfer.MoveFirst, transfer.MoveUp, transfer.MoveDown, transfer.MoveLast)
	}
	switch {
	case j.State.Ended():
	case j.Background:
		moves = append(moves, transfer.MoveFront)
	default:
		moves = append(moves, transfer.MoveBack)
	}
	return moves
}
