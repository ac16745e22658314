//go:build linux && lab

package labtest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRoam: the source of a running pull gets another address, as after a change of network. Nobody tells the receiver.
func TestRoam(t *testing.T) {
	const bar = 5 * time.Second
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	arrived := midPull(t, devices)
	anna.Readdress()
	time.Sleep(300 * time.Millisecond) // what was on its way
	before := arrived()
	took := eventually(t, bar+30*time.Second, "the pull goes on", func() bool { return arrived() > before })
	figure(t, "another address in the middle of a pull: goes on after %v", ms(took))
	atMost(t, "going on", took, bar)
	anna.Shape("")
	untilDone(t, bo)
	mustEqual(t, anna.Path("big"), bo.Path("into", "big"))
}

// Readdress takes all addresses but the link-local ones away from the first wire and gives others.
func (h *Host) Readdress() {
	for _, a := range h.addresses(0) {
		must(h.t, "ip", "-n", h.ns, "addr", "del", a, "dev", iface(0))
	}
	h.index += 100
	for _, a := range h.addresses(0) {
		must(h.t, "ip", "-n", h.ns, "addr", "add", a, "dev", iface(0))
	}
	h.index -= 100
}

// TestFullDisk: the disk of the receiver is too small, the pull waits, room is made, the pull goes on by itself.
func TestFullDisk(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	writeFile(t, anna.Path("big", "big.bin"), 96*mib, 2)
	small := bo.Path("small")
	if err := os.MkdirAll(small, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, fmt.Sprintf("size=%d", 220*mib)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(small, unix.MNT_DETACH) }) //nolint:errcheck // the folder goes anyway
	serveAll(t, devices)                                       // only now: a process in a namespace sees no mount that comes later
	anna.Share(t, anna.Path("big"), "big")
	ballast := filepath.Join(small, "ballast")
	writeFile(t, ballast, 200*mib, 3)
	bo.Must(t, commandLimit, "get", anna.At("big"), "-o", filepath.Join(small, "into"), "--detach")
	eventually(t, 20*time.Second, "the pull waits for room", func() bool {
		jobs, err := bo.Jobs()
		return err == nil && len(jobs) == 1 && jobs[0].State == "away"
	})
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	untilDone(t, bo)
	figure(t, "a full disk was emptied: all there %v later", ms(time.Since(began)))
	mustEqual(t, anna.Path("big"), filepath.Join(small, "into", "big"))
}

// untilDone waits for all pulls of a device.
func untilDone(t testing.TB, d *Device) {
	t.Helper()
	eventually(t, 2*time.Minute, "the pulls end", func() bool {
		_, busy, err := d.Progress()
		if err != nil {
			t.Fatal(err)
		}
		return !busy
	})
}
