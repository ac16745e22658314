package mdns

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// link is one network interface with its addresses, best first. A value; nothing in it changes.
type link struct {
	ifi      net.Interface
	prefixes []netip.Prefix // address and length of its network; without zones
}

// skipped are beginnings of the names of interfaces that lead to no neighbours: virtual machines, containers, tunnels.
func skipped() []string {
	return []string{"vethernet", "vmnet", "vboxnet", "docker", "br-", "virbr", "veth", "tun", "tap", "wg", "utun", "awdl", "llw", "tailscale"}
}

// usable decides by name and flags. What the user names is used whatever it looks like, if it is up and knows multicast.
func (c Config) usable(name string, flags net.Flags) bool {
	switch {
	case flags&net.FlagUp == 0:
		return false
	case flags&net.FlagLoopback != 0 || c.Loopback:
		return flags&net.FlagLoopback != 0 && c.Loopback
	case flags&net.FlagMulticast == 0:
		return false
	case slices.Contains(c.Not, name):
		return false
	case slices.Contains(c.Also, name):
		return true
	}
	low := strings.ToLower(name)
	return flags&net.FlagPointToPoint == 0 && !slices.ContainsFunc(skipped(), func(p string) bool { return strings.HasPrefix(low, p) })
}

// links lists the interfaces to use now, best first.
func (c Config) links() ([]link, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	var out []link
	for _, ifi := range all {
		if !c.usable(ifi.Name, ifi.Flags) {
			continue
		}
		addrs, err := ifi.Addrs()
		if err != nil {
			continue // it went away while we looked
		}
		l := newLink(ifi, addrs)
		l.prefixes = slices.DeleteFunc(l.prefixes, func(p netip.Prefix) bool { return !ready(l.zoned(p.Addr())) })
		if len(l.announced()) > 0 && (c.Fit == nil || c.Fit(ifi.Name, l.prefixes)) {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b link) int {
		return cmp.Or(cmp.Compare(rankLink(a.ifi), rankLink(b.ifi)), cmp.Compare(a.ifi.Index, b.ifi.Index))
	})
	return out, nil
}

// Interface is one interface of this computer as the rule sees it. A value.
type Interface struct {
	Index    int
	Name     string
	Prefixes []netip.Prefix // address and length of its network, best first; without zones
	Used     bool           // by rule, Also and Not
	Rule     bool           // by rule alone
	Running  bool           // plugged in
}

// Interfaces lists the interfaces that are up and could lead to neighbours, the used ones first, each best first. Fit is
// not asked.
func (c Config) Interfaces() ([]Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	used := c
	used.Fit = nil
	ls, err := used.links()
	if err != nil {
		return nil, err
	}
	rule := Config{Loopback: c.Loopback}
	var out []Interface
	for _, l := range ls {
		out = append(out, Interface{l.ifi.Index, l.ifi.Name, l.prefixes, true, rule.usable(l.ifi.Name, l.ifi.Flags), l.ifi.Flags&net.FlagRunning != 0})
	}
	for _, ifi := range all {
		able := ifi.Flags&net.FlagUp != 0 && ifi.Flags&net.FlagMulticast != 0 && ifi.Flags&net.FlagLoopback == 0
		if !able || slices.ContainsFunc(out, func(i Interface) bool { return i.Index == ifi.Index }) {
			continue
		}
		if addrs, err := ifi.Addrs(); err == nil {
			out = append(out, Interface{ifi.Index, ifi.Name, newLink(ifi, addrs).prefixes, false, rule.usable(ifi.Name, ifi.Flags), ifi.Flags&net.FlagRunning != 0})
		}
	}
	return out, nil
}

// ready reports whether a can be used yet. A new IPv6 address cannot for a second or two, until nobody else claims it
// (RFC 4862 §5.4); that it then can is a change of the network, and everything is said and asked again at once.
func ready(a netip.Addr) bool {
	if a.Is4() {
		return true
	}
	conn, err := net.ListenUDP("udp6", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func newLink(ifi net.Interface, addrs []net.Addr) link {
	l := link{ifi: ifi}
	for _, a := range addrs {
		if p, ok := prefixOf(a); ok {
			l.prefixes = append(l.prefixes, p)
		}
	}
	slices.SortFunc(l.prefixes, func(a, b netip.Prefix) int {
		return cmp.Or(cmp.Compare(rank(a.Addr()), rank(b.Addr())), a.Addr().Compare(b.Addr()))
	})
	return l
}

func prefixOf(a net.Addr) (netip.Prefix, bool) {
	n, ok := a.(*net.IPNet)
	if !ok {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(n.IP)
	if !ok || addr.IsMulticast() || addr.IsUnspecified() {
		return netip.Prefix{}, false
	}
	ones, bits := n.Mask.Size()
	if addr = addr.Unmap(); addr.Is4() && bits == 128 {
		ones -= 96
	}
	p := netip.PrefixFrom(addr, ones)
	return p, p.IsValid()
}

// rank orders the addresses of one device: what most neighbours can reach first.
func rank(a netip.Addr) int {
	switch {
	case a.IsLoopback():
		return 5
	case a.Is6() && a.IsLinkLocalUnicast():
		return 4
	case a.IsLinkLocalUnicast():
		return 3
	case a.Is6():
		return 2
	case !private(a):
		return 1
	}
	return 0
}

// rankLink prefers what is plugged in, and then what is named like a cable or a radio.
func rankLink(ifi net.Interface) int {
	n := 1
	for _, p := range []string{"en", "em", "eth", "wl", "wi-fi", "lan"} {
		if strings.HasPrefix(strings.ToLower(ifi.Name), p) {
			n = 0
		}
	}
	if ifi.Flags&net.FlagRunning == 0 {
		n += 2
	}
	return n
}

// private reports whether a belongs to networks people run themselves, 100.64/10 of carriers and mesh VPNs included.
func private(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLinkLocalUnicast() || a.Is4() && netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10).Contains(a)
}

// key changes whenever sockets on the link have to be opened anew: other addresses, or a cable plugged in again.
func (l link) key() string {
	return fmt.Sprint(l.ifi.Index, l.ifi.Name, l.ifi.Flags&net.FlagRunning != 0, l.prefixes)
}

func (l link) loopback() bool { return l.ifi.Flags&net.FlagLoopback != 0 }

// addresses returns the addresses of one family, best first. On the loopback interface IPv4 is all: ff02::fb does not
// work from ::1.
func (l link) addresses(v6 bool) []netip.Addr {
	var out []netip.Addr
	for _, p := range l.prefixes {
		if p.Addr().Is6() == v6 && !(v6 && l.loopback()) {
			out = append(out, p.Addr())
		}
	}
	return out
}

// announced returns the addresses to announce on the link, best first, at most six.
func (l link) announced() []netip.Addr {
	var out []netip.Addr
	for _, p := range l.prefixes {
		if !p.Addr().Is6() || !l.loopback() {
			out = append(out, p.Addr())
		}
	}
	return out[:min(len(out), maxAddresses)]
}

// near reports whether a packet that came in on this link from a was sent by a neighbour on it.
func (l link) near(a netip.Addr) bool {
	if a.Is6() && a.IsLinkLocalUnicast() {
		return a.Zone() == "" || a.Zone() == l.ifi.Name || a.Zone() == fmt.Sprint(l.ifi.Index)
	}
	return slices.ContainsFunc(l.prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// zoned gives link-local IPv6 addresses the zone they need to be dialled.
func (l link) zoned(a netip.Addr) netip.Addr {
	if a.Is6() && a.IsLinkLocalUnicast() {
		return a.WithZone(l.ifi.Name)
	}
	return a
}

// reachable lists the addresses of all links, best first, link-local ones with their zone behind all others. A cable that
// is pulled out leaves its addresses behind; they count only while there are no others.
func reachable(ls []link) []netip.Addr {
	var out []netip.Addr
	running := func(l link) bool { return l.ifi.Flags&net.FlagRunning != 0 }
	some := slices.ContainsFunc(ls, running)
	for _, l := range ls {
		if some && !running(l) {
			continue
		}
		for _, a := range l.announced() {
			out = append(out, l.zoned(a))
		}
	}
	late := func(a netip.Addr) int {
		if a.IsLinkLocalUnicast() {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(out, func(a, b netip.Addr) int { return cmp.Compare(late(a), late(b)) })
	return out
}
