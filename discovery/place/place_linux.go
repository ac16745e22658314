package place

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// gateways returns where the default routes of an interface lead, the preferred family first.
func gateways(index int) ([]netip.Addr, error) {
	var out []netip.Addr
	err := dump(unix.RTM_GETROUTE, unix.RTM_NEWROUTE, unix.SizeofRtMsg, func(head []byte, attrs map[uint16][]byte) {
		const anywhere = 0
		if head[1] != anywhere || head[7] != unix.RTN_UNICAST { // rtmsg: length of the destination, type
			return
		}
		if oif := attrs[unix.RTA_OIF]; len(oif) != 4 || binary.NativeEndian.Uint32(oif) != uint32(index) {
			return
		}
		if a, ok := netip.AddrFromSlice(attrs[unix.RTA_GATEWAY]); ok && !slices.Contains(out, a) {
			out = append(out, a)
		}
	})
	slices.SortStableFunc(out, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() })
	return out, err
}

// hardware looks for the first of the gateways whose hardware address the system knows; nil if it knows none.
func hardware(index int, gates []netip.Addr) (net.HardwareAddr, error) {
	best, mac := len(gates), net.HardwareAddr(nil)
	err := dump(unix.RTM_GETNEIGH, unix.RTM_NEWNEIGH, unix.SizeofNdMsg, func(head []byte, attrs map[uint16][]byte) {
		const bad = unix.NUD_INCOMPLETE | unix.NUD_FAILED | unix.NUD_NOARP
		if binary.NativeEndian.Uint32(head[4:]) != uint32(index) || binary.NativeEndian.Uint16(head[8:])&bad != 0 { // ndmsg: interface, state
			return
		}
		a, ok := netip.AddrFromSlice(attrs[unix.NDA_DST])
		link := attrs[unix.NDA_LLADDR]
		if i := slices.Index(gates, a); ok && i >= 0 && i < best && len(link) > 0 {
			best, mac = i, slices.Clone(link)
		}
	})
	return mac, err
}

// dump asks the kernel for one of its tables. Each row has a head of a fixed size and attributes.
func dump(ask, answer, size int, row func(head []byte, attrs map[uint16][]byte)) error {
	data, err := syscall.NetlinkRIB(ask, unix.AF_UNSPEC)
	if err != nil {
		return err
	}
	messages, err := syscall.ParseNetlinkMessage(data)
	if err != nil {
		return err
	}
	for _, m := range messages {
		if int(m.Header.Type) == answer && len(m.Data) >= size {
			row(m.Data[:size], attributes(m.Data[size:]))
		}
	}
	return nil
}

// attributes takes apart what follows the head of a row.
func attributes(b []byte) map[uint16][]byte {
	out := map[uint16][]byte{}
	for len(b) >= unix.SizeofRtAttr {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofRtAttr || n > len(b) {
			break
		}
		out[binary.NativeEndian.Uint16(b[2:])] = b[unix.SizeofRtAttr:n]
		b = b[min((n+3)&^3, len(b)):]
	}
	return out
}
