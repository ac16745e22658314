//go:build linux && lab

package labtest

import (
	"fmt"
	"testing"
	"time"

	"porchlight/app/doctor"
)

// TestDoctorOddButWell: setups that are not like most and in which everything works. Nothing is named there: whoever is told of a
// trouble that is none does not believe the next one.
func TestDoctorOddButWell(t *testing.T) {
	for _, tt := range []struct {
		name string
		kind Kind
		odd  func(*testing.T, *Device)
	}{
		{"a switch and no router", DualStack, nil},
		{"IPv6 only", IPv6Only, nil},
		{"link-local addresses only", LinkLocal, nil},
		{"two interfaces", TwoWires, nil},
		{"a router that lets nobody out before a form is filled in", DualStack, portal},
		{"containers and virtual machines", DualStack, containers},
		{"a VPN for everything but the local network", DualStack, func(t *testing.T, d *Device) { d.vpn(t) }},
		{"such a VPN, and an address of DHCPv6 that stands alone", DualStack, func(t *testing.T, d *Device) {
			d.vpn(t)
			must(t, "ip", "-n", d.ns, "addr", "add", "fd83::beef/128", "dev", iface(0))
		}},
		{"a firewall that lets Porchlight in", DualStack, func(t *testing.T, d *Device) {
			here(t, "nft", "nftables")
			d.on(t, "nft", "table inet filter { chain input { type filter hook input priority 0; policy drop; "+answers+
				" meta l4proto ipv6-icmp accept; tcp dport 47470 accept; udp dport 5353 accept; }; }")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			devices := NewDevices(t, tt.kind, "anna", "bo")
			if tt.odd != nil {
				tt.odd(t, devices[0])
			}
			serveAll(t, devices)
			for _, d := range devices {
				d.fine(t)
			}
		})
	}
}

// fine checks that all is well on a device, and stays so.
func (d *Device) fine(t *testing.T) {
	t.Helper()
	d.Names(t, doctor.ReachGood, doctor.Good, "")
	d.Names(t, doctor.MulticastGood, doctor.Good, "")
	for range 2 {
		for _, f := range d.Doctor(t) {
			if f.Level != doctor.Good {
				t.Errorf("all is well on %s, and the doctor says %s: %s", d.Name, f.Code, f.Text)
			}
		}
	}
}

// vpn gives a device a tunnel that takes what leaves the local network, and leaves that alone.
func (d *Device) vpn(t *testing.T) {
	t.Helper()
	ip := func(args ...string) { must(t, "ip", append([]string{"-n", d.ns}, args...)...) }
	ip("link", "add", "wg0", "type", "veth", "peer", "name", "wg1") // what makes it a tunnel is its name
	ip("link", "set", "wg1", "up")
	ip("link", "set", "wg0", "up")
	ip("addr", "add", "10.99.0.2/24", "dev", "wg0")
	ip("addr", "add", "fd99::2/64", "dev", "wg0")
	ip("route", "add", "default", "dev", "wg0")
	ip("-6", "route", "add", "default", "dev", "wg0")
}

// portal has a router that leads what leaves the network to a page of its own.
func portal(t *testing.T, d *Device) {
	here(t, "nft", "nftables")
	must(t, "ip", "-n", d.lan.sw, "addr", "add", "10.83.0.254/24", "dev", bridge(0))
	must(t, "ip", "netns", "exec", d.lan.sw, "nft", "table ip nat { chain pre { type nat hook prerouting priority -100; iifname "+bridge(0)+" tcp dport { 80, 443 } redirect to :8080; udp dport 53 redirect to :53; }; }")
	must(t, "ip", "-n", d.ns, "route", "add", "default", "via", "10.83.0.254")
}

// containers has a device run what Docker and libvirt leave on a computer: bridges with addresses, and rules that keep nobody out.
func containers(t *testing.T, d *Device) {
	ip := func(args ...string) { must(t, "ip", append([]string{"-n", d.ns}, args...)...) }
	for name, addr := range map[string]string{"docker0": "172.17.0.1/16", "br-1f2e3d4c5b6a": "172.18.0.1/16", "virbr0": "192.168.122.1/24"} {
		ip("link", "add", name, "type", "bridge")
		ip("addr", "add", addr, "dev", name)
		ip("link", "set", name, "up")
	}
	ip("link", "add", "veth12ab34c", "type", "veth", "peer", "name", "inside")
	ip("link", "set", "veth12ab34c", "master", "docker0", "up")
	ip("link", "set", "inside", "up")
	here(t, "iptables", "iptables")
	for _, rule := range []string{"-N LIBVIRT_INP", "-A LIBVIRT_INP -i virbr0 -p udp --dport 67 -j ACCEPT", "-A INPUT -j LIBVIRT_INP", "-P FORWARD DROP",
		"-A FORWARD -i docker0 ! -o docker0 -j ACCEPT"} {
		d.on(t, "sh", "-c", "iptables "+rule)
	}
}

// TestDoctorManyNeighbours: thirty are here and all is well; then all have left, as for a computer that is carried home from the
// office, and the answer comes as soon.
func TestDoctorManyNeighbours(t *testing.T) {
	names := []string{"anna"}
	for i := range 30 {
		names = append(names, fmt.Sprintf("n%02d", i))
	}
	devices := NewDevices(t, DualStack, names...)
	for _, d := range devices {
		d.MustServe(t)
		d.learn(t)
	}
	anna := devices[0]
	untilAll(t, devices[:1], 3*time.Minute, "all are here", func(d *Device) (bool, error) {
		var peers []struct{ State string }
		err := d.ask(&peers, "peers")
		here := 0
		for _, p := range peers {
			if p.State == "online" {
				here++
			}
		}
		return here == len(devices)-1, err
	})
	anna.fine(t)
	for _, d := range devices[1:] {
		d.Unplug()
		d.Kill()
	}
	untilAll(t, devices[:1], 60*time.Second, "they are gone", func(d *Device) (bool, error) {
		for _, other := range devices[1:] {
			if gone, err := d.Gone(other); !gone || err != nil {
				return false, err
			}
		}
		return true, nil
	})
	start := time.Now()
	found := anna.Doctor(t)
	took := time.Since(start)
	figure(t, "thirty neighbours are gone: the doctor answers after %v, with %d findings", ms(took), len(found))
	atMost(t, "the answer", took, 12*time.Second)
	if found[0].Level == doctor.Trouble {
		t.Errorf("they are away, and that is a trouble: %+v", found[0])
	}
}
