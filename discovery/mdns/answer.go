package mdns

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"time"

	library "github.com/hashicorp/mdns"
	"github.com/miekg/dns"

	"porchlight/discovery"
)

const (
	headerLen        = 12
	maxRecords       = 128 // in one packet: an honest one has 5 to 15
	maxInstances     = 64  // in one packet
	maxTold          = 8   // addresses of one instance
	maxHostAddresses = 16
)

// reading is what a packet says of instances of our service.
type reading struct {
	sightings []discovery.Sighting
	partial   []string // instances that were named, and too little said of them: worth asking
}

// read takes the instances out of a packet that came in on l from src. Packets are hostile until proven otherwise,
// so the number of records is looked at before anything is unpacked, and all work is linear in their size.
func read(packet []byte, id uint16, l link, src netip.Addr) reading {
	var m dns.Msg
	if len(packet) < headerLen || len(packet) > maxPacket || records(packet) > maxRecords || !mentions(packet) || m.Unpack(packet) != nil {
		return reading{}
	}
	if !m.Response || m.Opcode != dns.OpcodeQuery || m.Rcode != 0 || m.Id != id && m.Id != 0 { // the library's responder says 0
		return reading{}
	}
	p := split(append(m.Answer, m.Extra...))
	var out reading
	for _, label := range p.labels {
		s := discovery.Sighting{Instance: label, Source: discovery.FromMDNS, From: l.zoned(src.WithZone("")), Interface: l.ifi.Name, At: time.Now()}
		srv, txt := p.srv[label], p.txt[label]
		switch {
		case p.gone[label]:
			s.Gone = true
			out.sightings = append(out.sightings, s)
		case srv == nil || txt == nil:
			out.partial = append(out.partial, label)
		case fill(&s, l, src, int(srv.Port), p.hosts[strings.ToLower(srv.Target)], txt.Txt):
			out.sightings = append(out.sightings, s)
		}
	}
	return out
}

// records returns how many answers a packet claims to have.
func records(packet []byte) int {
	n := 0
	for _, at := range []int{6, 8, 10} { // answers, authorities, additional ones
		n += int(binary.BigEndian.Uint16(packet[at:]))
	}
	return n
}

// parts is a packet with its records sorted by what they speak of.
type parts struct {
	labels []string
	gone   map[string]bool
	srv    map[string]*dns.SRV
	txt    map[string]*dns.TXT
	hosts  map[string][]netip.Addr
}

func split(rrs []dns.RR) parts {
	p := parts{gone: map[string]bool{}, srv: map[string]*dns.SRV{}, txt: map[string]*dns.TXT{}, hosts: map[string][]netip.Addr{}}
	for _, rr := range rrs {
		h := rr.Header()
		switch v := rr.(type) {
		case *dns.PTR:
			if label, ok := labelOf(v.Ptr); ok && strings.EqualFold(h.Name, service) && p.name(label) {
				p.gone[label] = h.Ttl == 0
			}
		case *dns.SRV:
			if label, ok := labelOf(h.Name); ok && h.Ttl > 0 && p.name(label) {
				p.srv[label] = v
			}
		case *dns.TXT:
			if label, ok := labelOf(h.Name); ok && h.Ttl > 0 && p.name(label) {
				p.txt[label] = v
			}
		case *dns.A:
			p.host(h, v.A)
		case *dns.AAAA:
			p.host(h, v.AAAA)
		}
	}
	return p
}

// name notes an instance, unless the packet names too many.
func (p *parts) name(label string) bool {
	if slices.Contains(p.labels, label) {
		return true
	}
	if len(p.labels) == maxInstances {
		return false
	}
	p.labels = append(p.labels, label)
	return true
}

func (p *parts) host(h *dns.RR_Header, ip []byte) {
	name := strings.ToLower(h.Name)
	if a, ok := netip.AddrFromSlice(ip); ok && h.Ttl > 0 && len(p.hosts[name]) < maxHostAddresses {
		p.hosts[name] = append(p.hosts[name], a.Unmap())
	}
}

// labelOf takes the instance label out of the name of one of our instances.
func labelOf(name string) (string, bool) {
	label, ok := strings.CutSuffix(strings.ToLower(name), "."+service)
	return label, ok && isLabel(label)
}

// readEntry is read for what the library found. It does not say who answered, and keeps one address of each family;
// the others stand in the TXT.
func readEntry(e *library.ServiceEntry, l link) (discovery.Sighting, bool) {
	label, ok := labelOf(e.Name)
	if !ok {
		return discovery.Sighting{}, false
	}
	var hosts []netip.Addr
	if a, ok := netip.AddrFromSlice(e.AddrV4); ok {
		hosts = append(hosts, a.Unmap())
	}
	if e.AddrV6IPAddr != nil {
		if a, ok := netip.AddrFromSlice(e.AddrV6IPAddr.IP); ok {
			hosts = append(hosts, a.Unmap())
		}
	}
	s := discovery.Sighting{Instance: label, Source: discovery.FromMDNS, Interface: l.ifi.Name, At: time.Now()}
	return s, fill(&s, l, netip.Addr{}, e.Port, hosts, e.InfoFields)
}

// fill completes a sighting, or reports that the announcement is not worth one. Of equally
// good addresses the neighbour's own order counts, which is that of its TXT.
func fill(s *discovery.Sighting, l link, src netip.Addr, port int, hosts []netip.Addr, txt []string) bool {
	r, err := ParseTXT(txt)
	if err != nil || !isPort(port) {
		return false
	}
	s.Name, s.Workgroup, s.IDPrefix, s.Newer, s.Tags, s.Slot = r.Name, r.Workgroup, r.IDPrefix, r.Newer, r.Tags, r.Slot
	for _, a := range l.order(src, append(r.Addresses, hosts...)) {
		s.Addresses = append(s.Addresses, netip.AddrPortFrom(a, uint16(port)))
	}
	return len(s.Addresses) > 0
}

// order returns the addresses of one neighbour worth dialling, best first: the one that answered and those on this
// link, then link-local ones. All others are left out, for anybody can announce anything and make every computer here dial
// it.
func (l link) order(src netip.Addr, told []netip.Addr) []netip.Addr {
	var out []netip.Addr
	add := func(a netip.Addr) {
		if a = l.zoned(a.WithZone("")); a.IsValid() && l.dialable(a) && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	src = l.zoned(src.WithZone(""))
	add(src)
	for _, a := range told {
		add(a)
	}
	class := func(a netip.Addr) int {
		switch {
		case a.IsLinkLocalUnicast():
			return 2
		case a == src:
			return 0
		}
		return 1
	}
	slices.SortStableFunc(out, func(a, b netip.Addr) int {
		return cmp.Or(cmp.Compare(class(a), class(b)), cmp.Compare(rank(a), rank(b)))
	})
	return out[:min(len(out), maxTold)]
}

func (l link) dialable(a netip.Addr) bool {
	switch {
	case a.IsUnspecified() || a.IsMulticast() || a.Is4In6():
		return false
	case a.IsLoopback() || l.loopback():
		return a.IsLoopback() && l.loopback()
	}
	return l.near(a) && !slices.ContainsFunc(l.prefixes, func(p netip.Prefix) bool { return isBroadcast(p, a) })
}

// isBroadcast reports whether a speaks to everybody in p, an IPv4 network: its last address, and its first of old.
func isBroadcast(p netip.Prefix, a netip.Addr) bool {
	if !a.Is4() || !p.Contains(a) || p.Bits() > 30 {
		return false
	}
	b := a.As4()
	host := binary.BigEndian.Uint32(b[:]) << p.Bits() >> p.Bits()
	return host == 0 || host == ^uint32(0)>>p.Bits()
}
