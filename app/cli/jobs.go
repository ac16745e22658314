package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"porchlight/app/control"
	"porchlight/share"
	"porchlight/transfer"
)

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
}

type problemRow struct {
	Path    share.Path       `json:"path"`
	Trouble transfer.Trouble `json:"trouble"`
	As      string           `json:"as,omitempty"`
}

func rowOfJob(j transfer.Job) jobRow {
	r := jobRow{ID: j.ID, State: j.State, Trouble: j.Trouble, Detail: j.Detail, Bytes: j.Bytes, Total: j.Total, Rate: j.Rate, Left: j.Left().Seconds(), Listed: j.Listed,
		Files: j.Files, Done: j.Done, Skipped: j.Skipped, Failed: j.Failed, Adapted: j.Adapted, From: j.From, Title: j.Title, Source: j.Request.Source.String(),
		Share: j.Request.ShareName, Paths: nonNil(j.Request.Paths), Into: j.Request.Into, Result: j.Result, Created: when(j.Created), Ended: when(j.Ended), Problems: []problemRow{}}
	for _, p := range j.Problems {
		r.Problems = append(r.Problems, problemRow(p))
	}
	return r
}

func jobs(ctx context.Context, c *call, e control.Engine) error {
	all, err := e.Jobs(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return list(c, all, rowOfJob)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(c.Stdout, wordNoJobs)
		return err
	}
	rows := [][]string{{wordColJob, wordColState, wordColDone, wordColFiles, wordColRate, wordColFrom, wordColWhat}}
	for _, j := range all {
		rate := ""
		if j.Rate > 0 {
			rate = fmt.Sprintf(wordPerSecond, size(j.Rate))
		}
		state := string(j.State)
		if t := troubleWords(j.Trouble); t != "" {
			state += ": " + t
		}
		rows = append(rows, []string{strconv.FormatInt(int64(j.ID), 10), state, fmt.Sprintf(wordOf, size(j.Bytes), size(j.Total)),
			fmt.Sprintf(wordOf, count(j.Done), count(j.Files)), rate, show(j.From), show(j.Title)})
	}
	return table(c.Stdout, rows)
}

// jobArg reads JOB.
func (c *call) jobArg() (transfer.JobID, error) {
	n, err := strconv.ParseInt(c.args[0], 10, 64)
	if err != nil || n < 1 {
		return 0, usage(wordBadJob, show(c.args[0]))
	}
	return transfer.JobID(n), nil
}

// steer does one thing to the job the arguments name.
func (c *call) steer(f func(id transfer.JobID) error, words string) error {
	id, err := c.jobArg()
	if err != nil {
		return err
	}
	if err := f(id); err != nil {
		return err
	}
	return c.done(words, id)
}

func pause(ctx context.Context, c *call, e control.Engine) error {
	return c.steer(func(id transfer.JobID) error { return e.PauseJob(ctx, id) }, wordPaused)
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
	}, wordResumed)
}

func cancel(ctx context.Context, c *call, e control.Engine) error {
	return c.steer(func(id transfer.JobID) error { return e.CancelJob(ctx, id) }, wordCanceled)
}
