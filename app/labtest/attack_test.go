//go:build linux && lab

package labtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/canon"
	"porchlight/discovery/identity"
	"porchlight/transfer/wire"
)

// The bars of being attacked.
const (
	strangersPerSecond = 2000
	strangersFor       = 12 * time.Second
	strangerAddrs      = 40
	strangerMemory     = 32 * mib
	attackedBar        = 2 * time.Second // a neighbour gets in meanwhile
)

// strangers opens connections from many addresses of a host, each of which says first and no more, until ctx ends. It
// returns how many it made.
func strangers(ctx context.Context, h *Host, to netip.AddrPort, first []byte) (made int, err error) {
	err = h.Inside(func() error {
		var open [4 * wire.MaxPending]net.Conn // more than may be pending; the oldest give way
		began := time.Now()
		for ctx.Err() == nil {
			for due := int(time.Since(began).Seconds() * strangersPerSecond); made < due && ctx.Err() == nil; made++ {
				from := &net.TCPAddr{IP: net.IPv4(10, 83, 0, byte(100+made%strangerAddrs))}
				c, err := (&net.Dialer{LocalAddr: from, Timeout: 500 * time.Millisecond}).Dial("tcp", to.String())
				if err != nil {
					continue
				}
				c.Write(first) //nolint:errcheck // it may be closed already
				if old := open[made%len(open)]; old != nil {
					old.Close()
				}
				open[made%len(open)] = c
			}
			time.Sleep(time.Millisecond)
		}
		for _, c := range open {
			if c != nil {
				c.Close()
			}
		}
		return nil
	})
	return made, err
}

// connections counts the established connections to a device, by the address they come from.
func (d *Device) connections(t *testing.T) map[netip.Addr]int {
	t.Helper()
	out, err := d.Command("ss", "-Htn", "state", "established", fmt.Sprintf("( sport = :%d )", discovery.DefaultPort)).Output()
	if err != nil {
		t.Fatal(err)
	}
	from := map[netip.Addr]int{}
	for line := range bytes.Lines(out) {
		words := bytes.Fields(line)
		if a, err := netip.ParseAddrPort(string(words[len(words)-1])); err == nil {
			from[a.Addr().Unmap()]++
		}
	}
	return from
}

// firstWords is the first message of a handshake, whole. Said again and again it costs who says it nothing, and who hears it an answer.
func firstWords(t *testing.T) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go tls.Client(ours, newcomer(t).TLS(nil)).Handshake() //nolint:errcheck // it is never answered
	head := make([]byte, 5)
	if _, err := io.ReadFull(theirs, head); err != nil {
		t.Fatal(err)
	}
	words := append(head, make([]byte, int(head[3])<<8|int(head[4]))...)
	if _, err := io.ReadFull(theirs, words[5:]); err != nil {
		t.Fatal(err)
	}
	return words
}

// newcomer is a device that nobody knows.
func newcomer(t *testing.T) *identity.Identity {
	t.Helper()
	seed := make([]byte, 32)
	rand.Read(seed) //nolint:errcheck // never fails
	id, err := identity.FromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestStrangers: 2,000 connections a second from 40 addresses, which say nothing, or begin a handshake and stop. Few are
// kept, memory stays, and computers that have never met still meet.
func TestStrangers(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo", "eve")
	anna, bo, eve := devices[0], devices[1], devices[2]
	for i := range strangerAddrs {
		must(t, "ip", "-n", eve.ns, "addr", "add", fmt.Sprintf("10.83.0.%d/24", 100+i), "dev", iface(0))
	}
	for name, first := range map[string][]byte{"silent": nil, "half a handshake": []byte("\x16\x03\x01\x02\x00\x01\x00"), "the first message of a handshake": firstWords(t)} {
		t.Run(name, func(t *testing.T) {
			anna.MustServe(t)
			anna.learn(t)
			before := memory(t, anna, "VmRSS")
			ctx, cancel := context.WithTimeout(t.Context(), strangersFor)
			defer cancel()
			var made int
			var err error
			var wg sync.WaitGroup
			wg.Go(func() {
				made, err = strangers(ctx, eve.Host, netip.AddrPortFrom(anna.Addr(), discovery.DefaultPort), first)
			})
			time.Sleep(time.Second) // of attack, before the first neighbour comes
			var took []time.Duration
			kept, most := 0, 0
			for range 3 {
				bo.Forget(t)
				ready, err := bo.Serve()
				if err != nil {
					t.Fatal(err)
				}
				if _, err := bo.Run(commandLimit, "peers", "--wait", "1"); err != nil {
					t.Error(err)
				}
				took = append(took, time.Since(ready))
				all := 0
				for a, n := range anna.connections(t) {
					if a.Is4() && a.As4()[3] >= 100 {
						all, most = all+n, max(most, n)
					}
				}
				kept = max(kept, all)
				bo.Quit(t)
			}
			under := ctx.Err() == nil
			rss := memory(t, anna, "VmHWM") - before
			cancel()
			wg.Wait()
			if err != nil {
				t.Fatal(err)
			}
			figure(t, "%d strangers: %d kept, %d of one address, memory %+d MiB; a new neighbour is seen after %v", made, kept, most, rss/mib, ms(slices.Max(took)))
			atMost(t, "a new neighbour among strangers", slices.Max(took), attackedBar)
			if !under || kept > wire.MaxPending || most > wire.MaxPendingAddr || rss > strangerMemory || kept == 0 {
				t.Errorf("attacked all the time: %v; %d connections kept, %d of one address, %d MiB", under, kept, most, rss/mib)
			}
			anna.Quit(t)
		})
	}
}

// The bars of a crowd of strangers with a hello.
const (
	crowdFor     = 90 * time.Second // to come in; handshakes are let in at a pace
	crowdEach    = 8                // connections of one device
	crowdSettled = 5 * time.Second  // without another one let in
	crowdOthers  = 10 * time.Second // a neighbour that is a stranger, too, gets in
)

// crowd has devices that nobody knows connect from many addresses, say hello and listen, until no more are let in. It returns how many
// are; end lets them go.
func (h *Host) crowd(t *testing.T, to netip.AddrPort) (in int, end func()) {
	t.Helper()
	var open []net.Conn
	end = func() {
		for _, c := range open {
			c.Close()
		}
	}
	hello, err := canon.Marshal(wire.Hello{V: wire.Version, Name: "Stranger", Workgroup: "WORKGROUP"})
	if err != nil {
		t.Fatal(err)
	}
	greeting := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n%sGET %s HTTP/1.1\r\nHost: d\r\n\r\n", wire.RouteHello, len(hello), hello, wire.RouteEvents)
	var who *identity.Identity
	began, last, tried := time.Now(), time.Now(), 0
	for ; time.Since(last) < crowdSettled && time.Since(began) < crowdFor && len(open) < wire.MaxConns; tried++ {
		if tried%crowdEach == 0 {
			who = newcomer(t)
		}
		var c net.Conn
		if err := h.Inside(func() (err error) {
			from := &net.TCPAddr{IP: net.IPv4(10, 83, 0, byte(100+tried%strangerAddrs))}
			c, err = (&net.Dialer{LocalAddr: from, Timeout: time.Second}).Dial("tcp", to.String())
			return err
		}); err != nil {
			continue
		}
		s := tls.Client(c, who.TLS(nil))
		s.SetDeadline(time.Now().Add(10 * time.Second)) //nolint:errcheck // the answer tells
		if _, err := io.WriteString(s, greeting); err != nil {
			c.Close()
			continue
		}
		if _, err := s.Read(make([]byte, 64*kib)); err != nil {
			c.Close()
			continue
		}
		open, last = append(open, c), time.Now()
	}
	return len(open), end
}

// TestCrowd: strangers in the open workgroup, each a device of its own that nobody has met, take all the connections they may. A member of a
// private workgroup comes and is served at once; a neighbour that is a stranger as well comes in, too.
func TestCrowd(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo", "cleo", "eve")
	anna, bo, cleo, eve := devices[0], devices[1], devices[2], devices[3]
	for i := range strangerAddrs {
		must(t, "ip", "-n", eve.ns, "addr", "add", fmt.Sprintf("10.83.0.%d/24", 100+i), "dev", iface(0))
	}
	serveAll(t, devices[:3])
	found(t, devices[:2], "on")
	writeFile(t, anna.Path("data", "file"), 4*mib, 1)
	anna.Share(t, anna.Path("data"), "data")
	bo.Quit(t)
	cleo.Quit(t)
	before := memory(t, anna, "VmRSS")
	in, end := eve.crowd(t, netip.AddrPortFrom(anna.Addr(), discovery.DefaultPort))
	defer end()
	took := map[*Device]time.Duration{}
	for _, d := range []*Device{bo, cleo} {
		ready, err := d.Serve()
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, 2*crowdOthers, d.Name+" is served", func() bool {
			rows, err := d.List(anna, "data")
			return err == nil && len(rows) == 1
		})
		took[d] = time.Since(ready)
		d.Must(t, time.Minute, "get", anna.At("data"), "-o", d.Path("into"))
		mustEqual(t, anna.Path("data"), d.Path("into", "data"))
	}
	rss := memory(t, anna, "VmHWM") - before
	figure(t, "%d connections of strangers, memory %+d MiB; a member is served after %v, a stranger after %v", in, rss/mib, ms(took[bo]), ms(took[cleo]))
	atMost(t, "a member among strangers", took[bo], attackedBar)
	atMost(t, "a stranger among strangers", took[cleo], crowdOthers)
	if in > wire.MaxStrangerConns || in < wire.MaxStrangerConns*9/10 {
		t.Errorf("%d connections of strangers were let in, of %d", in, wire.MaxStrangerConns)
	}
}

// TestTenOpen: in a home of ten computers without a private workgroup all are strangers to each other, and nobody suffers from the limits that
// strangers have: all see all, and nine pull from the tenth at once.
func TestTenOpen(t *testing.T) {
	var names []string
	for i := range 10 {
		names = append(names, fmt.Sprintf("pc%d", i))
	}
	devices := NewDevices(t, DualStack, names...)
	seen := serveAll(t, devices)
	giver := devices[0]
	writeFile(t, giver.Path("data", "file"), 4*mib, 1)
	giver.Share(t, giver.Path("data"), "data")
	began := time.Now()
	pulled := untilAll(t, devices[1:], time.Minute, "the share is there", func(d *Device) (bool, error) { return d.sees(t, giver, "data"), nil })
	var wg sync.WaitGroup
	for _, d := range devices[1:] {
		wg.Go(func() {
			if _, err := d.Run(time.Minute, "get", giver.At("data"), "-o", d.Path("into")); err != nil {
				t.Errorf("%s: %v", d.Name, err)
			}
		})
	}
	wg.Wait()
	for _, d := range devices[1:] {
		mustEqual(t, giver.Path("data"), d.Path("into", "data"))
	}
	figure(t, "ten computers see all others after %v, the share after %v; nine have 4 MiB of the tenth after %v", ms(seen), ms(pulled), ms(time.Since(began)))
	atMost(t, "ten open computers meet", seen, crowdOthers)
}

// TestDrip: whoever sends a byte a second is let go of, at every stage, in real time.
func TestDrip(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "eve")
	anna, eve := devices[0], devices[1]
	anna.MustServe(t)
	id := newcomer(t)
	hello, err := canon.Marshal(wire.Hello{V: wire.Version, Name: "eve", Workgroup: "WORKGROUP"})
	if err != nil {
		t.Fatal(err)
	}
	post := func(route string, n int) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n", route, n)
	}
	greeting := post(wire.RouteHello, len(hello)) + string(hello)
	var wg sync.WaitGroup
	for _, tt := range []struct {
		name   string
		secret bool     // inside TLS
		first  []string // each sent at once, when the one before was answered
		drip   string
		bar    time.Duration
	}{
		{"silence", false, nil, "", wire.HandshakeTime},
		{"a handshake", false, nil, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("x", 99), wire.HandshakeTime},
		{"a hello", true, nil, greeting, wire.HelloTime},
		{"a header", true, []string{greeting, "GET /v1/shares HTTP/1.1\r\nX: "}, strings.Repeat("x", 99), wire.HeaderTime},
		{"a body", true, []string{greeting, post(wire.RouteShare+strings.Repeat("0", 32)+wire.RoutePack, 5000)}, strings.Repeat("x", 99), wire.BodyTime},
	} {
		var c net.Conn
		if err := eve.Inside(func() (err error) {
			c, err = net.Dial("tcp", netip.AddrPortFrom(anna.Addr(), discovery.DefaultPort).String())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if tt.secret {
			c = tls.Client(c, id.TLS(nil))
		}
		wg.Go(func() {
			took, err := drip(c, tt.first, tt.drip)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			figure(t, "%s of a byte a second ends after %v", tt.name, ms(took))
			atMost(t, tt.name, took, tt.bar+2*time.Second)
		})
	}
	wg.Wait()
}

// drip sends and returns how long after the last of first the other side hung up.
func drip(c net.Conn, first []string, rest string) (time.Duration, error) {
	c.SetDeadline(time.Now().Add(time.Minute)) //nolint:errcheck // the end tells
	for i, s := range first {
		if _, err := io.WriteString(c, s); err != nil {
			return 0, err
		}
		if i == 0 { // the answer to the hello
			if _, err := c.Read(make([]byte, 4096)); err != nil {
				return 0, err
			}
		}
	}
	began := time.Now()
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, c)
		ended <- err
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			var slow net.Error
			if errors.As(err, &slow) && slow.Timeout() {
				return time.Since(began), errors.New("still open after a minute")
			}
			return time.Since(began), nil
		case <-tick.C:
			if rest != "" {
				io.WriteString(c, rest[:1]) //nolint:errcheck // the reader tells
				rest = rest[1:]
			}
		}
	}
}
