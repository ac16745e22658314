package engine

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"porchlight/app/mesh"
	"porchlight/discovery"
	"porchlight/discovery/canon"
	"porchlight/discovery/identity"
	"porchlight/discovery/presence"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// mallory is a proven neighbour that answers as it likes.
type mallory struct {
	ident  *identity.Identity
	addr   netip.AddrPort
	hellos atomic.Int64
	told   atomic.Pointer[wire.Hello] // the last hello that was said to it
}

// newMallory answers hello properly, with answer, and everything else with other.
func newMallory(t *testing.T, answer wire.Hello, other http.HandlerFunc) *mallory {
	t.Helper()
	seed := make([]byte, 32)
	rand.Read(seed) //nolint:errcheck // never fails
	id, err := identity.FromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mallory{ident: id, addr: tcp.Addr().(*net.TCPAddr).AddrPort()}
	body, err := canon.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	in := link.NewListener(tcp, id, slog.New(slog.DiscardHandler))
	hs := &http.Server{ConnContext: link.WithSession, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != wire.RouteHello {
			other(w, r)
			return
		}
		var said wire.Hello
		if b, err := io.ReadAll(r.Body); err == nil && canon.UnmarshalOpen(b, &said) == nil {
			m.told.Store(&said)
		}
		m.hellos.Add(1)
		link.SessionOf(r.Context()).SetHello(answer)
		if r.Header.Get("Upgrade") != wire.Reverse {
			w.Write(body) //nolint:errcheck // the engine reads it
			return
		}
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+wire.Reverse+"\r\n\r\n") //nolint:errcheck // it is dropped at once
		c.Close()
	})}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() { in.Run(ctx) })  //nolint:errcheck // ends with ctx
	wg.Go(func() { hs.Serve(in) }) //nolint:errcheck // ends with the listener
	t.Cleanup(func() { cancel(); hs.Close(); wg.Wait() })
	return m
}

func malloryHello() wire.Hello {
	return wire.Hello{V: wire.Version, Name: "mallory", Workgroup: "WORKGROUP", Port: 1024, DialBack: true}
}

// TestFloodOfEvents: a neighbour that says another name a thousand times a second makes neither this disk nor this screen
// work that often.
func TestFloodOfEvents(t *testing.T) {
	var sent atomic.Int64
	m := newMallory(t, malloryHello(), func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != wire.RouteEvents {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		seq := canon.NewWriter(w)
		for i := uint64(1); r.Context().Err() == nil; i++ {
			kind := []wire.EventKind{wire.EventSelf, wire.EventPeers, wire.EventShares, wire.EventDialBack}[i%4]
			if seq.Write(wire.Event{N: i, Kind: kind, Name: fmt.Sprint("mallory ", i), Group: "W", OK: i%8 > 3}) != nil {
				return
			}
			sent.Add(1)
		}
	})
	a, b := start(t, "anna", ""), start(t, "bert", "")
	if err := a.AddPeer(t.Context(), m.addr.String()); err != nil {
		t.Fatal(err)
	}
	a.until("it sees mallory", func() bool {
		p, err := a.roster.Get(m.ident.ID())
		return err == nil && p.State == discovery.Online
	})
	before, err := a.Wait(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	meet(a, b)
	var was int64
	var since time.Time
	a.until("the flood waits on its own side", func() bool {
		if now := sent.Load(); now != was {
			was, since = now, time.Now()
		}
		return was > 0 && time.Since(since) > 200*time.Millisecond
	})
	after, err := a.Wait(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d changes of %d that were sent", after-before, was)
	if n, most := float64(after-before), wire.EventsBurst+wire.EventsPerSecond*time.Since(began).Seconds(); n > most {
		t.Errorf("%v changes, at most %.0f", n, most)
	}
	if n := m.hellos.Load(); n > 30 {
		t.Errorf("%d connections to one neighbour", n)
	}
}

// TestLentAndDropped: a neighbour that asks for lent connections and drops each gets few of them.
func TestLentAndDropped(t *testing.T) {
	h := malloryHello()
	h.DialBack = false
	m := newMallory(t, h, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	a := start(t, "anna", "")
	began := time.Now()
	if err := a.AddPeer(t.Context(), m.addr.String()); err != nil {
		t.Fatal(err)
	}
	const burst, rate, count = 8, 2 + 1, 13 // connections lent at once, then lent and dialled in a second (package mesh)
	a.until("it lends on, less often", func() bool { return m.hellos.Load() >= count })
	took := time.Since(began)
	most := burst + 3 + rate*took.Seconds() // beside those lent one is for the stream, and one to know it
	t.Logf("%d connections in %v, at most %.1f", count, took, most)
	if count > most {
		t.Errorf("%d connections in %v", count, took)
	}
}

// TestManyKnownDevices: more devices than the mesh holds are known and away; a new one is met all the same.
func TestManyKnownDevices(t *testing.T) {
	const most = 64 // neighbours (package mesh)
	old := func(i int) discovery.DeviceID { return discovery.DeviceID{0: 9, 1: byte(i)} }
	a, b := start(t, "anna", ""), start(t, "bert", "")
	m, err := a.mesh()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 * most {
		id := old(i)
		a.roster.Prove(presence.Proof{ID: id, Name: fmt.Sprint("old ", i), Workgroup: "WORKGROUP"})
		m.Start(id)
	}
	if n := len(m.All()); n > most {
		t.Fatalf("%d neighbours", n)
	}
	a.until("they were tried, and are not there", func() bool {
		return !slices.ContainsFunc(m.All(), func(n *mesh.Neighbour) bool { return n.ID == old(int(n.ID[1])) && !n.Lost() })
	})
	meet(a, b)
	if n := len(m.All()); n > most {
		t.Errorf("%d neighbours", n)
	}
}
