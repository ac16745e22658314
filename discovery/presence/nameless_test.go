package presence

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"porchlight/discovery"
)

// hidden is the announcement of a device that does not say who it is, from its own address.
func hidden(label, at string) discovery.Sighting {
	s := discovery.Sighting{Instance: label, Tags: "of no concern here", Addresses: addrs(at), Source: discovery.FromMDNS}
	s.From = s.Addresses[0].Addr()
	return s
}

// TestStrangersAreNotDialled: whom this device does not look for is noted and never dialled, unless it is known.
func TestStrangersAreNotDialled(t *testing.T) {
	c := newClock(t)
	s := hidden("aaaaaaaaaaaaaaaa", "10.0.0.1:47470")
	s.Stranger = true
	named := seen("bbbbbbbbbbbbbbbb", "Bob-PC", "10.0.0.2:47470")
	named.Stranger = true
	for range 10 {
		for _, s := range []discovery.Sighting{s, named} {
			if target, dial := c.See(s); dial {
				t.Errorf("dialled: %+v", target)
			}
		}
		c.now = c.now.Add(time.Minute)
	}
	if all := c.Snapshot(); len(all) != 1 || all[0].Name != "Bob-PC" {
		t.Errorf("shown: %+v", all)
	}
	s.Stranger = false // its tags are known now
	if target, dial := c.See(s); !dial || target.Known {
		t.Errorf("not dialled at once: %+v", target)
	}
	c.Prove(Proof{ID: device(1), Name: "Bob-PC"})
	named.IDPrefix = prefix(device(1))
	if target, dial := c.See(named); !dial || !target.Known || target.ID != device(1) {
		t.Errorf("a known device: %+v, %v", target, dial)
	}
}

// TestMetByALabel: the announcements of a device without a name are its own once it was dialled because of them, and while it is
// there under another label, too; nobody dials again and again who is there.
func TestMetByALabel(t *testing.T) {
	c := newClock(t)
	id, at := device(1), addrs("10.0.0.1:47470")[0]
	first := hidden("aaaaaaaaaaaaaaaa", at.String())
	if target, dial := c.See(first); !dial || target.Known {
		t.Fatalf("%+v, %v", target, dial)
	}
	c.Prove(Proof{ID: id, Name: "Anna", Address: at, Reached: true})
	c.Met(first.Instance, id)
	c.SetState(id, discovery.Online)
	second := hidden("bbbbbbbbbbbbbbbb", at.String())
	for range 3 {
		for _, s := range []discovery.Sighting{first, second} {
			if target, dial := c.See(s); dial || !target.Known || target.ID != id {
				t.Errorf("%s: %+v, %v", s.Instance, target, dial)
			}
		}
		c.now = c.now.Add(time.Minute)
	}
	other := hidden("cccccccccccccccc", "10.0.0.7:47470")
	other.Addresses = append(other.Addresses, at) // says so, and comes from elsewhere
	if target, dial := c.See(other); !dial || target.Known {
		t.Errorf("somebody else's announcement: %+v, %v", target, dial)
	}
	c.SetState(id, discovery.Offline)
	c.now = c.now.Add(time.Minute) // the other one's claim had its dial
	if target, dial := c.See(first); !dial || !target.Known || target.ID != id {
		t.Errorf("away, and announced: %+v, %v", target, dial)
	}
	if target, dial := c.See(second); !dial || target.Known {
		t.Errorf("away, and a new label: %+v, %v", target, dial)
	}
	c.Met(second.Instance, id)
	third := hidden("dddddddddddddddd", at.String())
	if _, dial := c.See(third); !dial {
		t.Error("a friend with a new label has to wait")
	}
	c.Met("never heard of", id)
	c.Met(third.Instance, device(3)) // not known
	if err := c.Forget(id); err != nil {
		t.Fatal(err)
	}
	c.now = c.now.Add(2 * time.Second)
	if target, dial := c.See(second); !dial || target.Known {
		t.Errorf("forgotten: %+v, %v", target, dial)
	}
	goodbye := discovery.Sighting{Instance: second.Instance, Gone: true, Source: discovery.FromMDNS}
	if c.See(goodbye); c.candidates[second.Instance] != nil {
		t.Error("a goodbye changes nothing")
	}
}

// TestWhoDoesNotSayItsName: what was known of a device stays when it does not say its name any more.
func TestWhoDoesNotSayItsName(t *testing.T) {
	c := newClock(t)
	id := device(4)
	c.Prove(Proof{ID: id})
	if p, err := c.Get(id); err != nil || p.Name != "" || p.FirstName != "" {
		t.Errorf("%+v, %v", p, err)
	}
	c.Prove(Proof{ID: id, Name: "Dora", Workgroup: "WORKGROUP"})
	c.Prove(Proof{ID: id})
	if p, err := c.Get(id); err != nil || p.Name != "Dora" || p.FirstName != "Dora" || p.Workgroup != "" {
		t.Errorf("%+v, %v", p, err)
	}
	c.Renamed(id, "Emil", "HOME")
	c.Renamed(id, "", "")
	if p, err := c.Get(id); err != nil || p.Name != "Emil" || p.FirstName != "Dora" || p.Workgroup != "" {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestInviters: invitations are found by their slot, those heard of first, for as long as they are announced.
func TestInviters(t *testing.T) {
	c := newClock(t)
	id := device(1)
	c.Prove(Proof{ID: id, Name: "Anna", Workgroup: "WORKGROUP", Address: addrs("10.0.0.1:47470")[0], Reached: true})
	known := hidden("aaaaaaaaaaaaaaaa", "10.0.0.1:47470")
	known.IDPrefix, known.Slot, known.Stranger = prefix(id), "27", true
	changes := c.changes
	c.See(known)
	if all := c.Snapshot(); c.changes == changes || len(all) != 1 || !all[0].Inviting {
		t.Errorf("shown: %+v after %d changes", all, c.changes-changes)
	}
	for i := range 6 {
		c.now = c.now.Add(time.Second)
		s := hidden(fmt.Sprintf("bbbbbbbbbbbbbbb%d", i), fmt.Sprintf("10.0.0.%d:47470", 10+i))
		s.Addresses = append(addrs("10.0.9.9:47470", "10.0.9.8:47470", "10.0.9.7:47470"), s.Addresses...)
		s.Slot, s.Stranger = "27", true
		if i == 5 {
			s.Slot = "28"
		}
		c.See(s)
	}
	got := c.Inviters("27", 4)
	want := []string{"10.0.0.1", "10.0.0.10", "10.0.0.11", "10.0.0.12"}
	var first []string
	for _, target := range got {
		first = append(first, target.Addresses[0].Addr().String())
		if len(target.Addresses) > maxInviterAddrs || target.Known || !target.ID.IsZero() {
			t.Errorf("%+v", target)
		}
	}
	if !slices.Equal(first, want) || len(c.Inviters("29", 4)) != 0 || len(c.Inviters("", 4)) != 0 {
		t.Errorf("found %v", first)
	}
	if slots := c.Slots(); len(slots) != 2 || !slices.Contains(slots, "27") || !slices.Contains(slots, "28") {
		t.Errorf("slots %v", slots)
	}
	known.Slot, known.At = "", c.now // the invitation is over
	changes = c.changes
	if c.See(known); c.changes == changes || c.Snapshot()[0].Inviting {
		t.Error("the end of an invitation does not show")
	}
	c.now = c.now.Add(CandidateLife + time.Second)
	if c.Expire(); len(c.Slots()) != 0 || len(c.Inviters("27", 4)) != 0 {
		t.Error("invitations outlive their announcements")
	}
}
