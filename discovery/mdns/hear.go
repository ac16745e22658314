package mdns

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/time/rate"
)

const (
	readPerSecond  = 2000 // packets of anybody read from one socket; what the system cannot keep meanwhile is lost
	heardPerSecond = 200  // announcements of our service believed on one socket; the rest is a flood
	heardBurst     = 600
)

// ear hears what others announce unasked on one link.
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
		wg.Go(func() { b.hear(ctx, conn, l, v6) })
	}
	if len(e.conns) == 0 && last != nil {
		return ear{}, fmt.Errorf("listen: %w", last)
	}
	return e, nil
}

// hear reads until conn is closed. Only packets that may speak of us are parsed, and only so many.
func (b *browser) hear(ctx context.Context, conn *net.UDPConn, l link, v6 bool) {
	pace := rate.NewLimiter(readPerSecond, readPerSecond)
	limit := rate.NewLimiter(heardPerSecond, heardBurst)
	mark := []byte(service[:len("_porchlight")])
	read1 := reader(conn, v6)
	buf := make([]byte, maxPacket)
	for {
		if pace.Tokens() < 1 {
			b.floods.Add(1)
			if pace.Wait(ctx) != nil {
				return
			}
		} else {
			pace.Allow()
		}
		n, index, src, err := read1(buf)
		if err != nil {
			return
		}
		const response = 0x80
		if n < headerLen || buf[2]&response == 0 || !bytes.Contains(buf[:n], mark) {
			continue
		}
		// A socket of one link gets the multicast of every link another program joined; each is heard by its own ear.
		if index != 0 && index != l.ifi.Index || src.Port() != mdnsPort || !l.near(src.Addr()) {
			continue
		}
		b.believe(ctx, l, read(buf[:n], 0, l, src.Addr()), limit)
	}
}

func (b *browser) believe(ctx context.Context, l link, r reading, limit *rate.Limiter) {
	for _, s := range r.sightings {
		if b.self.is(s.Instance) || !limit.Allow() {
			continue
		}
		if s.Gone {
			b.farewells.note(s.Instance, s.At)
		}
		b.tell(ctx, s)
	}
	b.wonder(l, r.partial)
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
