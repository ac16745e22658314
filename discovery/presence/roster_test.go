package presence

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery"
)

type memory map[discovery.DeviceID]discovery.Peer

func (m memory) Peers() (out []discovery.Peer, err error) {
	for _, p := range m {
		out = append(out, p)
	}
	return out, nil
}
func (m memory) PutPeer(p discovery.Peer) error         { m[p.ID] = p; return nil }
func (m memory) DeletePeer(id discovery.DeviceID) error { delete(m, id); return nil }
func device(n byte) discovery.DeviceID                  { return discovery.DeviceID{n, n, n, n, n, n, n, n, n} }
func addrs(list ...string) (out []netip.AddrPort) {
	for _, s := range list {
		out = append(out, netip.MustParseAddrPort(s))
	}
	return out
}

// clock is a roster with its time in hand.
type clock struct {
	*Roster
	now     time.Time
	store   memory
	changes int
}

func newClock(t *testing.T) *clock {
	t.Helper()
	c := &clock{now: time.Unix(1e9, 0), store: memory{}}
	c.Roster = New(Config{Self: device(9), Store: c.store, Now: func() time.Time { return c.now }, OnChange: func() { c.changes++ }})
	return c
}

func seen(label, name string, a ...string) discovery.Sighting {
	return discovery.Sighting{Instance: label, Name: name, Workgroup: "WORKGROUP", Addresses: addrs(a...), Source: discovery.FromMDNS}
}

func TestSightingsNeverChangeWhatIsKept(t *testing.T) {
	c := newClock(t)
	id := device(1)
	c.Prove(Proof{ID: id, Name: "Anna-PC", Workgroup: "WORKGROUP", Address: addrs("10.0.0.1:47470")[0], Reached: true})
	c.SetState(id, discovery.Online)
	kept := c.store[id]
	for _, s := range []discovery.Sighting{
		{Instance: "aaaaaaaaaaaaaaaa", IDPrefix: prefix(id), Name: "Evil", Workgroup: "ELSE", Addresses: addrs("10.6.6.6:6666"), Source: discovery.FromMDNS},
		{ID: id, Name: "Evil", Addresses: addrs("10.6.6.6:6666"), Source: discovery.FromGossip},
		{Instance: "aaaaaaaaaaaaaaaa", IDPrefix: prefix(id), Gone: true, Source: discovery.FromMDNS},
	} {
		if _, dial := c.See(s); dial {
			t.Errorf("an online device is dialled because of %+v", s)
		}
	}
	if d := cmp.Diff(kept, c.store[id], cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
		t.Error(d)
	}
	p, err := c.Get(id)
	if err != nil || p.Name != "Anna-PC" || p.State != discovery.Online || p.Addresses[0] != addrs("10.0.0.1:47470")[0] {
		t.Errorf("now %+v, %v", p, err)
	}
	if n := len(c.Snapshot()); n != 1 {
		t.Errorf("%d devices shown", n)
	}
}

func TestCandidate(t *testing.T) {
	c := newClock(t)
	s := seen("bbbbbbbbbbbbbbbb", "Bob-PC", "10.0.0.2:47470")
	s.IDPrefix, s.From = prefix(device(2)), s.Addresses[0].Addr()
	target, dial := c.See(s)
	if !dial || target.Known || !target.ID.IsZero() || len(target.Addresses) != 1 {
		t.Fatalf("%+v, %v", target, dial)
	}
	if _, dial := c.See(s); dial {
		t.Error("dialled again at once")
	}
	c.now = c.now.Add(2 * time.Second)
	if _, dial := c.See(s); !dial {
		t.Error("not dialled again after 2 s")
	}
	if all := c.Snapshot(); len(all) != 1 || all[0].State != discovery.Candidate || all[0].Name != "Bob-PC" {
		t.Errorf("shown: %+v", all)
	}
	if !c.Prove(Proof{ID: device(2), Name: "Bob-PC", Workgroup: "WORKGROUP"}) {
		t.Error("a new device counts as known")
	}
	if all := c.Snapshot(); len(all) != 1 || all[0].ID != device(2) {
		t.Errorf("shown after proof: %+v", all)
	}
	if len(c.store) != 1 {
		t.Error("not stored")
	}
	c.now = c.now.Add(CandidateLife + time.Second)
	c.Expire()
	if len(c.candidates) != 0 {
		t.Error("the candidate outlived its time")
	}
}

func TestGoodbyeOfACandidate(t *testing.T) {
	c := newClock(t)
	c.See(seen("cccccccccccccccc", "Carl", "10.0.0.3:47470"))
	c.See(discovery.Sighting{Instance: "cccccccccccccccc", Gone: true})
	if n := len(c.Snapshot()); n != 0 {
		t.Errorf("%d shown after the goodbye", n)
	}
}

func TestOwnAnnouncementIsNobody(t *testing.T) {
	c := newClock(t)
	s := seen("dddddddddddddddd", "Me", "10.0.0.9:47470")
	s.IDPrefix = prefix(device(9))
	if _, dial := c.See(s); dial || len(c.Snapshot()) != 0 {
		t.Error("this device met itself")
	}
}

func TestFlood(t *testing.T) {
	c := newClock(t)
	dials := 0
	for i := range 10_000 {
		if _, dial := c.See(seen(fmt.Sprintf("%016d", i), "x", "10.0.0.3:47470")); dial {
			dials++
		}
	}
	if len(c.candidates) > MaxCandidates || len(c.dialed) > 2*MaxCandidates || dials > 2*MaxCandidates {
		t.Errorf("%d candidates, %d limits, %d dials", len(c.candidates), len(c.dialed), dials)
	}
}

func TestFloodHidesNobody(t *testing.T) {
	c := newClock(t)
	for i := range 2500 { // many doors
		s := seen(fmt.Sprintf("%016d", i), "x", fmt.Sprintf("10.0.%d.%d:47470", 1+i/200, 1+i%200))
		s.From = netip.MustParseAddr("10.1.0.66")
		c.See(s)
	}
	fred := seen("ffffffffffffffff", "Fred", "10.1.0.3:47470")
	fred.From = fred.Addresses[0].Addr()
	if _, dial := c.See(fred); !dial {
		t.Error("who comes after a flood is not dialled")
	}
	for i := range 100 { // one door, said to be many devices'
		_, dial := c.See(discovery.Sighting{ID: device(byte(20 + i)), Addresses: addrs("10.2.0.3:47470"), Source: discovery.FromGossip, At: c.now})
		if dial != (i == 0) {
			t.Fatalf("hint %d: dialled %v", i, dial)
		}
	}
}

func TestCrowdWashesNobodyAway(t *testing.T) {
	c := newClock(t)
	anna := device(1)
	c.Prove(Proof{ID: anna, Name: "Anna", Workgroup: "W"})
	c.now = c.now.Add(2 * passing)
	c.SetState(anna, discovery.Online)
	c.SetState(anna, discovery.Offline)
	for i := range 2 * MaxPeers {
		c.now = c.now.Add(time.Second)
		c.Prove(Proof{ID: discovery.DeviceID{0: 7, 1: byte(i), 2: byte(i >> 8)}, Name: "X", Workgroup: "W"})
	}
	if p, err := c.Get(anna); err != nil || p.FirstName != "Anna" {
		t.Errorf("the one known for longest was forgotten: %v", err)
	}
	if n := len(c.IDs()); n > MaxPeers {
		t.Errorf("%d devices", n)
	}
}

func TestPinnedName(t *testing.T) {
	c := newClock(t)
	id := device(4)
	c.Prove(Proof{ID: id, Name: "Dora", Workgroup: "WORKGROUP"})
	c.Prove(Proof{ID: id, Name: "Anna", Workgroup: "HOME"})
	c.Renamed(id, "Emil", "HOME")
	c.Renamed(id, "bad\x00name", "HOME")
	p, err := c.Get(id)
	if err != nil || p.FirstName != "Dora" || p.Name != "Emil" || p.Workgroup != "HOME" {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestRestart(t *testing.T) {
	c := newClock(t)
	old, young := device(5), device(6)
	c.Prove(Proof{ID: old, Name: "Old", Workgroup: "W", Address: addrs("10.0.0.5:47470")[0], Reached: true})
	c.now = c.now.Add(keepFor + time.Hour)
	c.Prove(Proof{ID: young, Name: "Young", Workgroup: "W", Address: addrs("10.0.0.6:47470")[0], Reached: true})
	c.SetState(young, discovery.Online)
	again := New(Config{Self: device(9), Store: c.store, Now: func() time.Time { return c.now }})
	if err := again.Load(); err != nil {
		t.Fatal(err)
	}
	for _, p := range again.Snapshot() {
		if p.State != discovery.Offline {
			t.Errorf("%s starts as %s", p.Name, p.State)
		}
		if want := p.ID == young; (len(p.Addresses) == 1) != want {
			t.Errorf("%s has %v", p.Name, p.Addresses)
		}
	}
	if target, dial := again.See(discovery.Sighting{ID: young, Addresses: addrs("192.168.7.7:47470"), Source: discovery.FromGossip}); !dial || !target.Known || len(target.Addresses) != 2 {
		t.Errorf("%+v %v", target, dial)
	}
	if err := again.Forget(young); err != nil || len(again.Snapshot()) != 1 || len(c.store) != 1 {
		t.Error("not forgotten", err)
	}
}

func TestUsableAddresses(t *testing.T) {
	in := addrs("[::ffff:8.8.8.8]:47470", "[::ffff:10.0.0.3]:80", "[::ffff:127.0.0.1]:47470", "[::ffff:224.0.0.251]:5353", "[fe80::2%evil]:47470", "[ff02::1%eth0]:47470", "[::]:47470", "10.0.0.4:0")
	if got := usable(in, discovery.FromGossip); len(got) > 0 {
		t.Errorf("from gossip: %v", got)
	}
	in = addrs("8.8.8.8:47470", "10.0.0.1:22", "10.0.0.2:47470", "224.0.0.251:5353", "0.0.0.0:47470", "[fe80::1%eth0]:47470", "127.0.0.1:47470", "[fd00::1]:47470", "100.64.1.1:47470")
	for src, want := range map[discovery.Source][]netip.AddrPort{
		discovery.FromGossip: addrs("10.0.0.2:47470", "[fd00::1]:47470", "100.64.1.1:47470"),
		discovery.FromMDNS:   addrs("8.8.8.8:47470", "10.0.0.2:47470", "[fe80::1%eth0]:47470", "127.0.0.1:47470", "[fd00::1]:47470", "100.64.1.1:47470"),
	} {
		if got := usable(in, src); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("source %d: %v, want %v", src, got, want)
		}
	}
}
