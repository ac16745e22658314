package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"porchlight/app/control"
	"porchlight/transfer"
)

// errLeft says that the user does not want to watch any longer.
var errLeft = errors.New("left")

// Intervals of the display.
const (
	firstFrame = 5 * time.Millisecond   // small files are there at once; doubles up to eachFrame
	eachFrame  = 100 * time.Millisecond // smooth enough, and cheap
	eachLine   = 5 * time.Second        // where lines stay, as in a log
)

// follower shows how a job goes on until it ends.
type follower struct {
	call   *call
	engine control.Engine
	bar    *bar

	state   transfer.State   // as last told
	trouble transfer.Trouble // as last told
	told    time.Time        // when the last line of progress was printed
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
			since, err = f.engine.Wait(ctx, since)
		}
		if err == nil {
			err = pauseFor(ctx, frame)
		}
		if ctx.Err() != nil {
			return errLeft
		}
		if errors.Is(err, control.ErrNoEngine) {
			return &failure{exitNoEngine, fmt.Sprintf(wordEngineEndedJob, id), err}
		}
		if err != nil {
			return err
		}
	}
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
	return transfer.Job{}, notFound(wordJobForgotten, id)
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
		if text := stateWords(j); text != "" {
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
		f.say(progressWords(j))
	}
}

// say prints a line to standard error; not with --json, unless it stands on a terminal.
func (f *follower) say(text string) {
	f.bar.clear()
	if f.bar.on || !f.call.json {
		fmt.Fprintln(f.call.Stderr, text)
	}
}

// stateWords says what a state means for somebody who waits; nothing for the usual ones.
func stateWords(j transfer.Job) string {
	title := show(j.Title)
	switch j.State {
	case transfer.Waiting:
		return fmt.Sprintf(wordIsWaiting, title, j.ID)
	case transfer.Paused:
		return fmt.Sprintf(wordIsPaused, title, j.ID)
	case transfer.Away:
		if j.Trouble == transfer.SourceAway || j.Trouble == transfer.NoTrouble {
			return fmt.Sprintf(wordIsAway, show(j.From), title)
		}
		return fmt.Sprintf(wordWaitsFor, title, troubleWords(j.Trouble))
	case transfer.Running:
		return fmt.Sprintf(wordIsRunning, title, show(j.From), j.ID)
	}
	return ""
}

// progressWords is the line of progress where there is no bar.
func progressWords(j transfer.Job) string {
	text := fmt.Sprintf(wordProgress, show(j.Title), size(j.Bytes), size(j.Total), count(j.Done), files(j.Files), size(j.Rate))
	if d := j.Left(); d > 0 {
		text += fmt.Sprintf(wordLeft, left(d))
	}
	return text
}

// finish prints how it ended and returns what that means for the exit code.
func (f *follower) finish(j transfer.Job) error {
	if f.call.json {
		if err := f.call.object(rowOfJob(j)); err != nil {
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
	text := fmt.Sprintf(wordEndedBadly, show(j.Title), files(j.Failed))
	switch {
	case j.State == transfer.Canceled:
		text, code = fmt.Sprintf(wordWasCanceled, show(j.Title)), exitFailed
	case j.State == transfer.Failed:
		text = fmt.Sprintf(wordHasFailed, show(j.Title), troubleWords(j.Trouble))
		if j.Detail != "" {
			text += " (" + show(j.Detail) + ")"
		}
	}
	return &failure{code: code, text: text}
}

// report prints what is there now, and each file that is not, or not under its name.
func (f *follower) report(j transfer.Job) error {
	out := f.call.Stdout
	if j.State == transfer.Done {
		text := fmt.Sprintf(wordDone, show(j.Title), files(j.Done), size(j.Bytes), show(j.Result))
		if j.Skipped > 0 {
			text += fmt.Sprintf(wordSkipped, count(j.Skipped))
		}
		if _, err := fmt.Fprintln(out, text); err != nil {
			return err
		}
	}
	for _, p := range j.Problems {
		text := fmt.Sprintf("  %s: %s", show(string(p.Path)), troubleWords(p.Trouble))
		if p.Trouble == transfer.NameTrouble && p.As != "" {
			text = fmt.Sprintf(wordAdapted, show(string(p.Path)), show(p.As))
		}
		if _, err := fmt.Fprintln(out, text); err != nil {
			return err
		}
	}
	if n := j.Failed + j.Adapted - len(j.Problems); n > 0 && len(j.Problems) >= transfer.MaxProblems {
		if _, err := fmt.Fprintf(out, wordMore+"\n", count(n)); err != nil {
			return err
		}
	}
	return nil
}
