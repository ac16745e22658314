package presence

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"porchlight/discovery"
)

// hint is an announcement of a device, sent by somebody, with addresses.
func hint(id discovery.DeviceID, label int, from string, a ...string) discovery.Sighting {
	s := discovery.Sighting{Instance: fmt.Sprintf("%016d", label), IDPrefix: prefix(id), Name: "Anna", Source: discovery.FromMDNS, Addresses: addrs(a...)}
	if from != "" {
		s.From = netip.MustParseAddr(from)
	}
	return s
}

// TestForgedHints: for an hour somebody announces a known device that is away. Each address is dialled once in ten minutes.
func TestForgedHints(t *testing.T) {
	c := newClock(t)
	anna, real := device(1), addrs("10.0.0.1:47470")[0]
	c.Prove(Proof{ID: anna, Name: "Anna", Address: real, Reached: true})
	kept := c.store[anna]
	liar, victim := addrs("10.0.0.66:47470")[0], addrs("10.0.0.7:50000")[0]
	dials := map[netip.AddrPort][]time.Time{}
	for i := range 3600 {
		c.now = c.now.Add(time.Second)
		c.Expire()
		for k, s := range []discovery.Sighting{
			hint(anna, 2*i, "10.0.0.66", liar.String()), hint(anna, 2*i+1, "10.0.0.66", victim.String(), "10.0.0.7:22", "10.0.0.7:445"),
		} {
			target, dial := c.See(s)
			if !dial || !target.Known {
				t.Fatalf("second %d, hint %d: %+v, %v", i, k, target, dial)
			}
		}
		all := c.Dialable(anna)
		if all[0] != real {
			t.Fatalf("where it was is not dialled first: %v", all)
		}
		for _, a := range all[1:] {
			dials[a] = append(dials[a], c.now)
			how := Refused // nobody there; at the other address there is another device
			if a == liar {
				how = Another
			}
			c.Failed(a, anna, how)
		}
		c.Failed(real, anna, Refused)
	}
	for a, at := range dials {
		if a != liar && a != victim {
			t.Errorf("%v was dialled", a)
		}
		for i := range at[1:] {
			if d := at[i+1].Sub(at[i]); d < barredFor {
				t.Errorf("%v was dialled again after %v", a, d)
			}
		}
		if n := len(at); n < 5 || n > 6 {
			t.Errorf("%v was dialled %d times in an hour", a, n)
		}
	}
	if len(dials) != 2 {
		t.Errorf("dialled %v", dials)
	}
	if fmt.Sprint(kept) != fmt.Sprint(c.store[anna]) {
		t.Errorf("stored %+v, before %+v", c.store[anna], kept)
	}
}

func TestWhoMaySpeakForAnAddress(t *testing.T) {
	anna, bo := device(1), device(2)
	a := addrs("10.0.0.9:47470")[0]
	for _, tt := range []struct {
		name     string
		answered bool // somebody else did
		speak    func(c *clock)
		want     bool
	}{
		{"nobody", false, func(*clock) {}, false},
		{"an announcement from there", false, func(c *clock) { c.See(hint(anna, 2, "10.0.0.9", a.String())) }, false},
		{"gossip", false, func(c *clock) {
			c.See(discovery.Sighting{ID: anna, Addresses: addrs(a.String()), Source: discovery.FromGossip})
		}, false},
		{"the device, inside TLS", false, func(c *clock) { c.Prove(Proof{ID: anna, Name: "Anna", Address: a}) }, true},
		{"the device, inside TLS, where another one was", true, func(c *clock) { c.Prove(Proof{ID: anna, Name: "Anna", Address: a}) }, true},
		{"it was reached", false, func(c *clock) { c.Reached(a, anna) }, true},
		{"another device, inside TLS, from elsewhere", false, func(c *clock) { c.Prove(Proof{ID: bo, Name: "Bo", Address: addrs("10.0.0.8:47470")[0]}) }, false},
		{"time", false, func(c *clock) { c.now = c.now.Add(barredFor) }, true},
		{"a little time", false, func(c *clock) { c.now = c.now.Add(barredFor - time.Second) }, false},
		{"the user", false, func(c *clock) { c.Forgive() }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock(t)
			c.Prove(Proof{ID: anna, Name: "Anna"})
			if _, dial := c.See(hint(anna, 1, "10.0.0.9", a.String())); !dial {
				t.Fatal("a new address is not dialled")
			}
			c.Failed(a, anna, map[bool]Miss{false: Refused, true: Another}[tt.answered])
			if slices.Contains(c.Dialable(anna), a) {
				t.Fatal("dialled again at once")
			}
			tt.speak(c)
			if got := slices.Contains(c.Dialable(anna), a); got != tt.want {
				t.Errorf("dialled again: %v", got)
			}
		})
	}
}

// A device that is somewhere else than others said is found where it is: who answered keeps the door open for itself.
func TestALieAboutOneIsNoLieAboutAnother(t *testing.T) {
	c := newClock(t)
	anna, bo := device(1), device(2)
	a := addrs("10.0.0.9:47470")[0]
	c.Prove(Proof{ID: anna, Name: "Anna"})
	c.See(hint(anna, 1, "10.0.0.66", a.String()))
	c.Failed(a, anna, Another)
	if target, dial := c.See(hint(bo, 2, "10.0.0.9", a.String())); !dial || target.Addresses[0] != a {
		t.Errorf("bo is not dialled because somebody said that anna was there: %+v", target)
	}
	c.Prove(Proof{ID: bo, Name: "Bo"})
	if !slices.Contains(func() []netip.AddrPort { c.See(hint(bo, 2, "10.0.0.9", a.String())); return c.Dialable(bo) }(), a) {
		t.Error("known, and not dialled")
	}
}

// Nobody has met a device that does not answer: its own announcements have it tried again, others' have not.
func TestStranger(t *testing.T) {
	c := newClock(t)
	own, told := addrs("10.0.0.9:47470")[0], addrs("10.0.0.7:47470")[0]
	counts := map[netip.AddrPort]int{}
	for i := range 600 {
		c.now = c.now.Add(time.Second)
		target, _ := c.See(hint(device(5), i%8, "10.0.0.9", own.String(), told.String()))
		for _, a := range target.Addresses {
			counts[a]++
			c.Failed(a, discovery.DeviceID{}, Refused)
		}
		c.Expire()
	}
	if counts[told] != 1 || counts[own] < 5 || counts[own] > 16 {
		t.Errorf("in ten minutes: %v", counts)
	}
}

func TestForgivenessHasALimit(t *testing.T) {
	c := newClock(t)
	anna, dials := device(1), 0
	c.Prove(Proof{ID: anna, Name: "Anna"})
	for i := range 600 { // the network changes every second
		c.now = c.now.Add(time.Second)
		c.Forgive()
		c.See(hint(anna, i, "10.0.0.66", "10.0.0.66:47470"))
		for _, a := range c.Dialable(anna) {
			dials++
			c.Failed(a, anna, Another)
		}
	}
	if most := forgivesAll + int(10*time.Minute/forgiveEvery) + 1; dials > most || dials < 2 {
		t.Errorf("%d dials in ten minutes, which may be %d", dials, most)
	}
}

func TestPortsOfOneComputer(t *testing.T) {
	c := newClock(t)
	dialled := 0
	for i := range 1000 {
		s := hint(device(5), i%8, "10.0.0.9", fmt.Sprintf("10.0.0.9:%d", 2000+i))
		target, _ := c.See(s)
		for _, a := range target.Addresses {
			dialled++
			c.Failed(a, discovery.DeviceID{}, Refused)
		}
	}
	if dialled != maxPorts {
		t.Errorf("%d ports of one computer tried", dialled)
	}
}

func TestOneSenderNamesFewOthers(t *testing.T) {
	c := newClock(t)
	anna := device(1)
	c.Prove(Proof{ID: anna, Name: "Anna"})
	named := map[netip.AddrPort]bool{}
	for i := range 5000 {
		target, _ := c.See(hint(anna, i, "10.0.0.66", fmt.Sprintf("10.3.%d.%d:47470", i/250, 1+i%250)))
		for _, a := range target.Addresses {
			named[a] = true
		}
	}
	if len(named) != tellsBurst {
		t.Errorf("%d addresses", len(named))
	}
	if target, dial := c.See(hint(anna, 1, "10.4.0.1", "10.4.0.1:47470", "10.4.0.2:47470")); !dial || len(target.Addresses) < 2 || target.Addresses[0] != addrs("10.4.0.1:47470")[0] {
		t.Errorf("who comes after a liar: %+v", target)
	}
}

func (c *clock) claimed() (out []string) {
	for k := range c.candidates {
		out = append(out, k)
	}
	return out
}

func TestOneSenderAnnouncesFewStrangers(t *testing.T) {
	c := newClock(t)
	for i := range 5000 {
		c.See(hint(discovery.DeviceID{1, byte(i), byte(i >> 8)}, i, "10.0.0.66", "10.0.0.66:47470"))
	}
	if n := len(c.claimed()); n != maxClaims {
		t.Errorf("%d candidates of one sender", n)
	}
	c.See(hint(device(7), 9999, "10.0.0.9", "10.0.0.9:47470"))
	if n := len(c.claimed()); n != maxClaims+1 {
		t.Error("a flood hides who comes after it")
	}
}

func TestDoorsAreBounded(t *testing.T) {
	d := newDoors()
	now := time.Unix(1e9, 0)
	for i := range 2 * maxBarred {
		now = now.Add(time.Millisecond)
		d.bar(door{at: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), uint16(1024+i%7))}, Refused, now)
		d.told(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), now)
	}
	sum := 0
	for _, n := range d.ports {
		sum += n
	}
	if len(d.barred) > maxBarred || len(d.senders) > maxSenders || sum != len(d.barred) {
		t.Errorf("%d barred, %d ports, %d senders", len(d.barred), sum, len(d.senders))
	}
	d.expire(now.Add(barredFor))
	if len(d.barred) != 0 || len(d.ports) != 0 {
		t.Errorf("%d barred, %d ports for ever", len(d.barred), len(d.ports))
	}
}

// The limits hold when this computer's own identity is announced.
func TestKnock(t *testing.T) {
	c := newClock(t)
	self := device(9)
	a := addrs("10.0.0.66:47470")[0]
	dials := 0
	for i := range 600 {
		c.now = c.now.Add(time.Second)
		if target, dial := c.Knock(hint(self, i, "10.0.0.66", a.String(), "10.0.0.66:22")); dial {
			dials += len(target.Addresses)
			c.Failed(a, discovery.DeviceID{}, Refused)
		}
	}
	if dials != 1 {
		t.Errorf("%d dials in ten minutes", dials)
	}
}

// TestLooseCable: an address from which a device announces itself, and where nothing answers, is tried again soon; one that
// somebody else named, or where a computer refuses, is not.
func TestLooseCable(t *testing.T) {
	anna, a := device(1), addrs("10.0.0.1:47470")[0]
	for _, tt := range []struct {
		name, from string
		how        Miss
		after      []time.Duration // from one failure to the next, at which it is dialled again
	}{
		{"its own", "10.0.0.1", Silent, []time.Duration{silentFirst, 2 * silentFirst, 4 * silentFirst, 8 * silentFirst, 16 * silentFirst, silentMost, silentMost}},
		{"its own, refused", "10.0.0.1", Refused, []time.Duration{barredFor, barredFor}},
		{"named by another", "10.0.0.9", Silent, []time.Duration{barredFor, barredFor}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock(t)
			c.Prove(Proof{ID: anna, Name: "Anna"})
			c.See(hint(anna, 1, tt.from, a.String()))
			for _, wait := range tt.after {
				c.Failed(a, anna, tt.how)
				c.now = c.now.Add(wait - time.Millisecond)
				if slices.Contains(c.Dialable(anna), a) {
					t.Fatalf("dialled before %v are over", wait)
				}
				if c.now = c.now.Add(time.Millisecond); !slices.Contains(c.Dialable(anna), a) {
					t.Fatalf("not dialled after %v", wait)
				}
			}
		})
	}
}

// TestManyOldAddresses: of a device that changed its address often, the one it has now is still among those dialled.
func TestManyOldAddresses(t *testing.T) {
	c := newClock(t)
	anna := device(1)
	for i := range 2 * maxAddrs {
		c.Prove(Proof{ID: anna, Name: "Anna", Address: addrs(fmt.Sprintf("10.0.0.%d:47470", i+1))[0], Reached: true})
	}
	c.See(hint(anna, 1, "10.0.0.99", "10.0.0.99:47470"))
	if all := c.Dialable(anna); len(all) > maxAddrs || all[0] != addrs(fmt.Sprintf("10.0.0.%d:47470", 2*maxAddrs))[0] || !slices.Contains(all, addrs("10.0.0.99:47470")[0]) {
		t.Errorf("dialled: %v", all)
	}
}
