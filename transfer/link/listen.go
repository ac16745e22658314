package link

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
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
	addrs   map[netip.Addr]*source
	devices map[discovery.DeviceID][]*Conn // that have entered
	open    map[netip.Addr]int             // connections with a device behind them
	conns   int                            // their number
	refused int64
	badAddr offences[netip.Addr]
	badDev  offences[discovery.DeviceID]
}

// stranger is a connection that has not said hello.
type stranger struct {
	net.Conn
	addr  netip.Addr
	since time.Time
	spoke atomic.Bool // its part of the handshake has begun
}

// source is what is counted of one address.
type source struct {
	limit   *rate.Limiter
	pending int
}

// NewListener wraps a bound TCP listener. Nothing runs before Run.
func NewListener(in net.Listener, ident *identity.Identity, log *slog.Logger) *Listener {
	return &Listener{in: in, ident: ident, log: log, ready: make(chan *Conn), done: make(chan struct{}), corks: newCorks(),
		all: rate.NewLimiter(wire.NewPerSecond, wire.NewBurst), addrs: map[netip.Addr]*source{}, devices: map[discovery.DeviceID][]*Conn{},
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
	st := &stranger{Conn: c, since: time.Now()}
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
		s = &source{limit: rate.NewLimiter(wire.NewAddrPerSecond, wire.NewAddrBurst)}
		l.addrs[st.addr] = s
	}
	if l.badAddr.refused(st.addr, st.since) || s.pending >= wire.MaxPendingAddr || !s.limit.Allow() || !l.room(st.since) {
		l.refused++
		return nil, false
	}
	l.pending = append(l.pending, st)
	s.pending++
	return st, true
}

// slow is how long a stranger that is no longer silent keeps its place when others want it: no honest one needs so long.
const slow = time.Second

// room makes room for one more stranger. When there is none, whoever has been silent the longest gives way, or else
// whoever is slow: a neighbour speaks at once, and must get in while others open connections and say nothing. The caller holds mu.
func (l *Listener) room(now time.Time) bool {
	if len(l.pending) < wire.MaxPending {
		return true
	}
	i := slices.IndexFunc(l.pending, func(s *stranger) bool { return !s.spoke.Load() })
	if i < 0 && now.Sub(l.pending[0].since) > slow {
		i = 0
	}
	if i < 0 {
		return false
	}
	st := l.pending[i]
	l.forget(st)
	st.Close()
	return true
}

// forget takes a stranger off the list. The caller holds mu.
func (l *Listener) forget(st *stranger) {
	i := slices.Index(l.pending, st)
	if i < 0 {
		return // it gave way before
	}
	l.pending = slices.Delete(l.pending, i, i+1)
	if s := l.addrs[st.addr]; s != nil {
		s.pending--
	}
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
		if l.all.Wait(hctx) != nil {
			return nil, context.DeadlineExceeded
		}
		return nil, nil //nolint:nilnil // the same configuration
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
	ok, old := l.enter(c, func() {
		s.forgo()
		greeted()
		l.exit(s.ID, c)
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

// quiet is how long nothing must have come or gone on a connection for it to give way to a new one of the same device. A device that
// lost its network, or has another address now, never closes the ones from before; what it uses is never quiet for so long.
const quiet = 3 * time.Second

// enter counts a proven connection against the limits. If the device has as many as it may, the one that was quiet the longest is
// returned, for the caller to close. onClose is called when c is closed, if it entered.
func (l *Listener) enter(c *Conn, onClose func()) (ok bool, old *Conn) {
	s, now := c.Session, time.Now()
	addr := s.Remote.Addr()
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := l.devices[s.ID]
	if len(mine) >= wire.MaxDeviceConns {
		old = slices.MinFunc(mine, func(a, b *Conn) int { return cmp.Compare(a.moved.Load(), b.moved.Load()) })
		if now.Sub(time.Unix(0, old.moved.Load())) < quiet {
			l.refused++
			return false, nil
		}
	}
	crowd := l.open[addr] >= wire.MaxAddrConns && addr.IsValid() && !addr.IsLoopback()
	if crowd || l.conns >= wire.MaxConns || l.badDev.refused(s.ID, now) {
		l.refused++
		return false, nil
	}
	c.onClose = onClose
	c.moved.Store(now.UnixNano())
	l.devices[s.ID] = append(mine, c)
	l.open[addr]++
	l.conns++
	return true, old
}

func (l *Listener) exit(id discovery.DeviceID, c *Conn) {
	addr := c.Session.Remote.Addr()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns--
	mine := l.devices[id]
	if i := slices.Index(mine, c); i >= 0 {
		mine = slices.Delete(mine, i, i+1)
	}
	if l.devices[id] = mine; len(mine) == 0 {
		delete(l.devices, id)
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
