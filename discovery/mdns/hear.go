package mdns

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/time/rate"
)

const (
	// Packets of anybody read from one socket. Beyond it the ear is deaf for a moment; what the system cannot keep meanwhile
	// is lost, at no cost.
	readPerSecond = 20_000
	readBurst     = 4000
	deafFor       = 50 * time.Millisecond
	lookAround    = time.Second // between two looks at who floods
	maxFails      = 16          // of reading, one after the other, before it is tried more slowly
)

// ear hears what others say and ask on one link.
type ear struct{ conns []*net.UDPConn }

func (e ear) shut() {
	for _, c := range e.conns {
		c.Close()
	}
}

// listen opens an ear on every family the link has. Its goroutines belong to wg and end when it is shut.
func (b *browser) listen(ctx context.Context, l link, wg *sync.WaitGroup) (ear, error) {
	var e ear
	var last error
	limit := rate.NewLimiter(answersPerSecond, answersBurst)
	for _, v6 := range []bool{false, true} {
		if len(l.addresses(v6)) == 0 {
			continue
		}
		conn, err := join(l, v6)
		if err != nil {
			last = err
			continue
		}
		e.conns = append(e.conns, conn)
		m := &mouth{conn: conn, link: l, v6: v6, limit: limit, said: map[string]time.Time{}}
		wg.Go(func() { b.hear(ctx, m) })
	}
	if len(e.conns) == 0 && last != nil {
		return ear{}, fmt.Errorf("listen: %w", last)
	}
	return e, nil
}

// hear reads until the socket is closed. Only packets that concern us are parsed, and only so many of each sender.
func (b *browser) hear(ctx context.Context, m *mouth) {
	pace := rate.NewLimiter(readPerSecond, readBurst)
	who := newAccounts(m.link.loopback())
	each := int64(1) // packets that one of no concern stands for
	if sieve(m.conn, m.v6, nil) {
		each = sampled
	}
	fails, looked := 0, time.Now()
	read1 := reader(m.conn, m.v6)
	buf := make([]byte, maxPacket)
	for {
		now := time.Now()
		if !pace.AllowN(now, 1) {
			b.foreign.Add(floodLines)
			if rest(ctx, deafFor); ctx.Err() != nil {
				return
			}
			continue
		}
		if now.Sub(looked) >= lookAround {
			if looked = now; who.flooders(now) {
				sieve(m.conn, m.v6, slices.Collect(maps.Keys(who.refused)))
			}
		}
		n, index, src, err := read1(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // Windows tells of packets that are too long, and of answers nobody was there for
			if fails++; fails > maxFails {
				rest(ctx, deafFor)
			}
			continue
		}
		fails = 0
		// A socket of one link gets the multicast of every link another program joined; each is heard by its own ear.
		if index != 0 && index != m.link.ifi.Index || !m.link.near(src.Addr()) {
			continue
		}
		if _, floods := who.refused[src.Addr()]; floods || !concerns(buf[:n]) {
			b.foreign.Add(each)
			continue
		}
		b.take(ctx, m, buf[:n], src, who)
	}
}

// take acts on one packet that concerns us.
func (b *browser) take(ctx context.Context, m *mouth, packet []byte, src netip.AddrPort, who *accounts) {
	response := isResponse(packet)
	if response && src.Port() != mdnsPort {
		return
	}
	if !who.admit(src.Addr(), response, time.Now()) {
		b.foreign.Add(1)
		return
	}
	if response {
		b.believe(ctx, m.link, src.Addr(), read(packet, 0, m.link, src.Addr()), who)
	} else {
		b.responder.answer(m, packet, src)
	}
}

func (b *browser) believe(ctx context.Context, l link, src netip.Addr, r reading, who *accounts) {
	for _, s := range r.sightings {
		if b.self.is(s.Instance) || !who.believe(src, time.Now()) {
			continue
		}
		if s.Gone {
			b.farewells.note(s.Instance, s.At)
		}
		b.tell(ctx, s)
	}
	var strange []string
	for _, i := range r.partial {
		if who.believe(src, time.Now()) {
			strange = append(strange, i)
		}
	}
	b.wonder(l, strange)
}

// reader returns a function that reads one packet, with its length, sender, and the index of the interface it came in on
// (0 where the system does not tell).
func reader(conn *net.UDPConn, v6 bool) func([]byte) (int, int, netip.AddrPort, error) {
	sender := func(a net.Addr) netip.AddrPort {
		u, ok := a.(*net.UDPAddr)
		if !ok {
			return netip.AddrPort{}
		}
		return netip.AddrPortFrom(u.AddrPort().Addr().Unmap(), u.AddrPort().Port())
	}
	if v6 {
		p := ipv6.NewPacketConn(conn)
		p.SetControlMessage(ipv6.FlagInterface, true) //nolint:errcheck // where it cannot, the zone and the network of the sender must do
		return func(buf []byte) (int, int, netip.AddrPort, error) {
			n, cm, src, err := p.ReadFrom(buf)
			if cm == nil {
				cm = &ipv6.ControlMessage{}
			}
			return n, cm.IfIndex, sender(src), err
		}
	}
	p := ipv4.NewPacketConn(conn)
	p.SetControlMessage(ipv4.FlagInterface, true) //nolint:errcheck // likewise
	return func(buf []byte) (int, int, netip.AddrPort, error) {
		n, cm, src, err := p.ReadFrom(buf)
		if cm == nil {
			cm = &ipv4.ControlMessage{}
		}
		return n, cm.IfIndex, sender(src), err
	}
}
