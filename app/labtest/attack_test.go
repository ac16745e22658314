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

// TestStrangers: 2,000 connections a second from 40 addresses, which say nothing, or begin a handshake and stop. Few are
// kept, memory stays, and computers that have never met still meet.
func TestStrangers(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo", "eve")
	anna, bo, eve := devices[0], devices[1], devices[2]
	for i := range strangerAddrs {
		must(t, "ip", "-n", eve.ns, "addr", "add", fmt.Sprintf("10.83.0.%d/24", 100+i), "dev", iface(0))
	}
	for name, first := range map[string][]byte{"silent": nil, "half a handshake": []byte("\x16\x03\x01\x02\x00\x01\x00")} {
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

// TestDrip: whoever sends a byte a second is let go of, at every stage, in real time.
func TestDrip(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "eve")
	anna, eve := devices[0], devices[1]
	anna.MustServe(t)
	seed := make([]byte, 32)
	rand.Read(seed) //nolint:errcheck // never fails
	id, err := identity.FromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
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
