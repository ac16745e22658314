//go:build linux && lab

package labtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// beyond is by how much a figure may be better than what the machine was seen to do. A limit is measured too.
const beyond = 1.2

// yard is one file through one TLS connection, Go to Go, with nothing around it: what encryption alone allows, and whether the machine is quiet.
type yard struct {
	from, to *Host
	dir      string
}

func newYard(t *testing.T, from, to *Host) *yard {
	t.Helper()
	if err := os.MkdirAll(benchPlace(inMemory, os.Getpid()), 0o755); err != nil { // the contest itself may be on a disk
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(benchPlace(inMemory, os.Getpid()), "yard")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
		_ = os.Remove(filepath.Dir(dir)) // if it is empty
	})
	writeFile(t, filepath.Join(dir, "given"), gib, 9)
	return &yard{from, to, dir}
}

// stream brings 1 GiB over.
func (y *yard) stream() (run, error) {
	given, taken := filepath.Join(y.dir, "given"), filepath.Join(y.dir, "taken")
	before, err := usedByAll()
	if err != nil {
		return run{}, err
	}
	start := time.Now()
	r, err := ends(y.from, y.to, giveTLS, given, takeTLS, taken)
	if err == nil {
		elapsed, now := time.Since(start), time.Duration(0)
		if now, err = usedByAll(); err == nil {
			r.others = max(0, (now-before-r.cpu).Seconds()/elapsed.Seconds()/float64(runtime.NumCPU()))
		}
	}
	if err == nil {
		err = sameBytes(given, taken)
	}
	if err = errors.Join(err, os.RemoveAll(taken)); err != nil {
		return run{}, fmt.Errorf("raw TLS: %w", err)
	}
	return r, nil
}

// cable is what the path between two hosts was seen to carry at most.
type cable struct {
	from, to *Host
	shaped   int64 // bits per second to which both are slowed down; 0: not
	best     float64
	floors   map[string]time.Duration
}

// shortest is the least time in which work can be done. It measures again before it says more than took: the limit too may have met a bad moment.
func (l *cable) shortest(w work, scratch string, took time.Duration) (time.Duration, error) {
	if l.shaped > 0 {
		return time.Duration(float64(w.bytes) * 8 / float64(l.shaped) * float64(time.Second)), nil
	}
	limit := func() time.Duration {
		carried := time.Duration(float64(w.bytes) / (l.best * beyond) * float64(time.Second))
		return max(carried, time.Duration(float64(l.floors[w.dir])/beyond))
	}
	_, known := l.floors[w.dir]
	if l.best > 0 && (known || w.files == 1) && took >= limit() {
		return limit(), nil
	}
	for range 3 {
		rate, err := l.rawTCP()
		if err != nil {
			return 0, err
		}
		l.best = max(l.best, rate)
		if w.files > 1 {
			floor, err := writeFloor(w, scratch)
			if err != nil {
				return 0, err
			}
			if old, ok := l.floors[w.dir]; !ok || floor < old {
				if l.floors == nil {
					l.floors = map[string]time.Duration{}
				}
				l.floors[w.dir] = floor
			}
		}
		if took >= limit() {
			break
		}
	}
	return limit(), nil
}

// rawTCP is how many bytes go over the wire in a second, from memory to memory.
func (l *cable) rawTCP() (float64, error) {
	r, err := ends(l.from, l.to, giveTCP, "", takeTCP, "")
	if err != nil {
		return 0, fmt.Errorf("raw TCP: %w", err)
	}
	return gib / r.took.Seconds(), nil
}

// writeFloor is how long this machine takes to write the files of the work out of memory, with all its cores.
func writeFloor(w work, scratch string) (time.Duration, error) {
	defer os.RemoveAll(scratch)
	data, errs := make([]byte, w.bytes/int64(w.files)), make([]error, runtime.NumCPU())
	for i := range errs {
		if err := os.MkdirAll(filepath.Join(scratch, strconv.Itoa(i)), 0o755); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	var wg sync.WaitGroup
	for core := range errs {
		wg.Go(func() {
			for i := core; i < w.files; i += len(errs) {
				if err := os.WriteFile(filepath.Join(scratch, strconv.Itoa(core), strconv.Itoa(i)), data, 0o644); err != nil {
					errs[core] = err
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start), errors.Join(errs...)
}

// counter reads how many bytes h has received ("rx") or sent ("tx") on its first wire since it was built.
func (h *Host) counter(way string) (int64, error) {
	out, err := exec.Command("ip", "-n", h.ns, "-j", "-s", "link", "show", "dev", iface(0)).Output()
	if err != nil {
		return 0, fmt.Errorf("count the bytes of %s: %w", h.Name, err)
	}
	var links []struct {
		Stats64 map[string]struct{ Bytes int64 }
	}
	if err := json.Unmarshal(out, &links); err != nil || len(links) != 1 {
		return 0, fmt.Errorf("count the bytes of %s: %w in %.100q", h.Name, err, out)
	}
	return links[0].Stats64[way].Bytes, nil
}

// shapeBoth limits what h sends and what it receives.
func (h *Host) shapeBoth(t testing.TB, rate string) {
	t.Helper()
	h.Shape(rate)
	must(t, "tc", "-n", h.lan.sw, "qdisc", "replace", "dev", h.port(0), "root", "tbf", "rate", rate, "burst", "256kb", "latency", "20ms")
}

// usage is what processes and all below them had used of all cores at some moment.
type usage struct {
	servers   []*exec.Cmd
	cpu       time.Duration
	processes int
}

func usageOf(servers []*exec.Cmd) (usage, error) {
	u := usage{servers: servers}
	for _, s := range servers {
		cpu, n, err := usedBy(s.Process.Pid)
		if err != nil {
			return usage{}, err
		}
		u.cpu, u.processes = u.cpu+cpu, u.processes+n
	}
	return u, nil
}

// until returns what was used since, once the children that were begun meanwhile have ended: only then their parents know.
func (u usage) until() (time.Duration, error) {
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		now, err := usageOf(u.servers)
		if err != nil || now.processes <= u.processes || time.Now().After(deadline) {
			return now.cpu - u.cpu, err
		}
	}
}

// usedBy reads what a process, its children that have ended, and all that live below it have used, and how many live.
func usedBy(pid int) (time.Duration, int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, 0, err
	}
	type process struct {
		ticks  int64
		parent int
	}
	all := map[int]process{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		// The second field, the name, may contain anything. Behind it: state, parent, and from the 12th on utime, stime, cutime, cstime.
		_, rest, _ := strings.Cut(string(data[strings.LastIndexByte(string(data), ')')+1:]), " ")
		words := strings.Fields(rest)
		id, errID := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if len(words) < 15 || errID != nil {
			continue
		}
		var p process
		for i, word := range words[11:15] {
			n, err := strconv.ParseInt(word, 10, 64)
			if err != nil {
				return 0, 0, fmt.Errorf("%s, word %d: %w", file, i, err)
			}
			p.ticks += n
		}
		if p.parent, err = strconv.Atoi(words[1]); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", file, err)
		}
		all[id] = p
	}
	if _, ok := all[pid]; !ok {
		return 0, 0, fmt.Errorf("process %d has ended", pid)
	}
	var ticks int64
	n := 0
	for id := range all {
		for up := id; up > 1; up = all[up].parent {
			if up == pid {
				ticks, n = ticks+all[id].ticks, n+1
				break
			}
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond, n, nil // a tick is 1/100 s on every Linux
}

// usedByAll reads what all processes have used of all cores, and what a host of this machine has taken away, since the start of the system.
func usedByAll() (time.Duration, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	words := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal ...
	if len(words) < 9 || words[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %.100q", line)
	}
	var ticks int64
	for _, i := range []int{1, 2, 3, 8} {
		n, err := strconv.ParseInt(words[i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil // a tick is 1/100 s on every Linux
}

// untilIdle waits until nobody uses the machine, and not for long: a round that does not count after all is only one of several.
func untilIdle() error {
	const look, patience = 500 * time.Millisecond, 20 * time.Second
	for start := time.Now(); time.Since(start) < patience; {
		before, err := usedByAll()
		if err != nil {
			return err
		}
		began := time.Now()
		time.Sleep(look)
		now, err := usedByAll()
		if err != nil {
			return err
		}
		if (now-before).Seconds()/time.Since(began).Seconds()/float64(runtime.NumCPU()) < quiet-1 {
			return nil
		}
	}
	return nil
}

// forgetFiles makes the system read every file from the disk again.
func forgetFiles() error {
	unix.Sync()
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
		return fmt.Errorf("files cannot be made cold: %w", err)
	}
	return nil
}

// readFromDisk is how many bytes the system has read from disks since it started.
func readFromDisk() (int64, error) {
	data, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(string(data), "pgpgin ")
	if !found {
		return 0, errors.New("the system does not say what it reads from disks")
	}
	word, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseInt(word, 10, 64)
	return n * kib, err
}

// realDisk returns a folder for temporary files that is not in memory; "" if there is none.
func realDisk() string {
	for _, dir := range []string{"/tmp", "/var/tmp"} {
		var s unix.Statfs_t
		if err := unix.Statfs(dir, &s); err == nil && s.Type != unix.TMPFS_MAGIC && s.Type != unix.RAMFS_MAGIC {
			return dir
		}
	}
	return ""
}

// room is how many bytes are free where dir lies.
func room(t *testing.T, dir string) int64 {
	t.Helper()
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	return int64(s.Bavail) * s.Bsize
}
