package viewmodel

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"porchlight/assets"
	"porchlight/discovery"
	"porchlight/transfer"
)

// fakeDesk is a desktop that notes what it was told.
type fakeDesk struct {
	own, able bool

	mu           sync.Mutex // guards the fields below
	keeps, start bool
}

func (d *fakeDesk) Own() bool { return d.own }

func (d *fakeDesk) KeepsRunning() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.keeps
}

func (d *fakeDesk) SetKeepRunning(_ context.Context, on bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keeps = on
	return nil
}

func (d *fakeDesk) Starts() (on, able bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.start, d.able
}

func (d *fakeDesk) SetStarts(_ context.Context, on bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.start = on
	return nil
}

func (d *fakeDesk) FirstClose(context.Context) bool { return true }

func TestSwitchesAreThoseThatWorkHere(t *testing.T) {
	for _, tt := range []struct {
		own, able bool
		want      []string
	}{{true, true, []string{"keep", "starts"}}, {false, true, []string{"starts"}}, {true, false, []string{"keep"}}, {false, false, nil}} {
		s := &Settings{core: newCore(t, Config{Desk: &fakeDesk{own: tt.own, able: tt.able}})}
		var got []string
		for _, x := range s.Switches() {
			got = append(got, x.Key)
		}
		if !cmp.Equal(got, tt.want) {
			t.Errorf("%+v: %q", tt, got)
		}
	}
	if s := (&Settings{core: newCore(t, Config{})}); s.Switches() != nil {
		t.Error("without a desktop there is nothing to switch")
	}
}

func TestTidingsAreFew(t *testing.T) {
	c := newCore(t, Config{})
	began := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	job := func(s transfer.State, trouble transfer.Trouble, took time.Duration) snapshot {
		return snapshot{ready: true, jobs: []transfer.Job{{ID: 1, Title: "Photos", From: "bo", State: s, Trouble: trouble, Created: began, Ended: began.Add(took)}}}
	}
	running := job(transfer.Running, transfer.NoTrouble, 0)
	asked := running
	asked.self = discovery.Self{Ask: true, Interfaces: []discovery.Interface{{Name: "wlan0", Used: true, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.2")}}}}
	help := []Tiding{{"Photos needs your help", "Your disk is full. It goes on when there is room again."}}
	for _, tt := range []struct {
		name          string
		before, after snapshot
		want          []Tiding
	}{
		{"a long pull", running, job(transfer.Done, transfer.NoTrouble, 11*time.Second), []Tiding{{"It is all there", "Photos came from bo."}}},
		{"a short one", running, job(transfer.Done, transfer.NoTrouble, 9*time.Second), nil},
		{"the state at the start", snapshot{}, job(transfer.Done, transfer.NoTrouble, time.Hour), nil},
		{"nothing new", job(transfer.Done, transfer.NoTrouble, time.Hour), job(transfer.Done, transfer.NoTrouble, time.Hour), nil},
		{"a full disk", running, job(transfer.Away, transfer.DiskFull, 0), help},
		{"a failure", running, job(transfer.Failed, transfer.DiskFull, 0), help},
		{"the other is away", running, job(transfer.Away, transfer.SourceAway, 0), nil},
		{"paused", running, job(transfer.Paused, transfer.NoTrouble, 0), nil},
		{"a new network", running, asked, []Tiding{{"Who else is on this network?",
			"This computer is on a network it does not know (wlan0, 10.0.0.2). Until you say whose it is, nobody there sees this computer."}}},
		{"still the same", asked, asked, nil},
	} {
		if got := c.tidings(tt.before, tt.after); !cmp.Equal(got, tt.want) {
			t.Errorf("%s: %v", tt.name, cmp.Diff(tt.want, got))
		}
	}
}

func TestTheCardComesBackWithAnotherNetwork(t *testing.T) {
	c := newCore(t, Config{})
	n := &NewNetwork{core: c}
	at := func(iface string, ask, first bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.snap = snapshot{ready: true, self: discovery.Self{Ask: ask, FirstRun: first,
			Interfaces: []discovery.Interface{{Name: iface, Used: true, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.2")}}}}}
	}
	shown := func(what string, want bool) {
		t.Helper()
		if n.Shown() != want {
			t.Errorf("%s: the card is shown: %v", what, !want)
		}
	}
	shown("before the engine answers", false)
	at("eth0", false, false)
	shown("a known network", false)
	at("eth0", true, true)
	shown("the first steps ask themselves", false)
	at("eth0", true, false)
	shown("a new one", true)
	n.Later()
	shown("later", false)
	at("wlan0", true, false)
	shown("another new one", true)
	n.Later()
	at("wlan0", false, false)
	shown("answered elsewhere", false)
	at("wlan0", true, false)
	shown("asked anew", true)
}

func TestInterfacesInWords(t *testing.T) {
	c := newCore(t, Config{})
	c.snap.self.Interfaces = []discovery.Interface{
		{Name: "eth0", Used: true, Network: discovery.Office, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.2")}},
		{Name: "wlan0", Used: true}, {Name: "wg0"}, {Name: "eth1", Chosen: true},
	}
	want := []InterfaceRow{{"eth0", "10.0.0.2, Office", true}, {"wlan0", "", true}, {"wg0", "looks like a tunnel or a virtual machine", false}, {"eth1", "", false}}
	if got := (&Settings{core: c}).Interfaces(); !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
}

// newCore is what the screens have in common, with English words and no engine.
func newCore(t *testing.T, cfg Config) *core {
	t.Helper()
	w, err := assets.Load("en")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Words = w
	return New(cfg).core
}
