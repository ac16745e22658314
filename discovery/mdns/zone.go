package mdns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

const cacheFlush = 1 << 15 // "forget what you knew of this name", RFC 6762 §10.2

// zone is a Zone of the library: the records of this device on one link.
type zone struct {
	self  *self
	addrs []netip.Addr // of the link, best first
}

func newZone(s *self, addrs []netip.Addr) *zone { return &zone{self: s, addrs: addrs} }

// Records answers q, or stays silent.
func (z *zone) Records(q dns.Question) []dns.RR {
	return answers{record: z.self.now(), addrs: z.addrs, class: dns.ClassINET}.to(q)
}

// answers builds the records of one device. The library keeps only the last address of each family and the last
// instance of a packet, hence their order: addresses worst first, IPv6 before IPv4, and TXT at the end. One service name
// is compared without regard to case, which the library's own zone forgets.
type answers struct {
	record Record
	addrs  []netip.Addr // best first
	class  uint16       // of what only this device may say
}

func (a answers) to(q dns.Question) []dns.RR {
	if c := q.Qclass &^ cacheFlush; a.record.Port == 0 || c != dns.ClassINET && c != dns.ClassANY {
		return nil
	}
	is := func(types ...uint16) bool { return q.Qtype == dns.TypeANY || slices.Contains(types, q.Qtype) }
	switch name := strings.ToLower(q.Name); {
	case name == services && is(dns.TypePTR):
		return []dns.RR{&dns.PTR{Hdr: header(services, dns.TypePTR, dns.ClassINET), Ptr: service}}
	case name == service && is(dns.TypePTR):
		return a.all()
	case name == a.instance() && q.Qtype == dns.TypeTXT:
		return []dns.RR{a.txt()}
	case name == a.instance() && q.Qtype == dns.TypeSRV:
		return append([]dns.RR{a.srv()}, a.hosts(true, true)...)
	case name == a.instance() && q.Qtype == dns.TypeANY:
		return append(append([]dns.RR{a.srv()}, a.hosts(true, true)...), a.txt())
	case name == a.host():
		return a.hosts(is(dns.TypeAAAA), is(dns.TypeA))
	}
	return nil
}

// all is the whole of it: at most 700 bytes.
func (a answers) all() []dns.RR {
	out := []dns.RR{a.ptr(ttl), a.srv()}
	out = append(out, a.hosts(true, true)...)
	return append(out, a.txt())
}

func (a answers) instance() string { return a.record.Instance + "." + service }
func (a answers) host() string     { return a.record.Instance + "." + local }

func (a answers) ptr(life uint32) dns.RR {
	h := header(service, dns.TypePTR, dns.ClassINET)
	h.Ttl = life
	return &dns.PTR{Hdr: h, Ptr: a.instance()}
}

func (a answers) srv() dns.RR {
	return &dns.SRV{Hdr: header(a.instance(), dns.TypeSRV, a.class), Port: uint16(a.record.Port), Target: a.host()}
}

func (a answers) txt() dns.RR {
	r := a.record
	r.Addresses = a.addrs
	return &dns.TXT{Hdr: header(a.instance(), dns.TypeTXT, a.class), Txt: r.TXT()}
}

func (a answers) hosts(v6, v4 bool) []dns.RR {
	var six, four []dns.RR
	for _, addr := range slices.Backward(a.addrs) {
		if addr.Is6() && v6 {
			six = append(six, &dns.AAAA{Hdr: header(a.host(), dns.TypeAAAA, a.class), AAAA: addr.AsSlice()})
		} else if addr.Is4() && v4 {
			four = append(four, &dns.A{Hdr: header(a.host(), dns.TypeA, a.class), A: addr.AsSlice()})
		}
	}
	return append(six, four...)
}

func header(name string, kind, class uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: class, Ttl: ttl}
}

// hello is the packet that tells everybody of this device without being asked.
func hello(r Record, addrs []netip.Addr) ([]byte, error) {
	return pack(answers{record: r, addrs: addrs, class: dns.ClassINET | cacheFlush}.all())
}

// goodbye is the packet that makes everybody forget it. It holds nothing else than the end of the PTR:
// the library would take full records for a living neighbour.
func goodbye(r Record) ([]byte, error) {
	return pack([]dns.RR{answers{record: r}.ptr(0)})
}

func pack(rrs []dns.RR) ([]byte, error) {
	m := dns.Msg{Compress: true, Answer: rrs}
	m.Response, m.Authoritative = true, true
	b, err := m.Pack()
	if err != nil {
		return nil, fmt.Errorf("pack announcement: %w", err)
	}
	return b, nil
}
