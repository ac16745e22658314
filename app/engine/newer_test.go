package engine

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"porchlight/app/doctor"
	"porchlight/discovery"
	"porchlight/discovery/identity"
	"porchlight/discovery/mdns"
	"porchlight/transfer"
)

// second listens at an address as a program does that speaks porchlight/2 and nothing else.
func second(t *testing.T, at string) netip.AddrPort {
	t.Helper()
	ident, err := identity.Load(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	config := ident.TLS(nil)
	config.NextProtos = []string{"porchlight/2"}
	in, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := in.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			_ = tls.Server(c, config).Handshake() // fails, as it is meant to
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { in.Close(); <-done })
	return netip.MustParseAddrPort(in.Addr().String())
}

// newerPeers lists those who run a newer Porchlight.
func (w *world) newerPeers() (out []discovery.Peer) {
	w.t.Helper()
	all, err := w.Peers(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(p discovery.Peer) bool { return !p.Newer })
}

// TestANewerNeighbourIsListed: one that announces version 2, one that only speaks it, and a known one that has become one.
// Each is listed, the doctor names them, and asking for their folders ends at once.
func TestANewerNeighbourIsListed(t *testing.T) {
	a, b := start(t, "anna", ""), start(t, "bo", "")
	meet(a, b)
	if got := a.newerPeers(); len(got) > 0 {
		t.Fatalf("nobody is newer: %+v", got)
	}
	announced := discovery.Sighting{Source: discovery.FromMDNS, Instance: mdns.NewLabel(), Name: "dora", Workgroup: "WORKGROUP", Newer: true,
		Addresses: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.9:47471")}, At: time.Now()}
	e := a.Engine
	e.mu.Lock()
	m := e.net.mesh
	e.mu.Unlock()
	version, err := a.Wait(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	m.sighted(announced)
	if got := a.newerPeers(); len(got) != 1 || got[0].Name != "dora" || got[0].State != discovery.Candidate {
		t.Fatalf("announced: %+v", got)
	}
	if now, err := a.Wait(t.Context(), version); err != nil || now <= version {
		t.Error("nobody was told:", err)
	}

	speaks := second(t, "127.0.0.1:0")
	began := time.Now()
	if err := a.AddPeer(t.Context(), speaks.String()); !errors.Is(err, transfer.ErrAway) && !errors.Is(err, transfer.ErrUnsupported) {
		t.Errorf("it was added: %v", err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("adding it took %v", took)
	}
	if got := a.newerPeers(); len(got) != 2 || got[1].Name != "127.0.0.1" || got[1].Addresses[0] != speaks {
		t.Errorf("dialled: %+v", got)
	}

	self, err := b.Self(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.stop()
	second(t, fmt.Sprintf("127.0.0.1:%d", self.Port))
	a.until("the known one is newer", func() bool {
		return slices.ContainsFunc(a.newerPeers(), func(p discovery.Peer) bool { return p.ID == b.id && p.State != discovery.Online })
	})
	began = time.Now()
	if _, err := a.Offers(t.Context(), b.id); !errors.Is(err, transfer.ErrAway) || time.Since(began) > 2*time.Second {
		t.Errorf("asked for its folders: %v after %v", err, time.Since(began))
	}
	found, err := a.Diagnose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(found, func(f doctor.Finding) bool { return f.Code == doctor.Newer })
	if i < 0 || found[i].Params["Name"] != "bo, dora, 127.0.0.1" || doctor.Bad(found) {
		t.Errorf("the doctor says %+v", found)
	}

	announced.Gone = true
	m.sighted(announced)
	if got := a.newerPeers(); slices.ContainsFunc(got, func(p discovery.Peer) bool { return p.Name == "dora" }) {
		t.Errorf("it said goodbye: %+v", got)
	}
}

func TestWhoIsNewer(t *testing.T) {
	id, other := discovery.DeviceID{2}, discovery.DeviceID{3}
	at := netip.MustParseAddrPort("192.0.2.7:47470")
	alert := transfer.ErrUnsupported
	tell := func(l *learned, s discovery.Sighting) {
		s.Source, s.Instance = discovery.FromMDNS, "aaaabbbbccccdddd"
		l.announced(s)
	}
	for _, tt := range []struct {
		name string
		with func(l *learned)
		peer discovery.Peer
		want bool
	}{
		{"nothing is known", func(*learned) {}, discovery.Peer{ID: id, State: discovery.Offline}, false},
		{"it says so and is there", func(*learned) {}, discovery.Peer{ID: id, State: discovery.Online, Caps: []string{"pack", "porchlight/2"}}, true},
		{"it said so once", func(*learned) {}, discovery.Peer{ID: id, State: discovery.Offline, Caps: []string{"porchlight/2"}}, false},
		{"it says what all speak", func(*learned) {}, discovery.Peer{ID: id, State: discovery.Online, Caps: []string{"porchlight/1", "porchlight/x", "porchlight/", "porchlight/99999"}}, false},
		{"somebody forges it of one who is there", func(l *learned) { tell(l, discovery.Sighting{IDPrefix: mdns.IDPrefix(id), Newer: true}) },
			discovery.Peer{ID: id, State: discovery.Online}, false},
		{"announced by one who is known", func(l *learned) { tell(l, discovery.Sighting{IDPrefix: mdns.IDPrefix(id), Newer: true}) },
			discovery.Peer{ID: id, State: discovery.Offline}, true},
		{"announced by another", func(l *learned) { tell(l, discovery.Sighting{IDPrefix: mdns.IDPrefix(other), Newer: true}) },
			discovery.Peer{ID: id, State: discovery.Offline}, false},
		{"announced, and then as today", func(l *learned) {
			tell(l, discovery.Sighting{Addresses: []netip.AddrPort{at}, Newer: true})
			tell(l, discovery.Sighting{Addresses: []netip.AddrPort{at}})
		}, discovery.Peer{State: discovery.Candidate, Addresses: []netip.AddrPort{at}}, false},
		{"a candidate's announcement", func(l *learned) { tell(l, discovery.Sighting{Addresses: []netip.AddrPort{at}, Newer: true}) },
			discovery.Peer{State: discovery.Candidate, Addresses: []netip.AddrPort{at}}, true},
		{"a candidate's answer", func(l *learned) { l.failed(at, discovery.DeviceID{}, alert) },
			discovery.Peer{State: discovery.Candidate, Addresses: []netip.AddrPort{at}}, true},
		{"a known one's answer", func(l *learned) { l.failed(at, id, alert) }, discovery.Peer{ID: id, State: discovery.Offline, Addresses: []netip.AddrPort{at}}, true},
		{"another answer at the address of a known one", func(l *learned) { l.failed(at, discovery.DeviceID{}, alert) },
			discovery.Peer{ID: id, State: discovery.Offline, Addresses: []netip.AddrPort{at}}, false},
		{"it went back", func(l *learned) { l.failed(at, id, alert); l.understood(at, id) }, discovery.Peer{ID: id, State: discovery.Offline}, false},
		{"another error", func(l *learned) { l.failed(at, id, transfer.ErrAway) }, discovery.Peer{ID: id, State: discovery.Offline}, false},
		{"an hour ago", func(l *learned) {
			l.failed(at, id, alert)
			l.newer.at[at], l.newer.known[id] = time.Now().Add(-2*newerTime), time.Now().Add(-2*newerTime)
		}, discovery.Peer{ID: id, State: discovery.Offline}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLearned(discovery.DeviceID{1}, "me")
			tt.with(l)
			got := l.mark([]discovery.Peer{tt.peer})
			if got[0].Newer != tt.want {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestNewerWithoutAName: what cannot be named is listed by its address, each computer once.
func TestNewerWithoutAName(t *testing.T) {
	l := newLearned(discovery.DeviceID{1}, "me")
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
	for _, p := range l.mark([]discovery.Peer{{ID: discovery.DeviceID{2}, Name: "bo", State: discovery.Online, Addresses: addrs("192.0.2.8:47470")}}) {
		names = append(names, fmt.Sprint(p.Name, p.Newer))
	}
	if want := []string{"bofalse", "192.0.2.7true", "192.0.2.9true"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}
