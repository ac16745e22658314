package mdns

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"porchlight/discovery"
)

// TestADeviceWithoutAName: one in private workgroups only is heard with its tags and its invitation, and with nothing else.
func TestADeviceWithoutAName(t *testing.T) {
	looker := start(t, Record{})
	r := Record{Instance: NewLabel(), Port: 40011, Tags: fourTags, Flags: AcceptsManual}
	n := start(t, r)
	s := looker.wait(t, "a device without a name", alive(r.Instance))
	if s.Tags != fourTags || s.Slot != "" || s.Name+s.Workgroup+s.IDPrefix != "" {
		t.Errorf("%+v", s)
	}
	r.Slot = "07"
	if err := n.Update(r); err != nil {
		t.Fatal(err)
	}
	looker.wait(t, "its invitation", func(s discovery.Sighting) bool { return s.Instance == r.Instance && s.Slot == "07" })
	r.Slot = "7"
	if n.Update(r) == nil {
		t.Error("half a slot is announced")
	}
}

// TestOnlyTheLabelIsSaid: every answer of a device without a name, to any question, and its announcements are made of its label, its
// tags, its addresses and what all devices say.
func TestOnlyTheLabelIsSaid(t *testing.T) {
	r := Record{Instance: NewLabel(), Port: 47470, Tags: fourTags, Slot: "27", Flags: AcceptsManual}
	hello, err := hello(r, addrs("192.0.2.7"))
	if err != nil {
		t.Fatal(err)
	}
	bye, err := goodbye(r)
	if err != nil {
		t.Fatal(err)
	}
	packets := [][]byte{hello, bye}
	for _, name := range []string{services, service, r.Instance + "." + service, r.Instance + "." + local} {
		all := answers{record: r, addrs: addrs("192.0.2.7"), class: dns.ClassINET}.to(dns.Question{Name: name, Qtype: dns.TypeANY, Qclass: dns.ClassINET})
		if name == services {
			all = answers{record: r}.to(dns.Question{Name: name, Qtype: dns.TypePTR, Qclass: dns.ClassINET})
		}
		if len(all) == 0 {
			t.Errorf("no answer about %s", name)
		}
		packets = append(packets, packed(t, all...))
	}
	for _, p := range packets {
		var m dns.Msg
		if err := m.Unpack(p); err != nil {
			t.Fatal(err)
		}
		for _, rr := range m.Answer {
			switch v := rr.(type) {
			case *dns.PTR:
				if v.Ptr != r.Instance+"."+service && v.Ptr != service {
					t.Error(v)
				}
			case *dns.SRV:
				if v.Target != r.Instance+"."+local || v.Port != 47470 {
					t.Error(v)
				}
			case *dns.TXT:
				for _, s := range v.Txt {
					if s != "v=1" && s != "f=1" && s != "t="+fourTags && s != "j=27" && s != "a=192.0.2.7" {
						t.Errorf("said: %q", s)
					}
				}
			case *dns.A:
			default:
				t.Error("said:", rr)
			}
		}
		if len(m.Ns)+len(m.Extra) > 0 {
			t.Error("more than answers")
		}
	}
}

// TestTheLabelBeforeStaysOnItsNetwork: a device that has another label on another network takes the old one back where it was said,
// and never says it on the new one.
func TestTheLabelBeforeStaysOnItsNetwork(t *testing.T) {
	looker := start(t, Record{})
	looker.wait0(t)
	before, after := record("Anna", 40012), record("Anna", 40012)
	me := &self{}
	me.set(before)
	a := newAnnouncer(looker.cfg.Log, me, newHealth(), &responder{})
	nets := make(chan network)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { a.run(ctx, nets) })
	defer wg.Wait()
	defer cancel()
	nets <- network{links: []link{loopback(t)}}
	looker.wait(t, "the first label", alive(before.Instance))
	me.set(after)
	nets <- network{} // the cable is pulled
	looker.wait(t, "the end of the first label, where it was known", gone(before.Instance))
	told := len(looker.sightings())
	nets <- network{links: []link{loopback(t)}}
	looker.wait(t, "the second label", alive(after.Instance))
	for _, s := range looker.sightings()[told:] {
		if s.Instance == before.Instance && !s.Gone {
			t.Errorf("the first label was said again: %+v", s)
		}
	}
}

// TestTheOwnerHearsOfANetworkFirst: OnNetworkChange gives a device another label before anything is said on a new network.
func TestTheOwnerHearsOfANetworkFirst(t *testing.T) {
	looker := start(t, Record{})
	looker.wait0(t)
	labels := []string{NewLabel(), NewLabel(), NewLabel()}
	var plugged atomic.Bool
	plugged.Store(true)
	changes := make(chan struct{}, 2)
	var s *Service
	next := 0 // used by OnNetworkChange alone
	s = New(Config{Record: Record{Instance: labels[0], Port: 40013, Tags: fourTags}, Loopback: true,
		Fit: func(string, []netip.Prefix) bool { return plugged.Load() },
		OnNetworkChange: func() {
			next++
			if err := s.Update(Record{Instance: labels[next], Port: 40013, Tags: fourTags}); err != nil {
				t.Error(err)
			}
			changes <- struct{}{}
		}})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	looker.wait(t, "the first label", alive(labels[0]))
	for _, is := range []bool{false, true} {
		plugged.Store(is)
		s.Look()
		select {
		case <-changes:
		case <-time.After(soon):
			t.Fatal("the change of the network is not told")
		}
	}
	looker.wait(t, "the label of the new network", alive(labels[2]))
	looker.wait(t, "the end of the first label", gone(labels[0]))
	if looker.has(alive(labels[1])) {
		t.Error("the label from between the networks was heard")
	}
}

// TestFormerLabelsAreOurs: what comes back of the labels that this device had before is not taken for somebody else.
func TestFormerLabelsAreOurs(t *testing.T) {
	s := &self{}
	var labels []string
	for range 20 {
		labels = append(labels, NewLabel())
		s.set(Record{Instance: labels[len(labels)-1]})
	}
	for i, l := range labels {
		if want := i >= len(labels)-1-maxBefore; s.is(l) != want {
			t.Errorf("label %d of %d: %v", i, len(labels), !want)
		}
	}
	if len(s.before) != maxBefore || s.is("") {
		t.Errorf("%d labels kept", len(s.before))
	}
}
