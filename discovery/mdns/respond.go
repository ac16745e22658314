package mdns

import (
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	library "github.com/hashicorp/mdns"
	"github.com/miekg/dns"
	"golang.org/x/time/rate"
)

const (
	answersPerSecond = 15 // packets on one link; with the burst never more than 20 in one second
	answersBurst     = 5
	sayAgain         = time.Second           // between two multicasts of the same answer on one link and family: RFC 6762 §6
	sayAnyway        = ttl / 4 * time.Second // after it, an answer is multicast although the asker wants it alone: RFC 6762 §5.4
	legacyTTL        = 10                    // seconds; what programs that are no part of multicast DNS may remember: RFC 6762 §6.7
	maxQuestions     = 32                    // in one packet
)

// responder answers questions about this device, on all links, with what the zone of the link says. It does not use the
// responder of the library, which reads and parses every packet of anybody, answers askers from anywhere, and does
// not tell its zone who asks or where.
type responder struct {
	log  *slog.Logger
	self *self

	mu    sync.Mutex // held while an answer is sent
	quiet int        // reasons to be: the goodbye was said, or is about to be; the network changes
}

// quieten ends all answers; when it returns none is on the way.
func (r *responder) quieten() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.quiet++
}

// resume takes one quieten back.
func (r *responder) resume() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.quiet--
}

// mouth is what a responder has for one socket. It belongs to the goroutine that reads it, but for limit.
type mouth struct {
	conn  *net.UDPConn
	link  link
	v6    bool
	limit *rate.Limiter // shared by the families of a link
	said  map[string]time.Time
}

// answered is a reply to one packet, ready to be sent.
type answered struct {
	msg   dns.Msg
	to    netip.AddrPort // invalid: everybody
	names string         // what it answers
}

// answer answers a packet of questions from src, or stays silent. Only neighbours are answered, and never more than the
// limit of the link allows: the sender may be forged.
func (r *responder) answer(m *mouth, packet []byte, src netip.AddrPort) {
	if !m.link.near(src.Addr()) || src.Port() == 0 {
		return
	}
	a, ok := reply(packet, src, newZone(r.self, m.link.announced()))
	if !ok {
		return
	}
	now := time.Now()
	if src.Port() == mdnsPort {
		last := m.said[a.names]
		switch since := now.Sub(last); {
		case !a.to.IsValid() && since < sayAgain:
			return // whoever asks has just heard it
		case a.to.IsValid() && since >= sayAnyway:
			a.to = netip.AddrPort{}
		}
	}
	if !m.limit.AllowN(now, 1) {
		return
	}
	if !a.to.IsValid() {
		if len(m.said) > maxQuestions { // names of before; there are four at any time
			clear(m.said)
		}
		m.said[a.names] = now
		flush(a.msg.Answer)
	}
	b, err := a.msg.Pack()
	if err != nil {
		r.log.Debug("answer not packed", "interface", m.link.ifi.Name, "error", err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.quiet > 0 {
		return
	}
	if err := m.send(b, a.to); err != nil {
		r.log.Debug("answer not sent", "interface", m.link.ifi.Name, "error", err)
	}
}

func (m *mouth) send(packet []byte, to netip.AddrPort) error {
	if to.IsValid() {
		return send(m.conn, to, packet)
	}
	if m.link.loopback() {
		return sendFrom(m.conn, m.link, packet)
	}
	return send(m.conn, group(m.link, m.v6), packet)
}

// reply answers a packet of questions; false if there is nothing to say. Programs that ask from another port than 5353 are
// no part of multicast DNS: they get their own question back with a short life (RFC 6762 §6.7).
func reply(packet []byte, src netip.AddrPort, zone library.Zone) (answered, bool) {
	var q dns.Msg
	if len(packet) < headerLen || len(packet) > maxPacket || isResponse(packet) || records(packet) > maxRecords || q.Unpack(packet) != nil ||
		q.Opcode != dns.OpcodeQuery || q.Rcode != 0 || len(q.Question) > maxQuestions {
		return answered{}, false
	}
	legacy := src.Port() != mdnsPort
	a := answered{}
	a.msg.Response, a.msg.Authoritative, a.msg.Compress = true, true, true
	alone := true
	for _, one := range q.Question {
		rrs := zone.Records(one)
		if len(rrs) == 0 || !legacy && isKnown(rrs[0], q.Answer) {
			continue
		}
		name := strings.ToLower(one.Name) + dns.TypeToString[one.Qtype]
		if strings.Contains(a.names, name+" ") {
			continue
		}
		a.names += name + " "
		a.msg.Answer = add(a.msg.Answer, rrs)
		if alone = alone && one.Qclass&unicast != 0; legacy {
			a.msg.Question = append(a.msg.Question, one)
		}
	}
	if len(a.msg.Answer) == 0 {
		return answered{}, false
	}
	if legacy {
		a.msg.Id = q.Id
		for _, rr := range a.msg.Answer {
			rr.Header().Ttl = legacyTTL
		}
	}
	if legacy || alone {
		a.to = src
	}
	return a, true
}

// add joins the records of several questions, each once.
func add(have, more []dns.RR) []dns.RR {
	for _, rr := range more {
		twice := false
		for _, h := range have {
			twice = twice || dns.IsDuplicate(h, rr)
		}
		if !twice {
			have = append(have, rr)
		}
	}
	return have
}

// isKnown reports whether the asker says that it has a record, with at least half of its life: RFC 6762 §7.1.
func isKnown(rr dns.RR, known []dns.RR) bool {
	for _, k := range known {
		if k.Header().Ttl >= ttl/2 && dns.IsDuplicate(k, rr) {
			return true
		}
	}
	return false
}

// flush marks the records that only this device may say, so that neighbours forget older ones: only in multicast, never
// in an answer to one asker.
func flush(rrs []dns.RR) {
	for _, rr := range rrs {
		if h := rr.Header(); h.Rrtype != dns.TypePTR {
			h.Class |= cacheFlush
		}
	}
}
