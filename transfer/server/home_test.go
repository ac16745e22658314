package server_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/calm"
	"porchlight/discovery/identity"
	"porchlight/discovery/keyring"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/share/safefs"
	"porchlight/transfer"
	"porchlight/transfer/client"
	"porchlight/transfer/link"
	"porchlight/transfer/server"
	"porchlight/transfer/wire"
)

// household is a device with a book of workgroups, and somebody in front of it.
type household struct {
	t      testing.TB
	name   string
	ident  *identity.Identity
	book   *workgroup.Book
	dialer *link.Dialer
	addr   netip.AddrPort
	dial   func(context.Context, netip.AddrPort) (net.Conn, error) // how others reach it
	invite *pairing.Invite
	answer chan bool // what the person says: to who wants to be let in, or of the pictures

	mu       sync.Mutex // guards the fields below
	runs     map[*link.Session]*pairing.Run
	sides    map[*link.Session]*pairing.SASInviter
	shows    pairing.SAS
	group    workgroup.ID     // that guests are let into
	calls    []string         // of Meetings and Pictures
	gone     int              // connections of meetings that ended
	strange  bool             // strangers are not served
	lent     chan wire.Hello  // by which connections were lent
	takes    func(*link.Conn) // what becomes of them; closed if nil
	in       *link.Listener
	meetings server.Meetings
	pictures server.Pictures
}

func newHome(t testing.TB, name string, in net.Listener, change ...func(*household)) *household {
	t.Helper()
	h := &household{t: t, name: name, ident: someone(t), answer: make(chan bool, 8), runs: map[*link.Session]*pairing.Run{}, sides: map[*link.Session]*pairing.SASInviter{}}
	h.book = workgroup.New(workgroup.Config{Self: h.ident})
	h.meetings, h.pictures = h, h
	h.dialer = &link.Dialer{Identity: h.ident, Hello: func(s *link.Session, _ *wire.Hello) wire.Hello {
		proofs, err := h.book.Prove([32]byte(s.Exporter))
		if err != nil {
			t.Error(err)
		}
		return wire.Hello{V: wire.Version}.With(proofs)
	}}
	for _, c := range change {
		c(h)
	}
	if a, ok := in.Addr().(*net.TCPAddr); ok {
		h.addr = a.AddrPort()
	}
	log := slog.New(slog.DiscardHandler)
	listener := link.NewListener(in, h.ident, log)
	h.in = listener
	srv := server.New(server.Config{Hello: func(_ *link.Session, to *wire.Hello) wire.Hello {
		if to == nil {
			t.Error("an answer to nothing")
		}
		return wire.Hello{V: wire.Version}
	}, Shares: h, Neighbours: h, Layers: content.NewCache(noStore{}, 10), Log: log, Groups: h, Meetings: h.meetings, Pictures: h.pictures,
		Stranger: func(s *link.Session) bool { return h.strange && !s.ProvedAny() }})
	whole := context.WithoutCancel(t.Context())
	ctx, cancel := context.WithCancel(whole)
	var wg sync.WaitGroup
	wg.Go(func() { srv.Serve(ctx, listener) }) //nolint:errcheck // ends with ctx
	wg.Go(func() { listener.Run(whole) })      //nolint:errcheck // ends with the listener
	t.Cleanup(func() { cancel(); listener.Close(); wg.Wait() })
	return h
}

// atHome is a home that listens on loopback.
func atHome(t testing.TB, name string, change ...func(*household)) *household {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return newHome(t, name, tcp, change...)
}

// homeInMemory is a home of which the time can be told.
func homeInMemory(t testing.TB, name string, change ...func(*household)) *household {
	t.Helper()
	p := &pipes{make(chan net.Conn), make(chan struct{})}
	h := newHome(t, name, p, change...)
	h.dial = func(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
		a, b := net.Pipe()
		select {
		case p.in <- b:
			return a, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return h
}

// ask returns the connections of h to another, and the first of them.
func (h *household) ask(of *household) (*client.Client, link.Greeting) {
	h.t.Helper()
	d := *h.dialer
	d.Net = of.dial
	greetings := make(chan link.Greeting, 16)
	p := link.NewPeer(of.ident.ID(), &d, func() []netip.AddrPort { return []netip.AddrPort{of.addr} }, func(g link.Greeting) { greetings <- g })
	h.t.Cleanup(p.Close)
	c := client.New(p)
	if _, err := c.Hints(h.t.Context()); err != nil && !errors.Is(err, transfer.ErrGone) {
		h.t.Fatal(err)
	}
	return c, <-greetings
}

// meet connects to another that h does not know.
func (h *household) meet(ctx context.Context, with *household) (*client.Meeting, *link.Session, error) {
	d := *h.dialer
	d.Net = with.dial
	g, err := d.Dial(ctx, nil, with.addr)
	if err != nil {
		return nil, nil, err
	}
	m := client.Meet(ctx, g)
	h.t.Cleanup(func() { m.Close() })
	return m, g.Conn.Session, nil
}

// mustMeet is meet that works.
func (h *household) mustMeet(with *household) (*client.Meeting, *link.Session) {
	h.t.Helper()
	m, s, err := h.meet(h.t.Context(), with)
	if err != nil {
		h.t.Fatal(err)
	}
	return m, s
}

// found makes a workgroup of h and others.
func (h *household) found(others ...*household) workgroup.ID {
	h.t.Helper()
	w, err := h.book.Create(workgroup.Founding{Name: "Home", Device: h.name, PersonName: h.name})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, o := range others {
		h.admit(w.ID, o)
	}
	h.group = w.ID
	return w.ID
}

func (h *household) admit(id workgroup.ID, o *household) {
	h.t.Helper()
	w, _, err := h.book.Admit(id, workgroup.Admission{Key: ledger.KeyOf(o.ident.Public()), Name: o.name, Role: ledger.Member, Via: ledger.ViaCode})
	if err == nil {
		_, err = o.book.Join(h.ident.ID(), w)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// opens makes an invitation and returns its code.
func (h *household) opens() pairing.Code {
	h.t.Helper()
	var d pairing.Desk
	i, err := d.Invite(rand.Reader, time.Now(), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	h.invite = i
	return i.Code()
}

// attacked is h as attackers see it.
func (h *household) attacked() *victim {
	return &victim{t: h.t, ident: h.ident, dial: func(ctx context.Context) (net.Conn, error) {
		if h.dial != nil {
			return h.dial(ctx, h.addr)
		}
		return (&net.Dialer{}).DialContext(ctx, "tcp", h.addr.String())
	}}
}

// mallory is an attacker that said hello, with random proofs.
func (h *household) mallory() *attacker {
	h.t.Helper()
	a := h.attacked().attack(nil)
	hello, err := helloOf("mallory").Padded(rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	a.send(helloRequest(h.t, hello, ""))
	if res, _ := a.answer(); res == nil || res.StatusCode != http.StatusOK {
		h.t.Fatalf("a proper hello: %v", res)
	}
	return a
}

func (h *household) called(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, what)
}

func (h *household) heard() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.calls...)
}

// eventually waits for something.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(calm.Most(5 * time.Second)); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// The rest is what the server asks.

func (h *household) Offers(discovery.DeviceID) []share.Offer { return nil }
func (h *household) Tree(discovery.DeviceID, share.ID) (*safefs.Tree, error) {
	return nil, transfer.ErrGone
}
func (h *household) Greeted(*link.Session, wire.Hello) bool   { return true }
func (h *household) Hints(discovery.DeviceID) []wire.PeerHint { return nil }
func (h *household) Lent(c *link.Conn) {
	if hello, _ := c.Session.Hello(); h.lent != nil {
		h.lent <- hello
	}
	if h.takes != nil {
		h.takes(c)
		return
	}
	c.Close()
}

func (h *household) Answer(s *link.Session, proofs []keyring.Proof) (workgroup.Reply, error) {
	return h.book.Answer([32]byte(s.Exporter), s.ID, proofs)
}
func (h *household) Compare(s *link.Session, id workgroup.ID, theirs workgroup.Summary) (workgroup.Summary, error) {
	return h.book.Compare(id, s.ID, theirs)
}
func (h *household) Receive(s *link.Session, id workgroup.ID, entries [][]byte) ([]ledger.Prefix, error) {
	_, missing, err := h.book.Receive(id, s.ID, entries)
	return missing, err
}
func (h *household) Fetch(s *link.Session, id workgroup.ID, want []ledger.Prefix) ([][]byte, error) {
	return h.book.Fetch(id, s.ID, want)
}
func (h *household) Keys(s *link.Session, id workgroup.ID) ([]byte, error) {
	return h.book.Keys(id, s.ID)
}
func (h *household) Offered(s *link.Session, w workgroup.Welcome) error {
	_, err := h.book.Offered(s.ID, w)
	return err
}

func (h *household) channel(s *link.Session) pairing.Channel {
	return pairing.Channel{Exporter: [32]byte(s.Exporter), Inviter: h.ident.ID(), Joiner: s.ID}
}

func (h *household) Join(s *link.Session, msg []byte) ([]byte, error) {
	h.called("join")
	if h.invite == nil {
		return nil, pairing.ErrOver
	}
	r, out, err := h.invite.Answer(h.channel(s), s.Remote.Addr().String(), time.Now(), msg)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.runs[s] = r
	go func() {
		<-s.Gone()
		h.mu.Lock()
		defer h.mu.Unlock()
		h.gone++
	}()
	return out, nil
}

func (h *household) JoinConfirm(s *link.Session, msg []byte) ([]byte, error) {
	h.called("confirm")
	h.mu.Lock()
	r := h.runs[s]
	h.mu.Unlock()
	return r.Finish(time.Now(), msg)
}

func (h *household) JoinResult(ctx context.Context, s *link.Session) (workgroup.Welcome, error) {
	h.called("result")
	h.mu.Lock()
	r := h.runs[s]
	h.mu.Unlock()
	if r == nil {
		return workgroup.Welcome{}, pairing.ErrOver
	}
	return h.decide(ctx, s, r.Name())
}

func (h *household) decide(ctx context.Context, s *link.Session, name string) (workgroup.Welcome, error) {
	select {
	case yes := <-h.answer:
		if !yes {
			return workgroup.Welcome{}, discovery.ErrDeclined
		}
	case <-ctx.Done():
		h.called("ended")
		return workgroup.Welcome{}, ctx.Err()
	}
	w, _, err := h.book.Admit(h.group, workgroup.Admission{Key: ledger.KeyOf(s.Key), Name: name, Role: ledger.Member, Via: ledger.ViaCode})
	return w, err
}

func (h *household) Recover(s *link.Session, proof []byte) (workgroup.Welcome, error) {
	h.called("recover")
	return h.book.WelcomeByCode([32]byte(s.Exporter), proof)
}

func (h *household) Begin(s *link.Session, msg []byte) ([]byte, error) {
	h.called("begin")
	side, out, err := pairing.NewSASInviter(h.channel(s), rand.Reader, msg)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sides[s] = side
	return out, err
}

func (h *household) Reveal(s *link.Session, msg []byte) ([]byte, error) {
	h.called("reveal")
	h.mu.Lock()
	defer h.mu.Unlock()
	out, show, err := h.sides[s].Reveal(msg)
	h.shows = show
	return out, err
}

func (h *household) Confirm(ctx context.Context, s *link.Session, same bool) (*workgroup.Welcome, error) {
	h.called("same")
	h.mu.Lock()
	side := h.sides[s]
	h.mu.Unlock()
	if !same {
		return nil, discovery.ErrDifferent
	}
	if side.Purpose == pairing.ToJoin {
		w, err := h.decide(ctx, s, side.Name)
		if err != nil {
			return nil, err
		}
		return &w, nil
	}
	select {
	case yes := <-h.answer:
		if !yes {
			return nil, discovery.ErrDifferent
		}
		return nil, nil //nolint:nilnil // no welcome, and nothing wrong
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pictures is what the person at h sees.
func (h *household) sees() pairing.SAS {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.shows
}
