//go:build linux && lab

package labtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Device is the program on a host: a home, and `serve` running from it or not.
type Device struct {
	*Host
	Unasked bool   // serve is not told whom the network belongs to
	Dir     string // holds everything of this device
	home    string
	id      string // its device ID, once known
	cmd     *exec.Cmd
	exited  chan error // has the end of cmd
}

// Limits on waiting for the program; what has a bar of its own says so where it is measured.
const (
	startLimit   = 20 * time.Second
	commandLimit = 45 * time.Second // `peers --wait` gives up by itself after 30 s
)

// NewDevice gives a host a home. The folder is short of name because the path of a socket is limited.
func NewDevice(t testing.TB, h *Host) *Device {
	t.Helper()
	dir, err := os.MkdirTemp("", "plt")
	if err != nil {
		t.Fatal(err)
	}
	d := &Device{Host: h, Dir: dir, home: filepath.Join(dir, "home")}
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Kill()
		if t.Failed() {
			t.Logf("the last lines of %s:\n%s", h.Name, tail(d.logFile(), 4000))
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Log(err)
		}
	})
	return d
}

// NewDevices builds a LAN with a device on each host; none is started.
func NewDevices(t testing.TB, kind Kind, names ...string) []*Device {
	t.Helper()
	var devices []*Device
	for _, h := range NewLAN(t, kind, names...).Hosts {
		devices = append(devices, NewDevice(t, h))
	}
	return devices
}

func (d *Device) logFile() string { return filepath.Join(d.Dir, "log") }

func (d *Device) prepare(cmd *exec.Cmd) {
	cmd.Dir = d.Dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + d.Dir, "XDG_RUNTIME_DIR=" + filepath.Join(d.Dir, "run"), "LANG=C.UTF-8",
	}
	if bus := os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"); bus != "" { // that a row has made
		cmd.Env = append(cmd.Env, "DBUS_SYSTEM_BUS_ADDRESS="+bus)
	}
}

// Serve starts `serve` and returns when it said that it is ready, and the moment it did.
func (d *Device) Serve() (time.Time, error) {
	log, err := os.OpenFile(d.logFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return time.Time{}, err
	}
	defer log.Close()
	args := []string{"--home", d.home, "serve", "--name", d.Name}
	if !d.Unasked {
		args = append(args, "--network", "home")
	}
	d.cmd = d.Command(os.Getenv(programVar), args...)
	d.prepare(d.cmd)
	d.cmd.Stderr = log
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return time.Time{}, err
	}
	if err := d.cmd.Start(); err != nil {
		return time.Time{}, err
	}
	ready, exited := make(chan time.Time, 1), make(chan error, 1)
	d.exited = exited
	go func(cmd *exec.Cmd) {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "ready") {
				select {
				case ready <- time.Now():
				default:
				}
			}
		}
		exited <- cmd.Wait()
	}(d.cmd)
	select {
	case at := <-ready:
		return at, nil
	case err := <-exited:
		d.cmd = nil
		return time.Time{}, fmt.Errorf("%s ended before it was ready: %v: %s", d.Name, err, tail(d.logFile(), 1000))
	case <-time.After(startLimit):
		return time.Time{}, fmt.Errorf("%s is not ready after %v", d.Name, startLimit)
	}
}

// MustServe is Serve for where nothing else can be done.
func (d *Device) MustServe(t testing.TB) {
	t.Helper()
	if _, err := d.Serve(); err != nil {
		t.Fatal(err)
	}
}

// Signal sends a signal to the running `serve`.
func (d *Device) Signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal %s: %v", d.Name, err)
	}
}

// Kill ends `serve` without any chance to say goodbye, and waits until it is dead.
func (d *Device) Kill() {
	if d.cmd == nil {
		return
	}
	_ = d.cmd.Process.Kill() // it may have ended by itself
	<-d.exited
	d.cmd = nil
}

// Quit asks `serve` to end and waits until it has.
func (d *Device) Quit(t testing.TB) {
	t.Helper()
	d.Signal(t, syscall.SIGTERM)
	d.Ended(t)
}

// Ended waits until a `serve` that was asked to quit has ended.
func (d *Device) Ended(t testing.TB) {
	t.Helper()
	select {
	case err := <-d.exited:
		if err != nil {
			t.Errorf("%s quits with %v", d.Name, err)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("%s does not quit within 10 s", d.Name)
		_ = d.cmd.Process.Kill()
		<-d.exited
	}
	d.cmd = nil
}

// Forget makes the device as new: another key, nobody known.
func (d *Device) Forget(t testing.TB) {
	t.Helper()
	d.id = ""
	if err := os.RemoveAll(d.home); err != nil {
		t.Fatal(err)
	}
}

// Run runs a command of the program on this device and returns what it printed.
func (d *Device) Run(limit time.Duration, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	all := append([]string{"netns", "exec", d.ns, os.Getenv(programVar), "--home", d.home}, args...)
	cmd := exec.CommandContext(ctx, "ip", all...)
	d.prepare(cmd)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("porchlight %s on %s: %w: %s", strings.Join(args, " "), d.Name, errors.Join(err, ctx.Err()), strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

// Must is Run for where an error ends the row.
func (d *Device) Must(t testing.TB, limit time.Duration, args ...string) {
	t.Helper()
	if _, err := d.Run(limit, args...); err != nil {
		t.Fatal(err)
	}
}

// ask runs a command with --json and reads its answer into v.
func (d *Device) ask(v any, args ...string) error {
	out, err := d.Run(commandLimit, append([]string{"--json"}, args...)...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, v); err != nil {
		return fmt.Errorf("porchlight --json %s prints %.200q: %w", strings.Join(args, " "), out, err)
	}
	return nil
}

// Online reports whether d has the other device as online.
func (d *Device) Online(other *Device) (bool, error) {
	state, err := d.stateOf(other)
	return state == "online", err
}

// Gone reports whether d has the other device as offline, or not at all.
func (d *Device) Gone(other *Device) (bool, error) {
	state, err := d.stateOf(other)
	return err == nil && (state == "offline" || state == ""), err
}

func (d *Device) stateOf(other *Device) (string, error) {
	var peers []struct{ ID, State string }
	if err := d.ask(&peers, "peers"); err != nil {
		return "", err
	}
	for _, p := range peers {
		if p.ID == other.id {
			return p.State, nil
		}
	}
	return "", nil
}

// learn asks the device for its ID. Names do not do: a device that was made new leaves its former self behind with the
// others, offline and of the same name.
func (d *Device) learn(t testing.TB) {
	t.Helper()
	var status struct{ ID string }
	if err := d.ask(&status, "status"); err != nil {
		t.Fatal(err)
	}
	d.id = status.ID
}

// At writes a place of this device as commands take it.
func (d *Device) At(place string) string { return d.id + ":" + place }

// row is one line of `ls`.
type row struct {
	Name, Kind string
	Size       int64
}

// List lists what other offers at place ("SHARE" or "SHARE/PATH").
func (d *Device) List(other *Device, place string) ([]row, error) {
	var rows []row
	err := d.ask(&rows, "ls", other.At(place))
	return rows, err
}

// job is one line of `jobs`.
type job struct {
	State        string
	Bytes, Total int64
	Files        int
}

// Jobs lists the pulls of this device.
func (d *Device) Jobs() ([]job, error) {
	var jobs []job
	err := d.ask(&jobs, "jobs")
	return jobs, err
}

// Progress sums up all pulls: the bytes that arrived, and whether any may still go on. A failed one is an error.
func (d *Device) Progress() (bytes int64, busy bool, err error) {
	jobs, err := d.Jobs()
	for _, j := range jobs {
		bytes += j.Bytes
		switch j.State {
		case "done", "canceled":
		case "failed":
			err = errors.Join(err, fmt.Errorf("a pull of %s failed", d.Name))
		default:
			busy = true
		}
	}
	return bytes, busy, err
}

// Share offers a folder.
func (d *Device) Share(t testing.TB, dir, name string) {
	t.Helper()
	d.Must(t, commandLimit, "share", "add", dir, "--name", name)
}

// Path returns a path in this device's own folder, outside its home.
func (d *Device) Path(names ...string) string {
	return filepath.Join(append([]string{d.Dir}, names...)...)
}

// serveAll starts devices at once, waits until each sees all others, and returns the time from the last "ready" to then.
func serveAll(t testing.TB, devices []*Device) time.Duration {
	t.Helper()
	type end struct {
		ready, all time.Time
		err        error
	}
	ends := make(chan end)
	for _, d := range devices {
		go func() {
			ready, err := d.Serve()
			if err == nil {
				_, err = d.Run(commandLimit, "peers", "--wait", fmt.Sprint(len(devices)-1))
			}
			ends <- end{ready, time.Now(), err}
		}()
	}
	var ready, all time.Time
	var err error
	for range devices {
		e := <-ends
		err = errors.Join(err, e.err)
		if e.ready.After(ready) {
			ready = e.ready
		}
		if e.all.After(all) {
			all = e.all
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		d.learn(t)
	}
	return all.Sub(ready)
}

// untilAll polls until ok holds of every device, and returns how long the slowest took.
func untilAll(t testing.TB, devices []*Device, limit time.Duration, what string, ok func(*Device) (bool, error)) time.Duration {
	t.Helper()
	start := time.Now()
	errs := make(chan error)
	for _, d := range devices {
		go func() {
			for {
				yes, err := ok(d)
				if yes {
					errs <- nil
					return
				}
				if time.Since(start) > limit {
					errs <- errors.Join(fmt.Errorf("not within %v on %s: %s", limit, d.Name, what), err)
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
		}()
	}
	var err error
	for range devices {
		err = errors.Join(err, <-errs)
	}
	took := time.Since(start)
	if err != nil {
		t.Fatal(err)
	}
	return took
}

// tail returns the last n bytes of a file, or why there are none.
func tail(file string, n int) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-n):])
}
