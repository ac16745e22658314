package swarm

import (
	"bytes"
	"math/bits"
	"time"

	"porchlight/share/content"
)

// Next decides on one more request, by the rules of the package comment; false if there is nothing to ask for now. Ask again after each report, and at Wake.
// It allocates nothing.
func (p *Plan) Next(now time.Time) (Ask, bool) {
	if p.flying >= p.cfg.Lanes || p.Done() {
		return Ask{}, false
	}
	p.round++
	for q := p.leastBusy(now); q != nil; q = p.leastBusy(now) {
		if r, ok := p.choose(q, now); ok {
			p.unrack(r)
			for i := r.From; i < r.To; i++ {
				p.state[i] = flying
			}
			return p.send(q, r, now), true
		}
		q.looked = p.round
	}
	return p.rescue(now)
}

// alone reports whether there is one source, and nobody else in sight or known to it.
func (p *Plan) alone() bool { return len(p.peers) == 1 && (!p.peers[0].advised || p.peers[0].alone) }

// window is the number of requests that a peer may have under way.
func (p *Plan) window(q *peer) int {
	switch {
	case q.fails > 0:
		return 1 // until one has gone well again
	case p.alone():
		return p.soleWindow()
	}
	return helperMost
}

// soleWindow is the number of requests that an only source may have under way.
func (p *Plan) soleWindow() int {
	if p.sum.Received < soleAfter {
		return helperMost
	}
	return soleLanes
}

// free reports whether a peer may be asked for one more thing.
func (p *Plan) free(q *peer, now time.Time) bool {
	return q.flying < p.window(q) && !q.rest.After(now)
}

// leastBusy returns the peer to look at next: the origin while it has advice, then helpers with the fewest requests under way, of those the one of the
// better class of speed, of those the one asked longest ago; then the origin without advice; last those who failed more than once in a row. Nil if there is none.
func (p *Plan) leastBusy(now time.Time) (best *peer) {
	var rank, bestRank int
	for _, q := range p.peers {
		if q.looked == p.round || !q.origin && q.useful == 0 || q.origin && p.rack.total == 0 || !p.free(q, now) {
			continue
		}
		switch {
		case q.fails > 1:
			rank = 1<<24 + q.fails
		case !q.origin || !q.advised:
			rank = 1<<16 + q.flying<<8 - p.class(q)
		case q.tips > 0:
			rank = q.flying
		default:
			rank = 1<<20 + q.flying
		}
		if best == nil || rank < bestRank || rank == bestRank && q.asked < best.asked {
			best, bestRank = q, rank
		}
	}
	return best
}

// class sorts speeds into classes, each twice as fast as the one before. A failed request counts as if nothing had come.
func (p *Plan) class(q *peer) int { return bits.Len64(uint64(p.rateOf(q) * (1 - q.failing))) }

// rateOf is the rate of one request to a peer, in bytes per second; of one that was never asked, that of the others.
func (p *Plan) rateOf(q *peer) float64 {
	switch {
	case q.rate > 0:
		return q.rate
	case p.typical > 0:
		return p.typical
	}
	return guessRate
}

// choose picks pieces on the rack for a peer.
func (p *Plan) choose(q *peer, now time.Time) (Run, bool) {
	most := p.runLength(q)
	if p.alone() {
		from := 0
		if p.careful == Singly { // others may ask for their first just now
			from = p.draw.below(p.n)
		}
		i := p.rack.all.first(q.have, from)
		return p.extend(q, i, most, nil)
	}
	if q.origin {
		return p.chooseOrigin(q, most, now)
	}
	return p.rarest(q, most)
}

// rarest picks of the rarest pieces that a peer has, from a place drawn by lot on.
func (p *Plan) rarest(q *peer, most int) (Run, bool) {
	from := p.draw.below(p.n)
	for l := 1; l < levels; l++ {
		if p.rack.count[l] == 0 {
			continue
		}
		if i := p.rack.level[l].first(q.have, from); i >= 0 {
			return p.extend(q, i, most, p.rack.level[l])
		}
	}
	return Run{}, false
}

// chooseOrigin picks for the origin among others: what it advises; else, of one that gives no advice, what nobody else has, from this receiver's own place on;
// else, if it is open, what others have and are too busy to give. While it is not, what is missing is on its way to others, and the origin is asked for
// a second copy only by a receiver to whom nothing came for a while.
func (p *Plan) chooseOrigin(q *peer, most int, now time.Time) (Run, bool) {
	for q.tips > 0 {
		t := &q.advice[0]
		for t.From < t.To && !p.rack.has(t.From) {
			t.From++
		}
		if t.From < t.To {
			r, ok := p.extend(q, t.From, min(most, t.To-t.From), nil)
			t.From = r.To
			return r, ok
		}
		copy(q.advice[:], q.advice[1:q.tips])
		q.tips--
	}
	if !q.advised && p.rack.count[0] > 0 {
		if i := p.rack.level[0].first(nil, p.ownPlace()); i >= 0 {
			return p.extend(q, i, most, p.rack.level[0])
		}
	}
	starved := now.Sub(p.moved) >= quiet
	if q.open || !q.advised || starved {
		if r, ok := p.rarest(q, most); ok {
			return r, true
		}
	}
	if i := p.rack.level[0].first(nil, p.draw.below(p.n)); i >= 0 && (starved || q.open && p.flying == 0) {
		return p.extend(q, i, 1, nil)
	}
	return Run{}, false
}

// ownPlace is where this receiver begins: receivers that know each other, in the order of their names, divide the content evenly.
func (p *Plan) ownPlace() int {
	before, all := 0, 1
	for _, q := range p.peers {
		if !q.origin {
			all++
			if bytes.Compare(q.id[:], p.cfg.Self[:]) < 0 {
				before++
			}
		}
	}
	return before * p.n / all
}

// runLength is how many pieces to ask of a peer in one request.
func (p *Plan) runLength(q *peer) int {
	span, most := swarmSpan, p.cfg.Lanes
	if p.alone() {
		span, most = soleSpan, p.soleWindow()
		switch {
		case p.careful == Singly:
			return 1
		case q.rate == 0:
			return soleFirst
		case p.careful == Shortly:
			span = swarmSpan
		}
	} else if q.rate == 0 {
		return 1
	}
	n := int(q.rate * span.Seconds() / content.PieceSize)
	return max(1, min(n, maxRun, p.rack.total/(2*most))) // toward the end in small steps, so that all end together
}

// extend makes a run of a piece and those behind it which are on the rack, of the same rarity if level is given, and which the peer has.
func (p *Plan) extend(q *peer, i, most int, level bitmap) (Run, bool) {
	if i < 0 {
		return Run{}, false
	}
	if level == nil {
		level = p.rack.all
	}
	r := Run{i, i + 1}
	for r.To < p.n && r.To-i < most && level.has(r.To) && (q.origin || q.have.has(r.To)) {
		r.To++
	}
	return r, true
}

// send makes the request for pieces that are off the rack.
func (p *Plan) send(q *peer, r Run, now time.Time) Ask {
	var slot int32
	if n := len(p.idle); n > 0 {
		slot, p.idle = p.idle[n-1], p.idle[:n-1]
	} else {
		slot = int32(len(p.asks))
		p.asks = append(p.asks, ask{})
	}
	a := &p.asks[slot]
	p.count++
	*a = ask{id: p.count<<8 | uint64(slot), peer: q, next: r.From, to: r.To, began: now, last: now, check: -1}
	for i := r.From; i < r.To; i++ {
		p.carriers[i]++
	}
	q.flying++
	q.asked = p.round
	p.flying++
	return Ask{ID: a.id, Peer: q.id, Run: r}
}

// rescue finds something to do for peers who could give more than is wanted: they take over what a slower one has not begun to send, and toward the end what it is sending.
func (p *Plan) rescue(now time.Time) (Ask, bool) {
	var (
		from   *ask
		to     *peer
		double bool
		gain   = takeFactor
	)
	for k := range p.asks {
		a := &p.asks[k]
		if a.peer == nil || a.drop {
			continue
		}
		tail := a.to-a.next > 1
		i := a.to - 1
		if !tail && !p.mayDouble(a, now) {
			continue
		}
		left := p.timeLeft(a, now)
		for _, q := range p.peers {
			if q == a.peer || !q.origin && !q.have.has(i) || !p.free(q, now) {
				continue
			}
			if g := left / (float64(p.length(i)) / p.rateOf(q)); g > gain {
				from, to, double, gain = a, q, !tail, g
			}
		}
	}
	if from == nil {
		return Ask{}, false
	}
	r := Run{from.to - 1, from.to}
	if double {
		p.doubles++
		p.sum.Doubled++
		return p.send(to, r, now), true
	}
	most := int(float64(from.to-from.next) * gain / (gain + 1)) // both are ready at the same time
	for r.From-1 > from.next && r.To-r.From < min(most, p.runLength(to)) && (to.origin || to.have.has(r.From-1)) {
		r.From--
	}
	from.to = r.From
	for i := r.From; i < r.To; i++ {
		p.carriers[i]--
	}
	p.sum.TakenOver += r.To - r.From
	return p.send(to, r, now), true
}

// mayDouble reports whether the piece that a request is receiving may be asked of a second peer: at the end, or because nothing comes, and within what may come twice;
// beyond that only of who has been silent for long and sent nothing of the piece.
func (p *Plan) mayDouble(a *ask, now time.Time) bool {
	if a.next >= a.to || p.carriers[a.next] != 1 || p.state[a.next] != flying || p.doubles >= endDoubles {
		return false
	}
	silent := now.Sub(a.last)
	if p.sum.Twice+int64(p.doubles)*content.PieceSize > p.cfg.Size/wasteShare {
		return silent >= p.patience(a, stall/2) && a.got == 0
	}
	return p.rack.total == 0 || silent >= p.patience(a, quiet)
}

// patience is how long a request may be silent: some time, and longer where its peer is slow, or its queue long, as was seen.
func (p *Plan) patience(a *ask, least time.Duration) time.Duration {
	usual := content.PieceSize / p.rateOf(a.peer) * float64(time.Second)
	return min(max(least, time.Duration(3*usual)), soleStall)
}

// timeLeft estimates when a request will have brought its last piece, in seconds.
func (p *Plan) timeLeft(a *ask, now time.Time) float64 {
	if now.Sub(a.last) >= p.patience(a, quiet) {
		return 1e9
	}
	rate := p.rateOf(a.peer)
	if s := now.Sub(a.began).Seconds(); s > swarmSpan.Seconds() {
		rate = min(rate, (float64(a.all)+1)/s)
	}
	left := -a.got
	for i := a.next; i < a.to; i++ {
		left += p.length(i)
	}
	return float64(left) / rate
}
