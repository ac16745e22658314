package mesh

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"porchlight/app/membership"
	"porchlight/discovery"
	"porchlight/share"
	"porchlight/transfer"
	"porchlight/transfer/client"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// How often a neighbour that is not there is tried again. An announcement, a connection from it or a change of the
// network tries at once.
const (
	secondTry   = 500 * time.Millisecond // a crash is seen as a closed stream; two failed tries make it certain
	retryFirst  = 4 * time.Second        // in the first minutes
	retryLater  = 20 * time.Second
	firstFor    = 10 * time.Minute
	tellBlocked = 400 * time.Millisecond // a dial that takes longer probably meets a firewall
	lendAgain   = 2 * time.Second        // after a connection could not be lent
)

// What one neighbour can make this device do, whatever it sends: beyond these rates, and those of wire for its events, it waits.
const (
	triesPerSecond = 1 // dials for its event stream: an announcement that anybody can forge starts one
	triesBurst     = 5
	lendsPerSecond = 2 // connections lent: it may drop each at once
	lendsBurst     = 8
	hintsBurst     = 6 // tries because of announcements, which the device itself need not have sent
	hintsEvery     = 10 * time.Second
)

// Neighbour keeps the connections to one known device: the event stream that says it is there, the folders looked at,
// and a spare connection lent to it when it cannot dial this device.
type Neighbour struct {
	ID     discovery.DeviceID
	Peer   *link.Peer
	Client *client.Client

	m      *Mesh
	kick   chan struct{} // holds one: try now
	lend   chan struct{} // holds one: whether to lend may have changed
	looks  looks
	asking atomic.Bool // it is being asked for those it knows
	lost   atomic.Bool // it was tried and is not there
	quit   context.CancelFunc
	begun  time.Time

	tries, hints, lends, events, names *rate.Limiter

	mu      sync.Mutex // guards the fields below
	blocked bool       // it cannot dial this device
	told    bool       // it was told that this device cannot dial it
	looked  time.Time  // when it was last checked whether it moved
	looking bool       // it is about to be checked
	cut     context.CancelFunc

	naming sync.Mutex // guards the fields below, and is held while the roster is told
	named  time.Time  // when the device last said in an event what it is called
	called wire.Event
}

// namedSince is how long before a connection was made here its hello may have been written there.
const namedSince = time.Second

// latest holds back what the device says of itself, and puts into a hello what an event said after the connection began: the hello may be older. The caller
// calls done when it has told the roster.
func (n *Neighbour) latest(s *link.Session, h *wire.Hello) (done func()) {
	n.naming.Lock()
	if n.named.After(s.Began.Add(-namedSince)) {
		h.Name, h.Workgroup = n.called.Name, n.called.Group
	}
	return n.naming.Unlock
}

func newNeighbour(m *Mesh, id discovery.DeviceID) *Neighbour {
	n := &Neighbour{ID: id, m: m, begun: time.Now(), kick: make(chan struct{}, 1), lend: make(chan struct{}, 1),
		tries: rate.NewLimiter(triesPerSecond, triesBurst), hints: rate.NewLimiter(rate.Every(hintsEvery), hintsBurst), lends: rate.NewLimiter(lendsPerSecond, lendsBurst),
		events: rate.NewLimiter(wire.EventsPerSecond, wire.EventsBurst), names: rate.NewLimiter(rate.Every(wire.NamesEvery), wire.NamesBurst)}
	n.Peer = link.NewPeer(id, m.cfg.Dialer, func() []netip.AddrPort { return m.cfg.Roster.Dialable(id) }, n.greeted)
	n.Client = client.New(n.Peer)
	n.Peer.OnAdopt = n.answered
	n.Client.Downloads = m.cfg.Down
	n.looks.n = n
	return n
}

// answered takes what the device answered to a hello of this one.
func (n *Neighbour) answered(g link.Greeting) {
	n.m.cfg.Groups.Greeted(membership.SessionOf(g.Conn.Session), g.Answer.Proven(), g.Answer.Notices(), n.Client)
}

// greeted is told of every connection this device dialled.
func (n *Neighbour) greeted(g link.Greeting) {
	n.m.prove(g.Conn.Session, g.Answer, g.Addr, true, false)
	n.setBlocked(!g.Answer.DialBack)
	n.answered(g)
}

// Try makes a sleeping neighbour try at once.
func (n *Neighbour) Try() {
	select {
	case n.kick <- struct{}{}:
	default:
	}
}

// hinted is Try because somebody, perhaps the device itself, says that it is there.
func (n *Neighbour) hinted() {
	if n.hints.Allow() {
		n.Try()
	}
}

// drop breaks every connection, so that all are made anew: they may lead over a network that is gone.
func (n *Neighbour) drop() {
	n.mu.Lock()
	cut := n.cut
	n.mu.Unlock()
	n.Peer.Drop()
	if cut != nil {
		cut()
	}
	n.Try()
}

// Run keeps the event stream open until ctx ends.
func (n *Neighbour) run(ctx context.Context) {
	defer n.Peer.Close()
	fails, since := 0, time.Now()
	for n.tries.Wait(ctx) == nil {
		end := n.stream(ctx)
		switch {
		case ctx.Err() != nil:
		case end == endBye || end == endSilent:
			fails, since = 2, time.Now()
		case end == endBroke:
			fails, since = 0, time.Now()
		default:
			fails++
		}
		if fails >= 2 {
			n.Peer.Drop()
			n.setState(discovery.Offline)
			n.lost.Store(true)
		} else if n.state() == discovery.Online {
			n.setState(discovery.Suspect)
		}
		n.pause(ctx, fails, since)
	}
	n.setOffline()
	if n.m.Neighbour(n.ID) == nil { // let go of, and perhaps in the very moment it came
		n.setState(discovery.Offline)
	}
}

// pause waits for the next try: at once after a break, soon after the first failure, then every few seconds.
func (n *Neighbour) pause(ctx context.Context, fails int, since time.Time) {
	wait := retryFirst
	switch {
	case fails == 0:
		return
	case fails == 1:
		wait = secondTry
	case fails == 2:
		wait = time.Second
	case fails == 3:
		wait = 2 * time.Second
	case time.Since(since) > firstFor:
		wait = retryLater
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-n.kick:
	case <-ctx.Done():
	}
}

// how says how a stream ended.
type how int

const (
	endNever  how = iota // it never began
	endBroke             // it was there and broke
	endSilent            // nothing came for wire.OfflineAfter
	endBye               // the device said goodbye
)

// minStream is how long a stream must have lived for its end to count as a break: one that breaks at once is a failure,
// or the two sides would spin.
const minStream = time.Second

// stream holds the event stream open until it ends.
func (n *Neighbour) stream(ctx context.Context) how {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	n.mu.Lock()
	n.cut = cancel
	n.mu.Unlock()
	early := time.AfterFunc(tellBlocked, n.tellBlocked)
	defer early.Stop()
	var began time.Time
	bye := false
	err := n.Client.Events(ctx, func(e wire.Event) {
		n.slow(ctx, e)
		if began.IsZero() {
			began = time.Now()
			early.Stop()
			n.setOnline()
		} else if n.state() == discovery.Suspect {
			n.setState(discovery.Online)
		}
		if e.Kind == wire.EventBye {
			bye = true
			cancel()
			return
		}
		n.heard(e)
	}, func() {
		n.setState(discovery.Suspect)
		n.m.cfg.Voice.Refresh()
	})
	n.setOffline()
	n.m.cfg.Log.Debug("event stream ended", "peer", n.ID.Short(), "err", err, "bye", bye)
	switch {
	case bye:
		return endBye
	case began.IsZero():
		if n.m.cfg.Learned.failed(netip.AddrPort{}, n.ID, err) {
			n.m.cfg.OnChange()
		}
		if !errors.Is(err, transfer.ErrGone) { // it was reached, and hides
			n.tellBlocked()
		}
		return endNever
	case errors.Is(err, transfer.ErrAway) && time.Since(began) >= wire.OfflineAfter && n.state() == discovery.Suspect:
		return endSilent
	case time.Since(began) < minStream:
		return endNever
	}
	return endBroke
}

// slow keeps the events of a neighbour that floods at a rate this device can bear: what is not read waits on its side,
// and is cut off there.
func (n *Neighbour) slow(ctx context.Context, e wire.Event) {
	limit := n.events
	if e.Kind == wire.EventSelf {
		limit = n.names
	}
	limit.Wait(ctx) //nolint:errcheck // ctx ends the stream as well
}

// heard acts on one event. Each is a hint; what it is about is fetched.
func (n *Neighbour) heard(e wire.Event) {
	switch e.Kind {
	case wire.EventShares:
		n.m.cfg.OnChange()
	case wire.EventDir:
		if len(e.Share) == len(share.ID{}) {
			n.looks.changed(share.ID(e.Share), share.Path(e.Path))
		}
	case wire.EventSelf:
		n.naming.Lock()
		n.named, n.called = time.Now(), e
		n.m.cfg.Roster.Renamed(n.ID, e.Name, e.Group)
		n.naming.Unlock()
	case wire.EventDialBack:
		n.setBlocked(!e.OK)
	case wire.EventPeers:
		n.m.hail(n)
	}
}

// tellBlocked tells the device that it cannot be dialled from here, if it listens, so that it lends connections.
func (n *Neighbour) tellBlocked() {
	n.mu.Lock()
	n.told = true
	n.mu.Unlock()
	n.m.cfg.Voice.TellOne(n.ID, wire.Event{Kind: wire.EventDialBack, OK: false})
}

// reachable reports whether this device can dial the other one, as far as it knows.
func (n *Neighbour) reachable() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.told || n.Peer.Direct()
}

func (n *Neighbour) setOnline() {
	n.lost.Store(false)
	n.m.cfg.Attendance.set(n.ID, true)
	n.mu.Lock()
	direct := n.Peer.Direct()
	tell := n.told && direct
	n.told = n.told && !direct
	n.mu.Unlock()
	if tell {
		n.m.cfg.Voice.TellOne(n.ID, wire.Event{Kind: wire.EventDialBack, OK: true})
	}
	n.setState(discovery.Online)
	n.looks.renew()
	n.m.hail(n)
	n.m.cfg.Groups.Up(n.ID, n.Client)
}

func (n *Neighbour) setOffline() {
	n.m.cfg.Attendance.set(n.ID, false)
	n.m.cfg.Groups.Down(n.ID, n.Client)
}

// Up reports whether the device is there.
func (n *Neighbour) Up() bool {
	up, _ := n.m.cfg.Attendance.Of(n.ID)
	return up
}

func (n *Neighbour) state() discovery.State {
	p, err := n.m.cfg.Roster.Get(n.ID)
	if err != nil {
		return discovery.Offline
	}
	return p.State
}

func (n *Neighbour) setState(s discovery.State) { n.m.cfg.Roster.SetState(n.ID, s) }

func (n *Neighbour) setBlocked(b bool) {
	n.m.cfg.Roster.SetDialBack(n.ID, !b)
	n.mu.Lock()
	n.blocked = b
	n.mu.Unlock()
	select {
	case n.lend <- struct{}{}:
	default:
	}
}

// Lost reports whether the device was tried and is not there.
func (n *Neighbour) Lost() bool { return n.lost.Load() }

// Blocked reports whether the device has said that it cannot dial this one.
func (n *Neighbour) Blocked() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.blocked
}

// lender keeps one spare connection with a device that cannot dial this one, for as long as it says so.
func (n *Neighbour) lender(ctx context.Context) {
	for ctx.Err() == nil {
		if !n.Blocked() {
			select {
			case <-n.lend:
			case <-ctx.Done():
			}
			continue
		}
		if n.lends.Wait(ctx) != nil {
			return
		}
		c, used, err := n.lendOne(ctx)
		if err != nil || !n.m.cfg.Listener.Push(c) {
			select {
			case <-time.After(lendAgain):
			case <-n.lend:
			case <-ctx.Done():
			}
			continue
		}
		for waiting := true; waiting; {
			select {
			case <-used:
				waiting = false
			case <-c.Session.Gone():
				waiting = false
			case <-n.lend:
				if waiting = n.Blocked(); !waiting {
					c.Close()
				}
			case <-ctx.Done():
				c.Close()
				waiting = false
			}
		}
	}
}

func (n *Neighbour) lendOne(ctx context.Context) (c *link.Conn, used <-chan struct{}, err error) {
	err = transfer.ErrAway
	for _, a := range n.m.cfg.Roster.Dialable(n.ID) {
		if c, used, err = n.m.cfg.Dialer.Lend(ctx, n.ID, a); err == nil {
			return c, used, nil
		}
	}
	return nil, nil, err
}
