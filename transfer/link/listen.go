package link

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"porchlight/discovery"
	"porchlight/discovery/identity"
	"porchlight/transfer/wire"
)

// Listener accepts connections, shakes hands and hands proven ones to an http.Server through Accept.
type Listener struct {
	// Friend says for which devices places are kept that strangers cannot take (wire.MaxStrangerConns): members of a private workgroup
	// of this device, and those that people verified. It is asked with no lock held, and set before Run. With nil no places are kept.
	Friend func(discovery.DeviceID) bool

	in    net.Listener
	ident *identity.Identity
	log   *slog.Logger
	ready chan *Conn
	done  chan struct{}
	close sync.Once
	all   *rate.Limiter
	corks *sync.Pool

	mu      sync.Mutex  // guards the fields below
	pending []*stranger // in the order they came
	queue   []*stranger // of them, those whose handshake waits for its turn
	armed   bool        // the queue will be looked at
	addrs   map[netip.Addr]*source
	homes   map[netip.Addr]time.Time       // when a friend last came from there
	devices map[discovery.DeviceID][]*Conn // that have entered
	conns   int                            // their number
	strange map[netip.Addr]int             // of them, those of strangers
	others  int                            // the sum of these
	refused int64
	badAddr offences[netip.Addr]
	badDev  offences[discovery.DeviceID]
}

// stranger is a connection that has not said hello.
type stranger struct {
	net.Conn
	addr  netip.Addr
	since time.Time
	spoke atomic.Bool   // its part of the handshake has begun
	turn  chan struct{} // closed when its handshake may go on
	out   chan struct{} // closed when it gave way
}

// source is what is counted of one address.
type source struct {
	limit   *rate.Limiter
	pending int
}

// newSource is what an address may do that nobody came from.
func newSource() *rate.Limiter { return rate.NewLimiter(wire.NewAddrPerSecond, wire.NewAddrBurst) }

// NewListener wraps a bound TCP listener. Nothing runs before Run.
func NewListener(in net.Listener, ident *identity.Identity, log *slog.Logger) *Listener {
	return &Listener{in: in, ident: ident, log: log, ready: make(chan *Conn), done: make(chan struct{}), corks: newCorks(),
		all: rate.NewLimiter(wire.NewPerSecond, wire.NewBurst), addrs: map[netip.Addr]*source{}, devices: map[discovery.DeviceID][]*Conn{},
		homes: map[netip.Addr]time.Time{}, strange: map[netip.Addr]int{}, badAddr: offences[netip.Addr]{}, badDev: offences[discovery.DeviceID]{}}
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
		s, ok := l.admit(c)
		if !ok {
			c.Close()
			continue
		}
		wg.Go(func() { l.shake(ctx, s) })
	}
}

// admit counts a new connection against the limits.
func (l *Listener) admit(c net.Conn) (*stranger, bool) {
	st := &stranger{Conn: c, since: time.Now(), turn: make(chan struct{}), out: make(chan struct{})}
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		st.addr = a.AddrPort().Addr().Unmap()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.addrs[st.addr]
	if s == nil {
		if len(l.addrs) >= wire.MaxCounted {
			for a, s := range l.addrs { // forget whoever waits for nothing
				if s.pending == 0 {
					delete(l.addrs, a)
				}
			}
		}
		s = &source{limit: newSource()}
		l.addrs[st.addr] = s
	}
	if l.badAddr.refused(st.addr, st.since) || s.pending >= wire.MaxPendingAddr || !s.limit.Allow() || !l.room(st) {
		l.refused++
		return nil, false
	}
	l.pending = append(l.pending, st)
	s.pending++
	return st, true
}

// leave ends the pending of a stranger: it said hello, or is gone.
func (l *Listener) leave(st *stranger) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(st)
}

// shake proves the other side. It keeps its place among the pending until its hello came or it is closed.
func (l *Listener) shake(ctx context.Context, st *stranger) {
	done := func() { l.leave(st) }
	hctx, cancel := context.WithTimeout(ctx, wire.HandshakeTime)
	defer cancel()
	k := &cork{Conn: st.Conn}
	k.stranger()
	c := config(l.ident, nil)
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { // what costs something begins now
		st.spoke.Store(true)
		return nil, l.await(hctx, st) // nil: the same configuration
	}
	t := tls.Server(k, c)
	if err := t.HandshakeContext(hctx); err != nil {
		l.log.Debug("handshake refused", "remote", st.RemoteAddr(), "err", err)
		if isBreach(err) {
			l.blameAddr(st.addr)
		}
		st.Close()
		done()
		return
	}
	conn, err := newConn(t, k)
	if err != nil {
		st.Close()
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
func (l *Listener) Push(c *Conn) bool {
	c.cork.stranger()
	return l.push(c, func() {})
}

// push is Push; greeted is called once, when the hello came or the connection is closed.
func (l *Listener) push(c *Conn, greeted func()) bool {
	s := c.Session
	s.friend = l.Friend
	ok, old := l.enter(c, func() {
		s.forgo()
		greeted()
		l.exit(c)
	})
	if old != nil {
		old.Close()
	}
	if !ok {
		c.Close()
		greeted()
		return false
	}
	s.breach = func() { l.blameDevice(s.ID) }
	c.cork.pool = l.corks
	s.expect(c, wire.HelloTime, func() { c.cork.friend(); greeted() })
	select {
	case l.ready <- c:
		return true
	case <-l.done:
		c.Close()
		return false
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
