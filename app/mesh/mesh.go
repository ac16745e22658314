// Package mesh keeps the connections to the neighbours: it meets those that it hears of, holds a stream with each, and notices who leaves.
//
//	sighting, hello, gossip ──► Sighted, Greeted ──► is it to be met? (package sight) ──► dial, prove ──► Neighbour
//	Neighbour: stream ──► events, each a hint; it ends ──► again, sooner or later ──► offline
//
// A Mesh is for one network; Learned and Attendance outlive it. What a neighbour can make this device do has a pace.
package mesh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"porchlight/app/membership"
	"porchlight/app/sight"
	"porchlight/discovery"
	"porchlight/discovery/presence"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/pace"
	"porchlight/transfer/wire"
)

var (
	// ErrSelf says that an address turned out to be this computer's own.
	ErrSelf = errors.New("that is this computer itself")
	// ErrStranger says that nothing came of meeting a device.
	ErrStranger = fmt.Errorf("%w: the two computers are in no workgroup together", transfer.ErrAway)
)

const (
	maxMesh    = 64               // neighbours with whom a stream is kept
	maxProbes  = 8                // unproven targets dialled at once
	maxDoor    = 3                // of them told by one sender: somebody who never answers must not hold all
	probesRate = 10               // of them begun in a second, and at first as many as may wait
	maxWaiting = 128              // targets that wait for their turn; those of a flood are not worth more
	probeTime  = 15 * time.Second // for all addresses of one target
	newsTime   = 2 * time.Second  // between two tellings that there are more neighbours: each makes everybody ask
	gossipTime = time.Minute
	guestTime  = 30 * time.Second // for which a guest is looked after
	guestAgain = 10 * time.Minute // before it is one again: time enough was there
	clockTick  = 2 * time.Second
	sleepJump  = 20 * time.Second // a gap in the ticks: this computer slept, or this process was stopped
)

// Voice is how this device makes itself heard. Its methods return at once.
type Voice interface {
	// Announce says once more on the network who is here.
	Announce()
	// Refresh asks the network who is there.
	Refresh()
	// Tell sends an event to every device that listens.
	Tell(wire.Event)
	// TellOne sends an event to one of them.
	TellOne(discovery.DeviceID, wire.Event)
}

// Config says what a Mesh works with. All is needed.
type Config struct {
	Self       discovery.DeviceID
	Roster     *presence.Roster
	Dialer     *link.Dialer   // its Tried is the mesh's
	Listener   *link.Listener // takes the connections that are lent
	Voice      Voice
	Sight      *sight.Sight           // who may be a neighbour
	Groups     *membership.Membership // told who is there, and what was proven
	Learned    *Learned
	Attendance *Attendance
	Down       *pace.Limit // of the bytes of files that arrive
	OnChange   func()      // something that people see has changed
	OnTwin     func()      // another computer uses this device's identity, or did so a while ago
	Log        *slog.Logger
}

// Mesh keeps a stream with every known neighbour while this device is on a network. Safe for concurrent use.
type Mesh struct {
	cfg    Config
	probes chan struct{}
	pace   *rate.Limiter

	mu      sync.Mutex // guards the fields below; Neighbour.mu may be taken under it, looks.mu never
	ctx     context.Context
	wg      *sync.WaitGroup
	list    map[discovery.DeviceID]*Neighbour
	passed  map[discovery.DeviceID]time.Time // guests that were let go of
	doors   map[netip.Addr]int               // targets being dialled or waiting, by who announced them
	waiting int                              // their number
	told    time.Time                        // when everybody was told of more neighbours
	news    bool                             // there are more since
}

// New makes one for the network this device is on. Nothing is started, and whoever calls before Run is heard.
func New(cfg Config) *Mesh {
	m := &Mesh{cfg: cfg, probes: make(chan struct{}, maxProbes), pace: rate.NewLimiter(probesRate, maxWaiting),
		list: map[discovery.DeviceID]*Neighbour{}, passed: map[discovery.DeviceID]time.Time{}, doors: map[netip.Addr]int{}}
	cfg.Dialer.Tried = m.tried
	return m
}

// Run keeps the mesh until ctx ends, and has joined everything when it returns.
func (m *Mesh) Run(ctx context.Context) {
	var wg sync.WaitGroup
	m.mu.Lock()
	m.ctx, m.wg = ctx, &wg
	m.mu.Unlock()
	m.StartAll()
	m.clock(ctx)
	m.mu.Lock()
	m.ctx = nil // nothing starts any more
	m.mu.Unlock()
	wg.Wait()
	for _, id := range m.cfg.Roster.IDs() {
		m.cfg.Roster.SetState(id, discovery.Offline)
	}
}

// StartAll begins with the known devices, as far as the mesh holds them.
func (m *Mesh) StartAll() {
	for _, id := range m.likely() {
		m.Start(id)
	}
}

// likely returns the known devices, those first that a person added and those seen last: the mesh may not hold all.
func (m *Mesh) likely() (out []discovery.DeviceID) {
	all := m.cfg.Roster.Snapshot()
	slices.SortStableFunc(all, func(a, b discovery.Peer) int {
		if a.Manual != b.Manual {
			if a.Manual {
				return -1
			}
			return 1
		}
		return b.LastSeen.Compare(a.LastSeen)
	})
	for _, p := range all {
		if !p.ID.IsZero() {
			out = append(out, p.ID)
		}
	}
	return out[:min(len(out), maxMesh)]
}

// clock does what is done now and then, and notices that the computer slept.
func (m *Mesh) clock(ctx context.Context) {
	tick, gossip := time.NewTicker(clockTick), time.NewTicker(gossipTime)
	defer tick.Stop()
	defer gossip.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if now.Round(0).Sub(last.Round(0)) > sleepJump || now.Sub(last) > sleepJump { // wall clock, monotonic clock
				m.cfg.Log.Info("this computer slept; connecting anew")
				m.cfg.Roster.Forgive()
				m.DropAll()
				m.cfg.Voice.Refresh()
			}
			last = time.Now()
			m.cfg.Roster.Expire()
			m.Dismiss(false)
			m.tellNews(false)
		case <-gossip.C:
			m.cfg.OnTwin()
			for _, n := range m.All() {
				if n.Up() {
					m.hail(n)
				}
			}
		}
	}
}

// spawn runs f until the mesh ends; false when it has ended.
func (m *Mesh) spawn(f func(ctx context.Context)) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx == nil || m.ctx.Err() != nil {
		return false
	}
	ctx := m.ctx
	m.wg.Go(func() { f(ctx) })
	return true
}

// Start returns the neighbour of a known device, begun if it was not; nil when there are too many, or the mesh has ended, or the two
// do not see each other.
func (m *Mesh) Start(id discovery.DeviceID) *Neighbour {
	if n := m.Neighbour(id); n != nil || m.cfg.Sight.Unseen(id) {
		return n
	}
	return m.begin(id)
}

// begin is Start for somebody who was found welcome just now.
func (m *Mesh) begin(id discovery.DeviceID) *Neighbour {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.list[id]; n != nil {
		return n
	}
	if m.ctx == nil || m.ctx.Err() != nil || id == m.cfg.Self || m.cfg.Sight.Blocked(id) || len(m.list) >= maxMesh && !m.makeRoom() {
		return nil
	}
	n := newNeighbour(m, id)
	ctx, quit := context.WithCancel(m.ctx)
	n.quit = quit
	m.list[id] = n
	m.wg.Go(func() { n.run(ctx) })
	m.wg.Go(func() { n.lender(ctx) })
	return n
}

// makeRoom lets go of the neighbour that is away for longest, so that the devices of last month do not keep out those of
// today. It comes back when it is heard of. The caller holds mu.
func (m *Mesh) makeRoom() bool {
	var out *Neighbour
	var seen time.Time
	for _, n := range m.list {
		if !n.Lost() || n.looks.count.Load() > 0 {
			continue
		}
		p, err := m.cfg.Roster.Get(n.ID)
		if err == nil && (p.Manual || p.State != discovery.Offline) {
			continue
		}
		if out == nil || p.LastSeen.Before(seen) {
			out, seen = n, p.LastSeen
		}
	}
	if out == nil {
		return false
	}
	delete(m.list, out.ID)
	out.quit()
	return true
}

// Neighbour returns a neighbour that was begun, or nil.
func (m *Mesh) Neighbour(id discovery.DeviceID) *Neighbour {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.list[id]
}

// All returns the neighbours that were begun, in no order.
func (m *Mesh) All() []*Neighbour {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.list))
}

// DropAll breaks every connection, so that all are made anew.
func (m *Mesh) DropAll() {
	for _, n := range m.All() {
		n.drop()
	}
}

// RetryAll tries those that are not there, at once, and wherever they are said to be: the network has changed, or somebody
// at this computer asks.
func (m *Mesh) RetryAll() {
	m.cfg.Roster.Forgive()
	for _, n := range m.All() {
		n.Try()
	}
}

// Dismiss lets go of neighbours that this device does not see any more; unless now is set, nobody who came a moment ago: a guest is
// given time.
func (m *Mesh) Dismiss(now bool) {
	for _, n := range m.All() {
		if !now && time.Since(n.begun) < guestTime || !m.cfg.Sight.Unseen(n.ID) {
			continue
		}
		m.letGo(n.ID, false)
		if !now {
			m.mu.Lock()
			room(m.passed)
			m.passed[n.ID] = time.Now()
			m.mu.Unlock()
		}
	}
}

// letGo ends the connections to a device; with blocked only if it is blocked still.
func (m *Mesh) letGo(id discovery.DeviceID, blocked bool) {
	m.mu.Lock()
	n := m.list[id]
	if n == nil || blocked && !m.cfg.Sight.Blocked(id) {
		m.mu.Unlock()
		return
	}
	delete(m.list, id)
	m.mu.Unlock()
	n.Peer.Drop()
	n.quit()
}

// Blocked ends the connections to a device that was blocked.
func (m *Mesh) Blocked(id discovery.DeviceID) { m.letGo(id, true) }

// hasPassed reports whether a guest was let go of a while ago.
func (m *Mesh) hasPassed(id discovery.DeviceID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.passed[id]
	return ok && time.Since(at) < guestAgain
}

// tellNews tells everybody that there are more neighbours, now or soon.
func (m *Mesh) tellNews(fresh bool) {
	m.mu.Lock()
	m.news = m.news || fresh
	tell := m.news && time.Since(m.told) >= newsTime
	if tell {
		m.news, m.told = false, time.Now()
	}
	m.mu.Unlock()
	if tell {
		m.cfg.Voice.Tell(wire.Event{Kind: wire.EventPeers})
	}
}
