package presence

import (
	"cmp"
	"net/netip"
	"slices"

	"porchlight/discovery"
)

// maxInviterAddrs is how many addresses of one inviter are worth dialling.
const maxInviterAddrs = 3

// nameless finds the device behind an announcement that does not name it: the one that was dialled because of its label, or one
// that is there right now, at the address the announcement came from. Whoever forges that keeps this device from dialling one
// address more, for as long as it has a living connection there. The caller holds mu.
func (r *Roster) nameless(s discovery.Sighting) *entry {
	if c := r.candidates[s.Instance]; s.Instance != "" && c != nil && !c.id.IsZero() {
		return r.known[c.id]
	}
	if s.Stranger || s.Source != discovery.FromMDNS {
		return nil
	}
	for _, e := range r.known {
		if e.peer.State != discovery.Online || len(e.peer.Addresses) == 0 {
			continue
		}
		if at := e.peer.Addresses[0]; slices.Contains(s.Addresses, at) && (at.Addr() == s.From || !s.From.IsValid()) {
			return e
		}
	}
	return nil
}

// Met notes which device answered that was dialled because of an announcement: from now on whatever comes under its label is of
// that device. Its addresses may be dialled at once again when it has another label. Only for devices that belong to this one:
// others could use it to be dialled without end.
func (r *Roster) Met(instance string, id discovery.DeviceID) {
	r.mu.Lock()
	c := r.candidates[instance]
	shown := false
	if c != nil && r.known[id] != nil {
		shown = !c.proven && c.sighting.Name != "" || c.sighting.Slot != ""
		c.proven, c.id = true, id
		for _, a := range c.sighting.Addresses {
			delete(r.dialed, a)
		}
	}
	r.mu.Unlock()
	if shown {
		r.cfg.OnChange()
	}
}

// inviting returns who announces an open invitation. The caller holds mu.
func (r *Roster) inviting() func(discovery.DeviceID) bool {
	ids, prefixes := map[discovery.DeviceID]bool{}, map[string]bool{}
	for _, c := range r.candidates {
		switch {
		case c.sighting.Slot == "":
		case !c.id.IsZero():
			ids[c.id] = true
		case c.sighting.IDPrefix != "":
			prefixes[c.sighting.IDPrefix] = true
		}
	}
	return func(id discovery.DeviceID) bool { return ids[id] || len(prefixes) > 0 && prefixes[prefix(id)] }
}

// Inviters returns where those are who announce an invitation of this slot, the one heard of first first, at most most of them.
// All of it can be forged: it is for somebody who typed a code, and is asked for nothing but a proof of it.
func (r *Roster) Inviters(slot string, most int) (out []Target) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*candidate
	for _, c := range r.candidates {
		if slot != "" && c.sighting.Slot == slot && len(c.sighting.Addresses) > 0 {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b *candidate) int {
		return cmp.Or(a.first.Compare(b.first), cmp.Compare(a.sighting.Instance, b.sighting.Instance))
	})
	for _, c := range all[:min(len(all), most)] {
		t := Target{Addresses: slices.Clone(c.sighting.Addresses)}
		slices.SortStableFunc(t.Addresses, func(a, b netip.AddrPort) int { return other(a, c) - other(b, c) })
		t.Addresses = t.Addresses[:min(len(t.Addresses), maxInviterAddrs)]
		out = append(out, t)
	}
	return out
}

// other is 0 for the address a candidate was announced from, 1 for the rest.
func other(a netip.AddrPort, c *candidate) int {
	if a.Addr() == c.sighting.From {
		return 0
	}
	return 1
}

// Slots returns the slots of the invitations that are announced.
func (r *Roster) Slots() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.candidates {
		if s := c.sighting.Slot; s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// Nameless returns where those are who announce themselves and do not say who they are, heard of last first, at most most of them.
// It is for somebody who looks for the members of a workgroup that this device is not in, and has something to show them.
func (r *Roster) Nameless(most int) (out []netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*candidate
	for _, c := range r.candidates {
		if !c.proven && c.sighting.Name == "" && c.sighting.IDPrefix == "" && len(c.sighting.Addresses) > 0 {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b *candidate) int {
		return cmp.Or(b.sighting.At.Compare(a.sighting.At), cmp.Compare(a.sighting.Instance, b.sighting.Instance))
	})
	for _, c := range all[:min(len(all), most)] {
		best := slices.Clone(c.sighting.Addresses)
		slices.SortStableFunc(best, func(a, b netip.AddrPort) int { return other(a, c) - other(b, c) })
		out = append(out, best[0])
	}
	return out
}
