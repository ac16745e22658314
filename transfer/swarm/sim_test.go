package swarm

import (
	"container/heap"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/share/content"
)

const (
	mbit = 1e6 / 8 // bytes per second
	mib  = 1 << 20
)

// world is a LAN in fake time: hosts with links, who fetch one content from each other by Plan, Uploads and Seed.
type world struct {
	t       testing.TB
	rng     *rand.Rand
	size    int64
	n       int
	hosts   []*host
	byID    map[discovery.DeviceID]*host
	origin  *host
	net     network
	now     time.Duration
	agenda  agenda
	seq     int
	steps   int
	limit   int // of steps: a livelock ends here
	todo    []*host
	quantum time.Duration

	latency  time.Duration
	think    time.Duration // of a server, before the first byte
	news     time.Duration // between two have messages of a host
	noAdvice bool
	audits   bool    // count everything again all the time
	open     bool    // everybody was told that the origin is
	over     bool    // nobody can get more
	changed  bool    // receivers came
	copies   float64 // after so many copies the origin goes; 0 = stays
	slots    int
	lanes    int
	ready    int // receivers that are done
}

// fault says how a host behaves badly.
type fault struct {
	badEvery int  // one of so many pieces is wrong
	stall    bool // takes requests and sends nothing
	mute     int  // stalls after so many pieces; 0 = never
	boast    bool // says it has everything
	broken   bool // answers with another length
}

type host struct {
	w        *world
	i        int
	id       discovery.DeviceID
	up, down link
	fault    fault
	alive    bool
	lost     bool // will not come back
	life     int
	kept     []bool // pieces on the disk
	verified []uint8
	plan     *Plan
	standing *Standing
	uploads  *Uploads
	seed     *Seed
	peers    map[*host]bool
	gets     []*get          // requests it made
	waits    map[uint64]*get // requests at it, by upload
	fresh    []int           // pieces to tell of
	telling  bool
	queued   bool
	wake     time.Duration
	joined   time.Duration
	took     time.Duration // from joined until done; 0 = not yet
	sent     int64
	pieces   int
	sum      Progress // of earlier lives
}

// get is one request.
type get struct {
	flow
	ask      Ask
	from, by *host
	call     uint64
	served   bool // has or had an upload
	next     int
	over     bool
}

var epoch = time.Unix(1_700_000_000, 0)

func newWorld(t testing.TB, seed uint64, size int64) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 1)), size: size, n: content.Parts(size), latency: 500 * time.Microsecond,
		think: 500 * time.Microsecond, news: 50 * time.Millisecond, quantum: 500 * time.Microsecond}
	w.limit = 4000 * w.n
	w.byID = map[discovery.DeviceID]*host{}
	return w
}

func (w *world) clock() time.Time { return epoch.Add(w.now) }

func (w *world) after(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.agenda, event{w.now + d, w.seq, do})
}

// add makes a host; the first is the origin.
func (w *world) add(up, down float64) *host {
	h := &host{w: w, i: len(w.hosts), up: link{cap: up}, down: link{cap: down}, kept: make([]bool, w.n), verified: make([]uint8, w.n), peers: map[*host]bool{}, standing: NewStanding()}
	binary.LittleEndian.PutUint64(h.id[:], w.rng.Uint64())
	h.id[31] = byte(h.i)
	w.hosts = append(w.hosts, h)
	w.byID[h.id] = h
	w.limit += 600 * w.n
	if w.origin == nil {
		w.origin = h
		for i := range h.kept {
			h.kept[i] = true
		}
	}
	return h
}

// start brings a host up, for the first time or again, with what it has on its disk.
func (h *host) start() {
	w := h.w
	h.alive = true
	h.life++
	h.uploads, h.waits, h.seed = NewUploads(UploadConfig{Slots: w.slots}), map[uint64]*get{}, NewSeed(w.size)
	h.gets, h.fresh, h.wake = nil, nil, 0
	if h == w.origin {
		return
	}
	h.plan = New(Config{Size: w.size, Self: h.id, Seed: w.rng.Uint64(), Lanes: w.lanes, Standing: h.standing})
	for i, ok := range h.kept {
		if ok {
			h.plan.Mark(i)
		}
	}
	if h.took == 0 && h.life == 1 {
		h.joined = w.now
	}
	if h.plan.Done() && h.took == 0 { // a helper
		h.took = 1
		w.ready++
	}
	w.introduce(h)
	h.poke()
}

// introduce has the origin, or whoever is there if it is gone, tell receivers of each other.
func (w *world) introduce(h *host) {
	o := w.origin
	if !o.alive {
		for _, p := range w.hosts {
			if p.alive && p != h && len(h.peers) < neighbors {
				meet(h, p)
			}
		}
		return
	}
	o.seed.Join(h.id)
	for i, ok := range h.kept {
		if ok || h.fault.boast {
			o.seed.Gave(i)
		}
	}
	if h.plan.Done() {
		o.seed.Full(h.id)
	}
	h.plan.Join(o.id, true, w.clock())
	h.peers[o], o.peers[h] = true, true
	w.advise(h)
	if !w.changed {
		w.changed = true
		w.after(20*time.Millisecond, w.acquaint) // once for all who come together
	}
}

// acquaint has the origin tell everybody of their neighbors, after receivers came.
func (w *world) acquaint() {
	w.changed = false
	for _, h := range w.hosts[1:] {
		if !h.alive || !w.origin.alive {
			continue
		}
		for _, id := range w.origin.seed.Neighbors(h.id, nil) {
			if p := w.byID[id]; p.alive {
				meet(h, p)
			}
		}
	}
}

// meet connects two receivers, or a receiver and a helper.
func meet(a, b *host) {
	if a.peers[b] {
		return
	}
	a.peers[b], b.peers[a] = true, true
	for _, x := range [2][2]*host{{a, b}, {b, a}} {
		if h, p := x[0], x[1]; h.plan != nil && h.plan.Join(p.id, false, h.w.clock()) {
			m := make([]byte, (h.w.n+7)/8)
			for i := range p.kept {
				if p.kept[i] || p.fault.boast {
					m[i>>3] |= 0x80 >> (i & 7)
				}
			}
			if err := h.plan.Map(p.id, m); err != nil {
				h.w.t.Fatal(err)
			}
			h.poke()
		}
	}
}

func (w *world) advise(h *host) {
	if !w.noAdvice && w.origin.alive {
		h.plan.Advise(w.origin.id, w.origin.seed.Advise(h.id, 1, nil, w.clock(), nil))
	}
}

// push has the origin tell those who should know what they did not ask for.
func (w *world) push() {
	if w.noAdvice || !w.origin.alive {
		return
	}
	s := w.origin.seed
	for id, ok := s.Due(1, w.clock()); ok; id, ok = s.Due(1, w.clock()) {
		h := w.byID[id]
		a := s.Advise(id, 1, nil, w.clock(), nil)
		w.after(w.latency, func() { h.advised(a) })
	}
	if s.Open() && !w.open {
		w.open = true
		for _, h := range w.hosts[1:] {
			a := s.Advise(h.id, 1, nil, w.clock(), nil)
			w.after(w.latency, func() { h.advised(a) })
		}
	}
}

func (h *host) advised(a Advice) {
	if h.alive && h.plan != nil {
		h.plan.Advise(h.w.origin.id, a)
		h.poke()
	}
}

// kill ends a process: what was under way breaks, what is on the disk stays.
func (h *host) kill() {
	w := h.w
	h.alive = false
	if h.plan != nil {
		h.sum = add(h.sum, h.plan.Progress())
	}
	for _, g := range slices.Clone(h.gets) {
		g.stop()
	}
	h.gets = nil
	if w.origin.seed != nil {
		w.origin.seed.Leave(h.id)
	}
	for _, p := range w.hosts {
		if !h.peers[p] {
			continue
		}
		delete(p.peers, h)
		if p.plan == nil || !p.alive {
			continue
		}
		for _, g := range slices.Clone(p.gets) {
			if g.by == h {
				g.end(Away, 0)
			}
		}
		p.plan.Leave(h.id)
		p.poke()
	}
	clear(h.peers)
	h.plan = nil
}

func add(a, b Progress) Progress {
	a.Received += b.Received
	a.Wasted += b.Wasted
	a.Twice += b.Twice
	a.TimeOuts += b.TimeOuts
	a.Lies += b.Lies
	a.Bad += b.Bad
	a.Doubled += b.Doubled
	a.TakenOver += b.TakenOver
	return a
}

// poke has a host look for something to do before time goes on.
func (h *host) poke() {
	if !h.queued && h.plan != nil {
		h.queued = true
		h.w.todo = append(h.w.todo, h)
	}
}

// run lets time pass until everybody is done; false if that did not happen within the limits.
func (w *world) run(most time.Duration) bool {
	wanting := len(w.hosts) - 1
	w.after(time.Second, w.second)
	for w.ready < wanting && !w.over {
		w.pump()
		if w.steps++; w.steps > w.limit {
			w.t.Errorf("no end after %d steps, %v", w.steps, w.now)
			return false
		}
		if w.net.dirty {
			w.net.share()
		}
		if len(w.agenda) == 0 && len(w.net.flows) == 0 {
			w.t.Errorf("nothing will happen any more, at %v", w.now)
			return false
		}
		d := w.net.soonest()
		if len(w.agenda) > 0 {
			d = min(d, w.agenda[0].at-w.now)
		}
		d = max(d, w.quantum) // what happens nearly together happens together
		w.net.advance(d)
		if w.now += d; w.now > most {
			w.t.Errorf("not done after %v", w.now)
			return false
		}
		for i := 0; i < len(w.net.flows); i++ {
			if f := w.net.flows[i]; f.left < 1 {
				w.whole(f)
				if i < len(w.net.flows) && w.net.flows[i] != f {
					i--
				}
			}
		}
		for len(w.agenda) > 0 && w.agenda[0].at <= w.now {
			heap.Pop(&w.agenda).(event).do()
		}
	}
	return true
}

// exhausted reports whether the origin is gone and everybody has what anybody has.
func (w *world) exhausted() bool {
	if w.origin.alive {
		return false
	}
	for i := range w.n {
		some, all := false, true
		for _, h := range w.hosts[1:] {
			if !h.lost {
				some, all = some || h.kept[i], all && h.kept[i]
			}
		}
		if some && !all {
			return false
		}
	}
	return true
}

// second is what happens once a second: the origin tells what is due; without it receivers still find each other, as members do.
func (w *world) second() {
	w.push()
	if !w.origin.alive {
		for _, h := range w.hosts[1:] {
			if h.alive {
				w.introduce(h)
			}
		}
	}
	w.over = w.exhausted()
	w.after(time.Second, w.second)
}

// pump lets everybody with news decide.
func (w *world) pump() {
	for k := 0; k < len(w.todo); k++ {
		h := w.todo[k]
		h.queued = false
		if h.alive && h.plan != nil {
			h.decide()
		}
	}
	w.todo = w.todo[:0]
}

// mean is the time that receivers took on average, last the longest time.
func (w *world) times() (mean, last time.Duration) {
	for _, h := range w.hosts[1:] {
		mean += h.took / time.Duration(len(w.hosts)-1)
		last = max(last, h.took)
	}
	return mean, last
}

// totals sums what all receivers counted.
func (w *world) totals() Progress {
	var s Progress
	for _, h := range w.hosts[1:] {
		s = add(s, h.sum)
		if h.plan != nil {
			s = add(s, h.plan.Progress())
		}
	}
	return s
}
