package place

import (
	"net/netip"
	"testing"
)

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func TestANetworkWithoutAGatewayIsKnownByItsRanges(t *testing.T) {
	for _, tt := range []struct {
		in   []netip.Prefix
		want string
	}{
		{prefixes("192.168.1.7/24", "fe80::1/64", "fd00::7/64"), "range 192.168.1.0/24"},
		{prefixes("10.0.0.9/8", "192.168.1.9/24"), "range 10.0.0.0/8 192.168.1.0/24"},
		{prefixes("192.168.1.9/24", "10.0.0.9/8", "192.168.1.10/24"), "range 10.0.0.0/8 192.168.1.0/24"},
		{prefixes("fd00::9/64", "fe80::9/64"), "range fd00::/64"},
		{prefixes("fe80::9/64"), "wire eth0"},
		{prefixes("169.254.3.4/16"), "wire eth0"},
	} {
		if got := ranges("eth0", tt.in); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestNameOfAnInterfaceThatIsNotThere(t *testing.T) {
	id, sure := Name(1<<30, "none0", prefixes("192.168.7.7/24"))
	if id != "range 192.168.7.0/24" || !sure {
		t.Errorf("%q, sure: %v", id, sure)
	}
}
