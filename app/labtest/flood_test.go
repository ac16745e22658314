//go:build linux && lab

package labtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// The bars of a flood on port 5353.
const (
	floodRate   = 100_000 // packets sent in a second
	floodFor    = 10 * time.Second
	floodCPU    = 25.0            // percent of one core
	floodMemory = 20 * mib        // more than before
	floodFound  = 3 * time.Second // a real neighbour that comes meanwhile
	floodLines  = 50              // in the log, of the whole flood
	floodShown  = 40              // devices that are not there and are shown all the same, of one sender
	floodAll    = 520             // and of many
	floodLeast  = floodRate / 4   // packets that have to arrive, or the row says nothing
)

const (
	sendFlood    = "flood" // an end, see runEnd: endAddr sends, endPlace says what and how much
	ourService   = "_porchlight._tcp.local."
	otherService = "_http._tcp.local."
	mdnsGroup    = "224.0.0.251:5353"
	mdnsGroup6   = "[ff02::fb%eth0]:5353"
	overIPv6     = ", IPv6"       // ends the name of a kind that is sent over it
	fromMany     = ", 64 senders" // and of one that has as many
	manySenders  = 64
)

// floodKinds are the packets of floods. Each builds the i-th packet; what it does not set by i is the same.
var floodKinds = map[string]func(i int) []byte{
	"random bytes": func(int) []byte {
		b := make([]byte, 60+rand.IntN(400))
		for i := range b {
			b[i] = byte(rand.Uint32())
		}
		return b
	},
	"questions for others": func(i int) []byte {
		return floodPacked(dns.Msg{Question: []dns.Question{{Name: fmt.Sprintf("printer-%d.%s", i, otherService), Qtype: dns.TypeANY, Qclass: dns.ClassINET}}})
	},
	"answers with 9,000 bytes": func(i int) []byte {
		txt := &dns.TXT{Hdr: floodHeader(fmt.Sprintf("p%d.%s", i, otherService), dns.TypeTXT)}
		for range 34 {
			txt.Txt = append(txt.Txt, strings.Repeat("x", 255))
		}
		return floodPacked(floodAnswer(txt))
	},
	"PTRs of others": func(i int) []byte { return floodPointers(i, otherService) },
	"odd names":      func(i int) []byte { return floodOdd(i, "\x05_http") },
	"pointer loops": func(int) []byte {
		return []byte("\x00\x00\x84\x00\x00\x00\x00\x02\x00\x00\x00\x00\xc0\x0c\x00\x0c\x00\x01\x00\x00\x00\x78\x00\x02\xc0\x0c")
	},
	"our instances": func(i int) []byte { return floodInstance(i) },
	"our PTRs":      func(i int) []byte { return floodPointers(i, ourService) },
	"our odd names": func(i int) []byte { return floodOdd(i, "\x0b_porchlight") },
	"questions to us": func(int) []byte {
		return floodPacked(dns.Msg{Question: []dns.Question{{Name: ourService, Qtype: dns.TypePTR, Qclass: dns.ClassINET}}})
	},
	"our pointer loops": func(int) []byte {
		return []byte("\x00\x00\x84\x00\x00\x00\x00\x02\x00\x00\x00\x00\x0b_porchlight\xc0\x0c\x00\x0c\x00\x01\x00\x00\x00\x78\x00\x02\xc0\x0c")
	},
}

func floodHeader(name string, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: 120}
}

func floodAnswer(rrs ...dns.RR) dns.Msg {
	return dns.Msg{MsgHdr: dns.MsgHdr{Response: true, Authoritative: true}, Compress: true, Answer: rrs}
}

func floodPacked(m dns.Msg) []byte {
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// floodLabel is the i-th label that looks like one of ours.
func floodLabel(i int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	b := []byte("aaaaaaaaaaaaaaaa")
	for at := range b {
		b[at] = letters[i&31]
		i >>= 5
	}
	return string(b)
}

// floodPointers is a packet of a hundred PTRs that nobody has seen before.
func floodPointers(i int, service string) []byte {
	var rrs []dns.RR
	for k := range 100 {
		rrs = append(rrs, &dns.PTR{Hdr: floodHeader(service, dns.TypePTR), Ptr: floodLabel(100*i+k) + "." + service})
	}
	return floodPacked(floodAnswer(rrs...))
}

// floodOdd is a PTR to a name with dots, quotes, a NUL, and bytes beyond ASCII.
func floodOdd(i int, service string) []byte {
	tail := service + "\x04_tcp\x05local\x00"
	odd := fmt.Sprintf("a.b\"c\\\x00\xff\xfe\xe9%08d", i%100_000_000)
	rdata := string(rune(len(odd)))[:1] + odd + "\xc0\x0c"
	return []byte("\x00\x00\x84\x00\x00\x00\x00\x01\x00\x00\x00\x00" + tail + "\x00\x0c\x00\x01\x00\x00\x00\x78\x00" + string(rune(len(rdata)))[:1] + rdata)
}

// floodInstance is the announcement of a device that is not there, at an address of its own.
func floodInstance(i int) []byte {
	name, host := floodLabel(i)+"."+ourService, floodLabel(i)+".local."
	return floodPacked(floodAnswer(
		&dns.PTR{Hdr: floodHeader(ourService, dns.TypePTR), Ptr: name},
		&dns.SRV{Hdr: floodHeader(name, dns.TypeSRV), Port: uint16(20000 + i%40000), Target: host},
		&dns.A{Hdr: floodHeader(host, dns.TypeA), A: net.IPv4(10, 83, 0, byte(100+i%100))},
		&dns.TXT{Hdr: floodHeader(name, dns.TypeTXT), Txt: []string{"v=1", "n=Junk", "w=WORKGROUP"}},
	))
}

// Flood sends packets of one kind from h, a process of its own, until stop is called; it returns how many were sent.
func (h *Host) Flood(t testing.TB, kind string, rate int) (stop func() int) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := h.Command(exe)
	cmd.Env = append(os.Environ(), endVar+"="+sendFlood, endAddr+"="+h.senders(kind), endPlace+"="+kind+"/"+strconv.Itoa(rate))
	cmd.Stderr = os.Stderr
	out := &strings.Builder{}
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	stop = func() int {
		if ended {
			return 0
		}
		ended = true
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("flood: %v", err)
		}
		n, _ := strconv.Atoi(strings.TrimSpace(out.String()))
		return n
	}
	t.Cleanup(func() { stop() })
	return stop
}

// senders lists the addresses from which a kind is sent.
func (h *Host) senders(kind string) string {
	if strings.HasSuffix(kind, overIPv6) {
		return h.all(h.t)[1].String()
	}
	list := []string{h.Addr().String()}
	for i := range manySenders - 1 {
		if strings.HasSuffix(kind, fromMany) {
			list = append(list, fmt.Sprintf("10.83.0.%d", 100+i))
		}
	}
	return strings.Join(list, ",")
}

// flood is what the test binary does as the sender of a flood, until it is told to end.
func flood(from, order string) error {
	kind, text, _ := strings.Cut(order, "/")
	perSecond, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	var conns []*ipv4.PacketConn // of IPv6, too: what differs is not used
	for a := range strings.SplitSeq(from, ",") {
		conn, err := mdnsSocket(netip.AddrPortFrom(netip.MustParseAddr(a), 5353))
		if err != nil {
			return err
		}
		defer conn.Close()
		conns = append(conns, ipv4.NewPacketConn(conn))
	}
	kind = strings.TrimSuffix(kind, fromMany)
	kind, v6 := strings.CutSuffix(kind, overIPv6)
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(mdnsGroup))
	if v6 {
		to = net.UDPAddrFromAddrPort(netip.MustParseAddrPort(mdnsGroup6))
	}
	const pool, batch = 16384, 64
	messages := make([]ipv4.Message, pool)
	for i := range messages {
		messages[i] = ipv4.Message{Buffers: [][]byte{floodKinds[kind](i)}, Addr: to}
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	sent, began := 0, time.Now()
	for turn := 0; len(end) == 0; turn++ {
		due := int(time.Since(began).Seconds()*float64(perSecond)) - sent
		if due < batch {
			time.Sleep(200 * time.Microsecond)
			continue
		}
		if due > perSecond/10 { // it cannot send as fast
			began = began.Add(time.Duration(float64(due-batch) / float64(perSecond) * float64(time.Second)))
		}
		at := sent % pool
		n, err := conns[turn%len(conns)].WriteBatch(messages[at:min(at+batch, pool)], 0)
		if err != nil && n <= 0 {
			time.Sleep(time.Millisecond) // no room
			continue
		}
		sent += n
	}
	fmt.Println(sent)
	return nil
}

// mdnsSocket is a socket that sends to the group as a member of multicast DNS does.
func mdnsSocket(from netip.AddrPort) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		cerr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
		if err == nil {
			err = cerr
		}
		return err
	}}
	pc, err := lc.ListenPacket(context.Background(), "udp", from.String())
	if err != nil {
		return nil, err
	}
	ifi, err := net.InterfaceByName(iface(0))
	if p := ipv6.NewPacketConn(pc); err == nil && from.Addr().Is6() {
		if err = p.SetMulticastInterface(ifi); err == nil {
			err = p.SetMulticastHopLimit(255)
		}
	} else if err == nil {
		p := ipv4.NewPacketConn(pc)
		if err = p.SetMulticastInterface(ifi); err == nil {
			err = p.SetMulticastTTL(255)
		}
	}
	if err != nil {
		pc.Close()
		return nil, err
	}
	return pc.(*net.UDPConn), nil
}

// received reads how many packets came in on a host's first wire.
func (h *Host) received(t testing.TB) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(must(t, "ip", "netns", "exec", h.ns, "cat", "/sys/class/net/"+iface(0)+"/statistics/rx_packets")))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// lines counts the lines of a device's log.
func (d *Device) lines(t testing.TB) int {
	t.Helper()
	data, err := os.ReadFile(d.logFile())
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(data), "\n")
}

// TestFloodJunk: packets on port 5353 that are none of our business cost next to nothing and hide nobody.
func TestFloodJunk(t *testing.T) {
	floodRow(t, []string{"random bytes", "questions for others", "answers with 9,000 bytes", "PTRs of others", "odd names", "pointer loops", "questions for others" + overIPv6})
}

// TestFloodOurs: the same of packets that name our service.
func TestFloodOurs(t *testing.T) {
	floodRow(t, []string{"our instances", "our PTRs", "our odd names", "our pointer loops", "questions to us", "our instances" + overIPv6, "our instances" + fromMany, "questions to us" + fromMany})
}

// floodRow floods a device with each kind, and lets a real neighbour come that nobody has met.
func floodRow(t *testing.T, kinds []string) {
	devices := NewDevices(t, DualStack, "anna", "bo", "mallory")
	anna, bo, mallory := devices[0], devices[1], devices[2]
	for i := range manySenders - 1 {
		must(t, "ip", "-n", mallory.ns, "addr", "add", fmt.Sprintf("10.83.0.%d/24", 100+i), "dev", iface(0))
	}
	anna.MustServe(t)
	anna.learn(t)
	time.Sleep(8 * time.Second) // the first rounds of questions are over
	for _, kind := range kinds {
		lines, base := anna.lines(t), memory(t, anna, "VmRSS")
		stop := mallory.Flood(t, kind, floodRate)
		floodStarted(t, anna)
		cpu, packets, began := cpuTime(t, anna), anna.received(t), time.Now()
		most := base
		watch := func() { most = max(most, memory(t, anna, "VmRSS")) }
		for time.Since(began) < floodFor/2 {
			time.Sleep(100 * time.Millisecond)
			watch()
		}
		ready, err := bo.Serve()
		if err != nil {
			t.Fatal(err)
		}
		bo.learn(t)
		eventually(t, 30*time.Second, "anna and bo find each other", func() bool {
			watch()
			a, _ := anna.Online(bo)
			b, _ := bo.Online(anna)
			return a && b
		})
		found := time.Since(ready)
		var shown []kept
		if err := anna.ask(&shown, "peers"); err != nil {
			t.Error(err)
		}
		strangers := 0
		for _, k := range shown {
			if k.Name != "bo" {
				strangers++
			}
		}
		for time.Since(began) < floodFor {
			time.Sleep(100 * time.Millisecond)
			watch()
		}
		took := time.Since(began)
		share := 100 * (cpuTime(t, anna) - cpu).Seconds() / took.Seconds()
		rate := float64(anna.received(t)-packets) / took.Seconds()
		stop()
		more, said := most-base, anna.lines(t)-lines
		figure(t, "%s: %.0f packets/s arrive: %.1f %% of a core, %+.1f MiB, %d log lines, %d invented devices shown, a newcomer found after %v", kind, rate, share, float64(more)/mib, said, strangers, ms(found))
		if share > floodCPU {
			t.Errorf("%s: %.1f %% of a core; the bar is %.0f %%", kind, share, floodCPU)
		}
		if more > floodMemory {
			t.Errorf("%s: %d MiB more; the bar is %d", kind, more/mib, floodMemory/mib)
		}
		mayShow := floodShown
		if strings.HasSuffix(kind, fromMany) {
			mayShow = floodAll
		}
		if strangers > mayShow {
			t.Errorf("%s: %d invented devices are shown", kind, strangers)
		}
		if rate < floodLeast {
			t.Errorf("%s: only %.0f packets/s arrive", kind, rate)
		}
		if said > floodLines {
			t.Errorf("%s: %d lines in the log", kind, said)
		}
		atMost(t, kind+": found", found, floodFound)
		bo.Quit(t)
		bo.Forget(t)
	}
}

// floodStarted waits until a flood arrives.
func floodStarted(t testing.TB, d *Device) {
	t.Helper()
	before, at := d.received(t), time.Now()
	eventually(t, 10*time.Second, "the flood arrives", func() bool {
		return float64(d.received(t)-before) > 1000 && time.Since(at) > 0
	})
}
