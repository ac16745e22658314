package swarm

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/share/content"
)

func TestSeedGivesEachOnce(t *testing.T) {
	const pieces = 200
	s := NewSeed(pieces * content.PieceSize)
	r := rand.New(rand.NewPCG(1, 1))
	for k := range byte(40) {
		s.Join(dev(k))
	}
	given := map[int]int{}
	now := t0
	for range pieces {
		now = now.Add(10 * time.Millisecond)
		d := dev(byte(r.IntN(40)))
		a := s.Advise(d, 1, nil, now, nil)
		if a.Open || a.Alone || len(s.leases) > leaseMost || len(a.Runs) > heldMost {
			t.Fatalf("%+v after %d pieces, %d leases", a, len(given), len(s.leases))
		}
		if len(a.Runs) == 0 { // others hold all that may be held
			continue
		}
		given[a.Runs[0].From]++
		s.Gave(a.Runs[0].From)
	}
	for i, n := range given {
		if n != 1 {
			t.Errorf("piece %d given %d times", i, n)
		}
	}
	// Whoever holds a lease and goes, or does nothing, does not keep it.
	s.Leave(dev(0))
	now = now.Add(lease + 1)
	for d, ok := s.Due(1, now); ok; d, ok = s.Due(1, now) {
		for _, run := range s.Advise(d, 1, nil, now, nil).Runs {
			for i := run.From; i < run.To; i++ {
				given[i]++
				s.Gave(i)
			}
		}
	}
	if len(given) != pieces || !s.Open() {
		t.Errorf("%d of %d pieces given, open %v", len(given), pieces, s.Open())
	}
	for i, n := range given {
		if n != 1 {
			t.Errorf("piece %d given %d times", i, n)
		}
	}
	if a := s.Advise(dev(1), 1, nil, now, nil); len(a.Runs) != 0 || !a.Open {
		t.Errorf("%+v when everything was given", a)
	}
}

func TestSeedAdvice(t *testing.T) {
	s := NewSeed(64 * content.PieceSize)
	s.Join(dev(1))
	if a := s.Advise(dev(1), 4, nil, t0, nil); !a.Alone || !a.Open || len(a.Runs) != 0 {
		t.Errorf("alone: %+v", a)
	}
	s.Join(dev(2))
	if d, ok := s.Due(4, t0); !ok {
		t.Error("nobody is told that there are two now")
	} else if a := s.Advise(d, 4, nil, t0, nil); a.Alone || a.Open || !slices.Equal(a.Runs, []Run{{0, 4}, {4, 8}, {8, 12}}) {
		t.Errorf("%+v", a)
	}
	has := func(i int) bool { return i == 13 }
	a := s.Advise(dev(2), 4, has, t0, nil)
	b := s.Advise(dev(2), 4, has, t0.Add(time.Second), nil)
	if want := []Run{{12, 13}, {14, 18}, {18, 22}, {22, 25}}; !slices.Equal(a.Runs, want) && !slices.Equal(a.Runs, []Run{{0, 4}, {4, 8}, {8, 12}}) || !slices.Equal(a.Runs, b.Runs) {
		t.Errorf("%v, then %v", a.Runs, b.Runs)
	}
	s.Full(dev(2))
	if a := s.Advise(dev(2), 4, nil, t0, nil); len(a.Runs) != 0 {
		t.Errorf("%+v to one that has everything", a)
	}
	if a := s.Advise(dev(3), 4, nil, t0, nil); len(a.Runs) != 0 {
		t.Errorf("%+v to a stranger", a)
	}
	s.Gave(-1)
	s.Gave(64)
	s.Gave(5)
	s.Gave(5)
	if got := s.Given(Run{5, 6}); got != 2 || s.Given(Run{5, 7}) != 0 {
		t.Errorf("given %d times", got)
	}
}

func TestSeedLeases(t *testing.T) {
	s := NewSeed(4 * content.PieceSize)
	for k := range byte(3) {
		s.Join(dev(k))
	}
	first := s.Advise(dev(0), 1, nil, t0, nil).Runs
	if d, ok := s.Due(1, t0); !ok || d == dev(0) {
		t.Errorf("due is %v, %v; the one who was advised most", d.Short(), ok)
	}
	if a := s.Advise(dev(1), 1, nil, t0, nil); len(a.Runs) != 1 || a.Runs[0].From != 3 {
		t.Errorf("%+v, while the first holds %v", a, first)
	}
	if _, ok := s.Due(1, t0); ok {
		t.Error("somebody is due though everything is advised")
	}
	later := t0.Add(lease + 1)
	s.Gave(first[0].From)
	if d, ok := s.Due(1, later); !ok || d != dev(2) {
		t.Errorf("due is %v, %v; the third was advised nothing", d.Short(), ok)
	}
	a := s.Advise(dev(2), 1, nil, later, nil)
	got := []int{}
	for _, r := range a.Runs {
		got = append(got, r.From)
	}
	slices.Sort(got)
	if !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("advised %v after the leases ended, want 1, 2 and 3", got)
	}
}

// TestSeedLeasesAreFew has many receivers who are advised and do not ask yet: what is served late is better advised late.
func TestSeedLeasesAreFew(t *testing.T) {
	s := NewSeed(400 * content.PieceSize)
	for k := range byte(40) {
		s.Join(dev(k))
	}
	runs := 0
	for k := range byte(40) {
		runs += len(s.Advise(dev(k), 2, nil, t0, nil).Runs)
	}
	if runs != leaseMost || len(s.leases) != 2*leaseMost {
		t.Errorf("%d runs of %d pieces are advised, want %d", runs, len(s.leases), leaseMost)
	}
}

func TestNeighbors(t *testing.T) {
	for _, n := range []int{1, 2, 3, 8, 25, 26, 60, 200, 1000} {
		s := NewSeed(content.PieceSize)
		ids := make([]discovery.DeviceID, n)
		for i := range ids {
			ids[i] = discovery.DeviceID{byte(i * 37), byte(i >> 8), byte(i)}
			s.Join(ids[i])
			s.Join(ids[i])
		}
		edges := map[discovery.DeviceID][]discovery.DeviceID{}
		for _, id := range ids {
			edges[id] = s.Neighbors(id, nil)
			if k := len(edges[id]); k != min(n-1, neighbors) || slices.Contains(edges[id], id) {
				t.Fatalf("%d receivers: %d neighbors", n, k)
			}
		}
		oneWay := 0
		for id, others := range edges {
			for _, o := range others {
				if !slices.Contains(edges[o], id) {
					oneWay++
				}
			}
		}
		far, reached := 0, map[discovery.DeviceID]bool{ids[0]: true}
		for front := []discovery.DeviceID{ids[0]}; len(reached) < n; far++ {
			var next []discovery.DeviceID
			for _, id := range front {
				for _, o := range edges[id] {
					if !reached[o] {
						reached[o] = true
						next = append(next, o)
					}
				}
			}
			front = next
		}
		t.Logf("%4d receivers: %d steps to the farthest", n, far)
		if far > 5 || oneWay > 0 {
			t.Errorf("%d receivers: %d steps to the farthest, %d know one who does not know them", n, far, oneWay)
		}
	}
}

func TestAdviceTravels(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Advice
	}{
		{"12-16,40-44;open", Advice{Runs: []Run{{12, 16}, {40, 44}}, Open: true}},
		{";open;alone", Advice{Open: true, Alone: true}},
		{"0-1", Advice{Runs: []Run{{0, 1}}}},
		{";", Advice{}},
	} {
		got, err := ParseAdvice(tt.text)
		if err != nil || !slices.Equal(got.Runs, tt.want.Runs) || got.Open != tt.want.Open || got.Alone != tt.want.Alone {
			t.Errorf("%q: %+v, %v", tt.text, got, err)
		}
		if text := tt.want.String(); text != tt.text {
			t.Errorf("%+v is written %q, want %q", tt.want, text, tt.text)
		}
	}
	if a, err := ParseAdvice("1-2;later;open"); err != nil || !a.Open || len(a.Runs) != 1 {
		t.Errorf("with a word of tomorrow: %+v, %v", a, err)
	}
	if a, err := ParseAdvice(strings.Repeat("1-2,", 100) + "1-2"); err != nil || len(a.Runs) != adviceMost {
		t.Errorf("%d runs, %v", len(a.Runs), err)
	}
	for _, text := range []string{"1", "1-", "-1", "2-1", "1-1", "a-b", "1-2,", "1-99999999999", "+1-2", " 1-2", "0x1-2"} {
		if a, err := ParseAdvice(text); err == nil {
			t.Errorf("%q is %+v", text, a)
		}
	}
}

// TestLost: a piece that turns out to be wrong is wanted again, from whoever has it.
func TestLost(t *testing.T) {
	p := newPlan(4)
	p.Join(dev(1), true, t0)
	for range 4 {
		p.Mark(p.sum.Done)
	}
	p.Lost(2)
	p.Lost(2)
	if err := p.audit(); err != nil || p.Done() || p.Has(2) {
		t.Fatalf("done %v, %v", p.Done(), err)
	}
	if a := mustNext(t, p, t0); a.Run != (Run{2, 3}) {
		t.Errorf("asks for %v", a.Run)
	}
	p = newPlan(4)
	p.Join(dev(1), true, t0)
	a := mustNext(t, p, t0)
	i, _ := p.Whole(a.ID)
	p.Good(a.ID)
	p.Lost(i)
	p.End(a.ID, Served, 0, t0)
	if err := p.audit(); err != nil || p.Has(i) {
		t.Error(err)
	}
}

// TestCareful: while nobody knows whether others pull too, little is asked for at a time, and waiting here is nobody's fault.
func TestCareful(t *testing.T) {
	p := newPlan(64)
	p.Join(dev(1), true, t0)
	p.Careful(Singly)
	a := mustNext(t, p, t0)
	if a.To-a.From != 1 {
		t.Errorf("asks for %v", a.Run)
	}
	late := t0.Add(soleStall - time.Second)
	p.Began(a.ID, late)
	if ids := p.Overdue(late.Add(2*time.Second), nil); ids != nil {
		t.Error("a request that waited here is broken off")
	}
	p.Careful(Freely)
	if a := mustNext(t, p, late); a.To-a.From != soleFirst {
		t.Errorf("asks for %v", a.Run)
	}
}
