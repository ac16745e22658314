package mdns

import (
	"net/netip"
	"testing"
	"time"

	library "github.com/hashicorp/mdns"
	"github.com/miekg/dns"
	"golang.org/x/time/rate"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"porchlight/discovery"
)

// told is a neighbour as it announces itself.
func told(addrs ...netip.Addr) answers {
	r := Record{Instance: "aaaabbbbccccdddd", Port: 47470, Name: "Anna", Workgroup: "WORKGROUP"}
	return answers{record: r, addrs: addrs, class: dns.ClassINET | cacheFlush}
}

func packed(t testing.TB, rrs ...dns.RR) []byte {
	t.Helper()
	b, err := pack(rrs)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadOrdersAddresses(t *testing.T) {
	l := linkOf("eth0", "192.168.1.2/24", "fe80::1/64")
	a := told(addrs("10.1.1.1", "8.8.8.8", "127.0.0.1", "224.0.0.9", "fe80::7", "192.168.1.9", "2001:db8::1", "192.168.1.8", "fd00::1")...)
	for _, tt := range []struct {
		name, src string
		want      []string
	}{
		{"by cable", "192.168.1.9", []string{"192.168.1.9:47470", "192.168.1.8:47470", "[fe80::7%eth0]:47470"}},
		{"by link-local", "fe80::7%eth0", []string{"192.168.1.9:47470", "192.168.1.8:47470", "[fe80::7%eth0]:47470"}},
		{"from an address it did not tell", "192.168.1.5", []string{"192.168.1.5:47470", "192.168.1.9:47470", "192.168.1.8:47470", "[fe80::7%eth0]:47470"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := read(packed(t, a.all()...), 0, l, netip.MustParseAddr(tt.src))
			if len(got.sightings) != 1 || len(got.partial) != 0 {
				t.Fatalf("%+v", got)
			}
			var shown []string
			for _, ap := range got.sightings[0].Addresses {
				shown = append(shown, ap.String())
			}
			if diff := cmp.Diff(tt.want, shown); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDialable(t *testing.T) {
	l := linkOf("eth0", "192.168.1.2/24", "10.9.9.1/31", "fe80::1/64", "fd00::2/64")
	for text, want := range map[string]bool{
		"192.168.1.9": true, "10.9.9.0": true, "fd00::9": true, "fe80::9": true, "192.168.1.2": true,
		"192.168.1.255": false, "192.168.1.0": false, "255.255.255.255": false, "192.168.2.9": false, "10.1.1.1": false, "8.8.8.8": false,
		"127.0.0.1": false, "0.0.0.0": false, "224.0.0.251": false, "::": false, "::1": false, "ff02::fb": false, "fd01::1": false, "2001:db8::1": false, "::ffff:192.168.1.9": false,
	} {
		if got := l.dialable(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestReadTellsApart(t *testing.T) {
	a := told(addrs("192.168.1.9")...)
	b := a
	b.record.Instance = "eeeeffffgggghhhh"
	bye := a.ptr(0)
	low, elsewhere := a, a
	low.record.Port = 22
	elsewhere.record.Instance = "Anna's PC"
	other := &dns.PTR{Hdr: header("_http._tcp.local.", dns.TypePTR, dns.ClassINET), Ptr: a.instance()}
	for _, tt := range []struct {
		name    string
		rrs     []dns.RR
		live    []string
		gone    []string
		partial []string
	}{
		{"one", a.all(), []string{"aaaabbbbccccdddd"}, nil, nil},
		{"several in one packet", append(a.all(), b.all()...), []string{"aaaabbbbccccdddd", "eeeeffffgggghhhh"}, nil, nil},
		{"without its PTR", []dns.RR{a.srv(), a.txt()}, []string{"aaaabbbbccccdddd"}, nil, nil},
		{"without addresses", []dns.RR{a.ptr(ttl), a.srv(), a.txt()}, []string{"aaaabbbbccccdddd"}, nil, nil},
		{"a goodbye", []dns.RR{bye}, nil, []string{"aaaabbbbccccdddd"}, nil},
		{"a goodbye with everything", append([]dns.RR{bye}, a.all()[1:]...), nil, []string{"aaaabbbbccccdddd"}, nil},
		{"PTR alone", []dns.RR{a.ptr(ttl)}, nil, nil, []string{"aaaabbbbccccdddd"}},
		{"without TXT", []dns.RR{a.ptr(ttl), a.srv()}, nil, nil, []string{"aaaabbbbccccdddd"}},
		{"a port of the system", low.all(), nil, nil, nil},
		{"not one of our labels", []dns.RR{elsewhere.ptr(ttl)}, nil, nil, nil},
		{"another service", []dns.RR{other}, nil, nil, nil},
		{"nothing", nil, nil, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := read(packed(t, tt.rrs...), 0, linkOf("eth0", "192.168.1.2/24"), netip.MustParseAddr("192.168.1.9"))
			var live, gone []string
			for _, s := range got.sightings {
				if s.Gone {
					gone = append(gone, s.Instance)
				} else {
					live = append(live, s.Instance)
				}
			}
			if diff := cmp.Diff([][]string{tt.live, tt.gone, tt.partial}, [][]string{live, gone, got.partial}, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	l, src := linkOf("eth0", "192.168.1.2/24"), netip.MustParseAddr("192.168.1.9")
	good := packed(t, told(addrs("192.168.1.9")...).all()...)
	change := func(at int, to byte) []byte {
		p := append([]byte{}, good...)
		p[at] = to
		return p
	}
	for name, packet := range map[string][]byte{
		"nothing":          nil,
		"half a header":    good[:7],
		"half a packet":    good[:len(good)/2],
		"a question":       change(2, 0),
		"an opcode":        change(2, 0x88),
		"an error":         change(3, 3),
		"another id":       change(0, 9),
		"too many answers": change(6, 9),
		"too long":         make([]byte, maxPacket+1),
	} {
		if got := read(packet, 1, l, src); len(got.sightings)+len(got.partial) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := read(good, 1, l, src); len(got.sightings) != 1 {
		t.Errorf("answer without id: %+v", got)
	}
	if got := read(change(1, 1), 1, l, src); len(got.sightings) != 1 {
		t.Errorf("answer with our id: %+v", got)
	}
}

func TestReadEntry(t *testing.T) {
	l := linkOf("eth0", "192.168.1.2/24")
	e := &library.ServiceEntry{Name: "AAAAbbbbccccdddd._porchlight._tcp.local.", Port: 47470, InfoFields: []string{"v=1", "n=Anna", "a=192.168.1.9,192.168.1.8"}}
	s, ok := readEntry(e, l)
	if !ok || s.Instance != "aaaabbbbccccdddd" || s.Name != "Anna" || len(s.Addresses) != 2 {
		t.Errorf("%+v %v", s, ok)
	}
	for _, e := range []*library.ServiceEntry{{Name: "x._http._tcp.local."}, {Name: e.Name, Port: 47470}, {Name: e.Name, Port: 22, InfoFields: e.InfoFields}} {
		if s, ok := readEntry(e, l); ok {
			t.Errorf("%+v", s)
		}
	}
}

func TestZoneAnswers(t *testing.T) {
	r := Record{Instance: "aaaabbbbccccdddd", Port: 47470, Name: "Anna"}
	z := newZone(&self{record: r}, addrs("192.168.1.2", "10.0.0.1", "fd00::1", "fe80::1"))
	const all = "PTR SRV AAAA AAAA A A TXT"
	for _, tt := range []struct {
		name string
		kind uint16
		want string
	}{
		{services, dns.TypePTR, "PTR"},
		{service, dns.TypePTR, all},
		{"_PorchLight._TCP.local.", dns.TypePTR, all},
		{service, dns.TypeANY, all},
		{service, dns.TypeA, ""},
		{"aaaabbbbccccdddd." + service, dns.TypeSRV, "SRV AAAA AAAA A A"},
		{"aaaabbbbccccdddd." + service, dns.TypeTXT, "TXT"},
		{"aaaabbbbccccdddd." + service, dns.TypeANY, "SRV AAAA AAAA A A TXT"},
		{"aaaabbbbccccdddd." + service, dns.TypePTR, ""},
		{"AAAABBBBCCCCDDDD.local.", dns.TypeA, "A A"},
		{"aaaabbbbccccdddd.local.", dns.TypeAAAA, "AAAA AAAA"},
		{"aaaabbbbccccdddd.local.", dns.TypeANY, "AAAA AAAA A A"},
		{"zzzzbbbbccccdddd.local.", dns.TypeA, ""},
		{"_http._tcp.local.", dns.TypePTR, ""},
	} {
		got := ""
		for _, rr := range z.Records(dns.Question{Name: tt.name, Qtype: tt.kind, Qclass: dns.ClassINET}) {
			if got += dns.TypeToString[rr.Header().Rrtype] + " "; rr.Header().Ttl != ttl {
				t.Errorf("%v: ttl", rr)
			}
		}
		if got != tt.want && got != tt.want+" " {
			t.Errorf("%s %s: %s", tt.name, dns.TypeToString[tt.kind], got)
		}
	}
	if got := z.Records(dns.Question{Name: service, Qtype: dns.TypePTR, Qclass: dns.ClassCHAOS}); got != nil {
		t.Error("another class:", got)
	}
	z.self.set(Record{Instance: r.Instance})
	if got := z.Records(dns.Question{Name: service, Qtype: dns.TypePTR, Qclass: dns.ClassINET}); got != nil {
		t.Error("nothing listens, and yet:", got)
	}
}

// The library keeps the last address of each family, so that has to be the best one.
func TestBestAddressIsLast(t *testing.T) {
	rrs := told(addrs("192.168.1.2", "10.0.0.1", "fd00::1", "fe80::1")...).hosts(true, true)
	if got := rrs[len(rrs)-1].(*dns.A).A.String(); got != "192.168.1.2" {
		t.Error(got)
	}
	if got := rrs[1].(*dns.AAAA).AAAA.String(); got != "fd00::1" {
		t.Error(got)
	}
}

func TestPacketsAreSmall(t *testing.T) {
	a := told(addrs("2001:db8:aaaa:bbbb:cccc:dddd:eeee:fff1", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:fff2", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:fff3",
		"2001:db8:aaaa:bbbb:cccc:dddd:eeee:fff4", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:fff5", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:fff6")...)
	a.record.Name, a.record.Workgroup, a.record.IDPrefix = "ééééééééééééééééééééééééééééééé", "ééééééééééééééééééééééééééééééé", "NQC4YIA6B7NW5T"
	if n := len(packed(t, a.all()...)); n > 700 {
		t.Errorf("%d bytes", n)
	}
	packet, err := goodbye(a.record)
	var m dns.Msg
	if err != nil || m.Unpack(packet) != nil || len(m.Answer) != 1 || m.Answer[0].Header().Ttl != 0 {
		t.Errorf("goodbye %v %v", m, err)
	}
}

func TestBelieveHasALimit(t *testing.T) {
	b := newBrowser(Config{}, &self{}, newHealth(), &responder{})
	b.sightings = make(chan discovery.Sighting, 10)
	who := newAccounts(true)
	who.heard, who.fresh = rate.NewLimiter(0, 2), rate.NewLimiter(0, 1)
	for range 10 {
		r := reading{sightings: []discovery.Sighting{{Instance: "aaaabbbbccccdddd", Gone: true, At: time.Now()}}}
		b.believe(t.Context(), link{}, netip.MustParseAddr("127.0.0.1"), r, who)
	}
	if n := len(b.sightings); n != 3 {
		t.Errorf("%d", n)
	}
	if !b.farewells.since("aaaabbbbccccdddd", time.Now().Add(-time.Minute)) {
		t.Error("the goodbye is forgotten")
	}
}

func FuzzRead(f *testing.F) {
	a := told(addrs("192.168.1.9", "fe80::7", "fd00::1")...)
	f.Add(packed(f, a.all()...))
	f.Add(packed(f, a.ptr(0)))
	f.Add(packed(f, a.ptr(ttl), a.srv()))
	f.Add([]byte("\x00\x00\x84\x00\x00\x00\xff\xff\x00\x00\x00\x00\xc0\x0c"))
	l := linkOf("eth0", "192.168.1.2/24", "fe80::1/64")
	f.Fuzz(func(t *testing.T, packet []byte) {
		got := read(packet, 0, l, netip.MustParseAddr("192.168.1.9"))
		if len(got.sightings)+len(got.partial) > maxInstances {
			t.Errorf("%d instances", len(got.sightings)+len(got.partial))
		}
		for _, s := range got.sightings {
			if !isLabel(s.Instance) || s.Gone != (len(s.Addresses) == 0) || len(s.Addresses) > maxTold {
				t.Errorf("%+v", s)
			}
			for _, a := range s.Addresses {
				if !isPort(int(a.Port())) || !l.dialable(a.Addr()) || a.Addr().Is6() && a.Addr().IsLinkLocalUnicast() != (a.Addr().Zone() == "eth0") {
					t.Errorf("address %v", a)
				}
			}
		}
	})
}
