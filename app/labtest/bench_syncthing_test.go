//go:build linux && lab

package labtest

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// syncLimit ends a round of Syncthing that does not come to its end.
const syncLimit = 5 * time.Minute

// syncConfig is all that Syncthing is told: it meets nobody but the other end, and asks nothing outside the LAN.
const syncConfig = `<configuration version="36">
<folder id="work" path="%s" type="%s" rescanIntervalS="0" fsWatcherEnabled="true" fsWatcherDelayS="10"><device id="%s"/><device id="%s"/><markerName>%s</markerName></folder>
<device id="%[3]s" compression="metadata"><address>tcp://%[6]s:22000</address></device>
<device id="%[4]s" compression="metadata"><address>tcp://%[7]s:22000</address></device>
<gui enabled="true" tls="false"><address>127.0.0.1:8384</address><apikey>lab</apikey></gui>
<options><listenAddress>tcp://%[8]s:22000</listenAddress><globalAnnounceEnabled>false</globalAnnounceEnabled>
<localAnnounceEnabled>false</localAnnounceEnabled><relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled><startBrowser>false</startBrowser>
<urAccepted>-1</urAccepted><crashReportingEnabled>false</crashReportingEnabled><autoUpgradeIntervalH>0</autoUpgradeIntervalH>
<reconnectionIntervalS>1</reconnectionIntervalS><setLowPriority>false</setLowPriority></options></configuration>`

// syncthing keeps a folder the same at both ends. It is given its best: the time begins when the two are connected and everything is hashed.
func (c *contest) syncthing() rival {
	return c.syncthingFrom("Syncthing, from connected to done", false)
}

// syncthingWritten has the two connected before there is anything: the time begins when the last file is written.
func (c *contest) syncthingWritten() rival {
	return c.syncthingFrom("Syncthing, from the last file written to done", true)
}

func (c *contest) syncthingFrom(name string, written bool) rival {
	program := os.Getenv(syncthingVar)
	r := rival{name: name, fetch: func(w work, into string) (run, error) { return c.sync(program, w, into, written) }}
	if program == "" {
		r.absent = "its program is not given (" + syncthingVar + "=path)"
	}
	return r
}

// sync is one round: two fresh Syncthings.
func (c *contest) sync(program string, w work, into string, written bool) (r run, err error) {
	source, target := c.data(w.dir), filepath.Join(into, w.dir)
	marker, err := anyName(source)
	if err != nil {
		return run{}, err
	}
	if written { // a folder that the files will come into
		source, marker = c.from.Path("synced"), ".stfolder"
		defer os.RemoveAll(source)
		if err := os.MkdirAll(filepath.Join(source, marker), 0o755); err != nil {
			return run{}, err
		}
	}
	if err := os.MkdirAll(filepath.Join(target, ".stfolder"), 0o755); err != nil {
		return run{}, err
	}
	a, b := &syncEnd{host: c.from.Host, home: c.from.Path("syncthing")}, &syncEnd{host: c.to.Host, home: c.to.Path("syncthing")}
	defer func() { err = errors.Join(err, a.end(), b.end()) }()
	if err := errors.Join(a.make(program), b.make(program)); err != nil {
		return run{}, err
	}
	config := func(e *syncEnd, path, kind, marker string) error {
		return e.start(program, fmt.Sprintf(syncConfig, path, kind, a.id, b.id, marker, a.host.Addr(), b.host.Addr(), e.host.Addr()))
	}
	if err := config(a, source, "sendonly", marker); err != nil {
		return run{}, err
	}
	if !written {
		if err := a.until("everything is hashed", func() bool { return a.holds(w) }); err != nil {
			return run{}, err
		}
	}
	if err := config(b, target, "receiveonly", ".stfolder"); err != nil {
		return run{}, err
	}
	var start time.Time
	if err := b.until("the two are connected", func() bool { start = b.connected(); return !start.IsZero() }); err != nil {
		return run{}, err
	}
	var usage usage
	if usage, err = usageOf([]*exec.Cmd{a.cmd, b.cmd}); err != nil {
		return run{}, err
	}
	if written {
		if err := a.until("the folder is watched", a.watches); err != nil {
			return run{}, err
		}
		if err := os.CopyFS(source, os.DirFS(c.data(w.dir))); err != nil {
			return run{}, err
		}
		start = time.Now()
	}
	if err := b.until("everything is there", func() bool { return b.holds(w) }); err != nil {
		return run{}, err
	}
	r.took = time.Since(start)
	r.cpu, err = usage.until()
	return r, err
}

// anyName returns a name in dir: Syncthing wants to see one, so that it knows an empty folder from one that is not mounted.
func anyName(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return "", fmt.Errorf("%s is empty: %w", dir, err)
	}
	return entries[0].Name(), nil
}

// syncEnd is one Syncthing.
type syncEnd struct {
	host     *Host
	home, id string
	cmd      *exec.Cmd
}

// make gives it a key and learns its ID.
func (e *syncEnd) make(program string) error {
	if err := os.RemoveAll(e.home); err != nil {
		return err
	}
	cmd := exec.Command(program, "generate", "--home="+e.home)
	cmd.Env = append(os.Environ(), "HOME="+e.home)
	if _, err := finish(time.Minute, cmd); err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(e.home, "config.xml"))
	if err != nil {
		return err
	}
	var config struct {
		Device []struct {
			ID string `xml:"id,attr"`
		} `xml:"device"`
	}
	if err := xml.Unmarshal(data, &config); err != nil || len(config.Device) != 1 {
		return fmt.Errorf("syncthing's own ID: %w", err)
	}
	e.id = config.Device[0].ID
	return nil
}

func (e *syncEnd) start(program, config string) error {
	if err := os.WriteFile(filepath.Join(e.home, "config.xml"), []byte(config), 0o600); err != nil {
		return err
	}
	e.cmd = e.host.Command(program, "serve", "--home="+e.home, "--no-browser", "--no-restart")
	e.cmd.Env = append(os.Environ(), "HOME="+e.home, "STNOUPGRADE=1")
	return e.cmd.Start()
}

// end ends it, and what it began with it.
func (e *syncEnd) end() error {
	if e.cmd != nil && e.cmd.Process != nil {
		_ = e.cmd.Process.Signal(unix.SIGTERM) // it may have ended by itself
		timer := time.AfterFunc(20*time.Second, func() { _ = e.cmd.Process.Kill() })
		defer timer.Stop()
		_ = e.cmd.Wait() // how it ends is no matter of ours
	}
	return os.RemoveAll(e.home)
}

// ask reads an answer of its REST interface.
func (e *syncEnd) ask(path string, query url.Values, answer any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	dial := func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
		err = e.host.Inside(func() error { conn, err = (&net.Dialer{}).DialContext(ctx, network, addr); return err })
		return conn, err
	}
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:8384/rest/"+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-API-Key", "lab")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(answer)
}

// connected says since when the other end is, zero if it is not. What answers may be up later than the connection.
func (e *syncEnd) connected() time.Time {
	var answer struct {
		Connections map[string]struct {
			Connected bool
			StartedAt time.Time
		}
	}
	if e.ask("system/connections", nil, &answer) == nil {
		for _, c := range answer.Connections {
			if second := c.StartedAt.Add(time.Second); c.Connected && second.Before(time.Now()) { // it tells whole seconds only
				return second
			} else if c.Connected {
				return time.Now()
			}
		}
	}
	return time.Time{}
}

// syncStatus is what it says of its folder.
type syncStatus struct {
	State, WatchError     string
	LocalFiles, NeedFiles int
	LocalBytes, NeedBytes int64
}

func (e *syncEnd) status() (s syncStatus, idle bool) {
	err := e.ask("db/status", url.Values{"folder": {"work"}}, &s)
	return s, err == nil && s.State == "idle"
}

// holds reports whether it has all files of the work, and is at rest. It counts folders as bytes too.
func (e *syncEnd) holds(w work) bool {
	s, idle := e.status()
	return idle && s.LocalFiles == w.files && s.LocalBytes >= w.bytes && s.NeedFiles == 0 && s.NeedBytes == 0
}

// watches reports whether it will notice new files.
func (e *syncEnd) watches() bool {
	s, idle := e.status()
	return idle && s.WatchError == ""
}

func (e *syncEnd) until(what string, ok func() bool) error {
	for start := time.Now(); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Since(start) > syncLimit {
			return fmt.Errorf("not within %v: %s", syncLimit, what)
		}
	}
	return nil
}
