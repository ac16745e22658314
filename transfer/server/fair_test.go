package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"porchlight/discovery/calm"
	"porchlight/discovery/identity"
	"porchlight/share"
	"porchlight/transfer"
	"porchlight/transfer/client"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// puller is a device that reads one file again and again, over some lanes at once.
type puller struct {
	got   atomic.Int64 // bytes
	first atomic.Int64 // when the first byte came, since it began
}

// Write counts what comes.
func (p *puller) Write(b []byte) (int, error) {
	p.got.Add(int64(len(b)))
	return len(b), nil
}

// caller is a client of a device, over TCP and TLS. A device has four connections for bytes; more lanes need more callers.
func caller(t testing.TB, v *victim, ident *identity.Identity) *client.Client {
	t.Helper()
	dial := v.dial // as it is now
	d := &link.Dialer{Identity: ident, Hello: func(*link.Session, *wire.Hello) wire.Hello { return helloOf("anna") },
		Net: func(ctx context.Context, _ netip.AddrPort) (net.Conn, error) { return dial(ctx) }}
	p := link.NewPeer(v.ident.ID(), d, func() []netip.AddrPort { return []netip.AddrPort{v.addr} }, nil)
	t.Cleanup(func() { p.Close() })
	return client.New(p)
}

// pull reads a file until ctx ends.
func (v *victim) pull(ctx context.Context, wg *sync.WaitGroup, e share.Entry, lanes int) *puller {
	v.t.Helper()
	p, ident, began := &puller{}, someone(v.t), time.Now()
	var c *client.Client
	for i := range lanes {
		if i%4 == 0 {
			c = caller(v.t, v, ident)
		}
		mine := c
		wg.Go(func() {
			var once sync.Once
			w := writerFunc(func(b []byte) (int, error) {
				once.Do(func() { p.first.CompareAndSwap(0, int64(time.Since(began))) })
				return p.Write(b)
			})
			for ctx.Err() == nil {
				err := mine.Read(ctx, shareID, e.Path, e.Version, transfer.Range{Len: e.Size}, w)
				if errors.Is(err, transfer.ErrAway) { // so many connections at once may have to wait
					time.Sleep(50 * time.Millisecond)
				} else if err != nil && ctx.Err() == nil {
					v.t.Errorf("a pull broke: %v", err)
					return
				}
			}
		})
	}
	return p
}

type writerFunc func(b []byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

var _ io.Writer = writerFunc(nil)

// line passes so many bytes a second on, those of all connections in turn, as a network card does.
type line struct {
	rate float64
	mu   sync.Mutex // guards the field below
	next time.Time
}

func (l *line) pass(n int) {
	l.mu.Lock()
	now := time.Now()
	if l.next.Before(now) {
		l.next = now
	}
	wait := l.next.Sub(now)
	l.next = l.next.Add(time.Duration(float64(n) / l.rate * float64(time.Second)))
	l.mu.Unlock()
	time.Sleep(wait - 4*time.Millisecond) // its queue
}

// lined is a connection on a line.
type lined struct {
	net.Conn
	line *line
}

func (c *lined) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		part := b[:min(len(b), 32<<10)]
		c.line.pass(len(part))
		var m int
		m, err = c.Conn.Write(part)
		n, b = n+m, b[m:]
	}
	return n, err
}

// onLine are all connections that a listener accepts.
type onLine struct {
	net.Listener
	line *line
}

func (l onLine) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &lined{c, l.line}, nil
}

// busy is a victim with a large file: in memory, behind a line of so many bytes a second, or on TCP with no line if 0.
func busy(t testing.TB, rate float64) (*victim, share.Entry) {
	t.Helper()
	var v *victim
	if rate > 0 {
		p := &pipes{make(chan net.Conn), make(chan struct{})}
		v = newVictim(t, onLine{p, &line{rate: rate}})
		v.dial = p.dial
	} else {
		v = onTCP(t)
	}
	v.put("large", make([]byte, 32<<20))
	e, err := v.tree.Stat("large")
	if err != nil {
		t.Fatal(err)
	}
	return v, e
}

// share has devices pull with so many lanes, and returns what each got in some time, after a second.
func (v *victim) share(e share.Entry, lanes []int, d time.Duration) (got []float64, sum float64) {
	ctx, cancel := context.WithCancel(v.t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var all []*puller
	for _, n := range lanes {
		all = append(all, v.pull(ctx, &wg, e, n))
	}
	time.Sleep(time.Second)
	var was []int64
	for _, p := range all {
		was = append(was, p.got.Load())
	}
	time.Sleep(d)
	for i, p := range all {
		n := float64(p.got.Load()-was[i]) / d.Seconds() / (1 << 20)
		got, sum = append(got, n), sum+n
	}
	return got, sum
}

// TestDevicesShareTheLine: devices get the same, however many answers each of them asks for at once, and together all there is. Here and below
// time is that of the line alone (testing/synctest).
func TestDevicesShareTheLine(t *testing.T) {
	const rate = 50
	for _, lanes := range [][]int{{1, 8}, {1, 2}, {2, 8}, {1, 2, 8}} {
		synctest.Test(t, func(t *testing.T) {
			v, e := busy(t, rate<<20)
			got, sum := v.share(e, lanes, 2*time.Second)
			ratio := slices.Max(got) / max(slices.Min(got), 0.001)
			t.Logf("lanes %v: %.1f MiB/s, ratio %.2f, %.1f in all", lanes, got, ratio, sum)
			if ratio > 1.25 || sum < 0.75*rate {
				t.Errorf("lanes %v: %.1f MiB/s, the ratio is %.2f, %.1f of %d in all", lanes, got, ratio, sum, rate)
			}
		})
	}
}

// BenchmarkSharing is the same with nothing between them but two processors that do all the work.
func BenchmarkSharing(b *testing.B) {
	v, e := busy(b, 0)
	for b.Loop() {
		got, sum := v.share(e, []int{1, 8}, 2*time.Second)
		b.ReportMetric(slices.Max(got)/slices.Min(got), "ratio")
		b.ReportMetric(sum, "MiB/s")
	}
}

// nineOfTen is how long nine of ten answers take.
func nineOfTen(t *testing.T, what string, n int, ask func(i int)) time.Duration {
	t.Helper()
	var took []time.Duration
	for i := range n {
		began := time.Now()
		ask(i)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("%s: half within %v, nine of ten within %v, all within %v", what, took[n/2], took[n*9/10], took[n-1])
	return took[n*9/10]
}

// TestNobodyWaitsForPulls: while four devices pull at full speed, questions, small files and the first bytes of a large one come at once: nine of ten within a
// tenth of a second (two for somebody new, who has to be met first).
func TestNobodyWaitsForPulls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, e := busy(t, 50<<20)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		c := caller(t, v, someone(t))
		var small []share.Entry
		if err := c.List(ctx, shareID, "many", share.ByName, func(e share.Entry) error { small = append(small, e); return nil }); err != nil {
			t.Fatal(err)
		}
		v.pullAll(ctx, &wg, e, 4)
		for _, q := range []struct {
			what string
			n    int
			most time.Duration
			ask  func(ctx context.Context, i int) error
		}{
			{"a listing of 200", 20, 100 * time.Millisecond, func(ctx context.Context, _ int) error {
				return c.List(ctx, shareID, "many", share.ByName, func(share.Entry) error { return nil })
			}},
			{"a small file", 20, 100 * time.Millisecond, func(ctx context.Context, i int) error {
				return c.Pack(ctx, shareID, small[i:i+1], func(_ client.Packed, r io.Reader) error { _, err := io.Copy(io.Discard, r); return err })
			}},
			{"the first bytes of a large file for somebody new", 10, 200 * time.Millisecond, func(ctx context.Context, _ int) error {
				err := caller(t, v, someone(t)).Read(ctx, shareID, e.Path, e.Version, transfer.Range{Len: e.Size}, writerFunc(func([]byte) (int, error) { return 0, errEnough }))
				if errors.Is(err, errEnough) {
					err = nil
				}
				return err
			}},
		} {
			took := nineOfTen(t, q.what, q.n, func(i int) {
				ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
				defer cancel()
				if err := q.ask(ctx, i); err != nil {
					t.Fatalf("%s: %v", q.what, err)
				}
			})
			if took > q.most {
				t.Errorf("%s takes %v, at most %v", q.what, took, q.most)
			}
		}
	})
}

// pullAll has so many devices pull over four lanes each, and returns when all have got some.
func (v *victim) pullAll(ctx context.Context, wg *sync.WaitGroup, e share.Entry, devices int) {
	v.t.Helper()
	var all []*puller
	for range devices {
		all = append(all, v.pull(ctx, wg, e, 4))
	}
	for _, p := range all {
		for end := time.Now().Add(calm.Most(30 * time.Second)); p.got.Load() < 4<<20; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				v.t.Fatal("a pull does not begin")
			}
		}
	}
}

var errEnough = errors.New("enough")

// TestSlowReadersHoldNobodyUp: a device that stops reading, or has a slow line of its own, takes hardly anything from one that is fast.
func TestSlowReadersHoldNobodyUp(t *testing.T) {
	const rate = 50
	for _, tt := range []struct {
		name string
		slow float64 // bytes a second it takes
	}{{"it stops", 1}, {"its line is slow", 2 << 20}} {
		synctest.Test(t, func(t *testing.T) {
			v, e := busy(t, rate<<20)
			dial, in := v.dial, &line{rate: tt.slow}
			v.dial = func(ctx context.Context) (net.Conn, error) {
				c, err := dial(ctx)
				if err != nil {
					return nil, err
				}
				return &slowly{Conn: c, line: in}, nil
			}
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			slow := v.pull(ctx, &wg, e, 2)
			for end := time.Now().Add(10 * time.Second); slow.got.Load() == 0 && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			v.dial = dial
			got := v.fast(e)
			cancel()
			wg.Wait()
			t.Logf("%s: the other gets %.1f of %d MiB/s", tt.name, got, rate)
			if got < 0.75*rate {
				t.Errorf("%s: the other gets %.1f of %d MiB/s", tt.name, got, rate)
			}
		})
	}
}

// fast is what a device gets that takes all it can, in MiB/s.
func (v *victim) fast(e share.Entry) float64 {
	got, _ := v.share(e, []int{2}, 2*time.Second)
	return got[0]
}

// slowly is a connection that is read slowly once it is known.
type slowly struct {
	net.Conn
	line *line
	got  int
}

func (c *slowly) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b[:min(len(b), 16<<10)])
	if c.got += n; c.got > 64<<10 {
		c.line.pass(min(n, int(c.line.rate)*2))
	}
	return n, err
}
