//go:build linux && lab

package labtest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestNobodyReadsTheCode: two computers leave the open workgroup, one lets the other into a private one by code, and renames it.
// From the moment they left their names are on the network no more; of the code only what must be is, and only while it is open.
func TestNobodyReadsTheCode(t *testing.T) {
	lan := NewLAN(t, DualStack, "annalena", "bartholo", "evelynne")
	var devices []*Device
	for _, h := range lan.Hosts {
		devices = append(devices, NewDevice(t, h))
	}
	anna, bo, eve := devices[0], devices[1], devices[2]
	before := tapInto(t, lan)
	serveAll(t, devices)
	eventually(t, 10*time.Second, "they are in the open workgroup", func() bool { return before.says([]byte("n=annalena")) && before.says([]byte("n=bartholo")) })

	start := time.Now()
	for _, d := range []*Device{anna, bo} {
		d.Must(t, commandLimit, "workgroup", "open", "off")
	}
	hidden := untilAll(t, []*Device{eve}, cableBar, "both are gone", func(d *Device) (bool, error) {
		first, err := d.Gone(anna)
		second, err2 := d.Gone(bo)
		return first && second, errors.Join(err, err2)
	})
	left := time.Since(start)
	figure(t, "both out of sight %v after they left, %v after the commands", ms(left), ms(hidden))
	for _, d := range []*Device{anna, bo} {
		if all, err := d.neighbours(); err != nil || len(all) != 0 {
			t.Errorf("%s lists %v, %v", d.Name, all, err)
		}
	}

	after := tapInto(t, lan)
	anna.Must(t, commandLimit, "workgroup", "new", "Conspiracy of the Lamps", "--person", "Somebody Special", "--private")
	code := anna.invite(t, "--yes")
	slot := "j=" + code[:2]
	eventually(t, 10*time.Second, "the invitation is announced", func() bool { return after.invites(slot) })
	start = time.Now()
	bo.Must(t, commandLimit, "workgroup", "join", code)
	untilAll(t, []*Device{anna, bo}, enterBar, "both are members and online", func(d *Device) (bool, error) { return d.together(t, []*Device{anna, bo}) })
	took := time.Since(start)
	figure(t, "in by code, and both see it: %v", ms(took))
	atMost(t, "in by code", took, enterBar)
	done := tapInto(t, lan)
	anna.Must(t, commandLimit, "workgroup", "rename", "Congress of the Lanterns")
	if err := eve.engine(t).Refresh(t.Context()); err != nil { // everybody is asked who is there
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "the members answer", func() bool { return len(done.tagged()) >= 2 })

	for _, what := range []string{"annalena", "bartholo", "Somebody", "Special", "Conspiracy", "Congress", "Lanterns", code, code[2:], anna.id[:7], bo.id[:7], strings.ReplaceAll(anna.id, "-", "")[:12], strings.ReplaceAll(bo.id, "-", "")[:12]} {
		if len(what) >= 6 && (after.says([]byte(what)) || done.says([]byte(what))) {
			t.Errorf("everybody reads %q", what)
		}
	}
	for _, s := range after.announcements() {
		for _, line := range s.txt {
			if s.tags != "" && strings.Contains(line, code[2:]) {
				t.Errorf("announced: %q", line)
			}
		}
	}
	if done.invites(slot) {
		t.Error("the invitation is announced after its end")
	}
	if all, err := eve.neighbours(); err != nil || slices.Contains(all, "online") {
		t.Errorf("a stranger sees %v, %v", all, err)
	}
}

// neighbours returns the states of the devices that a device lists.
func (d *Device) neighbours() (states []string, err error) {
	var peers []struct{ Name, State string }
	if err := d.ask(&peers, "peers"); err != nil {
		return nil, err
	}
	for _, p := range peers {
		states = append(states, p.State)
	}
	return states, nil
}

// invites reports whether somebody announces an invitation.
func (p *tap) invites(line string) bool {
	return slices.ContainsFunc(p.announcements(), func(s said) bool { return slices.Contains(s.txt, line) })
}

// tagged returns who announces private workgroups.
func (p *tap) tagged() (out []string) {
	for _, s := range p.announcements() {
		if s.tags != "" && !slices.Contains(out, s.from) {
			out = append(out, s.from)
		}
	}
	return out
}
