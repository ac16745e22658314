package swarm

import (
	"time"
)

// find returns a request under way; nil for one that was ended.
func (p *Plan) find(id uint64) *ask {
	slot := int(id & 0xff)
	if id == 0 || slot >= len(p.asks) || p.asks[slot].id != id || p.asks[slot].peer == nil {
		return nil
	}
	return &p.asks[slot]
}

// Moved says that n bytes came for a request. Without it for a while the request counts as stalled.
func (p *Plan) Moved(id uint64, n int64, now time.Time) {
	if a := p.find(id); a != nil {
		a.got += n
		a.all += n
		a.last = now
		p.sum.Received += n
		p.moved = now
	}
}

// Began says that a request had to wait here, and is on its way only now: call it while it waits, and when it goes.
func (p *Plan) Began(id uint64, now time.Time) {
	if a := p.find(id); a != nil {
		a.began, a.last = now, now
	}
}

// Whole says that the next piece of a request is in memory, and answers whether to verify it; if not, it is there or being verified already, and can be forgotten.
// Good, Bad or End must follow before Whole is called again for this request; Moved may come between them.
func (p *Plan) Whole(id uint64) (piece int, verify bool) {
	a := p.find(id)
	if a == nil || a.next >= a.to || a.check >= 0 {
		return 0, false
	}
	i := a.next
	a.next++
	a.got = 0
	p.uncarry(i)
	if p.state[i] != flying {
		p.sum.Wasted += p.length(i)
		p.sum.Twice += p.length(i)
		return i, false
	}
	p.state[i] = checking
	a.check = i
	return i, true
}

// Good says that the piece just verified is right and kept.
func (p *Plan) Good(id uint64) {
	a := p.find(id)
	if a == nil || a.check < 0 {
		return
	}
	i := a.check
	a.check = -1
	p.finish(i)
	if a.peer.origin {
		p.sum.Origin += p.length(i)
	}
	if p.carriers[i] == 0 {
		return
	}
	for k := range p.asks { // who is sending it as well may stop
		if b := &p.asks[k]; b.peer != nil && b.next == i && i < b.to {
			b.drop = true
		}
	}
}

// Bad says that the piece just verified is wrong. The request is ended with it, and the peer not asked for anything of this content again.
func (p *Plan) Bad(id uint64, now time.Time) {
	a := p.find(id)
	if a == nil || a.check < 0 {
		return
	}
	p.sum.Bad++
	p.sum.Wasted += p.length(a.check)
	q := a.peer
	p.cfg.Standing.Bad(q.id, now)
	p.release(a)
	p.Ban(q.id)
}

// More reports whether the rest of a request is wanted: if not, it is to be broken off and ended as Served.
func (p *Plan) More(id uint64) bool {
	a := p.find(id)
	return a != nil && !a.drop && a.next < a.to
}

// End says that a request is over; it must be called once for each, but for those that Bad ended. Retry counts for Busy alone.
func (p *Plan) End(id uint64, how Outcome, retry time.Duration, now time.Time) {
	a := p.find(id)
	if a == nil {
		return
	}
	q, next, rest, dropped, late := a.peer, a.next, a.next < a.to, a.drop, a.late
	p.measure(a, now)
	p.release(a)
	if how == Served && rest && !dropped {
		how = Away // it stopped in the middle and gave no reason
	}
	if how == Broken {
		p.cfg.Standing.Bad(q.id, now)
		p.Ban(q.id)
		return
	}
	if late {
		how = Stalled
	} else if dropped {
		return
	}
	if how == Served {
		q.fails, q.busy, q.failing = 0, 0, q.failing*(1-newestShare)
		return
	}
	if how == Busy {
		q.busy++ // it may say so for ever, and that soon
		q.restFor(min(max(retry, minRetry<<min(q.busy, 6)), maxRetry), now)
		return
	}
	q.failing += (1 - q.failing) * newestShare
	p.fail(q, now)
	switch how {
	case Stalled:
		if !late {
			p.timedOut(q, now)
		}
	case Gone:
		q.lies++
		p.sum.Lies++
		p.lacks(q, next)
		if q.lies >= liesMost && !q.origin {
			p.Ban(q.id)
		}
	}
}

// fail lets a peer rest, longer each time in a row.
func (p *Plan) fail(q *peer, now time.Time) {
	q.restFor(min(shortRest<<min(q.fails, 16), longRest), now)
	q.fails++
}

// restFor has a peer asked for nothing for a while, or for longer if that was decided already.
func (q *peer) restFor(d time.Duration, now time.Time) {
	if till := now.Add(d); till.After(q.rest) {
		q.rest = till
	}
}

func (p *Plan) timedOut(q *peer, now time.Time) {
	p.sum.TimeOuts++
	p.cfg.Standing.TimedOut(q.id, now)
	if rest := p.cfg.Standing.Rest(q.id, now); rest.After(q.rest) {
		q.rest = rest
	}
}

// measure takes the rate of a request into that of its peer.
func (p *Plan) measure(a *ask, now time.Time) {
	const least = 64 << 10 // bytes that say something about a rate
	s := now.Sub(a.began).Seconds()
	if a.all < least || s <= 0 {
		return
	}
	r := float64(a.all) / s
	smooth := func(old float64) float64 {
		if old == 0 {
			return r
		}
		return old + (r-old)*newestShare
	}
	a.peer.rate, p.typical = smooth(a.peer.rate), smooth(p.typical)
	p.cfg.Standing.Served(a.peer.id, a.all, r, now)
}

// release takes a request out of the books: what it has not brought is wanted again.
func (p *Plan) release(a *ask) {
	p.sum.Wasted += a.got
	if a.drop && !a.late && !a.peer.gone {
		p.sum.Twice += a.got
	}
	if i := a.check; i >= 0 {
		p.state[i] = flying
		if p.carriers[i] == 0 {
			p.rerack(Run{i, i + 1})
		}
	}
	back := Run{a.next, a.next}
	for i := a.next; i < a.to; i++ {
		p.uncarry(i)
		if p.carriers[i] > 0 || p.state[i] != flying { // comes by another, or came
			p.rerack(back)
			back = Run{i + 1, i + 1}
		} else {
			back.To = i + 1
		}
	}
	p.rerack(back)
	a.peer.flying--
	p.flying--
	slot := int32(a.id & 0xff)
	*a = ask{}
	p.idle = append(p.idle, slot)
}

// uncarry notes that one request fewer is to bring a piece.
func (p *Plan) uncarry(i int) {
	if p.carriers[i] == 2 {
		p.doubles--
	}
	p.carriers[i]--
}

// Overdue appends the requests that are to be broken off and ended now: those whose peer left or sends nothing, and those for what came from another already.
// Each is named once. Call it after Good and Leave, and at Wake.
func (p *Plan) Overdue(now time.Time, ids []uint64) []uint64 {
	for k := range p.asks {
		a := &p.asks[k]
		if a.peer == nil || a.told {
			continue
		}
		if a.peer.gone {
			a.drop = true
		} else if !a.drop && p.tooLate(a, now) {
			a.drop, a.late = true, true
			p.timedOut(a.peer, now)
		}
		if a.drop {
			a.told = true
			ids = append(ids, a.id)
		}
	}
	return ids
}

// tooLate reports whether a request is to be given up: it is silent for too long, or in the way of others and as good as silent.
func (p *Plan) tooLate(a *ask, now time.Time) bool {
	silent, took := now.Sub(a.last), now.Sub(a.began)
	switch {
	case p.alone():
		return silent >= soleStall
	case p.flying < p.cfg.Lanes:
		return silent >= p.patience(a, stall)
	}
	return silent >= p.patience(a, stall/2) || took >= soleStall && float64(a.all)/took.Seconds() < p.typical/crawlShare
}

// Wake returns when to call Overdue and Next again though nothing was reported; false if only a report can change anything.
func (p *Plan) Wake(now time.Time) (at time.Time, ok bool) {
	soonest := func(t time.Time) {
		if t.After(now) && (!ok || t.Before(at)) {
			at, ok = t, true
		}
	}
	for k := range p.asks {
		if a := &p.asks[k]; a.peer != nil && !a.told {
			soonest(a.last.Add(p.patience(a, quiet)))
			soonest(a.last.Add(p.patience(a, stall/2)))
			soonest(a.last.Add(p.patience(a, stall)))
			soonest(a.last.Add(soleStall))
			soonest(a.began.Add(soleStall))
		}
	}
	for _, q := range p.peers {
		soonest(q.rest)
	}
	soonest(p.moved.Add(quiet))
	return at, ok
}
