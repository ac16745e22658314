//go:build linux && lab

package labtest

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"
)

// The bars of being seen.
const (
	seenBar   = time.Second      // median, from "ready" to all neighbours online
	quitBar   = time.Second      // a computer that says goodbye
	killBar   = 3 * time.Second  // one whose connections break
	cableBar  = 20 * time.Second // one that falls silent
	returnBar = 5 * time.Second  // any of them, when it is there again
)

// TestSee: three computers that start see each other. Every other time they have never met before.
func TestSee(t *testing.T) {
	for _, tt := range []struct {
		kind   Kind
		starts int
	}{{DualStack, 20}, {IPv6Only, 6}, {LinkLocal, 6}, {TwoWires, 6}} {
		t.Run(tt.kind.String(), func(t *testing.T) {
			devices := NewDevices(t, tt.kind, "anna", "bo", "cleo")
			var took []time.Duration
			for i := range tt.starts {
				if i%2 == 0 {
					for _, d := range devices {
						d.Forget(t)
					}
				}
				took = append(took, serveAll(t, devices))
				if i < tt.starts-1 {
					for _, d := range devices {
						d.Quit(t)
					}
				}
			}
			figure(t, "ready to all online: median %v, worst %v of %d starts", ms(median(took)), ms(slices.Max(took)), tt.starts)
			atMost(t, "median from ready to all online", median(took), seenBar)
			pullMix(t, devices[0], devices[1:])
		})
	}
}

// pullMix lets each of the takers pull one folder of every kind of file from a device.
func pullMix(t *testing.T, from *Device, takers []*Device) {
	t.Helper()
	name := fmt.Sprint("mix of ", from.Name)
	writeMix(t, from.Path(name))
	from.Share(t, from.Path(name), name)
	for _, d := range takers {
		d.Must(t, time.Minute, "get", from.At(name), "-o", d.Path("into"))
		mustEqual(t, from.Path(name), d.Path("into", name))
	}
}

// TestLeave: how soon the others know that a computer is gone, and that it is back.
func TestLeave(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo", "cleo")
	anna, others := devices[0], devices[1:]
	serveAll(t, devices)
	gone := func(limit time.Duration) time.Duration {
		t.Helper()
		return untilAll(t, others, limit+10*time.Second, "anna is gone", func(d *Device) (bool, error) { return d.Gone(anna) })
	}
	back := func() time.Duration {
		t.Helper()
		return untilAll(t, others, returnBar+30*time.Second, "anna is back", func(d *Device) (bool, error) { return d.Online(anna) })
	}
	serve := func() { anna.MustServe(t) }
	for _, tt := range []struct {
		name   string
		leave  func()
		bar    time.Duration
		revive func()
	}{
		{"quits", func() { anna.Signal(t, syscall.SIGTERM) }, quitBar, func() { anna.Ended(t); serve() }},
		{"is killed", func() { anna.Kill() }, killBar, serve},
		{"loses its cable", anna.Unplug, cableBar, anna.Plug},
		{"is cut off further away", anna.Isolate, cableBar, anna.Rejoin},
	} {
		start := time.Now()
		tt.leave()
		acted := time.Since(start)
		left := acted + gone(tt.bar)
		tt.revive()
		returned := back()
		figure(t, "%s: gone after %v, back after %v", tt.name, ms(left), ms(returned))
		atMost(t, tt.name+", gone", left, tt.bar)
		atMost(t, tt.name+", back", returned, returnBar)
	}
}

// TestDropped: a computer behind a firewall that lets nobody in takes part in everything.
func TestDropped(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	bo.DropInbound()
	took := serveAll(t, devices)
	figure(t, "one behind a firewall: both online after %v", ms(took))
	for _, pair := range [][2]*Device{{anna, bo}, {bo, anna}} {
		from, to := pair[0], pair[1]
		pullMix(t, from, []*Device{to})
		rows, err := to.List(from, "mix of "+from.Name)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(rows, func(r row) bool { return r.Name == "many" }) {
			t.Errorf("%s lists %v of %s", to.Name, rows, from.Name)
		}
	}
}

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
