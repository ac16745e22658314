package swarm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/share/content"
	"porchlight/transfer"
)

// audit counts everything again that a Plan keeps count of.
func (p *Plan) audit() error {
	carriers := make([]uint8, p.n)
	flyingOf := map[*peer]int{}
	inUse := 0
	check := map[int]bool{}
	for i := range p.asks {
		a := &p.asks[i]
		if a.peer == nil {
			continue
		}
		inUse++
		flyingOf[a.peer]++
		for k := a.next; k < a.to; k++ {
			carriers[k]++
		}
		if a.check >= 0 {
			check[a.check] = true
		}
	}
	doubles, nDone, racked := 0, 0, 0
	var count [levels]int
	for i := range p.n {
		copies := 0
		for _, q := range p.peers {
			if !q.origin && q.have.has(i) {
				copies++
			}
		}
		if carriers[i] == 2 {
			doubles++
		}
		if p.state[i] == done {
			nDone++
		}
		on := p.rack.has(i)
		if on {
			racked++
			count[rarity(p.copies[i])]++
		}
		if carriers[i] != p.carriers[i] || carriers[i] > 2 || copies != int(p.copies[i]) || on != (p.state[i] == wanted) || on != p.rack.level[rarity(p.copies[i])].has(i) ||
			on && carriers[i] != 0 || p.state[i] == flying && carriers[i] == 0 || (p.state[i] == checking) != check[i] {
			return fmt.Errorf("piece %d: state %d, on the rack %v, carriers %d and %d, copies %d and %d", i, p.state[i], on, p.carriers[i], carriers[i], p.copies[i], copies)
		}
	}
	if inUse != p.flying || doubles != p.doubles || nDone != p.sum.Done || racked != p.rack.total || count != p.rack.count || inUse > p.cfg.Lanes {
		return fmt.Errorf("flying %d and %d, doubles %d and %d, done %d and %d, rack %d and %d", p.flying, inUse, p.doubles, doubles, p.sum.Done, nDone, p.rack.total, racked)
	}
	for _, q := range p.peers {
		useful := 0
		for i := range p.n {
			if !q.origin && q.have.has(i) && p.rack.has(i) {
				useful++
			}
		}
		if useful != q.useful || q.flying != flyingOf[q] {
			return fmt.Errorf("peer %v: useful %d and %d, flying %d and %d", q.id.Short(), q.useful, useful, q.flying, flyingOf[q])
		}
	}
	return nil
}

func TestOutcomes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		how   Outcome
		retry time.Duration
		rest  time.Duration // until it is asked again
		again bool
	}{
		{"busy", Busy, 300 * time.Millisecond, 300 * time.Millisecond, true},
		{"busy, come at once", Busy, 0, 2 * minRetry, true},
		{"busy, come next year", Busy, 365 * 24 * time.Hour, maxRetry, true},
		{"away", Away, 0, shortRest, true},
		{"nothing, and no reason", Served, 0, shortRest, true},
		{"has it not", Gone, 0, shortRest, true},
		{"nonsense", Broken, 0, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := New(Config{Size: 8 * content.PieceSize, Self: dev(100), Lanes: 1})
			p.Join(dev(1), false, t0)
			p.Join(dev(2), false, t0)
			for i := range 8 {
				p.Have(dev(1), i)
			}
			a := mustNext(t, p, t0)
			p.End(a.ID, tt.how, tt.retry, t0)
			if tt.how == Gone && p.byID[dev(1)].have.has(a.From) {
				t.Error("it is still believed to have the piece")
			}
			if err := p.audit(); err != nil {
				t.Error(err)
			}
			noNext(t, p, t0)
			if !tt.again {
				noNext(t, p, t0.Add(48*time.Hour))
				return
			}
			noNext(t, p, t0.Add(tt.rest-time.Millisecond))
			if at, ok := p.Wake(t0); !ok || at.After(t0.Add(tt.rest)) {
				t.Errorf("wakes %v later, %v", at.Sub(t0), ok)
			}
			mustNext(t, p, t0.Add(tt.rest))
		})
	}
}

func TestLies(t *testing.T) {
	p := newPlan(64)
	p.Join(dev(1), false, t0)
	p.Join(dev(2), false, t0)
	now := t0
	if err := p.Map(dev(1), []byte{255, 255, 255, 255, 255, 255, 255, 255}); err != nil {
		t.Fatal(err)
	}
	for range liesMost {
		now = now.Add(time.Minute)
		a := mustNext(t, p, now)
		p.End(a.ID, Gone, 0, now)
	}
	noNext(t, p, now.Add(time.Hour))
	if s := p.Progress(); s.Banned != 1 || s.Lies != liesMost || s.Missing != 64 {
		t.Errorf("%+v", s)
	}
}

func TestStalled(t *testing.T) {
	p := newPlan(64)
	p.Join(dev(1), true, t0)
	p.Join(dev(2), false, t0)
	a := mustNext(t, p, t0)
	p.Moved(a.ID, 1<<18, t0.Add(time.Second))
	if got := p.Overdue(t0.Add(stall), nil); got != nil {
		t.Errorf("broken off %v too early", got)
	}
	now := t0.Add(time.Second + stall)
	if got := p.Overdue(now, nil); !slices.Equal(got, []uint64{a.ID}) {
		t.Errorf("to be broken off: %v", got)
	}
	if got := p.Overdue(now, nil); got != nil {
		t.Errorf("named twice: %v", got)
	}
	p.End(a.ID, Served, 0, now)
	if s := p.Progress(); s.TimeOuts != 1 || s.Wasted != 1<<18 || s.Twice != 0 {
		t.Errorf("%+v", s)
	}
	p = newPlan(64)
	p.Join(dev(1), true, t0)
	mustNext(t, p, t0)
	if p.Overdue(t0.Add(soleStall-1), nil) != nil || len(p.Overdue(t0.Add(soleStall), nil)) != 1 {
		t.Error("an only source has 30 s")
	}
}

// TestCrawling has a peer send a byte now and then while it is in the way of others.
func TestCrawling(t *testing.T) {
	for _, lanes := range []int{1, 2} {
		p := New(Config{Size: 64 * content.PieceSize, Self: dev(100), Lanes: lanes})
		for k := range byte(2) {
			p.Join(dev(k), false, t0)
			for i := range 64 {
				p.Have(dev(k), i)
			}
		}
		bring(t, p, mustNext(t, p, t0), t0, t0.Add(100*time.Millisecond))
		a := mustNext(t, p, t0)
		for s := range 30 {
			now := t0.Add(time.Duration(s) * time.Second)
			p.Moved(a.ID, 1, now)
			if got := p.Overdue(now, nil); got != nil {
				t.Errorf("broken off after %d s", s)
			}
		}
		if got := p.Overdue(t0.Add(soleStall), nil); (len(got) == 1) != (lanes == 1) {
			t.Errorf("with %d lanes, of which one crawls, %d are broken off", lanes, len(got))
		}
	}
}

func TestStanding(t *testing.T) {
	s := NewStanding()
	id := dev(1)
	at := func(sec int) time.Time { return t0.Add(time.Duration(sec) * time.Second) }
	for _, sec := range []int{0, 1, 10, 400, 500} { // the second is the same silence; the first two are long past with the last
		s.TimedOut(id, at(sec))
	}
	if r := s.Rest(id, at(500)); !r.IsZero() {
		t.Errorf("rests till %v", r.Sub(t0))
	}
	s.TimedOut(id, at(600))
	if r := s.Rest(id, at(601)); r != at(660) {
		t.Errorf("rests till %v, want 660 s", r.Sub(t0))
	}
	for _, sec := range []int{700, 710, 720} {
		s.TimedOut(id, at(sec))
	}
	if r := s.Rest(id, at(721)); r != at(840) {
		t.Errorf("rests till %v, want 840 s: twice as long", r.Sub(t0))
	}
	s.Served(id, 1000, 50, at(850))
	s.Served(id, 1000, 100, at(851))
	if got := s.Rate(id); got != 65 {
		t.Errorf("rate %v, want 65", got)
	}
	kept := NewStanding(s.Records(at(900))...)
	if kept.Rest(id, at(721)) != at(840) || kept.Rate(id) != 65 || len(kept.Records(at(91*24*3600))) != 0 {
		t.Error("not the same after a restart, or kept for ever")
	}
	for i := range transfer.MaxConduct + 10 {
		s.Bad(discovery.DeviceID{2, byte(i), byte(i >> 8)}, at(1000+i))
	}
	if n := len(s.records); n != transfer.MaxConduct || s.records[id] != nil {
		t.Errorf("%d records, the oldest among them: %v", n, s.records[id] != nil)
	}
}

// TestAnyOrder calls a plan in any order, with numbers of requests that are over and pieces that cannot be: its books stay right, and it never asks for what it has.
func TestAnyOrder(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		n := 1 + r.IntN(150)
		p := New(Config{Size: int64(n)*content.PieceSize - int64(r.IntN(content.PieceSize)), Self: dev(100), Seed: seed, Lanes: r.IntN(20)})
		now := t0
		ids := []uint64{0, 1, 1 << 40}
		for range 400 {
			now = now.Add(time.Duration(r.IntN(1000)) * time.Millisecond)
			d, id, piece := dev(byte(r.IntN(6))), ids[r.IntN(len(ids))], r.IntN(n+4)-2
			switch r.IntN(16) {
			case 0:
				p.Join(d, d == dev(0), now)
			case 1:
				if r.IntN(4) == 0 {
					p.Leave(d)
				}
			case 2, 3, 4:
				if err := p.Have(d, piece); (err == nil) != (piece >= 0 && piece < n) {
					t.Fatal(err)
				}
			case 5:
				p.Advise(d, Advice{Runs: []Run{{piece, piece + r.IntN(5)}, {piece - 3, piece}}, Open: r.IntN(2) == 0, Alone: r.IntN(2) == 0})
			case 6:
				p.Mark(piece)
			case 7, 8, 9:
				if a, ok := p.Next(now); ok {
					ids = append(ids, a.ID)
					for i := a.From; i < a.To; i++ {
						if p.Has(i) || a.To > n {
							t.Fatalf("asks for %v of %d pieces, %d is there", a.Run, n, i)
						}
					}
				}
			case 10:
				p.Moved(id, int64(r.IntN(1<<20)), now)
			case 11, 12:
				p.Whole(id)
			case 13:
				p.Good(id)
			case 14:
				if r.IntN(8) == 0 {
					p.Bad(id, now)
				}
				p.Overdue(now, nil)
			case 15:
				p.End(id, Outcome(r.IntN(7)), time.Duration(r.IntN(1<<40))-1<<39, now)
			}
			if err := p.audit(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
	}
}
