package swarm

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// TestRandom runs swarms drawn by lot: whatever they are, they end, everybody has everything that anybody has, no piece is verified twice, and little comes twice.
// PORCHLIGHT_SEEDS=n runs n of them instead of 1,000; PORCHLIGHT_SEED=n runs that one alone and tells what it did.
func TestRandom(t *testing.T) {
	from, seeds := uint64(0), uint64(1000)
	if s := os.Getenv("PORCHLIGHT_SEEDS"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds = n
	}
	if s := os.Getenv("PORCHLIGHT_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		from, seeds = n, 1
	}
	var sum Progress
	for seed := from; seed < from+seeds; seed++ {
		w := randomWorld(t, seed)
		ok := w.run(10 * time.Minute)
		w.checkWhole()
		s := w.totals()
		for _, h := range w.hosts[1:] {
			p := h.sum
			if h.plan != nil {
				p = add(p, h.plan.Progress())
			}
			if most := w.size/wasteShare + int64(h.life)*endDoubles*mib; p.Twice > most {
				t.Errorf("host %d received %d bytes twice, more than %d", h.i, p.Twice, most)
			}
		}
		if sum = add(sum, s); seeds == 1 || t.Failed() || !ok {
			t.Fatalf("seed %d: %d hosts, %d pieces, %v, %d steps, %+v", seed, len(w.hosts), w.n, w.now, w.steps, s)
		}
	}
	t.Logf("%d swarms: %d MiB received, %d twice, %d wasted, %d bad, %d lies, %d time-outs, %d doubled, %d taken over",
		seeds, sum.Received/mib, sum.Twice/mib, sum.Wasted/mib, sum.Bad, sum.Lies, sum.TimeOuts, sum.Doubled, sum.TakenOver)
	if sum.Bad == 0 || sum.Lies == 0 || sum.TimeOuts == 0 || sum.Doubled == 0 || sum.TakenOver == 0 {
		t.Error("something that should have happened now and then never did")
	}
}

// randomWorld draws a swarm. Either the origin stays and some of the others behave badly, or all behave and the origin may go.
func randomWorld(t *testing.T, seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 2))
	w := newWorld(t, seed, int64(1+r.IntN(40))*mib-int64(r.IntN(mib)))
	w.latency = time.Duration(100+r.IntN(10_000)) * time.Microsecond
	w.think = time.Duration(r.IntN(5_000)) * time.Microsecond
	w.quantum = time.Millisecond
	w.noAdvice = r.IntN(4) == 0
	w.audits = seed%8 == 0
	w.slots, w.lanes = 1+r.IntN(8), 1+r.IntN(16)
	rate := func() float64 { return mbit * float64(int(20)<<r.IntN(6)) }
	w.add(rate(), rate())
	w.origin.start()
	hostile := r.IntN(2) == 0
	if !hostile && r.IntN(2) == 0 {
		w.copies = 1 + r.Float64()
	}
	for k := range 1 + r.IntN(9) {
		h := w.add(rate(), rate())
		if hostile && k > 0 && r.IntN(2) == 0 {
			h.fault = [...]fault{{badEvery: 100}, {badEvery: 1}, {stall: true}, {mute: 1 + r.IntN(9)}, {broken: true}, {boast: true}}[r.IntN(6)]
		}
		if k > 0 && r.IntN(4) == 0 { // has some or all of it
			most := r.IntN(2 * w.n)
			for i := range min(most, w.n) {
				h.kept[i], h.verified[i] = true, 1
			}
		}
		w.after(time.Duration(r.IntN(3_000))*time.Millisecond*time.Duration(r.IntN(2)), h.start)
	}
	for range r.IntN(6) {
		h := w.hosts[1+r.IntN(len(w.hosts)-1)]
		w.after(time.Duration(r.IntN(6_000))*time.Millisecond, h.randomly(r.IntN(4)))
	}
	return w
}

// randomly returns something that happens to a host.
func (h *host) randomly(what int) func() {
	w := h.w
	pause := func(h *host) {
		up := h.up.cap
		if up < 100 {
			return
		}
		h.up.cap, w.net.dirty = 1, true
		w.after(time.Duration(w.rng.IntN(20_000))*time.Millisecond, func() { h.up.cap, w.net.dirty = up, true })
	}
	switch what {
	case 0:
		return func() { pause(h) }
	case 1:
		return func() { pause(w.origin) }
	case 2:
		return func() { // gone for good, if somebody is left
			if h.alive && h.i > 1 {
				h.kill()
				h.lost = true
				if h.took == 0 {
					w.ready++
				}
			}
		}
	}
	return func() {
		if h.alive {
			h.kill()
			w.after(time.Duration(w.rng.IntN(2_000))*time.Millisecond, h.start)
		}
	}
}
