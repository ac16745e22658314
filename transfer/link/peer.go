package link

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"porchlight/discovery"
	"porchlight/transfer"
	"porchlight/transfer/wire"
)

// Connections to one device. Two for questions keep a listing quick beside a pull, and two more those that the other side
// thinks about for seconds; four for bytes are the most that
// paid on a pair of computers (one 0.60 of raw TLS, two 0.71, four 0.62 on two cores; more cores gain more).
const (
	quickConns = 2
	slowConns  = 2
	bulkConns  = 4
	maxSpares  = 4                      // lent connections kept for later
	preferLent = time.Minute            // after a dial failed and a lent connection worked, dialling is not tried first for so long
	lentWait   = 250 * time.Millisecond // a dial that takes longer than this loses to a lent connection
	lendTime   = 2 * time.Second        // within which whoever lends has lent anew
)

// Class says what a request is for, and so over which connections it goes.
type Class uint8

// The classes of requests.
const (
	Quick  Class = iota // small answers
	Bulk                // bytes of files
	Slow                // small answers that may be long in coming
	Stream              // the one endless answer
)

// Peer makes and keeps the connections to one device.
type Peer struct {
	ID      discovery.DeviceID
	OnAdopt func(Greeting) // told of each connection that the device lent, with no lock held; may be nil, and set before the first
	dialer  *Dialer
	addrs   func() []netip.AddrPort // best first
	onGreet func(Greeting)
	clients [4]*http.Client

	mu        sync.Mutex // guards the fields below
	conns     map[*Conn]bool
	spares    []*Conn
	wake      chan struct{} // closed and replaced when a spare arrives
	lentUntil time.Time
	direct    bool // the last dial worked
	closed    bool
}

// NewPeer returns the connections to device id; addrs gives its addresses, best first; onGreet is told of each new
// connection, with no lock held. Nothing is dialled before the first request.
func NewPeer(id discovery.DeviceID, d *Dialer, addrs func() []netip.AddrPort, onGreet func(Greeting)) *Peer {
	p := &Peer{ID: id, dialer: d, addrs: addrs, onGreet: onGreet, conns: map[*Conn]bool{}, wake: make(chan struct{})}
	for class, n := range []int{Quick: quickConns, Bulk: bulkConns, Slow: slowConns, Stream: 1} {
		t := &http.Transport{
			DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return p.dial(ctx) },
			DisableCompression:     true,
			MaxConnsPerHost:        n,
			MaxIdleConnsPerHost:    n,
			IdleConnTimeout:        wire.ClientIdle,
			ResponseHeaderTimeout:  wire.StallTime,
			MaxResponseHeaderBytes: wire.MaxHeader,
			ReadBufferSize:         64 << 10,
		}
		p.clients[class] = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return p
}

// Client returns the HTTP client for one class of requests. The host in the URL does not matter.
func (p *Peer) Client(c Class) *http.Client { return p.clients[c] }

// Direct reports whether the last attempt to dial the device worked.
func (p *Peer) Direct() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.direct
}

// Dialled returns where the connections lead that this device made and still has.
func (p *Peer) Dialled() (out []netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if a := c.Session.Remote; !c.Session.Reversed && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// Offer takes a connection the device lends. The connection is closed if there are enough.
func (p *Peer) Offer(ctx context.Context, c *Conn) {
	answer, err := p.dialer.Adopt(ctx, c)
	if err != nil {
		c.Close()
		return
	}
	if p.OnAdopt != nil {
		p.OnAdopt(Greeting{c, answer, c.Session.Remote})
	}
	p.mu.Lock()
	if p.closed || len(p.spares) >= maxSpares {
		p.mu.Unlock()
		c.Close()
		return
	}
	p.spares = append(p.spares, c)
	close(p.wake)
	p.wake = make(chan struct{})
	p.mu.Unlock()
	time.AfterFunc(wire.ClientIdle, func() { p.expire(c) })
}

// expire closes a spare that nobody took before the other side's idle time-out does.
func (p *Peer) expire(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, s := range p.spares {
		if s == c {
			p.spares = append(p.spares[:i], p.spares[i+1:]...)
			c.Close()
			return
		}
	}
}

// Drop closes every connection; the next request dials anew.
func (p *Peer) Drop() {
	p.mu.Lock()
	all := make([]*Conn, 0, len(p.conns)+len(p.spares))
	for c := range p.conns {
		all = append(all, c)
	}
	all = append(all, p.spares...)
	p.spares = nil
	p.lentUntil = time.Time{}
	p.mu.Unlock()
	for _, c := range all {
		c.Close()
	}
	for _, c := range p.clients {
		c.CloseIdleConnections()
	}
}

// DropAt closes the connections that were dialled to one address.
func (p *Peer) DropAt(a netip.AddrPort) {
	p.mu.Lock()
	var there []*Conn
	for c := range p.conns {
		if c.Session.Remote == a && !c.Session.Reversed {
			there = append(there, c)
		}
	}
	p.mu.Unlock()
	for _, c := range there {
		c.Close()
	}
}

// Close drops everything for good.
func (p *Peer) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Drop()
}

func (p *Peer) take() (*Conn, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.spares) > 0 {
		c := p.spares[0]
		p.spares = p.spares[1:]
		select {
		case <-c.Session.Gone():
			continue
		default:
		}
		return c, p.wake
	}
	return nil, p.wake
}

// dial returns a connection that said hello: dialled, or lent by the other side if dialling does not work or is slow.
func (p *Peer) dial(ctx context.Context) (net.Conn, error) {
	if p.recentlyLent() {
		if c, _ := p.take(); c != nil {
			return p.keep(c)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		g   Greeting
		err error
	}
	direct, failed, lent := make(chan result, 1), make(chan struct{}), make(chan *Conn, 1)
	go func() {
		g, err := p.dialAny(ctx)
		if err != nil {
			close(failed)
		}
		direct <- result{g, err}
	}()
	go func() { lent <- p.waitLent(ctx, failed) }()
	select {
	case r := <-direct:
		if r.err == nil {
			cancel()
			p.putBack(<-lent)
			return p.greeted(r.g)
		}
		if c := <-lent; c != nil {
			p.noteLent()
			return p.keep(c)
		}
		p.noteDirect(false)
		return nil, r.err
	case c := <-lent:
		if c == nil { // ctx ended, or dialling failed and nothing was lent
			r := <-direct
			if r.err == nil {
				return p.greeted(r.g)
			}
			p.noteDirect(false)
			return nil, r.err
		}
		cancel()
		go func() { // a dial that comes too late
			if r := <-direct; r.err == nil {
				r.g.Conn.Close()
			}
		}()
		p.noteLent()
		return p.keep(c)
	}
}

// Connect returns a connection to the device for one purpose, dialled or lent, that said hello. The caller closes it; Drop does, too.
func (p *Peer) Connect(ctx context.Context) (*Conn, error) {
	c, err := p.dial(ctx)
	if err != nil {
		return nil, err
	}
	return c.(*Conn), nil
}

// waitLent waits for a lent connection, from the moment on that dialling takes long or failed. It returns nil when ctx
// ends, and soon after dialling failed: the other side lends a new one as soon as the last was taken, but only if it does lend.
func (p *Peer) waitLent(ctx context.Context, failed <-chan struct{}) *Conn {
	patience := time.NewTimer(lentWait)
	defer patience.Stop()
	select {
	case <-patience.C:
	case <-failed:
	case <-ctx.Done():
		return nil
	}
	var giveUp, stuck <-chan time.Time
	for {
		c, wake := p.take()
		if c != nil {
			return c
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil
		case <-giveUp:
			return nil
		case <-failed:
			if !p.recentlyLent() {
				return nil
			}
			failed, giveUp, stuck = nil, time.After(lendTime), time.After(lentWait)
		case <-stuck: // the last spare may lie idle: taken for a request that another connection came free for
			for _, c := range p.clients {
				c.CloseIdleConnections()
			}
		}
	}
}

func (p *Peer) recentlyLent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.lentUntil)
}

// noteLent remembers that a lent connection came before a dialled one.
func (p *Peer) noteLent() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lentUntil, p.direct = time.Now().Add(preferLent), false
}

func (p *Peer) noteDirect(ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.direct = ok
}

// putBack keeps a lent connection that was taken and is not needed after all.
func (p *Peer) putBack(c *Conn) {
	if c == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.Close()
		return
	}
	p.spares = append(p.spares, c)
	time.AfterFunc(wire.ClientIdle, func() { p.expire(c) }) // the first may have come while it was taken
}

func (p *Peer) greeted(g Greeting) (net.Conn, error) {
	p.noteDirect(true)
	if p.onGreet != nil {
		p.onGreet(g)
	}
	return p.keep(g.Conn)
}

func (p *Peer) keep(c *Conn) (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.Close()
		return nil, transfer.ErrAway
	}
	p.conns[c] = true
	inner := c.onClose
	c.onClose = func() {
		if inner != nil {
			inner()
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, c)
	}
	return c, nil
}

// dialAny tries the addresses, best first, a new one each 200 ms while none has answered (RFC 8305 §5 does 250).
func (p *Peer) dialAny(ctx context.Context) (Greeting, error) {
	addrs := p.addrs()
	if len(addrs) == 0 {
		return Greeting{}, transfer.ErrAway
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		g   Greeting
		err error
	}
	results := make(chan result, len(addrs))
	next, running := 0, 0
	start := func() {
		a := addrs[next]
		next++
		running++
		go func() {
			g, err := p.dialer.Dial(ctx, &p.ID, a)
			results <- result{g, err}
		}()
	}
	start()
	stagger := time.NewTicker(200 * time.Millisecond)
	defer stagger.Stop()
	var errs []error
	for running > 0 {
		select {
		case r := <-results:
			running--
			if r.err == nil {
				go func(n int) { // the losers of the race
					for range n {
						if r := <-results; r.err == nil {
							r.g.Conn.Close()
						}
					}
				}(running)
				return r.g, nil
			}
			errs = append(errs, r.err)
			if next < len(addrs) {
				start()
			}
		case <-stagger.C:
			if next < len(addrs) {
				start()
			}
		}
	}
	return Greeting{}, errors.Join(errs...)
}
