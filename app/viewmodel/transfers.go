package viewmodel

import (
	"cmp"
	"context"
	"slices"
	"time"

	"porchlight/transfer"
)

// Act is something one can do with a transfer.
type Act string

// The acts.
const (
	ActPause  Act = "pause"
	ActResume Act = "resume"
	ActCancel Act = "cancel"
	ActRetry  Act = "retry"
	ActShow   Act = "show"
	ActForget Act = "forget"
)

// TransferRow is one pull, ready to show.
type TransferRow struct {
	ID       transfer.JobID
	Icon     string // of its state
	Tone     Tone   // Good when done, Bad when it failed, "" else
	Title    string
	Figures  string   // rate and time left, or how much
	Text     string   // what is going on, in one sentence
	Part     float32  // 0 to 1
	Bar      bool     // the part means something
	Acts     []Act    // the first is the likeliest
	Problems []string // files that did not come as asked, in words
	Above    Section
	Open     bool
	Moves    bool       // it has a place in the queue
	Details  JobDetails // of an open one
	result   string
}

// Strip is the line at the bottom while something moves.
type Strip struct {
	TransferRow
	Visible bool
	More    string // "2 waiting", or ""
}

// Transfers shows the pulls.
type Transfers struct{ core *core }

// shownProblems is how many files that did not come are named.
const shownProblems = 5

// Rows returns the pulls: those that move, the queue as it will begin, those that failed, and what is over.
func (t *Transfers) Rows() []TransferRow {
	jobs, _ := t.listed()
	t.core.mu.Lock()
	opened := t.core.opened
	t.core.mu.Unlock()
	rows := make([]TransferRow, 0, len(jobs))
	var before transfer.Job
	for i, j := range jobs {
		r := t.row(j)
		r.Above, r.Moves = t.section(before, j, i == 0), j.State.Queued()
		if r.Open = j.ID == opened; r.Open {
			r.Details = t.details(j)
		}
		rows = append(rows, r)
		before = j
	}
	return rows
}

func rank(s transfer.State) int {
	return slices.Index([]transfer.State{transfer.Running, transfer.Away, transfer.Waiting, transfer.Paused, transfer.Failed}, s) & 0xff // ended ones last
}

// Empty says that there are none; no title means there are some.
func (t *Transfers) Empty() Empty {
	now := t.core.now()
	if !now.ready || len(now.jobs) > 0 {
		return Empty{}
	}
	return Empty{t.core.words.Text("transfers.empty.title"), t.core.words.Text("transfers.empty.text")}
}

// Strip returns the line at the bottom: the pull that moves, or else the one that waits for its source.
func (t *Transfers) Strip() Strip {
	var best *transfer.Job
	waiting := 0
	jobs := transfer.InOrder(t.core.now().jobs)
	for i, j := range jobs {
		if j.State != transfer.Running && j.State != transfer.Away && j.State != transfer.Waiting {
			continue
		}
		waiting++
		if best == nil || rank(j.State) < rank(best.State) {
			best = &jobs[i]
		}
	}
	if best == nil {
		return Strip{}
	}
	s := Strip{TransferRow: t.row(*best), Visible: true}
	if waiting > 1 {
		s.More = t.core.words.Text("strip.more", "N", t.core.fmt.Count(waiting-1))
	}
	return s
}

func (t *Transfers) row(j transfer.Job) TransferRow {
	w, f := t.core.words, t.core.fmt
	r := TransferRow{ID: j.ID, Title: t.title(j), Icon: "down", result: cmp.Or(j.Result, j.Request.Into)}
	if j.Total > 0 {
		r.Part, r.Bar = min(float32(float64(j.Bytes)/float64(j.Total)), 1), true
	}
	amount := w.Text("transfer.amount", "Done", f.Size(j.Bytes), "All", f.Size(j.Total))
	files := w.Text("transfer.files", "Count", j.Files, "Done", f.Count(j.Done), "All", f.Count(j.Files), "From", j.From)
	switch j.State {
	case transfer.Running:
		r.Figures, r.Text, r.Acts = t.speed(j), files, []Act{ActPause, ActCancel}
		if j.Files == 0 {
			r.Text = w.Text("transfer.looking", "From", j.From)
		}
	case transfer.Waiting:
		r.Text, r.Acts = w.Text("transfer.waiting", "From", j.From), []Act{ActPause, ActCancel}
		if j.Background {
			r.Text = w.Text("transfer.waiting.background", "From", j.From)
		}
		if t.core.now().queue.Held {
			r.Icon, r.Text = "pause", w.Text("transfer.held", "From", j.From)
		}
	case transfer.Away:
		r.Icon, r.Figures, r.Text, r.Acts = "pause", f.Percent(j.Bytes, j.Total), t.why(j, true), []Act{ActPause, ActCancel}
	case transfer.Paused:
		r.Icon, r.Figures, r.Text, r.Acts = "pause", amount, w.Text("transfer.paused", "From", j.From), []Act{ActResume, ActCancel}
	case transfer.Failed:
		r.Icon, r.Tone, r.Figures, r.Text, r.Acts = "careful", Bad, amount, t.why(j, false), []Act{ActRetry, ActShow, ActForget}
	case transfer.Done:
		r.Icon, r.Tone, r.Bar, r.Figures, r.Text, r.Acts = "check", Good, false, f.Size(j.Total), t.done(j), []Act{ActShow, ActForget}
	case transfer.Canceled:
		r.Icon, r.Bar, r.Text, r.Acts = "close", false, w.Text("transfer.canceled", "From", j.From), []Act{ActRetry, ActForget}
	}
	r.Problems = t.problems(j)
	return r
}

// title names what is brought here; several things are counted.
func (t *Transfers) title(j transfer.Job) string {
	if n := len(j.Request.Paths); j.Title == "" && n > 1 {
		return t.core.words.Text("details.many", "Count", n, "N", t.core.fmt.Count(n))
	}
	return cmp.Or(j.Title, j.Request.ShareName)
}

func (t *Transfers) speed(j transfer.Job) string {
	f := t.core.fmt
	switch left := f.Left(j.Left()); {
	case j.Rate <= 0:
		return f.Percent(j.Bytes, j.Total)
	case left == "":
		return f.Rate(j.Rate)
	default:
		return f.Rate(j.Rate) + " · " + left
	}
}

// why says in words what is in the way.
func (t *Transfers) why(j transfer.Job, waits bool) string {
	key := "trouble." + string(j.Trouble)
	if j.Trouble == transfer.NoTrouble {
		key = "trouble.unknown"
		if waits {
			key = "trouble.source-away"
		}
	}
	detail := j.Detail
	if detail == "" {
		detail = t.title(j)
	}
	return t.core.words.Text(key, "From", j.From, "Detail", detail)
}

// done says what came, what was there already, and what did not come.
func (t *Transfers) done(j transfer.Job) string {
	w, f := t.core.words, t.core.fmt
	text := w.Text("transfer.done", "Count", j.Done, "N", f.Count(j.Done), "From", j.From, "When", f.When(j.Ended, t.core.cfg.Now()))
	if j.Took >= time.Second && j.Fetched > 0 {
		text += " · " + f.Took(j.Took) + ", " + f.Rate(j.Average())
	}
	if j.Skipped > 0 {
		text += " · " + w.Text("transfer.skipped", "Count", j.Skipped, "N", f.Count(j.Skipped))
	}
	if j.Adapted > 0 {
		text += " · " + w.Text("transfer.adapted", "Count", j.Adapted, "N", f.Count(j.Adapted))
	}
	if j.Failed > 0 {
		text += " · " + w.Text("transfer.failed", "Count", j.Failed, "N", f.Count(j.Failed))
	}
	return text
}

func (t *Transfers) problems(j transfer.Job) []string {
	var out []string
	for i, p := range j.Problems {
		if i == shownProblems {
			rest := max(j.Failed+j.Adapted, len(j.Problems)) - i
			return append(out, t.core.words.Text("transfer.more-problems", "Count", rest, "N", t.core.fmt.Count(rest)))
		}
		if p.As != "" {
			out = append(out, t.core.words.Text("transfer.renamed", "Name", p.Path.Base(), "As", p.As))
			continue
		}
		out = append(out, p.Path.Base()+": "+t.core.words.Text("trouble."+string(p.Trouble), "From", j.From, "Detail", p.Path.Base()))
	}
	return out
}

// Do does one of the acts a row offers.
func (t *Transfers) Do(r TransferRow, a Act) {
	if a == ActShow {
		t.core.open(r.result)
		return
	}
	t.core.ask(func(ctx context.Context, e Engine) error {
		switch a {
		case ActPause:
			return e.PauseJob(ctx, r.ID)
		case ActResume:
			return e.ResumeJob(ctx, r.ID)
		case ActCancel:
			return e.CancelJob(ctx, r.ID)
		case ActRetry:
			return e.RetryJob(ctx, r.ID)
		case ActForget:
			return e.ForgetJob(ctx, r.ID)
		}
		return nil
	})
}

// ForgetEnded clears the list of what is done or canceled.
func (t *Transfers) ForgetEnded() {
	t.each(over, Engine.ForgetJob)
}
