package swarm

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/share/content"
)

// midway makes a plan for 10 GiB that is half done, among peers that have some of it.
func midway(peers, lanes int) *Plan {
	const pieces = 10_240
	r := rand.New(rand.NewPCG(1, uint64(peers)))
	p := New(Config{Size: pieces * content.PieceSize, Self: dev(100), Seed: 1, Lanes: lanes})
	p.Join(dev(200), true, t0)
	p.Advise(dev(200), Advice{Open: true})
	for i := range pieces {
		if r.IntN(2) == 0 {
			p.Mark(i)
		}
	}
	for k := range peers {
		id := discovery.DeviceID{1, byte(k), byte(k >> 8)}
		p.Join(id, false, t0)
		for i := range pieces {
			if r.IntN(3) == 0 {
				_ = p.Have(id, i)
			}
		}
		p.byID[id].rate = float64((1 + r.IntN(20)) << 20)
	}
	return p
}

// cycle is one request as the plan sees it, but for the pieces: asked, and given back.
func cycle(p *Plan, now time.Time) bool {
	a, ok := p.Next(now)
	if ok {
		p.End(a.ID, Served, 0, now)
		p.byID[a.Peer].rest = time.Time{}
		p.byID[a.Peer].fails = 0
	}
	return ok
}

func BenchmarkNext(b *testing.B) {
	for _, peers := range []int{8, 200} {
		b.Run(fmt.Sprintf("peers=%d", peers), func(b *testing.B) {
			p := midway(peers, 12)
			for range 11 { // the others
				p.Next(t0)
			}
			b.ReportAllocs()
			for b.Loop() {
				if !cycle(p, t0) {
					b.Fatal("nothing to ask for")
				}
			}
		})
		b.Run(fmt.Sprintf("peers=%d,nothing", peers), func(b *testing.B) { // nobody has anything more, all could take over
			p := midway(peers, 12)
			for range 11 {
				p.Next(t0)
			}
			for _, q := range p.peers {
				q.useful = 0
			}
			p.rack.total = 0
			for k := range p.asks {
				p.asks[k].to = p.asks[k].next + 1
			}
			p.sum.Twice = p.cfg.Size
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := p.Next(t0); ok {
					b.Fatal("something to ask for")
				}
			}
		})
	}
}

func BenchmarkHave(b *testing.B) {
	p := midway(200, 12)
	id := discovery.DeviceID{1}
	q := p.byID[id]
	for i := 0; b.Loop(); i++ {
		k := i % p.n
		if q.have.has(k) {
			p.lacks(q, k)
		} else {
			_ = p.Have(id, k)
		}
	}
}

// TestNextCost holds Next to what it may cost: no memory, and at most 20 µs among 200 peers with 10,240 pieces.
func TestNextCost(t *testing.T) {
	p := midway(200, 12)
	for range 11 {
		p.Next(t0)
	}
	if n := testing.AllocsPerRun(1000, func() { cycle(p, t0) }); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
	best := time.Hour
	for range 20 { // the best of some: others use this computer too
		const n = 200
		start := time.Now()
		for range n {
			cycle(p, t0)
		}
		best = min(best, time.Since(start)/n)
	}
	t.Logf("%v a request", best)
	if !raceEnabled && best > 20*time.Microsecond {
		t.Errorf("%v a request, more than 20µs", best)
	}
}
