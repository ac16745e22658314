package whereabouts

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"testing"
	"time"

	"porchlight/app/config"
	"porchlight/discovery"
	"porchlight/discovery/mdns"
)

// person is an owner whose settings are in memory.
type person struct {
	settings config.Settings
	attends  bool
}

func (p *person) Settings() config.Settings { return p.settings }

func (p *person) Change(_ context.Context, f func(*config.Settings)) error {
	f(&p.settings)
	return nil
}

func (p *person) Attends() bool { return p.attends }

// at makes a spot with a name and an address.
func at(iface, place, prefix string) spot {
	return spot{Interface: mdns.Interface{Name: iface, Prefixes: []netip.Prefix{netip.MustParsePrefix(prefix)}, Used: true, Rule: true, Running: true}, place: place}
}

// still is a Whereabouts that does not run: where it is, is what the test says. done says that somebody has gone through the first steps.
func still(cfg Config, done bool) (*Whereabouts, *person) {
	p := &person{settings: config.Settings{Network: discovery.Home, FirstRunDone: done}}
	if done {
		p.settings.Know("gateway old", discovery.Office, time.Now())
	}
	cfg.Owner = p
	return New(cfg), p
}

func (w *Whereabouts) move(t *testing.T, spots ...spot) {
	t.Helper()
	if err := w.settle(t.Context(), spots, nil); err != nil {
		t.Fatal(err)
	}
}

// shows compares what the owner sees with what is wanted, and returns whether this device may be on the network.
func (w *Whereabouts) shows(t *testing.T, want discovery.Network, ask bool) bool {
	t.Helper()
	var self discovery.Self
	if w.Describe(&self); self.Network != want || self.Ask != ask {
		t.Errorf("network %q, asking: %v; want %q, %v", self.Network, self.Ask, want, ask)
	}
	return w.Trusted()
}

func TestANewNetworkIsAskedAboutOnce(t *testing.T) {
	w, _ := still(Config{AskFirst: true}, true)
	cafe, home := at("wlan0", "gateway cafe", "192.168.1.7/24"), at("wlan0", "gateway home", "192.168.1.7/24")
	w.move(t, cafe)
	if w.shows(t, discovery.Unsaid, true) || w.Fits("wlan0", cafe.Prefixes) || !w.hidden(cafe.Prefixes[0].Addr()) {
		t.Error("it is seen before anybody was asked")
	}
	if err := w.SetNetwork(t.Context(), discovery.Public); err != nil {
		t.Fatal(err)
	}
	if w.shows(t, discovery.Public, false) {
		t.Error("it is seen in public")
	}
	w.move(t, home)
	w.shows(t, discovery.Unsaid, true)
	if err := w.SetNetwork(t.Context(), discovery.Home); err != nil {
		t.Fatal(err)
	}
	w.move(t, home)
	if !w.shows(t, discovery.Home, false) || !w.Fits("wlan0", home.Prefixes) || w.hidden(home.Prefixes[0].Addr()) {
		t.Error("it is not seen at home")
	}
	for range 2 {
		w.move(t, cafe)
		w.shows(t, discovery.Public, false)
		w.move(t, home)
		w.shows(t, discovery.Home, false)
	}
	w.move(t)
	if !w.shows(t, discovery.Home, false) {
		t.Error("without any network nobody has to be asked")
	}
}

func TestWithoutAWindowANewNetworkCountsAsTheSettingsSay(t *testing.T) {
	w, p := still(Config{}, true)
	w.move(t, at("eth0", "gateway new", "10.0.0.2/8"))
	if !w.shows(t, discovery.Home, false) {
		t.Error("a service is not seen on a new network")
	}
	p.attends = true
	w.move(t, at("eth0", "gateway new", "10.0.0.2/8"), at("wlan0", "gateway cafe", "192.168.1.7/24"))
	if !w.shows(t, discovery.Unsaid, true) || w.Fits("wlan0", w.spots[1].Prefixes) || !w.Fits("eth0", w.spots[0].Prefixes) {
		t.Error("with a window the new one is asked about, and the other one stays")
	}
}

func TestAnOldHomeKeepsItsAnswer(t *testing.T) {
	w, p := still(Config{AskFirst: true}, false)
	w.move(t, at("eth0", "gateway new", "10.0.0.2/8"))
	if w.shows(t, discovery.Home, false) {
		t.Error("it is seen before the first steps are done")
	}
	if err := w.FinishFirstRun(t.Context()); err != nil { // without a word about the network
		t.Fatal(err)
	}
	if !w.shows(t, discovery.Home, false) || p.settings.Networks["gateway new"].Network != discovery.Home {
		t.Error("what the first steps showed does not count")
	}
	w.move(t, at("eth0", "gateway newer", "10.0.0.2/8"))
	if w.shows(t, discovery.Unsaid, true) {
		t.Error("the next one is not asked about")
	}
}

func TestWhatServeIsToldCountsForTheFirstNetwork(t *testing.T) {
	w, _ := still(Config{First: discovery.Public}, true)
	w.move(t, at("eth0", "", "10.0.0.2/8"))
	if w.shows(t, discovery.Home, false) {
		t.Error("it is seen on a network without a name yet")
	}
	w.move(t, at("eth0", "gateway old", "10.0.0.2/8"))
	if w.shows(t, discovery.Public, false) {
		t.Error("it is seen although it was told that this network is public")
	}
}

func TestOfTwoNetworksOnlyTheTrustedOneIsUsed(t *testing.T) {
	w, p := still(Config{AskFirst: true}, true)
	wire, radio := at("eth0", "gateway old", "10.0.0.2/8"), at("wlan0", "gateway guests", "192.168.1.7/24")
	w.move(t, wire, radio)
	w.shows(t, discovery.Unsaid, true)
	if err := w.SetNetwork(t.Context(), discovery.Public); err != nil { // of the new one
		t.Fatal(err)
	}
	w.move(t, wire, radio)
	if !w.shows(t, discovery.Office, false) || !w.Fits("eth0", wire.Prefixes) || w.Fits("wlan0", radio.Prefixes) || !w.hidden(radio.Prefixes[0].Addr()) {
		t.Error("the two are taken for one")
	}
	if err := w.SetNetwork(t.Context(), discovery.Home); err != nil {
		t.Fatal(err)
	}
	if p.settings.Networks["gateway guests"].Network != discovery.Public || p.settings.Networks["gateway old"].Network != discovery.Home {
		t.Error("the one that is not shown was changed, too")
	}
	w.move(t, wire, radio)
	if err := w.SetNetwork(t.Context(), discovery.Public); err != nil {
		t.Fatal(err)
	}
	w.move(t, wire, radio)
	if w.shows(t, discovery.Public, false) {
		t.Error("public was meant for all")
	}
	if err := w.SetNetwork(t.Context(), "space"); err == nil {
		t.Error("no such kind")
	}
	if err := w.SetInterface(t.Context(), "none0", true); !errors.Is(err, fs.ErrNotExist) {
		t.Error("no such interface:", err)
	}
}
