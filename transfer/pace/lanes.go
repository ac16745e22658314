package pace

import "time"

// What Lanes goes by.
const (
	epochWork = 64 << 20 // bytes after which an epoch is judged: more than may lie in memory until the disk has them
	earlyWork = 16 << 20 // bytes after which a trial that is plainly worse ends
	firstWait = 32       // epochs until what was worse is tried again, doubling
	lastWait  = 256
	gain      = 0.9  // of the time of many, what one must not exceed to be worth it
	worse     = 1.1  // times the other's time that end a trial early
	bound     = 0.75 // of the time, the disk was at work: less, and somebody else sets the pace
)

// Epoch is what was seen of a disk for a while.
type Epoch struct {
	Lanes int           // the most that wrote at once
	Work  int64         // bytes, and fileWork for each small file
	Took  time.Duration // while anybody wanted to write
	Busy  time.Duration // of it, while the disk was at work
}

// Lanes decides whether as many may write to a disk at once as want to, or one after another. Many is faster where the source sets the pace, and on a disk
// without moving parts; a disk that has to seek, or that erases a large block for each place it writes to, is faster with one. What a disk is nobody asks:
// each way is timed, and now and then the other is tried. It does no I/O and tells no time. The zero value lets all write.
type Lanes struct {
	one   bool
	trial bool       // this epoch tries the way that is not the better one so far
	cost  [2]float64 // ns for a byte of work: of many, of one; 0 if not known
	wait  int        // epochs until the next trial
	pause int        // what wait begins with after the next trial that failed
}

// One reports whether only one may write now.
func (l *Lanes) One() bool { return l.one }

// Enough reports whether an epoch has shown what it can show.
func (l *Lanes) Enough(e Epoch) bool {
	other := l.cost[way(!l.one)]
	return e.Work >= epochWork || l.trial && e.Work >= earlyWork && other > 0 && e.cost() > worse*other
}

// Report takes an epoch, and decides about the next.
func (l *Lanes) Report(e Epoch) {
	if l.one && e.Lanes > 1 { // the disk had nothing to do, so others were let in
		l.one, l.trial, l.pause = false, false, max(l.pause, firstWait)
		l.wait = l.pause
		return
	}
	if e.Work <= 0 || e.Took <= 0 || !l.one && e.Lanes < 2 { // nothing that could be compared
		return
	}
	l.cost[way(l.one)] = e.cost()
	if l.trial {
		l.judge()
		return
	}
	if l.one && l.cost[way(true)] > gain*l.cost[way(false)] { // it got slower: the source, maybe
		l.one, l.wait = false, l.pause
		return
	}
	if !l.one && e.Busy < time.Duration(bound*float64(e.Took)) {
		return
	}
	if l.wait--; l.wait <= 0 {
		l.one, l.trial = !l.one, true
	}
}

// judge ends a trial.
func (l *Lanes) judge() {
	tried := l.one
	l.one = l.cost[way(true)] <= gain*l.cost[way(false)]
	l.trial = false
	if l.one == tried {
		l.pause = 0
	}
	l.pause = min(max(2*l.pause, firstWait), lastWait)
	l.wait = l.pause
}

func (e Epoch) cost() float64 { return float64(e.Took) / float64(e.Work) }

func way(one bool) int {
	if one {
		return 1
	}
	return 0
}
