//go:build linux && lab

package labtest

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"porchlight/app/doctor"
	"porchlight/discovery"
	"porchlight/transfer/wire"
)

// attend has a device believe that somebody sits before its window.
func (d *Device) attend(t *testing.T) {
	t.Helper()
	engine := d.engine(t)
	if err := engine.FinishFirstRun(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = engine.Attend(ctx, func() {}) }()
	t.Cleanup(func() { cancel(); <-done })
	eventually(t, 5*time.Second, d.Name+" has a window", func() bool { there, err := engine.ShowWindow(ctx); return there && err == nil })
}

// TestDoctorNewNetwork: a network nobody has spoken of yet, first as the only one, then beside one that is known.
func TestDoctorNewNetwork(t *testing.T) {
	t.Run("the only one", func(t *testing.T) {
		anna := NewDevices(t, DualStack, "anna")[0]
		anna.MustServe(t)
		anna.attend(t)
		must(t, "ip", "-n", anna.ns, "neigh", "replace", "10.83.0.254", "lladdr", "02:00:00:00:00:09", "dev", iface(0), "nud", "permanent")
		must(t, "ip", "-n", anna.ns, "route", "add", "default", "via", "10.83.0.254", "dev", iface(0))
		anna.Names(t, doctor.NetworkFirst, doctor.Trouble, "")
		silent(t, anna)
	})
	t.Run("beside another", func(t *testing.T) {
		devices := NewDevices(t, TwoWires, "anna", "bo")
		anna := devices[0]
		serveAll(t, devices)
		anna.attend(t)
		for _, a := range []string{"10.83.1.1/24", "fd83:1::1/64"} {
			must(t, "ip", "-n", anna.ns, "addr", "del", a, "dev", iface(1))
		}
		must(t, "ip", "-n", anna.ns, "addr", "add", "192.168.7.1/24", "dev", iface(1))
		if f := anna.Names(t, doctor.PartPublic, doctor.Hint, ""); f.Params["Interface"] != iface(1) {
			t.Errorf("%+v", f)
		}
		anna.Names(t, doctor.ReachGood, doctor.Good, "bo")                    // the other one is looked at all the same
		eventually(t, 15*time.Second, "anna is asked about it", func() bool { // a network has no name in its first moments
			var row struct{ Ask bool }
			err := anna.ask(&row, "network")
			return row.Ask && err == nil
		})
		if err := anna.engine(t).SetNetwork(t.Context(), discovery.Public); err != nil {
			t.Fatal(err)
		}
		anna.Names(t, doctor.NetworkGood, doctor.Good, "")
		if f := anna.Names(t, doctor.PartPublic, doctor.Hint, ""); f.Params["Interface"] != iface(1) {
			t.Errorf("%+v", f)
		}
	})
}

// TestDoctorAwayBlocked: bo is there, its firewall swallows everything, and Porchlight does not run.
func TestDoctorAwayBlocked(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	serveAll(t, devices)
	bo.Quit(t)
	bo.DropInbound()
	anna.Names(t, doctor.AwayBlocked, doctor.Hint, "bo")
}

// TestDoctorBlockedThere: bo neither lets anybody in nor out, and carl shows that it is not anna.
func TestDoctorBlockedThere(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo", "carl")
	anna, bo, carl := devices[0], devices[1], devices[2]
	const begun = "meta l4proto tcp tcp flags & (syn | ack) == syn drop;"
	bo.firewall(t, begun, begun)
	serveAll(t, []*Device{anna, carl})
	bo.MustServe(t)
	anna.Names(t, doctor.BlockedThere, doctor.Trouble, "bo")
}

// TestDoctorFirewallAlone: nobody is there to say whether the firewall lets them in.
func TestDoctorFirewallAlone(t *testing.T) {
	anna := NewDevices(t, DualStack, "anna")[0]
	nftInet(t, anna.Host)
	anna.MustServe(t)
	f := anna.Names(t, doctor.ReachFirewall, doctor.Hint, "")
	if f.Params["Firewall"] != string(doctor.NFTables) || len(f.Fix) == 0 {
		t.Errorf("%+v", f)
	}
	anna.Names(t, doctor.Nobody, doctor.Hint, "")
}

// TestDoctorAnnouncementsTaken: another program keeps the port of announcements for itself.
func TestDoctorAnnouncementsTaken(t *testing.T) {
	anna := NewDevices(t, DualStack, "anna")[0]
	var other net.PacketConn
	if err := anna.Inside(func() (err error) { other, err = net.ListenPacket("udp", ":5353"); return err }); err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	anna.MustServe(t)
	if f := anna.Names(t, doctor.Service, doctor.Trouble, ""); f.Params["Service"] != "mdns" {
		t.Errorf("%+v", f)
	}
}

// TestDoctorSeveral: four things are wrong at once. All are named, what keeps neighbours away first, and the commands stand there once.
func TestDoctorSeveral(t *testing.T) {
	l := NewLAN(t, DualStack, "anna", "bo", "carl")
	anna, bo := NewDevice(t, l.Hosts[0]), NewDevice(t, l.Hosts[1])
	nftInet(t, anna.Host)
	var other net.Listener
	if err := anna.Inside(func() (err error) { other, err = net.Listen("tcp", ":47470"); return err }); err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	bo.MustServe(t)
	anna.MustServe(t)
	anna.Must(t, commandLimit, "peers", "add", bo.Addr().String())
	anna.on(t, "nft", "insert rule inet filter input ip saddr 10.83.0.3 accept") // for carl to come with its clock
	hello := wire.Hello{V: wire.Version, Name: "slow", Workgroup: discovery.DefaultWorkgroup, Install: "1", Now: time.Now().Add(-3 * time.Hour).UnixNano()}
	var status struct{ Port uint16 }
	if err := anna.ask(&status, "status"); err != nil {
		t.Fatal(err)
	}
	strangerAt(t, l.Hosts[2], anna, status.Port, hello)
	anna.Names(t, doctor.BlockedHere, doctor.Trouble, "")
	var codes []doctor.Code
	fixes := 0
	for _, f := range anna.Doctor(t) {
		if f.Level != doctor.Good {
			codes = append(codes, f.Code)
		}
		if len(f.Fix) > 0 {
			fixes++
		}
	}
	figure(t, "four at once: %v", codes)
	if want := []doctor.Code{doctor.BlockedHere, doctor.MulticastDeaf, doctor.PortTaken, doctor.ClockOff}; !slices.Equal(codes, want) || fixes != 1 {
		t.Errorf("%v, with commands %d times; want %v", codes, fixes, want)
	}
}
