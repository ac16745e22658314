package swarm

import (
	"container/heap"
	"math"
	"time"
)

// flow is one response on its way. Its rate is what max-min fair sharing of the two links gives it, as TCP on one LAN does in the mean.
type flow struct {
	get      *get
	up, down *link
	rate     float64 // bytes per second
	left     float64 // of the piece that is coming
	acc      float64 // come and not reported
	fixed    bool
	at       int // in network.flows
}

// link is one direction of one host's line.
type link struct {
	cap, free float64 // bytes per second
	flows     int
	open      int // flows without a rate yet
	at        int // in network.links while it carries something
}

// network shares links among flows.
type network struct {
	flows []*flow
	links []*link
	dirty bool
}

func (w *network) add(f *flow) {
	f.at = len(w.flows)
	w.flows = append(w.flows, f)
	for _, l := range [2]*link{f.up, f.down} {
		if l.flows++; l.flows == 1 {
			l.at = len(w.links)
			w.links = append(w.links, l)
		}
	}
	w.dirty = true
}

func (w *network) remove(f *flow) {
	if f.at < 0 {
		return
	}
	last := len(w.flows) - 1
	w.flows[f.at] = w.flows[last]
	w.flows[f.at].at = f.at
	w.flows = w.flows[:last]
	f.at = -1
	for _, l := range [2]*link{f.up, f.down} {
		if l.flows--; l.flows == 0 {
			last := len(w.links) - 1
			w.links[l.at] = w.links[last]
			w.links[l.at].at = l.at
			w.links = w.links[:last]
		}
	}
	w.dirty = true
}

// share fills the links progressively: those with the smallest share per flow first.
func (w *network) share() {
	w.dirty = false
	for _, f := range w.flows {
		f.fixed = false
	}
	for _, l := range w.links {
		l.free, l.open = l.cap, l.flows
	}
	for left := len(w.flows); left > 0; {
		least := math.Inf(1)
		for _, l := range w.links {
			if l.open > 0 {
				least = min(least, l.free/float64(l.open))
			}
		}
		least *= 1.02 // links that are nearly as tight are settled in the same round
		for _, f := range w.flows {
			if f.fixed || f.up.free/float64(f.up.open) > least && f.down.free/float64(f.down.open) > least {
				continue
			}
			f.fixed = true
			f.rate = max(1, min(f.up.free/float64(f.up.open), f.down.free/float64(f.down.open)))
			left--
			for _, l := range [2]*link{f.up, f.down} {
				l.free -= f.rate
				l.open--
			}
		}
	}
}

// soonest is when the next piece is whole, if nothing changes.
func (w *network) soonest() time.Duration {
	least := math.Inf(1)
	for _, f := range w.flows {
		least = min(least, f.left/f.rate)
	}
	if least > 1e6 {
		return math.MaxInt64 / 4
	}
	return time.Duration(least*1e9) + 1
}

// advance moves the bytes of a span of time.
func (w *network) advance(d time.Duration) {
	s := d.Seconds()
	for _, f := range w.flows {
		n := min(f.rate*s, f.left)
		f.left -= n
		f.acc += n
	}
}

// event is something that happens at a time; equal times keep their order.
type event struct {
	at  time.Duration
	seq int
	do  func()
}

type agenda []event

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].seq < a[j].seq
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(event)) }
func (a *agenda) Pop() any {
	old := *a
	e := old[len(old)-1]
	*a = old[:len(old)-1]
	return e
}

var _ heap.Interface = (*agenda)(nil)
