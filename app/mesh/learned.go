package mesh

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/mdns"
	"porchlight/transfer"
	"porchlight/transfer/wire"
)

// Learned is what passes by and only a diagnosis, or a list of peers, asks for. It outlives the mesh. Safe for concurrent use.
type Learned struct {
	mu      sync.Mutex // guards the fields below
	install string     // of this device
	prefix  string     // of its ID, as announced
	heard   map[string]time.Time
	met     map[discovery.DeviceID]meeting
	newer   newer
	twin    time.Time // when another computer last showed the identity of this one
	knocked time.Time // when somebody who announces it was last dialled
}

// meeting is what the hellos of one device told.
type meeting struct {
	clock    *time.Duration // its clock minus the one here
	at       time.Time
	installs [2]seen // the two seen last, the newer one first
}

// seen is when one installation was.
type seen struct {
	install     string
	first, last time.Time
}

const (
	maxLearned = 1024                // devices and addresses remembered, each
	twinTime   = 10 * time.Minute    // two installations of one identity count as both alive if seen within it
	newerTime  = time.Hour           // for which somebody with a newer protocol is spoken of
	knockAgain = 10 * time.Second    // between two dials to somebody who announces this device's own identity
	clockTime  = time.Hour           // for which what somebody's clock said is of use
	alertALPN  = tls.AlertError(120) // "no application protocol", RFC 7301 §3.2
)

// NewLearned makes one for a device, install telling this computer from a copy of it.
func NewLearned(id discovery.DeviceID, install string) *Learned {
	return &Learned{install: install, prefix: mdns.IDPrefix(id), heard: map[string]time.Time{}, met: map[discovery.DeviceID]meeting{},
		newer: newNewer()}
}

// room keeps a map below its bound by forgetting anything: it is full in a flood only.
func room[K comparable, V any](m map[K]V) {
	for k := range m {
		if len(m) < maxLearned {
			return
		}
		delete(m, k)
	}
}

// hear notes an announcement. It reports whether somebody else announces this device's identity, and should be dialled.
func (l *Learned) hear(s discovery.Sighting) (twin bool) {
	if s.Source != discovery.FromMDNS || s.Gone || s.IDPrefix == "" {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.IDPrefix == l.prefix {
		if time.Since(l.knocked) < knockAgain {
			return false
		}
		l.knocked = time.Now()
		return true
	}
	room(l.heard)
	l.heard[s.IDPrefix] = time.Now()
	return false
}

// heardFrom notes an announcement that does not name the device it is of.
func (l *Learned) heardFrom(id discovery.DeviceID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	room(l.heard)
	l.heard[mdns.IDPrefix(id)] = time.Now()
}

// HeardAgo returns how long ago an announcement of a device came in; false if none did.
func (l *Learned) HeardAgo(id discovery.DeviceID) (time.Duration, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.heard[mdns.IDPrefix(id)]
	return time.Since(at), ok
}

// Meet notes what the hello of another device tells of its clock and its computer.
func (l *Learned) Meet(id discovery.DeviceID, h wire.Hello) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.met[id]
	if h.Now != 0 {
		off := time.Unix(0, h.Now).Sub(now)
		m.clock, m.at = &off, now
	}
	switch h.Install {
	case m.installs[0].install:
	case m.installs[1].install:
		m.installs[0], m.installs[1] = m.installs[1], m.installs[0]
	default:
		m.installs[0], m.installs[1] = seen{install: h.Install, first: now}, m.installs[0]
	}
	m.installs[0].last = now
	room(l.met)
	l.met[id] = m
}

// own notes a hello of this device's own identity. It reports whether it is another computer.
func (l *Learned) own(h wire.Hello) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h.Install == l.install {
		return false
	}
	l.twin = time.Now()
	return true
}

// Become makes this device another one: whoever has the old identity is a neighbour like others.
func (l *Learned) Become(id discovery.DeviceID, install string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.install, l.prefix = install, mdns.IDPrefix(id)
	l.twin, l.knocked = time.Time{}, time.Time{}
}

// HasTwin reports whether another computer uses this device's identity.
func (l *Learned) HasTwin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.twin.IsZero() && time.Since(l.twin) < twinTime
}

// Of returns what the doctor says of a device: its clock, and whether two computers are that device. A computer that was
// replaced by another one is no twin: each of the two must have been seen after the other.
func (l *Learned) Of(id discovery.DeviceID) (clock *time.Duration, twin bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.met[id]
	if m.clock != nil && time.Since(m.at) < clockTime {
		clock = m.clock
	}
	a, b := m.installs[0], m.installs[1]
	return clock, b.install != "" && a.last.After(b.first) && b.last.After(a.first) && time.Since(b.last) < twinTime
}

// OtherVersion reports whether a dial failed because the other side speaks another version: its TLS knows no protocol of
// ours, or its hello is of another one.
func OtherVersion(err error) bool {
	var alert *net.OpError // crypto/tls says it as one, with an error of a type that is its own
	return errors.As(err, &alert) && alert.Op == "remote error" && alert.Err.Error() == alertALPN.Error() || errors.Is(err, transfer.ErrUnsupported)
}
