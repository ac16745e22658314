package swarm

import (
	"errors"
	"slices"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/share/content"
	"porchlight/transfer"
)

var t0 = epoch

func dev(n byte) discovery.DeviceID { return discovery.DeviceID{n} }

// newPlan makes a plan for so many whole pieces.
func newPlan(pieces int) *Plan {
	return New(Config{Size: int64(pieces) * content.PieceSize, Self: dev(100), Seed: 7})
}

func mustNext(t *testing.T, p *Plan, now time.Time) Ask {
	t.Helper()
	a, ok := p.Next(now)
	if !ok {
		t.Fatal("nothing to ask for")
	}
	return a
}

func noNext(t *testing.T, p *Plan, now time.Time) {
	t.Helper()
	if a, ok := p.Next(now); ok {
		t.Fatalf("asks for %+v", a)
	}
}

// bring has all pieces of a request arrive in a span of time, and ends it.
func bring(t *testing.T, p *Plan, a Ask, from, to time.Time) {
	t.Helper()
	n := a.To - a.From
	for k := range n {
		p.Moved(a.ID, p.length(a.From+k), from.Add(to.Sub(from)*time.Duration(k+1)/time.Duration(n)))
		i, verify := p.Whole(a.ID)
		if i != a.From+k || !verify {
			t.Fatalf("piece %d of %v: %d, %v", k, a.Run, i, verify)
		}
		p.Good(a.ID)
	}
	p.End(a.ID, Served, 0, to)
}

func TestOneSource(t *testing.T) {
	p := New(Config{Size: 40*content.PieceSize + 5, Self: dev(100)})
	p.Mark(1)
	if !p.Join(dev(1), true, t0) {
		t.Fatal("not taken")
	}
	now, next := t0, 0
	var lengths []int
	for !p.Done() {
		var asks []Ask
		for a, ok := p.Next(now); ok; a, ok = p.Next(now) {
			asks = append(asks, a)
		}
		if len(asks) == 0 || len(asks) > soleLanes {
			t.Fatalf("%d requests at a time", len(asks))
		}
		for _, a := range asks {
			if next == 1 {
				next = 2
			}
			if a.From != next {
				t.Fatalf("asks for %v, %d is next", a.Run, next)
			}
			next = a.To
			lengths = append(lengths, a.To-a.From)
			bring(t, p, a, now, now.Add(time.Duration(a.To-a.From)*100*time.Millisecond)) // 10 MiB/s
		}
		now = now.Add(time.Second)
	}
	if slices.Max(lengths) < 8 || lengths[len(lengths)-1] > 2 {
		t.Errorf("lengths %v: want about a second of data, and little at the end", lengths)
	}
	if s := p.Progress(); s.Bytes != 40*content.PieceSize+5 || s.Origin != 39*content.PieceSize+5 || s.Received != s.Origin || s.Wasted != 0 || s.Flying != 0 {
		t.Errorf("%+v", s)
	}
	a := Ask{Run: Run{39, 41}}
	if got, want := a.Range(p.cfg.Size), (transfer.Range{Off: 39 * content.PieceSize, Len: content.PieceSize + 5}); got != want {
		t.Errorf("range %v, want %v", got, want)
	}
}

func TestRarestFirst(t *testing.T) {
	p := newPlan(64)
	for k := range byte(3) {
		p.Join(dev(k), false, t0)
	}
	for i := range 64 {
		p.Have(dev(0), i)
		if i != 40 && i != 41 {
			p.Have(dev(1), i)
			if i < 20 || i > 22 {
				p.Have(dev(2), i)
			}
		}
	}
	p.byID[dev(1)].rest, p.byID[dev(2)].rest = t0.Add(time.Hour), t0.Add(time.Hour)
	p.byID[dev(0)].rate = 100 << 20
	if a := mustNext(t, p, t0); a.Run != (Run{40, 42}) && a.Run != (Run{41, 42}) {
		t.Errorf("asks for %v, pieces 40 and 41 are the rarest", a.Run)
	}
	if a := mustNext(t, p, t0); a.From < 20 || a.To > 23 {
		if a.From != 40 {
			t.Errorf("asks for %v, pieces 20 to 22 are the next rarest", a.Run)
		}
	}
}

func TestLeastBusy(t *testing.T) {
	p := newPlan(64)
	for k := range byte(3) {
		p.Join(dev(k), false, t0)
		for i := range 64 {
			p.Have(dev(k), i)
		}
	}
	seen := map[discovery.DeviceID]int{}
	pieces := map[int]bool{}
	for range 3 {
		a := mustNext(t, p, t0)
		seen[a.Peer]++
		pieces[a.From] = true
	}
	if len(seen) != 3 || len(pieces) != 3 {
		t.Errorf("three requests to %v for %v", seen, pieces)
	}
	for range 3 {
		mustNext(t, p, t0)
	}
	noNext(t, p, t0) // two at a time of each
	p = newPlan(64)
	var order []discovery.DeviceID
	for k := range byte(3) {
		p.Join(dev(k), false, t0)
		for i := range 64 {
			p.Have(dev(k), i)
		}
	}
	for range 6 {
		a := mustNext(t, p, t0)
		order = append(order, a.Peer)
		p.End(a.ID, Busy, 0, t0)
		p.byID[a.Peer].rest = time.Time{}
	}
	if !slices.Equal(order[:3], order[3:]) || order[0] == order[1] || order[1] == order[2] || order[0] == order[2] {
		t.Errorf("equals are not asked in turn: %v", order)
	}
}

func TestAdvice(t *testing.T) {
	p := newPlan(64)
	p.Join(dev(1), true, t0)
	p.Join(dev(2), false, t0)
	p.Advise(dev(1), Advice{Runs: []Run{{-1, 3}, {5, 5}, {60, 65}, {9, 10}, {4, 6}}})
	for _, want := range []int{9, 4} {
		if a := mustNext(t, p, t0); a.From != want || a.Peer != dev(1) {
			t.Errorf("asks for %+v, advised was %d", a, want)
		}
	}
	noNext(t, p, t0.Add(time.Hour)) // two at a time
	p = newPlan(64)
	p.Join(dev(1), true, t0)
	p.Join(dev(2), false, t0)
	p.Advise(dev(1), Advice{Runs: []Run{{9, 10}}})
	a := mustNext(t, p, t0)
	bring(t, p, a, t0, t0.Add(time.Millisecond))
	noNext(t, p, t0.Add(time.Second)) // the rest is on its way to others
	mustNext(t, p, t0.Add(quiet+time.Second))
	p.Advise(dev(1), Advice{Open: true})
	p.Have(dev(2), 3)
	p.byID[dev(2)].rest = t0.Add(time.Hour)
	if a := mustNext(t, p, t0.Add(time.Second)); a.From != 3 || a.Peer != dev(1) {
		t.Errorf("asks for %+v; an open origin gives what others are too busy to give", a)
	}
}

func TestOwnPlaces(t *testing.T) {
	taken := map[int]bool{}
	for self := range byte(4) { // of an origin that gives no advice
		p := New(Config{Size: 64 * content.PieceSize, Self: dev(self)})
		p.Join(dev(9), true, t0)
		for k := range byte(4) {
			p.Join(dev(k), false, t0)
		}
		for range 2 {
			taken[mustNext(t, p, t0).From] = true
		}
	}
	for _, i := range []int{0, 1, 16, 17, 32, 33, 48, 49} {
		if !taken[i] {
			t.Errorf("four receivers begin at %v", taken)
			break
		}
	}
}

func TestTakeOver(t *testing.T) {
	p := newPlan(16)
	p.Join(dev(1), true, t0)
	slow := mustNext(t, p, t0) // 4 pieces, its rate unknown
	p.Moved(slow.ID, 1<<20, t0.Add(time.Second))
	for i := range 16 {
		if i < slow.From || i >= slow.To {
			p.Mark(i)
		}
	}
	p.Join(dev(2), false, t0)
	for i := range 16 {
		p.Have(dev(2), i)
	}
	p.byID[dev(2)].rate = 20 << 20
	p.byID[dev(1)].rate = 1 << 20
	a := mustNext(t, p, t0.Add(time.Second))
	if a.Peer != dev(2) || a.To != slow.To || a.From <= slow.From || p.Progress().TakenOver != a.To-a.From {
		t.Fatalf("the fast one is asked for %+v of %+v", a, slow)
	}
	bring(t, p, a, t0.Add(time.Second), t0.Add(1100*time.Millisecond))
	for range 2 { // all that the slow one has not begun
		if a, ok := p.Next(t0.Add(1100 * time.Millisecond)); ok && a.From > slow.From {
			bring(t, p, a, t0.Add(1100*time.Millisecond), t0.Add(1150*time.Millisecond))
		}
	}
	if _, ok := p.Whole(slow.ID); !ok {
		t.Error("what the slow one has begun is its own")
	}
	p.Good(slow.ID)
	if p.More(slow.ID) || !p.Done() {
		t.Errorf("more of the slow one: %v, done %v", p.More(slow.ID), p.Done())
	}
}

func TestDoubled(t *testing.T) {
	p := newPlan(200)
	for i := range 199 {
		p.Mark(i)
	}
	for k := range byte(2) {
		p.Join(dev(k), false, t0)
		p.Have(dev(k), 199)
	}
	first := mustNext(t, p, t0)
	noNext(t, p, t0.Add(10*time.Millisecond)) // the other is not faster
	p.Moved(first.ID, 1000, t0.Add(time.Second))
	second := mustNext(t, p, t0.Add(time.Second))
	if second.Peer == first.Peer || second.Run != first.Run {
		t.Fatalf("%+v after %+v", second, first)
	}
	p.Moved(second.ID, content.PieceSize, t0.Add(time.Second))
	if _, ok := p.Whole(second.ID); !ok {
		t.Fatal("not to be verified")
	}
	late := *p // as if the first came now
	late.asks, late.state, late.carriers = slices.Clone(p.asks), slices.Clone(p.state), slices.Clone(p.carriers)
	if _, ok := late.Whole(first.ID); ok || late.sum.Twice != content.PieceSize {
		t.Errorf("verified twice, or not counted: %d", late.sum.Twice)
	}
	p.Good(second.ID)
	if p.More(first.ID) || !slices.Equal(p.Overdue(t0.Add(time.Second), nil), []uint64{first.ID}) {
		t.Error("the first is not told to stop")
	}
	p.End(first.ID, Served, 0, t0.Add(time.Second))
	if s := p.Progress(); !p.Done() || s.Doubled != 1 || s.Twice != 1000 || s.Wasted != 1000 || p.doubles != 0 {
		t.Errorf("%+v", s)
	}
}

// TestDoublesAreFew has everything left be under way to slow peers, with a fast one free.
func TestDoublesAreFew(t *testing.T) {
	p := newPlan(1000)
	for i := range 1000 - 6 {
		p.Mark(i)
	}
	for k := range byte(6) {
		p.Join(dev(k), false, t0)
		for i := 994; i < 1000; i++ {
			p.Have(dev(k), i)
		}
		mustNext(t, p, t0)
	}
	for k := range byte(6) {
		p.Join(dev(50+k), false, t0)
		for i := 994; i < 1000; i++ {
			p.Have(dev(50+k), i)
		}
		p.byID[dev(50+k)].rate = 100 << 20
	}
	n := 0
	for _, ok := p.Next(t0.Add(time.Second)); ok; _, ok = p.Next(t0.Add(time.Second)) {
		n++
	}
	if n != endDoubles || p.Progress().Doubled != n {
		t.Errorf("%d pieces are asked of two, want %d", n, endDoubles)
	}
}

// TestFailedLast has a helper that always fails, and an origin that would rather not be asked.
func TestFailedLast(t *testing.T) {
	p := newPlan(64)
	p.Join(dev(9), true, t0)
	p.Advise(dev(9), Advice{Open: true})
	p.Join(dev(1), false, t0)
	for i := range 64 {
		p.Have(dev(1), i)
	}
	now, failed := t0, 0
	for range 20 {
		now = now.Add(time.Minute)
		a := mustNext(t, p, now)
		if a.Peer == dev(1) {
			failed++
			p.End(a.ID, Away, 0, now)
			continue
		}
		bring(t, p, a, now, now.Add(time.Second))
	}
	if failed != 2 {
		t.Errorf("asked %d times of 20, and failed each time; want 2", failed)
	}
}

func TestBadPiece(t *testing.T) {
	st := NewStanding()
	p := New(Config{Size: 8 * content.PieceSize, Self: dev(100), Standing: st})
	p.Join(dev(1), false, t0)
	p.Join(dev(2), false, t0)
	for i := range 8 {
		p.Have(dev(1), i)
	}
	a, b := mustNext(t, p, t0), mustNext(t, p, t0)
	p.Moved(a.ID, content.PieceSize, t0)
	i, _ := p.Whole(a.ID)
	p.Bad(a.ID, t0)
	if got := p.Overdue(t0, nil); !slices.Equal(got, []uint64{b.ID}) {
		t.Errorf("to be broken off: %v, want %d", got, b.ID)
	}
	p.End(b.ID, Served, 0, t0)
	noNext(t, p, t0)
	if p.Join(dev(1), false, t0) || p.Has(i) || !p.Stuck() {
		t.Error("it may come back, or the piece counts")
	}
	if s := p.Progress(); s.Bad != 1 || s.Banned != 1 || s.Missing != 8 || s.Wasted != content.PieceSize {
		t.Errorf("%+v", s)
	}
	for range 2 {
		if !st.MayHelp(dev(1), t0) {
			t.Error("no helper after less than three")
		}
		st.Bad(dev(1), t0)
	}
	if st.MayHelp(dev(1), t0) || !st.MayHelp(dev(1), t0.Add(25*time.Hour)) {
		t.Error("three in an hour mean a day")
	}
	q := New(Config{Size: 8 * content.PieceSize, Self: dev(100), Standing: st})
	if q.Join(dev(1), false, t0) || !q.Join(dev(1), true, t0) {
		t.Error("it may not help, and still be an origin")
	}
}

func TestMap(t *testing.T) {
	p := newPlan(12)
	p.Join(dev(1), false, t0)
	for _, tt := range []struct {
		m  []byte
		ok bool
	}{{[]byte{0x80, 0x10}, true}, {[]byte{0x80}, false}, {[]byte{0x80, 0x10, 0}, false}, {[]byte{0x80, 0x18}, false}, {nil, false}} {
		if err := p.Map(dev(1), tt.m); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrMap) {
			t.Errorf("%x: %v", tt.m, err)
		}
	}
	if q := p.byID[dev(1)]; !q.have.has(0) || !q.have.has(11) || q.useful != 2 || p.rack.count[1] != 2 {
		t.Errorf("useful %d, of one copy %d", q.useful, p.rack.count[1])
	}
	if err := p.Map(dev(1), []byte{0, 0x10}); err != nil || p.rack.count[1] != 1 {
		t.Error("a smaller map did not count", err)
	}
	for _, i := range []int{-1, 12} {
		if err := p.Have(dev(1), i); !errors.Is(err, ErrMap) {
			t.Errorf("piece %d: %v", i, err)
		}
	}
	for _, i := range []int{0, 9, 11} {
		p.Mark(i)
	}
	if got := p.AppendMap([]byte{7}); !slices.Equal(got, []byte{7, 0x80, 0x50}) {
		t.Errorf("%x", got)
	}
}

func TestBitmap(t *testing.T) {
	const n = 200
	for _, set := range [][]int{{}, {0}, {63, 64}, {5, 70, 128, 199}, {199}, {100, 101, 102}} {
		b := newBitmap(n)
		for _, i := range set {
			b.set(i)
		}
		for from := range n {
			want := -1
			for k := range n {
				if i := (from + k) % n; b.has(i) {
					want = i
					break
				}
			}
			if got := b.first(nil, from); got != want {
				t.Errorf("%v: first from %d is %d, want %d", set, from, got, want)
			}
			for _, to := range []int{from, from + 1, from + 16, from + 64, n} {
				to = min(to, n)
				want := 0
				for i := from; i < to; i++ {
					if b.has(i) {
						want++
					}
				}
				if got := b.count(Run{from, to}); got != want {
					t.Errorf("%v: %d in [%d, %d), want %d", set, got, from, to, want)
				}
			}
		}
	}
}
