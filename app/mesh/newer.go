package mesh

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/mdns"
	"porchlight/discovery/presence"
)

// news is an announcement of a newer protocol.
type news struct {
	prefix string // of the device ID; may be empty
	addrs  []netip.AddrPort
	at     time.Time
}

// newer is who speaks a newer protocol: as announced, and as dialling them ended. learned.mu guards it.
type newer struct {
	told  map[string]news                  // by instance label
	at    map[netip.AddrPort]time.Time     // where a dial ended so
	known map[discovery.DeviceID]time.Time // known devices that do not understand this one any more
}

func newNewer() newer {
	return newer{told: map[string]news{}, at: map[netip.AddrPort]time.Time{}, known: map[discovery.DeviceID]time.Time{}}
}

// announced notes whether somebody announces a newer protocol. It reports whether that is any news.
func (l *Learned) announced(s discovery.Sighting) bool {
	if s.Source != discovery.FromMDNS || s.Instance == "" {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	was, ok := l.newer.told[s.Instance]
	if s.Gone || !s.Newer {
		delete(l.newer.told, s.Instance)
		for _, a := range was.addrs {
			delete(l.newer.at, a)
		}
		return ok
	}
	room(l.newer.told)
	l.newer.told[s.Instance] = news{s.IDPrefix, slices.Clone(s.Addresses), time.Now()}
	return !ok
}

// failed notes that somebody at an address speaks a newer protocol, if that is what the error of a dial says; id is the
// device that was wanted there, if any. It reports whether that is any news.
func (l *Learned) failed(a netip.AddrPort, id discovery.DeviceID, err error) bool {
	if !OtherVersion(err) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.newer.at[a]
	_, was := l.newer.known[id]
	if a.IsValid() {
		room(l.newer.at)
		l.newer.at[a] = time.Now()
	}
	if !id.IsZero() {
		room(l.newer.known)
		l.newer.known[id] = time.Now()
	}
	return a.IsValid() && !ok || !id.IsZero() && !was
}

// understood notes that a device said hello, at an address if this one dialled it there.
func (l *Learned) understood(a netip.AddrPort, id discovery.DeviceID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.newer.at, a)
	delete(l.newer.known, id)
}

// Mark says of each device whether it runs a newer Porchlight, and adds those of whom only that is known.
func (l *Learned) Mark(peers []discovery.Peer) []discovery.Peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for label, n := range l.newer.told {
		if now.Sub(n.at) > presence.CandidateLife {
			delete(l.newer.told, label)
		}
	}
	forget(l.newer.at, now)
	forget(l.newer.known, now)
	covered := map[netip.AddrPort]bool{}
	for i := range peers {
		p := &peers[i]
		p.Newer = l.isNewer(*p)
		for _, a := range p.Addresses {
			covered[doorOf(a)] = true
		}
	}
	rest := maps.Clone(l.newer.at)
	for _, n := range l.newer.told { // those whose names cannot be read
		if len(n.addrs) > 0 && !slices.ContainsFunc(n.addrs, func(a netip.AddrPort) bool { return covered[doorOf(a)] }) {
			rest[n.addrs[0]] = n.at
		}
	}
	for _, a := range slices.SortedFunc(maps.Keys(rest), netip.AddrPort.Compare) {
		if !covered[doorOf(a)] && len(covered) < maxLearned {
			covered[doorOf(a)] = true
			peers = append(peers, discovery.Peer{Name: a.Addr().String(), State: discovery.Candidate, Addresses: []netip.AddrPort{a}, LastSeen: rest[a], Newer: true})
		}
	}
	return peers
}

// doorOf leaves out the port: a computer that runs another program now may listen on another one. This computer may be many.
func doorOf(a netip.AddrPort) netip.AddrPort {
	if a.Addr().IsLoopback() {
		return a
	}
	return netip.AddrPortFrom(a.Addr(), 0)
}

func forget[K comparable](m map[K]time.Time, now time.Time) {
	for k, at := range m {
		if now.Sub(at) > newerTime {
			delete(m, k)
		}
	}
}

// isNewer is called with mu held. Whoever is there has said so itself; of the others an announcement may say it.
func (l *Learned) isNewer(p discovery.Peer) bool {
	if p.State == discovery.Online || p.State == discovery.Suspect {
		return slices.ContainsFunc(p.Caps, isNewerProtocol)
	}
	if _, ok := l.newer.known[p.ID]; ok {
		return true
	}
	for _, n := range l.newer.told {
		if !p.ID.IsZero() && n.prefix == mdns.IDPrefix(p.ID) || p.ID.IsZero() && slices.ContainsFunc(n.addrs, func(a netip.AddrPort) bool { return slices.Contains(p.Addresses, a) }) {
			return true
		}
	}
	return p.ID.IsZero() && slices.ContainsFunc(p.Addresses, func(a netip.AddrPort) bool { _, ok := l.newer.at[a]; return ok })
}

// isNewerProtocol reads a capability: "porchlight/2" is said by a device that speaks this protocol and that one.
func isNewerProtocol(capability string) bool {
	text, ok := strings.CutPrefix(capability, "porchlight/")
	n, err := strconv.ParseUint(text, 10, 16)
	return ok && err == nil && n > 1
}
