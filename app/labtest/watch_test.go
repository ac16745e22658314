//go:build linux && lab

package labtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"porchlight/app/control"
	"porchlight/discovery"
	"porchlight/share"
)

// TestChange: a neighbour that looks at a folder sees what changes in it. The window hears of changes through the control
// socket, and so does this row; no command shows them.
func TestChange(t *testing.T) {
	const bar, changes = 300 * time.Millisecond, 20
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	for i := range 100 {
		writeFile(t, anna.Path("docs", fmt.Sprintf("old %d", i)), 100, 0)
	}
	serveAll(t, devices)
	anna.Share(t, anna.Path("docs"), "docs")
	look := openFolder(t, bo, anna)
	var took []time.Duration
	for i := range changes {
		name := fmt.Sprintf("new %d", i)
		time.Sleep(700 * time.Millisecond) // a person's pace: what comes faster is reported together, later
		start := time.Now()
		writeFile(t, anna.Path("docs", name), 100, 0)
		if !look.sees(t, name, 15*time.Second) {
			t.Fatalf("bo does not see %q", name)
		}
		took = append(took, time.Since(start))
	}
	figure(t, "a new file is seen after: median %v, worst %v of %d", ms(median(took)), ms(slices.Max(took)), changes)
	atMost(t, "median until a change is seen", median(took), bar)
}

// folder is an open folder of a neighbour, as the window has one.
type folder struct {
	engine *control.Client
	device discovery.DeviceID
	share  share.ID
	hints  chan struct{}
}

// openFolder opens the one share of a neighbour on d, and watches it until the test ends.
func openFolder(t *testing.T, d, neighbour *Device) *folder {
	t.Helper()
	t.Setenv("XDG_RUNTIME_DIR", d.Path("run"))              // where the control socket of d is
	ctx, cancel := context.WithCancel(context.Background()) // t.Context ends before the clean-up that looks at the watch
	engine, err := control.Connect(ctx, d.home)
	if err != nil {
		t.Fatal(err)
	}
	f := &folder{engine: engine, hints: make(chan struct{}, 1)}
	peers, err := engine.Peers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range peers {
		if p.Name == neighbour.Name {
			f.device = p.ID
		}
	}
	offers, err := engine.Offers(ctx, f.device)
	if err != nil || len(offers) != 1 {
		t.Fatalf("offers: %v, %v", offers, err)
	}
	f.share = offers[0].ID
	ended := make(chan error, 1)
	go func() {
		ended <- engine.Watch(ctx, f.device, f.share, "", func() {
			select {
			case f.hints <- struct{}{}:
			default:
			}
		})
	}()
	t.Cleanup(func() {
		if len(ended) > 0 {
			t.Errorf("the watch ended by itself: %v", <-ended)
			ended <- nil
		}
		cancel()
		<-ended
		engine.Close()
	})
	return f
}

// sees lists the folder after each hint until name is in it.
func (f *folder) sees(t *testing.T, name string, limit time.Duration) bool {
	t.Helper()
	late := time.After(limit)
	for {
		select {
		case <-f.hints:
		case <-late:
			return false
		}
		found := false
		err := f.engine.List(t.Context(), f.device, f.share, "", share.ByName, func(entries []share.Entry) error {
			found = found || slices.ContainsFunc(entries, func(e share.Entry) bool { return e.Name() == name })
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if found {
			return true
		}
	}
}

// TestAvahi: the other implementation of the service discovery sees us, and forgets us when we leave.
func TestAvahi(t *testing.T) {
	for _, name := range []string{"avahi-daemon", "avahi-browse", "dbus-daemon"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed (packages avahi-daemon avahi-utils dbus)", name)
		}
	}
	l := NewLAN(t, DualStack, "anna", "avahi")
	anna := NewDevice(t, l.Hosts[0])
	anna.MustServe(t)
	browse := startAvahi(t, l.Hosts[1])
	seen := func() string {
		out, err := browse("-prt", "_porchlight._tcp").Output()
		if err != nil {
			return ""
		}
		return string(out)
	}
	var record string
	took := eventually(t, 15*time.Second, "avahi sees anna", func() bool {
		for line := range strings.Lines(seen()) {
			if strings.HasPrefix(line, "=;") && strings.Contains(line, ";_porchlight._tcp;") {
				record = strings.TrimSpace(line)
			}
		}
		return record != ""
	})
	t.Log(record)
	start := time.Now()
	anna.Quit(t)
	eventually(t, 10*time.Second, "avahi forgets anna", func() bool {
		out, err := browse("-pt", "_porchlight._tcp").Output()
		return err == nil && len(out) == 0
	})
	gone := time.Since(start)
	figure(t, "avahi lists us (first asked %v after its start) and forgets us %v after we quit", ms(took), ms(gone))
	atMost(t, "forgotten", gone, 5*time.Second) // avahi itself keeps what says goodbye for one more second
}

// startAvahi runs an avahi-daemon on h, with a bus of its own, and returns how to browse with it.
func startAvahi(t *testing.T, h *Host) func(args ...string) *exec.Cmd {
	t.Helper()
	dir, err := os.MkdirTemp("", "plt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	bus := "unix:path=" + filepath.Join(dir, "bus")
	for name, text := range map[string]string{
		"bus.conf": `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>` + bus + `</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/><allow user="*"/></policy></busconfig>`,
		"avahi.conf": "[server]\nhost-name=avahi\nuse-ipv4=yes\nuse-ipv6=yes\nallow-interfaces=eth0\n[publish]\npublish-workstation=no\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, args ...string) *exec.Cmd {
		cmd := h.Command(name, args...)
		cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+bus)
		return cmd
	}
	keep := func(cmd *exec.Cmd) {
		var log strings.Builder
		cmd.Stderr = &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // says only that it was killed
			if t.Failed() {
				t.Log(log.String())
			}
		})
	}
	keep(run("dbus-daemon", "--nofork", "--nopidfile", "--config-file", filepath.Join(dir, "bus.conf")))
	eventually(t, 10*time.Second, "there is a bus", func() bool {
		_, err := os.Stat(filepath.Join(dir, "bus"))
		return err == nil
	})
	// A host has mounts of its own, so that this /run is not the one of the computer we are on, where avahi may run too.
	keep(run("sh", "-c", `mount -t tmpfs plt /run && mkdir /run/avahi-daemon &&
		exec avahi-daemon --no-drop-root --no-chroot --no-rlimits --file="$0"`, filepath.Join(dir, "avahi.conf")))
	eventually(t, 10*time.Second, "avahi answers", func() bool { return run("avahi-browse", "-t", "_nothing._tcp").Run() == nil })
	return func(args ...string) *exec.Cmd { return run("avahi-browse", args...) }
}
