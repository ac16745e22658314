//go:build linux && lab

package labtest

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestCost measures what has no bar and no rival: what doing nothing costs, and what it costs to find that all is there. See TestBar for the rest.
func TestCost(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	serveAll(t, devices)

	const idle = 20 * time.Second
	before := cpuTime(t, anna)
	time.Sleep(idle)
	used := cpuTime(t, anna) - before
	figure(t, "idle: %d MiB of memory, %.2f %% of a core over %v", memory(t, anna, "VmRSS")/mib, 100*used.Seconds()/idle.Seconds(), idle)

	const files = 20_000
	writeMany(t, anna.Path("small"), files, 200, 4*kib)
	anna.Share(t, anna.Path("small"), "small")
	took := timedGet(t, bo, anna.At("small"), bo.Path("into"))
	figure(t, "%d files of 4 KiB: %v", files, ms(took))
	mustEqual(t, anna.Path("small"), bo.Path("into", "small"))
	again := timedGet(t, bo, anna.At("small"), bo.Path("into"))
	figure(t, "the same again, all there: %v", ms(again))
	atMost(t, "the same again", again, took)
}

func timedGet(t *testing.T, d *Device, what, into string) time.Duration {
	t.Helper()
	start := time.Now()
	d.Must(t, 10*time.Minute, "get", what, "-o", into)
	return time.Since(start)
}

// memory reads a size out of /proc/<pid>/status, in bytes.
func memory(t *testing.T, d *Device, field string) int64 {
	t.Helper()
	f, err := os.Open(filepath.Join("/proc", strconv.Itoa(d.cmd.Process.Pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) == 3 && words[0] == field+":" {
			n, err := strconv.ParseInt(words[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n * kib
		}
	}
	t.Fatalf("no %s of %s", field, d.Name)
	return 0
}

// cpuTime reads what `serve` has used of all cores.
func cpuTime(t *testing.T, d *Device) time.Duration {
	t.Helper()
	used, _, err := usedBy(d.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return used
}
