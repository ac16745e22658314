//go:build linux && lab

package labtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// What becomes of a row.
const (
	aimMet      = "aim met"
	met         = "met"
	missed      = "MISSED"
	notCounted  = "not counted"
	information = "for information"
)

// report is what TestBar writes.
type report struct {
	When    time.Time `json:"when"`
	Machine machine   `json:"machine"`
	Rounds  int       `json:"rounds"` // that each row was to have
	Rows    []*entry  `json:"rows"`
}

// machine is what figures depend on.
type machine struct {
	Cores  int    `json:"cores"`
	CPU    string `json:"cpu"`
	Memory string `json:"memory"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	Load   string `json:"load"` // of the last 1, 5 and 15 minutes when the run began
}

// entry is one row of the report. Ours and theirs are in Unit; a ratio is ours by theirs of the same round.
type entry struct {
	Name      string    `json:"name"`
	Rival     string    `json:"rival,omitempty"`
	Unit      string    `json:"unit"`
	Ours      []float64 `json:"ours"`
	Theirs    []float64 `json:"theirs,omitempty"`
	Ratios    []float64 `json:"ratios,omitempty"`
	Loud      []float64 `json:"loud,omitempty"` // ratios of rounds that do not count, because raw TLS before and after did not agree
	OursCPU   []float64 `json:"ours_cpu_s_per_gib,omitempty"`
	TheirsCPU []float64 `json:"theirs_cpu_s_per_gib,omitempty"`
	Median    float64   `json:"median"` // of the ratios, or of ours where nothing is compared
	Bar       *bar      `json:"bar,omitempty"`
	Verdict   string    `json:"verdict"`
	Why       string    `json:"why,omitempty"` // a row that is not counted says why not
	Note      string    `json:"note,omitempty"`
}

// bar is what a median is held against. Aim is 0 where there is none.
type bar struct {
	Must   float64 `json:"must"`
	Aim    float64 `json:"aim,omitempty"`
	AtMost bool    `json:"at_most"`         // less is better
	Worst  bool    `json:"worst"`           // what must be, must be every time; the aim is for the median
	Words  string  `json:"words,omitempty"` // says what must be, where the number is only how that is seen
}

func (b bar) holds(got, limit float64) bool {
	if b.AtMost {
		return got <= limit
	}
	return got >= limit
}

func (b bar) text(limit float64) string {
	switch {
	case b.Words != "" && limit == b.Must:
		return b.Words
	case b.AtMost:
		return fmt.Sprintf("at most %.4g", limit)
	}
	return fmt.Sprintf("at least %.4g", limit)
}

// held is what the bar is about: the ratios, or ours where nothing is compared.
func (e *entry) held() []float64 {
	if e.Ratios == nil && e.Theirs == nil {
		return e.Ours
	}
	return e.Ratios
}

// judge gives the row its verdict.
func (e *entry) judge() {
	values := e.held()
	e.Median = middle(values)
	switch {
	case e.Why == "" && len(values) == 0:
		e.Verdict, e.Why = notCounted, "nothing was measured"
	case e.Why != "":
		e.Verdict = notCounted
	case e.Bar == nil:
		e.Verdict = information
	case !e.Bar.holds(e.Median, e.Bar.Must), e.Bar.Worst && slices.ContainsFunc(values, func(v float64) bool { return !e.Bar.holds(v, e.Bar.Must) }):
		e.Verdict = missed
	case e.Bar.Aim != 0 && e.Bar.holds(e.Median, e.Bar.Aim):
		e.Verdict = aimMet
	default:
		e.Verdict = met
	}
}

// cells is the row in words: what, ours, theirs, ratio, bar, aim, CPU seconds per GiB of both, verdict.
func (e *entry) cells() []string {
	value := func(v []float64) string {
		if len(v) == 0 {
			return "-"
		}
		return fmt.Sprintf("%.4g %s", middle(v), e.Unit)
	}
	ratio, must, aim, cpu := "-", "-", "-", "-"
	if len(e.Ratios) > 0 {
		ratio = fmt.Sprintf("%.2f", middle(e.Ratios))
	}
	if e.Bar != nil {
		must = e.Bar.text(e.Bar.Must)
		if e.Bar.Aim != 0 {
			aim = e.Bar.text(e.Bar.Aim)
		}
	}
	if len(e.OursCPU) > 0 {
		cpu = fmt.Sprintf("%.2f", middle(e.OursCPU))
	}
	if len(e.TheirsCPU) > 0 {
		cpu += fmt.Sprintf(" / %.2f", middle(e.TheirsCPU))
	}
	verdict := e.Verdict
	if e.Why != "" {
		verdict += ": " + e.Why
	}
	if e.Note != "" {
		verdict += " (" + e.Note + ")"
	}
	return []string{e.Name, value(e.Ours), value(e.Theirs), ratio, must, aim, cpu, verdict}
}

// String is the row while others are still being measured.
func (e *entry) String() string { return strings.Join(e.cells(), " | ") }

// table prints all rows, aligned.
func (r *report) table(out io.Writer) {
	m := r.Machine
	fmt.Fprintf(out, "\nThe bar: medians of %d rounds. %d cores (%s), %s, Linux %s, %s, load %s\n\n", r.Rounds, m.Cores, m.CPU, m.Memory, m.Kernel, m.Go, m.Load)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	head := []string{"", "ours", "theirs", "ratio", "bar", "aim", "CPU s/GiB, ours / theirs", "verdict"}
	fmt.Fprintln(w, strings.Join(head, "\t"))
	for _, e := range r.Rows {
		fmt.Fprintln(w, strings.Join(e.cells(), "\t"))
	}
	w.Flush()
	fmt.Fprintln(out)
}

func (r *report) write(file string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o644)
}

// aboutMachine says what the figures were measured on; what the system does not tell stays empty.
func aboutMachine() machine {
	first := func(file, key string) string {
		data, err := os.ReadFile(file)
		if err != nil {
			return ""
		}
		for line := range bytes.Lines(data) {
			name, value, found := bytes.Cut(line, []byte(":"))
			if key == "" {
				return string(bytes.TrimSpace(line))
			}
			if found && string(bytes.TrimSpace(name)) == key {
				return string(bytes.TrimSpace(value))
			}
		}
		return ""
	}
	load, _, _ := strings.Cut(first("/proc/loadavg", ""), "/")
	if words := strings.Fields(load); len(words) > 3 {
		load = strings.Join(words[:3], " ")
	}
	return machine{
		Cores: runtime.NumCPU(), CPU: first("/proc/cpuinfo", "model name"), Memory: first("/proc/meminfo", "MemTotal"),
		Kernel: first("/proc/sys/kernel/osrelease", ""), Go: runtime.Version(), Load: load,
	}
}
