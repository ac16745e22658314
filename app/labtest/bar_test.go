//go:build linux && lab

package labtest

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// roundsVar is how often TestBar lets each of the others run; 5 if it is not given.
const roundsVar = "PORCHLIGHT_ROUNDS"

// quiet is how much three runs or more of one and the same work may differ for a bar to count: more says that others use the machine.
const quiet = 1.15

// TestBar measures a pull beside other programs that bring the same files over the same wire onto the same disk. Each run of another follows one
// of ours, so that both meet the same machine; what counts is the median of these ratios. Nobody's run counts unless all its bytes are right.
func TestBar(t *testing.T) {
	t.Setenv("TMPDIR", "/dev/shm") // the programs are to be compared, not the disk
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	serveAll(t, devices)
	c := &contest{t: t, from: anna, to: bo, rounds: number(t, roundsVar, 5)}
	c.serveOthers()

	writeFile(t, anna.Path("data", "big", "big.bin"), gib, 3)
	anna.Share(t, anna.Path("data", "big"), "big")
	big := work{title: "1 GiB", dir: "big", units: gib / 1e6, unit: "MB/s"}
	resetMemory(t, devices)
	touch := func() { // a new version of the file: what was hashed of the old one says nothing
		now := time.Now()
		if err := os.Chtimes(anna.Path("data", "big", "big.bin"), now, now); err != nil {
			t.Fatal(err)
		}
	}
	c.match(big, entrant{"unhashed", touch}, c.stream(), bar{atLeast: 0.6, aim: 0.75})
	figure(t, "most memory, 1 GiB: source %d MiB, receiver %d MiB (bar 80 MB)", memory(t, anna, "VmHWM")/mib, memory(t, bo, "VmHWM")/mib)
	hashed := entrant{name: "hashed"}
	c.match(big, hashed, c.stream(), bar{atLeast: 0.65, aim: 0.85})
	c.match(big, hashed, c.nginx(), bar{atLeast: 1.2, aim: 1.5})
	c.match(big, hashed, c.samba(), bar{atLeast: 0.75, aim: 1})
	c.match(big, hashed, c.rsync(), bar{atLeast: 0.75, aim: 1})

	const files = 20_000
	writeMany(t, anna.Path("data", "small"), files, 200, 4*kib)
	anna.Share(t, anna.Path("data", "small"), "small")
	small := work{title: "20,000 x 4 KiB", dir: "small", units: files, unit: "files/s"}
	c.match(small, entrant{}, c.tar(), bar{atLeast: 0.33, aim: 0.5})
	c.match(small, entrant{}, c.rsync(), bar{atLeast: 0.8, aim: 1.2})
	c.rounds = 1 // it takes its time
	c.match(small, entrant{}, c.samba(), bar{atLeast: 12, aim: 12})

	writeMany(t, anna.Path("data", "many"), 100_000, 1000, 100)
	anna.Share(t, anna.Path("data", "many"), "many")
	resetMemory(t, devices)
	took := timedGet(t, bo, anna.At("many"), bo.Path("into"))
	figure(t, "100,000 files of 100 bytes: %v; most memory: source %d MiB, receiver %d MiB (bar 150 MB)", ms(took),
		memory(t, anna, "VmHWM")/mib, memory(t, bo, "VmHWM")/mib)
	mustEqual(t, anna.Path("data", "many"), bo.Path("into", "many"))
}

// resetMemory forgets the most memory that each device ever used.
func resetMemory(t *testing.T, devices []*Device) {
	t.Helper()
	for _, d := range devices {
		if err := os.WriteFile(filepath.Join("/proc", strconv.Itoa(d.cmd.Process.Pid), "clear_refs"), []byte("5"), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// contest lets others do between two devices what a pull does.
type contest struct {
	t        *testing.T
	from, to *Device
	rounds   int
	port     int // the last one used
}

// work is a folder to be brought over.
type work struct {
	title, dir string
	units      float64
	unit       string // units in a second are how speed is told
}

// entrant is a pull, and what comes before each.
type entrant struct {
	name    string
	prepare func()
}

// bar is a ratio of speeds, ours to theirs.
type bar struct{ atLeast, aim float64 }

// run is what one piece of work took, and the processor time of both ends together (0 if not known).
type run struct{ took, cpu time.Duration }

// rival is another way to bring a folder over.
type rival struct {
	name  string
	needs []string
	fetch func(dir, into string) (run, error)
}

// match lets a pull and a rival work in turn.
func (c *contest) match(w work, e entrant, r rival, b bar) {
	c.t.Helper()
	what := strings.TrimSpace(w.title + " " + e.name)
	for _, name := range r.needs {
		if _, err := exec.LookPath(name); err != nil {
			figure(c.t, "%s / %s: %s is not installed", what, r.name, name)
			return
		}
	}
	var ours, theirs []run
	var ratios []float64
	for range c.rounds {
		if e.prepare != nil {
			e.prepare()
		}
		us, err := c.pull(w.dir)
		if err != nil {
			c.t.Fatalf("%s: %v", what, err)
		}
		them, err := c.fetch(r, w.dir)
		if err != nil {
			c.t.Errorf("%s: %s: %v", what, r.name, err)
			return
		}
		ours, theirs = append(ours, us), append(theirs, them)
		ratios = append(ratios, them.took.Seconds()/us.took.Seconds())
	}
	slices.Sort(ratios)
	got := ratios[len(ratios)/2]
	u, v := middle(ours), middle(theirs)
	spread := slices.MaxFunc(theirs, byTime).took.Seconds() / slices.MinFunc(theirs, byTime).took.Seconds()
	figure(c.t, "%s: %.2fs, %.0f %s, %.2f CPU-s; %s: %.2fs, %.0f %s, %.2f CPU-s; ratio %.2f (%.2f..%.2f, bar %.2f, aim %.2f; theirs spread %.2f)",
		what, u.took.Seconds(), w.units/u.took.Seconds(), w.unit, u.cpu.Seconds(),
		r.name, v.took.Seconds(), w.units/v.took.Seconds(), w.unit, v.cpu.Seconds(),
		got, ratios[0], ratios[len(ratios)-1], b.atLeast, b.aim, spread)
	if got < b.atLeast && len(theirs) > 2 && spread < quiet {
		c.t.Errorf("%s / %s: %.2f; the bar is %.2f", what, r.name, got, b.atLeast)
	}
}

func byTime(a, b run) int { return cmp.Compare(a.took, b.took) }

// middle is the median of times and that of processor times.
func middle(runs []run) run {
	var took, cpu []time.Duration
	for _, r := range runs {
		took, cpu = append(took, r.took), append(cpu, r.cpu)
	}
	return run{median(took), median(cpu)}
}

// pull is one of our runs: from the command to its end.
func (c *contest) pull(dir string) (run, error) {
	into := c.to.Path("into")
	before := cpuTime(c.t, c.from) + cpuTime(c.t, c.to)
	start := time.Now()
	if _, err := c.to.Run(10*time.Minute, "get", c.from.At(dir), "-o", into); err != nil {
		return run{}, err
	}
	r := run{time.Since(start), cpuTime(c.t, c.from) + cpuTime(c.t, c.to) - before}
	if err := compare(c.from.Path("data", dir), filepath.Join(into, dir)); err != nil {
		return run{}, err
	}
	return r, os.RemoveAll(into)
}

// fetch is one run of a rival.
func (c *contest) fetch(v rival, dir string) (run, error) {
	into := c.to.Path("theirs")
	if err := os.Mkdir(into, 0o755); err != nil {
		return run{}, err
	}
	r, err := v.fetch(dir, into)
	if err != nil {
		return run{}, err
	}
	if err := contains(filepath.Join(into, dir), c.from.Path("data", dir)); err != nil {
		return run{}, err
	}
	return r, os.RemoveAll(into)
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
