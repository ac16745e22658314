package swarm

import (
	"slices"
	"time"

	"porchlight/share/content"
)

// decide is what the goroutine that owns a Plan does after every report.
func (h *host) decide() {
	w := h.w
	for _, g := range h.gets {
		g.moved()
	}
	h.breakOff()
	if w.audits {
		if err := h.plan.audit(); err != nil {
			w.t.Fatalf("host %d at %v: %v", h.i, w.now, err)
		}
	}
	for {
		a, ok := h.plan.Next(w.clock())
		if !ok {
			break
		}
		h.request(a)
	}
	if at, ok := h.plan.Wake(w.clock()); ok {
		if t := at.Sub(epoch); h.wake <= w.now || t < h.wake {
			h.wake = t
			life := h.life
			w.after(t-w.now, func() {
				if h.life == life && h.alive {
					h.poke()
				}
			})
		}
	}
}

func (h *host) breakOff() {
	for _, id := range h.plan.Overdue(h.w.clock(), nil) {
		for _, g := range slices.Clone(h.gets) {
			if g.ask.ID == id {
				g.end(Served, 0)
			}
		}
	}
}

func (h *host) request(a Ask) {
	w := h.w
	by := w.byID[a.Peer]
	if a.To <= a.From || a.To > w.n {
		w.t.Fatalf("asks for %v", a)
	}
	g := &get{ask: a, from: h, by: by, next: a.From, flow: flow{up: &by.up, down: &h.down, at: -1}}
	g.flow.get = g
	h.gets = append(h.gets, g)
	w.after(w.latency, g.arrive)
}

// arrive is the request at the server.
func (g *get) arrive() {
	s, w := g.by, g.from.w
	has := func(i int) bool { return s.kept[i] }
	switch {
	case g.over:
	case !s.alive:
		w.after(w.latency, func() { g.end(Away, 0) })
	case s.fault.stall || s.fault.mute > 0 && s.pieces >= s.fault.mute:
	case s.fault.broken:
		w.after(w.latency, func() { g.end(Broken, 0) })
	case !has(g.next):
		w.after(w.latency, func() { g.end(Gone, 0) })
	default:
		id, v, retry := s.uploads.Add(g.from.id, int64(g.ask.To-g.ask.From)*content.PieceSize, s.seed.Given(g.ask.Run), w.clock())
		if v == Full {
			w.after(w.latency, func() { g.end(Busy, retry) })
			return
		}
		g.call, g.served = id, true
		s.waits[id] = g
		if v == Go {
			w.after(w.think, g.serve)
		}
	}
}

// serve starts the response.
func (g *get) serve() {
	if g.over {
		return
	}
	if g.by == g.from.w.origin {
		g.from.w.advise(g.from)
	}
	g.left = float64(content.PieceLen(g.from.w.size, g.next))
	g.from.w.net.add(&g.flow)
}

func (g *get) moved() {
	if n := int64(g.acc); n > 0 && !g.over {
		g.acc -= float64(n)
		g.from.plan.Moved(g.ask.ID, n, g.from.w.clock())
	}
}

// whole is a piece that came to its end.
func (w *world) whole(f *flow) {
	g := f.get
	h, s := g.from, g.by
	g.acc += 0.5 // what rounding left
	g.moved()
	s.pieces++
	s.sent += int64(content.PieceLen(w.size, g.next))
	s.seed.Gave(g.next)
	if s == w.origin {
		w.push()
	}
	bad := s.fault.badEvery > 0 && w.rng.IntN(s.fault.badEvery) == 0
	i, verify := h.plan.Whole(g.ask.ID)
	if verify && i != g.next {
		w.t.Fatalf("piece %d came, the plan thinks %d", g.next, i)
	}
	if verify && bad {
		h.plan.Bad(g.ask.ID, w.clock())
		g.end(Served, 0)
		h.poke()
		return
	}
	if verify {
		h.plan.Good(g.ask.ID)
		h.keep(i)
	}
	w.leaveEarly()
	if g.over {
		return
	}
	if g.next++; g.next == g.ask.To || !h.plan.More(g.ask.ID) {
		g.end(Served, 0)
	} else if !s.kept[g.next] {
		g.end(Gone, 0)
	} else {
		g.left = float64(content.PieceLen(w.size, g.next))
	}
	h.poke()
}

// keep is a verified piece: on the disk, and news for others.
func (h *host) keep(i int) {
	w := h.w
	if h.verified[i]++; h.verified[i] > 1 {
		w.t.Errorf("host %d verified piece %d %d times", h.i, i, h.verified[i])
	}
	h.kept[i] = true
	h.fresh = append(h.fresh, i)
	if !h.telling {
		h.telling = true
		w.after(w.news, h.tell)
	}
	if h.plan.Done() && h.took == 0 {
		h.took = max(w.now-h.joined, 1)
		w.ready++
		h.tell()
	}
}

// tell sends what is new to everybody connected.
func (h *host) tell() {
	h.telling = false
	w, pieces := h.w, h.fresh
	h.fresh = nil
	if !h.alive || len(pieces) == 0 {
		return
	}
	done := h.plan.Done()
	w.after(w.latency, func() {
		if o := w.origin; o.alive && h.peers[o] {
			for _, i := range pieces {
				o.seed.Gave(i)
			}
			if done {
				o.seed.Full(h.id)
			}
			w.push()
		}
		for _, p := range w.hosts {
			if !h.peers[p] || p.plan == nil {
				continue
			}
			for _, i := range pieces {
				if err := p.plan.Have(h.id, i); err != nil {
					w.t.Error(err)
				}
			}
			p.poke()
		}
	})
}

// leaveEarly takes the origin away when it has sent enough.
func (w *world) leaveEarly() {
	if w.copies > 0 && w.origin.alive && float64(w.origin.sent) >= w.copies*float64(w.size) {
		w.origin.kill()
	}
}

// stop breaks a request off at both ends.
func (g *get) stop() {
	if g.over {
		return
	}
	g.over = true
	w := g.from.w
	w.net.remove(&g.flow)
	if s := g.by; g.served && s.alive && s.waits[g.call] == g {
		delete(s.waits, g.call)
		s.uploads.Done(g.call, int64(g.next-g.ask.From)*content.PieceSize, w.clock())
		for id, ok := s.uploads.Start(w.clock()); ok; id, ok = s.uploads.Start(w.clock()) {
			w.after(w.think, s.waits[id].serve)
		}
	}
	g.from.gets = slices.DeleteFunc(g.from.gets, func(x *get) bool { return x == g })
}

// end tells the Plan how a request ended.
func (g *get) end(how Outcome, retry time.Duration) {
	if g.over {
		return
	}
	g.moved()
	g.stop()
	if h := g.from; h.alive && h.plan != nil {
		h.plan.End(g.ask.ID, how, retry, h.w.clock())
		h.poke()
	}
}
