package doctor

import (
	"cmp"
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
		for _, d := range doors {
			out = append(out, fmt.Sprintf(`netsh advfirewall firewall add rule name="Porchlight %s" dir=in action=allow program="%s" protocol=%s localport=%d remoteip=localsubnet profile=private`,
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
			out = append(out, f.rule(n, d.port, d.proto))
		}
	}
	if f.Firewall == Firewalld && len(out) > 0 {
		out = append(out, "sudo firewall-cmd --reload")
	}
	return out
}

// rule is the command of a firewall of Linux for one network and one port.
func (f Facts) rule(n netip.Prefix, port int, proto string) string {
	family, ip, iptables := "ipv4", "ip", "iptables"
	if n.Addr().Is6() {
		family, ip, iptables = "ipv6", "ip6", "ip6tables"
	}
	switch f.Firewall {
	case UFW:
		return fmt.Sprintf("sudo ufw allow from %s to any port %d proto %s", n, port, proto)
	case Firewalld:
		return fmt.Sprintf(`sudo firewall-cmd --permanent --add-rich-rule='rule family="%s" source address="%s" port port="%d" protocol="%s" accept'`, family, n, port, proto)
	case NFTables:
		return fmt.Sprintf("sudo nft insert rule %s %s saddr %s %s dport %d accept", cmp.Or(f.Chain, "inet filter input"), ip, n, proto, port)
	}
	return fmt.Sprintf("sudo %s -I INPUT -s %s -p %s --dport %d -j ACCEPT", iptables, n, proto, port)
}

// quoted makes a path one word of a shell.
func quoted(path string) string { return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'" }

// networks are the ones neighbours are on, each once, masked.
func (f Facts) networks() (out []netip.Prefix) {
	for _, i := range f.Interfaces {
		for _, p := range i.Networks {
			if p = p.Masked(); i.Used && !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}
