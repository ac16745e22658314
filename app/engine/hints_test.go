package engine

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/mdns"
	"porchlight/discovery/presence"
)

// doorbell counts who connects, and hangs up.
func doorbell(t *testing.T) (netip.AddrPort, *atomic.Int64) {
	t.Helper()
	in, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var came atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := in.Accept()
			if err != nil {
				return
			}
			came.Add(1)
			c.Close()
		}
	})
	t.Cleanup(func() { in.Close(); wg.Wait() })
	return in.Addr().(*net.TCPAddr).AddrPort(), &came
}

// TestForgedHints: announcements of a device that is away lead to addresses where it is not. Each is dialled once; where
// another device answers, that one is told nothing.
func TestForgedHints(t *testing.T) {
	a := start(t, "anna", "")
	m, err := a.mesh()
	if err != nil {
		t.Fatal(err)
	}
	away := discovery.DeviceID{5, 6, 7}
	a.roster.Prove(presence.Proof{ID: away, Name: "away", Workgroup: "WORKGROUP"})
	other := newMallory(t, malloryHello(), func(http.ResponseWriter, *http.Request) {})
	at, came := doorbell(t)
	from := netip.MustParseAddr("127.0.0.9")
	say := func(addr netip.AddrPort, i int) {
		m.Sighted(discovery.Sighting{IDPrefix: mdns.IDPrefix(away), Instance: fmt.Sprintf("%016d", i), Name: "away", Workgroup: "WORKGROUP",
			Addresses: []netip.AddrPort{addr}, Source: discovery.FromMDNS, From: from, At: time.Now()})
	}
	for i := range 500 {
		say(at, 2*i)
		say(other.addr, 2*i+1)
		time.Sleep(4 * time.Millisecond) // the pace of the lies, which the bar is about
	}
	a.until("the lies are found out", func() bool { return came.Load() > 0 && len(a.roster.Dialable(away)) == 0 })
	if n := came.Load(); n != 1 {
		t.Errorf("an address where nobody speaks was dialled %d times", n)
	}
	if n := other.hellos.Load(); n != 0 {
		t.Errorf("another device was greeted %d times", n)
	}
	if p, err := a.roster.Get(away); err != nil || p.State == discovery.Online {
		t.Errorf("%+v, %v", p, err)
	}
	m.RetryAll() // the user asks
	a.until("it is tried again", func() bool { say(at, 1); return came.Load() == 2 })
}

// TestForgedTags: whoever copies the label and the tags of a member makes this device dial once where the copy says, and learns nothing there: no name, no
// workgroup, no request behind the hello. Nothing is kept of it.
func TestForgedTags(t *testing.T) {
	anna, bo := asleep(t, "anna", false), asleep(t, "bo", false)
	found(t, "Home", anna, bo)
	t.Cleanup(func() {
		if err := bo.Close(); err != nil {
			t.Error(err)
		}
	})
	a := awake(t, anna)
	m, err := a.mesh()
	if err != nil {
		t.Fatal(err)
	}
	const label = "abcdefghijklmnop"
	tags, err := bo.announced.Announce(label)
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := anna.announced.(shelf).Recognise(label, tags); err != nil || len(ids) != 1 {
		t.Fatalf("the tags are not those of a member: %v, %v", ids, err)
	}
	var asked atomic.Int64
	other := newMallory(t, malloryHello(), func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	at, came := doorbell(t)
	for range 200 {
		for _, addr := range []netip.AddrPort{at, other.addr} {
			m.Sighted(discovery.Sighting{Instance: label, Tags: tags, Addresses: []netip.AddrPort{addr}, Source: discovery.FromMDNS, From: netip.MustParseAddr("127.0.0.9"), At: time.Now()})
		}
		time.Sleep(4 * time.Millisecond) // the pace of the lies, which the bar is about
	}
	a.until("both places were looked at", func() bool { return came.Load() > 0 && other.hellos.Load() > 0 })
	if c, h := came.Load(), other.hellos.Load(); c != 1 || h != 1 {
		t.Errorf("an address where nobody speaks was dialled %d times, the liar greeted %d times", c, h)
	}
	if h := other.told.Load(); h == nil || h.Name != "" || h.Workgroup != "" || h.Install != "" {
		t.Errorf("the liar was told %+v", h)
	}
	if asked.Load() != 0 {
		t.Errorf("the liar was asked %d times", asked.Load())
	}
	if peers, err := a.Peers(t.Context()); err != nil || len(peers) != 0 {
		t.Errorf("listed: %+v, %v", peers, err)
	}
}
