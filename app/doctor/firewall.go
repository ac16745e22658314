package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Firewall names a program that keeps packets away and can be told not to.
type Firewall string

// The firewalls for which the doctor knows the commands.
const (
	NoFirewall Firewall = ""
	UFW        Firewall = "ufw"
	Firewalld  Firewall = "firewalld"
	NFTables   Firewall = "nftables"
	IPTables   Firewall = "iptables"
	Windows    Firewall = "Windows"
	MacOS      Firewall = "macOS"
)

// mdnsPort is where announcements come in.
const mdnsPort = 5353

// open returns the command lines that let neighbours in: to the port of this device and to announcements, from the
// networks this computer is on and from nowhere else. None if the firewall is not known.
func (f Facts) open() (out []string) {
	port, program := f.Port, f.Program
	type door struct {
		port  int
		proto string
	}
	doors := []door{{port, "tcp"}, {mdnsPort, "udp"}}
	switch f.Firewall {
	case Windows:
		// Whoever said no when Windows asked has a rule that keeps the program out, and such a rule wins.
		out = append(out, fmt.Sprintf(`netsh advfirewall firewall delete rule name=all dir=in program="%s"`, program))
		for _, d := range doors {
			out = append(out, fmt.Sprintf(`netsh advfirewall firewall add rule name="Porchlight %s" dir=in action=allow program="%s" protocol=%s localport=%d remoteip=localsubnet profile="private,domain"`,
				strings.ToUpper(d.proto), program, strings.ToUpper(d.proto), d.port))
		}
		return out
	case MacOS:
		const tool = "sudo /usr/libexec/ApplicationFirewall/socketfilterfw "
		return []string{tool + "--add " + quoted(program), tool + "--unblockapp " + quoted(program)}
	case NoFirewall:
		return nil
	}
	for _, n := range f.networks() {
		for _, d := range doors {
			out = append(out, f.rules(n, d.port, d.proto)...)
		}
	}
	if f.Firewall == Firewalld && len(out) > 0 {
		out = append(out, "sudo firewall-cmd --reload")
	}
	return out
}

// opened gives a finding the command lines of open. Those of a firewall that is a program with settings are kept by it; rules given to
// the kernel are gone when the computer is started again.
func (x *Finding) opened(f Facts, commands []string) {
	x.Fix, x.Brief = commands, len(commands) > 0 && (f.Firewall == NFTables || f.Firewall == IPTables)
}

// subnet is one network of this computer.
type subnet struct {
	netip.Prefix
	zone string // of firewalld
}

// rules are the commands of a firewall of Linux for one network and one port.
func (f Facts) rules(n subnet, port int, proto string) (out []string) {
	family, ip, tool := "ipv4", "ip", "iptables"
	if n.Addr().Is6() {
		family, ip, tool = "ipv6", "ip6", "ip6tables"
	}
	switch f.Firewall {
	case UFW:
		return []string{fmt.Sprintf("sudo ufw allow from %s to any port %d proto %s", n, port, proto)}
	case Firewalld:
		zone := ""
		if n.zone != "" {
			zone = " --zone=" + n.zone
		}
		return []string{fmt.Sprintf(`sudo firewall-cmd --permanent%s --add-rich-rule='rule family="%s" source address="%s" port port="%d" protocol="%s" accept'`, zone, family, n, port, proto)}
	case NFTables:
		chains := f.Chains
		if len(chains) == 0 {
			chains = []string{"inet filter input"}
		}
		for _, chain := range chains {
			if table, _, _ := strings.Cut(chain, " "); table == "inet" || table == ip {
				out = append(out, fmt.Sprintf("sudo nft insert rule %s %s saddr %s %s dport %d accept", chain, ip, n, proto, port))
			}
		}
		return out
	}
	return []string{fmt.Sprintf("sudo %s -I INPUT -s %s -p %s --dport %d -j ACCEPT", tool, n, proto, port)}
}

// quoted makes a path one word of a shell.
func quoted(path string) string { return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'" }

// networks are the ones neighbours are on, each once, masked. One of a single address has nobody else on it: DHCPv6 hands out such.
func (f Facts) networks() (out []subnet) {
	for _, i := range f.Interfaces {
		for _, p := range i.Networks {
			if n := (subnet{p.Masked(), i.Zone}); i.Used && !p.IsSingleIP() && !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}
