//go:build linux

package link

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"porchlight/discovery/calm"
	"porchlight/transfer/wire"
)

// residentMemory is the memory of this process, in bytes.
func residentMemory(t *testing.T) int64 {
	t.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(data, []byte("VmRSS:"))
	kib, err := strconv.ParseInt(string(bytes.Fields(rest)[0]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// flood opens perSecond connections from many addresses for a while, and longer where that does not make so many as half of a second's; each
// says first and no more. It returns how many.
func flood(t *testing.T, to netip.AddrPort, addrs, perSecond int, whole time.Duration, first []byte) int {
	t.Helper()
	const kept = 400 // more than may be pending
	open, made := make([]net.Conn, kept), 0
	began := time.Now()
	for time.Since(began) < whole || made < perSecond/2 && time.Since(began) < calm.Most(whole) {
		for due := int(time.Since(began).Seconds() * float64(perSecond)); made < due; made++ {
			from := &net.TCPAddr{IP: net.IPv4(127, 0, 9, byte(1+made%addrs))}
			c, err := (&net.Dialer{LocalAddr: from, Timeout: time.Second}).DialContext(t.Context(), "tcp", to.String())
			if err != nil {
				continue
			}
			c.Write(first) //nolint:errcheck // it may be closed already
			if old := open[made%kept]; old != nil {
				old.Close()
			}
			open[made%kept] = c
		}
		time.Sleep(time.Millisecond) // the pace of the attack
	}
	for _, c := range open {
		if c != nil {
			c.Close()
		}
	}
	return made
}

// raced reports whether the race detector runs, which takes several times the memory.
func raced() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// TestFloodOfStrangers: 2,000 connections a second from 40 addresses that never say hello: few are pending, memory stays
// where it was, and a neighbour gets in within two seconds, every time (on a calm computer).
func TestFloodOfStrangers(t *testing.T) {
	const perSecond, most = 2000, 32 << 20
	inTime := calm.Most(2 * time.Second)
	for name, first := range map[string][]byte{"silent": nil, "half a handshake": []byte("\x16\x03\x01\x02\x00\x01\x00"), "no TLS": []byte("GET / HTTP/1.1\r\n"),
		"the first message of a handshake": firstWords(t, newNode(t, "nobody"))} { // the same each time: it costs the sender nothing, and this device an answer
		t.Run(name, func(t *testing.T) {
			n, friend := newNode(t, "n"), newNode(t, "friend")
			id := n.ident.ID()
			before, whole := residentMemory(t), 2*time.Second
			if len(first) > 100 {
				whole *= 2 // the first of them use up the handshakes that may come at once
			}
			var wg sync.WaitGroup
			made := 0
			wg.Go(func() { made = flood(t, n.addr, 40, perSecond, whole, first) })
			worst, pending, pendingAddr, rss, came := time.Duration(0), 0, 0, int64(0), 0
			for began := time.Now(); time.Since(began) < whole; time.Sleep(150 * time.Millisecond) {
				start := time.Now()
				var err error
				for { // as a neighbour does that is turned away
					var g Greeting
					if g, err = friend.dialer.Dial(t.Context(), &id, n.addr); err == nil {
						g.Conn.Close()
						came++
						break
					}
					if time.Since(start) > inTime {
						t.Fatalf("a neighbour is kept out: %v", err)
					}
					time.Sleep(50 * time.Millisecond)
				}
				worst = max(worst, time.Since(start))
				n.in.mu.Lock()
				pending = max(pending, len(n.in.pending))
				for _, s := range n.in.addrs {
					pendingAddr = max(pendingAddr, s.pending)
				}
				n.in.mu.Unlock()
				rss = max(rss, residentMemory(t))
			}
			wg.Wait()
			emptied(t, n.in)
			figures := fmt.Sprintf("%d connections; at most %d pending, %d of one address; memory %+d KiB; %d neighbours came in, the slowest in %v",
				made, pending, pendingAddr, (rss-before)>>10, came, worst.Round(time.Millisecond))
			t.Log(figures)
			if pending > wire.MaxPending || pendingAddr > wire.MaxPendingAddr || rss-before > most && !raced() || worst > inTime || made < perSecond/2 {
				t.Error(figures)
			}
		})
	}
}
