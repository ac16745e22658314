package presence

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"porchlight/discovery"
)

// Target is what a sighting makes worth dialling.
type Target struct {
	ID        discovery.DeviceID // whom to expect; zero: whoever answers
	Known     bool               // the device is known: its own connections should try now
	Addresses []netip.AddrPort   // best first
}

// gossipLife is how long an address from gossip is not dialled again.
const gossipLife = 10 * time.Minute

// See notes a sighting and says what to dial because of it, false if nothing.
func (r *Roster) See(s discovery.Sighting) (Target, bool) {
	if s.At.IsZero() {
		s.At = r.cfg.Now()
	}
	if s.Name != "" && discovery.CheckName(s.Name) != nil || s.Workgroup != "" && discovery.CheckName(s.Workgroup) != nil {
		s.Name, s.Workgroup = "", ""
	}
	s.Addresses = usable(s.Addresses, s.Source)
	r.mu.Lock()
	t, dial, changed := r.see(s)
	r.mu.Unlock()
	if changed {
		r.cfg.OnChange()
	}
	return t, dial
}

// see is See with mu held.
func (r *Roster) see(s discovery.Sighting) (t Target, dial, changed bool) {
	if s.ID == r.cfg.Self || s.IDPrefix == prefix(r.cfg.Self) {
		return Target{}, false, false
	}
	if e := r.match(s); e != nil {
		if s.Gone {
			return Target{}, false, r.dropCandidate(s.Instance) // only its own event stream says that a known device left
		}
		e.hints = merge(r.credible(s, e.peer.ID, func(a netip.AddrPort) bool {
			return slices.Contains(e.peer.Addresses, a) || slices.Contains(e.hints, a)
		}), e.hints)
		if s.Instance != "" {
			changed = r.note(s, true)
		}
		t = Target{ID: e.peer.ID, Known: true, Addresses: r.dialable(e)}
		return t, e.peer.State != discovery.Online && len(t.Addresses) > 0, changed
	}
	if s.Gone {
		return Target{}, false, r.dropCandidate(s.Instance)
	}
	if s.Instance != "" {
		if r.claims(s) >= maxClaims {
			return Target{}, false, false
		}
		changed = r.note(s, false)
	}
	if s.Stranger {
		return Target{}, false, changed
	}
	s.Addresses = r.credible(s, s.ID, func(a netip.AddrPort) bool { return r.dialed[a] != nil && !r.doors.has(a) })
	if s.Source == discovery.FromGossip {
		s.Addresses = r.untried(s.Addresses, s.At)
	}
	if s.Addresses = r.due(s, s.Addresses); len(s.Addresses) == 0 {
		return Target{}, false, changed
	}
	return Target{ID: s.ID, Addresses: s.Addresses}, true, changed
}

// match finds the known device a sighting is about. An announced prefix is only a hint which one to ask.
func (r *Roster) match(s discovery.Sighting) *entry {
	if !s.ID.IsZero() {
		return r.known[s.ID]
	}
	if s.IDPrefix == "" {
		return r.nameless(s)
	}
	for id, e := range r.known {
		if prefix(id) == s.IDPrefix {
			return e
		}
	}
	return nil
}

// note keeps a candidate; it reports whether that shows.
func (r *Roster) note(s discovery.Sighting, proven bool) bool {
	c := r.candidates[s.Instance]
	if c == nil {
		r.expire(s.At)
		if len(r.candidates) >= MaxCandidates {
			return false // a flood: those that are there already stay
		}
		r.candidates[s.Instance] = &candidate{sighting: s, first: s.At, proven: proven}
		return !proven && s.Name != "" || s.Slot != ""
	}
	old := c.sighting
	if s.Name == "" {
		s.Name, s.Workgroup = old.Name, old.Workgroup
	}
	s.Addresses = merge(s.Addresses, old.Addresses)
	c.sighting = s
	shown := !c.proven
	c.proven = c.proven || proven
	return s.Slot != old.Slot || shown && (c.proven || s.Name != old.Name || s.Workgroup != old.Workgroup)
}

// claims counts the unproven candidates that the sender of a new one has announced. On the loopback interface all have the
// same.
func (r *Roster) claims(s discovery.Sighting) (n int) {
	if r.candidates[s.Instance] != nil || !s.From.IsValid() || s.From.IsLoopback() {
		return 0
	}
	for _, c := range r.candidates {
		if !c.proven && c.sighting.From == s.From {
			n++
		}
	}
	return n
}

func (r *Roster) dropCandidate(instance string) bool {
	c := r.candidates[instance]
	delete(r.candidates, instance)
	return c != nil && (!c.proven || c.sighting.Slot != "")
}

// Expire drops candidates that were not heard of for CandidateLife; whoever runs the clock calls it now and then.
func (r *Roster) Expire() {
	r.mu.Lock()
	changed := r.expire(r.cfg.Now())
	r.mu.Unlock()
	if changed {
		r.cfg.OnChange()
	}
}

func (r *Roster) expire(now time.Time) (changed bool) {
	for k, c := range r.candidates {
		if now.Sub(c.sighting.At) > CandidateLife {
			delete(r.candidates, k)
			changed = changed || !c.proven || c.sighting.Slot != ""
		}
	}
	for k, a := range r.dialed {
		if now.Sub(a.next) > time.Minute {
			delete(r.dialed, k)
		}
	}
	for k, until := range r.gossiped {
		if !now.Before(until) {
			delete(r.gossiped, k)
		}
	}
	r.doors.expire(now)
	return changed
}

// Knock says what to dial because somebody announces the identity of this device itself: a copy of it, or a liar.
func (r *Roster) Knock(s discovery.Sighting) (Target, bool) {
	if s.At.IsZero() {
		s.At = r.cfg.Now()
	}
	s.Addresses = usable(s.Addresses, s.Source)
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Addresses = r.due(s, r.credible(s, r.cfg.Self, func(netip.AddrPort) bool { return false }))
	return Target{Addresses: s.Addresses}, len(s.Addresses) > 0
}

// due returns the addresses of an unproven target that may be dialled now: at once, then after 2, 4 … 60 s. It counts
// addresses, since an announcement can invent everything else anew. One that its sender does not have itself is not due
// again before it is known how the last time ended.
func (r *Roster) due(s discovery.Sighting, in []netip.AddrPort) (out []netip.AddrPort) {
	now := s.At
	for _, addr := range in {
		a := r.dialed[addr]
		if a == nil {
			if len(r.dialed) >= 2*MaxCandidates {
				r.forgetAttempt()
			}
			a = &attempts{}
			r.dialed[addr] = a
		}
		if now.Before(a.next) {
			continue
		}
		a.n++
		if a.next = now.Add(min(time.Second<<min(a.n, 6), time.Minute)); s.Source == discovery.FromMDNS && addr.Addr() != s.From {
			a.next = now.Add(time.Minute)
		}
		out = append(out, addr)
	}
	return out
}

// forgetAttempt makes room in a flood of announcements: refusing what is new would hide whoever comes after it.
func (r *Roster) forgetAttempt() {
	var first netip.AddrPort
	for k, a := range r.dialed {
		if !first.IsValid() || a.next.Before(r.dialed[first].next) {
			first = k
		}
	}
	delete(r.dialed, first)
}

// untried returns the addresses from gossip that were not dialled because of gossip in the last ten minutes, whichever
// device was said to be there: a neighbour must not make this device knock at one door again and again.
func (r *Roster) untried(in []netip.AddrPort, now time.Time) (out []netip.AddrPort) {
	for _, a := range in {
		if now.Before(r.gossiped[a]) || len(r.gossiped) >= 2*MaxCandidates {
			continue
		}
		r.gossiped[a] = now.Add(gossipLife)
		out = append(out, a)
	}
	return out
}

// Proof is what a device said inside TLS, and so proved.
type Proof struct {
	ID        discovery.DeviceID
	Name      string // empty if it does not say: what was known of it before stays
	Workgroup string // likewise empty if it is in no open workgroup
	Install   string
	Version   string
	Caps      []string
	Address   netip.AddrPort // where it was reached, or where its connection came from with the port it listens on; may be zero
	Reached   bool           // this device dialled Address, and it answered there
	Manual    bool
}

// Prove notes a proven device. The first name it ever gave stays pinned (trust on first use). It reports whether the
// device is new.
func (r *Roster) Prove(p Proof) (fresh bool) {
	now := r.cfg.Now()
	r.mu.Lock()
	if p.ID == r.cfg.Self {
		r.mu.Unlock()
		return false
	}
	e := r.known[p.ID]
	if fresh = e == nil; fresh {
		r.makeRoom()
		e = &entry{peer: discovery.Peer{ID: p.ID, FirstName: p.Name, FirstSeen: now, State: discovery.Offline}}
		r.known[p.ID] = e
	}
	q := &e.peer
	before := *q
	if p.Name != "" {
		q.Name, q.FirstName = p.Name, cmp.Or(q.FirstName, p.Name)
	}
	q.Workgroup, q.Install, q.Version, q.Caps = p.Workgroup, p.Install, p.Version, slices.Clone(p.Caps)
	q.Manual = q.Manual || p.Manual
	q.LastSeen = now
	if p.Reached && p.Address.IsValid() {
		q.Addresses = merge([]netip.AddrPort{p.Address}, q.Addresses)
	} else if p.Address.IsValid() {
		e.hints = merge([]netip.AddrPort{p.Address}, e.hints)
		r.doors.unbar(door{at: p.Address}) // it says so itself
		r.doors.unbar(door{p.Address, p.ID})
	}
	for _, c := range r.candidates { // it is no candidate any more
		c.proven = c.proven || c.sighting.IDPrefix == prefix(p.ID)
	}
	changed := fresh || before.Name != q.Name || before.Workgroup != q.Workgroup || before.Install != q.Install || before.Version != q.Version ||
		before.Manual != q.Manual || !slices.Equal(before.Addresses, q.Addresses)
	keep := *q
	r.mu.Unlock()
	if changed {
		r.put(keep)
		r.cfg.OnChange()
	}
	return fresh
}

// Renamed notes the name and workgroup a known device told on its event stream, or that somebody who may gave it another name.
// An empty name leaves what was known; an empty workgroup says that it is in no open one.
func (r *Roster) Renamed(id discovery.DeviceID, name, workgroup string) {
	if name != "" && discovery.CheckName(name) != nil || workgroup != "" && discovery.CheckName(workgroup) != nil {
		return
	}
	r.mu.Lock()
	e := r.known[id]
	if e != nil && name == "" {
		name = e.peer.Name
	}
	if e == nil || e.peer.Name == name && e.peer.Workgroup == workgroup {
		r.mu.Unlock()
		return
	}
	e.peer.Name, e.peer.Workgroup = name, workgroup
	keep := e.peer
	r.mu.Unlock()
	r.put(keep)
	r.cfg.OnChange()
}

// SetDialBack notes whether the device can dial this one.
func (r *Roster) SetDialBack(id discovery.DeviceID, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.known[id]; e != nil {
		e.peer.DialBack = ok
	}
}

// passing is for how long a device must have been known not to count as one that only passed by.
const passing = time.Hour

// makeRoom forgets an offline device: one that only passed by before any that was here for longer, so that a crowd of
// invented ones does not wash the real ones and their first names away; of those the one not seen for longest. The caller
// holds mu.
func (r *Roster) makeRoom() {
	if len(r.known) < MaxPeers {
		return
	}
	var out *entry
	stays := func(e *entry) bool { return e.peer.LastSeen.Sub(e.peer.FirstSeen) >= passing }
	for _, e := range r.known {
		if e.peer.State != discovery.Offline || e.peer.Manual {
			continue
		}
		if out == nil || stays(out) && !stays(e) || stays(out) == stays(e) && e.peer.LastSeen.Before(out.peer.LastSeen) {
			out = e
		}
	}
	if out != nil {
		delete(r.known, out.peer.ID)
		if err := r.cfg.Store.DeletePeer(out.peer.ID); err != nil {
			r.cfg.Log.Warn("device not forgotten", "err", err)
		}
	}
}

// merge puts fresh before old, each once, at most maxAddrs.
func merge(fresh, old []netip.AddrPort) []netip.AddrPort {
	out := make([]netip.AddrPort, 0, maxAddrs)
	for _, list := range [][]netip.AddrPort{fresh, old} {
		for _, a := range list {
			if len(out) < maxAddrs && !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

// usable drops what must not be dialled because somebody said so: no multicast, no unspecified address, no port below
// 1024 unless typed by hand; from gossip neither loopback nor link-local nor public addresses.
func usable(in []netip.AddrPort, src discovery.Source) []netip.AddrPort {
	var out []netip.AddrPort
	for _, a := range in {
		ip := a.Addr().Unmap()
		a = netip.AddrPortFrom(ip, a.Port())
		local := ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsLoopback() || shared(ip)
		switch {
		case !a.IsValid() || a.Port() == 0 || ip.IsMulticast() || ip.IsUnspecified():
		case src != discovery.FromManual && (a.Port() < 1024 || !local && src == discovery.FromGossip):
		case src == discovery.FromGossip && (ip.IsLinkLocalUnicast() || ip.IsLoopback()):
		default:
			if out = append(out, a); len(out) == maxAddrs {
				return out
			}
		}
	}
	return out
}

// shared reports whether ip is of 100.64.0.0/10 (RFC 6598), which overlay networks use for private addresses.
func shared(ip netip.Addr) bool { return netip.MustParsePrefix("100.64.0.0/10").Contains(ip) }
