package engine

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"porchlight/app/membership"
	"porchlight/discovery"
	"porchlight/discovery/identity"
	"porchlight/discovery/presence"
	"porchlight/transfer/link"
	"porchlight/transfer/pace"
	"porchlight/transfer/server"
	"porchlight/transfer/wire"
)

type addrPort = netip.AddrPort

const (
	maxMesh    = 64               // neighbours with whom a stream is kept
	maxProbes  = 8                // unproven targets dialled at once
	maxDoor    = 3                // of them told by one sender: somebody who never answers must not hold all
	probesRate = 10               // of them begun in a second, and at first as many as may wait
	maxWaiting = 128              // targets that wait for their turn; those of a flood are not worth more
	probeTime  = 15 * time.Second // for all addresses of one target
	newsTime   = 2 * time.Second  // between two tellings that there are more neighbours: each makes everybody ask
	gossipTime = time.Minute
	clockTick  = 2 * time.Second
	sleepJump  = 20 * time.Second // a gap in the ticks: this computer slept, or this process was stopped
)

// mesh keeps a stream with every known neighbour while this device is on a network.
type mesh struct {
	self     discovery.DeviceID
	roster   *presence.Roster
	dialer   *link.Dialer
	listener *link.Listener
	server   *server.Server
	log      *slog.Logger
	e        *Engine // whom this device sees (visible.go)
	changed  func()  // something that people see has changed
	refresh  func()  // ask the network who is there
	announce func()  // say once more who is here
	probes   chan struct{}
	pace     *rate.Limiter
	ups      *ups
	down     *pace.Limit // of the bytes of files that arrive
	learned  *learned
	twin     func() // another computer uses this device's identity
	blocked  func(discovery.DeviceID) bool
	checks   checks

	mu      sync.Mutex // guards the fields below; neighbour.mu may be taken under it, looks.mu never
	ctx     context.Context
	wg      *sync.WaitGroup
	list    map[discovery.DeviceID]*neighbour
	passed  map[discovery.DeviceID]time.Time // guests that were let go of
	doors   map[netip.Addr]int               // targets being dialled or waiting, by who announced them
	waiting int                              // their number
	told    time.Time                        // when everybody was told of more neighbours
	news    bool                             // there are more since
}

// run keeps the mesh until ctx ends, and has joined everything when it returns.
func (m *mesh) run(ctx context.Context) {
	var wg sync.WaitGroup
	m.mu.Lock()
	m.ctx, m.wg = ctx, &wg
	m.mu.Unlock()
	for _, id := range m.likely() {
		m.start(id)
	}
	m.clock(ctx)
	m.mu.Lock()
	m.ctx = nil // nothing starts any more
	m.mu.Unlock()
	wg.Wait()
	for _, id := range m.roster.IDs() {
		m.roster.SetState(id, discovery.Offline)
	}
}

// likely returns the known devices, those first that a person added and those seen last: the mesh may not hold all.
func (m *mesh) likely() (out []discovery.DeviceID) {
	all := m.roster.Snapshot()
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
func (m *mesh) clock(ctx context.Context) {
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
				m.log.Info("this computer slept; connecting anew")
				m.roster.Forgive()
				m.dropAll()
				m.refresh()
			}
			last = time.Now()
			m.roster.Expire()
			m.dismiss(guestTime)
			m.tellNews(false)
		case <-gossip.C:
			m.twin()
			for _, n := range m.all() {
				if up, _ := n.isUp(); up {
					m.hail(n)
				}
			}
		}
	}
}

// spawn runs f until the mesh ends; false when it has ended.
func (m *mesh) spawn(f func(ctx context.Context)) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx == nil || m.ctx.Err() != nil {
		return false
	}
	ctx := m.ctx
	m.wg.Go(func() { f(ctx) })
	return true
}

// start returns the neighbour of a known device, begun if it was not; nil when there are too many, or the mesh has ended, or the two
// do not see each other.
func (m *mesh) start(id discovery.DeviceID) *neighbour {
	if n := m.get(id); n != nil || m.e.isUnseen(id) {
		return n
	}
	return m.begin(id)
}

// begin is start for somebody who was found welcome just now.
func (m *mesh) begin(id discovery.DeviceID) *neighbour {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.list[id]; n != nil {
		return n
	}
	if m.ctx == nil || m.ctx.Err() != nil || id == m.self || m.blocked(id) || len(m.list) >= maxMesh && !m.makeRoom() {
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
func (m *mesh) makeRoom() bool {
	var out *neighbour
	var seen time.Time
	for _, n := range m.list {
		if !n.lost.Load() || n.looks.count.Load() > 0 {
			continue
		}
		p, err := m.roster.Get(n.id)
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
	delete(m.list, out.id)
	out.quit()
	return true
}

// get returns a neighbour that was begun, or nil.
func (m *mesh) get(id discovery.DeviceID) *neighbour {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.list[id]
}

func (m *mesh) all() []*neighbour {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.list))
}

func (m *mesh) dropAll() {
	for _, n := range m.all() {
		n.drop()
	}
}

// retryAll tries those that are not there, at once, and wherever they are said to be: the network has changed, or somebody
// at this computer asks.
func (m *mesh) retryAll() {
	m.roster.Forgive()
	for _, n := range m.all() {
		n.try()
	}
}

// sighted follows one hint.
func (m *mesh) sighted(s discovery.Sighting) {
	if m.learned.announced(s) {
		m.changed()
	}
	if m.learned.hear(s) {
		if !m.e.isOpen() {
			return // whoever announces it would learn that this device is here
		}
		if t, dial := m.roster.Knock(s); dial { // a copy of this device, or this one itself
			m.dial(t, s)
		}
		return
	}
	s.Stranger = !s.Gone && !m.e.looksFor(s)
	t, dial := m.roster.See(s)
	if t.Known && s.Source == discovery.FromMDNS {
		m.learned.heardFrom(t.ID)
	}
	if !dial || s.Newer { // it would not understand
		return
	}
	if !t.Known {
		m.dial(t, s)
		return
	}
	n := m.start(t.ID)
	if n == nil && !s.Stranger { // it hid, and does not any more
		n = m.begin(t.ID)
	}
	if n != nil {
		n.hinted()
	}
}

// tried notes how dialling an address ended, for the roster to know where to look and where not to.
func (m *mesh) tried(want *discovery.DeviceID, a addrPort, err error) {
	var who discovery.DeviceID
	if want != nil {
		who = *want
	}
	if err == nil {
		m.roster.Reached(a, who)
		return
	}
	if m.learned.failed(a, who, err) {
		m.changed()
	}
	var slow net.Error
	switch {
	case isNoRoute(err): // the fault of this computer's own network
	case errors.Is(err, identity.ErrOtherDevice):
		m.roster.Failed(a, who, presence.Another)
	case isUnreachable(err), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		m.roster.Failed(a, who, presence.Silent)
	default:
		m.roster.Failed(a, who, presence.Refused)
	}
}

// dial probes an unproven target in the background, when its turn comes.
func (m *mesh) dial(t presence.Target, s discovery.Sighting) {
	door := t.Addresses[0].Addr()
	if s.From.IsValid() {
		door = s.From
	}
	if !m.queue(door) {
		return
	}
	if !m.spawn(func(ctx context.Context) {
		defer m.unqueue(door)
		if m.pace.Wait(ctx) != nil {
			return
		}
		select {
		case m.probes <- struct{}{}:
			defer func() { <-m.probes }()
		case <-ctx.Done():
			return
		}
		ctx, cancel := context.WithTimeout(ctx, probeTime)
		defer cancel()
		id, err := m.probe(ctx, t, s.Source == discovery.FromManual)
		if err != nil {
			m.log.Debug("not met", "addresses", t.Addresses, "err", err)
		} else if s.Instance != "" && m.e.isFriend(id) {
			m.roster.Met(s.Instance, id)
		}
	}) {
		m.unqueue(door)
	}
}

// queue reports whether another target may wait to be dialled. This computer itself may be many devices.
func (m *mesh) queue(door netip.Addr) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waiting >= maxWaiting || m.doors[door] >= maxDoor && !door.IsLoopback() {
		return false
	}
	m.waiting++
	m.doors[door]++
	return true
}

func (m *mesh) unqueue(door netip.Addr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting--
	if m.doors[door]--; m.doors[door] <= 0 {
		delete(m.doors, door)
	}
}

// probe dials an unproven target and makes it a neighbour if somebody answers.
func (m *mesh) probe(ctx context.Context, t presence.Target, manual bool) (discovery.DeviceID, error) {
	var want *discovery.DeviceID
	if !t.ID.IsZero() {
		want = &t.ID
	}
	var errs []error
	for _, a := range t.Addresses {
		g, err := m.dialer.Dial(ctx, want, a)
		if err != nil {
			if m.learned.failed(a, t.ID, err) {
				m.changed()
			}
			errs = append(errs, err)
			continue
		}
		id := g.Conn.Session.ID
		g.Conn.Close()
		if id == m.self {
			m.own(g.Answer)
			return id, errSelf
		}
		if !m.prove(g.Conn.Session, g.Answer, a, true, manual) {
			m.e.private.Greeted(membership.SessionOf(g.Conn.Session), g.Answer.Proven(), g.Answer.Notices(), nil) // it may say that this device was removed
			return id, errStranger
		}
		if n := m.begin(id); n != nil {
			n.setBlocked(!g.Answer.DialBack)
		}
		return id, nil
	}
	return discovery.DeviceID{}, errors.Join(errs...)
}

// own notes that this device's identity answered or called: perhaps from another computer.
func (m *mesh) own(h wire.Hello) {
	if m.learned.own(h) {
		m.twin()
	}
}

// prove notes who said hello. It reports whether that device may be a neighbour; of one that may not, nothing is kept.
func (m *mesh) prove(s *link.Session, h wire.Hello, a addrPort, reached, manual bool) bool {
	id := s.ID
	m.learned.understood(a, id)
	if n := m.get(id); n != nil {
		defer n.latest(s, &h)()
	}
	if !m.e.isWelcome(s, h) && (m.hasPassed(id) || !m.e.isGuest(s, h)) {
		m.roster.Renamed(id, "", h.Workgroup)
		return false
	}
	m.learned.meet(id, h)
	if h.Name == "" {
		h.Name = m.e.memberName(id)
	}
	fresh := m.roster.Prove(presence.Proof{ID: id, Name: h.Name, Workgroup: h.Workgroup, Install: h.Install, Version: h.App,
		Caps: h.Caps, Address: a, Reached: reached, Manual: manual})
	if fresh {
		m.log.Info("met", "peer", id.Short(), "name", h.Name)
		m.tellNews(true)
	}
	return true
}

// dismiss lets go of neighbours that this device does not see any more, or only for a while.
func (m *mesh) dismiss(after time.Duration) {
	for _, n := range m.all() {
		if time.Since(n.begun) >= after && m.e.isUnseen(n.id) {
			m.letGo(n.id)
			if after == 0 {
				continue // nobody had time for it
			}
			m.mu.Lock()
			room(m.passed)
			m.passed[n.id] = time.Now()
			m.mu.Unlock()
		}
	}
}

// hasPassed reports whether a guest was let go of a while ago.
func (m *mesh) hasPassed(id discovery.DeviceID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.passed[id]
	return ok && time.Since(at) < guestAgain
}

// tellNews tells everybody that there are more neighbours, now or soon.
func (m *mesh) tellNews(fresh bool) {
	m.mu.Lock()
	m.news = m.news || fresh
	tell := m.news && time.Since(m.told) >= newsTime
	if tell {
		m.news, m.told = false, time.Now()
	}
	m.mu.Unlock()
	if tell {
		m.server.Tell(wire.Event{Kind: wire.EventPeers})
	}
}

// Greeted is told of every hello this device hears (server.Neighbours).
func (m *mesh) Greeted(s *link.Session, h wire.Hello) bool {
	if s.ID == m.self {
		m.own(h)
		return true
	}
	var at addrPort
	if h.Port != 0 && !s.Reversed {
		at = netip.AddrPortFrom(s.Remote.Addr(), h.Port)
	}
	if !m.prove(s, h, at, false, false) {
		return true
	}
	n := m.begin(s.ID)
	if n == nil {
		return true
	}
	if up, _ := n.isUp(); !up {
		n.try()
	} else if !s.Reversed {
		n.moved(s.Remote.Addr())
	}
	return n.reachable()
}

// Lent takes a connection another device lends (server.Neighbours); who lends has said who it is on another one before.
func (m *mesh) Lent(c *link.Conn) {
	var n *neighbour
	if _, err := m.roster.Get(c.Session.ID); err == nil {
		n = m.start(c.Session.ID)
	}
	if n == nil || !m.spawn(func(ctx context.Context) {
		n.peer.Offer(ctx, c)
		if up, _ := n.isUp(); !up {
			n.try()
		}
	}) {
		c.Close()
	}
}
