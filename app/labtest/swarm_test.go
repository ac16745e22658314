//go:build linux && lab

package labtest

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"porchlight/share/content"
)

// Bars of a file that many pull at once; times are in parts of what one copy takes on the wire.
const (
	swarmBar     = 1.35
	swarmChurn   = 1.6
	swarmCopies  = 1.3
	swarmWait    = 5 * time.Minute
	swarmOverCap = 1514.0 / 1448 // bytes on the wire for one of content
)

// newSwarm is a source with a file, receivers, and one who may not have it, all at 200 Mbit/s each way.
func newSwarm(t *testing.T) (source *Device, takers []*Device, stranger *Device) {
	t.Helper()
	all := NewDevices(t, DualStack, "anna", "bo", "cleo", "dan", "eva", "finn", "gus", "hana", "mallory")
	source = all[0]
	writeFile(t, source.Path("big", "big.bin"), swarmSize, 6)
	serveAll(t, all)
	source.Share(t, source.Path("big"), "big")
	for _, d := range all {
		d.shapeBoth(t, swarmRate)
	}
	return source, all[1:8], all[8]
}

func (d *Device) sent(t *testing.T) int64 {
	t.Helper()
	n, err := d.counter("tx")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestSwarm: seven pull the same file at once. All have it little later than one alone would, and the source sends little more than one copy.
func TestSwarm(t *testing.T) {
	source, takers, stranger := newSwarm(t)
	bound := swarmBound()
	before := source.sent(t)
	type end struct {
		took time.Duration
		err  error
	}
	ends := make(chan end)
	start := time.Now()
	for _, d := range takers {
		go func() {
			_, err := d.Run(swarmWait, "get", source.At("big"), "-o", d.Path("into"))
			ends <- end{time.Since(start), err}
		}()
	}
	var last time.Duration
	var err error
	for range takers {
		e := <-ends
		last, err = max(last, e.took), errors.Join(err, e.err)
	}
	copies := float64(source.sent(t)-before) / swarmOverCap / swarmSize
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range takers {
		mustEqual(t, source.Path("big"), d.Path("into", "big"))
	}
	ratio := last.Seconds() / bound.Seconds()
	figure(t, "256 MiB to 7 at 200 Mbit/s: last one after %v, %.2f x the bound of %v (aim 1.15); the source sent %.2f copies", ms(last), ratio, ms(bound), copies)
	if ratio > swarmBar {
		t.Errorf("the last one takes %.2f times the bound; the bar is %v", ratio, swarmBar)
	}
	if copies > swarmCopies || copies < 1 {
		t.Errorf("the source sent %.2f copies; the bar is %v, and less than one cannot be", copies, swarmCopies)
	}
	notForStrangers(t, source, takers[0], stranger)
}

// notForStrangers: who knows the root of a content and has no ticket gets the answer of something that does not exist, from whoever has it.
func notForStrangers(t *testing.T, source, helper, stranger *Device) {
	t.Helper()
	f, err := os.Open(source.Path("big", "big.bin"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := content.Build(t.Context(), f, swarmSize, 1)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(root string) string {
		out, err := stranger.Run(commandLimit, "raw", helper.id, "/v1/c/"+root+"/have?since=0")
		if err != nil {
			return err.Error()
		}
		return string(out)
	}
	known, unknown := ask(l.Root.String()), ask(content.Hash{1}.String())
	if !strings.Contains(known, "404") || known != unknown && strings.ReplaceAll(known, l.Root.String(), "") != strings.ReplaceAll(unknown, content.Hash{1}.String(), "") {
		t.Errorf("a stranger is answered %q, and %q about what does not exist", known, unknown)
	}
}

// TestSwarmChurn: one receiver after another is killed and comes back, and the source goes for good when it has sent little more than one copy, or the
// first receiver has everything: then it is not needed any more. All get the file.
func TestSwarmChurn(t *testing.T) {
	source, takers, _ := newSwarm(t)
	bound := swarmBound()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	before, start := source.sent(t), time.Now()
	for _, d := range takers {
		d.Must(t, commandLimit, "get", source.At("big"), "-o", d.Path("into"), "--detach")
	}
	kills, gone, done := 0, time.Duration(0), map[*Device]time.Duration{}
	for next := start.Add(churnEvery); ; time.Sleep(50 * time.Millisecond) {
		whole := 0
		for _, d := range takers {
			if _, err := os.Lstat(filepath.Join(d.Path("into", "big"), "big.bin")); err == nil {
				if whole++; done[d] == 0 {
					done[d] = time.Since(start)
					t.Logf("%s has it after %v", d.Name, ms(done[d]))
				}
			}
		}
		if whole == len(takers) {
			break
		}
		if time.Since(start) > churnLimit() {
			t.Fatalf("%d of %d have it after %v", whole, len(takers), ms(time.Since(start)))
		}
		if source.cmd != nil && (whole > 0 || float64(source.sent(t)-before) > churnSent*swarmSize) {
			source.Kill()
			gone = time.Since(start)
		}
		if time.Now().After(next) {
			next = time.Now().Add(churnEvery)
			victim := takers[dice.IntN(len(takers))]
			victim.Kill()
			victim.MustServe(t)
			kills++
			t.Logf("%s was killed and is back after %v", victim.Name, ms(time.Since(start)))
		}
	}
	took := time.Since(start)
	if gone == 0 {
		t.Error("the source was there to the end")
	}
	for _, d := range takers {
		mustEqual(t, source.Path("big"), d.Path("into", "big"))
	}
	ratio := took.Seconds() / bound.Seconds()
	figure(t, "7 receivers, %d kills, the source gone after %v: %v, %.2f x the bound of %v", kills, ms(gone), ms(took), ratio, ms(bound))
	if ratio > swarmChurn {
		t.Errorf("%.2f times the bound; the bar is %v", ratio, swarmChurn)
	}
}
