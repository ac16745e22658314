//go:build linux && lab

package labtest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTwoWays: two computers on two switches; one of two cables is pulled out in the middle of a pull, at the source or at the
// receiver. The pull goes on by the other one.
func TestTwoWays(t *testing.T) {
	for _, tt := range []struct {
		name string
		at   int // whose cable
		wire int
	}{{"the source's first", 0, 0}, {"the source's second", 0, 1}, {"the receiver's first", 1, 0}} {
		t.Run(tt.name, func(t *testing.T) {
			const bar = 5 * time.Second
			devices := NewDevices(t, TwoWires, "anna", "bo")
			anna, bo := devices[0], devices[1]
			arrived := midPull(t, devices)
			devices[tt.at].Pull(tt.wire)
			time.Sleep(300 * time.Millisecond) // what was on its way
			before := arrived()
			took := eventually(t, bar+30*time.Second, "the pull goes on", func() bool { return arrived() > before })
			figure(t, "a cable out in the middle of a pull: goes on after %v", ms(took))
			atMost(t, "going on", took, bar)
			anna.Shape("")
			untilDone(t, bo)
			mustEqual(t, anna.Path("big"), bo.Path("into", "big"))
		})
	}
}

// TestPublic: a network is said to be public, is remembered as such, and is said to be home again.
func TestPublic(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	serveAll(t, devices)
	anna.Must(t, commandLimit, "network", "public")
	took := untilAll(t, []*Device{bo}, 30*time.Second, "anna is gone", func(d *Device) (bool, error) { return d.Gone(anna) })
	figure(t, "public: gone for the neighbour after %v", ms(took))
	silent(t, anna)
	anna.Quit(t)
	anna.Unasked = true
	anna.MustServe(t)
	silent(t, anna)
	if yes, err := bo.Online(anna); yes || err != nil {
		t.Errorf("a public network that was forgotten: %v %v", yes, err)
	}
	anna.Must(t, commandLimit, "network", "home")
	took = untilAll(t, []*Device{bo, anna}, 30*time.Second, "they see each other", func(d *Device) (bool, error) {
		return d.Online(map[*Device]*Device{anna: bo, bo: anna}[d])
	})
	figure(t, "home again: there after %v", ms(took))
	atMost(t, "being there", took, 5*time.Second)
}

// TestGateway: a home with a gateway is left for a public place with the same range of addresses, and returned to.
func TestGateway(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	router := func(mac string) {
		must(t, "ip", "-n", anna.ns, "neigh", "replace", "10.83.0.254", "lladdr", mac, "dev", iface(0), "nud", "permanent")
		must(t, "ip", "-n", anna.ns, "route", "flush", "default")
		must(t, "ip", "-n", anna.ns, "route", "add", "default", "via", "10.83.0.254", "dev", iface(0))
		time.Sleep(time.Second) // the system tells of it
	}
	router("02:00:00:00:00:01")
	serveAll(t, devices)
	anna.Must(t, commandLimit, "network", "home")
	router("02:00:00:00:00:02")
	anna.reads(t, "home") // another network that nobody was asked about, for there is no window
	anna.Must(t, commandLimit, "network", "public")
	silent(t, anna)
	router("02:00:00:00:00:01")
	took := eventually(t, 20*time.Second, "the home is known again", func() bool { return anna.network(t) == "home" })
	took += untilAll(t, devices, 20*time.Second, "they see each other", func(d *Device) (bool, error) {
		return d.Online(map[*Device]*Device{anna: bo, bo: anna}[d])
	})
	figure(t, "from a public place home, by the gateway: there after %v", ms(took))
	router("02:00:00:00:00:02")
	eventually(t, 20*time.Second, "the public place is known again", func() bool { return anna.network(t) == "public" })
	silent(t, anna)
}

// Pull takes one cable out of h.
func (h *Host) Pull(wire int) {
	h.t.Helper()
	must(h.t, "ip", "-n", h.lan.sw, "link", "set", h.port(wire), "down")
}

func (d *Device) network(t testing.TB) string {
	t.Helper()
	var row struct{ Network string }
	if err := d.ask(&row, "network"); err != nil {
		t.Fatal(err)
	}
	return row.Network
}

func (d *Device) reads(t testing.TB, want string) {
	t.Helper()
	if got := d.network(t); got != want {
		t.Errorf("%s is on a network that counts as %q, want %q", d.Name, got, want)
	}
}

// silent checks that nothing of the program can be reached on a device.
func silent(t testing.TB, d *Device) {
	t.Helper()
	out := ""
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if out = must(t, "ip", "netns", "exec", d.ns, "ss", "-Htlnup"); out == "" {
			return
		}
	}
	state, _ := d.Run(commandLimit, "network", "--json")
	kept, _ := os.ReadFile(filepath.Join(d.home, "settings.json"))
	state = append(state, kept...)
	t.Fatalf("%s still listens:\n%s%s", d.Name, out, state)
}

// TestNotThisOne: an interface its owner does not want used is not announced, and nobody is answered there; the other one works on.
func TestNotThisOne(t *testing.T) {
	devices := NewDevices(t, TwoWires, "anna", "bo")
	anna, bo := devices[0], devices[1]
	serveAll(t, devices)
	anna.Must(t, commandLimit, "network", "--leave", iface(1))
	eventually(t, 10*time.Second, "only the other wire is told of", func() bool {
		var status struct{ Addresses []string }
		if err := anna.ask(&status, "status"); err != nil {
			t.Fatal(err)
		}
		return len(status.Addresses) > 0 && !slices.ContainsFunc(status.Addresses, func(a string) bool { return strings.HasPrefix(a, "10.83.1.") })
	})
	untilAll(t, []*Device{bo}, 20*time.Second, "bo sees anna by the other one", func(d *Device) (bool, error) { return d.Online(anna) })
	if _, err := bo.Run(commandLimit, "peers", "add", "10.83.1.1"); err == nil {
		t.Error("anna answers on the wire that was left")
	}
	bo.Must(t, commandLimit, "peers", "add", "10.83.0.1")
	anna.Must(t, commandLimit, "network", "--use", iface(1))
	eventually(t, 10*time.Second, "anna answers there again", func() bool {
		_, err := bo.Run(commandLimit, "peers", "add", "10.83.1.1")
		return err == nil
	})
}

// TestMoved: an identity moves to another computer. The neighbours know it again, and nobody speaks of a copy.
func TestMoved(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo", "carl")
	anna, bo, carl := devices[0], devices[1], devices[2]
	serveAll(t, devices[:2])
	moveIdentity(t, anna, carl)
	took := untilAll(t, []*Device{bo}, 20*time.Second, "bo sees who was anna", func(d *Device) (bool, error) { return d.Online(carl) })
	figure(t, "an identity on another computer: there after %v", ms(took))
	for range 3 {
		for _, d := range []*Device{bo, carl} {
			out, err := d.Run(commandLimit, "doctor", "--json")
			if err != nil && len(out) == 0 {
				t.Fatal(err)
			}
			if strings.Contains(string(out), "twin") {
				t.Errorf("%s speaks of a copy: %s", d.Name, out)
			}
		}
		time.Sleep(time.Second)
	}
}

// moveIdentity has a device quit, and another one go on as it.
func moveIdentity(t *testing.T, from, to *Device) {
	t.Helper()
	file := from.Path("identity")
	from.Must(t, commandLimit, "identity", "export", file)
	from.Quit(t)
	to.Must(t, commandLimit, "identity", "import", file)
	to.MustServe(t)
	to.learn(t)
	if to.id != from.id {
		t.Fatalf("%s is %s, and %s was %s", to.Name, to.id, from.Name, from.id)
	}
}
