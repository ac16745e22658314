package doctor

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery"
)

// facts are those of a computer with which all is well: bo is here, and announcements go both ways.
func facts(change func(*Facts)) Facts {
	f := Facts{Network: discovery.Home, Port: 47470, WantedPort: 47470, System: "linux", Home: "/h",
		Interfaces: []Interface{{Name: "eth0", Networks: []netip.Prefix{netip.MustParsePrefix("192.168.1.2/24")}, Used: true, Default: true}},
		Neighbours: []Neighbour{{ID: discovery.DeviceID{2}, Name: "bo", Online: true, Near: true, Heard: Yes, HearsUs: Yes, Out: Works, In: Works, Clock: off(0)}}}
	if change != nil {
		change(&f)
	}
	return f
}

func off(d time.Duration) *time.Duration { return &d }

// gone is a neighbour that is not here.
func gone(out Reach, change func(*Neighbour)) Neighbour {
	n := Neighbour{ID: discovery.DeviceID{3}, Name: "cy", Address: "192.168.1.3:47470", Near: true, Heard: No, Out: out}
	if change != nil {
		change(&n)
	}
	return n
}

func TestExamine(t *testing.T) {
	well := []Code{NetworkGood, AddressGood, PortGood, ReachGood, NeighboursGood, MulticastGood, ClockGood}
	with := func(n ...Neighbour) func(*Facts) {
		return func(f *Facts) { f.Neighbours = append(f.Neighbours, n...) }
	}
	only := func(n ...Neighbour) func(*Facts) { return func(f *Facts) { f.Neighbours = n } }
	bo := func(change func(*Neighbour)) func(*Facts) {
		return func(f *Facts) { change(&f.Neighbours[0]) }
	}
	alive := func(n *Neighbour) { n.Heard = Yes }
	others := func(n *Neighbour) { n.ByOthers = true }
	tunnel := Interface{Name: "wg0", Networks: []netip.Prefix{netip.MustParsePrefix("10.9.0.2/24")}, Default: true}
	for _, tt := range []struct {
		name   string
		change func(*Facts)
		want   []Code // beside what is well, the worst first
		level  Level  // of the first
	}{
		{"all is well", nil, nil, Good},
		{"public", func(f *Facts) { f.Network = discovery.Public }, []Code{NetworkPublic}, Trouble},
		{"nobody was asked", func(f *Facts) { f.Waits = true }, []Code{NetworkFirst}, Trouble},
		{"no address", func(f *Facts) { f.Interfaces = nil }, []Code{AddressNone}, Trouble},
		{"no address, and so nobody", func(f *Facts) { f.Interfaces, f.Neighbours = nil, nil }, []Code{AddressNone, ReachUnknown}, Trouble},
		{"only a tunnel", func(f *Facts) { f.Interfaces = []Interface{tunnel} }, []Code{AddressVirtual}, Trouble},
		{"a tunnel beside, and somebody is here", func(f *Facts) { f.Interfaces = append(f.Interfaces, tunnel) }, nil, Good},
		{"a tunnel beside, and only somebody at its other end is here", func(f *Facts) {
			f.Interfaces, f.Neighbours[0].Near = append(f.Interfaces, tunnel), false
		}, []Code{VPNWay}, Hint},
		{"a tunnel beside, and nobody is here", func(f *Facts) { f.Interfaces, f.Neighbours = append(f.Interfaces, tunnel), nil }, []Code{VPNWay, Nobody, ReachUnknown}, Hint},
		{"Windows calls it public, and nobody comes in", func(f *Facts) { f.SystemPublic, f.Neighbours[0].In = []string{"eth0"}, TimedOut }, []Code{SystemPublic, BlockedHere}, Trouble},
		{"Windows calls it public, and somebody comes in", func(f *Facts) { f.SystemPublic = []string{"eth0"} }, []Code{SystemPublic}, Hint},
		{"Windows calls a virtual adapter public", func(f *Facts) { f.SystemPublic = []string{"vEthernet (WSL)"} }, nil, Good},
		{"macOS keeps it from the network", func(f *Facts) {
			f.System, f.Neighbours[0].Out = "darwin", Rejected
		}, []Code{MacPrivacy, BlockedThere}, Trouble},
		{"macOS, and nobody was ever heard", func(f *Facts) {
			f.System, f.Neighbours = "darwin", nil
			f.Health = []discovery.Health{{Service: "mdns", Trouble: "ask: sendto: no route to host"}}
		}, []Code{MacPrivacy, Service, Nobody, ReachUnknown}, Trouble},
		{"macOS, and one of two keeps everybody out", func(f *Facts) {
			f.System = "darwin"
			f.Neighbours = append(f.Neighbours, gone(Rejected, nil))
		}, []Code{AwayBlocked}, Hint},
		{"blocked, and deaf for the same reason", func(f *Facts) {
			f.Firewall, f.Neighbours[0].In, f.Neighbours[0].Heard = UFW, TimedOut, No
		}, []Code{BlockedHere, MulticastDeaf}, Trouble},
		{"public, and no address", func(f *Facts) { f.Network, f.Interfaces = discovery.Public, nil }, []Code{NetworkPublic}, Trouble},
		{"a lost clock, a taken port and a firewall", func(f *Facts) {
			f.Port, f.Neighbours[0].In, f.Neighbours[0].Clock = 50000, TimedOut, off(time.Hour)
		}, []Code{BlockedHere, PortTaken, ClockOff}, Trouble},
		{"an old neighbour, which cannot say what it hears", bo(func(n *Neighbour) { n.HearsUs, n.Clock = NotKnown, nil }), nil, Good},
		{"thirty neighbours", func(f *Facts) {
			for range 29 {
				f.Neighbours = append(f.Neighbours, f.Neighbours[0])
			}
		}, nil, Good},
		{"a public network beside", func(f *Facts) {
			f.Interfaces = append(f.Interfaces, Interface{Name: "wlan0", Silent: true, Default: true, Networks: tunnel.Networks})
		}, []Code{PartPublic}, Hint},
		{"a tunnel takes all", func(f *Facts) { f.Interfaces[0].TakenBy = "wg0" }, []Code{VPNTakes}, Trouble},
		{"port taken", func(f *Facts) { f.Port = 50000 }, []Code{PortTaken}, Hint},
		{"nobody", only(), []Code{Nobody, ReachUnknown}, Hint},
		{"nobody, and a firewall", func(f *Facts) { f.Neighbours, f.Firewall = nil, UFW }, []Code{ReachFirewall, Nobody}, Hint},
		{"blocked here", bo(func(n *Neighbour) { n.In = TimedOut }), []Code{BlockedHere}, Trouble},
		{"refused here", bo(func(n *Neighbour) { n.In = Refused }), []Code{BlockedHere}, Trouble},
		{"refused there", bo(func(n *Neighbour) { n.Out = Refused }), []Code{BlockedThere}, Hint},
		{"a stranger refuses, and announces itself", only(gone(Refused, func(n *Neighbour) { n.ID, n.Heard = discovery.DeviceID{}, Yes })), []Code{BlockedBoth, ReachUnknown}, Trouble},
		{"blocked there", bo(func(n *Neighbour) { n.Out = TimedOut }), []Code{BlockedThere}, Hint},
		{"one of two does not come through", with(gone(Works, func(n *Neighbour) { n.Online, n.In = true, TimedOut })), []Code{BlockedBetween}, Hint},
		{"others reach it", with(gone(TimedOut, others)), []Code{BlockedBetween}, Trouble},
		{"others reach it where nothing listens for us", with(gone(Refused, others)), []Code{BlockedBetween}, Trouble},
		{"heard, and not on the wire", with(gone(Unreachable, alive)), []Code{BlockedBetween}, Trouble},
		{"heard, and others reach us", with(gone(TimedOut, alive)), []Code{BlockedThere}, Trouble},
		{"heard, and nobody reaches anybody", only(gone(TimedOut, alive)), []Code{BlockedBoth, ReachUnknown}, Trouble},
		{"not running", with(gone(Refused, nil)), []Code{NotRunning}, Hint},
		{"away", with(gone(Unreachable, nil)), []Code{Away}, Hint},
		{"away or blocked", with(gone(TimedOut, nil)), []Code{AwayBlocked}, Hint},
		{"a stranger who left", with(gone(TimedOut, func(n *Neighbour) { n.ID = discovery.DeviceID{} })), nil, Good},
		{"multicast lost", bo(func(n *Neighbour) { n.Heard, n.HearsUs = No, No }), []Code{MulticastLost}, Trouble},
		{"multicast deaf", bo(func(n *Neighbour) { n.Heard = No }), []Code{MulticastDeaf}, Trouble},
		{"multicast mute", bo(func(n *Neighbour) { n.HearsUs = No }), []Code{MulticastMute}, Trouble},
		{"beyond a router nobody is heard", bo(func(n *Neighbour) { n.Heard, n.HearsUs, n.Near = No, No, false }), nil, Good},
		{"twin", func(f *Facts) { f.Twin = true }, []Code{TwinSelf}, Trouble},
		{"twin of another", bo(func(n *Neighbour) { n.Twin = true }), []Code{TwinOther}, Trouble},
		{"clock", bo(func(n *Neighbour) { n.Clock = off(-3 * time.Hour) }), []Code{ClockOff}, Hint},
		{"clock within the limit", bo(func(n *Neighbour) { n.Clock = off(2 * time.Minute) }), nil, Good},
		{"clock here", func(f *Facts) {
			f.Neighbours[0].Clock = off(time.Hour)
			f.Neighbours = append(f.Neighbours, gone(Works, func(n *Neighbour) { n.Clock = off(time.Hour + time.Second) }))
		}, []Code{ClockHere}, Hint},
		{"clock of one of three", func(f *Facts) {
			f.Neighbours[0].Clock = off(time.Hour)
			f.Neighbours = append(f.Neighbours, gone(Works, func(n *Neighbour) { n.Clock = off(0) }), gone(Works, func(n *Neighbour) { n.Clock = off(0) }))
		}, []Code{ClockOff}, Hint},
		{"newer", func(f *Facts) { f.Newer = []string{"192.168.1.9"} }, []Code{Newer}, Hint},
		{"newer, and it understands this one", func(f *Facts) { f.NewerToo = []string{"bo"} }, []Code{NewerToo}, Hint},
		{"newer, and it cannot be dialled", func(f *Facts) {
			f.Newer = []string{"carl"}
			f.Neighbours = append(f.Neighbours, gone(OtherVersion, func(n *Neighbour) { n.Heard = Yes }))
		}, []Code{Newer}, Hint},
		{"a part does not work", func(f *Facts) { f.Health = []discovery.Health{{Service: "watch", Trouble: "x"}} }, []Code{Service}, Trouble},
		{"a laboratory has no network", func(f *Facts) { f.Loopback, f.Interfaces, f.Port = true, nil, 9 }, nil, Good},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found := Examine(facts(tt.change))
			var got []Code
			for _, f := range found {
				if f.Level != Good || !slices.Contains(well, f.Code) {
					got = append(got, f.Code)
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
			if found[0].Level != tt.level || Bad(found) != (tt.level == Trouble) {
				t.Errorf("the worst is %+v", found[0])
			}
		})
	}
}

func TestFix(t *testing.T) {
	for f, want := range map[Firewall][]string{
		NoFirewall: nil,
		UFW:        {"sudo ufw allow from 192.168.1.0/24 to any port 47470 proto tcp", "sudo ufw allow from 192.168.1.0/24 to any port 5353 proto udp"},
		Firewalld: {`sudo firewall-cmd --permanent --add-rich-rule='rule family="ipv4" source address="192.168.1.0/24" port port="47470" protocol="tcp" accept'`,
			`sudo firewall-cmd --permanent --add-rich-rule='rule family="ipv4" source address="192.168.1.0/24" port port="5353" protocol="udp" accept'`, "sudo firewall-cmd --reload"},
		IPTables: {"sudo iptables -I INPUT -s 192.168.1.0/24 -p tcp --dport 47470 -j ACCEPT", "sudo iptables -I INPUT -s 192.168.1.0/24 -p udp --dport 5353 -j ACCEPT"},
		NFTables: {"sudo nft insert rule inet filter input ip saddr 192.168.1.0/24 tcp dport 47470 accept", "sudo nft insert rule inet filter input ip saddr 192.168.1.0/24 udp dport 5353 accept"},
		Windows: {`netsh advfirewall firewall delete rule name=all dir=in program="C:\p.exe"`,
			`netsh advfirewall firewall add rule name="Porchlight TCP" dir=in action=allow program="C:\p.exe" protocol=TCP localport=47470 remoteip=localsubnet profile="private,domain"`,
			`netsh advfirewall firewall add rule name="Porchlight UDP" dir=in action=allow program="C:\p.exe" protocol=UDP localport=5353 remoteip=localsubnet profile="private,domain"`},
		MacOS: {`sudo /usr/libexec/ApplicationFirewall/socketfilterfw --add 'C:\p.exe'`, `sudo /usr/libexec/ApplicationFirewall/socketfilterfw --unblockapp 'C:\p.exe'`},
	} {
		x := facts(func(x *Facts) { x.Firewall, x.Program, x.Neighbours[0].In = f, `C:\p.exe`, TimedOut })
		if found := Examine(x)[0]; found.Code != BlockedHere || !slices.Equal(found.Fix, want) {
			t.Errorf("%s: %s\n%s", f, found.Code, strings.Join(found.Fix, "\n"))
		} else if found.Brief != (f == IPTables || f == NFTables) {
			t.Errorf("%s: gone with a restart: %v", f, found.Brief)
		}
	}
}

// TestFixOpensTheSubnetOnly: each network this computer is on, in the words of the firewall for it, and nothing wider.
func TestFixOpensTheSubnetOnly(t *testing.T) {
	several := func(f *Facts) {
		f.Interfaces = []Interface{
			{Name: "eth0", Used: true, Zone: "home", Networks: []netip.Prefix{netip.MustParsePrefix("192.168.1.2/24"), netip.MustParsePrefix("fe80::1/64"), netip.MustParsePrefix("2001:db8::7/128")}},
			{Name: "wg0", Networks: []netip.Prefix{netip.MustParsePrefix("10.9.0.2/8")}},
		}
		f.Neighbours[0].In = TimedOut
	}
	for _, tt := range []struct {
		name   string
		change func(*Facts)
		want   []string // of the port of this device
	}{
		{"ufw", func(f *Facts) { f.Firewall = UFW }, []string{"sudo ufw allow from 192.168.1.0/24 to any port 47470 proto tcp", "sudo ufw allow from fe80::/64 to any port 47470 proto tcp"}},
		{"firewalld, by zone", func(f *Facts) { f.Firewall = Firewalld }, []string{
			`sudo firewall-cmd --permanent --zone=home --add-rich-rule='rule family="ipv4" source address="192.168.1.0/24" port port="47470" protocol="tcp" accept'`,
			`sudo firewall-cmd --permanent --zone=home --add-rich-rule='rule family="ipv6" source address="fe80::/64" port port="47470" protocol="tcp" accept'`}},
		{"nftables, a table for each", func(f *Facts) { f.Firewall, f.Chains = NFTables, []string{"ip filter in", "ip6 filter in"} }, []string{
			"sudo nft insert rule ip filter in ip saddr 192.168.1.0/24 tcp dport 47470 accept", "sudo nft insert rule ip6 filter in ip6 saddr fe80::/64 tcp dport 47470 accept"}},
		{"nftables, two that keep out", func(f *Facts) { f.Firewall, f.Chains = NFTables, []string{"inet a in", "ip b in"} }, []string{
			"sudo nft insert rule inet a in ip saddr 192.168.1.0/24 tcp dport 47470 accept", "sudo nft insert rule ip b in ip saddr 192.168.1.0/24 tcp dport 47470 accept",
			"sudo nft insert rule inet a in ip6 saddr fe80::/64 tcp dport 47470 accept"}},
		{"iptables", func(f *Facts) { f.Firewall = IPTables }, []string{"sudo iptables -I INPUT -s 192.168.1.0/24 -p tcp --dport 47470 -j ACCEPT", "sudo ip6tables -I INPUT -s fe80::/64 -p tcp --dport 47470 -j ACCEPT"}},
	} {
		var got []string
		for _, line := range Examine(facts(func(f *Facts) { several(f); tt.change(f) }))[0].Fix {
			if strings.Contains(line, "47470") {
				got = append(got, line)
			}
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
}

// TestFixOfACopy: the command line that makes this computer a new one, wherever program and home lie.
// TestFixOfAPublicInterface: whatever an interface is called is one name for PowerShell, which ends a text at curled quotes too.
func TestFixOfAPublicInterface(t *testing.T) {
	f := facts(func(f *Facts) {
		f.Interfaces[0].Name = "Bob’s 'LAN'; calc"
		f.SystemPublic = []string{f.Interfaces[0].Name}
	})
	for _, found := range Examine(f) {
		if found.Code == SystemPublic {
			if want := `powershell -Command "Set-NetConnectionProfile -InterfaceAlias 'Bob’’s ''LAN''; calc' -NetworkCategory Private"`; len(found.Fix) != 1 || found.Fix[0] != want {
				t.Errorf("%q, want %q", found.Fix, want)
			}
			return
		}
	}
	t.Error("it is not found")
}

func TestFixOfACopy(t *testing.T) {
	for _, tt := range []struct{ system, program, home, want string }{
		{"linux", "/usr/bin/porchlight", "/home/anna/.local/share/porchlight", "'/usr/bin/porchlight' --home '/home/anna/.local/share/porchlight' identity new --yes"},
		{"linux", "/opt/my apps/p", "/home/anna's", `'/opt/my apps/p' --home '/home/anna'\''s' identity new --yes`},
		{"windows", `C:\p.exe`, `C:\Users\Anna M\Porchlight`, `"C:\p.exe" --home "C:\Users\Anna M\Porchlight" identity new --yes`},
	} {
		found := Examine(facts(func(f *Facts) { f.Twin, f.System, f.Program, f.Home = true, tt.system, tt.program, tt.home }))
		if f := found[0]; f.Code != TwinSelf || !slices.Equal(f.Fix, []string{tt.want}) {
			t.Errorf("%+v", f)
		}
	}
}

// A page is to be read, whoever is around.
func TestManyNeighbours(t *testing.T) {
	x := facts(func(f *Facts) {
		for range 1000 {
			f.Neighbours = append(f.Neighbours, gone(Unreachable, nil), gone(Works, func(n *Neighbour) { n.Online, n.In = true, TimedOut }),
				gone(Works, func(n *Neighbour) { n.Clock = off(time.Duration(len(f.Neighbours)) * time.Hour) }))
		}
	})
	if n := len(Examine(x)); n > 5*maxSaid {
		t.Errorf("%d findings", n)
	}
}

func TestNear(t *testing.T) {
	ifs := facts(nil).Interfaces
	for text, want := range map[string]bool{"192.168.1.9": true, "192.168.2.9": false, "fe80::1%eth0": true, "fe80::1%wg0": false} {
		if Near(ifs, netip.MustParseAddr(text)) != want {
			t.Errorf("%s: %v", text, !want)
		}
	}
}
