//go:build linux && lab

package labtest

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"

	"porchlight/discovery"
	"porchlight/discovery/identity"
	"porchlight/discovery/mdns"
)

const (
	forgedFor   = 25 * time.Second // lies are told
	forgedEvery = 20 * time.Millisecond
	secret      = "a word that only anna's folder knows"
)

// trap is a port that counts who connects.
type trap struct {
	name string
	most int // connections that may come

	mu    sync.Mutex // guards the fields below
	came  int
	heard int // bytes of what was said inside TLS
	raw   []byte
}

// set lets a trap listen on a host until the test ends. With an identity it speaks TLS as that device; else it listens for
// a moment and closes.
func (tr *trap) set(t testing.TB, h *Host, addr string, ident *identity.Identity) {
	t.Helper()
	var in net.Listener
	if err := h.Inside(func() (err error) { in, err = net.Listen("tcp", addr); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	go func() {
		for {
			c, err := in.Accept()
			if err != nil {
				return
			}
			go tr.take(c, ident)
		}
	}()
}

func (tr *trap) take(c net.Conn, ident *identity.Identity) {
	defer c.Close()
	tr.mu.Lock()
	tr.came++
	tr.mu.Unlock()
	_ = c.SetDeadline(time.Now().Add(3 * time.Second))
	buf := make([]byte, 64*kib)
	if ident == nil {
		n, _ := c.Read(buf)
		tr.mu.Lock()
		tr.raw = append(tr.raw, buf[:n]...)
		tr.mu.Unlock()
		return
	}
	n, _ := tls.Server(c, ident.TLS(nil)).Read(buf)
	tr.mu.Lock()
	tr.heard += n
	tr.mu.Unlock()
}

// lie is an announcement of a device with an address and a port that are not its own.
func lie(label string, id discovery.DeviceID, name string, addr netip.Addr, port int) []byte {
	service, host := label+"."+ourService, label+".local."
	return floodPacked(floodAnswer(
		&dns.PTR{Hdr: floodHeader(ourService, dns.TypePTR), Ptr: service},
		&dns.SRV{Hdr: floodHeader(service, dns.TypeSRV), Port: uint16(port), Target: host},
		&dns.A{Hdr: floodHeader(host, dns.TypeA), A: addr.AsSlice()},
		&dns.TXT{Hdr: floodHeader(service, dns.TypeTXT), Txt: []string{"v=1", "d=" + mdns.IDPrefix(id), "n=" + name, "w=WORKGROUP"}},
	))
}

// kept is what a device keeps of another one.
type kept struct {
	ID, Name  string
	Addresses []string
}

func (d *Device) keeps(t testing.TB, other *Device) kept {
	t.Helper()
	var all []kept
	if err := d.ask(&all, "peers"); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(k kept) bool { return k.ID == other.id })
	if i < 0 {
		t.Fatalf("%s does not know %s", d.Name, other.Name)
	}
	return all[i]
}

// TestForged: somebody announces a known device that is away, and one nobody knows, at addresses of its own and of others.
func TestForged(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo", "mallory", "victim")
	anna, bo, mallory, victim := devices[0], devices[1], devices[2], devices[3]
	writeFile(t, anna.Path("data", "file"), 10, 1)
	if err := os.WriteFile(anna.Path("data", secret), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	serveAll(t, devices[:2])
	anna.Share(t, anna.Path("data"), "data")
	boID, err := discovery.ParseDeviceID(bo.id)
	if err != nil {
		t.Fatal(err)
	}
	before := anna.keeps(t, bo)
	bo.Kill()
	untilAll(t, devices[:1], 10*time.Second, "bo is gone", func(d *Device) (bool, error) { return d.Gone(bo) })

	liar, err := identity.Load(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	// Another network, to which there is a way.
	must(t, "ip", "-n", victim.ns, "addr", "add", "10.99.0.4/32", "dev", iface(0))
	must(t, "ip", "-n", anna.ns, "route", "add", "10.99.0.0/24", "via", victim.Addr().String())
	at := func(h *Device, port int) string { return netip.AddrPortFrom(h.Addr(), uint16(port)).String() }
	var traps []*trap
	put := func(most int, h *Device, addr string, ident *identity.Identity, name string) {
		tr := &trap{name: name, most: most}
		tr.set(t, h.Host, addr, ident)
		traps = append(traps, tr)
	}
	put(1, mallory, at(mallory, 47470), liar, "the liar, with TLS of its own")
	put(1, mallory, at(mallory, 50000), nil, "the liar, who hangs up")
	put(0, victim, at(victim, 22), nil, "a victim's port 22")
	put(0, victim, at(victim, 445), nil, "a victim's port 445")
	put(0, mallory, at(mallory, 22), nil, "the liar's port 22")
	put(1, victim, at(victim, 50000), nil, "a victim's port 50000")
	put(1, victim, at(victim, 47470), liar, "a victim's port 47470")
	put(0, victim, "10.99.0.4:50000", nil, "another network")
	put(1, victim, at(victim, 50001), nil, "a victim's port 50001, said to be a stranger's")

	end := make(chan struct{})
	done := make(chan error, 1)
	go func() { done <- mallory.lies(boID, victim.Addr(), end) }()
	time.Sleep(forgedFor)
	for _, tr := range traps {
		tr.mu.Lock()
		figure(t, "%s: dialled %d times in %v, %d bytes said inside TLS", tr.name, tr.came, forgedFor, tr.heard)
		if tr.came > tr.most || tr.heard > 0 {
			t.Errorf("%s: dialled %d times, which may be %d; %d bytes said", tr.name, tr.came, tr.most, tr.heard)
		}
		for _, word := range []string{"anna", secret} {
			if bytes.Contains(tr.raw, []byte(word)) {
				t.Errorf("%s was told %q", tr.name, word)
			}
		}
		tr.mu.Unlock()
	}
	if traps[0].came == 0 && traps[1].came == 0 {
		t.Error("no lie was followed even once: nothing was tested")
	}
	if after := anna.keeps(t, bo); after.Name != before.Name {
		t.Errorf("bo is now called %q", after.Name)
	}
	start := time.Now()
	bo.MustServe(t)
	untilAll(t, devices[:1], returnBar+20*time.Second, "bo is back", func(d *Device) (bool, error) { return d.Online(bo) })
	back := time.Since(start)
	figure(t, "while the lies go on bo comes back: online after %v", ms(back))
	atMost(t, "back", back, returnBar)
	close(end)
	if err := <-done; err != nil {
		t.Error(err)
	}
	bo.Quit(t)
	anna.Quit(t)
	mallory.Unplug()
	anna.MustServe(t) // it remembers what is stored and nothing else
	stored := anna.keeps(t, bo)
	if stored.Name != before.Name || slices.ContainsFunc(stored.Addresses, func(a string) bool {
		ap, err := netip.ParseAddrPort(a)
		return err == nil && !slices.Contains(bo.all(t), ap.Addr())
	}) {
		t.Errorf("stored: %+v, before: %+v", stored, before)
	}
}

// all lists the addresses of a host.
func (h *Host) all(t testing.TB) (out []netip.Addr) {
	t.Helper()
	for _, a := range h.addresses(0) {
		out = append(out, netip.MustParsePrefix(a).Addr())
	}
	return out
}

// lies are told until end: each time under another label.
func (h *Host) lies(who discovery.DeviceID, victim netip.Addr, end <-chan struct{}) error {
	var conn *net.UDPConn
	if err := h.Inside(func() (err error) {
		conn, err = mdnsSocket(netip.AddrPortFrom(h.Addr(), 5353))
		return err
	}); err != nil {
		return err
	}
	defer conn.Close()
	to, err := net.ResolveUDPAddr("udp4", mdnsGroup)
	if err != nil {
		return err
	}
	tick := time.NewTicker(forgedEvery)
	defer tick.Stop()
	for i := 0; ; i++ {
		label := floodLabel(i*7919 + 1)
		off := netip.MustParseAddr("10.99.0.4")
		all := [][]byte{
			lie(label, who, "bo", h.Addr(), 47470), lie(label, who, "bo", victim, 22), lie(label, who, "bo", victim, 445), lie(label, who, "bo", victim, 50000),
			lie(label, who, "bo", victim, 47470), lie(label, who, "Evil", off, 50000), lie(label, discovery.DeviceID{1, byte(i), byte(i >> 8)}, "Stranger", victim, 50001),
		}
		if _, err := conn.WriteTo(all[i%len(all)], to); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-end:
			return nil
		}
	}
}

// The bars of answering.
const (
	answersBar = 20 // packets in any second
	askRate    = 10_000
	askFor     = 5 * time.Second
	askers     = 20 // addresses that ask
)

// TestOffLink: questions from another network get no answer, and too many from this one not all.
func TestOffLink(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "mallory")
	anna, mallory := devices[0], devices[1]
	anna.MustServe(t)
	must(t, "ip", "-n", mallory.ns, "addr", "add", "192.168.77.2/24", "dev", iface(0))
	must(t, "ip", "-n", anna.ns, "route", "add", "192.168.77.0/24", "dev", iface(0)) // an answer would find its way
	for i := range askers {
		must(t, "ip", "-n", mallory.ns, "addr", "add", fmt.Sprintf("10.83.0.%d/24", 100+i), "dev", iface(0))
	}
	group, direct := netip.MustParseAddrPort(mdnsGroup), netip.AddrPortFrom(anna.Addr(), 5353)
	for _, tt := range []struct {
		name, from string
		to         netip.AddrPort
		answered   bool
	}{
		{"on the link, to the group", "10.83.0.2", group, true},
		{"on the link, to anna alone", "10.83.0.2", direct, true},
		{"off the link, to the group", "192.168.77.2", group, false},
		{"off the link, to anna alone", "192.168.77.2", direct, false},
	} {
		_, n, m := mallory.questions(t, []string{tt.from}, tt.to, 5, 1500*time.Millisecond)
		figure(t, "asked %s: %d answers", tt.name, n)
		if (n > 0) != tt.answered {
			t.Errorf("asked %s: %d answers", tt.name, n)
		}
		if n > 0 && (!m.Response || m.Id == 0 || len(m.Question) != 1 || len(m.Answer) == 0 || m.Answer[0].Header().Ttl > 10) {
			t.Errorf("an answer for a program that is no part of multicast DNS: %v", m)
		}
	}
	var from []string
	for i := range askers {
		from = append(from, fmt.Sprintf("10.83.0.%d", 100+i))
	}
	began := time.Now()
	cpu := cpuTime(t, anna)
	sent, n, _ := mallory.questions(t, from, group, askRate, askFor)
	share := 100 * (cpuTime(t, anna) - cpu).Seconds() / time.Since(began).Seconds()
	figure(t, "%d questions in %v from %d addresses: at most %d answers in any second, %.1f %% of a core", sent, askFor, askers, n, share)
	if sent < askRate*int(askFor.Seconds())/2 {
		t.Errorf("only %d questions were asked", sent)
	}
	if share > floodCPU {
		t.Errorf("%.1f %% of a core", share)
	}
	if n > answersBar || n == 0 {
		t.Errorf("%d answers in one second; the bar is %d", n, answersBar)
	}
	said := mallory.multicasts(t, askFor)
	figure(t, "asked %d times a second by members of multicast DNS: at most %d multicast answers in any second", askRate/10, said)
	if said > 2 || said == 0 {
		t.Errorf("%d multicast answers in a second", said)
	}
}

// questions asks from random ports of several addresses, rate times a second. It returns how often, the most answers
// that came in any second, and the last of them.
func (h *Host) questions(t testing.TB, from []string, to netip.AddrPort, rate int, long time.Duration) (int, int, dns.Msg) {
	t.Helper()
	var conns []*net.UDPConn
	for _, a := range from {
		if err := h.Inside(func() error {
			c, err := mdnsSocket(netip.AddrPortFrom(netip.MustParseAddr(a), 0))
			conns = append(conns, c)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	var came []time.Time
	var last dns.Msg
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(func() {
			buf := make([]byte, 9000)
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				mu.Lock()
				came = append(came, time.Now())
				if err := last.Unpack(buf[:n]); err != nil {
					t.Error(err)
				}
				mu.Unlock()
			}
		})
	}
	sent := ask(t, conns, to, rate, long, dns.ClassINET)
	for _, c := range conns {
		c.Close()
	}
	wg.Wait()
	return sent, inOneSecond(came), last
}

// multicasts asks from port 5353 and returns the most answers to the group in any second.
func (h *Host) multicasts(t testing.TB, long time.Duration) int {
	t.Helper()
	var asking *net.UDPConn
	var hearing *net.UDPConn
	if err := h.Inside(func() (err error) {
		if asking, err = mdnsSocket(netip.AddrPortFrom(h.Addr(), 5353)); err != nil {
			return err
		}
		ifi, err := net.InterfaceByName(iface(0))
		if err != nil {
			return err
		}
		hearing, err = net.ListenMulticastUDP("udp4", ifi, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(mdnsGroup)))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var came []time.Time
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 9000)
		for {
			n, _, err := hearing.ReadFrom(buf)
			if err != nil {
				return
			}
			if n > 12 && buf[2]&0x80 != 0 && bytes.Contains(buf[:n], []byte("_porchlight")) {
				came = append(came, time.Now())
			}
		}
	})
	ask(t, []*net.UDPConn{asking}, netip.MustParseAddrPort(mdnsGroup), askRate/10, long, dns.ClassINET)
	asking.Close()
	hearing.Close()
	wg.Wait()
	return inOneSecond(came)
}

// ask sends questions for our service, in turn from each socket, and returns how many.
func ask(t testing.TB, conns []*net.UDPConn, to netip.AddrPort, rate int, long time.Duration, class uint16) (sent int) {
	t.Helper()
	m := dns.Msg{Question: []dns.Question{{Name: ourService, Qtype: dns.TypePTR, Qclass: class}}}
	m.Id = 4711
	packet := floodPacked(m)
	began := time.Now()
	for time.Since(began) < long {
		if due := int(time.Since(began).Seconds()*float64(rate)) + 1; sent >= due {
			time.Sleep(time.Millisecond)
			continue
		}
		if _, err := ipv4.NewPacketConn(conns[sent%len(conns)]).WriteTo(packet, nil, net.UDPAddrFromAddrPort(to)); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
		sent++
	}
	return sent
}

// inOneSecond returns the most moments that lie within one second.
func inOneSecond(at []time.Time) (most int) {
	slices.SortFunc(at, time.Time.Compare)
	first := 0
	for i := range at {
		for at[i].Sub(at[first]) >= time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}
