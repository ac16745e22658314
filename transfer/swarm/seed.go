package swarm

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"porchlight/discovery"
	"porchlight/share/content"
)

const (
	lease     = 5 * time.Second // a piece advised and not fetched for so long may be advised to another
	neighbors = 24              // receivers that one is told of: all of a small swarm, enough of a large one
	leaseMost = 24              // runs advised and not fetched: three times what is served at a time, so that none waits long
	heldMost  = 3               // of them held by one receiver: two under way, one to go on with
)

// Advice is what an origin would like a receiver to ask of it.
type Advice struct {
	Runs  []Run // first these, in this order
	Open  bool  // then anything: every piece was given to somebody. While it is false, the rest is on its way to others
	Alone bool  // nobody else takes this content: no need to care for others
}

// String writes advice as it travels: "12-16,40-44;open;alone", or ";" when there is nothing to ask for now.
func (a Advice) String() string {
	var b []byte
	for i, r := range a.Runs {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(r.From), 10)
		b = strconv.AppendInt(append(b, '-'), int64(r.To), 10)
	}
	if a.Open {
		b = append(b, ";open"...)
	}
	if a.Alone {
		b = append(b, ";alone"...)
	}
	if len(b) == 0 {
		return ";"
	}
	return string(b)
}

// ParseAdvice reads what String wrote; other words are passed over, and runs beyond those that a Plan keeps. ErrAdvice for anything else.
func ParseAdvice(text string) (a Advice, err error) {
	runs, words, _ := strings.Cut(text, ";")
	for word := range strings.SplitSeq(words, ";") {
		a.Open = a.Open || word == "open"
		a.Alone = a.Alone || word == "alone"
	}
	if runs == "" {
		return a, nil
	}
	for run := range strings.SplitSeq(runs, ",") {
		from, to, ok := strings.Cut(run, "-")
		f, err1 := strconv.ParseUint(from, 10, 31)
		t, err2 := strconv.ParseUint(to, 10, 31)
		if !ok || err1 != nil || err2 != nil || f >= t {
			return Advice{}, fmt.Errorf("%w: run %q", ErrAdvice, run)
		}
		if len(a.Runs) < adviceMost {
			a.Runs = append(a.Runs, Run{int(f), int(t)})
		}
	}
	return a, nil
}

// ErrAdvice says that a text is no advice.
var ErrAdvice = errors.New("not advice")

// Seed is what a serving device remembers of one content: who takes it, how often each piece went out, and what was advised to whom.
// With its advice the origin gives each piece to some receiver before it gives any piece to two. Not safe for concurrent use.
type Seed struct {
	n      int
	given  []uint16
	left   int // pieces never given
	cursor int // all before it was given or advised once
	leases []leased
	spare  []int // pieces whose lease ended unused
	takers []taking
}

// taking is a receiver and the pieces it was advised, ever.
type taking struct {
	device discovery.DeviceID
	got    int
	full   bool // has everything
}

// leased is a piece that a receiver was advised to fetch.
type leased struct {
	device discovery.DeviceID
	piece  int
	till   time.Time
}

// NewSeed makes the memory for content of a size, in bytes.
func NewSeed(size int64) *Seed {
	n := content.Parts(size)
	return &Seed{n: n, left: n, given: make([]uint16, n)}
}

// Join notes a receiver.
func (s *Seed) Join(device discovery.DeviceID) {
	i, ok := s.find(device)
	if !ok {
		s.takers = slices.Insert(s.takers, i, taking{device: device})
	}
}

// Leave forgets a receiver; what it was advised is free for others.
func (s *Seed) Leave(device discovery.DeviceID) {
	if i, ok := s.find(device); ok {
		s.takers = slices.Delete(s.takers, i, i+1)
	}
	s.end(func(l *leased) bool { return l.device == device })
}

func (s *Seed) find(device discovery.DeviceID) (int, bool) {
	return slices.BinarySearchFunc(s.takers, device, func(a taking, b discovery.DeviceID) int { return bytes.Compare(a.device[:], b[:]) })
}

// end takes back the leases that an answer says so of.
func (s *Seed) end(over func(*leased) bool) {
	s.leases = slices.DeleteFunc(s.leases, func(l leased) bool {
		if !over(&l) {
			return false
		}
		if s.given[l.piece] == 0 {
			s.spare = append(s.spare, l.piece)
		}
		return true
	})
}

// Full says that a receiver has everything: it is asked by others still, but needs no advice.
func (s *Seed) Full(device discovery.DeviceID) {
	if i, ok := s.find(device); ok {
		s.takers[i].full = true
	}
	s.end(func(l *leased) bool { return l.device == device })
}

// expire ends the leases that are used, or too old.
func (s *Seed) expire(now time.Time) {
	s.end(func(l *leased) bool { return s.given[l.piece] > 0 || now.After(l.till) })
}

// Gave notes that a piece went out in full, or that somebody says that it has the piece, wherever it is from.
func (s *Seed) Gave(piece int) {
	if piece < 0 || piece >= s.n {
		return
	}
	if s.given[piece] == 0 {
		s.left--
	}
	s.given[piece] = min(s.given[piece], 1<<16-2) + 1
}

// Given returns how often the piece of a run that went out least went out.
func (s *Seed) Given(r Run) int {
	least := 1 << 16
	for i := max(r.From, 0); i < min(r.To, s.n); i++ {
		least = min(least, int(s.given[i]))
	}
	return least
}

// Advise says what a receiver should ask for next: up to three runs of up to most pieces that nobody was given or advised yet, fewer where many want some.
// Send it with every answer to the receiver. Has tells of pieces the receiver has already; nil if that is not known. The runs are appended to buf.
func (s *Seed) Advise(device discovery.DeviceID, most int, has func(piece int) bool, now time.Time, buf []Run) Advice {
	s.expire(now)
	i, ok := s.find(device)
	if !ok {
		return Advice{Runs: buf, Open: s.left == 0}
	}
	if s.takers[i].full {
		return Advice{Runs: buf, Open: s.left == 0}
	}
	if len(s.takers) == 1 {
		return Advice{Runs: buf, Open: true, Alone: true}
	}
	most = max(1, min(most, maxRun))
	share := most * max(1, min(heldMost, leaseMost/len(s.takers)))
	at, held := len(buf), 0
	for k := range s.leases { // what it holds already is said again: the answer that said it may be lost
		if l := &s.leases[k]; l.device == device {
			buf = join(buf, at, l.piece, most)
			held++
		}
	}
	for held < share && len(s.leases) < leaseMost*most {
		piece, ok := s.fresh(has)
		if !ok {
			break
		}
		s.leases = append(s.leases, leased{device, piece, now.Add(lease)})
		buf = join(buf, at, piece, most)
		s.takers[i].got++
		held++
	}
	return Advice{Runs: buf, Open: s.left == 0}
}

// Due names a receiver who should be told new advice though it asked for nothing: the one who was advised least, as long as pieces were advised to nobody and the
// origin could give more; false if there is none. Call Advise for it, and Due again, after Join, after each piece given, and once a second.
func (s *Seed) Due(most int, now time.Time) (device discovery.DeviceID, ok bool) {
	s.expire(now)
	if s.cursor == s.n && len(s.spare) == 0 || len(s.takers) < 2 || len(s.leases) >= leaseMost*max(1, min(most, maxRun)) {
		return device, false
	}
	best := -1
	for i := range s.takers {
		if !s.takers[i].full && (best < 0 || s.takers[i].got < s.takers[best].got) && !s.holds(s.takers[i].device) {
			best = i
		}
	}
	if best < 0 {
		return device, false
	}
	return s.takers[best].device, true
}

func (s *Seed) holds(device discovery.DeviceID) bool {
	return slices.ContainsFunc(s.leases, func(l leased) bool { return l.device == device })
}

// Open reports whether every piece was given to somebody. Tell all receivers when it becomes true.
func (s *Seed) Open() bool { return s.left == 0 }

// join adds a piece to the runs from at on.
func join(runs []Run, at, piece, most int) []Run {
	if k := len(runs) - 1; k >= at && runs[k].To == piece && piece-runs[k].From < most {
		runs[k].To++
		return runs
	}
	return append(runs, Run{piece, piece + 1})
}

// fresh takes a piece that was never given nor advised, or whose lease ended.
func (s *Seed) fresh(has func(int) bool) (int, bool) {
	for k := len(s.spare) - 1; k >= 0; k-- {
		i := s.spare[k]
		s.spare = s.spare[:k]
		switch {
		case s.given[i] > 0:
		case has != nil && has(i):
			s.Gave(i) // somebody has it, that is what counts
		default:
			return i, true
		}
	}
	for s.cursor < s.n {
		i := s.cursor
		s.cursor++
		switch {
		case s.given[i] > 0:
		case has != nil && has(i):
			s.Gave(i)
		default:
			return i, true
		}
	}
	return 0, false
}

// Neighbors appends the other receivers that one should connect to: all of a small swarm; of a large one those 1, 2, 4, 8… places away in the order of names
// and then those next to it, at most 24. Whoever is told of another is told to the other as well, so that one of the two has to dial; news crosses a swarm of n in about log2 n steps.
func (s *Seed) Neighbors(device discovery.DeviceID, ids []discovery.DeviceID) []discovery.DeviceID {
	at, ok := s.find(device)
	n := len(s.takers)
	if !ok || n < 2 {
		return ids
	}
	from := len(ids)
	add := func(d int) {
		for _, i := range [2]int{(at + d) % n, (at - d + n) % n} {
			if id := s.takers[i].device; i != at && len(ids)-from < neighbors && !slices.Contains(ids[from:], id) {
				ids = append(ids, id)
			}
		}
	}
	if n-1 > neighbors {
		for d := 1; d <= n/2; d *= 2 {
			add(d)
		}
	}
	for d := 1; d <= n/2 && len(ids)-from < neighbors; d++ {
		add(d)
	}
	return ids
}
