//go:build !linux

package mdns

import "net"

// joinedOnly is of use on Linux only.
func joinedOnly(*net.UDPConn, bool) {}
