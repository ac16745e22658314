//go:build linux && lab

package labtest

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"porchlight/discovery/identity"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

const (
	// connects is how many connections come about in the time of a slope; a few more are tried, since a cable may be out. An address
	// that tried them faster would be turned away.
	connects, more = 10_000, 1.08
	// spread is the share of the time in which they are made.
	spread = 0.95
	// slopeSpells is in how many parts the time falls, with a rest after each: what is compared is what a process weighs at rest.
	slopeSpells = 6
)

// TestSlope: three computers with little to do, day in, day out: now and then a pull, now and then a cable, and others that connect and
// leave in every way there is. What that costs must all come back.
func TestSlope(t *testing.T) {
	all := soak(t)
	s := newStorm(t)
	s.lull, s.fixed = 5*time.Second, true
	for _, n := range s.nodes {
		n.steady = true
		s.furnish(n, "small", "mid")
	}
	c := newCaller(t, s.plain, s.nodes[0])
	dice := s.chance()
	for way := range ways() { // from here on it is known, and that is for good
		c.connect(t.Context(), way)
	}
	first := calm(t, s.nodes)
	p, stop := feel(s.nodes)
	defer stop()
	n := 0
	for range slopeSpells {
		spell := all / slopeSpells
		calls := int(connects * more * spell.Seconds() / slopeTime.Seconds())
		n += calls
		var done sync.WaitGroup
		done.Go(func() { c.run(t.Context(), dice, calls, time.Duration(spread*float64(spell))) })
		s.blow(spell)
		done.Wait()
		s.settle()
		s.rested(first)
	}
	s.last()
	stop()
	for _, n := range s.nodes {
		mustBeFlat(t, n, p.series[n], s.rests[n], all >= slopeTime)
	}
	s.tell(all)
	s.happened("cables pulled", "pulls done")
	c.tell(n)
}

// way is a way to connect and leave.
type way struct {
	name string
	do   func(ctx context.Context, c *caller, raw func(context.Context) (net.Conn, error)) error
}

// ways lists them; the last is the one of a friend.
func ways() []way {
	return []way{
		{"says nothing", func(ctx context.Context, _ *caller, raw func(context.Context) (net.Conn, error)) error {
			conn, err := raw(ctx)
			if err != nil {
				return err
			}
			return conn.Close()
		}},
		{"says nothing and stays a while", func(ctx context.Context, _ *caller, raw func(context.Context) (net.Conn, error)) error {
			conn, err := raw(ctx)
			if err != nil {
				return err
			}
			pass(ctx, 500*time.Millisecond)
			return conn.Close()
		}},
		{"meets another device than it thought", func(ctx context.Context, _ *caller, raw func(context.Context) (net.Conn, error)) error {
			conn, err := raw(ctx)
			if err != nil {
				return err
			}
			defer conn.Close()
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			other := errors.New("another device")
			err = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13,
				VerifyConnection: func(tls.ConnectionState) error { return other }}).HandshakeContext(ctx)
			if errors.Is(err, other) {
				return nil
			}
			return fmt.Errorf("the other side shows no certificate: %w", err)
		}},
		{"says hello", func(ctx context.Context, c *caller, raw func(context.Context) (net.Conn, error)) error {
			d := &link.Dialer{Identity: c.ident, Hello: c.hello, Net: func(ctx context.Context, _ netip.AddrPort) (net.Conn, error) { return raw(ctx) }}
			g, err := d.Dial(ctx, &c.to.self.ID, netip.AddrPort{})
			if err != nil {
				return err
			}
			return g.Conn.Close()
		}},
	}
}

// caller is a computer that connects and leaves.
type caller struct {
	t     *testing.T
	host  *Host
	to    *node
	ident *identity.Identity

	mu    sync.Mutex // guards the fields below
	turn  int
	tried map[string]int
	done  map[string]int
}

func newCaller(t *testing.T, host *Host, to *node) *caller {
	t.Helper()
	seed := make([]byte, 32)
	_, _ = rand.Read(seed) // never fails
	ident, err := identity.FromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	return &caller{t: t, host: host, to: to, ident: ident, tried: map[string]int{}, done: map[string]int{}}
}

func (c *caller) hello(*link.Session, *wire.Hello) wire.Hello {
	return wire.Hello{V: wire.Version, Name: "plain", Workgroup: c.to.self.Workgroup, Install: strings.Repeat("0", 32), Now: time.Now().UnixNano()}
}

// raw makes a TCP connection, by IPv4 and IPv6 in turn: one address alone is let in less often.
func (c *caller) raw(ctx context.Context) (conn net.Conn, err error) {
	c.mu.Lock()
	c.turn++
	a := c.to.addresses(0)[c.turn%2]
	c.mu.Unlock()
	to := netip.AddrPortFrom(netip.MustParsePrefix(a).Addr(), uint16(c.to.self.Port))
	err = c.host.Inside(func() error {
		conn, err = (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", to.String())
		return err
	})
	return conn, err
}

// connect connects in one way.
func (c *caller) connect(ctx context.Context, i int) {
	w := ways()[i]
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := w.do(ctx, c, c.raw)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tried[w.name]++
	if err == nil {
		c.done[w.name]++
	} else if c.tried[w.name]-c.done[w.name] < 5 {
		c.t.Logf("%s: %v", w.name, err)
	}
}

// run connects n times in the time given, evenly.
func (c *caller) run(ctx context.Context, dice *mrand.Rand, n int, within time.Duration) {
	var calls sync.WaitGroup
	defer calls.Wait()
	start := time.Now()
	for i := range n {
		pass(ctx, time.Until(start.Add(within*time.Duration(i)/time.Duration(n))))
		if ctx.Err() != nil {
			return
		}
		way := dice.IntN(len(ways()))
		calls.Go(func() { c.connect(ctx, way) })
	}
}

// tell prints how many came through. Some meet a cable that is out.
func (c *caller) tell(n int) {
	all, came := 0, 0
	var out []string
	for _, w := range ways() {
		all, came = all+c.tried[w.name], came+c.done[w.name]
		out = append(out, fmt.Sprintf("%s %d of %d", w.name, c.done[w.name], c.tried[w.name]))
	}
	figure(c.t, "%d connections, %d came about: %s", all, came, strings.Join(out, ", "))
	if few := int(float64(n) / more * 0.95); came < few {
		c.t.Errorf("%d connections came about; %d would be few", came, few)
	}
	for _, w := range ways() {
		if c.done[w.name] < c.tried[w.name]*8/10 {
			c.t.Errorf("%s: only %d of %d did", w.name, c.done[w.name], c.tried[w.name])
		}
	}
}
