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
	machine "porchlight/discovery/calm"
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
	m, err := a.mesh()
	if err != nil {
		t.Fatal(err)
	}
	version, err := a.Wait(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	m.Sighted(announced)
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
	if took := time.Since(began); took > machine.Most(3*time.Second) {
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
	if _, err := a.Offers(t.Context(), b.id); !errors.Is(err, transfer.ErrAway) || time.Since(began) > machine.Most(2*time.Second) {
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
	m.Sighted(announced)
	if got := a.newerPeers(); slices.ContainsFunc(got, func(p discovery.Peer) bool { return p.Name == "dora" }) {
		t.Errorf("it said goodbye: %+v", got)
	}
}
