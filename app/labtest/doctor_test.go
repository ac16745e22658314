//go:build linux && lab

package labtest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"

	"porchlight/app/control"
	"porchlight/app/doctor"
	"porchlight/discovery"
	"porchlight/discovery/identity"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// finding is what `doctor --json` prints of one check.
type finding struct {
	Code   doctor.Code       `json:"code"`
	Level  doctor.Level      `json:"level"`
	Text   string            `json:"text"`
	Params map[string]string `json:"params"`
	Fix    []string          `json:"fix"`
}

// Doctor asks the doctor of a device, and checks its exit code.
func (d *Device) Doctor(t testing.TB) []finding {
	t.Helper()
	out, err := d.Run(commandLimit, "doctor", "--json")
	var found []finding
	if jerr := json.Unmarshal(out, &found); jerr != nil {
		t.Fatalf("doctor on %s prints %.300q: %v, %v", d.Name, out, jerr, err)
	}
	bad := slices.ContainsFunc(found, func(f finding) bool { return f.Level == doctor.Trouble })
	if bad != (err != nil) {
		t.Errorf("doctor on %s ends with %v, and says %+v", d.Name, err, found)
	}
	return found
}

// Names waits until the doctor of a device names a trouble, of a neighbour if one is given.
func (d *Device) Names(t testing.TB, code doctor.Code, level doctor.Level, neighbour string) finding {
	t.Helper()
	const limit = 90 * time.Second // Linux believes for up to 45 s that a computer is there which it has heard
	var last []finding
	start := time.Now()
	for time.Since(start) < limit {
		asked := time.Now()
		last = d.Doctor(t)
		for _, f := range last {
			if f.Code == code && (neighbour == "" || f.Params["Name"] == neighbour) {
				if f.Level != level {
					t.Errorf("%s: %s is a %s, not a %s", d.Name, code, f.Level, level)
				}
				figure(t, "%s names %s after %v (one look takes %v): %s", d.Name, code, ms(time.Since(start)), ms(time.Since(asked)), f.Text)
				return f
			}
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Fatalf("the doctor of %s does not name %s %s within %v, but says %+v", d.Name, code, neighbour, limit, last)
	return finding{}
}

// fix types the commands of a finding.
func (d *Device) fix(t testing.TB, f finding) {
	t.Helper()
	if len(f.Fix) == 0 {
		t.Fatalf("no commands with %s", f.Code)
	}
	for _, line := range f.Fix {
		line = strings.TrimPrefix(line, "sudo ")
		cmd := d.Command("sh", "-c", line)
		d.prepare(cmd)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", line, err, out)
		}
	}
}

// firewall gives a host rules of nftables: what comes in passes the first, what leaves the second.
func (h *Host) firewall(t testing.TB, in, out string) {
	t.Helper()
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("nft is not here (package nftables)")
	}
	rules := "table inet plt { chain in { type filter hook input priority 0; " + in + " }; chain out { type filter hook output priority 0; " + out + " }; }"
	must(t, "ip", "netns", "exec", h.ns, "nft", rules)
}

func TestDoctorAllWell(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	serveAll(t, devices)
	for _, d := range devices {
		d.Names(t, doctor.MulticastGood, doctor.Good, "")
		d.Names(t, doctor.ReachGood, doctor.Good, "")
		for _, f := range d.Doctor(t) {
			if f.Level != doctor.Good {
				t.Errorf("all is well on %s, and the doctor says %+v", d.Name, f)
			}
		}
	}
}

// TestDoctorBlockedHere: a firewall on anna; both ends know which of them it is, and what the doctor offers opens it.
func TestDoctorBlockedHere(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	anna.DropInbound()
	serveAll(t, devices)
	f := anna.Names(t, doctor.BlockedHere, doctor.Trouble, "bo")
	bo.Names(t, doctor.BlockedThere, doctor.Hint, "anna")
	anna.fix(t, f)
	anna.Names(t, doctor.ReachGood, doctor.Good, "bo")
}

// TestDoctorIPTables: the same with rules of iptables.
func TestDoctorIPTables(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna := devices[0]
	for _, name := range []string{"iptables", "ip6tables"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%v (package iptables)", err)
		}
		must(t, "ip", "netns", "exec", anna.ns, name, "-A", "INPUT", "-i", "eth0", "-p", "tcp", "--syn", "-j", "REJECT")
	}
	serveAll(t, devices)
	f := anna.Names(t, doctor.BlockedHere, doctor.Trouble, "bo")
	if f.Params["Firewall"] != string(doctor.IPTables) {
		t.Errorf("%+v", f)
	}
	anna.fix(t, f)
	anna.Names(t, doctor.ReachGood, doctor.Good, "bo")
}

func TestDoctorBlockedBoth(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	for _, d := range devices {
		d.DropInbound()
		d.MustServe(t)
	}
	f := devices[0].Names(t, doctor.BlockedBoth, doctor.Trouble, "bo")
	devices[1].Names(t, doctor.BlockedBoth, doctor.Trouble, "anna")
	devices[0].fix(t, f)
	devices[0].Names(t, doctor.ReachGood, doctor.Good, "bo")
}

// TestDoctorBlockedBetween: the access point keeps anna and bo apart, as it does with guests. Both reach carl.
func TestDoctorBlockedBetween(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo", "carl")
	anna, bo := devices[0], devices[1]
	serveAll(t, devices)
	for _, d := range devices[:2] {
		must(t, "ip", "-n", d.lan.sw, "link", "set", d.port(0), "type", "bridge_slave", "isolated", "on")
	}
	anna.Names(t, doctor.BlockedBetween, doctor.Trouble, "bo")
	bo.Names(t, doctor.BlockedBetween, doctor.Trouble, "anna")
}

func TestDoctorPublic(t *testing.T) {
	anna := NewDevices(t, DualStack, "anna")[0]
	anna.MustServe(t)
	engine := anna.engine(t)
	if err := engine.SetNetwork(t.Context(), discovery.Public); err != nil {
		t.Fatal(err)
	}
	anna.Names(t, doctor.NetworkPublic, doctor.Trouble, "")
}

// engine is the control socket of a device.
func (d *Device) engine(t *testing.T) *control.Client {
	t.Helper()
	t.Setenv("XDG_RUNTIME_DIR", d.Path("run"))
	engine, err := control.Connect(t.Context(), d.home)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	return engine
}

func TestDoctorVPN(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	serveAll(t, devices)
	ip := func(args ...string) { must(t, "ip", append([]string{"-n", anna.ns}, args...)...) }
	anna.vpn(t)
	anna.fine(t) // it keeps nobody away
	bo.Quit(t)
	if f := anna.Names(t, doctor.VPNWay, doctor.Hint, ""); f.Params["Interface"] != "wg0" {
		t.Errorf("%+v", f)
	}
	ip("route", "add", "10.83.0.0/25", "dev", "wg0")
	ip("route", "add", "10.83.0.128/25", "dev", "wg0")
	if f := anna.Names(t, doctor.VPNTakes, doctor.Trouble, ""); f.Params["Interface"] != "wg0" {
		t.Errorf("%+v", f)
	}
	ip("link", "set", "eth0", "down")
	if f := anna.Names(t, doctor.AddressVirtual, doctor.Trouble, ""); f.Params["Interface"] != "wg0" {
		t.Errorf("%+v", f)
	}
	ip("link", "del", "wg0")
	anna.Names(t, doctor.AddressNone, doctor.Trouble, "")
}

// TestDoctorMulticast: announcements are lost both ways, then only those that come in; connections work all the time.
func TestDoctorMulticast(t *testing.T) {
	const mdns = "udp dport 5353 drop; udp sport 5353 drop;"
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	anna.firewall(t, mdns, mdns)
	for _, d := range devices {
		d.MustServe(t)
	}
	bo.Must(t, commandLimit, "peers", "add", anna.Addr().String())
	anna.Names(t, doctor.MulticastLost, doctor.Trouble, "bo")
	bo.Names(t, doctor.MulticastLost, doctor.Trouble, "anna")
	must(t, "ip", "netns", "exec", anna.ns, "nft", "flush chain inet plt out")
	f := anna.Names(t, doctor.MulticastDeaf, doctor.Trouble, "bo")
	bo.Names(t, doctor.MulticastMute, doctor.Trouble, "anna")
	anna.fix(t, f)
	anna.Names(t, doctor.MulticastGood, doctor.Good, "")
}

// TestDoctorTwin: a disk was copied, and both computers run.
func TestDoctorTwin(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "copy", "carl")
	anna, twin, carl := devices[0], devices[1], devices[2]
	anna.MustServe(t)
	if err := errors.Join(os.Mkdir(anna.Path("Things"), 0o700), os.WriteFile(anna.Path("Things", "a.txt"), []byte("a"), 0o600)); err != nil {
		t.Fatal(err)
	}
	anna.Share(t, anna.Path("Things"), "Things")
	anna.Quit(t)
	must(t, "cp", "-a", anna.home, twin.home)
	for _, d := range devices {
		d.MustServe(t)
	}
	anna.Names(t, doctor.TwinSelf, doctor.Trouble, "")
	f := twin.Names(t, doctor.TwinSelf, doctor.Trouble, "")
	out, err := twin.Run(commandLimit, "status")
	if err != nil || !strings.Contains(string(out), "same identity") {
		t.Errorf("the status of the copy does not say so: %v: %s", err, out)
	}
	carl.Names(t, doctor.TwinOther, doctor.Trouble, "")
	twin.fix(t, f) // while it runs
	anna.learn(t)
	twin.learn(t)
	if anna.id == twin.id {
		t.Fatal("both are still the same")
	}
	for _, d := range devices { // each sees the two others
		took := untilAll(t, []*Device{d}, 60*time.Second, "anna and the copy are two", func(d *Device) (bool, error) {
			for _, other := range []*Device{anna, twin} {
				if there, err := d.Online(other); d != other && (err != nil || !there) {
					return false, err
				}
			}
			return true, nil
		})
		figure(t, "%s sees two computers %v after the copy was made a new one", d.Name, ms(took))
	}
	if out, err := twin.Run(commandLimit, "status"); err != nil || strings.Contains(string(out), "same identity") {
		t.Errorf("the status of what was a copy: %v: %s", err, out)
	}
	var shares []struct{ Name string }
	if err := twin.ask(&shares, "share", "list"); err != nil || len(shares) != 1 || shares[0].Name != "Things" {
		t.Errorf("its shares: %+v %v", shares, err)
	}
	rows, err := carl.List(twin, "Things")
	if err != nil || len(rows) != 1 || rows[0].Name != "a.txt" {
		t.Errorf("carl sees in its share: %+v %v", rows, err)
	}
}

// stranger connects to a device from a host with a hello of its own, until the test ends.
func stranger(t testing.TB, from *Host, to *Device, hello wire.Hello) {
	t.Helper()
	strangerAt(t, from, to, discovery.DefaultPort, hello)
}

// strangerAt is stranger for a device that listens on another port.
func strangerAt(t testing.TB, from *Host, to *Device, port uint16, hello wire.Hello) {
	t.Helper()
	ident, err := identity.Load(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	d := link.Dialer{Identity: ident, Hello: func(*link.Session, *wire.Hello) wire.Hello { return hello }, Net: func(ctx context.Context, a netip.AddrPort) (c net.Conn, err error) {
		err = from.Inside(func() (err error) {
			var n net.Dialer
			c, err = n.DialContext(ctx, "tcp", a.String())
			return err
		})
		return c, err
	}}
	g, err := d.Dial(t.Context(), nil, netip.AddrPortFrom(to.Addr(), port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Conn.Close() })
}

// TestDoctorClock: first one neighbour has another time, then two have the same other one.
func TestDoctorClock(t *testing.T) {
	l := NewLAN(t, DualStack, "anna", "bo")
	anna := NewDevice(t, l.Hosts[0])
	anna.MustServe(t)
	hello := wire.Hello{V: wire.Version, Name: "slow", Workgroup: discovery.DefaultWorkgroup, Install: "1", Now: time.Now().Add(-3 * time.Hour).UnixNano()}
	stranger(t, l.Hosts[1], anna, hello)
	anna.Names(t, doctor.ClockOff, doctor.Hint, "slow")
	hello.Name, hello.Now = "slow too", time.Now().Add(-3*time.Hour).UnixNano()
	stranger(t, l.Hosts[1], anna, hello)
	anna.Names(t, doctor.ClockHere, doctor.Hint, "")
}

func TestDoctorPortTaken(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna := devices[0]
	var other net.Listener
	if err := anna.Inside(func() (err error) { other, err = net.Listen("tcp", ":47470"); return err }); err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	serveAll(t, devices)
	if f := anna.Names(t, doctor.PortTaken, doctor.Hint, ""); f.Params["Wanted"] != "47470" || f.Params["Port"] == "47470" {
		t.Errorf("%+v", f)
	}
}

func TestDoctorNobody(t *testing.T) {
	anna := NewDevices(t, DualStack, "anna")[0]
	anna.MustServe(t)
	anna.Names(t, doctor.Nobody, doctor.Hint, "")
}

// TestDoctorAway: a neighbour that is known quits, and then its cable is pulled.
func TestDoctorAway(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	serveAll(t, devices)
	bo.Quit(t)
	anna.Names(t, doctor.NotRunning, doctor.Hint, "bo")
	bo.Unplug()
	anna.Names(t, doctor.Away, doctor.Hint, "bo")
}

// TestDoctorNewer: somebody speaks porchlight/2 only.
func TestDoctorNewer(t *testing.T) {
	l := NewLAN(t, DualStack, "anna", "bo")
	anna := NewDevice(t, l.Hosts[0])
	anna.MustServe(t)
	ident, err := identity.Load(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	var in net.Listener
	if err := l.Hosts[1].Inside(func() (err error) { in, err = net.Listen("tcp", ":47470"); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	config := ident.TLS(nil)
	config.NextProtos = []string{"porchlight/2"}
	go func() {
		for {
			c, err := in.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(5 * time.Second))
				_ = tls.Server(c, config).Handshake() // fails, as it is meant to
			}()
		}
	}()
	if _, err := anna.Run(commandLimit, "peers", "add", l.Hosts[1].Addr().String()); err == nil {
		t.Error("somebody with another protocol was added")
	}
	anna.Names(t, doctor.Newer, doctor.Hint, l.Hosts[1].Addr().String())
	const line = "A neighbour runs a newer Porchlight. Update this computer to see its folders."
	for _, command := range []string{"peers", "status"} {
		if out, err := anna.Run(commandLimit, command); err != nil || strings.Count(string(out), line) != 1 {
			t.Errorf("%s: %v: %s", command, err, out)
		}
	}
	announceNewer(t, l.Hosts[1], "bo of the future")
	anna.Names(t, doctor.Newer, doctor.Hint, "bo of the future")
	out, err := anna.Run(commandLimit, "peers")
	if err != nil || !strings.Contains(string(out), "newer Porchlight") || strings.Count(string(out), line) != 1 {
		t.Errorf("%v: %s", err, out)
	}
	if strings.Contains(strings.ReplaceAll(string(out), "47470", ""), "\n"+l.Hosts[1].Addr().String()) {
		t.Errorf("it is listed twice: %s", out)
	}
	began := time.Now()
	if out, err := anna.Run(commandLimit, "ls", "bo of the future"); err == nil || !strings.Contains(err.Error(), "runs a newer Porchlight") || time.Since(began) > 2*time.Second {
		t.Errorf("its folders: %v after %v: %s", err, time.Since(began), out)
	}
}

// announceNewer sends the announcements of a device of version 2 from a host, every second until the test ends.
func announceNewer(t testing.TB, from *Host, name string) {
	t.Helper()
	const label, service = "abcdefghijklmnop", "_porchlight._tcp.local."
	header := func(name string, kind uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: 120}
	}
	m := new(dns.Msg)
	m.Response, m.Authoritative = true, true
	m.Answer = []dns.RR{
		&dns.PTR{Hdr: header(service, dns.TypePTR), Ptr: label + "." + service},
		&dns.SRV{Hdr: header(label+"."+service, dns.TypeSRV), Port: discovery.DefaultPort, Target: label + ".local."},
		&dns.TXT{Hdr: header(label+"."+service, dns.TypeTXT), Txt: []string{"v=2", "n=" + strings.ReplaceAll(name, " ", "%20"), "w=WORKGROUP", "future=yes"}},
		&dns.A{Hdr: header(label+".local.", dns.TypeA), A: from.Addr().AsSlice()},
	}
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	var c *net.UDPConn
	if err := from.Inside(func() (err error) {
		eth, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		if c, err = net.ListenUDP("udp4", &net.UDPAddr{Port: 5353}); err != nil {
			return err
		}
		return ipv4.NewPacketConn(c).SetMulticastInterface(eth) // there is no default route
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_, _ = c.WriteToUDP(packet, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353})
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done; c.Close() })
}
