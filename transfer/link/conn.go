// Package link makes and accepts authenticated connections.
//
// A connection is TCP, TLS 1.3 with both keys shown (discovery/identity), and HTTP/1.1 inside. Whichever side dials,
// the first request on it is a hello; rights are decided by the device that the handshake proved and nothing else.
package link

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/identity"
	"porchlight/transfer/wire"
)

// Conn is a connection whose other side is proven. net/http never sees the *tls.Conn: its server would close a protocol
// that is not http/1.x, its transport would start a second handshake.
type Conn struct {
	*tls.Conn
	cork    *cork
	Session *Session
	friend  bool       // it took a place as a friend's
	from    netip.Addr // where it took it; both are set by Listener.enter
	left    []byte     // read too much by whoever had the connection before
	began   time.Time
	moved   atomic.Int64 // when something last came or went, ns after began: clocks may be set meanwhile
	closed  sync.Once
	onClose func()
}

// Session is what is known about the other side of one connection; it dies with it.
type Session struct {
	ID       discovery.DeviceID
	Key      ed25519.PublicKey // of the other side, which the handshake proved; ID is made of it
	Exporter []byte            // 32 bytes that bind proofs to this connection
	Remote   netip.AddrPort
	Began    time.Time // when the handshake was over
	Reversed bool      // the other side lent us this connection, or we lent it: dialled by the side that serves

	requests atomic.Int64
	used     chan struct{} // closed by the second request: a lent connection is in use
	gone     chan struct{} // closed with the connection

	friend   func(discovery.DeviceID) bool // Listener.Friend
	asked    atomic.Int64                  // when, after Began, in ns; 0 is never
	isFriend atomic.Bool                   // what it said

	breach func() // tells the Listener of a breach; nil on a connection that serves nobody
	end    func() // closes the connection

	mu      sync.Mutex // guards the fields below
	hello   *wire.Hello
	late    bool        // the hello did not come in time
	wait    *time.Timer // closes the connection then
	greeted func()      // called when the hello comes in time
	proved  [][32]byte  // private workgroups the other side has a key of
}

// Hello returns the other side's hello, false before it came.
func (s *Session) Hello() (wire.Hello, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hello == nil {
		return wire.Hello{}, false
	}
	return *s.hello, true
}

// SetHello notes the other side's hello, which the caller has checked. It reports false if there was one already, or
// this one came too late: a connection has one hello.
func (s *Session) SetHello(h wire.Hello) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hello != nil || s.late {
		return false
	}
	s.hello = &h
	if s.wait != nil {
		s.wait.Stop()
	}
	if s.greeted != nil {
		s.greeted()
	}
	return true
}

// SetProved notes the private workgroups that the other side proved in its hello to have a key of, member or not.
func (s *Session) SetProved(ids [][32]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proved = slices.Clone(ids)
}

// Proved reports whether the other side proved a key of a private workgroup on this connection. It is no membership.
func (s *Session) Proved(id [32]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.proved, id)
}

// ProvedAny reports whether the other side proved a key of any private workgroup of this device.
func (s *Session) ProvedAny() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.proved) > 0
}

// friendFor is how long it is known whether a device is a friend: it is asked for each piece that is read, and who stops being one is cut
// off anyhow.
const friendFor = time.Second

// Friend reports whether the other side is one for whom places are kept; everybody is where none are.
func (s *Session) Friend() bool {
	if s.friend == nil {
		return true
	}
	now := time.Since(s.Began)
	if at := s.asked.Load(); at == 0 || now-time.Duration(at) > friendFor {
		s.isFriend.Store(s.friend(s.ID))
		s.asked.Store(int64(max(now, 1)))
	}
	return s.isFriend.Load()
}

// End closes the connection.
func (s *Session) End() {
	if s.end != nil {
		s.end()
	}
}

// expect closes c unless the hello comes in time; greeted is called when it does.
func (s *Session) expect(c *Conn, in time.Duration, greeted func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.greeted = greeted
	s.wait = time.AfterFunc(in, func() {
		s.mu.Lock()
		s.late = s.hello == nil
		late := s.late
		s.mu.Unlock()
		if late {
			c.Close()
		}
	})
}

// forgo ends the wait for a hello; the connection is closed.
func (s *Session) forgo() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wait != nil {
		s.wait.Stop()
	}
}

// Breach notes that the other side broke the protocol. The caller closes the connection; who does it again and again is
// refused for a while.
func (s *Session) Breach() {
	if s.breach != nil {
		s.breach()
	}
}

// Request counts a request; the server calls it for each.
func (s *Session) Request() {
	if s.requests.Add(1) == 2 {
		close(s.used)
	}
}

// Gone is closed with the connection.
func (s *Session) Gone() <-chan struct{} { return s.gone }

type sessionKey struct{}

// WithSession is the ConnContext of a server of this package's connections.
func WithSession(ctx context.Context, c net.Conn) context.Context {
	if c, ok := c.(*Conn); ok {
		return context.WithValue(ctx, sessionKey{}, c.Session)
	}
	return ctx
}

// SessionOf returns the session of the connection a request came over; nil if it came over none of ours.
func SessionOf(ctx context.Context) *Session {
	s, _ := ctx.Value(sessionKey{}).(*Session)
	return s
}

// newConn wraps a connection whose handshake is done.
func newConn(t *tls.Conn, k *cork) (*Conn, error) {
	cs := t.ConnectionState()
	id, err := identity.PeerID(cs)
	if err != nil {
		return nil, err
	}
	exp, err := identity.Exporter(cs)
	if err != nil {
		return nil, err
	}
	key := cs.PeerCertificates[0].PublicKey.(ed25519.PublicKey) // PeerID looked
	s := &Session{Began: time.Now(), ID: id, Key: key, Exporter: exp, used: make(chan struct{}), gone: make(chan struct{})}
	if a, ok := t.RemoteAddr().(*net.TCPAddr); ok {
		s.Remote = unmap(a.AddrPort())
	}
	c := &Conn{Conn: t, cork: k, Session: s, began: s.Began}
	s.end = func() { c.Close() } //nolint:errcheck // it is gone either way
	return c, nil
}

// again gives the connection a new session, for its second life the other way round.
func (c *Conn) again() {
	old := c.Session
	c.Session = &Session{Began: time.Now(), ID: old.ID, Key: old.Key, Exporter: old.Exporter, Remote: old.Remote, Reversed: true, used: make(chan struct{}), gone: make(chan struct{}), end: old.end}
}

// Read reads what a previous reader left over first.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.left) > 0 {
		n := copy(p, c.left)
		c.left = c.left[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.move()
	}
	return n, err
}

// Write sends p in as few system calls as possible: the TLS records of one call leave together.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.cork.together(c.Conn, p)
	if n > 0 {
		c.move()
	}
	return n, err
}

// Close closes the connection, once.
func (c *Conn) Close() (err error) {
	c.closed.Do(func() {
		// No close_notify: it could wait behind a full send buffer, and every answer carries its own end.
		err = c.cork.Conn.Close()
		close(c.Session.gone)
		if c.onClose != nil {
			c.onClose()
		}
	})
	return err
}

// corkSize is how much of one Write is joined before it goes to the kernel. Records of 16 KiB written one by one cost
// a system call each; on two cores joining eight of them raised a single stream from 0.60 to 0.75 of raw TLS.
const corkSize = 128 << 10

// cork is the connection under TLS. While one Write of the layer above runs it joins what TLS writes. It counts what is
// received from a stranger.
type cork struct {
	net.Conn
	bound atomic.Bool  // the other side has not said hello
	room  atomic.Int64 // how many bytes it may still send then
	pool  *sync.Pool   // of buffers; the Listener's, once it has the connection

	mu  sync.Mutex // guards the fields below
	on  bool
	buf []byte // from pool while on
}

// errStranger says that somebody sent more before its hello than any hello needs.
var errStranger = errors.New("too many bytes before a hello")

// stranger begins to count what is received, until friend.
func (k *cork) stranger() {
	k.room.Store(wire.MaxStrangerBytes)
	k.bound.Store(true)
}

func (k *cork) friend() { k.bound.Store(false) }

// Read is called by TLS, by one goroutine at a time.
func (k *cork) Read(p []byte) (int, error) {
	if !k.bound.Load() {
		return k.Conn.Read(p)
	}
	room := k.room.Load()
	if room <= 0 {
		return 0, errStranger
	}
	n, err := k.Conn.Read(p[:min(int64(len(p)), room)])
	k.room.Add(-int64(n))
	return n, err
}

// newCorks holds the buffers of corks that join nothing now: a connection that rests must not keep one.
func newCorks() *sync.Pool {
	return &sync.Pool{New: func() any { b := make([]byte, 0, corkSize+17<<10); return &b }}
}

func (k *cork) together(t *tls.Conn, p []byte) (int, error) {
	if len(p) <= 16<<10 {
		return t.Write(p)
	}
	if k.pool == nil { // a client, which seldom has so much to say
		k.pool = newCorks()
	}
	buf := k.pool.Get().(*[]byte)
	defer k.pool.Put(buf)
	k.mu.Lock()
	k.on, k.buf = true, (*buf)[:0]
	k.mu.Unlock()
	n, err := t.Write(p)
	k.mu.Lock()
	defer k.mu.Unlock()
	if ferr := k.flush(); err == nil {
		err = ferr
	}
	k.on, k.buf = false, nil
	return n, err
}

// Write is called by TLS with one record at a time.
func (k *cork) Write(b []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.on {
		if err := k.flush(); err != nil {
			return 0, err
		}
		return k.Conn.Write(b)
	}
	k.buf = append(k.buf, b...)
	if len(k.buf) >= corkSize {
		if err := k.flush(); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func (k *cork) flush() error {
	if len(k.buf) == 0 {
		return nil
	}
	_, err := k.Conn.Write(k.buf)
	k.buf = k.buf[:0]
	return err
}

// unmap turns an IPv4 address in IPv6 clothes into plain IPv4, so that one host has one form.
func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
