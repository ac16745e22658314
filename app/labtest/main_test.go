//go:build linux && lab

package labtest

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// What TestMain hands to the rows, and `make lab-test` to TestMain.
const (
	programVar = "PORCHLIGHT"         // the program under test; built when it is not given
	figuresVar = "PORCHLIGHT_FIGURES" // the file that collects what the rows measure
	killsVar   = "PORCHLIGHT_KILLS"   // how often TestKills kills
)

func TestMain(m *testing.M) {
	if code, ok := runEnd(); ok {
		os.Exit(code)
	}
	os.Exit(runRows(m))
}

func runRows(m *testing.M) int {
	if os.Geteuid() != 0 {
		return m.Run() // each row says that it needs root
	}
	removeLeftovers()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stop
		removeNamespaces(fmt.Sprintf("%s%d-", prefix, os.Getpid()))
		removeBenchFiles(func(pid int) bool { return pid == os.Getpid() })
		os.Exit(1)
	}()
	dir, err := os.MkdirTemp("", "porchlight-lab-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := prepare(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if figures, err := os.ReadFile(os.Getenv(figuresVar)); err == nil {
		fmt.Printf("\nFigures\n%s", figures)
	}
	return code
}

// prepare builds the program into dir unless it is given, and opens the list of figures.
func prepare(dir string) error {
	if err := os.Setenv(figuresVar, filepath.Join(dir, "figures")); err != nil {
		return err
	}
	if os.Getenv(programVar) != "" {
		return nil
	}
	program := filepath.Join(dir, "porchlight")
	cmd := exec.Command("go", "build", "-tags", "headless", "-o", program, "porchlight")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the program: %w: %s", err, out)
	}
	return os.Setenv(programVar, program)
}

// figure prints what a row measured, now and once more at the end of all.
func figure(t testing.TB, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf("  %-34s %s", t.Name(), fmt.Sprintf(format, args...))
	t.Log(line)
	f, err := os.OpenFile(os.Getenv(figuresVar), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintln(f, line); err != nil {
		t.Fatal(err)
	}
}

// atMost fails the row when a figure is worse than the bar.
func atMost(t testing.TB, what string, got, bar time.Duration) {
	t.Helper()
	if got > bar {
		t.Errorf("%s: %v; the bar is %v", what, got.Round(time.Millisecond), bar)
	}
}

func median(d []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(d))[len(d)/2]
}

// number reads a number from the environment.
func number(t testing.TB, name string, other int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return other
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatalf("%s is no number: %v", name, err)
	}
	return n
}
