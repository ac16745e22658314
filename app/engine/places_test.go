package engine

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"porchlight/app/config"
	"porchlight/discovery"
	"porchlight/discovery/mdns"
)

// at makes a spot with a name and an address.
func at(iface, place, prefix string) spot {
	return spot{Interface: mdns.Interface{Name: iface, Prefixes: []netip.Prefix{netip.MustParsePrefix(prefix)}, Used: true, Rule: true, Running: true}, place: place}
}

// still is an engine that was never run: where it is, is what the test says.
func still(t *testing.T, cfg Config, done bool) *Engine {
	t.Helper()
	cfg.Home, cfg.Version = t.TempDir(), "test"
	cfg.Change = func(s *config.Settings) error {
		s.Downloads, s.FirstRunDone = filepath.Join(t.TempDir(), "downloads"), done
		if done {
			s.Know("gateway old", discovery.Office, time.Now())
		}
		return nil
	}
	e, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func (e *Engine) move(t *testing.T, spots ...spot) {
	t.Helper()
	if err := e.settle(t.Context(), spots, nil); err != nil {
		t.Fatal(err)
	}
}

// shows compares what the owner sees with what is wanted, and returns whether this device may be on the network.
func (e *Engine) shows(t *testing.T, want discovery.Network, ask bool) bool {
	t.Helper()
	self, err := e.Self(t.Context())
	if err != nil || self.Network != want || self.Ask != ask {
		t.Errorf("network %q, asking: %v, %v; want %q, %v", self.Network, self.Ask, err, want, ask)
	}
	trusted, _, _ := e.trusted()
	return trusted
}

func TestANewNetworkIsAskedAboutOnce(t *testing.T) {
	e := still(t, Config{AskFirst: true}, true)
	cafe, home := at("wlan0", "gateway cafe", "192.168.1.7/24"), at("wlan0", "gateway home", "192.168.1.7/24")
	e.move(t, cafe)
	if e.shows(t, discovery.Unsaid, true) || e.fits("wlan0", cafe.Prefixes) || !e.hidden(cafe.Prefixes[0].Addr()) {
		t.Error("it is seen before anybody was asked")
	}
	if err := e.SetNetwork(t.Context(), discovery.Public); err != nil {
		t.Fatal(err)
	}
	if e.shows(t, discovery.Public, false) {
		t.Error("it is seen in public")
	}
	e.move(t, home)
	e.shows(t, discovery.Unsaid, true)
	if err := e.SetNetwork(t.Context(), discovery.Home); err != nil {
		t.Fatal(err)
	}
	e.move(t, home)
	if !e.shows(t, discovery.Home, false) || !e.fits("wlan0", home.Prefixes) || e.hidden(home.Prefixes[0].Addr()) {
		t.Error("it is not seen at home")
	}
	for range 2 {
		e.move(t, cafe)
		e.shows(t, discovery.Public, false)
		e.move(t, home)
		e.shows(t, discovery.Home, false)
	}
	e.move(t)
	if !e.shows(t, discovery.Home, false) {
		t.Error("without any network nobody has to be asked")
	}
}

func TestWithoutAWindowANewNetworkCountsAsTheSettingsSay(t *testing.T) {
	e := still(t, Config{}, true)
	e.move(t, at("eth0", "gateway new", "10.0.0.2/8"))
	if !e.shows(t, discovery.Home, false) {
		t.Error("a service is not seen on a new network")
	}
	ctx, cancel := context.WithCancel(t.Context())
	shown, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() { ended <- e.Attend(ctx, func() { shown <- struct{}{} }) }()
	for yes := false; !yes; time.Sleep(time.Millisecond) {
		yes, _ = e.ShowWindow(ctx)
	}
	<-shown
	e.move(t, at("eth0", "gateway new", "10.0.0.2/8"), at("wlan0", "gateway cafe", "192.168.1.7/24"))
	if !e.shows(t, discovery.Unsaid, true) || e.fits("wlan0", e.at.spots[1].Prefixes) || !e.fits("eth0", e.at.spots[0].Prefixes) {
		t.Error("with a window the new one is asked about, and the other one stays")
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if yes, err := e.ShowWindow(t.Context()); yes || err != nil {
		t.Error("a window that is gone:", yes, err)
	}
}

func TestAnOldHomeKeepsItsAnswer(t *testing.T) {
	e := still(t, Config{AskFirst: true, Network: ""}, false)
	e.move(t, at("eth0", "gateway new", "10.0.0.2/8"))
	if e.shows(t, discovery.Home, false) {
		t.Error("it is seen before the first steps are done")
	}
	if err := e.FinishFirstRun(t.Context()); err != nil { // without a word about the network
		t.Fatal(err)
	}
	if !e.shows(t, discovery.Home, false) || e.settings.Networks["gateway new"].Network != discovery.Home {
		t.Error("what the first steps showed does not count")
	}
	e.move(t, at("eth0", "gateway newer", "10.0.0.2/8"))
	if e.shows(t, discovery.Unsaid, true) {
		t.Error("the next one is not asked about")
	}
}

func TestWhatServeIsToldCountsForTheFirstNetwork(t *testing.T) {
	e := still(t, Config{Network: discovery.Public}, true)
	e.move(t, at("eth0", "", "10.0.0.2/8"))
	if e.shows(t, discovery.Home, false) {
		t.Error("it is seen on a network without a name yet")
	}
	e.move(t, at("eth0", "gateway old", "10.0.0.2/8"))
	if e.shows(t, discovery.Public, false) {
		t.Error("it is seen although it was told that this network is public")
	}
}

func TestOfTwoNetworksOnlyTheTrustedOneIsUsed(t *testing.T) {
	e := still(t, Config{AskFirst: true}, true)
	wire, radio := at("eth0", "gateway old", "10.0.0.2/8"), at("wlan0", "gateway guests", "192.168.1.7/24")
	e.move(t, wire, radio)
	e.shows(t, discovery.Unsaid, true)
	if err := e.SetNetwork(t.Context(), discovery.Public); err != nil { // of the new one
		t.Fatal(err)
	}
	e.move(t, wire, radio)
	if !e.shows(t, discovery.Office, false) || !e.fits("eth0", wire.Prefixes) || e.fits("wlan0", radio.Prefixes) || !e.hidden(radio.Prefixes[0].Addr()) {
		t.Error("the two are taken for one")
	}
	if err := e.SetNetwork(t.Context(), discovery.Home); err != nil {
		t.Fatal(err)
	}
	if e.settings.Networks["gateway guests"].Network != discovery.Public || e.settings.Networks["gateway old"].Network != discovery.Home {
		t.Error("the one that is not shown was changed, too")
	}
	e.move(t, wire, radio)
	if err := e.SetNetwork(t.Context(), discovery.Public); err != nil {
		t.Fatal(err)
	}
	e.move(t, wire, radio)
	if e.shows(t, discovery.Public, false) {
		t.Error("public was meant for all")
	}
	if err := e.SetNetwork(t.Context(), "space"); err == nil {
		t.Error("no such kind")
	}
	if err := e.SetInterface(t.Context(), "none0", true); !errors.Is(err, fs.ErrNotExist) {
		t.Error("no such interface:", err)
	}
}
