package checkup

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"porchlight/app/desktop"
	"porchlight/app/doctor"
)

// interfaces lists those that are up and have addresses, and where the ways from this computer lead. used are the addresses
// that neighbours are told.
func interfaces(ctx context.Context, used []netip.Addr) (out []doctor.Interface) {
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	owner := map[netip.Addr]string{}
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil || i.Flags&net.FlagUp == 0 {
			continue
		}
		d := doctor.Interface{Name: i.Name}
		for _, a := range addrs {
			p, err := netip.ParsePrefix(a.String())
			if err != nil || p.Addr().IsLoopback() {
				continue
			}
			owner[p.Addr()] = i.Name
			here := slices.ContainsFunc(used, func(u netip.Addr) bool { return u.WithZone("") == p.Addr() && (u.Zone() == "" || u.Zone() == i.Name) })
			d.Used = d.Used || here
			if here || !p.Addr().IsLinkLocalUnicast() { // every adapter has one of those
				d.Networks = append(d.Networks, p)
			}
		}
		if len(d.Networks) > 0 {
			out = append(out, d)
		}
	}
	everywhere := owner[wayTo(ctx, netip.AddrFrom4([4]byte{192, 0, 2, 1}))] // nobody's address: RFC 5737
	for i := range out {
		d := &out[i]
		d.Default = d.Name == everywhere
		for _, p := range d.Networks {
			if by := owner[wayTo(ctx, someone(p))]; d.Used && by != "" && by != d.Name && !slices.ContainsFunc(out, func(o doctor.Interface) bool { return o.Name == by && o.Used }) {
				d.TakenBy = by
			}
		}
	}
	return out
}

// someone is an address of a network that is not one's own.
func someone(p netip.Prefix) netip.Addr {
	if p.IsSingleIP() {
		return netip.Addr{}
	}
	a := p.Masked().Addr().Next()
	if a == p.Addr() {
		a = a.Next()
	}
	if a.IsLinkLocalUnicast() {
		return netip.Addr{}
	}
	return a
}

// wayTo is the address this computer would send from to another one. Nothing is sent.
func wayTo(ctx context.Context, to netip.Addr) netip.Addr {
	if !to.IsValid() {
		return netip.Addr{}
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "udp", netip.AddrPortFrom(to, 9).String())
	if err != nil {
		return netip.Addr{}
	}
	defer c.Close()
	if a, ok := c.LocalAddr().(*net.UDPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// toolTime bounds one question to a program of the system.
const toolTime = 4 * time.Second

// run returns what a program of the system prints, whoever it belongs to; nothing if it is not there or fails. Only
// questions are asked, with the rights this program has anyway.
func run(ctx context.Context, name string, args ...string) string {
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/bin"} { // not in everybody's PATH
		if err == nil || runtime.GOOS == "windows" {
			break
		}
		path = filepath.Join(dir, name)
		_, err = os.Stat(path)
	}
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, toolTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = time.Second
	desktop.Unseen(cmd)
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// firewall finds the one that is on, and of nftables the chains that keep out what comes in.
func firewall(ctx context.Context) (doctor.Firewall, []string) {
	switch runtime.GOOS {
	case "windows":
		return doctor.Windows, nil
	case "darwin":
		if strings.Contains(run(ctx, "/usr/libexec/ApplicationFirewall/socketfilterfw", "--getglobalstate"), "enabled") {
			return doctor.MacOS, nil
		}
		return doctor.NoFirewall, nil
	case "linux":
		return linuxFirewall(ctx)
	}
	return doctor.NoFirewall, nil
}

// linuxFirewall asks the ones that have a program of their own first: they write the rules of those below them. Without
// root the rules cannot be read; that the service runs must do.
func linuxFirewall(ctx context.Context) (doctor.Firewall, []string) {
	if conf, err := os.ReadFile("/etc/ufw/ufw.conf"); err == nil && regexp.MustCompile(`(?mi)^\s*ENABLED\s*=\s*yes`).Match(conf) {
		return doctor.UFW, nil
	}
	if strings.TrimSpace(run(ctx, "firewall-cmd", "--state")) == "running" || active("firewalld") {
		return doctor.Firewalld, nil
	}
	if keepsOut(run(ctx, "iptables", "-S", "INPUT")) || keepsOut(run(ctx, "ip6tables", "-S", "INPUT")) || active("netfilter-persistent") || active("iptables") {
		return doctor.IPTables, nil
	}
	chains := inputChains(run(ctx, "nft", "list", "ruleset"))
	switch {
	case slices.ContainsFunc(chains, func(c string) bool { return strings.HasPrefix(c, "inet firewalld ") }): // it did not answer in time
		return doctor.Firewalld, nil
	case len(chains) > 0 || active("nftables"):
		return doctor.NFTables, chains
	}
	return doctor.NoFirewall, nil
}

// keepsOut reports whether rules of iptables keep anybody out. Those that only look, or hand on to a chain of another program
// (libvirt, fail2ban), are no firewall.
func keepsOut(rules string) bool {
	return strings.Contains(rules, "-P INPUT DROP") || strings.Contains(rules, "-j DROP") || strings.Contains(rules, "-j REJECT")
}

// zones asks firewalld in which zone each of the interfaces is that lead to neighbours; a rule of another zone opens nothing there.
func zones(ctx context.Context, ifs []doctor.Interface) {
	for i := range ifs {
		if ifs[i].Used {
			if words := strings.Fields(run(ctx, "firewall-cmd", "--get-zone-of-interface="+ifs[i].Name)); len(words) == 1 {
				ifs[i].Zone = words[0]
			}
		}
	}
}

// active reports whether systemd runs a service: it keeps a link for each that everybody may see.
func active(service string) bool {
	_, err := os.Lstat("/run/systemd/units/invocation:" + service + ".service")
	return err == nil
}

// inputChains finds the chains of a ruleset that keep out some of what comes in: "inet filter input".
func inputChains(ruleset string) (out []string) {
	table, chain, input := "", "", false
	for line := range strings.Lines(ruleset) {
		words := strings.Fields(line)
		switch {
		case len(words) > 2 && words[0] == "table":
			table, chain, input = words[1]+" "+words[2], "", false
		case len(words) > 1 && words[0] == "chain":
			chain, input = words[1], false
		case strings.Contains(line, "hook input"):
			input = true
		}
		if name := table + " " + chain; input && (slices.Contains(words, "drop") || slices.Contains(words, "drop;") || slices.Contains(words, "reject") || slices.Contains(words, "jump")) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// systemPublic lists the interfaces that Windows calls public: its firewall lets nobody in there.
func systemPublic(ctx context.Context) (out []string) {
	if runtime.GOOS != "windows" {
		return nil
	}
	// without the first command names come in the letters of DOS, and "Réseau" is no interface Go knows
	const question = "try{[Console]::OutputEncoding=[Text.Encoding]::UTF8}catch{}; Get-NetConnectionProfile | Where-Object NetworkCategory -eq Public | ForEach-Object InterfaceAlias"
	for line := range strings.Lines(run(ctx, "powershell", "-NoProfile", "-NonInteractive", "-Command", question)) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}
