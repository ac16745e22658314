package link

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"porchlight/discovery"
	"porchlight/discovery/identity"
	"porchlight/transfer/wire"
)

// Limits on connections that have proven nothing yet: a stranger may cost this much and no more.
const (
	maxPending     = 64 // connections without a hello at once
	maxPendingAddr = 8  // of them from one address
	newPerSecond   = 20 // connections in all, burst newBurst
	newBurst       = 128
	addrPerSecond  = 5 // from one address, burst addrBurst: a neighbour opens its seven at once, both ways
	addrBurst      = 32
	maxAddrs       = 1024 // addresses remembered for counting
	maxPerDevice   = 12   // connections of one device: 7 it dials, and what it lends
	maxPerAddr     = 48   // connections of one address: a computer several people work at; this computer itself has no limit
	maxConns       = 1024 // connections in all
)

// Listener accepts connections, shakes hands and hands proven ones to an http.Server through Accept.
type Listener struct {
	in    net.Listener
	ident *identity.Identity
	log   *slog.Logger
	ready chan *Conn
	done  chan struct{}
	close sync.Once
	all   *rate.Limiter

	mu      sync.Mutex // guards the fields below
	pending int
	addrs   map[netip.Addr]*source
	devices map[discovery.DeviceID]int
	open    map[netip.Addr]int // connections with a device behind them
	conns   int                // their number
	refused int64
	badAddr offences[netip.Addr]
	badDev  offences[discovery.DeviceID]
}

type source struct {
	limit   *rate.Limiter
	pending int
}

// NewListener wraps a bound TCP listener. Nothing runs before Run.
func NewListener(in net.Listener, ident *identity.Identity, log *slog.Logger) *Listener {
	return &Listener{in: in, ident: ident, log: log, ready: make(chan *Conn), done: make(chan struct{}),
		all: rate.NewLimiter(newPerSecond, newBurst), addrs: map[netip.Addr]*source{}, devices: map[discovery.DeviceID]int{},
		open: map[netip.Addr]int{}, badAddr: offences[netip.Addr]{}, badDev: offences[discovery.DeviceID]{}}
}

// Run accepts until ctx ends or the listener breaks, and has joined every handshake when it returns.
func (l *Listener) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer l.Close() //nolint:errcheck // closing a listener twice is fine
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		c, err := l.in.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return ctx.Err()
			}
			select { // out of file descriptors, most likely: it passes
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		addr, ok := l.admit(c)
		if !ok {
			c.Close()
			continue
		}
		wg.Go(func() { l.shake(ctx, c, addr) })
	}
}

// admit counts a new connection against the limits.
func (l *Listener) admit(c net.Conn) (netip.Addr, bool) {
	var addr netip.Addr
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		addr = a.AddrPort().Addr().Unmap()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.addrs[addr]
	if s == nil {
		if len(l.addrs) >= maxAddrs {
			for a, s := range l.addrs { // forget whoever waits for nothing
				if s.pending == 0 {
					delete(l.addrs, a)
				}
			}
		}
		s = &source{limit: rate.NewLimiter(addrPerSecond, addrBurst)}
		l.addrs[addr] = s
	}
	if l.badAddr.refused(addr, time.Now()) || l.pending >= maxPending || s.pending >= maxPendingAddr || !s.limit.Allow() || !l.all.Allow() {
		l.refused++
		return addr, false
	}
	l.pending++
	s.pending++
	return addr, true
}

func (l *Listener) leave(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending--
	if s := l.addrs[addr]; s != nil {
		s.pending--
	}
}

// shake proves the other side. It keeps its place among the pending until its hello came or it is closed.
func (l *Listener) shake(ctx context.Context, c net.Conn, addr netip.Addr) {
	done := sync.OnceFunc(func() { l.leave(addr) })
	k := &cork{Conn: c}
	t := tls.Server(k, config(l.ident, nil))
	hctx, cancel := context.WithTimeout(ctx, wire.HandshakeTime)
	defer cancel()
	if err := t.HandshakeContext(hctx); err != nil {
		l.log.Debug("handshake refused", "remote", c.RemoteAddr(), "err", err)
		if isBreach(err) {
			l.blameAddr(addr)
		}
		c.Close()
		done()
		return
	}
	conn, err := newConn(t, k)
	if err != nil {
		c.Close()
		done()
		return
	}
	l.push(conn, done)
}

// blameAddr notes a breach by somebody who proved nothing. This computer's own programs are not punished: they share an address.
func (l *Listener) blameAddr(addr netip.Addr) {
	if addr.IsLoopback() || !addr.IsValid() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.badAddr.blame(addr, time.Now()) {
		l.log.Info("an address does not speak the protocol and is refused for a while", "remote", addr)
	}
}

func (l *Listener) blameDevice(id discovery.DeviceID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.badDev.blame(id, time.Now()) {
		l.log.Info("a device broke the protocol and is refused for a while", "peer", id.Short())
	}
}

// Push gives a proven connection to the server: an accepted one, or one this device dialled and lends to the other side.
// It reports whether it was taken; a refused one is closed. It is closed too if no hello comes in time.
func (l *Listener) Push(c *Conn) bool { return l.push(c, func() {}) }

// push is Push; greeted is called once, when the hello came or the connection is closed.
func (l *Listener) push(c *Conn, greeted func()) bool {
	s := c.Session
	if !l.enter(s) {
		c.Close()
		greeted()
		return false
	}
	s.breach = func() { l.blameDevice(s.ID) }
	c.onClose = func() {
		s.forgo()
		greeted()
		l.exit(s)
	}
	s.expect(c, wire.HelloTime, greeted)
	select {
	case l.ready <- c:
		return true
	case <-l.done:
		c.Close()
		return false
	}
}

// enter counts a proven connection against the limits.
func (l *Listener) enter(s *Session) bool {
	addr := s.Remote.Addr()
	l.mu.Lock()
	defer l.mu.Unlock()
	crowd := l.open[addr] >= maxPerAddr && addr.IsValid() && !addr.IsLoopback()
	if crowd || l.devices[s.ID] >= maxPerDevice || l.conns >= maxConns || l.badDev.refused(s.ID, time.Now()) {
		l.refused++
		return false
	}
	l.devices[s.ID]++
	l.open[addr]++
	l.conns++
	return true
}

func (l *Listener) exit(s *Session) {
	addr := s.Remote.Addr()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns--
	if l.devices[s.ID]--; l.devices[s.ID] <= 0 {
		delete(l.devices, s.ID)
	}
	if l.open[addr]--; l.open[addr] <= 0 {
		delete(l.open, addr)
	}
}

// Accept returns the next proven connection.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and Run.
func (l *Listener) Close() error {
	var err error
	l.close.Do(func() {
		close(l.done)
		err = l.in.Close()
	})
	return err
}

// Addr is the address listened on.
func (l *Listener) Addr() net.Addr { return l.in.Addr() }

// config is the identity's TLS configuration with records of full size from the first on: the small first records that
// Go sends by default shorten the wait for a web page and cost a bulk stream a megabyte of tiny writes after each pause.
func config(i *identity.Identity, want *discovery.DeviceID) *tls.Config {
	c := i.TLS(want)
	c.DynamicRecordSizingDisabled = true
	return c
}
