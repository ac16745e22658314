package checkup

import (
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"porchlight/app/doctor"
	"porchlight/discovery"
	"porchlight/transfer/wire"
)

func TestChecksAreFew(t *testing.T) {
	var c checks
	one, ask, mine := c.begin(discovery.DeviceID{1})
	if !ask || !mine {
		t.Error("the first is not made")
	}
	if again, ask, mine := c.begin(discovery.DeviceID{1}); ask || mine || again != one {
		t.Error("a second one is made while the first runs")
	}
	c.end(one)
	if again, _, mine := c.begin(discovery.DeviceID{1}); mine || again != one {
		t.Error("a second one is made at once")
	}
	one.at = time.Now().Add(-checkAgain)
	if _, _, mine := c.begin(discovery.DeviceID{1}); !mine {
		t.Error("no second one is made later")
	}
	made := 0
	for i := range 3 * maxChecks {
		x, _, mine := c.begin(discovery.DeviceID{byte(i), byte(i >> 8), 7})
		if mine {
			made++
		} else if <-x.done; x.dial != wire.DialNowhere {
			t.Errorf("a device that was not dialled is told %q", x.dial)
		}
	}
	if len(c.list) > maxChecks || made >= allChecks {
		t.Errorf("%d are remembered, %d more are made", len(c.list), made)
	}
}

func TestReachOf(t *testing.T) {
	if r := reachOf(errUnreachable, 10*time.Millisecond); r != doctor.Rejected {
		t.Errorf("at once: %s", r)
	}
	if r := reachOf(errUnreachable, 3*time.Second); r != doctor.Unreachable {
		t.Errorf("after a search: %s", r)
	}
	if r := reachOf(errRefused, 0); r != doctor.Refused {
		t.Errorf("refused: %s", r)
	}
	if r := reachOf(os.ErrDeadlineExceeded, knockTime); r != doctor.TimedOut {
		t.Errorf("nothing: %s", r)
	}
}

func TestInputChains(t *testing.T) {
	const nat = "table ip nat {\n\tchain post {\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n\t}\n}\n"
	for _, tt := range []struct {
		name, rules string
		want        []string
	}{
		{"none for what comes in", nat, nil},
		{"one that drops by default", nat + "table inet firewall {\n\tchain way_in {\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n}\n", []string{"inet firewall way_in"}},
		{"one for each, of which one keeps nobody out", "table ip filter {\n\tchain in {\n\t\ttype filter hook input priority filter; policy accept;\n\t\tct state established accept\n\t}\n}\n" +
			"table ip6 filter {\n\tchain out {\n\t\ttype filter hook output priority filter; policy drop;\n\t}\n\tchain in {\n\t\ttype filter hook input priority filter; policy accept;\n\t\ttcp dport 22 accept\n\t\treject with icmpv6 admin-prohibited\n\t}\n}\n",
			[]string{"ip6 filter in"}},
		{"what Docker leaves", "table ip filter {\n\tchain INPUT {\n\t\ttype filter hook input priority filter; policy accept;\n\t}\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n\t\tjump DOCKER-USER\n\t}\n}\n", nil},
	} {
		if got := inputChains(tt.rules); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}

func TestKeepsOut(t *testing.T) {
	for rules, want := range map[string]bool{
		"":                  false,
		"-P INPUT ACCEPT\n": false,
		"-P INPUT DROP\n":   true,
		"-P INPUT ACCEPT\n-A INPUT -j LIBVIRT_INP\n-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd\n":   false,
		"-P INPUT ACCEPT\n-A INPUT -i lo -j ACCEPT\n-A INPUT -j REJECT --reject-with icmp-host-prohibited\n": true,
	} {
		if keepsOut(rules) != want {
			t.Errorf("%q: %v", rules, !want)
		}
	}
}

// TestSomeone: where DHCPv6 hands out a single address there is nobody else to ask the way to, and the one to a tunnel is none.
func TestSomeone(t *testing.T) {
	for p, want := range map[string]string{"192.168.1.2/24": "192.168.1.1", "192.168.1.1/24": "192.168.1.2", "10.0.0.5/32": "invalid IP", "2001:db8::7/128": "invalid IP", "fe80::1/64": "invalid IP"} {
		if got := someone(netip.MustParsePrefix(p)).String(); got != want {
			t.Errorf("%s: %s", p, got)
		}
	}
}
