//go:build linux && lab

package labtest

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"porchlight/app/control"
)

const (
	// rest is how long nobody asks anything before a process counts as calm: what lies idle is closed after 90 s, and garbage is
	// collected every two minutes at least.
	rest = 130 * time.Second
	// looks is how often it is looked at again when there is more than at first.
	looks = 2
	// beat is the time between two readings.
	beat = 10 * time.Second
	// window is what one point of a slope stands for: the least reading of it.
	window = 2 * time.Minute
	// slack is how far goroutines and open files may be from where they were.
	slack = 5
)

// reading is what a process weighs at one moment; sizes in bytes.
type reading struct {
	at                         time.Time
	life                       int64 // of the node: a process that was started anew begins a new series
	rss, peak, heap            int64
	goroutines, files, sockets int
}

// pulse takes readings of nodes.
type pulse struct {
	mu     sync.Mutex // guards the field below
	series map[*node][]reading
}

// feel takes readings until stop, which may be called twice.
func feel(nodes []*node) (p *pulse, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	p = &pulse{series: map[*node][]reading{}}
	var running sync.WaitGroup
	running.Go(func() { p.run(ctx, nodes) })
	return p, func() {
		cancel()
		running.Wait()
	}
}

// run takes a reading of each every beat until ctx ends.
func (p *pulse) run(ctx context.Context, nodes []*node) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for _, n := range nodes {
			if r, err := n.read(); err == nil { // it may be dead or stopped
				p.mu.Lock()
				p.series[n] = append(p.series[n], r)
				p.mu.Unlock()
			}
		}
	}
}

// read asks the kernel and the process itself.
func (n *node) read() (r reading, err error) {
	r.at, r.life = time.Now(), n.life.Load()
	proc := filepath.Join("/proc", strconv.FormatInt(n.pid.Load(), 10))
	data, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return r, err
	}
	for lines := bufio.NewScanner(strings.NewReader(string(data))); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) != 3 {
			continue
		}
		size, _ := strconv.ParseInt(words[1], 10, 64) // the two that count are numbers
		switch words[0] {
		case "VmRSS:":
			r.rss = size * kib
		case "VmHWM:":
			r.peak = size * kib
		}
	}
	files, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		return r, err
	}
	r.files = len(files)
	for _, f := range files {
		if to, err := os.Readlink(filepath.Join(proc, "fd", f.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			r.sockets++
		}
	}
	err = n.call(func(ctx context.Context, c *control.Client) error {
		self, err := c.Self(ctx)
		r.goroutines, r.heap = self.Goroutines, self.Heap
		return err
	})
	if err == nil && (r.rss == 0 || r.goroutines == 0) {
		err = fmt.Errorf("%s tells nothing about itself", n.Name)
	}
	return r, err
}

// calm waits until nobody has asked anything for a while, and returns a reading of each node.
func calm(t *testing.T, nodes []*node) map[*node]reading {
	t.Helper()
	time.Sleep(rest)
	out := map[*node]reading{}
	for _, n := range nodes {
		r, err := n.read()
		if err != nil {
			t.Fatal(err)
		}
		out[n] = r
	}
	return out
}

// isBack reports whether a process has about as many goroutines and open files as at first.
func isBack(first, now reading) bool {
	return max(now.goroutines-first.goroutines, first.goroutines-now.goroutines, now.files-first.files, first.files-now.files) <= slack
}

// back checks that a process has as many goroutines and open files as at first.
func back(t *testing.T, n *node, first, now reading, strict bool) {
	t.Helper()
	figure(t, "%s at rest: %d goroutines, %d open files, %d of them sockets (at first %d, %d, %d); %.1f MiB in use, %.1f MiB resident",
		n.Name, now.goroutines, now.files, now.sockets, first.goroutines, first.files, first.sockets, float64(now.heap)/mib, float64(now.rss)/mib)
	if !strict {
		return
	}
	for _, x := range []struct {
		what     string
		was, now int
	}{{"goroutines", first.goroutines, now.goroutines}, {"open files", first.files, now.files}} {
		if x.now < x.was-slack || x.now > x.was+slack {
			t.Errorf("%s has %d %s at rest, and had %d", n.Name, x.now, x.what, x.was)
		}
	}
}

// slope is how fast something grows, in bytes an hour, and how far that may be off (two standard errors).
type slope struct{ rate, off float64 }

func (s slope) String() string { return fmt.Sprintf("%+.2f ± %.2f MB/h", s.rate/1e6, s.off/1e6) }

// grows fits a line through the least value of each window, the first tenth of the time aside. With fewer than four windows
// it knows nothing.
func grows(series []reading, value func(reading) int64) (slope, bool) {
	if len(series) == 0 {
		return slope{}, false
	}
	start := series[0].at
	warm := series[len(series)-1].at.Sub(start) / 10
	least := map[int]reading{}
	for _, r := range series {
		if r.at.Sub(start) < warm {
			continue
		}
		w := int(r.at.Sub(start) / window)
		if l, ok := least[w]; !ok || value(r) < value(l) {
			least[w] = r
		}
	}
	n := float64(len(least))
	if n < 4 {
		return slope{}, false
	}
	var sx, sy float64
	for _, r := range least {
		sx, sy = sx+r.at.Sub(start).Hours(), sy+float64(value(r))
	}
	var sxx, sxy, left float64
	for _, r := range least {
		x := r.at.Sub(start).Hours() - sx/n
		sxx, sxy = sxx+x*x, sxy+x*(float64(value(r))-sy/n)
	}
	rate := sxy / sxx
	for _, r := range least {
		e := float64(value(r)) - sy/n - rate*(r.at.Sub(start).Hours()-sx/n)
		left += e * e
	}
	return slope{rate, 2 * math.Sqrt(left/(n-2)/sxx)}, true
}

// mustBeFlat checks that a process which ran all the time does not grow from rest to rest: what a moment's work takes is not what
// stays. What is resident moves by megabytes for reasons of the run-time system, so that only a growth beyond doubt counts; what is
// in use after a collection moves less. series is what it weighed all the time.
func mustBeFlat(t *testing.T, n *node, series, rests []reading, strict bool) {
	t.Helper()
	const bar = 1e6 // bytes an hour
	if len(series) == 0 || slices.ContainsFunc(series, func(r reading) bool { return r.life != series[0].life }) {
		t.Fatalf("%s did not run all the time, or nothing is known of it", n.Name)
	}
	for _, x := range []struct {
		what  string
		value func(reading) int64
	}{{"resident memory", func(r reading) int64 { return r.rss }}, {"memory in use", func(r reading) int64 { return r.heap }}} {
		s, ok := grows(rests, x.value)
		if !ok {
			figure(t, "%s, %s: too short a time for a slope", n.Name, x.what)
			continue
		}
		figure(t, "%s, %s: %v over %d rests", n.Name, x.what, s, len(rests))
		if strict && s.rate-s.off > bar {
			t.Errorf("the %s of %s grows by %v; the bar is %.0f MB/h", x.what, n.Name, s, bar/1e6)
		}
	}
	peak := slices.MaxFunc(series, func(a, b reading) int { return int(a.peak - b.peak) })
	most := slices.MaxFunc(series, func(a, b reading) int { return a.goroutines - b.goroutines })
	files := slices.MaxFunc(series, func(a, b reading) int { return a.files - b.files })
	figure(t, "%s at its most: %d MiB resident, %d goroutines, %d open files", n.Name, peak.peak/mib, most.goroutines, files.files)
}
