package presence

import (
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"porchlight/discovery"
)

// What announcements, which anybody can forge, may make this device dial.
const (
	barredFor    = 10 * time.Minute // an address at which nobody was, or somebody else
	silentFirst  = 2 * time.Second  // an address from which somebody announces itself and where nothing answered, for its cable may be loose;
	silentMost   = time.Minute      // twice as long each time
	maxBarred    = 1024
	maxPorts     = 4   // of one computer that are barred: others of it are not even tried
	tellsBurst   = 32  // addresses of others that one sender may name
	allTells     = 256 // and all senders
	tellsPerMin  = 6
	allTellsMin  = 60
	maxSenders   = 256
	maxClaims    = 32 // candidates that one sender may announce
	forgivesAll  = 5  // changes of our network at once for which all is forgiven; then one each forgiveEvery
	forgiveEvery = 2 * time.Minute
)

// door is an address and who was said to be there; the zero ID if that does not matter, because nobody answered.
type door struct {
	at  netip.AddrPort
	who discovery.DeviceID
}

// doors decides at which addresses to knock because somebody said so who has proven nothing. Where a device was reached
// before it is always looked for again: those addresses do not come here. An address that failed is barred, unless its own
// user, the device itself inside TLS or a change of our network speaks for it.
type doors struct {
	barred  map[door]time.Time     // until when
	ports   map[netip.Addr]int     // barred doors of each address
	own     map[netip.AddrPort]int // whose user announced them, as far as a sender's address says: failures in a row
	senders map[netip.Addr]*rate.Limiter
	all     *rate.Limiter
}

// Miss is how dialling an address did not lead to a device.
type Miss uint8

// The ways.
const (
	Refused Miss = iota // a computer is there, and nobody listens
	Silent              // nothing came back
	Another             // another device answered
)

func newDoors() *doors {
	return &doors{barred: map[door]time.Time{}, ports: map[netip.Addr]int{}, own: map[netip.AddrPort]int{}, senders: map[netip.Addr]*rate.Limiter{},
		all: rate.NewLimiter(rate.Every(time.Minute/allTellsMin), allTells)}
}

// open reports whether a is worth a knock for a device, or for whoever is there.
func (d *doors) open(a netip.AddrPort, who discovery.DeviceID, now time.Time) bool {
	if now.Before(d.barred[door{at: a}]) || now.Before(d.barred[door{a, who}]) {
		return false
	}
	return a.Addr().IsLoopback() || d.ports[a.Addr()] < maxPorts || d.has(a)
}

// has reports whether one of the barred doors of a computer is this one: its time may be over.
func (d *doors) has(a netip.AddrPort) bool {
	_, ok := d.barred[door{at: a}]
	return ok
}

// told reports whether a sender may name one more address that is not its own.
func (d *doors) told(from netip.Addr, now time.Time) bool {
	l := d.senders[from]
	if l == nil {
		for s := range d.senders { // in a flood of senders any goes; then the limit of all holds
			if len(d.senders) < maxSenders {
				break
			}
			delete(d.senders, s)
		}
		l = rate.NewLimiter(rate.Every(time.Minute/tellsPerMin), tellsBurst)
		d.senders[from] = l
	}
	return l.AllowN(now, 1) && d.all.AllowN(now, 1)
}

// owned notes that somebody announces itself from an address.
func (d *doors) owned(a netip.AddrPort) {
	if _, ok := d.own[a]; ok {
		return
	}
	for o := range d.own { // in a flood any goes
		if len(d.own) < maxBarred {
			break
		}
		delete(d.own, o)
	}
	d.own[a] = 0
}

// bar notes that nobody was at an address, or somebody else than who.
func (d *doors) bar(k door, how Miss, now time.Time) {
	if _, ok := d.barred[k]; !ok {
		if len(d.barred) >= maxBarred {
			d.expire(now)
		}
		if len(d.barred) >= maxBarred {
			d.forget()
		}
		d.ports[k.at.Addr()]++
	}
	wait := barredFor
	if n, ok := d.own[k.at]; ok && how == Silent {
		wait = min(silentFirst<<min(n, 8), silentMost)
		d.own[k.at]++
	}
	d.barred[k] = now.Add(wait)
}

// forget makes room: the one that was barred first.
func (d *doors) forget() {
	var first door
	for k, until := range d.barred {
		if !first.at.IsValid() || until.Before(d.barred[first]) {
			first = k
		}
	}
	d.unbar(first)
}

func (d *doors) unbar(k door) {
	if _, ok := d.barred[k]; !ok {
		return
	}
	delete(d.barred, k)
	if d.ports[k.at.Addr()]--; d.ports[k.at.Addr()] <= 0 {
		delete(d.ports, k.at.Addr())
	}
}

func (d *doors) expire(now time.Time) {
	for k, until := range d.barred {
		if !now.Before(until) {
			d.unbar(k)
		}
	}
}

// Failed notes that dialling an address did not lead to a device, who. Until ten minutes later no announcement and no gossip
// makes this device dial it again, unless the device was reached there before. Where nothing answers although somebody
// announces itself from there, that is a network that comes and goes: it is tried again after seconds.
func (r *Roster) Failed(a netip.AddrPort, who discovery.DeviceID, how Miss) {
	if how != Another {
		who = discovery.DeviceID{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doors.bar(door{a, who}, how, r.cfg.Now())
}

// Reached notes that a device answered at an address and proved who it is (zero: anybody).
func (r *Roster) Reached(a netip.AddrPort, who discovery.DeviceID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doors.unbar(door{at: a})
	r.doors.unbar(door{a, who})
	delete(r.doors.own, a) // should it be silent later, it begins anew
}

// Forgive lets all addresses be dialled again that failed: this computer's network has changed, or its user asks. Others
// can make the network change (a router that is none), so it has no effect when it happens all the time.
func (r *Roster) Forgive() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.forgives.AllowN(r.cfg.Now(), 1) {
		r.doors = newDoors()
	}
}

// Dialable is Addresses without those that failed lately and at which the device was never reached.
func (r *Roster) Dialable(id discovery.DeviceID) []netip.AddrPort {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.known[id]
	if e == nil {
		return nil
	}
	return r.dialable(e)
}

// dialable is Dialable with mu held.
func (r *Roster) dialable(e *entry) []netip.AddrPort {
	now := r.cfg.Now()
	hints := make([]netip.AddrPort, 0, len(e.hints))
	for _, a := range e.hints {
		if r.doors.open(a, e.peer.ID, now) {
			hints = append(hints, a)
		}
	}
	return r.addresses(&entry{peer: e.peer, hints: hints})
}

// credible returns the addresses of a sighting that may be dialled because of it, if who is said to be there; have are those
// known already. A sender's own address is its own affair; those of others it may name only so often.
func (r *Roster) credible(s discovery.Sighting, who discovery.DeviceID, have func(netip.AddrPort) bool) (out []netip.AddrPort) {
	if s.Source == discovery.FromManual {
		return s.Addresses
	}
	for _, a := range s.Addresses {
		own := a.Addr() == s.From
		if own {
			r.doors.owned(a)
		}
		switch {
		case have(a):
		case own && who.IsZero(): // whoever is there has not let us in yet; due knows when to try again
			if r.doors.ports[a.Addr()] >= maxPorts && !r.doors.has(a) && !a.Addr().IsLoopback() {
				continue
			}
		case !r.doors.open(a, who, s.At):
			continue
		case !own && s.Source == discovery.FromMDNS && !r.doors.told(s.From, s.At):
			continue
		}
		out = append(out, a)
	}
	return out
}
