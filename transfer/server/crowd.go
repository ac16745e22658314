package server

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"porchlight/discovery"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer/swarm"
	"porchlight/transfer/wire"
)

// adviceRun is how many pieces one run of advice has: of one, all receivers soon have something to give.
const adviceRun = 1

// reseedAfter is the time between two countings anew of what is out: a puller can ask for one.
const reseedAfter = 250 * time.Millisecond

// crowds counts who pulls which file of this device. What a puller says it has is believed: who lies about that has others
// wait, and gets nothing by it.
type crowds struct {
	mu    sync.Mutex // guards the field below and everything in it
	files map[crowdKey]*crowd
}

// crowdKey tells crowds apart. Those of two workgroups pull beside one another, and neither hears of the other.
type crowdKey struct {
	version share.Version
	group   [32]byte // the private workgroup; zero for the open one
}

// crowd is those who pull one version of one file.
type crowd struct {
	size    int64
	pullers map[discovery.DeviceID]*puller
	seed    *swarm.Seed // made when there are two
	seeded  time.Time   // when what is out was counted
	stale   bool        // somebody who had everything begins again: what is out must be counted anew
	open    bool        // all were told that every piece is out
	asked   time.Time
}

type puller struct {
	seen time.Time
	bits []byte
	full bool
	has  bool          // it was given a ticket, and others may be of use to it that this device has forgotten
	news chan struct{} // one token: there is something to tell
}

// has reports whether a map (wire.SwarmAsk) has a piece.
func has(bits []byte, i int) bool { return bits[i>>3]&(0x80>>(i&7)) != 0 }

// setMap takes in what a puller has.
func (c *crowd) setMap(id discovery.DeviceID, p *puller, bits []byte) {
	n, held := content.Parts(c.size), 0
	for i := range n {
		if !has(bits, i) {
			continue
		}
		held++
		if c.seed != nil && (p.bits == nil || !has(p.bits, i)) {
			c.seed.Gave(i)
		}
	}
	all := held == n
	c.stale = c.stale || p.full && held < n/2
	p.bits, p.full = bits, all
	if all && c.seed != nil {
		c.seed.Full(id)
	}
}

// join notes that a device pulls a file of a size and has the pieces of a map, and returns how many others do; false if there are too
// many to tell.
func (c *crowds) join(key crowdKey, size int64, dev discovery.DeviceID, bits []byte, now time.Time) (others int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.files[key]
	if f == nil {
		if len(c.files) >= wire.MaxSwarmed {
			c.forgetOldest()
		}
		f = &crowd{size: size, pullers: map[discovery.DeviceID]*puller{}}
		c.files[key] = f
	}
	f.asked = now
	f.expire(now)
	p := f.pullers[dev]
	if p == nil {
		if len(f.pullers) > wire.MaxSwarm {
			return 0, false
		}
		p = &puller{news: make(chan struct{}, 1)}
		f.pullers[dev] = p
		f.grown(dev, now)
	}
	p.seen = now
	f.setMap(dev, p, bits)
	if f.stale && now.Sub(f.seeded) >= reseedAfter {
		f.reseed(now)
	}
	f.prod(now)
	return len(f.pullers) - 1, true
}

// reseed counts what is out by what the pullers have.
func (c *crowd) reseed(now time.Time) {
	c.seed, c.seeded, c.stale, c.open = swarm.NewSeed(c.size), now, false, false
	for id, p := range c.pullers {
		c.seed.Join(id)
		if p.bits != nil {
			bits := p.bits
			p.bits = nil
			c.setMap(id, p, bits)
		}
	}
}

// grown makes the seed when a second puller comes, and tells all of the new one.
func (c *crowd) grown(dev discovery.DeviceID, now time.Time) {
	if c.seed == nil && len(c.pullers) > 1 {
		c.reseed(now)
	} else if c.seed != nil {
		c.seed.Join(dev)
	}
	c.tellAll()
}

func (c *crowd) tellAll() {
	for _, p := range c.pullers {
		p.tell()
	}
}

func (p *puller) tell() {
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// expire forgets those who have not asked for long; who has everything is of use to others for longer.
func (c *crowd) expire(now time.Time) {
	gone := false
	for id, p := range c.pullers {
		most := wire.SwarmTime
		if p.full {
			most = wire.OfferTime
		}
		if now.Sub(p.seen) > most {
			delete(c.pullers, id)
			gone = true
			if c.seed != nil {
				c.seed.Leave(id)
			}
		}
	}
	if gone {
		c.tellAll()
	}
}

// prod gives advice to those who should have some, and tells all when every piece is out.
func (c *crowd) prod(now time.Time) {
	if c.seed == nil {
		return
	}
	for id, ok := c.seed.Due(adviceRun, now); ok; id, ok = c.seed.Due(adviceRun, now) {
		p := c.pullers[id]
		if p == nil {
			return
		}
		c.advice(id, p, now)
		p.tell()
	}
	if c.seed.Open() != c.open {
		c.open = !c.open
		c.tellAll()
	}
}

func (c *crowd) advice(id discovery.DeviceID, p *puller, now time.Time) swarm.Advice {
	return c.seed.Advise(id, adviceRun, func(i int) bool { return p.bits != nil && has(p.bits, i) }, now, nil)
}

// of returns the crowd in which a device pulls a version; that of the open workgroup, if there is one, for a device in none. The
// caller holds mu.
func (c *crowds) of(v share.Version, dev discovery.DeviceID) *crowd {
	open := c.files[crowdKey{version: v}]
	if open != nil && open.pullers[dev] != nil {
		return open
	}
	for key, f := range c.files {
		if key.version == v && f.pullers[dev] != nil {
			return f
		}
	}
	return open
}

// gave notes that a piece of a version went out to a device.
func (c *crowds) gave(v share.Version, dev discovery.DeviceID, piece int, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.of(v, dev); f != nil && f.seed != nil {
		f.seed.Gave(piece)
		f.prod(now)
	}
}

// advise returns what a device should ask for next; empty for one that nobody else pulls beside.
func (c *crowds) advise(v share.Version, dev discovery.DeviceID, now time.Time) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.of(v, dev)
	if f == nil || f.seed == nil || f.pullers[dev] == nil {
		return ""
	}
	return f.advice(dev, f.pullers[dev], now).String()
}

// told is what a puller is told of the others.
type told struct {
	others  int
	advice  string
	peers   []discovery.DeviceID
	invited bool // before
}

// tell returns what a puller is to know now.
func (c *crowds) tell(key crowdKey, dev discovery.DeviceID, now time.Time) (t told) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.files[key]
	if f == nil || f.pullers[dev] == nil || f.seed == nil {
		return t
	}
	p := f.pullers[dev]
	p.seen = now
	select { // what is told now is no news later
	case <-p.news:
	default:
	}
	t.others, t.advice, t.invited = len(f.pullers)-1, f.advice(dev, p, now).String(), p.has
	t.peers = f.seed.Neighbors(dev, nil)
	return t
}

// invited notes that a device was given a ticket.
func (c *crowds) invited(key crowdKey, dev discovery.DeviceID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.files[key]; f != nil && f.pullers[dev] != nil {
		f.pullers[dev].has = true
	}
}

// await returns when there is something to tell a puller, at the latest after wire.HaveTime.
func (c *crowds) await(ctx context.Context, key crowdKey, dev discovery.DeviceID) {
	c.mu.Lock()
	f := c.files[key]
	if f == nil || f.pullers[dev] == nil {
		c.mu.Unlock()
		return
	}
	news := f.pullers[dev].news
	c.mu.Unlock()
	end, look := time.NewTimer(wire.HaveTime), time.NewTicker(wire.HaveTime/2)
	defer end.Stop()
	defer look.Stop()
	for {
		select {
		case <-news:
			return
		case now := <-look.C: // advice that nobody followed is free for others
			c.mu.Lock()
			f.expire(now)
			f.prod(now)
			c.mu.Unlock()
		case <-end.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// forgetOldest drops the file that was asked for longest ago. The caller holds mu.
func (c *crowds) forgetOldest() {
	var oldest crowdKey
	var at time.Time
	for key, f := range c.files {
		if at.IsZero() || f.asked.Before(at) {
			oldest, at = key, f.asked
		}
	}
	delete(c.files, oldest)
}

// members returns who pulls a version, in the order of their names.
func (c *crowds) members(key crowdKey) (out []discovery.DeviceID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.files[key]; f != nil {
		for id := range f.pullers {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, func(a, b discovery.DeviceID) int { return bytes.Compare(a[:], b[:]) })
	return out
}
