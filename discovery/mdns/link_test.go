package mdns

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const lan = net.FlagUp | net.FlagMulticast | net.FlagBroadcast | net.FlagRunning

func TestUsable(t *testing.T) {
	for _, tt := range []struct {
		name  string
		flags net.Flags
		cfg   Config
		want  bool
	}{
		{"eth0", lan, Config{}, true},
		{"Wi-Fi", lan, Config{}, true},
		{"eth0", lan &^ net.FlagUp, Config{}, false},
		{"eth0", lan &^ net.FlagMulticast, Config{}, false},
		{"ppp0", lan | net.FlagPointToPoint, Config{}, false},
		{"lo", net.FlagUp | net.FlagLoopback, Config{}, false},
		{"lo", net.FlagUp | net.FlagLoopback, Config{Also: []string{"lo"}}, false},
		{"lo", net.FlagUp | net.FlagLoopback, Config{Loopback: true}, true},
		{"eth0", lan, Config{Loopback: true}, false},
		{"vEthernet (WSL)", lan, Config{}, false},
		{"VMnet8", lan, Config{}, false},
		{"docker0", lan, Config{}, false},
		{"br-1234", lan, Config{}, false},
		{"br0", lan, Config{}, true},
		{"wg0", lan | net.FlagPointToPoint, Config{}, false},
		{"wg0", lan | net.FlagPointToPoint, Config{Also: []string{"wg0"}}, true},
		{"tailscale0", lan, Config{Also: []string{"wg0"}}, false},
		{"tailscale0", lan, Config{Also: []string{"tailscale0"}, Not: []string{"tailscale0"}}, false},
		{"eth0", lan, Config{Not: []string{"eth0"}}, false},
		{"eth1", lan, Config{Not: []string{"eth0"}}, true},
		{"utun3", lan, Config{}, false},
		{"awdl0", lan, Config{}, false},
	} {
		if got := tt.cfg.usable(tt.name, tt.flags); got != tt.want {
			t.Errorf("%s %v %+v: %v", tt.name, tt.flags, tt.cfg, got)
		}
	}
}

func linkOf(name string, prefixes ...string) link {
	var nets []net.Addr
	for _, s := range prefixes {
		p := netip.MustParsePrefix(s)
		nets = append(nets, &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())})
	}
	return newLink(net.Interface{Index: 7, Name: name, Flags: lan}, nets)
}

func TestAddressesBestFirst(t *testing.T) {
	a := linkOf("eth0", "fe80::1/64", "2001:db8::1/64", "8.8.8.8/24", "192.168.1.2/24")
	b := linkOf("wlan0", "169.254.1.1/16", "fe80::2/64", "10.0.0.1/8")
	want := []string{"192.168.1.2", "8.8.8.8", "2001:db8::1", "10.0.0.1", "fe80::1%eth0", "169.254.1.1", "fe80::2%wlan0"}
	if diff := cmp.Diff(addrs(want...), reachable([]link{a, b}), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
	if got := linkOf("x", "224.0.0.1/24", "0.0.0.0/0", "::/0").announced(); len(got) != 0 {
		t.Error("announced", got)
	}
}

func TestNear(t *testing.T) {
	l := linkOf("eth0", "192.168.1.2/24", "fe80::1/64", "fd00::1/64")
	for _, tt := range []struct {
		from string
		want bool
	}{
		{"192.168.1.77", true}, {"192.168.2.1", false}, {"fe80::9", true}, {"fe80::9%eth0", true}, {"fe80::9%7", true},
		{"fe80::9%wlan0", false}, {"fd00::9", true}, {"fd01::9", false},
	} {
		if got := l.near(netip.MustParseAddr(tt.from)); got != tt.want {
			t.Errorf("%s: %v", tt.from, got)
		}
	}
}

func TestKeyChangesWithAddressesAndCables(t *testing.T) {
	l := linkOf("eth0", "192.168.1.2/24")
	pulled := l
	pulled.ifi.Flags &^= net.FlagRunning
	for _, other := range []link{linkOf("eth0", "192.168.1.3/24"), linkOf("eth1", "192.168.1.2/24"), linkOf("eth0", "192.168.1.2/16"), pulled} {
		if l.key() == other.key() {
			t.Errorf("%v like %v", other.key(), l.key())
		}
	}
	if rankLink(pulled.ifi) <= rankLink(net.Interface{Name: "x", Flags: lan}) {
		t.Error("an interface without its cable comes first")
	}
}

func TestKeep(t *testing.T) {
	a, b, c := linkOf("a", "10.0.0.1/8"), linkOf("b", "10.0.0.2/8"), linkOf("c", "10.0.0.3/8")
	var shut []string
	have := map[string]string{}
	broken := errors.New("broken")
	try := func(ls []link, fail string) error {
		return keep(have, ls, func(l link) (string, error) {
			if l.ifi.Name == fail {
				return "", broken
			}
			return l.ifi.Name, nil
		}, func(s string) { shut = append(shut, s) })
	}
	if err := try([]link{a, b, c}, "b"); !errors.Is(err, broken) || len(have) != 2 {
		t.Fatalf("%v %v: one that fails must not stop the rest", err, have)
	}
	if err := try([]link{b, c}, ""); err != nil || len(have) != 2 || have[b.key()] != "b" {
		t.Fatalf("%v %v", err, have)
	}
	try(nil, "")
	if len(have) != 0 || len(shut) != 3 || shut[0] != "a" {
		t.Errorf("%v %v", have, shut)
	}
}

func TestAsleep(t *testing.T) {
	now := time.Now()
	for d, want := range map[time.Duration]bool{pollEvery: false, pollEvery + slept - time.Second: false, pollEvery + slept + time.Second: true, -time.Hour: false} {
		if got := asleep(now, now.Add(d)); got != want {
			t.Errorf("%v: %v", d, got)
		}
	}
}

func TestLoopbackIsIPv4(t *testing.T) {
	l := linkOf("lo0", "127.0.0.1/8", "::1/128", "fe80::1/64")
	l.ifi.Flags = net.FlagUp | net.FlagLoopback
	if got := l.announced(); len(got) != 1 || len(l.addresses(true)) != 0 {
		t.Error(got, l.addresses(true))
	}
}
