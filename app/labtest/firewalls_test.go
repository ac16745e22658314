//go:build linux && lab

package labtest

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"porchlight/app/doctor"
	"porchlight/discovery"
)

// TestDoctorOpens: the real firewalls as people have them, and the commands that the doctor shows typed as they are. What they
// open is the local subnet and nothing else, whichever of the two Internet Protocols there is.
func TestDoctorOpens(t *testing.T) {
	for _, wall := range []struct {
		name  doctor.Firewall
		raise func(*testing.T, *Host)
	}{{doctor.UFW, ufw}, {doctor.Firewalld, firewalld}, {doctor.NFTables, nftInet}, {"nftables, a table for each", nftTwo}, {doctor.IPTables, iptables}} {
		for _, kind := range []Kind{DualStack, IPv6Only, LinkLocal} {
			t.Run(string(wall.name)+", "+kind.String(), func(t *testing.T) {
				devices := NewDevices(t, kind, "anna", "bo")
				anna, bo := devices[0], devices[1]
				wall.raise(t, anna.Host)
				for _, d := range devices {
					d.MustServe(t)
				}
				var f finding
				if wall.name == doctor.UFW { // it lets announcements in: both know of each other
					f = anna.Names(t, doctor.BlockedHere, doctor.Trouble, "bo")
					bo.Names(t, doctor.BlockedThere, doctor.Hint, "anna")
				} else {
					bo.Names(t, doctor.BlockedBoth, doctor.Trouble, "anna")
					f = anna.Names(t, doctor.ReachFirewall, doctor.Hint, "")
				}
				if name, _, _ := strings.Cut(string(wall.name), ","); f.Params["Firewall"] != name {
					t.Errorf("the firewall is %s, and the doctor says %+v", wall.name, f)
				}
				anna.fix(t, f)
				t.Logf("typed:\n%s", strings.Join(f.Fix, "\n"))
				anna.Names(t, doctor.ReachGood, doctor.Good, "bo")
				anna.Names(t, doctor.MulticastGood, doctor.Good, "")
				for _, f := range anna.Doctor(t) {
					if f.Level != doctor.Good {
						t.Errorf("opened, and the doctor says %+v", f)
					}
				}
				bo.knocks(t, anna, kind)
			})
		}
	}
}

// knocks checks who comes in: a computer of the same subnet, and none that comes from elsewhere.
func (d *Device) knocks(t *testing.T, to *Device, kind Kind) {
	t.Helper()
	type try struct {
		from string
		want bool
	}
	tries := map[Kind][]try{
		DualStack: {{"10.83.0.2", true}, {"10.99.0.2", false}, {"fd83::2", true}, {"fd99::2", false}},
		IPv6Only:  {{"fd83:0::2", true}, {"fd99::2", false}},
	}[kind]
	for _, strange := range []string{"10.99.0.2/16", "fd99::2/64"} { // a subnet that a router would lead to
		must(t, "ip", "-n", d.ns, "addr", "add", strange, "dev", iface(0))
		must(t, "ip", "-n", to.ns, "route", "add", netip.MustParsePrefix(strange).Masked().String(), "dev", iface(0))
	}
	for _, x := range tries {
		from := netip.MustParseAddr(x.from)
		target := netip.MustParseAddr("10.83.0.1")
		if from.Is6() {
			target = netip.MustParseAddr("fd83::1")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		var err error
		if inside := d.Inside(func() error {
			dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
			var c net.Conn
			if c, err = dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(target, discovery.DefaultPort).String()); err == nil {
				return c.Close()
			}
			return nil
		}); inside != nil {
			t.Fatal(inside)
		}
		cancel()
		if (err == nil) != x.want {
			t.Errorf("from %s: %v; to come in: %v", x.from, err, x.want)
		}
	}
}

// own gives a host its own copy of a folder of /etc, where there is one.
func (h *Host) own(t *testing.T, name, what string) {
	t.Helper()
	if _, err := os.Stat("/etc/" + name); err != nil {
		t.Skipf("%s is not here (package %s)", what, what)
	}
	dir := filepath.Join("/etc/netns", h.ns)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, "cp", "-a", "/etc/"+name, dir)
}

// here skips a row that needs a program which is not here.
func here(t *testing.T, program, pack string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%v (package %s)", err, pack)
	}
}

// on runs a command on a host and returns what it prints.
func (h *Host) on(t *testing.T, name string, args ...string) string {
	t.Helper()
	return must(t, "ip", append([]string{"netns", "exec", h.ns, name}, args...)...)
}

// ufw is on as Debian and Ubuntu have it: nobody comes in.
func ufw(t *testing.T, h *Host) {
	here(t, "ufw", "ufw")
	h.own(t, "ufw", "ufw")
	h.on(t, "ufw", "--force", "enable")
}

// firewalld is on as it comes, in the zone "public", with a system bus of its own.
func firewalld(t *testing.T, h *Host) {
	here(t, "firewalld", "firewalld")
	here(t, "dbus-daemon", "dbus")
	h.own(t, "firewalld", "firewalld")
	dir, err := os.MkdirTemp("", "plt") // the name of a row holds commas, which addresses of a bus do not
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	bus := "unix:path=" + dir + "/bus"
	conf := `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>` + bus + `</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`
	if err := os.WriteFile(dir+"/bus.conf", []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", bus)
	begin(t, exec.Command("dbus-daemon", "--nofork", "--config-file="+dir+"/bus.conf"))
	eventually(t, 10*time.Second, "the system bus is there", func() bool { _, err := os.Stat(dir + "/bus"); return err == nil })
	begin(t, h.Command("firewalld", "--nofork", "--nopid"))
	eventually(t, 30*time.Second, "firewalld runs", func() bool { return h.Command("firewall-cmd", "--state").Run() == nil })
}

// begin runs a command until the test ends.
func begin(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		if exit := new(exec.ExitError); cmd.Process != nil {
			if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
				t.Log(err)
			}
		}
	})
}

// answers is what every careful ruleset lets in.
const answers = "ct state established,related accept; iifname lo accept;"

func nftInet(t *testing.T, h *Host) {
	here(t, "nft", "nftables")
	h.on(t, "nft", "table inet filter { chain input { type filter hook input priority 0; policy drop; "+answers+" meta l4proto ipv6-icmp accept; }; }")
}

// nftTwo has a table for each Internet Protocol: a rule of one is none of the other.
func nftTwo(t *testing.T, h *Host) {
	here(t, "nft", "nftables")
	h.on(t, "nft", "table ip filter { chain input { type filter hook input priority 0; policy drop; "+answers+" }; }; "+
		"table ip6 filter { chain input { type filter hook input priority 0; policy drop; "+answers+" meta l4proto ipv6-icmp accept; }; }")
}

func iptables(t *testing.T, h *Host) {
	for _, name := range []string{"iptables", "ip6tables"} {
		here(t, name, "iptables")
		h.on(t, name, "-A", "INPUT", "-m", "state", "--state", "ESTABLISHED,RELATED", "-j", "ACCEPT")
		h.on(t, name, "-A", "INPUT", "-i", "lo", "-j", "ACCEPT")
		if name == "ip6tables" {
			h.on(t, name, "-A", "INPUT", "-p", "icmpv6", "-j", "ACCEPT")
		}
		h.on(t, name, "-P", "INPUT", "DROP")
	}
}
