//go:build linux && lab

package labtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// quiet is how much raw TLS before and after a round may differ for the round to count, and by how much others may use the cores meanwhile.
const quiet = 1.15

// maxTries bounds how often a round is tried where so many have to count.
func maxTries(rounds int) int { return 2*rounds + 1 }

// runLimit ends a run of anything that hangs.
const runLimit = 10 * time.Minute

// contest lets others do between two devices what a pull does.
type contest struct {
	t        *testing.T
	from, to *Device
	yard     *yard
	cable    cable
	rounds   int
	cold     bool // nothing may be in memory before a run
	servers  map[string]*exec.Cmd
}

// newContest has anna give and bo take, on a LAN where a raw TLS stream has two computers of its own, which are never slowed down.
func newContest(t *testing.T, b *bench) *contest {
	t.Helper()
	hosts := NewLAN(t, DualStack, "anna", "bo", "one", "two").Hosts
	c := &contest{t: t, rounds: b.rounds, from: NewDevice(t, hosts[0]), to: NewDevice(t, hosts[1]), servers: map[string]*exec.Cmd{}}
	c.yard = newYard(t, hosts[2], hosts[3])
	serveAll(t, []*Device{c.from, c.to})
	c.cable = cable{from: c.from.Host, to: c.to.Host}
	return c
}

// data is a folder of the giving side, below the one that everybody serves.
func (c *contest) data(dir string) string { return c.from.Path("data", dir) }

// work is a folder to be brought over.
type work struct {
	dir   string
	bytes int64
	files int
	unit  string // "s", or what is done in a second
	units float64
}

// value is a time in the unit of the work.
func (w work) value(took time.Duration) float64 {
	if w.unit == "s" {
		return took.Seconds()
	}
	return w.units / took.Seconds()
}

// perGiB is processor time in seconds for each GiB.
func (w work) perGiB(cpu time.Duration) float64 { return cpu.Seconds() * gib / float64(w.bytes) }

// duel is a pull and a rival that do the same work in turn.
type duel struct {
	work
	rival   func(c *contest) rival
	bar     *bar
	most    int                    // no more rounds than these, for what takes long; 0: as many as are wanted
	prepare func(c *contest) error // before each pull
}

// row makes a row of the duel.
func (d duel) row(name string) benchRow {
	return benchRow{name, func(c *contest, e *entry) { c.duel(e, d) }}
}

// duel runs rounds until enough count: a raw TLS stream, a pull, the rival, and the stream again.
func (c *contest) duel(e *entry, d duel) {
	c.t.Helper()
	r := d.rival(c)
	e.Rival, e.Unit, e.Bar = r.name, d.unit, d.bar
	if missing := r.missing(); missing != "" {
		e.Why = missing
		return
	}
	rounds := c.rounds
	if d.most > 0 {
		rounds = min(rounds, d.most)
	}
	err := c.inQuiet(e, rounds, func() (counts, error) {
		us, err := c.ours(d)
		if err != nil {
			return nil, fmt.Errorf("porchlight: %w", err)
		}
		var them run
		if !r.stream {
			if them, err = c.theirs(r, d.work); err != nil {
				return nil, fmt.Errorf("%s: %w", r.name, err)
			}
		}
		return func(e *entry, before, after run) {
			if r.stream { // it has run, before and after
				them = mean(before, after)
			}
			e.Ours, e.Theirs = append(e.Ours, d.value(us.took)), append(e.Theirs, d.value(them.took))
			e.Ratios = append(e.Ratios, d.value(us.took)/d.value(them.took))
			e.OursCPU, e.TheirsCPU = append(e.OursCPU, d.perGiB(us.cpu)), append(e.TheirsCPU, d.perGiB(them.cpu))
		}, nil
	})
	if err != nil {
		e.Why = err.Error()
		c.t.Error(err)
	}
}

// counts adds a round to the row, given the raw TLS streams before and after it.
type counts func(e *entry, before, after run)

// inQuiet has rounds of something counted, each between two raw TLS streams that agree. It tries a bounded number of times; a row that does not get
// its rounds says so and is not counted.
func (c *contest) inQuiet(e *entry, rounds int, round func() (counts, error)) error {
	before, err := c.yard.stream()
	if err != nil {
		return err
	}
	var loud entry
	counted := 0
	for range maxTries(rounds) {
		count, err := round()
		if err != nil {
			return err
		}
		after, err := c.yard.stream()
		if err != nil {
			return err
		}
		this := entry{Unit: e.Unit}
		count(&this, before, after)
		word := "counts"
		if agree(before, after) {
			counted++
			count(e, before, after)
		} else {
			count(&loud, before, after)
			e.Loud, word = loud.held(), "does not count"
		}
		fmt.Printf("          %s; raw TLS %v before, %v after, others use %.0f and %.0f %% of the cores: %s\n", strings.Join(this.cells()[1:4], " | "),
			ms(before.took), ms(after.took), 100*before.others, 100*after.others, word)
		if counted == rounds {
			return nil
		}
		if before = after; word != "counts" {
			if err := untilIdle(); err != nil {
				return err
			}
			if before, err = c.yard.stream(); err != nil {
				return err
			}
		}
	}
	e.Why = fmt.Sprintf("the machine was not quiet in %d of %d rounds; the median of all is %.2f", len(e.Loud), counted+len(e.Loud), middle(slices.Concat(e.held(), e.Loud)))
	return nil
}

// agree reports whether two runs of one and the same work say that nobody else uses the machine. That they are alike does not do: so they are when
// others use it all the time.
func agree(a, b run) bool {
	return max(a.took, b.took).Seconds() < quiet*min(a.took, b.took).Seconds() && max(a.others, b.others) < quiet-1
}

// ours is one pull, from the command to its end.
func (c *contest) ours(d duel) (run, error) {
	if d.prepare != nil {
		if err := d.prepare(c); err != nil {
			return run{}, err
		}
	}
	into := c.to.Path("into")
	r, err := c.measured(d.work, []*exec.Cmd{c.from.cmd, c.to.cmd}, func() (run, error) {
		return c.to.timed(runLimit, "get", c.from.At(d.dir), "-o", into)
	})
	if err == nil {
		err = compare(c.data(d.dir), filepath.Join(into, d.dir))
	}
	return r, errors.Join(err, os.RemoveAll(into))
}

// theirs is one run of a rival.
func (c *contest) theirs(r rival, w work) (run, error) {
	into := c.to.Path("theirs")
	if err := os.Mkdir(into, 0o755); err != nil {
		return run{}, err
	}
	var ends []*exec.Cmd
	if server := c.servers[r.server]; server != nil {
		ends = append(ends, server)
	}
	got, err := c.measured(w, ends, func() (run, error) { return r.fetch(w, into) })
	if err == nil && !r.noFiles {
		err = contains(filepath.Join(into, w.dir), c.data(w.dir))
	}
	return got, errors.Join(err, os.RemoveAll(into))
}

// measured runs one piece of work and refuses it if it cannot have been done. Servers are the processes that work for it beside the command that do runs.
func (c *contest) measured(w work, servers []*exec.Cmd, do func() (run, error)) (run, error) {
	warm, err := c.chill(w)
	if err != nil {
		return run{}, err
	}
	usage, err := usageOf(servers)
	if err != nil {
		return run{}, err
	}
	received, err := c.to.counter("rx")
	if err != nil {
		return run{}, err
	}
	r, err := do()
	if err != nil {
		return run{}, err
	}
	now, err := c.to.counter("rx")
	if err != nil {
		return run{}, err
	}
	used, err := usage.until()
	if err != nil {
		return run{}, err
	}
	r.cpu += used
	return r, errors.Join(warm(), c.possible(w, r.took, now-received))
}

// chill has nothing of the files in memory where the contest is a cold one. Warm says afterwards if the work was not read from the disk all the same.
func (c *contest) chill(w work) (warm func() error, err error) {
	if !c.cold {
		return func() error { return nil }, nil
	}
	if err := forgetFiles(); err != nil {
		return nil, err
	}
	before, err := readFromDisk()
	return func() error {
		now, err := readFromDisk()
		if err == nil && now-before < w.bytes {
			err = fmt.Errorf("refused: only %d of %d bytes were read from the disk", now-before, w.bytes)
		}
		return err
	}, err
}

// possible refuses a figure that this machine cannot have reached: a run that failed unnoticed must never count as a fast one.
func (c *contest) possible(w work, took time.Duration, received int64) error {
	if received < w.bytes {
		return fmt.Errorf("refused: only %d of %d bytes came over the wire", received, w.bytes)
	}
	limit, err := c.cable.shortest(w, c.to.Path("floor"), took)
	if err != nil {
		return err
	}
	if took < limit {
		return fmt.Errorf("refused: %v is less than this machine needs for it, %v", ms(took), ms(limit))
	}
	return nil
}

// timed runs a command of the program on this device, to its good end.
func (d *Device) timed(limit time.Duration, args ...string) (run, error) {
	cmd := d.Command(os.Getenv(programVar), append([]string{"--home", d.home}, args...)...)
	d.prepare(cmd)
	return finish(limit, cmd)
}

// finish runs a command to its good end, and kills it when limit is over.
func finish(limit time.Duration, cmd *exec.Cmd) (run, error) {
	var out bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	cmd.Stderr, cmd.WaitDelay = &out, 5*time.Second
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return run{}, err
	}
	timer := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() }) // it may have ended just now
	defer timer.Stop()
	err := cmd.Wait()
	took := time.Since(start)
	if err != nil {
		return run{}, fmt.Errorf("%w after %v: %s", err, ms(took), bytes.TrimSpace(out.Bytes()[max(0, out.Len()-1000):]))
	}
	return run{took: took, cpu: cpuOf(cmd)}, nil
}

// cpuOf is what a command that has ended, and whatever it waited for, has used.
func cpuOf(cmd *exec.Cmd) time.Duration {
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

// contains checks that whatever is below want is below got, with the same bytes; not every program brings times too.
func contains(got, want string) error {
	return filepath.WalkDir(want, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(want, path)
		if err != nil {
			return err
		}
		if err := sameBytes(path, filepath.Join(got, rel)); err != nil {
			return fmt.Errorf("%s: %w", rel, err)
		}
		return nil
	})
}
