//go:build linux && lab

package labtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestJudge checks what becomes of a row: what was not measured is never met.
func TestJudge(t *testing.T) {
	least, most := &bar{Must: 0.75, Aim: 1}, &bar{Must: 3, Aim: 2, AtMost: true}
	for _, tt := range []struct {
		name string
		row  entry
		want string
	}{
		{"aim", entry{Ratios: []float64{0.2, 1, 1.1}, Bar: least}, aimMet},
		{"must", entry{Ratios: []float64{0.2, 0.8, 1.1}, Bar: least}, met},
		{"less than must", entry{Ratios: []float64{0.2, 0.74, 1.1}, Bar: least}, missed},
		{"little is good: aim", entry{Ratios: []float64{9, 1.9, 2}, Bar: most}, aimMet},
		{"little is good: must", entry{Ratios: []float64{2.5}, Bar: most}, met},
		{"little is good: more than must", entry{Ratios: []float64{3.1}, Bar: most}, missed},
		{"no aim", entry{Ours: []float64{5}, Bar: &bar{Must: 9, AtMost: true}}, met},
		{"once is too often", entry{Ours: []float64{1, 1, 10}, Bar: &bar{Must: 9, Aim: 2, AtMost: true, Worst: true}}, missed},
		{"every time", entry{Ours: []float64{1, 1, 8}, Bar: &bar{Must: 9, Aim: 2, AtMost: true, Worst: true}}, aimMet},
		{"no bar", entry{Ratios: []float64{0.1}}, information},
		{"nothing measured", entry{Bar: least}, notCounted},
		{"ours alone", entry{Ours: []float64{5}, Theirs: []float64{}, Bar: least}, notCounted},
		{"not quiet", entry{Ratios: []float64{2}, Bar: least, Why: "the machine was not quiet"}, notCounted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.row.judge(); tt.row.Verdict != tt.want || tt.want == notCounted && tt.row.Why == "" {
				t.Errorf("%s, %q; want %s", tt.row.Verdict, tt.row.Why, tt.want)
			}
		})
	}
}

// TestQuiet checks the 15 %.
func TestQuiet(t *testing.T) {
	at := func(ms int) run { return run{took: time.Duration(ms) * time.Millisecond} }
	for _, tt := range []struct {
		before, after int
		want          bool
	}{{1000, 1000, true}, {1000, 1149, true}, {1149, 1000, true}, {1000, 1150, false}, {1150, 1000, false}, {0, 0, false}} {
		if got := agree(at(tt.before), at(tt.after)); got != tt.want {
			t.Errorf("%d and %d ms: %v", tt.before, tt.after, got)
		}
	}
	busy := run{took: time.Second, others: 0.4}
	if agree(busy, busy) || agree(busy, at(1000)) || agree(at(1000), busy) {
		t.Error("a busy machine is taken for a quiet one, as it is busy all the time")
	}
	before, err := usedByAll()
	if err != nil {
		t.Fatal(err)
	}
	spent, end := 0, time.Now().Add(300*time.Millisecond)
	for time.Now().Before(end) {
		spent++
	}
	if now, err := usedByAll(); err != nil || now-before < 20*time.Millisecond {
		t.Errorf("%d rounds of nothing used %v, %v", spent, now-before, err)
	}
}

// TestReport checks that a report says the same in words and in JSON.
func TestReport(t *testing.T) {
	e := &entry{Name: "a row", Rival: "somebody", Unit: "MB/s", Ours: []float64{70, 90, 80}, Theirs: []float64{100, 100, 100}, Ratios: []float64{0.7, 0.9, 0.8},
		OursCPU: []float64{2.5}, TheirsCPU: []float64{1.5}, Bar: &bar{Must: 0.75, Aim: 1}}
	e.judge()
	r := report{Machine: aboutMachine(), Rounds: 3, Rows: []*entry{e, {Name: "another", Verdict: notCounted, Why: "tar is not installed"}}}
	if r.Machine.Cores < 1 || r.Machine.Kernel == "" || !strings.HasPrefix(r.Machine.Go, "go") || len(strings.Fields(r.Machine.Load)) != 3 {
		t.Errorf("the machine is %+v", r.Machine)
	}
	var out bytes.Buffer
	r.table(&out)
	for _, want := range []string{"a row    80 MB/s  100 MB/s  0.80   at least 0.75  at least 1  2.50 / 1.50               met\n", "not counted: tar is not installed\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table does not say %q:\n%s", want, out.String())
		}
	}
	file := filepath.Join(t.TempDir(), "bench.json")
	if err := r.write(file); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, back); diff != "" {
		t.Error(diff)
	}
}

// TestRows checks that rows can be told apart and chosen.
func TestRows(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range rowNames() {
		if seen[name] {
			t.Errorf("two rows are called %q", name)
		}
		seen[name] = true
	}
	chosen := 0
	for _, g := range groups() {
		chosen += len(g.wanted(regexp.MustCompile("(?i)RSYNC")))
	}
	if len(seen) < 15 || chosen != 3 {
		t.Errorf("%d rows, %d of them about rsync", len(seen), chosen)
	}
}

// TestImpossible checks that figures which cannot be are refused, whoever they are of.
func TestImpossible(t *testing.T) {
	l := NewLAN(t, DualStack, "anna", "bo")
	t.Setenv("TMPDIR", inMemory) // a disk would only make it slow
	c := &contest{t: t, from: &Device{Host: l.Hosts[0], Dir: t.TempDir()}, to: &Device{Host: l.Hosts[1], Dir: t.TempDir()}}
	c.cable = cable{from: c.from.Host, to: c.to.Host}
	one, many := work{dir: "big", bytes: gib, files: 1}, work{dir: "small", bytes: 20_000, files: 20_000}
	for _, tt := range []struct {
		name     string
		work     work
		took     time.Duration
		received int64
		shaped   int64
		want     string
	}{
		{"a usual one", one, 10 * time.Minute, gib, 0, ""},
		{"not over the wire", one, 10 * time.Minute, gib - 1, 0, "refused: only"},
		{"faster than TCP", one, 20 * time.Millisecond, gib, 0, "refused: 20ms"},
		{"faster than the line", one, 8 * time.Second, gib, 1e9, "refused: 8s"},
		{"as fast as the line", one, 9 * time.Second, gib, 1e9, ""},
		{"many, a usual one", many, 10 * time.Minute, many.bytes, 0, ""},
		{"many, faster than the file system", many, time.Millisecond, many.bytes, 0, "refused: 1ms"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.cable.shaped = tt.shaped
			err := c.possible(tt.work, tt.took, tt.received)
			if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("%v; want %q", err, tt.want)
			}
		})
	}
	if c.cable.best < 1e7 || c.cable.floors["small"] < time.Millisecond {
		t.Errorf("the wire carries %.0f bytes a second, and writing takes %v", c.cable.best, c.cable.floors["small"])
	}
}

// TestEnds checks the ends of streams: what goes in comes out, it is counted, and an end that fails fails the run.
func TestEnds(t *testing.T) {
	l := NewLAN(t, DualStack, "anna", "bo")
	from, to := l.Hosts[0], l.Hosts[1]
	given, taken := filepath.Join(t.TempDir(), "given"), filepath.Join(t.TempDir(), "taken")
	writeFile(t, given, 5*mib+3, 1)
	before, err := to.counter("rx")
	if err != nil {
		t.Fatal(err)
	}
	r, err := ends(from, to, giveTLS, given, takeTLSSync, taken)
	if err != nil || r.took <= 0 || r.cpu <= 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if err := sameBytes(given, taken); err != nil {
		t.Error(err)
	}
	after, err := to.counter("rx")
	if err != nil || after-before < 5*mib || after-before > 6*mib {
		t.Errorf("%d bytes were counted, %v", after-before, err)
	}
	if _, err := ends(from, to, giveTLS, given, takeTLS, filepath.Join(t.TempDir(), "no", "folder")); err == nil {
		t.Error("an end that cannot write is well")
	}
	if _, err := finish(50*time.Millisecond, exec.Command("sleep", "20")); err == nil {
		t.Error("what hangs is well")
	}
	var exit *exec.ExitError
	if _, err := finish(time.Minute, exec.Command("sh", "-c", "echo why >&2; exit 3")); !errors.As(err, &exit) || !strings.Contains(err.Error(), "why") {
		t.Errorf("a command that fails: %v", err)
	}
}

// TestUsage checks that the time of children counts, of those that live and of those that have ended.
func TestUsage(t *testing.T) {
	burn := "i=0; while [ $i -lt 150000 ]; do i=$((i+1)); done"
	cmd := exec.Command("sh", "-c", "read go; sh -c '"+burn+"'; echo one; sh -c '"+burn+"; echo two; read go'; true")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = cmd.Wait() }()
	u, err := usageOf([]*exec.Cmd{cmd})
	if err != nil || u.processes != 1 {
		t.Fatalf("%+v, %v", u, err)
	}
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	var last time.Duration
	for _, want := range []string{"one\n", "two\n"} {
		line := make([]byte, 4)
		if _, err := out.Read(line); err != nil || string(line) != want {
			t.Fatalf("%q, %v", line, err)
		}
		cpu, _, err := usedBy(cmd.Process.Pid)
		if err != nil || cpu-last < 20*time.Millisecond {
			t.Errorf("%v after %v, %v", cpu, last, err)
		}
		last = cpu
	}
	if _, _, err := usedBy(1 << 30); err == nil {
		t.Error("a process that is none has used something")
	}
}
