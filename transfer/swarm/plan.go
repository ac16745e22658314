package swarm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"porchlight/discovery"
	"porchlight/share/content"
)

// ErrMap says that what a peer states to have cannot be about this content.
var ErrMap = errors.New("not a map of these pieces")

// The states of a piece.
//
//	wanted ──Next──► flying ──Whole──► checking ──Good──► done
//	   ▲                │                  │
//	   └──────End───────┴───────Bad────────┘
const (
	wanted uint8 = iota
	flying
	checking
	done
)

// Plan decides which pieces of one content to ask of whom. It belongs to one goroutine.
type Plan struct {
	cfg      Config
	n        int
	state    []uint8
	carriers []uint8  // requests that a piece is still to come by
	copies   []uint16 // helpers that say they have the piece
	rack     rack
	draw     splitmix
	round    uint64 // of Next, so that a peer is looked at once

	peers   []*peer
	byID    map[discovery.DeviceID]*peer
	banned  map[discovery.DeviceID]bool
	origins int // usable ones

	asks    []ask
	idle    []int32 // asks not in use
	flying  int     // asks in use
	doubles int     // pieces asked of two right now
	count   uint64  // requests made
	typical float64 // rate of a request to anybody, smoothed
	careful Care
	moved   time.Time // bytes came from anybody
	sum     Progress
}

// peer is one that can be asked.
type peer struct {
	id      discovery.DeviceID
	origin  bool
	gone    bool // left or banned; what it still carries may yet arrive
	have    bitmap
	useful  int // pieces on the rack that it has; for an origin the rack says it
	flying  int // requests under way
	rate    float64
	failing float64 // share of requests that failed lately, 0 to 1
	fails   int     // in a row
	busy    int     // answers in a row that said so
	lies    int
	rest    time.Time
	asked   uint64 // round it was asked in last
	looked  uint64 // round it had nothing to offer in
	advised bool   // the origin gives advice
	open    bool   // and says that it may be asked for anything
	alone   bool   // and that nobody else takes this content
	advice  [adviceMost]Run
	tips    int // of advice
}

// ask is one request under way.
type ask struct {
	id    uint64
	peer  *peer // nil if not in use
	next  int   // piece that is coming
	to    int
	got   int64 // bytes of the piece that is coming
	all   int64 // bytes in all
	began time.Time
	last  time.Time // a byte came
	check int       // piece being verified, or -1
	drop  bool      // to be broken off
	late  bool      // broken off because it stalled; counted already
	told  bool      // named by Overdue
}

// New makes a Plan that wants everything and knows nobody.
func New(cfg Config) *Plan {
	if cfg.Lanes < 1 {
		cfg.Lanes = lanes
	}
	cfg.Lanes = min(cfg.Lanes, maxLanes)
	if cfg.Standing == nil {
		cfg.Standing = NewStanding()
	}
	n := content.Parts(cfg.Size)
	p := &Plan{
		cfg: cfg, n: n,
		state: make([]uint8, n), carriers: make([]uint8, n), copies: make([]uint16, n),
		rack: newRack(n), draw: splitmix(cfg.Seed ^ binary.LittleEndian.Uint64(cfg.Self[:])),
		byID: map[discovery.DeviceID]*peer{}, banned: map[discovery.DeviceID]bool{},
	}
	for i := range n {
		p.rack.put(i, 0)
	}
	p.sum.Pieces = n
	return p
}

// length is the number of bytes of a piece.
func (p *Plan) length(i int) int64 { return int64(content.PieceLen(p.cfg.Size, i)) }

// Mark says that a piece is there, verified, from an earlier attempt. Only for pieces that were not asked for.
func (p *Plan) Mark(piece int) {
	if piece < 0 || piece >= p.n || p.state[piece] != wanted {
		return
	}
	p.unrack(Run{piece, piece + 1})
	p.finish(piece)
}

func (p *Plan) finish(i int) {
	p.state[i] = done
	p.sum.Done++
	p.sum.Bytes += p.length(i)
}

// Careful says how large requests to an only source may be from now on.
func (p *Plan) Careful(c Care) { p.careful = c }

// Lost says that a piece that was there is not right after all, and is wanted again.
func (p *Plan) Lost(piece int) {
	if !p.Has(piece) {
		return
	}
	p.sum.Done--
	p.sum.Bytes -= p.length(piece)
	if p.carriers[piece] > 0 { // somebody is still to bring it
		p.state[piece] = flying
		return
	}
	p.rerack(Run{piece, piece + 1})
}

// Join adds a peer; it is known to have nothing until Have or Map say so, but an origin has everything. It answers whether the peer may be asked at all:
// not one that sent bad data for this content, nor, as a helper, one that did so too often elsewhere.
func (p *Plan) Join(id discovery.DeviceID, origin bool, now time.Time) bool {
	if p.banned[id] || id == p.cfg.Self || !origin && !p.cfg.Standing.MayHelp(id, now) {
		return false
	}
	if p.byID[id] != nil {
		return true
	}
	if len(p.peers) >= maxPeers {
		return false
	}
	q := &peer{id: id, origin: origin, rest: p.cfg.Standing.Rest(id, now), rate: p.cfg.Standing.Rate(id)}
	if origin {
		p.origins++
	} else {
		q.have = newBitmap(p.n)
	}
	p.byID[id] = q
	p.peers = append(p.peers, q)
	return true
}

// Leave takes a peer away. Its requests are to be ended as all others; Overdue names them.
func (p *Plan) Leave(id discovery.DeviceID) {
	q := p.byID[id]
	if q == nil {
		return
	}
	q.gone = true
	delete(p.byID, id)
	for i := range p.peers {
		if p.peers[i] == q {
			p.peers[i] = p.peers[len(p.peers)-1]
			p.peers[len(p.peers)-1] = nil
			p.peers = p.peers[:len(p.peers)-1]
			break
		}
	}
	if q.origin {
		p.origins--
		return
	}
	for i := range p.n {
		if q.have.has(i) {
			p.recount(i, -1)
		}
	}
}

// Ban takes a peer away for good, as far as this content goes.
func (p *Plan) Ban(id discovery.DeviceID) {
	if !p.banned[id] {
		p.banned[id] = true
		p.sum.Banned++
	}
	p.Leave(id)
}

// Have says that a peer has one more piece. What an origin says of itself changes nothing.
func (p *Plan) Have(id discovery.DeviceID, piece int) error {
	if piece < 0 || piece >= p.n {
		return fmt.Errorf("%w: piece %d of %d", ErrMap, piece, p.n)
	}
	q := p.byID[id]
	if q == nil || q.origin || q.have.has(piece) {
		return nil
	}
	q.have.set(piece)
	p.recount(piece, 1)
	if p.rack.has(piece) {
		q.useful++
	}
	return nil
}

// Map says what a peer has in all: one bit for each piece, the first in the highest bit of the first byte, spare bits 0 (BEP 3).
func (p *Plan) Map(id discovery.DeviceID, m []byte) error {
	if len(m) != (p.n+7)/8 {
		return fmt.Errorf("%w: %d bytes for %d pieces", ErrMap, len(m), p.n)
	}
	if spare := len(m)*8 - p.n; m[len(m)-1]&(1<<spare-1) != 0 {
		return fmt.Errorf("%w: more bits than pieces", ErrMap)
	}
	q := p.byID[id]
	if q == nil || q.origin {
		return nil
	}
	for i := range p.n {
		has := m[i>>3]>>(7-i&7)&1 != 0
		if has && !q.have.has(i) {
			_ = p.Have(id, i)
		} else if !has && q.have.has(i) {
			p.lacks(q, i)
		}
	}
	return nil
}

// AppendMap appends what is there, verified, in the form that Map reads.
func (p *Plan) AppendMap(b []byte) []byte {
	at := len(b)
	for range (p.n + 7) / 8 {
		b = append(b, 0)
	}
	for i, s := range p.state {
		if s == done {
			b[at+i>>3] |= 0x80 >> (i & 7)
		}
	}
	return b
}

// Has reports whether a piece is there, verified.
func (p *Plan) Has(piece int) bool { return piece >= 0 && piece < p.n && p.state[piece] == done }

// Done reports whether everything is there.
func (p *Plan) Done() bool { return p.sum.Done == p.n }

// Stuck reports whether nothing is under way and nobody known, not even one who rests, has any of what is missing.
func (p *Plan) Stuck() bool {
	return !p.Done() && p.flying == 0 && p.origins == 0 && p.rack.count[0] == p.rack.total
}

// Advise takes over what the origin would like this receiver to ask of it next. It replaces advice given before.
// Runs that cannot be are left out, and what goes beyond 16 runs.
func (p *Plan) Advise(id discovery.DeviceID, a Advice) {
	q := p.byID[id]
	if q == nil || !q.origin {
		return
	}
	q.advised, q.open, q.alone, q.tips = true, a.Open, a.Alone, 0
	for _, r := range a.Runs {
		if r.From >= 0 && r.From < r.To && r.To <= p.n && q.tips < adviceMost {
			q.advice[q.tips] = r
			q.tips++
		}
	}
}

// Progress returns the counters.
func (p *Plan) Progress() Progress {
	s := p.sum
	s.Peers = len(p.peers)
	for i := range p.state {
		if p.state[i] == flying {
			s.Flying++
		}
	}
	if p.origins == 0 {
		s.Missing = p.rack.count[0]
	}
	return s
}

// recount notes that one more or one fewer helper has a piece.
func (p *Plan) recount(i, by int) {
	if p.rack.has(i) {
		p.rack.take(i, p.copies[i])
		p.copies[i] = uint16(int(p.copies[i]) + by)
		p.rack.put(i, p.copies[i])
	} else {
		p.copies[i] = uint16(int(p.copies[i]) + by)
	}
}

// lacks notes that a peer has not got a piece.
func (p *Plan) lacks(q *peer, i int) {
	if q.origin || !q.have.has(i) {
		return
	}
	q.have.clear(i)
	if p.rack.has(i) {
		q.useful--
	}
	if !q.gone { // else its copies were taken away together
		p.recount(i, -1)
	}
}

// unrack takes pieces off the rack, all of which are on it.
func (p *Plan) unrack(r Run) {
	for i := r.From; i < r.To; i++ {
		p.rack.take(i, p.copies[i])
	}
	for _, q := range p.peers {
		if !q.origin {
			q.useful -= q.have.count(r)
		}
	}
}

// rerack puts pieces back.
func (p *Plan) rerack(r Run) {
	for i := r.From; i < r.To; i++ {
		p.state[i] = wanted
		p.rack.put(i, p.copies[i])
	}
	for _, q := range p.peers {
		if !q.origin {
			q.useful += q.have.count(r)
		}
	}
}
