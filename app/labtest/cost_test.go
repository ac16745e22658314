//go:build linux && lab

package labtest

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestCost measures what has no bar yet: rates, memory, and what doing nothing costs.
func TestCost(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	serveAll(t, devices)

	const idle = 20 * time.Second
	before := cpuTime(t, anna)
	time.Sleep(idle)
	used := cpuTime(t, anna) - before
	figure(t, "idle: %d MiB of memory, %.2f %% of a core over %v", memory(t, anna, "VmRSS")/mib, 100*used.Seconds()/idle.Seconds(), idle)

	writeFile(t, anna.Path("big", "big.bin"), gib, 3)
	anna.Share(t, anna.Path("big"), "big")
	for _, what := range []string{"never read before", "hashes known"} {
		took := timedGet(t, bo, anna.At("big"), bo.Path(what))
		figure(t, "1 GiB, %s: %v, %.0f MB/s", what, ms(took), gib/1e6/took.Seconds())
		mustEqual(t, anna.Path("big"), bo.Path(what, "big"))
		if err := os.RemoveAll(bo.Path(what)); err != nil {
			t.Fatal(err)
		}
	}
	figure(t, "most memory so far: source %d MiB, receiver %d MiB", memory(t, anna, "VmHWM")/mib, memory(t, bo, "VmHWM")/mib)

	const files = 20_000
	for i := range files {
		writeFile(t, anna.Path("small", fmt.Sprint(i%100), fmt.Sprint(i)), 4*kib, byte(i))
	}
	anna.Share(t, anna.Path("small"), "small")
	took := timedGet(t, bo, anna.At("small"), bo.Path("into"))
	figure(t, "%d files of 4 KiB: %v", files, ms(took))
	mustEqual(t, anna.Path("small"), bo.Path("into", "small"))
	took = timedGet(t, bo, anna.At("small"), bo.Path("into"))
	figure(t, "the same again, all there: %v", ms(took))
	figure(t, "most memory: source %d MiB, receiver %d MiB", memory(t, anna, "VmHWM")/mib, memory(t, bo, "VmHWM")/mib)
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

// cpuTime reads what `serve` has used of all cores, from /proc/<pid>/stat.
func cpuTime(t *testing.T, d *Device) time.Duration {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(d.cmd.Process.Pid), "stat"))
	if err != nil {
		t.Fatal(err)
	}
	// The second field, the name, may contain anything; utime and stime are the 12th and 13th after it.
	_, rest, _ := strings.Cut(string(data), ") ")
	var ticks int64
	for _, word := range strings.Fields(rest)[11:13] {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond // a tick is 1/100 s on every Linux
}
