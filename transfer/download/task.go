package download

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"porchlight/share"
	"porchlight/transfer"
)

// task is one job and what moves it. All fields are guarded by Manager.mu, but for the insides of tally and parts.
type task struct {
	job       transfer.Job
	stop      context.CancelFunc // ends the attempt, or the waiting of an away job; nil when there is neither
	wanted    transfer.State     // Paused or Canceled: where the attempt is to end; "" for its own way
	tally     *tally             // of the attempt
	parts     *partials          // large files under way; pieces once verified need not be read again by the next attempt
	forgotten bool
	fails     int       // attempts in a row that brought nothing
	began     time.Time // of the attempt
	turn      int       // counts waits, so that an old one does not speak for a new one

	rate    [rateSpan]sample // the last samples, in turn
	sampled int
}

// rateSpan samples at 4 Hz are three seconds: short enough to follow, long enough to be read.
const rateSpan = 12

type sample struct {
	at      time.Time
	came    int64
	sources []int64 // what came of each
}

func newTask(j transfer.Job) *task { return &task{job: j, parts: newPartials()} }

// begin enters an attempt.
func (t *task) begin(stop context.CancelFunc) {
	t.stop, t.wanted, t.began = stop, "", time.Now()
	t.tally = &tally{}
	t.tally.recall(t.job.Sources)
	t.sampled = 0
	t.job.State, t.job.Trouble, t.job.Detail, t.job.Rate = transfer.Running, transfer.NoTrouble, "", 0
}

// end leaves an attempt: stopped says that its context had ended. It returns what stopped it, nil if nothing did.
func (t *task) end(result string, err error, stopped bool) *halt {
	t.stop = nil
	t.job.Rate = 0
	t.tally.rates(&t.job, nil, 0)
	t.job.Took += time.Since(t.began)
	t.job.Fetched += t.tally.fetched.Load()
	if t.tally.fetched.Load() > 0 {
		t.fails = 0
	}
	if result != "" {
		t.job.Result = result
	}
	var h *halt
	if err != nil {
		h = haltOf(err)
	}
	switch {
	case err == nil: // before what was wanted: whoever pauses a job in its last moment has it done
		t.tally.final(&t.job)
		t.job.State, t.job.Ended = transfer.Done, time.Now()
		if t.job.Failed > 0 && t.job.Done == 0 && len(t.job.Problems) > 0 {
			t.job.State, t.job.Trouble, t.job.Detail = transfer.Failed, t.job.Problems[0].Trouble, string(t.job.Problems[0].Path)
			for _, p := range t.job.Problems {
				if p.Trouble != transfer.NameTrouble || p.As == "" {
					t.job.Trouble, t.job.Detail = p.Trouble, string(p.Path)
					break
				}
			}
		}
		return nil
	case t.wanted == transfer.Canceled:
		t.job.State, t.job.Ended = transfer.Canceled, time.Now()
	case t.wanted == transfer.Paused:
		t.job.State = transfer.Paused
	case stopped:
		t.job.State = transfer.Waiting
	default:
		t.tally.merge(&t.job)
		t.job.State, t.job.Trouble, t.job.Detail = h.state, h.trouble, h.detail
		if h.state == transfer.Failed {
			t.job.Ended = time.Now()
		}
		t.fails++
		return h
	}
	t.tally.merge(&t.job)
	return h
}

// measure copies the counters and reports whether that changed anything.
func (t *task) measure(now time.Time) bool {
	before := t.job
	t.tally.merge(&t.job)
	s := sample{at: now, came: t.tally.came.Load()}
	oldest := t.rate[t.sampled%rateSpan]
	if t.sampled < rateSpan {
		oldest = t.rate[0]
	}
	if t.sampled > 0 {
		if dt := now.Sub(oldest.at).Seconds(); dt > 0 {
			t.job.Rate = int64(float64(s.came-oldest.came) / dt)
			s.sources = t.tally.rates(&t.job, oldest.sources, dt)
		}
	} else {
		s.sources = t.tally.rates(&t.job, nil, 0)
	}
	t.rate[t.sampled%rateSpan] = s
	t.sampled++
	a, b := before, t.job
	return a.Bytes != b.Bytes || a.Total != b.Total || a.Rate != b.Rate || a.Files != b.Files || a.Done != b.Done || a.Listed != b.Listed ||
		a.Failed != b.Failed || a.Adapted != b.Adapted || len(a.Problems) != len(b.Problems)
}

// tally counts one attempt. Safe for concurrent use.
type tally struct {
	bytes, total, fetched, came  atomic.Int64 // of fetched the pieces and files that are whole, of came what arrived
	files, done, skipped, failed atomic.Int64
	adapted                      atomic.Int64
	listed                       atomic.Bool

	mu       sync.Mutex         // guards the fields below
	problems []transfer.Problem // never written again once it is longer
	sources  []*given
}

// problem notes what a person should know about one file.
func (c *tally) problem(p share.Path, why transfer.Trouble, as string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.problems) < transfer.MaxProblems {
		c.problems = append(c.problems, transfer.Problem{Path: p, Trouble: why, As: as})
	}
}

// adapt notes a name that had to change.
func (c *tally) adapt(p share.Path, as string) {
	c.adapted.Add(1)
	c.problem(p, transfer.NameTrouble, as)
}

// lose notes a file that was given up.
func (c *tally) lose(p share.Path, why transfer.Trouble) {
	c.failed.Add(1)
	c.problem(p, why, "")
}

// merge brings a job up to date; nothing falls, for an attempt begins by counting again what earlier ones brought.
func (c *tally) merge(j *transfer.Job) {
	c.mu.Lock()
	problems := c.problems[:len(c.problems):len(c.problems)]
	c.mu.Unlock()
	j.Listed = c.listed.Load() || j.Listed && int(c.files.Load()) <= j.Files && c.total.Load() <= j.Total // a listing that broke off takes back none before it
	j.Bytes = max(j.Bytes, c.bytes.Load())
	j.Total = max(j.Total, c.total.Load(), j.Bytes)
	j.Files = max(j.Files, int(c.files.Load()))
	j.Done = max(j.Done, int(c.done.Load()))
	j.Skipped = max(j.Skipped, int(c.skipped.Load()))
	j.Failed = max(j.Failed, int(c.failed.Load()))
	j.Adapted = max(j.Adapted, int(c.adapted.Load()))
	if len(problems) > len(j.Problems) {
		j.Problems = problems
	}
}

// final states the exact numbers of an attempt that reached the end.
func (c *tally) final(j *transfer.Job) {
	j.Bytes, j.Total, j.Files, j.Done, j.Skipped, j.Failed, j.Adapted, j.Problems = 0, 0, 0, 0, 0, 0, 0, nil
	c.merge(j)
	j.Total = max(c.total.Load(), j.Bytes)
}

// halt is why an attempt ended before its end.
type halt struct {
	state   transfer.State // Away or Failed
	trouble transfer.Trouble
	detail  string
	need    int64 // bytes that must be free before it goes on; for DiskFull
	err     error
}

func (h *halt) Error() string { return string(h.trouble) + ": " + h.err.Error() }

func (h *halt) Unwrap() error { return h.err }

// haltOf makes a halt of what a source said. What the disk said is one already.
func haltOf(err error) *halt {
	var h *halt
	switch {
	case errors.As(err, &h):
		return h
	case errors.Is(err, transfer.ErrAway), errors.Is(err, transfer.ErrBusy):
		return &halt{state: transfer.Away, trouble: transfer.SourceAway, err: err}
	case errors.Is(err, transfer.ErrGone):
		return &halt{state: transfer.Failed, trouble: transfer.SourceGone, err: err}
	}
	return &halt{state: transfer.Failed, trouble: transfer.SourceBroken, err: err}
}
