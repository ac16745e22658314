package mdns

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	askFor     = 900 * time.Millisecond // less than the shortest pause between rounds
	askAgain   = 250 * time.Millisecond // without any answer, ask once more for a unicast one
	maxPackets = 4096                   // read for one question
	maxAnswers = 512                    // sightings taken from one question
	unicast    = 1 << 15                // "answer me alone", RFC 6762 §5.4: a bit of the question's class
)

// ask puts one question on a link from a random port. RFC 6762 §6.7 has everybody answer that port alone, so it needs no
// membership in the group and no share of port 5353, and sees only answers. It returns when the time for them is over.
func (b *browser) ask(ctx context.Context, l link, name string, kind uint16) {
	var wg sync.WaitGroup
	defer wg.Wait()
	from := l.addresses(false)
	if all := l.addresses(true); len(all) > 0 {
		from = append(from, all[len(all)-1]) // the link-local one, which every neighbour takes
	}
	for _, a := range from {
		wg.Go(func() {
			if err := b.askFrom(ctx, l, a, name, kind); err != nil {
				b.cfg.Log.Debug("question not sent", "interface", l.ifi.Name, "error", err)
			}
		})
	}
}

func (b *browser) askFrom(ctx context.Context, l link, from netip.Addr, name string, kind uint16) error {
	conn, err := open(ctx, l, from)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })() // ends collect
	id := uint16(rand.Uint32())
	end := time.Now().Add(askFor)
	for _, try := range []struct {
		class uint16
		until time.Time
	}{{dns.ClassINET, time.Now().Add(askAgain)}, {dns.ClassINET | unicast, end}} {
		packet, err := question(id, name, kind, try.class)
		if err != nil {
			return err
		}
		if err := send(conn, group(l, from.Is6()), packet); err != nil {
			return fmt.Errorf("ask on %s: %w", l.ifi.Name, err)
		}
		if b.collect(ctx, conn, id, l, try.until, name == service) > 0 {
			break
		}
	}
	b.collect(ctx, conn, id, l, end, name == service)
	return nil
}

// collect reports answers until the deadline and returns how many other devices gave one.
func (b *browser) collect(ctx context.Context, conn *net.UDPConn, id uint16, l link, until time.Time, wonder bool) int {
	if conn.SetReadDeadline(until) != nil {
		return 0
	}
	buf := make([]byte, maxPacket)
	told := 0
	for packets := 0; packets < maxPackets && told < maxAnswers; packets++ {
		n, src, err := conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
			return told
		}
		if err != nil { // on Windows, of one packet
			continue
		}
		if src.Port() != mdnsPort || !l.near(src.Addr().Unmap()) {
			continue
		}
		r := read(buf[:n], id, l, src.Addr().Unmap())
		for _, s := range r.sightings {
			if !s.Gone && !b.self.is(s.Instance) { // a goodbye counts only if everybody could hear it
				told++
				b.tell(ctx, s)
			}
		}
		if wonder {
			b.wonder(l, r.partial)
		}
	}
	return told
}

func question(id uint16, name string, kind, class uint16) ([]byte, error) {
	m := dns.Msg{Question: []dns.Question{{Name: name, Qtype: kind, Qclass: class}}}
	m.Id = id
	packet, err := m.Pack()
	if err != nil {
		return nil, fmt.Errorf("pack question: %w", err)
	}
	return packet, nil
}

// jitter keeps the computers of a room apart that were all switched on at once: RFC 6762 §5.2.
func jitter() time.Duration { return 20*time.Millisecond + rand.N(100*time.Millisecond) }
