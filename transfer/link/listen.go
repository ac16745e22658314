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
	maxPending     = 64 // handshakes at once
	maxPendingAddr = 8  // of them from one address
	newPerSecond   = 20 // connections in all, burst newBurst
	newBurst       = 128
	addrPerSecond  = 5 // from one address, burst addrBurst: a neighbour opens its seven at once, both ways
	addrBurst      = 32
	maxAddrs       = 1024 // addresses remembered for counting
	maxPerDevice   = 12   // connections of one device: 7 it dials, and what it lends
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
	refused int64
}

type source struct {
	limit   *rate.Limiter
	pending int
}

// NewListener wraps a bound TCP listener. Nothing runs before Run.
func NewListener(in net.Listener, ident *identity.Identity, log *slog.Logger) *Listener {
	return &Listener{in: in, ident: ident, log: log, ready: make(chan *Conn), done: make(chan struct{}),
		all: rate.NewLimiter(newPerSecond, newBurst), addrs: map[netip.Addr]*source{}, devices: map[discovery.DeviceID]int{}}
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
		wg.Go(func() {
			defer l.leave(addr)
			l.shake(ctx, c)
		})
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
	if l.pending >= maxPending || s.pending >= maxPendingAddr || !s.limit.Allow() || !l.all.Allow() {
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

func (l *Listener) shake(ctx context.Context, c net.Conn) {
	k := &cork{Conn: c}
	t := tls.Server(k, config(l.ident, nil))
	hctx, cancel := context.WithTimeout(ctx, wire.HandshakeTime)
	defer cancel()
	if err := t.HandshakeContext(hctx); err != nil {
		l.log.Debug("handshake refused", "remote", c.RemoteAddr(), "err", err)
		c.Close()
		return
	}
	conn, err := newConn(t, k)
	if err != nil {
		c.Close()
		return
	}
	l.Push(conn)
}

// Push gives a proven connection to the server: an accepted one, or one this device dialled and lends to the other side.
// It reports whether it was taken; a refused one is closed.
func (l *Listener) Push(c *Conn) bool {
	id := c.Session.ID
	l.mu.Lock()
	if l.devices[id] >= maxPerDevice {
		l.mu.Unlock()
		c.Close()
		return false
	}
	l.devices[id]++
	l.mu.Unlock()
	c.onClose = func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.devices[id]--; l.devices[id] <= 0 {
			delete(l.devices, id)
		}
	}
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
