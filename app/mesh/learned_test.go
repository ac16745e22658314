package mesh

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/mdns"
	"porchlight/transfer"
	"porchlight/transfer/wire"
)

// TestLearnedOfTwins: a computer that took the place of another one is no twin; two that take turns are.
func TestLearnedOfTwins(t *testing.T) {
	id := discovery.DeviceID{2}
	l := NewLearned(discovery.DeviceID{1}, "me")
	for i, step := range []struct {
		install string
		twin    bool
	}{{"old", false}, {"old", false}, {"new", false}, {"new", false}, {"old", true}, {"new", true}} {
		time.Sleep(20 * time.Millisecond) // the clock of Windows goes on in steps
		l.Meet(id, wire.Hello{Install: step.install})
		if _, twin := l.Of(id); twin != step.twin {
			t.Errorf("step %d: %v", i, twin)
		}
	}
	if l.own(wire.Hello{Install: "me"}) || l.HasTwin() {
		t.Error("this device itself is taken for a copy")
	}
	if !l.own(wire.Hello{Install: "other"}) || !l.HasTwin() {
		t.Error("a copy is not noticed")
	}
	if l.hear(discovery.Sighting{Source: discovery.FromGossip, IDPrefix: l.prefix}) {
		t.Error("gossip makes this device look for a copy")
	}
	s := discovery.Sighting{Source: discovery.FromMDNS, IDPrefix: l.prefix}
	if !l.hear(s) || l.hear(s) {
		t.Error("whoever announces this device's identity is dialled once in a while")
	}
}

func TestLearnedIsBounded(t *testing.T) {
	l := NewLearned(discovery.DeviceID{1}, "me")
	for i := range 3 * maxLearned {
		id := discovery.DeviceID{byte(i), byte(i >> 8), 7}
		l.hear(discovery.Sighting{Source: discovery.FromMDNS, IDPrefix: mdns.IDPrefix(id)})
		l.Meet(id, wire.Hello{})
		l.failed(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 47470), id, transfer.ErrUnsupported)
		l.announced(discovery.Sighting{Source: discovery.FromMDNS, Instance: mdns.NewLabel(), Newer: true})
	}
	if len(l.heard) > maxLearned || len(l.met) > maxLearned || len(l.newer.at) > maxLearned || len(l.newer.known) > maxLearned || len(l.newer.told) > maxLearned {
		t.Errorf("%d heard, %d met, %d, %d and %d newer", len(l.heard), len(l.met), len(l.newer.at), len(l.newer.known), len(l.newer.told))
	}
}

func TestWhoIsNewer(t *testing.T) {
	id, other := discovery.DeviceID{2}, discovery.DeviceID{3}
	at := netip.MustParseAddrPort("192.0.2.7:47470")
	alert := transfer.ErrUnsupported
	tell := func(l *Learned, s discovery.Sighting) {
		s.Source, s.Instance = discovery.FromMDNS, "aaaabbbbccccdddd"
		l.announced(s)
	}
	for _, tt := range []struct {
		name string
		with func(l *Learned)
		peer discovery.Peer
		want bool
	}{
		{"nothing is known", func(*Learned) {}, discovery.Peer{ID: id, State: discovery.Offline}, false},
		{"it says so and is there", func(*Learned) {}, discovery.Peer{ID: id, State: discovery.Online, Caps: []string{"pack", "porchlight/2"}}, true},
		{"it said so once", func(*Learned) {}, discovery.Peer{ID: id, State: discovery.Offline, Caps: []string{"porchlight/2"}}, false},
		{"it says what all speak", func(*Learned) {}, discovery.Peer{ID: id, State: discovery.Online, Caps: []string{"porchlight/1", "porchlight/x", "porchlight/", "porchlight/99999"}}, false},
		{"somebody forges it of one who is there", func(l *Learned) { tell(l, discovery.Sighting{IDPrefix: mdns.IDPrefix(id), Newer: true}) },
			discovery.Peer{ID: id, State: discovery.Online}, false},
		{"announced by one who is known", func(l *Learned) { tell(l, discovery.Sighting{IDPrefix: mdns.IDPrefix(id), Newer: true}) },
			discovery.Peer{ID: id, State: discovery.Offline}, true},
		{"announced by another", func(l *Learned) { tell(l, discovery.Sighting{IDPrefix: mdns.IDPrefix(other), Newer: true}) },
			discovery.Peer{ID: id, State: discovery.Offline}, false},
		{"announced, and then as today", func(l *Learned) {
			tell(l, discovery.Sighting{Addresses: []netip.AddrPort{at}, Newer: true})
			tell(l, discovery.Sighting{Addresses: []netip.AddrPort{at}})
		}, discovery.Peer{State: discovery.Candidate, Addresses: []netip.AddrPort{at}}, false},
		{"a candidate's announcement", func(l *Learned) { tell(l, discovery.Sighting{Addresses: []netip.AddrPort{at}, Newer: true}) },
			discovery.Peer{State: discovery.Candidate, Addresses: []netip.AddrPort{at}}, true},
		{"a candidate's answer", func(l *Learned) { l.failed(at, discovery.DeviceID{}, alert) },
			discovery.Peer{State: discovery.Candidate, Addresses: []netip.AddrPort{at}}, true},
		{"a known one's answer", func(l *Learned) { l.failed(at, id, alert) }, discovery.Peer{ID: id, State: discovery.Offline, Addresses: []netip.AddrPort{at}}, true},
		{"another answer at the address of a known one", func(l *Learned) { l.failed(at, discovery.DeviceID{}, alert) },
			discovery.Peer{ID: id, State: discovery.Offline, Addresses: []netip.AddrPort{at}}, false},
		{"it went back", func(l *Learned) { l.failed(at, id, alert); l.understood(at, id) }, discovery.Peer{ID: id, State: discovery.Offline}, false},
		{"another error", func(l *Learned) { l.failed(at, id, transfer.ErrAway) }, discovery.Peer{ID: id, State: discovery.Offline}, false},
		{"an hour ago", func(l *Learned) {
			l.failed(at, id, alert)
			l.newer.at[at], l.newer.known[id] = time.Now().Add(-2*newerTime), time.Now().Add(-2*newerTime)
		}, discovery.Peer{ID: id, State: discovery.Offline}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := NewLearned(discovery.DeviceID{1}, "me")
			tt.with(l)
			got := l.Mark([]discovery.Peer{tt.peer})
			if got[0].Newer != tt.want {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestNewerWithoutAName: what cannot be named is listed by its address, each computer once.
func TestNewerWithoutAName(t *testing.T) {
	l := NewLearned(discovery.DeviceID{1}, "me")
	addrs := func(s ...string) (out []netip.AddrPort) {
		for _, a := range s {
			out = append(out, netip.MustParseAddrPort(a))
		}
		return out
	}
	l.announced(discovery.Sighting{Source: discovery.FromMDNS, Instance: "aaaabbbbccccdddd", Addresses: addrs("192.0.2.7:47470", "[2001:db8::7]:47470"), Newer: true})
	for _, a := range addrs("192.0.2.7:5000", "192.0.2.7:47470", "192.0.2.8:47470", "192.0.2.9:47470") {
		if !l.failed(a, discovery.DeviceID{}, transfer.ErrUnsupported) || l.failed(a, discovery.DeviceID{}, transfer.ErrUnsupported) {
			t.Errorf("%v is news once", a)
		}
	}
	var names []string
	for _, p := range l.Mark([]discovery.Peer{{ID: discovery.DeviceID{2}, Name: "bo", State: discovery.Online, Addresses: addrs("192.0.2.8:47470")}}) {
		names = append(names, fmt.Sprint(p.Name, p.Newer))
	}
	if want := []string{"bofalse", "192.0.2.7true", "192.0.2.9true"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}
