package mdns

import (
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"golang.org/x/time/rate"
)

func asked(t testing.TB, known []dns.RR, questions ...dns.Question) []byte {
	t.Helper()
	m := dns.Msg{Question: questions, Answer: known}
	m.Id = 77
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReply(t *testing.T) {
	a := told(addrs("192.168.1.2")...)
	z := newZone(&self{record: a.record}, a.addrs)
	q := func(name string, kind, class uint16) dns.Question {
		return dns.Question{Name: name, Qtype: kind, Qclass: class}
	}
	const in, alone = dns.ClassINET, dns.ClassINET | unicast
	member, legacy := netip.MustParseAddrPort("192.168.1.9:5353"), netip.MustParseAddrPort("192.168.1.9:40000")
	half, young := a.ptr(ttl/2), a.ptr(ttl/2-1)
	for _, tt := range []struct {
		name   string
		packet []byte
		from   netip.AddrPort
		kinds  string
		ttl    uint32
		to     netip.AddrPort // invalid: to all
	}{
		{"a member", asked(t, nil, q(service, dns.TypePTR, in)), member, "PTR SRV A TXT", ttl, netip.AddrPort{}},
		{"a member that wants it alone", asked(t, nil, q(service, dns.TypePTR, alone)), member, "PTR SRV A TXT", ttl, member},
		{"a member that wants one of two alone", asked(t, nil, q(a.instance(), dns.TypeTXT, alone), q(a.host(), dns.TypeA, in)), member, "TXT A", ttl, netip.AddrPort{}},
		{"a program", asked(t, nil, q(service, dns.TypePTR, in)), legacy, "PTR SRV A TXT", legacyTTL, legacy},
		{"the same twice", asked(t, nil, q(service, dns.TypePTR, in), q(strings.ToUpper(service), dns.TypePTR, in)), legacy, "PTR SRV A TXT", legacyTTL, legacy},
		{"who knows", asked(t, []dns.RR{half}, q(service, dns.TypePTR, in)), member, "", 0, member},
		{"who will soon forget", asked(t, []dns.RR{young}, q(service, dns.TypePTR, in)), member, "PTR SRV A TXT", ttl, netip.AddrPort{}},
		{"about others", asked(t, nil, q("_http._tcp.local.", dns.TypePTR, in)), member, "", 0, member},
		{"an answer", packed(t, a.all()...), member, "", 0, member},
		{"junk", []byte("junk without any meaning"), member, "", 0, member},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := reply(tt.packet, tt.from, z)
			if ok != (tt.kinds != "") {
				t.Fatalf("%v %+v", ok, got)
			}
			if !ok {
				return
			}
			var kinds []string
			for _, rr := range got.msg.Answer {
				kinds = append(kinds, dns.TypeToString[rr.Header().Rrtype])
				if rr.Header().Ttl != tt.ttl || rr.Header().Class&cacheFlush != 0 {
					t.Errorf("%v", rr)
				}
			}
			if diff := cmp.Diff(tt.kinds, strings.Join(kinds, " ")); diff != "" {
				t.Error(diff)
			}
			isLegacy := tt.from == legacy
			if got.to != tt.to || (got.msg.Id == 77) != isLegacy || (len(got.msg.Question) == 1) != isLegacy || !got.msg.Response || !got.msg.Authoritative {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestAnswersAreFew: members hear an answer once a second, everybody together gets no more than the limit, and nobody from
// another network anything.
func TestAnswersAreFew(t *testing.T) {
	l := loopback(t)
	r := &responder{log: slog.New(slog.DiscardHandler), self: &self{record: record("Few", 40021)}}
	count := func(from netip.AddrPort, questions int, class uint16) int {
		t.Helper()
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		m := &mouth{conn: conn, link: l, limit: rate.NewLimiter(answersPerSecond, answersBurst), said: map[string]time.Time{}}
		before := m.limit.Tokens()
		now := time.Now()
		for range questions {
			r.answer(m, asked(t, nil, dns.Question{Name: service, Qtype: dns.TypePTR, Qclass: class}), from)
		}
		return int(before + time.Since(now).Seconds()*answersPerSecond - m.limit.Tokens() + 0.5)
	}
	here := netip.MustParseAddr("127.0.0.1")
	for _, tt := range []struct {
		name      string
		from      netip.AddrPort
		class     uint16
		questions int
		least     int
		most      int
	}{
		{"a member", netip.AddrPortFrom(here, mdnsPort), dns.ClassINET, 10, 1, 1},
		{"a member that wants it alone", netip.AddrPortFrom(here, mdnsPort), dns.ClassINET | unicast, 1, 1, 1},
		{"a program", netip.AddrPortFrom(here, 9), dns.ClassINET, 3, 3, 3},
		{"a program that floods", netip.AddrPortFrom(here, 9), dns.ClassINET, 1000, answersBurst, answersBurst + answersPerSecond},
		{"another network", netip.MustParseAddrPort("192.0.2.1:5353"), dns.ClassINET, 10, 0, 0},
		{"no port", netip.AddrPortFrom(here, 0), dns.ClassINET, 10, 0, 0},
	} {
		if n := count(tt.from, tt.questions, tt.class); n < tt.least || n > tt.most {
			t.Errorf("%s: %d answers, want %d to %d", tt.name, n, tt.least, tt.most)
		}
	}
	if answersBurst+answersPerSecond > 20 {
		t.Error("more than 20 answers in one second")
	}
}

func FuzzReply(f *testing.F) {
	a := told(addrs("192.168.1.2", "fe80::1")...)
	z := newZone(&self{record: a.record}, a.addrs)
	f.Add(asked(f, nil, dns.Question{Name: service, Qtype: dns.TypePTR, Qclass: dns.ClassINET}), true)
	f.Add(asked(f, []dns.RR{a.ptr(ttl)}, dns.Question{Name: a.instance(), Qtype: dns.TypeANY, Qclass: dns.ClassANY | unicast}), false)
	f.Fuzz(func(t *testing.T, packet []byte, member bool) {
		src := netip.MustParseAddrPort("192.168.1.9:40000")
		if member {
			src = netip.AddrPortFrom(src.Addr(), mdnsPort)
		}
		got, ok := reply(packet, src, z)
		if !ok {
			return
		}
		b, err := got.msg.Pack()
		if err != nil || len(b) > maxPacket {
			t.Errorf("%d bytes, %v", len(b), err)
		}
		for _, rr := range got.msg.Answer {
			if h := rr.Header(); h.Class != dns.ClassINET || h.Ttl != ttl && member || h.Ttl != legacyTTL && !member {
				t.Errorf("%v", rr)
			}
		}
	})
}
