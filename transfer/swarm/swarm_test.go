package swarm

import (
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
	"time"
)

// bound is how long it takes at least: the content once over one link.
func (w *world) bound() time.Duration {
	return time.Duration(float64(w.size) / w.origin.up.cap * float64(time.Second))
}

// lan makes an origin and receivers with equal links.
func lan(t testing.TB, seed uint64, size int64, receivers int, rate float64) *world {
	w := newWorld(t, seed, size)
	for range receivers + 1 {
		w.add(rate, rate)
	}
	if receivers > 30 {
		w.quantum = 4 * time.Millisecond
	}
	return w
}

func (w *world) startAll() {
	for _, h := range w.hosts {
		h.start()
	}
}

// ratio runs the world and returns the time of the last receiver as a multiple of the bound, and of the mean one.
func (w *world) ratio() (last, mean float64) {
	w.t.Helper()
	if !w.run(20 * w.bound()) {
		w.t.FailNow()
	}
	w.checkWhole()
	m, l := w.times()
	return float64(l) / float64(w.bound()), float64(m) / float64(w.bound())
}

// checkWhole checks what must hold after every run: everybody has everything that is left, and nobody verified anything twice.
func (w *world) checkWhole() {
	w.t.Helper()
	for _, h := range w.hosts[1:] {
		for i, ok := range h.kept {
			if h.lost {
				break
			}
			if !ok && !w.origin.alive && w.gone(i) {
				continue
			}
			if !ok || h.verified[i] != 1 {
				w.t.Errorf("host %d, piece %d: there %v, verified %d times", h.i, i, ok, h.verified[i])
			}
		}
	}
}

// gone reports whether nobody who is still there has a piece.
func (w *world) gone(i int) bool {
	return !slices.ContainsFunc(w.hosts[1:], func(h *host) bool { return !h.lost && h.kept[i] })
}

// waste is the share of what was received that had come already, or came from two.
func (w *world) waste() float64 {
	s := w.totals()
	return float64(s.Twice) / float64(s.Received)
}

// crowdBound is what the last of n receivers may take, as a multiple of the content once over one link. Pieces go on when they are whole, over about log2 n hosts, eight
// at a time: that delay is the same whatever the size, so it weighs most where the pieces are few.
func crowdBound(n, pieces int) float64 {
	p := float64(pieces)
	return 1.06 + 11*math.Log2(float64(n+1))/p*(1+32/p)
}

func TestCrowd(t *testing.T) {
	type row struct {
		n    int
		size int64
		rate float64
	}
	rows := []row{{1, 256 * mib, 200}, {2, 256 * mib, 200}, {3, 256 * mib, 200}, {7, 256 * mib, 200}, {7, 1024 * mib, 1000},
		{15, 256 * mib, 200}, {31, 256 * mib, 200}, {59, 128 * mib, 200}, {199, 48 * mib, 200}}
	if os.Getenv("PORCHLIGHT_SEEDS") != "" {
		rows = append(rows, row{59, 256 * mib, 200}, row{199, 256 * mib, 200})
	}
	for _, r := range rows {
		w := lan(t, uint64(r.n), r.size, r.n, r.rate*mbit)
		w.startAll()
		last, mean := w.ratio()
		most := crowdBound(r.n, w.n)
		s := w.totals()
		copies := float64(w.origin.sent) / float64(r.size)
		t.Logf("%3d receivers, %d MiB: last %.3f of at most %.3f, mean %.3f; origin sent %.2f, twice %.4f, doubled %d, taken over %d", r.n, r.size/mib, last, most, mean,
			copies, w.waste(), s.Doubled, s.TakenOver)
		if last > most || w.waste() > 0.02 || copies > most {
			t.Errorf("%d receivers: last %.3f of at most %.3f, twice %.4f, origin sent %.2f", r.n, last, most, w.waste(), copies)
		}
	}
}

// TestSeven holds the bar: one source, seven receivers, every host 200 Mbit/s.
func TestSeven(t *testing.T) {
	const bar = 1.15
	for _, tt := range []struct {
		name string
		with func(*world)
		bar  float64
	}{
		{"as designed", func(*world) {}, bar},
		{"slow news", func(w *world) { w.news = 250 * time.Millisecond }, bar},
		{"far apart", func(w *world) { w.latency = 10 * time.Millisecond }, bar},
		{"no advice", func(w *world) { w.noAdvice = true }, 1.35},
	} {
		var worst, twice, copies float64
		for seed := range uint64(8) {
			w := lan(t, seed, 256*mib, 7, 200*mbit)
			tt.with(w)
			w.startAll()
			last, _ := w.ratio()
			worst, twice, copies = max(worst, last), max(twice, w.waste()), max(copies, float64(w.origin.sent)/float64(w.size))
		}
		t.Logf("%s: last %.3f of at most %.2f, twice %.4f, origin sent %.2f", tt.name, worst, tt.bar, twice, copies)
		if worst > tt.bar || twice > 0.02 {
			t.Errorf("%s: last %.3f of at most %.2f, twice %.4f", tt.name, worst, tt.bar, twice)
		}
	}
}

// TestOneAfterAnother has receivers come while others are at it.
func TestOneAfterAnother(t *testing.T) {
	w := lan(t, 3, 256*mib, 7, 200*mbit)
	w.origin.start()
	for i, h := range w.hosts[1:] {
		w.after(time.Duration(i)*2*time.Second, h.start)
	}
	last, mean := w.ratio()
	t.Logf("last %.3f, mean %.3f; origin sent %.2f, twice %.4f", last, mean, float64(w.origin.sent)/float64(w.size), w.waste())
	if last > 1.35 || w.waste() > 0.02 {
		t.Errorf("last %.3f, twice %.4f", last, w.waste())
	}
}

// TestChurn kills one of seven receivers every 3 s, starts it again, and takes the source away when it has sent 1.2 copies, or exactly what was wanted of it.
func TestChurn(t *testing.T) {
	for _, copies := range []float64{1.2, 1.02} {
		var worst, twice float64
		kills, left := 0, 0
		for seed := range uint64(8) {
			w := lan(t, seed, 256*mib, 7, 200*mbit)
			w.copies = copies
			w.startAll()
			var next func()
			next = func() {
				if h := w.hosts[1+w.rng.IntN(7)]; h.alive {
					kills++
					h.kill()
					w.after(500*time.Millisecond, h.start)
				}
				w.after(3*time.Second, next)
			}
			w.after(3*time.Second, next)
			last, _ := w.ratio()
			worst, twice = max(worst, last), max(twice, w.waste())
			if !w.origin.alive {
				left++
			}
			if slices.ContainsFunc(w.hosts[1:], func(h *host) bool { return slices.Contains(h.kept, false) }) {
				t.Errorf("source gone after %.2f copies, seed %d: not everybody has everything", copies, seed)
			}
		}
		t.Logf("source gone after %.2f copies (in %d of 8 runs): last %.3f, twice %.4f, %d kills", copies, left, worst, twice, kills)
		if worst > 1.6 || twice > 0.02 {
			t.Errorf("source gone after %.2f copies: last %.3f, twice %.4f", copies, worst, twice)
		}
	}
}

// TestOneOfFourBad has one receiver and four helpers that have everything, three of which are enough to fill its link.
func TestOneOfFourBad(t *testing.T) {
	run := func(seed uint64, f fault) (time.Duration, *world) {
		w := newWorld(t, seed, 256*mib)
		w.add(200*mbit, 200*mbit) // the origin, which is away
		r := w.add(200*mbit, 200*mbit)
		for k := range 4 {
			h := w.add(80*mbit, 80*mbit)
			for i := range h.kept {
				h.kept[i], h.verified[i] = true, 1
			}
			if k == 0 {
				h.fault = f
			}
		}
		for _, h := range w.hosts[1:] {
			h.start()
		}
		if !w.run(time.Hour) {
			t.FailNow()
		}
		w.checkWhole()
		return r.took, w
	}
	for _, tt := range []struct {
		name   string
		fault  fault
		banned int
	}{
		{"one piece in 100 is bad", fault{badEvery: 100}, -1},
		{"every piece is bad", fault{badEvery: 1}, 1},
		{"sends nothing", fault{stall: true}, 0},
		{"stops sending", fault{mute: 20}, 0},
		{"wrong length, or a layer that does not fit", fault{broken: true}, 1},
	} {
		var worst, twice float64
		for seed := range uint64(10) {
			good, _ := run(seed, fault{})
			bad, w := run(seed, tt.fault)
			worst, twice = max(worst, float64(bad)/float64(good)-1), max(twice, w.waste())
			if p := w.hosts[1].plan.Progress(); tt.banned >= 0 && p.Banned != tt.banned || p.Banned > 1 {
				t.Errorf("%s: %+v", tt.name, p)
			}
		}
		t.Logf("%s: %.2f %% more time, twice %.4f", tt.name, 100*worst, twice)
		if worst > 0.02 || twice > 0.02 {
			t.Errorf("%s: %.2f %% more time, twice %.4f", tt.name, 100*worst, twice)
		}
	}
}

// TestSame checks that the same seed gives the same run: what a test found can be looked at again.
func TestSame(t *testing.T) {
	run := func() string {
		w := randomWorld(t, 77)
		w.run(10 * time.Minute)
		_, last := w.times()
		return fmt.Sprint(w.steps, w.now, last, w.totals())
	}
	if a, b := run(), run(); a != b {
		t.Errorf("one seed, two runs:\n%s\n%s", a, b)
	}
}
