package engine

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"porchlight/app/doctor"
	"porchlight/discovery"
	"porchlight/discovery/mdns"
	"porchlight/transfer"
	"porchlight/transfer/wire"
)

// codes asks the doctor and returns what is not good.
func (w *world) codes() (out []doctor.Code) {
	w.t.Helper()
	found, err := w.Diagnose(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range found {
		if f.Level != doctor.Good {
			out = append(out, f.Code)
		}
	}
	return out
}

func TestDiagnose(t *testing.T) {
	a, b := start(t, "anna", ""), start(t, "bert", "")
	meet(a, b)
	found, err := a.Diagnose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(found, func(f doctor.Finding) bool {
		return f.Code == doctor.ReachGood && strings.Contains(f.Params["Name"], "bert")
	}) {
		t.Errorf("the neighbour did not say that it reaches us: %+v", found)
	}
	if doctor.Bad(found) {
		t.Errorf("all is well, and the doctor says %+v", found)
	}
	b.stop()
	a.until("it is missed", func() bool { return slices.Contains(a.codes(), doctor.NotRunning) })
	if err := a.SetNetwork(t.Context(), discovery.Public); err != nil {
		t.Fatal(err)
	}
	a.until("the network is public", func() bool { return slices.Contains(a.codes(), doctor.NetworkPublic) })
}

func TestACopyOfAHomeIsNoticedAtBothEnds(t *testing.T) {
	a := start(t, "anna", "")
	a.stop()
	copied := t.TempDir()
	if err := os.CopyFS(filepath.Join(copied, "home"), os.DirFS(a.home)); err != nil {
		t.Fatal(err)
	}
	a, b := start(t, "anna", a.home), start(t, "copy", filepath.Join(copied, "home"))
	if a.id != b.id {
		t.Fatal("no copy")
	}
	for _, w := range []*world{a, b} {
		w.until("the copy is noticed", func() bool { return slices.Contains(w.codes(), doctor.TwinSelf) })
		s, err := w.Self(t.Context())
		if err != nil || !slices.ContainsFunc(s.Health, func(h discovery.Health) bool { return h.Service == "twin" }) {
			t.Errorf("%+v, %v", s.Health, err)
		}
	}
}

// TestLearnedOfTwins: a computer that took the place of another one is no twin; two that take turns are.
func TestLearnedOfTwins(t *testing.T) {
	id := discovery.DeviceID{2}
	l := newLearned(discovery.DeviceID{1}, "me")
	for i, step := range []struct {
		install string
		twin    bool
	}{{"old", false}, {"old", false}, {"new", false}, {"new", false}, {"old", true}, {"new", true}} {
		l.meet(id, wire.Hello{Install: step.install})
		if _, twin := l.of(id); twin != step.twin {
			t.Errorf("step %d: %v", i, twin)
		}
	}
	if l.own(wire.Hello{Install: "me"}) || l.hasTwin() {
		t.Error("this device itself is taken for a copy")
	}
	if !l.own(wire.Hello{Install: "other"}) || !l.hasTwin() {
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
	l := newLearned(discovery.DeviceID{1}, "me")
	for i := range 3 * maxLearned {
		id := discovery.DeviceID{byte(i), byte(i >> 8), 7}
		l.hear(discovery.Sighting{Source: discovery.FromMDNS, IDPrefix: mdns.IDPrefix(id)})
		l.meet(id, wire.Hello{})
		l.failed(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 47470), id, transfer.ErrUnsupported)
		l.announced(discovery.Sighting{Source: discovery.FromMDNS, Instance: mdns.NewLabel(), Newer: true})
	}
	if len(l.heard) > maxLearned || len(l.met) > maxLearned || len(l.newer.at) > maxLearned || len(l.newer.known) > maxLearned || len(l.newer.told) > maxLearned {
		t.Errorf("%d heard, %d met, %d, %d and %d newer", len(l.heard), len(l.met), len(l.newer.at), len(l.newer.known), len(l.newer.told))
	}
}

func TestChecksAreFew(t *testing.T) {
	var c checks
	one, ask, mine := c.begin(discovery.DeviceID{1})
	if !ask || !mine {
		t.Error("the first is not made")
	}
	if again, ask, mine := c.begin(discovery.DeviceID{1}); ask || mine || again != one {
		t.Error("a second one is made while the first runs")
	}
	c.end(one)
	if again, _, mine := c.begin(discovery.DeviceID{1}); mine || again != one {
		t.Error("a second one is made at once")
	}
	one.at = time.Now().Add(-checkAgain)
	if _, _, mine := c.begin(discovery.DeviceID{1}); !mine {
		t.Error("no second one is made later")
	}
	made := 0
	for i := range 3 * maxChecks {
		x, _, mine := c.begin(discovery.DeviceID{byte(i), byte(i >> 8), 7})
		if mine {
			made++
		} else if <-x.done; x.dial != wire.DialNowhere {
			t.Errorf("a device that was not dialled is told %q", x.dial)
		}
	}
	if len(c.list) > maxChecks || made >= allChecks {
		t.Errorf("%d are remembered, %d more are made", len(c.list), made)
	}
}

func TestReachOf(t *testing.T) {
	if r := reachOf(syscall.EHOSTUNREACH, 10*time.Millisecond); r != doctor.Rejected {
		t.Errorf("at once: %s", r)
	}
	if r := reachOf(syscall.EHOSTUNREACH, 3*time.Second); r != doctor.Unreachable {
		t.Errorf("after a search: %s", r)
	}
	if r := reachOf(syscall.ECONNREFUSED, 0); r != doctor.Refused {
		t.Errorf("refused: %s", r)
	}
	if r := reachOf(os.ErrDeadlineExceeded, knockTime); r != doctor.TimedOut {
		t.Errorf("nothing: %s", r)
	}
}

func TestInputChain(t *testing.T) {
	const rules = "table ip nat {\n\tchain post {\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n\t}\n}\n" +
		"table inet firewall {\n\tchain way_in {\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n}\n"
	if got := inputChain(rules); got != "inet firewall way_in" {
		t.Errorf("%q", got)
	}
	if got := inputChain(strings.SplitAfter(rules, "}\n}\n")[0]); got != "" {
		t.Errorf("no rules for what comes in: %q", got)
	}
}
