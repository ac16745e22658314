package mdns

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"
	"sync/atomic"
	"time"

	library "github.com/hashicorp/mdns"
)

const (
	queryFor    = 1200 * time.Millisecond
	queryBuffer = 4096 // the library drops what finds no room
	queryRest   = time.Minute
	floodLines  = 2000 // packets in one query that are none of our business, or that the library complains of
	floodLook   = 50 * time.Millisecond
)

var errFlood = errors.New("too many packets")

// queries is the second way of asking, through the library: it finds what answers only to the group. It rests for
// a minute on a link and family where it does not work, which is every IPv4 network without a default route.
type queries struct {
	mu   sync.Mutex           // guards the fields below
	rest map[string]time.Time // until when
	busy map[string]bool
}

func newQueries() *queries {
	return &queries{rest: map[string]time.Time{}, busy: map[string]bool{}}
}

func (q *queries) begin(key string, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy[key] || now.Before(q.rest[key]) {
		return false
	}
	q.busy[key] = true
	return true
}

func (q *queries) end(key string, now time.Time, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.busy, key)
	delete(q.rest, key)
	if err != nil {
		q.rest[key] = now.Add(queryRest)
	}
}

// query asks over one family, since the library gives up both when one fails.
func (b *browser) query(ctx context.Context, l link, v6 bool) {
	key := fmt.Sprint(l.ifi.Name, v6)
	if len(l.addresses(v6)) == 0 || !b.queries.begin(key, time.Now()) {
		return
	}
	err := b.queryOnce(ctx, l, v6)
	b.queries.end(key, time.Now(), err)
	if err != nil {
		b.cfg.Log.Debug("library query rests", "interface", l.ifi.Name, "ipv6", v6, "error", err)
	}
}

func (b *browser) queryOnce(ctx context.Context, l link, v6 bool) error {
	start := time.Now()
	asking, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	lines := &lines{}
	flood := false
	wg.Go(func() { flood = b.guard(asking, cancel, lines) })
	entries := make(chan *library.ServiceEntry, queryBuffer)
	ifi := l.ifi
	err := library.QueryContext(asking, &library.QueryParam{
		Service: "_porchlight._tcp", Domain: "local", Timeout: queryFor, Interface: &ifi, Entries: entries,
		DisableIPv4: v6, DisableIPv6: !v6, Logger: log.New(lines, "", 0),
	})
	cancel()
	wg.Wait()
	if err != nil {
		return err
	}
	// Only now: the library goes on writing to entries it has handed over until it returns.
	for n := 0; n < maxAnswers && len(entries) > 0; n++ {
		s, ok := readEntry(<-entries, l)
		if ok && !b.self.is(s.Instance) && !b.farewells.since(s.Instance, start) {
			b.tell(ctx, s)
		}
	}
	if flood || len(entries) > 0 {
		return errFlood
	}
	return nil
}

// guard ends a query that meets a flood, for the library would answer every broken record with a packet of its own.
// Cancelled, it closes its sockets at once, though it returns only later. guard reports whether it had to.
func (b *browser) guard(ctx context.Context, cancel func(), l *lines) bool {
	before := b.foreign.Load()
	tick := time.NewTicker(floodLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
			if b.foreign.Load()-before > floodLines || l.n.Load() > floodLines {
				cancel()
				return true
			}
		}
	}
}

// lines counts what the library would log: one line for each broken packet.
type lines struct{ n atomic.Int64 }

// Write counts a line and forgets it.
func (l *lines) Write(p []byte) (int, error) {
	l.n.Add(1)
	return len(p), nil
}
