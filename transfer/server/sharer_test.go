package server

import (
	"net/netip"
	"testing"

	"porchlight/discovery"
)

// TestStrangersOfOneAddressShareTheLine: who invents devices gets no more of the line than one of them.
func TestStrangersOfOneAddressShareTheLine(t *testing.T) {
	a, b := discovery.DeviceID{1}, discovery.DeviceID{2}
	here, there, loop := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fe80::1%eth0"), netip.MustParseAddr("127.0.0.1")
	for _, at := range []netip.Addr{here, there} {
		if sharer(a, false, at) != sharer(b, false, at) || sharer(a, false, at) == a {
			t.Errorf("two strangers at %v have a share each", at)
		}
	}
	if sharer(a, false, here) == sharer(a, false, there) {
		t.Error("two addresses have one share")
	}
	for _, at := range []netip.Addr{loop, {}} {
		if sharer(a, false, at) != a {
			t.Errorf("devices at %v have one share", at)
		}
	}
	if sharer(a, true, here) != a {
		t.Error("a friend shares with strangers")
	}
}
