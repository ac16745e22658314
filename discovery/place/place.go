// Package place tells the networks a computer is on from each other.
//
// A network is known by the hardware address of its gateway, because every home uses the same few ranges of addresses. One
// without a gateway, and any on a system that does not tell hardware addresses, is known by its ranges. Somebody on the
// network can pretend to be another one; what is decided by a network's name must be no more than whether to be seen there.
package place

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Name names the network behind an interface: index is its number, name its name, prefixes its addresses and ranges. It is
// not sure while the gateway's hardware address is not known yet, which is being asked for then: ask again in a moment. The
// name it returns all the same is that of the ranges, for a network whose gateway never answers.
func Name(index int, name string, prefixes []netip.Prefix) (id string, sure bool) {
	gates, err := gateways(index)
	if err != nil || len(gates) == 0 {
		return ranges(name, prefixes), true
	}
	mac, err := hardware(index, gates)
	if err != nil {
		return ranges(name, prefixes), true
	}
	if mac == nil {
		for _, g := range gates {
			stir(g, name)
		}
		return ranges(name, prefixes), false
	}
	return "gateway " + mac.String(), true
}

// ranges names a network by its ranges: those of IPv4 if there are any, for they change least.
func ranges(name string, prefixes []netip.Prefix) string {
	var four, six, local []string
	for _, p := range prefixes {
		m := p.Masked()
		list := &six
		switch {
		case m.Addr().IsLinkLocalUnicast():
			list = &local
		case m.Addr().Is4():
			list = &four
		}
		if s := m.String(); !slices.Contains(*list, s) {
			*list = append(*list, s)
		}
	}
	for _, list := range [][]string{four, six} {
		if len(list) > 0 {
			slices.Sort(list)
			return "range " + strings.Join(list, " ")
		}
	}
	return "wire " + name // link-local addresses are the same everywhere
}

// stir has the system ask for the hardware address of a gateway: a packet to a port that throws everything away.
func stir(gate netip.Addr, name string) {
	if gate.IsLinkLocalUnicast() && gate.Is6() {
		gate = gate.WithZone(name)
	}
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(gate, 9)))
	if err != nil {
		return // asked again, or known by its ranges
	}
	defer conn.Close()
	conn.Write([]byte{0}) //nolint:errcheck // likewise
}
