package pace

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	runWork  = 16 << 20               // bytes that one writes before the next has its turn
	grace    = 5 * time.Millisecond   // how long a place is kept for who had it, within its run: the next request of the same file follows at once
	look     = 250 * time.Millisecond // how often those who wait look whether the disk has nothing to do, since whoever has the turn waits for a slow source
	fileWork = 64 << 10               // what a small file costs beside its bytes: about a seek
)

// Disk is a disk that several write to: all at once, or each in long runs one after another, as it bears (Lanes). The zero value is ready. Safe for
// concurrent use.
type Disk struct {
	mu      sync.Mutex // guards the fields below
	kinds   [2]Lanes   // of large files and of small ones, which cost in other ways
	small   int        // the kind that is mostly written now
	in      int        // who may write now
	waiting []*writer
	last    any   // who wrote last
	run     int64 // bytes since somebody else did

	busy   int           // calls to the disk that run
	since  time.Time     // when the first of them began
	worked time.Duration // time of all calls, none counted twice

	peak    int // of in, since the epoch began
	work    [2]int64
	from    time.Time // when the epoch began, or when somebody came after a pause
	took    time.Duration
	began   time.Duration // worked, when the epoch began
	settled bool          // no more write than may
}

// writer waits for its turn.
type writer struct {
	who  any
	turn chan struct{} // closed when it has it
}

// Enter waits until who may write. It is called for each run of bytes, before they are asked for, and ended by Leave. An error is that of ctx. While it
// waits it says so now and then; waits may be nil.
func (d *Disk) Enter(ctx context.Context, who any, waits func()) error {
	w, worked := d.enter(who)
	if w == nil {
		return nil
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-w.turn:
			return nil
		case <-tick.C:
			if waits != nil {
				waits()
			}
			now := d.total()
			if now-worked < look/2 && d.quit(w) {
				d.force(who)
				return nil
			}
			worked = now
		case <-ctx.Done():
			if !d.quit(w) { // its turn came
				d.Leave(who)
			}
			return ctx.Err()
		}
	}
}

// enter returns nil if who may write at once.
func (d *Disk) enter(who any) (*writer, time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.kinds[d.small].One() || d.in == 0 && (len(d.waiting) == 0 || d.mine(who)) {
		d.admit(who)
		return nil, 0
	}
	w := &writer{who: who, turn: make(chan struct{})}
	d.waiting = append(d.waiting, w)
	return w, d.workedLocked(time.Now())
}

// mine reports whether who is in the middle of a run; the caller holds mu.
func (d *Disk) mine(who any) bool { return who == d.last && d.run < runWork }

// admit lets who write; the caller holds mu.
func (d *Disk) admit(who any) {
	if d.in == 0 {
		d.from = time.Now()
	}
	d.in++
	d.peak = max(d.peak, d.in)
	if !d.mine(who) {
		d.last, d.run = who, 0
	}
}

func (d *Disk) force(who any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.admit(who)
}

// quit takes a writer out of the queue. It reports false if that has its turn already.
func (d *Disk) quit(w *writer) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.Index(d.waiting, w)
	if i >= 0 {
		d.waiting = slices.Delete(d.waiting, i, i+1)
	}
	return i >= 0
}

// Leave ends a run of bytes.
func (d *Disk) Leave(who any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	d.in--
	if d.in == 0 {
		d.took += now.Sub(d.from)
	}
	if !d.settled && d.in <= 1 {
		d.anew(now)
	}
	if d.in > 0 || len(d.waiting) == 0 {
		return
	}
	if d.mine(who) && !slices.ContainsFunc(d.waiting, func(w *writer) bool { return w.who == who }) {
		time.AfterFunc(grace, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.next()
		})
		return
	}
	d.next()
}

// next gives the turn to whoever is in the middle of a run, and otherwise to who waits the longest; the caller holds mu.
func (d *Disk) next() {
	if d.in > 0 || len(d.waiting) == 0 {
		return
	}
	i := max(slices.IndexFunc(d.waiting, func(w *writer) bool { return d.mine(w.who) }), 0)
	w := d.waiting[i]
	d.waiting = slices.Delete(d.waiting, i, i+1)
	d.admit(w.who)
	close(w.turn)
}

// Began notes that a call to the disk begins.
func (d *Disk) Began() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy++; d.busy == 1 {
		d.since = time.Now()
	}
}

// Ended notes that it ended, and how many bytes it wrote; small says that they were a file.
func (d *Disk) Ended(n int, small bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if d.busy--; d.busy == 0 {
		d.worked += now.Sub(d.since)
	}
	kind := 0
	if small {
		kind, n = 1, n+fileWork
	}
	if d.in == 0 { // pieces that nobody had to ask for
		return
	}
	d.run += int64(n)
	d.work[kind] += int64(n)
	if d.settled || !d.kinds[d.small].One() {
		d.judge(now)
	}
}

// judge ends the epoch if it has shown enough; the caller holds mu.
func (d *Disk) judge(now time.Time) {
	kind := 0
	if d.work[1] > d.work[0] {
		kind = 1
	}
	l, took := &d.kinds[kind], d.took
	if d.in > 0 {
		took += now.Sub(d.from)
	}
	e := Epoch{Lanes: d.peak, Work: d.work[0] + d.work[1], Took: took, Busy: d.workedLocked(now) - d.began}
	if !l.Enough(e) {
		return
	}
	was := d.kinds[d.small].One()
	if kind == d.small {
		l.Report(e)
	}
	d.small = kind
	one := l.One()
	d.anew(now)
	d.settled = !one || d.in <= 1
	if was && !one {
		for _, w := range d.waiting {
			d.admit(w.who)
			close(w.turn)
		}
		d.waiting = nil
	}
}

// anew begins an epoch; the caller holds mu.
func (d *Disk) anew(now time.Time) {
	d.settled, d.peak, d.from, d.took, d.began = true, d.in, now, 0, d.workedLocked(now)
	d.work = [2]int64{}
}

// workedLocked is how long the disk was at work so far; the caller holds mu.
func (d *Disk) workedLocked(now time.Time) time.Duration {
	if d.busy > 0 {
		return d.worked + now.Sub(d.since)
	}
	return d.worked
}

func (d *Disk) total() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.workedLocked(time.Now())
}
