//go:build linux && lab

package labtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What `make bench` hands to TestBar.
const (
	benchVar     = "PORCHLIGHT_BENCH"     // the file for the figures; without it nothing is measured
	rowsVar      = "PORCHLIGHT_ROWS"      // a regular expression of the rows that are wanted; all if empty
	roundsVar    = "PORCHLIGHT_ROUNDS"    // how many rounds of each row have to count
	syncthingVar = "PORCHLIGHT_SYNCTHING" // the Syncthing program
)

// usualRounds is an odd number, so that a median is one of the rounds.
const usualRounds = 5

// TestBar measures pulls beside other programs that bring the same files over the same wire, and holds the ratios against the bar.
//
// Nothing is trusted that is not compared in the same run: each run of another program follows one of ours, a raw TLS stream runs before and after the
// two, and the round counts only if these two streams agree. No run counts unless the program ended well, all bytes are right and crossed the
// wire, and the machine was able to be that fast at all.
func TestBar(t *testing.T) {
	file := os.Getenv(benchVar)
	if file == "" {
		t.Skip("the bar is measured by `make bench`")
	}
	removeBenchFiles(func(pid int) bool {
		_, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid)))
		return os.IsNotExist(err)
	})
	b := &bench{rounds: max(number(t, roundsVar, usualRounds), 1), report: report{Machine: aboutMachine(), When: time.Now().UTC()}}
	b.report.Rounds = b.rounds
	want, err := regexp.Compile("(?i)" + os.Getenv(rowsVar))
	if err != nil {
		t.Fatalf("the rows that are wanted: %v", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if none := !slices.ContainsFunc(groups(), func(g group) bool { return len(g.wanted(want)) > 0 }); none {
		t.Fatalf("no row is called %q; there are:\n%s", os.Getenv(rowsVar), strings.Join(rowNames(), "\n"))
	}
	// What was measured is kept even when a row breaks off.
	defer func() {
		b.report.table(os.Stdout)
		if err := b.report.write(file); err != nil {
			t.Error(err)
		}
	}()
	for _, g := range groups() {
		if rows := g.wanted(want); len(rows) > 0 {
			t.Run(g.name, func(t *testing.T) { b.measure(t, g, rows) })
		}
	}
}

// bench is one run of TestBar.
type bench struct {
	rounds int
	report report
}

// group is rows that share a LAN and what lies on its computers.
type group struct {
	name  string
	disk  bool  // files lie on a disk, not in memory
	room  int64 // bytes of files at once
	setUp func(t *testing.T, b *bench) *contest
	rows  []benchRow
}

// benchRow is one row of the bar.
type benchRow struct {
	name    string
	measure func(c *contest, e *entry)
}

// groups lists everything that is measured, in its order.
func groups() []group {
	return []group{oneGiB(), shapedGiB(), smallFiles(), manyFiles(), onDisk(), firstByte(), killed(), swarm()}
}

func rowNames() (names []string) {
	for _, g := range groups() {
		for _, r := range g.rows {
			names = append(names, "  "+r.name)
		}
	}
	return names
}

func (g group) wanted(want *regexp.Regexp) (rows []benchRow) {
	for _, r := range g.rows {
		if want.MatchString(r.name) {
			rows = append(rows, r)
		}
	}
	return rows
}

// measure measures rows of a group, each a test of its own, so that one which breaks off ends alone.
func (b *bench) measure(t *testing.T, g group, rows []benchRow) {
	place := inMemory // the programs are to be compared, not the disk
	if g.disk {
		if place = realDisk(); place == "" {
			b.omit(rows, "there is no folder for temporary files on a disk")
			return
		}
	}
	if free := room(t, place); free < g.room {
		b.omit(rows, fmt.Sprintf("%s has %d MiB free, and %d are needed", place, free/mib, g.room/mib))
		return
	}
	place = benchPlace(place, os.Getpid())
	if err := os.MkdirAll(place, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(place); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("TMPDIR", place)
	c := g.setUp(t, b)
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			e := &entry{Name: r.name, Why: "it broke off"}
			c.t = t
			defer func() {
				e.judge()
				b.report.Rows = append(b.report.Rows, e)
				fmt.Printf("%s  %s\n", time.Now().Format(time.TimeOnly), e)
				if e.Verdict == missed {
					t.Errorf("%s: %.3g; the bar is %s", e.Name, e.Median, e.Bar.text(e.Bar.Must))
				}
			}()
			fmt.Printf("%s  %s ...\n", time.Now().Format(time.TimeOnly), r.name)
			r.measure(c, e)
			if e.Why == "it broke off" {
				e.Why = ""
			}
		})
	}
}

// inMemory is a file system in memory that every Linux has.
const inMemory = "/dev/shm"

// benchPlace is where a process has its files on a file system.
func benchPlace(on string, pid int) string {
	return filepath.Join(on, fmt.Sprintf("%s-bench-%d", prefix, pid))
}

// removeBenchFiles removes what processes have left behind: some GiB, which in memory nobody else can use.
func removeBenchFiles(of func(pid int) bool) {
	for _, on := range []string{inMemory, realDisk()} {
		places, err := filepath.Glob(filepath.Join(on, prefix+"-bench-*"))
		if err != nil || on == "" {
			continue
		}
		for _, place := range places {
			pid, err := strconv.Atoi(place[strings.LastIndexByte(place, '-')+1:])
			if err != nil || !of(pid) {
				continue
			}
			if err := os.RemoveAll(place); err != nil {
				fmt.Fprintln(os.Stderr, place, "stays behind:", err)
			}
		}
	}
}

// omit puts rows into the report that nobody measured.
func (b *bench) omit(rows []benchRow, why string) {
	for _, r := range rows {
		e := &entry{Name: r.name, Why: why}
		e.judge()
		b.report.Rows = append(b.report.Rows, e)
	}
}

// run is what one piece of work took, and the processor time of both ends together.
type run struct {
	took, cpu time.Duration
	others    float64 // share of all cores that went to anything else; known of the raw TLS stream only
}

// mean is the middle between two runs.
func mean(a, b run) run { return run{took: (a.took + b.took) / 2, cpu: (a.cpu + b.cpu) / 2} }

func middle(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(values))[len(values)/2]
}
