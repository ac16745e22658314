//go:build linux && lab

package labtest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// pictures is what a device shows of one comparison.
type pictures struct {
	Digits, State string
	Pictures      []struct{ Symbol string }
}

// sees is what a person compares.
func (p pictures) sees() string { return fmt.Sprint(p.Digits, p.Pictures) }

// sure reports whether the device has verified another one.
func (d *Device) sure(t testing.TB, other *Device) bool {
	t.Helper()
	var peers []struct {
		ID       string
		Verified bool
	}
	if err := d.ask(&peers, "peers"); err != nil {
		t.Fatal(err)
	}
	for _, p := range peers {
		if p.ID == other.id {
			return p.Verified
		}
	}
	return false
}

// looks waits until the device shows pictures that another one began to compare, says that they are the same, and returns them.
func (d *Device) looks(t testing.TB) pictures {
	t.Helper()
	var shown []pictures
	eventually(t, meetBar, d.Name+" shows pictures", func() bool {
		err := d.ask(&shown, "verify")
		return err == nil && len(shown) == 1
	})
	d.Must(t, commandLimit, "verify", "--yes")
	return shown[0]
}

// TestByPictures: two computers get to know each other by pictures, and one comes in so.
func TestByPictures(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	serveAll(t, devices)
	if anna.sure(t, bo) || bo.sure(t, anna) {
		t.Error("somebody is verified at whom nobody has looked")
	}
	start, over := time.Now(), make(chan error, 1)
	var here pictures
	go func() { over <- bo.ask(&here, "verify", anna.id, "--yes") }()
	there := anna.looks(t)
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	if here.State != "same" || here.sees() != there.sees() || len(here.Pictures) != 4 {
		t.Errorf("anna shows %+v, bo %+v", there, here)
	}
	eventually(t, meetBar, "both know each other", func() bool { return anna.sure(t, bo) && bo.sure(t, anna) })
	figure(t, "compared and verified on both sides: %v", ms(time.Since(start)))

	anna.Must(t, commandLimit, "workgroup", "new", "Home", "--private")
	anna.invite(t)
	start = time.Now()
	go func() {
		_, err := bo.Run(commandLimit, "workgroup", "join", "--pictures", anna.id, "--yes")
		over <- err
	}()
	anna.looks(t)
	eventually(t, enterBar, "bo asks to be let in", func() bool {
		all := anna.groups(t).Invitations
		return len(all) == 1 && all[0].State == "asking"
	})
	anna.Must(t, commandLimit, "workgroup", "approve")
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	untilAll(t, devices, enterBar, "both are together", func(d *Device) (bool, error) { return d.together(t, devices) })
	took := time.Since(start)
	figure(t, "in by pictures: %v", ms(took))
	atMost(t, "in by pictures", took, enterBar)
}

// TestVeto: an admin removes the founder, who takes it back, and is back with everything.
func TestVeto(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo", "cleo")
	anna, bo, cleo := devices[0], devices[1], devices[2]
	serveAll(t, devices)
	found(t, devices, "off")
	anna.Must(t, commandLimit, "workgroup", "role", "bo", "admin")
	eventually(t, meetBar, "bo is an admin", func() bool { return bo.groups(t).Private[0].Role == "admin" })
	bo.Must(t, commandLimit, "workgroup", "remove", "anna", "--yes")
	eventually(t, meetBar, "anna is out", func() bool { s, _ := anna.standing(t); return s == "out" })
	eventually(t, meetBar, "cleo knows", func() bool { _, n := cleo.standing(t); return n == 2 })
	start := time.Now()
	anna.Must(t, commandLimit, "workgroup", "contest", "--yes")
	eventually(t, meetBar, "bo is out", func() bool { s, _ := bo.standing(t); return s == "out" })
	out := time.Since(start)
	pair := []*Device{anna, cleo}
	untilAll(t, pair, enterBar+20*time.Second, "anna and cleo are together", func(d *Device) (bool, error) { return d.together(t, pair) })
	back := time.Since(start)
	figure(t, "the founder's veto: the other is out after %v, all are back after %v", ms(out), ms(back))
	atMost(t, "the other is out", out, meetBar)
	atMost(t, "all are back", back, enterBar)
	if _, err := bo.Run(commandLimit, "workgroup", "contest", "--yes"); err == nil {
		t.Error("a junior takes back what the founder ruled")
	}
}

// TestWrongCodes: three wrong codes burn an invitation, and the right one is too late.
func TestWrongCodes(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	serveAll(t, devices)
	anna.Must(t, commandLimit, "workgroup", "new", "Home", "--private")
	code := anna.invite(t, "--yes")
	for i := range 3 {
		wrong := []byte(code)
		wrong[7] = '0' + (wrong[7]-'0'+byte(i)+1)%10
		start := time.Now()
		_, err := bo.Run(commandLimit, "workgroup", "join", string(wrong))
		if err == nil || !strings.Contains(err.Error(), "the code is wrong") {
			t.Fatalf("a wrong code: %v", err)
		}
		figure(t, "a wrong code is known as such after %v", ms(time.Since(start)))
		time.Sleep(2100 * time.Millisecond) // one run in two seconds from one place
	}
	start := time.Now()
	_, err := bo.Run(commandLimit, "workgroup", "join", code)
	if err == nil || !strings.Contains(err.Error(), "no computer here shows this code") {
		t.Errorf("a burned code: %v", err)
	}
	figure(t, "a burned code is refused after %v", ms(time.Since(start)))
	if s, n := anna.standing(t); s != "in" || n != 1 {
		t.Errorf("anna is %q among %d", s, n)
	}
	bo.Must(t, commandLimit, "workgroup", "join", anna.invite(t, "--yes"))
	untilAll(t, devices, enterBar, "both are members", func(d *Device) (bool, error) {
		s, n := d.standing(t)
		return s == "in" && n == 2, nil
	})
	figure(t, "three wrong codes burn one, and a new one lets in")
}

// TestStartOver: nobody has the sheet, so a member founds a new workgroup without the stolen computer; the other one is asked.
func TestStartOver(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo", "cleo")
	anna, bo, cleo := devices[0], devices[1], devices[2]
	serveAll(t, devices)
	found(t, devices, "off")
	start := time.Now()
	cleo.Must(t, commandLimit, "workgroup", "start-over", "Home 2", "--keep", "bo", "--yes")
	asked := eventually(t, meetBar, "bo is asked", func() bool {
		var offers []struct {
			Name    string
			Without []struct{ Name string }
		}
		return bo.ask(&offers, "workgroup", "moves") == nil && len(offers) == 1 && offers[0].Name == "Home 2" && len(offers[0].Without) == 1 && offers[0].Without[0].Name == "anna"
	})
	if s, n := bo.standing(t); s != "in" || n != 3 {
		t.Errorf("bo is %q among %d before it said yes", s, n)
	}
	bo.Must(t, commandLimit, "workgroup", "move-over", "--yes")
	untilAll(t, []*Device{bo, cleo}, enterBar, "bo and cleo see each other", func(d *Device) (bool, error) {
		other := map[*Device]*Device{bo: cleo, cleo: bo}[d]
		for _, w := range d.groups(t).Private {
			if w.Name == "Home 2" && w.Standing == "in" && w.Members == 2 {
				return d.Online(other)
			}
		}
		return false, nil
	})
	if g := anna.groups(t).Private; len(g) != 1 || g[0].Name != "Home" {
		t.Errorf("anna, who is not to come along, has %+v", g)
	}
	figure(t, "started over: asked after %v, moved after %v", ms(asked), ms(time.Since(start)))
}
