package mdns

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	library "github.com/hashicorp/mdns"
	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"porchlight/discovery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const soon = time.Minute // a deadline of tests, for slow machines; all of it takes milliseconds

// neighbour is a running service and what it was told.
type neighbour struct {
	*Service
	stop func()

	mu      sync.Mutex // guards the fields below
	seen    []discovery.Sighting
	changes int
	trouble string
}

// start runs a service on the loopback interface until the test ends or stop is called.
func start(t *testing.T, r Record) *neighbour {
	t.Helper()
	n := &neighbour{}
	n.Service = New(Config{
		Record: r, Loopback: true,
		OnSighting: func(s discovery.Sighting) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.seen = append(n.seen, s)
		},
		OnNetworkChange: func() {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.changes++
		},
		OnHealth: func(trouble string) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.trouble = trouble
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(n.stop)
	return n
}

// wait returns the first sighting that is right.
func (n *neighbour) wait(t *testing.T, what string, right func(discovery.Sighting) bool) discovery.Sighting {
	t.Helper()
	for end := time.Now().Add(soon); time.Now().Before(end); time.Sleep(time.Millisecond) {
		n.mu.Lock()
		i := slices.IndexFunc(n.seen, right)
		if i >= 0 {
			defer n.mu.Unlock()
			return n.seen[i]
		}
		n.mu.Unlock()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	t.Fatalf("%s: not seen; trouble %q, seen %+v", what, n.trouble, n.seen)
	return discovery.Sighting{}
}

func (n *neighbour) has(right func(discovery.Sighting) bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.seen, right)
}

func alive(label string) func(discovery.Sighting) bool {
	return func(s discovery.Sighting) bool { return s.Instance == label && !s.Gone }
}

func gone(label string) func(discovery.Sighting) bool {
	return func(s discovery.Sighting) bool { return s.Instance == label && s.Gone }
}

func record(name string, port int) Record {
	return Record{Instance: NewLabel(), Port: port, Name: name, Workgroup: "WORKGROUP", IDPrefix: "NQC4YIA6B7NW5T", Flags: AcceptsManual}
}

func TestTwoDevicesMeetAndPart(t *testing.T) {
	annaIs, boIs := record("Anna", 40001), record("Bo's Büro", 40002)
	anna := start(t, annaIs)
	began := time.Now()
	bo := start(t, boIs)
	s := bo.wait(t, "who was there first", alive(annaIs.Instance))
	t.Logf("the newcomer saw after %v", s.At.Sub(began))
	s = anna.wait(t, "who came later", alive(boIs.Instance))
	t.Logf("the other saw after %v", s.At.Sub(began))
	want := netip.MustParseAddrPort("127.0.0.1:40002")
	if s.Name != "Bo's Büro" || s.Workgroup != "WORKGROUP" || s.IDPrefix != boIs.IDPrefix || s.Source != discovery.FromMDNS ||
		s.Interface == "" || len(s.Addresses) != 1 || s.Addresses[0] != want || !s.ID.IsZero() {
		t.Errorf("%+v", s)
	}
	if anna.Heard() == 0 {
		t.Error("nothing counted")
	}

	boIs.Name, boIs.Port = "Bo", 40003
	if err := bo.Update(boIs); err != nil {
		t.Fatal(err)
	}
	anna.wait(t, "the new name and port", func(s discovery.Sighting) bool {
		return s.Instance == boIs.Instance && s.Name == "Bo" && s.Addresses[0].Port() == 40003
	})
	bo.stop()
	anna.wait(t, "the goodbye", gone(boIs.Instance))
	for _, n := range []*neighbour{anna, bo} {
		if n.has(func(s discovery.Sighting) bool { return s.Instance == n.self.now().Instance }) {
			t.Error("a device saw itself")
		}
		if n.trouble != "" || n.changes != 0 {
			t.Errorf("trouble %q, %d changes of the network", n.trouble, n.changes)
		}
	}
}

func TestUpdate(t *testing.T) {
	looker := start(t, Record{})
	shy := start(t, Record{}) // looks only
	r := record("Shy", 40004)
	r.Instance = ""
	if err := shy.Update(r); err != nil {
		t.Fatal(err)
	}
	first := shy.self.now().Instance
	looker.wait(t, "who began to announce itself", alive(first))

	r = record("Shy", 40004)
	if err := shy.Update(r); err != nil {
		t.Fatal(err)
	}
	looker.wait(t, "the end of the old label", gone(first))
	looker.wait(t, "the new label", alive(r.Instance))

	r.Port = 0
	if err := shy.Update(r); err != nil {
		t.Fatal(err)
	}
	looker.wait(t, "who announces no more", gone(r.Instance))
	if err := shy.Update(Record{Port: 22}); err == nil {
		t.Error("a privileged port was taken")
	}
	if looker.has(alive(looker.self.now().Instance)) || shy.has(alive(looker.self.now().Instance)) {
		t.Error("who only looks was seen")
	}
}

func TestRefreshFindsWhoSaidNothing(t *testing.T) {
	r := record("Silent", 40005)
	looker := start(t, Record{})
	looker.wait0(t)
	answer(t, func(q dns.Question) []dns.RR {
		return answers{record: r, addrs: addrs("127.0.0.1"), class: dns.ClassINET}.to(q)
	})
	looker.Refresh()
	looker.wait(t, "who only answers", alive(r.Instance))
}

// wait0 waits until the first round of questions was asked.
func (n *neighbour) wait0(t *testing.T) {
	t.Helper()
	probe := record("Probe", 40006)
	p := start(t, probe)
	n.wait(t, "the probe", alive(probe.Instance))
	p.stop()
}

// zoneFunc answers for a responder that is none of ours.
type zoneFunc func(dns.Question) []dns.RR

func (z zoneFunc) Records(q dns.Question) []dns.RR { return z(q) }

func loopback(t *testing.T) link {
	t.Helper()
	ls, err := Config{Loopback: true}.links()
	if err != nil || len(ls) == 0 {
		t.Fatalf("no loopback interface: %v", err)
	}
	return ls[0]
}

func answer(t *testing.T, z zoneFunc) {
	t.Helper()
	l := loopback(t)
	srv, err := library.NewServer(&library.Config{Zone: z, Iface: &l.ifi})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Shutdown() })
}

func TestWhatAnAnnouncementLeavesOutIsAskedFor(t *testing.T) {
	r := record("Brief", 40007)
	a := answers{record: r, addrs: addrs("127.0.0.1"), class: dns.ClassINET}
	answer(t, func(q dns.Question) []dns.RR {
		if !strings.EqualFold(q.Name, a.instance()) {
			return nil // rounds never find it
		}
		return a.to(q)
	})
	looker := start(t, Record{})
	packet, err := pack([]dns.RR{a.ptr(ttl)})
	if err != nil {
		t.Fatal(err)
	}
	looker.wait0(t)
	if err := shout(loopback(t), packet); err != nil {
		t.Fatal(err)
	}
	looker.wait(t, "who was only named", alive(r.Instance))
}

func TestFloodHidesNobody(t *testing.T) {
	looker := start(t, Record{})
	l := loopback(t)
	conn, err := join(l, false)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { flood(ctx, conn, l) })
	r := record("Real", 40008)
	began := time.Now()
	start(t, r)
	s := looker.wait(t, "a real neighbour", alive(r.Instance))
	t.Logf("found after %v", s.At.Sub(began))
	looker.Refresh()
	if n := len(looker.sightings()); n > 20*heardPerSecond+2*heardBurst {
		t.Errorf("%d sightings told", n)
	}
}

func (n *neighbour) sightings() []discovery.Sighting {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.seen)
}

// flood sends junk, and announcements of devices that are not there.
func flood(ctx context.Context, conn *net.UDPConn, l link) {
	for i := 0; ctx.Err() == nil; i++ {
		packet := []byte("junk without any meaning, and long enough to have a header")
		if i%4 == 0 {
			packet, _ = hello(record("Nobody", 40009), addrs("127.0.0.1"))
		}
		if sendFrom(conn, l, packet) != nil {
			return
		}
	}
}

func TestRunRefusesARecord(t *testing.T) {
	if err := New(Config{Record: Record{Port: 80}}).Run(t.Context()); err == nil {
		t.Error("announced")
	}
}

func TestAddresses(t *testing.T) {
	if got := New(Config{Loopback: true}).Addresses(); !slices.Contains(got, netip.MustParseAddr("127.0.0.1")) {
		t.Error(got)
	}
}
