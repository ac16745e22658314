package engine

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

// learned is what passes by and only a diagnosis asks for. It outlives a change of the network. For several goroutines.
type learned struct {
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
	installs [2]sight // the two seen last, the newer one first
}

// sight is when one installation was seen.
type sight struct {
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

func newLearned(id discovery.DeviceID, install string) *learned {
	return &learned{install: install, prefix: mdns.IDPrefix(id), heard: map[string]time.Time{}, met: map[discovery.DeviceID]meeting{},
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
func (l *learned) hear(s discovery.Sighting) (twin bool) {
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
func (l *learned) heardFrom(id discovery.DeviceID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	room(l.heard)
	l.heard[mdns.IDPrefix(id)] = time.Now()
}

// heardAgo returns how long ago an announcement of a device came in; false if none did.
func (l *learned) heardAgo(id discovery.DeviceID) (time.Duration, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.heard[mdns.IDPrefix(id)]
	return time.Since(at), ok
}

// meet notes what the hello of another device tells of its clock and its computer.
func (l *learned) meet(id discovery.DeviceID, h wire.Hello) {
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
		m.installs[0], m.installs[1] = sight{install: h.Install, first: now}, m.installs[0]
	}
	m.installs[0].last = now
	room(l.met)
	l.met[id] = m
}

// own notes a hello of this device's own identity. It reports whether it is another computer.
func (l *learned) own(h wire.Hello) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h.Install == l.install {
		return false
	}
	l.twin = time.Now()
	return true
}

// become makes this device another one: whoever has the old identity is a neighbour like others.
func (l *learned) become(id discovery.DeviceID, install string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.install, l.prefix = install, mdns.IDPrefix(id)
	l.twin, l.knocked = time.Time{}, time.Time{}
}

// hasTwin reports whether another computer uses this device's identity.
func (l *learned) hasTwin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.twin.IsZero() && time.Since(l.twin) < twinTime
}

// of returns what the doctor says of a device: its clock, and whether two computers are that device. A computer that was
// replaced by another one is no twin: each of the two must have been seen after the other.
func (l *learned) of(id discovery.DeviceID) (clock *time.Duration, twin bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.met[id]
	if m.clock != nil && time.Since(m.at) < clockTime {
		clock = m.clock
	}
	a, b := m.installs[0], m.installs[1]
	return clock, b.install != "" && a.last.After(b.first) && b.last.After(a.first) && time.Since(b.last) < twinTime
}

// otherVersion reports whether a dial failed because the other side speaks another version: its TLS knows no protocol of
// ours, or its hello is of another one.
func otherVersion(err error) bool {
	var alert *net.OpError // crypto/tls says it as one, with an error of a type that is its own
	return errors.As(err, &alert) && alert.Op == "remote error" && alert.Err.Error() == alertALPN.Error() || errors.Is(err, transfer.ErrUnsupported)
}
