package link

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"porchlight/discovery"
	"porchlight/discovery/calm"
	"porchlight/discovery/canon"
	"porchlight/discovery/identity"
	"porchlight/transfer"
	"porchlight/transfer/wire"
)

// node is one device: a listener, an http.Server over it, a dialer.
type node struct {
	ident  *identity.Identity
	addr   netip.AddrPort
	in     *Listener
	dialer *Dialer
	lent   chan *Conn

	mu       sync.Mutex
	greets   []discovery.DeviceID
	hellos   []wire.Hello
	sessions []*Session
}

func hello(name string) wire.Hello {
	return wire.Hello{V: wire.Version, Name: name, Workgroup: "WORKGROUP", Install: "00", Port: 1}
}

func newNode(t testing.TB, name string) *node {
	t.Helper()
	seed := make([]byte, 32)
	rand.Read(seed) //nolint:errcheck // never fails
	id, err := identity.FromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{ident: id, addr: tcp.Addr().(*net.TCPAddr).AddrPort(), lent: make(chan *Conn, 8)}
	n.in = NewListener(tcp, id, slog.New(slog.DiscardHandler))
	n.dialer = &Dialer{Identity: id, Hello: func(*Session, *wire.Hello) wire.Hello { return hello(name) }}
	hs := &http.Server{Handler: http.HandlerFunc(n.handle), ConnContext: WithSession, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { n.in.Run(ctx) })  //nolint:errcheck // ends with ctx
	wg.Go(func() { hs.Serve(n.in) }) //nolint:errcheck // ends with the listener
	t.Cleanup(func() { cancel(); hs.Close(); wg.Wait() })
	return n
}

func (n *node) handle(w http.ResponseWriter, r *http.Request) {
	s := SessionOf(r.Context())
	s.Request()
	if r.URL.Path != wire.RouteHello {
		if _, ok := s.Hello(); !ok {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		data, _ := io.ReadAll(r.Body) // whole, before the answer: HTTP/1.1 is not full duplex
		w.Write(data)                 //nolint:errcheck // the test reads it
		return
	}
	if r.Header.Get("Upgrade") == wire.Reverse {
		s.SetHello(hello("lender"))
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+wire.Reverse+"\r\n\r\n") //nolint:errcheck // the test sees it
		n.lent <- c.(*Conn)
		return
	}
	data, _ := io.ReadAll(io.LimitReader(r.Body, wire.MaxHello))
	var h wire.Hello
	if canon.UnmarshalOpen(data, &h) != nil || h.Check() != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.SetHello(h)
	n.mu.Lock()
	n.greets, n.hellos, n.sessions = append(n.greets, s.ID), append(n.hellos, h), append(n.sessions, s)
	n.mu.Unlock()
	b, _ := canon.Marshal(n.dialer.Hello(s, &h))
	w.Write(b) //nolint:errcheck // the test reads it
}

// to returns the connections of n to m, reached at addr.
func (n *node) to(t *testing.T, m *node, addr netip.AddrPort) *Peer {
	p := NewPeer(m.ident.ID(), n.dialer, func() []netip.AddrPort { return []netip.AddrPort{addr} }, nil)
	t.Cleanup(p.Close)
	return p
}

func echo(t *testing.T, p *Peer, c Class, data []byte) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), calm.Most(10*time.Second))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://device/echo", bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	res, err := p.Client(c).Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, data) {
		t.Errorf("%d bytes came back as %d other ones, status %d", len(data), len(got), res.StatusCode)
	}
	return nil
}

// nowhere is an address where nothing listens.
func nowhere(t *testing.T) netip.AddrPort {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryConnectionSaysHello(t *testing.T) {
	a, b := newNode(t, "a"), newNode(t, "b")
	p := a.to(t, b, b.addr)
	for _, size := range []int{0, 1, 16 << 10, 16<<10 + 1, 128 << 10, 1<<20 + 7} { // around the borders of the cork
		data := make([]byte, size)
		rand.Read(data) //nolint:errcheck // never fails
		for _, c := range []Class{Quick, Bulk, Slow, Stream} {
			if err := echo(t, p, c, data); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.greets) != 4 { // one connection for each class, used again and again
		t.Errorf("%d hellos for 4 connections", len(b.greets))
	}
	for _, id := range b.greets {
		if id != a.ident.ID() {
			t.Errorf("proved as %s", id)
		}
	}
	if !p.Direct() {
		t.Error("a dialled peer counts as not dialled")
	}
}

func TestPoolBounds(t *testing.T) {
	a, b := newNode(t, "a"), newNode(t, "b")
	p := a.to(t, b, b.addr)
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if err := echo(t, p, Bulk, make([]byte, 300<<10)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.greets) > bulkConns {
		t.Errorf("%d connections for bytes; %d allowed", len(b.greets), bulkConns)
	}
}

func TestWrongDeviceIsRefused(t *testing.T) {
	a, b, c := newNode(t, "a"), newNode(t, "b"), newNode(t, "c")
	p := a.to(t, b, c.addr) // c answers where b was expected
	if err := echo(t, p, Quick, nil); !errors.Is(err, identity.ErrOtherDevice) {
		t.Errorf("got %v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	a, b := newNode(t, "a"), newNode(t, "b")
	if err := echo(t, a.to(t, b, nowhere(t)), Quick, nil); !errors.Is(err, transfer.ErrAway) {
		t.Errorf("got %v", err)
	}
	none := NewPeer(b.ident.ID(), a.dialer, func() []netip.AddrPort { return nil }, nil)
	if err := echo(t, none, Quick, nil); !errors.Is(err, transfer.ErrAway) {
		t.Errorf("without an address: %v", err)
	}
}

// TestReverse: a cannot be dialled, lends connections to b, and b asks a everything over them.
func TestReverse(t *testing.T) {
	a, b := newNode(t, "a"), newNode(t, "b")
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	p := b.to(t, a, nowhere(t))
	var adopted atomic.Int32
	p.OnAdopt = func(g Greeting) {
		if g.Conn.Session.ID == a.ident.ID() && g.Answer.Check() == nil {
			adopted.Add(1)
		}
	}
	wg.Go(func() { // b hands what it is lent to its pool
		for {
			select {
			case c := <-b.lent:
				p.Offer(ctx, c)
			case <-ctx.Done():
				return
			}
		}
	})
	wg.Go(func() { // a keeps one spare
		for ctx.Err() == nil {
			c, used, err := a.dialer.Lend(ctx, b.ident.ID(), b.addr)
			if err != nil {
				return
			}
			a.in.Push(c)
			select {
			case <-used:
			case <-c.Session.Gone():
			case <-ctx.Done():
			}
		}
	})
	data := make([]byte, 700<<10)
	rand.Read(data) //nolint:errcheck // never fails
	deadline := time.Now().Add(calm.Most(5 * time.Second))
	for echo(t, p, Quick, data) != nil { // the first spare may not be there yet
		if time.Now().After(deadline) {
			t.Fatal("the lent connection never came to use")
		}
		time.Sleep(10 * time.Millisecond)
	}
	var asks sync.WaitGroup
	for _, c := range []Class{Bulk, Bulk, Quick, Stream} { // a second and a third connection are lent when the first is in use
		asks.Go(func() {
			if err := echo(t, p, c, data); err != nil {
				t.Errorf("class %d: %v", c, err)
			}
		})
	}
	asks.Wait()
	if p.Direct() {
		t.Error("a peer that only lends counts as dialled")
	}
	if c, err := p.Connect(t.Context()); err != nil || c.Session.ID != a.ident.ID() || !c.Session.Reversed {
		t.Errorf("a connection of its own: %v", err)
	} else {
		c.Close()
	}
	if n := adopted.Load(); n < 2 {
		t.Errorf("told of %d connections", n)
	}
	cancel()
	p.Close()
}

func TestDropThenAgain(t *testing.T) {
	a, b := newNode(t, "a"), newNode(t, "b")
	p := a.to(t, b, b.addr)
	for range 3 {
		if err := echo(t, p, Quick, []byte("x")); err != nil {
			t.Fatal(err)
		}
		p.Drop()
	}
	p.Close()
	if err := echo(t, p, Quick, []byte("x")); !errors.Is(err, transfer.ErrAway) {
		t.Errorf("after Close: %v", err)
	}
}

// TestStrangersAreBounded: connections that never shake hands are counted, and do not keep a neighbour out for ever.
func TestStrangersAreBounded(t *testing.T) {
	b := newNode(t, "b")
	open := 0
	for range 200 {
		c, err := net.Dial("tcp", b.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open++
	}
	deadline := time.Now().Add(calm.Most(5 * time.Second))
	for {
		b.in.mu.Lock()
		pending, refused := len(b.in.pending), b.in.refused
		b.in.mu.Unlock()
		if pending > wire.MaxPendingAddr {
			t.Fatalf("%d handshakes pending from one address", pending)
		}
		if refused >= int64(open-wire.NewAddrBurst-wire.NewAddrPerSecond*5) && refused > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("only %d of %d refused", refused, open)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestConnectionsThatDiedGiveWay: a device whose cable was out, or whose address changed, never closes the connections from before. They
// must not keep it out.
func TestConnectionsThatDiedGiveWay(t *testing.T) {
	a, b := newNode(t, "a"), newNode(t, "b")
	id := b.ident.ID()
	var first []Greeting
	for range wire.MaxDeviceConns {
		g, err := a.dialer.Dial(t.Context(), &id, b.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Conn.Close()
		first = append(first, g)
	}
	if g, err := a.dialer.Dial(t.Context(), &id, b.addr); err == nil {
		g.Conn.Close()
		t.Fatalf("%d connections of one device are open", wire.MaxDeviceConns+1)
	}
	b.in.mu.Lock()
	mine := b.in.devices[a.ident.ID()]
	mine[3].moved.Store(int64(time.Since(mine[3].began) - 2*quiet))
	b.in.mu.Unlock()
	g, err := a.dialer.Dial(t.Context(), &id, b.addr)
	if err != nil {
		t.Fatal("the quiet one does not give way:", err)
	}
	defer g.Conn.Close()
	closed := make(chan error, len(first))
	for _, g := range first {
		go func() {
			_, err := g.Conn.Read(make([]byte, 1))
			closed <- err
		}()
	}
	select {
	case <-closed:
	case <-time.After(calm.Most(5 * time.Second)):
		t.Fatal("no connection was closed for the one that came")
	}
	select {
	case err := <-closed:
		t.Errorf("a second connection was closed for one that came: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
}
