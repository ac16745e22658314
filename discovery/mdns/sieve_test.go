package mdns

import (
	"context"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/bpf"

	"porchlight/discovery/calm"
)

// sample is a packet and whether it concerns a device.
type sample struct {
	name   string
	packet []byte
	want   bool
}

func samples(t testing.TB) []sample {
	a := told(addrs("192.168.1.9")...)
	ask := func(kind uint16, names ...string) []byte {
		var m dns.Msg
		for _, n := range names {
			m.Question = append(m.Question, dns.Question{Name: n, Qtype: kind, Qclass: dns.ClassINET})
		}
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	with := func(p []byte, at int, b byte) []byte {
		p = append([]byte{}, p...)
		p[at] = b
		return p
	}
	out := []sample{
		{"announcement", packed(t, a.all()...), true},
		{"goodbye", packed(t, a.ptr(0)), true},
		{"no PTR", packed(t, a.srv(), a.txt()), true},
		{"in capitals", ask(dns.TypePTR, strings.ToUpper(service)), true},
		{"list of services", ask(dns.TypePTR, services), true},
		{"list of services in capitals", ask(dns.TypePTR, strings.ToUpper(services)), true},
		{"instance", ask(dns.TypeANY, a.instance()), true},
		{"host", ask(dns.TypeA, a.host()), true},
		{"host in capitals", ask(dns.TypeA, strings.ToUpper(a.host())), true},
		{"another service", ask(dns.TypePTR, "_http._tcp.local."), false},
		{"another host", ask(dns.TypeA, "printer.local."), false},
		{"answer about others", packed(t, &dns.PTR{Hdr: header("_http._tcp.local.", dns.TypePTR, dns.ClassINET), Ptr: "aaaabbbbccccdddd._http._tcp.local."}), false},
		{"half a name", ask(dns.TypePTR, "_porchligh._tcp.local."), false},
		{"an opcode", with(packed(t, a.all()...), 2, 0x8c), false},
		{"an error", with(packed(t, a.all()...), 3, 3), false},
		{"nothing", nil, false},
		{"a header", make([]byte, headerLen), false},
		{"zeros", make([]byte, 300), false},
	}
	for shift := range 16 { // our name at every place
		out = append(out, sample{"after others", ask(dns.TypePTR, strings.Repeat("x", 1+shift)+".local.", service), true})
	}
	return out
}

func TestConcerns(t *testing.T) {
	for _, tt := range samples(t) {
		if got := concerns(tt.packet); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if concerns(append(packed(t, told(addrs("192.168.1.9")...).all()...), make([]byte, maxPacket)...)) {
		t.Error("too long")
	}
}

// What the system lets through is what concerns lets through, and never less.
func TestWantedAgrees(t *testing.T) {
	vm, err := bpf.NewVM(wanted())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range samples(t) {
		n, err := vm.Run(append(make([]byte, udpHeader), tt.packet...))
		if err != nil {
			t.Fatal(err)
		}
		if got := n > 0; got != tt.want && !(got && tt.name == "half a name") { // it looks at four letters at a time
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestSieveIsSmall(t *testing.T) {
	const most = 4096 // instructions that Linux takes
	var from []netip.Addr
	for range 2 * maxSieved {
		from = append(from, netip.MustParseAddr("fe80::1%eth0"))
	}
	program, err := bpf.Assemble(append(refusal(true, from), wanted()...))
	if err != nil || len(program) > most/2 {
		t.Errorf("%d instructions, %v", len(program), err)
	}
}

// TestSieveInPlace: what the system lets through on a real socket, and whom it refuses.
func TestSieveInPlace(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has such filters")
	}
	l := loopback(t)
	conn, err := join(l, false)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	label := NewLabel()
	a := answers{record: Record{Instance: label, Port: 40020, Name: "Sieve"}, addrs: addrs("127.0.0.1"), class: dns.ClassINET}
	good, bad := packed(t, a.all()...), packed(t, &dns.PTR{Hdr: header("_http._tcp.local.", dns.TypePTR, dns.ClassINET), Ptr: label + "._http._tcp.local."})
	const each = 20
	count := func(want int) (ours, others int) { // the last one sent is of ours: all have come when it has
		sender, err := join(l, false)
		if err != nil {
			t.Fatal(err)
		}
		defer sender.Close()
		for range each {
			for _, p := range [][]byte{bad, good} {
				if err := sendFrom(sender, l, p); err != nil {
					t.Fatal(err)
				}
			}
		}
		wait := 300 * time.Millisecond
		if want > 0 {
			wait = calm.Most(wait)
		}
		if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
			t.Fatal(err)
		}
		for buf := make([]byte, maxPacket); want == 0 || ours < want; {
			n, err := conn.Read(buf)
			if err != nil {
				return ours, others
			}
			switch p := string(buf[:n]); {
			case p == string(good):
				ours++
			case p == string(bad):
				others++
			}
		}
		return ours, others
	}
	if !sieve(conn, false, nil) {
		t.Fatal("no filter")
	}
	if ours, others := count(each); ours != each || others > 5 {
		t.Errorf("%d of ours, %d of others", ours, others)
	}
	if !sieve(conn, false, addrs("10.1.2.3", "127.0.0.1")) {
		t.Fatal("no filter with senders")
	}
	if ours, _ := count(0); ours > 5 {
		t.Errorf("%d of one who is refused", ours)
	}
	if !sieve(conn, false, addrs("10.1.2.3")) {
		t.Fatal("no filter with another sender")
	}
	if ours, _ := count(each); ours != each {
		t.Errorf("%d after another was refused", ours)
	}
}

func TestAccounts(t *testing.T) {
	now := time.Unix(1e9, 0)
	flooder, honest := netip.MustParseAddr("10.0.0.66"), netip.MustParseAddr("10.0.0.5")
	for _, response := range []bool{true, false} {
		a := newAccounts(false)
		believed, refused := 0, false
		for i := range 100_000 { // ten seconds
			if i%10_000 == 0 {
				now = now.Add(time.Second)
				refused = a.flooders(now) || refused
			}
			if _, ok := a.refused[flooder]; ok {
				continue // the ear does not even look
			}
			if a.admit(flooder, response, now) && response && a.believe(flooder, now) {
				believed++
			}
		}
		if believed > saidBurst+10*saidPerSecond || response && believed < saidBurst || !refused || len(a.refused) != 1 {
			t.Errorf("%d believed, refused: %v", believed, a.refused)
		}
		if !a.admit(honest, response, now) || response && !a.believe(honest, now) {
			t.Error("the flood hides another sender")
		}
		now = now.Add(refuseFor)
		if !a.flooders(now) || len(a.refused) != 0 {
			t.Error("refused for ever")
		}
		for i := range 2 * maxAccounts {
			a.admit(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), response, now)
		}
		if len(a.all) > maxAccounts {
			t.Errorf("%d accounts", len(a.all))
		}
	}
	one := newAccounts(true)
	for range 10_000 {
		one.admit(flooder, true, now)
	}
	if one.flooders(now) {
		t.Error("all programs of this computer are refused")
	}
}

// Who comes when many talk is heard all the same.
func TestNewcomersHaveAShare(t *testing.T) {
	now := time.Unix(1e9, 0)
	a := newAccounts(false)
	crowd := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 100)}) }
	for i := range 200_000 {
		if a.admit(crowd(i), true, now) {
			a.believe(crowd(i), now)
		}
		if i%100 == 0 {
			now = now.Add(time.Millisecond)
		}
	}
	if a.heard.AllowN(now, 2) {
		t.Fatal("the crowd left something: nothing is tested")
	}
	for i := range 20 {
		who := netip.AddrFrom4([4]byte{10, 0, 1, byte(i)})
		if !a.admit(who, true, now) || !a.believe(who, now) {
			t.Errorf("newcomer %d is not heard", i)
		}
	}
}

// The accounts of one socket hold in the ear itself: a flood of one sender leaves the others their share.
func TestTakeIsFair(t *testing.T) {
	b := newBrowser(Config{}, &self{}, newHealth(), &responder{self: &self{}})
	m := &mouth{link: linkOf("eth0", "192.168.1.2/24")}
	who := newAccounts(false)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	heard := map[string]int{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case s := <-b.sightings:
				heard[s.From.String()]++
			case <-ctx.Done():
				return
			}
		}
	}()
	from := func(text string) netip.AddrPort { return netip.MustParseAddrPort(text + ":5353") }
	for range 2000 {
		a := told(addrs("192.168.1.66")...)
		a.record.Instance = NewLabel()
		b.take(ctx, m, packed(t, a.all()...), from("192.168.1.66"), who)
	}
	b.take(ctx, m, packed(t, told(addrs("192.168.1.9")...).all()...), from("192.168.1.9"), who)
	b.take(ctx, m, packed(t, told(addrs("192.168.1.10")...).all()...), netip.MustParseAddrPort("192.168.1.10:1234"), who) // not a member's port
	for end := time.Now().Add(soon); len(b.sightings) > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
	if heard["192.168.1.66"] < 100 || heard["192.168.1.66"] > 2*saidBurst || heard["192.168.1.9"] != 1 || heard["192.168.1.10"] != 0 {
		t.Errorf("heard %v", heard)
	}
}
