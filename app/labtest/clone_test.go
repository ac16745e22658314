//go:build linux && lab

package labtest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"porchlight/app/doctor"
)

// oneDisk gives devices homes of their own at one and the same path, as computers have whose disks are copies of each other: what
// "ip netns exec" finds in /etc/netns it puts over what is in /etc. Their machine ID is one and the same, too.
func oneDisk(t *testing.T, devices ...*Device) {
	t.Helper()
	place, err := os.MkdirTemp("/etc", "plt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(place) })
	for _, d := range devices {
		if err := os.MkdirAll(d.disk(place), 0o700); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(filepath.Join("/etc/netns", d.ns)) })
		d.home = filepath.Join(place, "home")
	}
}

// disk is where the files of a place of oneDisk lie.
func (d *Device) disk(place string) string {
	return filepath.Join("/etc/netns", d.ns, filepath.Base(place))
}

// TestDoctorClonedDisk: a whole disk was copied, so that the two computers agree in everything that lies on it.
func TestDoctorClonedDisk(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "copy", "carl")
	anna, twin, carl := devices[0], devices[1], devices[2]
	oneDisk(t, anna, twin)
	anna.MustServe(t)
	anna.Quit(t)
	place := filepath.Dir(anna.home)
	must(t, "cp", "-a", anna.disk(place)+"/.", twin.disk(place))
	for _, d := range devices {
		d.MustServe(t)
	}
	anna.Names(t, doctor.TwinSelf, doctor.Trouble, "")
	f := twin.Names(t, doctor.TwinSelf, doctor.Trouble, "")
	carl.Names(t, doctor.TwinOther, doctor.Trouble, "")
	twin.fix(t, f)
	anna.learn(t)
	twin.learn(t)
	if anna.id == twin.id {
		t.Fatal("both are still the same")
	}
	took := untilAll(t, []*Device{carl}, 60*time.Second, "carl sees two computers", func(d *Device) (bool, error) {
		a, err := d.Online(anna)
		b, err2 := d.Online(twin)
		return a && b && err == nil && err2 == nil, err
	})
	figure(t, "carl sees two computers %v after the copy was made a new one", ms(took))
}

// TestNoFalseTwin: an identity goes to another computer by a file, the old one is switched on again by mistake, and off; and who
// only starts again and again is no copy of itself.
func TestNoFalseTwin(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo", "carl")
	anna, bo, carl := devices[0], devices[1], devices[2]
	oneDisk(t, anna, carl)
	serveAll(t, []*Device{anna, bo})
	quiet := func(when string, ds ...*Device) {
		t.Helper()
		for _, d := range ds {
			for _, f := range d.Doctor(t) {
				if f.Code == doctor.TwinSelf || f.Code == doctor.TwinOther {
					t.Errorf("%s, and %s says %s", when, d.Name, f.Text)
				}
			}
		}
	}
	for range 4 {
		anna.Quit(t)
		anna.MustServe(t)
		untilAll(t, []*Device{bo}, 20*time.Second, "anna is back", func(d *Device) (bool, error) { return d.Online(anna) })
	}
	quiet("anna was started four times", anna, bo)
	moveIdentity(t, anna, carl)
	untilAll(t, []*Device{bo}, 20*time.Second, "bo sees who was anna", func(d *Device) (bool, error) { return d.Online(carl) })
	quiet("anna became carl", bo, carl)
	carl.Quit(t)
	carl.MustServe(t)
	untilAll(t, []*Device{bo}, 20*time.Second, "carl is back", func(d *Device) (bool, error) { return d.Online(carl) })
	quiet("carl was started again", bo, carl)
	anna.MustServe(t) // the old one, with the key it still has
	carl.Names(t, doctor.TwinSelf, doctor.Trouble, "")
	anna.Names(t, doctor.TwinSelf, doctor.Trouble, "")
	bo.Names(t, doctor.TwinOther, doctor.Trouble, "")
}
