package membership

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"porchlight/discovery"
	"porchlight/discovery/calm"
	"porchlight/discovery/identity"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
	"porchlight/transfer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lan is a network in memory: its devices have real books, and connections that are calls.
type lan struct {
	t *testing.T

	mu    sync.Mutex // guards the field below
	nodes []*node

	wires sync.RWMutex      // read while a connection is made; guards the field below
	apart map[[2]*node]bool // who cannot reach whom: what was about to connect again does not
}

// node is one device.
type node struct {
	*Membership
	Surface
	lan   *lan
	name  string
	key   ledger.Key
	id    discovery.DeviceID
	ahead atomic.Int64 // of the clock, ns

	renewed  atomic.Int32
	verified sync.Map // device → ledger.Via
	between  atomic.Pointer[node]

	mu    sync.Mutex // guards the fields below; lan.mu is never taken under it
	links map[discovery.DeviceID]*cable
	here  map[*cable]bool // those that others made to this device
	wg    sync.WaitGroup
}

// cable is one connection, from who made it to who serves.
type cable struct {
	from, to *node
	exporter [32]byte
	proved   []workgroup.ID
	gone     chan struct{}
	cut      func()
}

func newLAN(t *testing.T) *lan { return &lan{t: t, apart: map[[2]*node]bool{}} }

// device makes one and runs it until the test ends.
func (l *lan) device(name string) *node {
	l.t.Helper()
	seed := make([]byte, 32)
	rand.Read(seed)
	ident, err := identity.FromSeed(seed)
	if err != nil {
		l.t.Fatal(err)
	}
	n := &node{lan: l, name: name, id: ident.ID(), key: ledger.KeyOf(ident.Public()), links: map[discovery.DeviceID]*cable{}, here: map[*cable]bool{}}
	n.Membership = New(Config{Self: ident, Network: n, Name: func() string { return name }, Verified: func(d discovery.DeviceID, via ledger.Via) { n.verified.Store(d, via) },
		Now: func() time.Time { return time.Now().Add(time.Duration(n.ahead.Load())) }, Addresses: func() []netip.AddrPort { return []netip.AddrPort{n.at()} }})
	n.Surface = n.Membership.Surface()
	if err := n.Load(); err != nil {
		l.t.Fatal(err)
	}
	l.mu.Lock()
	l.nodes = append(l.nodes, n)
	l.mu.Unlock()
	ctx, cancel := context.WithCancel(l.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.Run(ctx) //nolint:errcheck // it has none
	}()
	l.t.Cleanup(func() { cancel(); <-done; n.wg.Wait() })
	until(l.t, "it runs", func() bool { return n.spawn(func(context.Context) {}) })
	return n
}

// at is the address of a device: its place in the list.
func (n *node) at() netip.AddrPort {
	n.lan.mu.Lock()
	defer n.lan.mu.Unlock()
	return netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(1+slices.Index(n.lan.nodes, n)))
}

func (l *lan) find(id discovery.DeviceID, at netip.AddrPort) *node {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, n := range l.nodes {
		if n.id == id || id.IsZero() && int(at.Port()) == i+1 {
			return n
		}
	}
	return nil
}

// plug makes a connection and says hello on it.
func (n *node) plug(to *node) *cable {
	c := &cable{from: n, to: to, gone: make(chan struct{})}
	rand.Read(c.exporter[:])
	c.cut = sync.OnceFunc(func() {
		close(c.gone)
		to.mu.Lock()
		defer to.mu.Unlock()
		delete(to.here, c)
	})
	to.mu.Lock()
	to.here[c] = true
	to.mu.Unlock()
	proofs, err := n.Prove(c.exporter)
	if err != nil {
		n.lan.t.Error(err)
	}
	r, err := to.answer(c.caller(), proofs)
	if err != nil {
		n.lan.t.Error(err)
	}
	c.proved = r.Common
	for _, x := range r.Removed {
		c.proved = append(c.proved, x.Workgroup)
	}
	n.Greeted(c.called(), r.Proofs, r.Removed, remote{c})
	return c
}

// caller is who made the connection, as the other side sees it; called is who serves.
func (c *cable) caller() Session { return session(c.from, c) }
func (c *cable) called() Session { return session(c.to, c) }

func session(n *node, c *cable) Session {
	return Session{Device: n.id, Key: n.key, Exporter: c.exporter, From: netip.MustParseAddr("10.0.0.1"), Gone: c.gone}
}

func (c *cable) alive() error {
	select {
	case <-c.gone:
		return transfer.ErrAway
	default:
		return nil
	}
}

// meet keeps streams between two devices, both ways, until they part.
func meet(a, b *node) {
	a.lan.wires.Lock()
	delete(a.lan.apart, [2]*node{a, b})
	delete(a.lan.apart, [2]*node{b, a})
	a.lan.wires.Unlock()
	a.stream(b)
	b.stream(a)
}

func (n *node) stream(to *node) {
	n.lan.wires.RLock()
	defer n.lan.wires.RUnlock()
	if n.lan.apart[[2]*node{n, to}] {
		return
	}
	c := n.plug(to)
	n.mu.Lock()
	n.links[to.id] = c
	n.mu.Unlock()
	n.Up(to.id, remote{c})
}

// part ends them.
func part(a, b *node) {
	a.lan.wires.Lock()
	a.lan.apart[[2]*node{a, b}], a.lan.apart[[2]*node{b, a}] = true, true
	a.lan.wires.Unlock()
	for _, x := range [][2]*node{{a, b}, {b, a}} {
		n, other := x[0], x[1]
		n.mu.Lock()
		c := n.links[other.id]
		delete(n.links, other.id)
		n.mu.Unlock()
		if c != nil {
			c.cut()
			n.Down(other.id, remote{c})
		}
	}
}

// again makes a connection that was cut anew.
func (n *node) again(c *cable) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.links[c.to.id] != c {
		return
	}
	delete(n.links, c.to.id)
	n.wg.Go(func() {
		n.Down(c.to.id, remote{c})
		n.stream(c.to)
	})
}

// The following make a node its own Network.

func (n *node) Renew(id discovery.DeviceID) {
	n.renewed.Add(1)
	n.mu.Lock()
	c := n.links[id]
	n.mu.Unlock()
	if c != nil {
		c.cut()
		n.again(c)
	}
}

func (n *node) Keep(id discovery.DeviceID, _ netip.AddrPort) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.links[id] != nil {
		return
	}
	n.wg.Go(func() {
		to := n.lan.find(id, netip.AddrPort{})
		n.stream(to)
		to.stream(n)
	})
}

func (n *node) Cut(which func(discovery.DeviceID) bool) {
	n.mu.Lock()
	var all []*cable
	for c := range n.here {
		if which(c.from.id) {
			all = append(all, c)
		}
	}
	n.mu.Unlock()
	for _, c := range all {
		c.cut()
		c.from.again(c)
	}
}

func (n *node) Inviters(slot int) (out []netip.AddrPort) {
	n.lan.mu.Lock()
	all := slices.Clone(n.lan.nodes)
	n.lan.mu.Unlock()
	for _, x := range all {
		if s, open := x.Slot(); open && s == slot && x != n {
			out = append(out, x.at())
		}
	}
	return out
}

func (n *node) Around() (out []Spot) {
	n.lan.mu.Lock()
	defer n.lan.mu.Unlock()
	for _, x := range n.lan.nodes {
		if x != n {
			out = append(out, Spot{Device: x.id})
		}
	}
	return out
}

// Meet connects; with somebody in between, to that one, who has a connection of its own to the device that was meant.
func (n *node) Meet(_ context.Context, id discovery.DeviceID, at netip.AddrPort) (Meeting, Session, error) {
	to := n.lan.find(id, at)
	if to == nil {
		return nil, Session{}, transfer.ErrAway
	}
	c := n.plug(to)
	if relay := n.between.Load(); relay != nil {
		back := relay.plug(to)
		c.cut()
		c = n.plug(relay)
		return &meeting{cable: back, front: c}, c.called(), nil
	}
	return &meeting{cable: c}, c.called(), nil
}

// remote is what the one who made a connection may ask on it.
type remote struct{ *cable }

func (r remote) ask(id workgroup.ID) error {
	if err := r.alive(); err != nil {
		return err
	}
	if !slices.Contains(r.proved, id) {
		return transfer.ErrGone
	}
	return nil
}

// said is how the wire carries what is refused.
func said(err error) error {
	if errors.Is(err, workgroup.ErrUnknown) || errors.Is(err, workgroup.ErrNotMember) || errors.Is(err, workgroup.ErrRemoved) || errors.Is(err, workgroup.ErrCode) {
		return transfer.ErrGone
	}
	return err
}

func (r remote) Compare(_ context.Context, id workgroup.ID, s workgroup.Summary) (workgroup.Summary, error) {
	if err := r.ask(id); err != nil {
		return workgroup.Summary{}, err
	}
	s, err := r.to.compareLedgers(r.from.id, id, s)
	return s, said(err)
}

func (r remote) Give(_ context.Context, id workgroup.ID, entries [][]byte) ([]ledger.Prefix, error) {
	if err := r.ask(id); err != nil {
		return nil, err
	}
	out, err := r.to.receive(r.from.id, id, entries)
	return out, said(err)
}

func (r remote) Take(_ context.Context, id workgroup.ID, want []ledger.Prefix) ([][]byte, error) {
	if err := r.ask(id); err != nil {
		return nil, err
	}
	out, err := r.to.book().Fetch(id, r.from.id, want)
	return out, said(err)
}

func (r remote) Keys(_ context.Context, id workgroup.ID) ([]byte, error) {
	if err := r.ask(id); err != nil {
		return nil, err
	}
	out, err := r.to.book().Keys(id, r.from.id)
	return out, said(err)
}

func (r remote) Offer(_ context.Context, w workgroup.Welcome) error {
	if err := r.alive(); err != nil {
		return err
	}
	if len(r.proved) == 0 {
		return transfer.ErrGone
	}
	return said(r.to.offered(r.from.id, w))
}

// meeting is one connection on which two meet; with front, somebody stands in between, who has that one to the one who wants in.
type meeting struct {
	*cable
	front *cable
}

func (m *meeting) Join(_ context.Context, b []byte) ([]byte, error) {
	if err := m.alive(); err != nil {
		return nil, err
	}
	return m.to.join(m.caller(), b)
}

func (m *meeting) JoinConfirm(_ context.Context, b []byte) ([]byte, error) {
	if err := m.alive(); err != nil {
		return nil, err
	}
	return m.to.joinConfirm(m.caller(), b)
}

func (m *meeting) JoinResult(ctx context.Context, _ func()) (workgroup.Welcome, error) {
	if err := m.alive(); err != nil {
		return workgroup.Welcome{}, err
	}
	w, err := m.to.joinResult(ctx, m.caller())
	if gone := m.alive(); gone != nil {
		return workgroup.Welcome{}, gone
	}
	return w, err
}

func (m *meeting) Begin(_ context.Context, b []byte) ([]byte, error) {
	return m.to.begun(m.caller(), b)
}

func (m *meeting) Reveal(_ context.Context, b []byte) ([]byte, error) {
	return m.to.reveal(m.caller(), b)
}

func (m *meeting) Confirm(ctx context.Context, same bool, _ func()) (*workgroup.Welcome, error) {
	return m.to.confirm(ctx, m.caller(), same)
}

func (m *meeting) Recover(_ context.Context, proof []byte) (workgroup.Welcome, error) {
	w, err := m.to.book().WelcomeByCode(m.exporter, proof)
	return w, said(err)
}

func (m *meeting) Close() error {
	m.cut()
	if m.front != nil {
		m.front.cut()
	}
	return nil
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	within(t, calm.Most(10*time.Second), what, ok)
}

func within(t *testing.T, most time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(most); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %v not yet so that %s", most, what)
		}
	}
}
