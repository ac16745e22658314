package viewmodel

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"

	"porchlight/app/config"
	"porchlight/app/doctor"
	"porchlight/app/store"
	"porchlight/assets"
	"porchlight/discovery"
	"porchlight/discovery/identity"
)

func TestDoctor(t *testing.T) {
	f := newFake()
	f.findings = []doctor.Finding{
		{Code: doctor.BlockedHere, Level: doctor.Trouble, Params: map[string]string{"Name": "bo", "Port": "47470"}, Fix: []string{"one", "two"}, Brief: true},
		{Code: doctor.Nobody, Level: doctor.Hint},
		{Code: doctor.ClockGood, Level: doctor.Good},
	}
	s := run(t, f, "en")
	if s.Doctor.Summary() != s.Words.Text("doctor.busy") || len(s.Doctor.Rows()) != 0 {
		t.Error("it has looked before anybody asked")
	}
	s.Nav.Go(Place{Page: PageDoctor})
	until(t, "it has looked", func() bool { return len(s.Doctor.Rows()) == 3 && !s.Doctor.Busy() })
	if got := s.Doctor.Summary(); got != "1 thing keeps computers apart." {
		t.Error(got)
	}
	rows := s.Doctor.Rows()
	for i, want := range []DoctorRow{{Level: doctor.Trouble, Icon: "careful", Fix: "one\ntwo"}, {Level: doctor.Hint, Icon: "info"}, {Level: doctor.Good, Icon: "check"}} {
		r := rows[i]
		if r.Level != want.Level || r.Icon != want.Icon || r.Fix != want.Fix || r.Text == "" || (r.Do == "") != (r.Level == doctor.Good) || (r.Note == "") != (r.Fix == "") {
			t.Errorf("%+v", r)
		}
	}
	if r := s.Doctor.Report(); !strings.Contains(r, "[trouble] Neighbours cannot reach this computer: bo tried.") || !strings.Contains(r, "    two\n    This holds until the computer is started again.") {
		t.Error(r)
	}
	f.change(func() { f.findings = f.findings[2:] })
	s.Reload()
	until(t, "it has looked again", func() bool { return s.Doctor.Summary() == "Nothing is wrong here." })
	s.Doctor.Copied()
	if n := s.Notices.Now(); n.Tone != Good || n.Text == "" {
		t.Errorf("%+v", n)
	}
	f.change(func() { f.fails = errDisk })
	s.Doctor.Check()
	until(t, "it says that it could not look", func() bool { return s.Notices.Now().Tone == Bad })
	if len(s.Doctor.Rows()) != 1 || s.Doctor.Busy() {
		t.Error("what was found before is gone")
	}
}

// What it said on another network, or with other neighbours, is not left standing.
func TestDoctorFollows(t *testing.T) {
	f := newFake()
	s := run(t, f, "en")
	s.Nav.Go(Place{Page: PageDoctor})
	until(t, "it has looked", func() bool { return s.Doctor.Summary() == "Nothing is wrong here." })
	for what, alter := range map[string]func(){
		"the network":  func() { f.self.Network = discovery.Public },
		"an address":   func() { f.self.Addresses = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.7:47470")} },
		"who is there": func() { f.peers = []discovery.Peer{{ID: device(2), State: discovery.Online}} },
	} {
		f.change(func() {
			alter()
			f.findings = append(f.findings, doctor.Finding{Code: doctor.Nobody, Level: doctor.Hint})
		})
		f.mu.Lock()
		n := len(f.findings)
		f.mu.Unlock()
		until(t, "with "+what+" it has looked again", func() bool { return len(s.Doctor.Rows()) == n && !s.Doctor.Busy() })
	}
	s.Nav.Go(Place{Page: PageShares})
	f.change(func() { f.self.Network, f.findings = discovery.Home, nil })
	until(t, "the change is known", func() bool { return s.core.now().self.Network == discovery.Home })
	if s.Doctor.Busy() || len(s.Doctor.Rows()) != 3 {
		t.Error("it looks again though nobody sees it")
	}
	s.Nav.Go(Place{Page: PageDoctor})
	until(t, "it looks again when somebody does", func() bool { return len(s.Doctor.Rows()) == 0 && !s.Doctor.Busy() })
}

func TestDoctorOfACopy(t *testing.T) {
	f := newFake()
	f.findings = []doctor.Finding{
		{Code: doctor.TwinSelf, Level: doctor.Trouble, Fix: []string{"porchlight identity new --yes"}},
		{Code: doctor.Service, Level: doctor.Trouble, Params: map[string]string{"Service": "store-jobs", "Why": "/h/aside"}},
		{Code: doctor.Service, Level: doctor.Trouble, Params: map[string]string{"Service": "odd", "Why": "because"}},
	}
	s := run(t, f, "en")
	s.Doctor.Check()
	until(t, "it has looked", func() bool { return len(s.Doctor.Rows()) == 3 && !s.Doctor.Busy() })
	rows := s.Doctor.Rows()
	if r := rows[0]; r.Self.Label != "Make this computer a new one" || r.Self.Title == "" || r.Self.Text == "" || !strings.Contains(s.Doctor.Report(), "identity new --yes") {
		t.Errorf("%+v", r)
	}
	if r := rows[1]; !strings.HasPrefix(r.Text, "Some transfers may be lost") || !strings.Contains(r.Text, "/h/aside") || r.Self != (Remedy{}) {
		t.Errorf("%+v", r)
	}
	if r := rows[2]; !strings.Contains(r.Text, "odd (because)") {
		t.Errorf("%+v", r)
	}
	f.change(func() { f.findings = nil })
	s.Doctor.MakeNew()
	until(t, "it is done and looked again", func() bool { return f.called("new identity") && len(s.Doctor.Rows()) == 0 && !s.Doctor.Busy() })
	if n := s.Notices.Now(); n.Tone != Good || n.Text != s.Words.Text("doctor.new.done") {
		t.Errorf("%+v", n)
	}
	f.change(func() { f.fails = errDisk })
	s.Doctor.MakeNew()
	until(t, "it says that it could not", func() bool { return s.Notices.Now().Tone == Bad })
}

func TestNewerNeighbours(t *testing.T) {
	online := discovery.Peer{ID: device(2), Name: "bo", Workgroup: "WORKGROUP", State: discovery.Online}
	too := online
	too.Newer = true
	away := discovery.Peer{ID: device(3), Name: "carl", Workgroup: "WORKGROUP", State: discovery.Offline, LastSeen: time.Now(), Newer: true}
	near := discovery.Peer{Name: "dora", Workgroup: "WORKGROUP", State: discovery.Candidate, Newer: true}
	for _, tt := range []struct {
		name   string
		peers  []discovery.Peer
		line   string
		states []string // of the computers
	}{
		{"nobody", []discovery.Peer{online}, "", []string{"Here"}},
		{"one that understands this one", []discovery.Peer{too}, "Some neighbours run a newer version of Porchlight. Everything goes on as before.", []string{"Here"}},
		{"one that was known", []discovery.Peer{online, away}, "A neighbour runs a newer Porchlight. Update this computer to see its folders.", []string{"Here", "Runs a newer Porchlight"}},
		{"two", []discovery.Peer{too, away, near}, "2 neighbours run a newer Porchlight. Update this computer to see their folders.", []string{"Here", "Runs a newer Porchlight", "Runs a newer Porchlight"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake()
			f.peers = tt.peers
			s := run(t, f, "en")
			if got := s.Neighbours.Newer(); got != tt.line {
				t.Errorf("%q", got)
			}
			states := map[string]int{}
			for _, c := range s.Neighbours.Groups()[0].Computers {
				states[c.State]++
			}
			want := map[string]int{}
			for _, state := range tt.states {
				want[state]++
			}
			if !maps.Equal(states, want) {
				t.Errorf("%v", states)
			}
		})
	}
	f := newFake()
	f.peers = []discovery.Peer{away}
	s := run(t, f, "en")
	if p, ok := s.Neighbours.Page(away.ID); !ok || p.Empty != "carl runs a newer Porchlight. Update this computer to see its folders." || p.Loading || len(p.Offers) > 0 {
		t.Errorf("%+v", p)
	}
}

// TestLossesAreSaid: what was lost is said at the start, the worst of it, with the way to the rest.
func TestLossesAreSaid(t *testing.T) {
	f := newFake()
	f.self.Health = []discovery.Health{{Service: "mdns", Trouble: "x"}, {Service: "store", Trouble: "/h/aside"}, {Service: "store-jobs", Trouble: "/h/aside"}}
	s := run(t, f, "en")
	n := s.Notices.Now()
	if n.Tone != Bad || !strings.HasPrefix(n.Text, "Some transfers may be lost") || n.Do == nil {
		t.Fatalf("%+v", n)
	}
	n.Do()
	if s.Nav.Place().Page != PageSettings || len(s.Settings.Troubles()) != 3 {
		t.Errorf("%+v %q", s.Nav.Place(), s.Settings.Troubles())
	}
	quiet := newFake()
	quiet.self.Health = f.self.Health[:1]
	if n := run(t, quiet, "en").Notices.Now(); n.Text != "" {
		t.Errorf("%+v", n)
	}
}

func TestWhyAHomeCannotBeOpened(t *testing.T) {
	words, err := assets.Load("en")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		err  error
		says string
	}{
		{config.ErrNewer, "newer version"}, {store.ErrNewer, "newer version"}, {config.ErrDamaged, "settings.json.bak"}, {store.ErrNoAccess, "may not write"},
		{identity.ErrMissing, "identity new --yes"}, {identity.ErrDamaged, "identity new --yes"},
	} {
		s := New(Config{Words: words, Connect: func(context.Context) (Engine, error) { return nil, fmt.Errorf("open: %w", tt.err) }})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = s.Run(ctx) }()
		until(t, "it says why", func() bool { return s.Failure() != "" })
		if got := s.Failure(); !strings.Contains(got, tt.says) {
			t.Errorf("%v: %q", tt.err, got)
		}
		cancel()
		<-ended
	}
}
