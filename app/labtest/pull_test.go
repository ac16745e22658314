//go:build linux && lab

package labtest

import (
	"errors"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestPull: two computers pull a large tree and a large file from a third, at once.
func TestPull(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo", "cleo")
	anna, takers := devices[0], devices[1:]
	writeFile(t, anna.Path("big", "big.bin"), gib, 1)
	serveAll(t, devices)
	anna.Share(t, source(t), "src")
	anna.Share(t, anna.Path("big"), "big")
	start := time.Now()
	errs := make(chan error)
	for _, d := range takers {
		go func() {
			_, err := d.Run(10*time.Minute, "get", anna.At("src"), anna.At("big"), "-o", d.Path("into"))
			errs <- err
		}()
	}
	if err := errors.Join(<-errs, <-errs); err != nil {
		t.Fatal(err)
	}
	figure(t, "the Go sources and 1 GiB, by two at once: %v", ms(time.Since(start)))
	for _, d := range takers {
		mustEqual(t, source(t), d.Path("into", "src"))
		mustEqual(t, anna.Path("big"), d.Path("into", "big"))
	}
}

// midPull has the second device pull a large file from the first, whose line is slow so that there is a middle, and returns
// there. arrived says how many bytes came.
func midPull(t *testing.T, devices []*Device) (arrived func() int64) {
	t.Helper()
	source, receiver := devices[0], devices[1]
	writeFile(t, source.Path("big", "big.bin"), 256*mib, 2)
	serveAll(t, devices)
	source.Share(t, source.Path("big"), "big")
	source.Shape("200mbit")
	receiver.Must(t, commandLimit, "get", source.At("big"), "-o", receiver.Path("into"), "--detach")
	arrived = func() int64 {
		n, _, err := receiver.Progress()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	eventually(t, 30*time.Second, "the pull is under way", func() bool { return arrived() > 16*mib })
	return arrived
}

// TestStopped: a source that stands still for a minute and then goes on.
func TestStopped(t *testing.T) {
	const still, bar = time.Minute, 5 * time.Second
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	arrived := midPull(t, devices)
	anna.Signal(t, syscall.SIGSTOP)
	time.Sleep(still)
	before := arrived()
	anna.Signal(t, syscall.SIGCONT)
	took := eventually(t, bar+30*time.Second, "the pull goes on", func() bool { return arrived() > before })
	figure(t, "stopped for %v, goes on after %v", still, ms(took))
	atMost(t, "going on", took, bar)
	anna.Shape("")
	untilDone(t, bo)
	mustEqual(t, anna.Path("big"), bo.Path("into", "big"))
}

// TestKills: either end dies at random moments of a pull, again and again; what has its name has its bytes.
func TestKills(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	writeMix(t, anna.Path("mix"))
	serveAll(t, devices)
	anna.Share(t, anna.Path("mix"), "mix")
	anna.Shape("300mbit") // so that a pull takes longer than a kill
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	kills, pulls := 0, 0
	for all := number(t, killsVar, 30); kills < all; pulls++ {
		into := bo.Path("into")
		bo.Must(t, commandLimit, "get", anna.At("mix"), "-o", into, "--detach")
		for kills < all {
			time.Sleep(time.Duration(dice.IntN(1200)) * time.Millisecond)
			if _, busy, err := bo.Progress(); err != nil {
				t.Fatal(err)
			} else if !busy {
				break
			}
			victim := devices[dice.IntN(2)]
			victim.Kill()
			kills++
			if err := compareNamed(anna.Path("mix"), bo.Path("into", "mix")); err != nil {
				t.Fatalf("after kill %d, of %s: %v", kills, victim.Name, err)
			}
			victim.MustServe(t)
		}
		eventually(t, 2*time.Minute, "the pull ends", func() bool {
			_, busy, err := bo.Progress()
			if err != nil {
				t.Fatal(err)
			}
			return !busy
		})
		mustEqual(t, anna.Path("mix"), bo.Path("into", "mix"))
		if err := os.RemoveAll(into); err != nil {
			t.Fatal(err)
		}
	}
	figure(t, "%d kills in %d pulls, no wrong byte under a final name", kills, pulls)
}
