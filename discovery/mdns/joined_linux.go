package mdns

import (
	"net"

	"golang.org/x/sys/unix"
)

// joinedOnly keeps the packets of groups away that other sockets joined, and those of our group on other links: Linux gives
// every socket all of them. Where it refuses, the ear sorts them out.
func joinedOnly(conn *net.UDPConn, v6 bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) { //nolint:errcheck // see above, here and below
		if v6 {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0) //nolint:errcheck
			return
		}
		unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0) //nolint:errcheck
	})
}
