//go:build linux && lab

package labtest

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"porchlight/app/control"
	"porchlight/transfer"
)

// What the long rows are told.
const (
	soakVar = "PORCHLIGHT_SOAK" // how long they go on: 3m, 1h
	seedVar = "PORCHLIGHT_SEED" // the seed of what happens; another one every time if it is not given
)

// slopeTime is how long a process must be watched for its growth to count.
const slopeTime = 20 * time.Minute

// soak returns how long a long row goes on.
func soak(t *testing.T) time.Duration {
	t.Helper()
	v := os.Getenv(soakVar)
	if v == "" {
		t.Skipf("%s says for how long, as in %s=20m", soakVar, soakVar)
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// newStorm starts three devices that see each other; the process of the first is left alone. A fourth computer is there, and does
// not run the program.
func newStorm(t *testing.T) *storm {
	seed := uint64(time.Now().UnixNano())
	if v := os.Getenv(seedVar); v != "" {
		var err error
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	figure(t, "%s=%d", seedVar, seed)
	hosts := NewLAN(t, DualStack, "anna", "bo", "cleo", "plain").Hosts
	s := &storm{t: t, seed: seed, plain: hosts[3], counts: map[string]int{}, seen: map[sight]bool{}, rests: map[*node][]reading{}}
	for i, h := range hosts[:3] {
		s.nodes = append(s.nodes, &node{Device: NewDevice(t, h), steady: i == 0, number: h.index, pulls: map[transfer.JobID]request{}})
	}
	t.Cleanup(s.evidence)
	for _, n := range s.nodes {
		if err := n.start(); err != nil {
			t.Fatal(err)
		}
		err := n.call(func(ctx context.Context, c *control.Client) (err error) {
			n.self, err = c.Self(ctx)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		n.Shape("300mbit") // so that a pull lasts long enough for something to happen to it
	}
	eventually(t, 30*time.Second, "all see each other", func() bool {
		return !slices.ContainsFunc(s.nodes, func(n *node) bool { return !n.sees(s.nodes) })
	})
	return s
}

// evidence keeps, after a failure, what the processes said and where each of their goroutines stands.
func (s *storm) evidence() {
	for _, n := range s.nodes {
		n.hangUp()
	}
	if !s.t.Failed() {
		return
	}
	dir, err := os.MkdirTemp("", "porchlight-evidence-")
	if err != nil {
		s.t.Log(err)
		return
	}
	for _, n := range s.nodes {
		if n.cmd != nil {
			_ = n.cmd.Process.Signal(syscall.SIGQUIT) // the run-time system prints them and ends the process
			select {
			case err := <-n.exited:
				n.exited <- err
			case <-time.After(10 * time.Second):
			}
		}
		data, err := os.ReadFile(n.logFile())
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, n.Name), data, 0o600)
		}
		if err != nil {
			s.t.Log(err)
		}
	}
	s.t.Log("what the processes said, and where they stood, is in", dir)
}

// TestHour: for as long as one likes, everything happens at once that can happen to three computers: cables, addresses, processes that die,
// stand still or quit, files that change while they are pulled. At no moment may a file have its name that its source never had, and
// when it is quiet again everything must be as it should.
func TestHour(t *testing.T) {
	all := soak(t)
	s := newStorm(t)
	for _, n := range s.nodes {
		s.furnish(n, "small", "mid", "large")
	}
	first := calm(t, s.nodes)
	p, stop := feel(s.nodes)
	defer stop()
	spells := 1 + int(all/(10*time.Minute))
	for i := range spells {
		s.blow(all / time.Duration(spells))
		s.settle()
		if i < spells-1 {
			s.rested(first)
		}
	}
	s.last()
	s.rested(first)
	stop()
	for _, n := range s.nodes {
		if n.steady {
			mustBeFlat(t, n, p.series[n], s.rests[n], all >= slopeTime)
		} else if series := p.series[n]; len(series) > 0 {
			peak := slices.MaxFunc(series, func(a, b reading) int { return int(a.peak - b.peak) })
			figure(t, "%s, started %d times: at most %d MiB resident", n.Name, n.life.Load(), peak.peak/mib)
		}
	}
	s.tell(all)
	due := []string{"cables pulled", "pulls done", "killed", "stopped", "quit", "addresses changed", "canceled", "paused"}
	if all < 3*time.Minute {
		due = due[:2] // there was no time for all of it
	}
	s.happened(due...)
}

// rested takes readings at rest; who was never started anew must be as at first.
func (s *storm) rested(first map[*node]reading) {
	now := calm(s.t, s.nodes)
	for range looks { // what is in the middle of something at one moment is not at the next; what leaks stays
		if !slices.ContainsFunc(s.nodes, func(n *node) bool { return n.steady && !isBack(first[n], now[n]) }) {
			break
		}
		now = calm(s.t, s.nodes)
	}
	for _, n := range s.nodes {
		back(s.t, n, first[n], now[n], n.steady)
		s.rests[n] = append(s.rests[n], now[n])
	}
}

// happened checks that things did: a storm without them proves nothing.
func (s *storm) happened(due ...string) {
	for _, what := range due {
		if s.counts[what] == 0 {
			s.t.Errorf("nothing of this happened: %s", what)
		}
	}
	if s.judged == 0 {
		s.t.Error("no copy was judged")
	}
}

// tell prints what happened.
func (s *storm) tell(d time.Duration) {
	list := func(counts map[string]int) string {
		var out []string
		for _, what := range slices.Sorted(maps.Keys(counts)) {
			out = append(out, fmt.Sprintf("%d %s", counts[what], what))
		}
		return strings.Join(out, ", ")
	}
	moves := map[string]int{}
	for _, n := range s.nodes {
		for _, st := range n.stocks {
			for what, k := range st.moves {
				moves[what] += k
			}
		}
	}
	figure(s.t, "in %v: %s", d, list(s.counts))
	figure(s.t, "files: %s", list(moves))
	figure(s.t, "%d copies judged, %d wrong", s.judged, s.wrong)
}
