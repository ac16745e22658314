package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"porchlight/app/control"
	"porchlight/transfer"
)

// errLeft says that the user does not want to watch any longer.
var errLeft = errors.New("left")

// Intervals of the display.
const (
	firstFrame = 5 * time.Millisecond  // small files are there at once; doubles up to eachFrame
	eachFrame  = 20 * time.Millisecond // most often; the engine itself tells four times a second, and the end at once
	eachLine   = 5 * time.Second       // where lines stay, as in a log
)

// follower shows how a job goes on until it ends.
type follower struct {
	call   *call
	engine control.Engine
	bar    *bar

	state   transfer.State   // as last told
	trouble transfer.Trouble // as last told
	told    time.Time        // when the last line of progress was printed
	held    bool             // it was told that all is paused
}

// follow returns nil only when everything is there and verified. What went wrong with files is printed by then.
func (f *follower) follow(ctx context.Context, id transfer.JobID) error {
	defer f.bar.clear()
	f.state, f.trouble, f.told = "", "", time.Now()
	for since, frame := uint64(0), firstFrame; ; frame = min(2*frame, eachFrame) {
		job, err := f.job(ctx, id)
		if err == nil {
			f.show(job)
			if job.State.Ended() {
				f.bar.clear()
				return f.finish(job)
			}
			if err = f.tellHeld(ctx, job); err == nil {
				since, err = f.engine.Wait(ctx, since)
			}
		}
		if err == nil {
			err = pauseFor(ctx, frame)
		}
		if ctx.Err() != nil {
			return errLeft
		}
		if errors.Is(err, control.ErrNoEngine) {
			return failed(exitNoEngine, err, "cli.error.engine-ended-job", "Job", id)
		}
		if err != nil {
			return err
		}
	}
}

// tellHeld says once that all is paused: a job that waits does so for the user then.
func (f *follower) tellHeld(ctx context.Context, j transfer.Job) error {
	if f.held || j.State != transfer.Waiting {
		return nil
	}
	held, err := isHeld(ctx, f.engine)
	if f.held = held; held {
		f.say(f.call.words.Text("cli.jobs.held"))
	}
	return err
}

func (f *follower) job(ctx context.Context, id transfer.JobID) (transfer.Job, error) {
	all, err := f.engine.Jobs(ctx)
	if err != nil {
		return transfer.Job{}, err
	}
	for _, j := range all {
		if j.ID == id {
			return j, nil
		}
	}
	return transfer.Job{}, notFound("cli.error.job-forgotten", "Job", id)
}

func pauseFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// show tells a change of state once, and how far it is again and again.
func (f *follower) show(j transfer.Job) {
	if j.State != f.state || j.Trouble != f.trouble {
		f.state, f.trouble = j.State, j.Trouble
		if text := f.call.words.state(j); text != "" {
			f.say(text)
		}
	}
	if j.State != transfer.Running {
		f.bar.clear() // a bar that stands still looks as if the program did
		return
	}
	if f.bar.on {
		f.bar.draw(j)
		return
	}
	if now := time.Now(); now.Sub(f.told) >= eachLine {
		f.told = now
		f.say(f.call.words.progress(j))
	}
}

// say prints a line to standard error; not with --json, unless it stands on a terminal.
func (f *follower) say(text string) {
	f.bar.clear()
	if f.bar.on || !f.call.json {
		fmt.Fprintln(f.call.Stderr, text)
	}
}

// state says what a state means for somebody who waits; nothing for the usual ones.
func (w words) state(j transfer.Job) string {
	what, from := w.title(j), show(j.From)
	switch j.State {
	case transfer.Waiting:
		return w.Text("cli.get.waiting", "What", what, "Job", j.ID)
	case transfer.Paused:
		return w.Text("cli.get.paused", "What", what, "Job", j.ID)
	case transfer.Away:
		if j.Trouble == transfer.SourceAway || j.Trouble == transfer.NoTrouble {
			return w.Text("cli.get.away", "From", from, "What", what)
		}
		return w.Text("cli.get.waits", "What", what, "Why", w.trouble(j.Trouble))
	case transfer.Running:
		return w.Text("cli.get.running", "What", what, "From", from, "Job", j.ID)
	}
	return ""
}

// progress is the line of progress where there is no bar.
func (w words) progress(j transfer.Job) string {
	text := w.Text("cli.get.progress", "What", w.title(j), "Bytes", w.size(j.Bytes), "Total", w.size(j.Total), "Done", w.count(j.Done),
		"Count", j.Files, "N", w.count(j.Files), "Rate", w.rate(j.Rate))
	if left := w.left(j.Left()); left != "" {
		text += ", " + left
	}
	return text
}

// finish prints how it ended and returns what that means for the exit code.
func (f *follower) finish(j transfer.Job) error {
	if f.call.json {
		if err := f.call.object(rowOfJob(j, 0)); err != nil {
			return err
		}
	} else if err := f.report(j); err != nil {
		return err
	}
	if j.State == transfer.Done && j.Failed == 0 {
		return nil
	}
	code := exitFailed
	switch j.Trouble {
	case transfer.SourceGone:
		code = exitNotFound
	case transfer.SourceAway:
		code = exitAway
	}
	what, why := f.call.words.title(j), f.call.words.trouble(j.Trouble)
	switch {
	case j.State == transfer.Canceled:
		return failed(exitFailed, nil, "cli.error.canceled", "What", what)
	case j.State == transfer.Failed:
		if j.Detail != "" {
			why += " (" + show(j.Detail) + ")"
		}
		return failed(code, nil, "cli.error.failed", "What", what, "Why", why)
	}
	return failed(code, nil, "cli.error.part", "What", what, "Count", j.Failed, "N", f.call.words.count(j.Failed))
}

// report prints what is there now, and each file that is not, or not under its name.
func (f *follower) report(j transfer.Job) error {
	w, lines := f.call.words, []string(nil)
	if j.State == transfer.Done {
		text := w.Text("cli.get.done", "What", w.title(j), "Count", j.Done, "N", w.count(j.Done), "Size", w.size(j.Bytes), "Where", show(j.Result))
		if j.Skipped > 0 {
			text += " " + w.Text("cli.get.skipped", "Count", j.Skipped, "N", w.count(j.Skipped))
		}
		lines = append(lines, text)
	}
	for _, p := range j.Problems {
		text := show(string(p.Path)) + ": " + w.trouble(p.Trouble)
		if p.Trouble == transfer.NameTrouble && p.As != "" {
			text = w.Text("cli.get.adapted", "Path", show(string(p.Path)), "As", show(p.As))
		}
		lines = append(lines, "  "+text)
	}
	if n := j.Failed + j.Adapted - len(j.Problems); n > 0 && len(j.Problems) >= transfer.MaxProblems {
		lines = append(lines, "  "+w.Text("cli.get.more", "N", w.count(n)))
	}
	for _, text := range lines {
		if _, err := fmt.Fprintln(f.call.Stdout, text); err != nil {
			return err
		}
	}
	return nil
}

// bar draws one line again and again, on a terminal only.
type bar struct {
	words words
	w     io.Writer
	on    bool
	term  *os.File // nil when the width is fixed
	last  int      // characters of the line that is on the screen
}

func newBar(c *call) *bar {
	b := &bar{words: c.words, w: c.Stderr}
	if f, ok := c.Stderr.(*os.File); ok && width(f) > 0 {
		b.on, b.term = true, f
	}
	return b
}

func (b *bar) draw(j transfer.Job) {
	columns := 80
	if b.term != nil {
		columns = width(b.term)
	}
	text := b.words.bar(j, columns-1) // in the last column some terminals begin a new line
	n := utf8.RuneCountInString(text)
	fmt.Fprintf(b.w, "\r%s%s", text, strings.Repeat(" ", max(0, b.last-n)))
	b.last = n
}

// clear empties the line, so that others can write there.
func (b *bar) clear() {
	if b.on && b.last > 0 {
		fmt.Fprintf(b.w, "\r%s\r", strings.Repeat(" ", b.last))
	}
	b.last = 0
}

// bar is the line in at most the given number of columns: name, bar, and as many facts as fit.
func (w words) bar(j transfer.Job, columns int) string {
	facts := []string{w.Text("cli.jobs.of", "Done", w.size(j.Bytes), "All", w.size(j.Total))}
	part := 0.0
	if j.Listed && j.Total > 0 {
		part = min(1, float64(j.Bytes)/float64(j.Total))
		facts = append([]string{fmt.Sprintf("%3d%%", int(part*100))}, facts...)
	}
	if j.Rate > 0 {
		facts = append(facts, w.rate(j.Rate))
	}
	if left := w.left(j.Left()); left != "" {
		facts = append(facts, left)
	}
	name := cut(w.title(j), max(8, columns/4))
	for ; len(facts) > 0; facts = facts[:len(facts)-1] {
		text := strings.Join(facts, "  ")
		room := columns - utf8.RuneCountInString(name) - utf8.RuneCountInString(text) - 6 // two gaps and two brackets
		if room >= 5 {
			room = min(room, 40)
			full := int(part * float64(room))
			return name + "  [" + strings.Repeat("#", full) + strings.Repeat(".", room-full) + "]  " + text
		}
	}
	return cut(name, columns)
}

// cut shortens a text to n characters.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	return string(r[:max(0, n-1)]) + "…"
}
