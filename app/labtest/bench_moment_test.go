//go:build linux && lab

package labtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// firstByte is how soon something lies on the disk after a large file was asked for that the source has never read.
func firstByte() group {
	const wanted = 10 * gib
	var size int64
	setUp := func(t *testing.T, b *bench) *contest {
		size = wanted
		for free := room(t, os.TempDir()); size > gib && 2*size+size/4 > free; { // the receiver reserves as much as the source has
			size /= 2
		}
		c := newContest(t, b)
		writeFile(t, filepath.Join(c.data("big"), bigFile), size, 5)
		c.from.Share(t, c.data("big"), "big")
		return c
	}
	return group{"10 GiB", true, 3 * gib, setUp, []benchRow{{"10 GiB not yet hashed, first byte on disk", func(c *contest, e *entry) {
		e.Unit, e.Bar = "ms", &bar{Must: 100, AtMost: true}
		if size != wanted {
			e.Note = fmt.Sprintf("the disk has room for %d GiB only", size/gib)
		}
		err := c.inQuiet(e, c.rounds, func() (counts, error) {
			took, err := c.firstByte(size)
			if err != nil {
				return nil, err
			}
			return func(e *entry, _, _ run) { e.Ours = append(e.Ours, float64(took.Microseconds())/1e3) }, nil
		})
		if err != nil {
			e.Why = err.Error()
			c.t.Error(err)
		}
	}}}}
}

// firstByte asks for the large file and waits for its first byte on the disk; then it wants no more.
func (c *contest) firstByte(size int64) (time.Duration, error) {
	if err := touch(c); err != nil {
		return 0, err
	}
	into := c.to.Path("into")
	asked := make(chan error, 1)
	start := time.Now()
	go func() {
		_, err := c.to.timed(commandLimit, "get", c.from.At("big"), "-o", into, "--detach")
		asked <- err
	}()
	for !anyData(into, size) {
		if time.Since(start) > time.Minute {
			return 0, errors.Join(errors.New("no byte on the disk after a minute"), <-asked)
		}
		time.Sleep(time.Millisecond)
	}
	took := time.Since(start)
	if err := errors.Join(<-asked, c.cancelAll()); err != nil {
		return 0, err
	}
	return took, os.RemoveAll(into)
}

// anyData reports whether a file below dir, other than a journal, has bytes that were written and not only reserved.
func anyData(dir string, size int64) (found bool) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "journal" || found {
			return nil // what is not there now may be there the next time
		}
		f, err := os.Open(path)
		if err != nil {
			return nil
		}
		defer f.Close()
		off, err := unix.Seek(int(f.Fd()), 0, unix.SEEK_DATA)
		found = err == nil && off < size
		return nil
	})
	return found
}

// cancelAll ends whatever the receiver is about, and waits until it has.
func (c *contest) cancelAll() error {
	var jobs []struct {
		ID    json.Number
		State string
	}
	if err := c.to.ask(&jobs, "jobs"); err != nil {
		return err
	}
	for _, j := range jobs {
		if j.State != "done" && j.State != "canceled" {
			if _, err := c.to.Run(commandLimit, "cancel", j.ID.String()); err != nil {
				return err
			}
		}
	}
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if _, busy, err := c.to.Progress(); err != nil || !busy {
			return err
		}
		if time.Since(start) > time.Minute {
			return errors.New("a pull goes on a minute after it was canceled")
		}
	}
}

// leastKills is how often the receiver is killed at least.
const leastKills = 10

// killed is what a receiver fetches again after it was killed at a random moment.
func killed() group {
	return group{"killed", false, 6 * gib, ready, []benchRow{{"1 GiB, fetched again after kill -9", func(c *contest, e *entry) {
		e.Unit, e.Bar = "MiB", &bar{Must: 64, Aim: 8, AtMost: true, Worst: true}
		seed := uint64(time.Now().UnixNano())
		dice := rand.New(rand.NewPCG(seed, 0))
		e.Note = fmt.Sprintf("seed %d", seed)
		var usual []int64
		var took []time.Duration
		for range 3 {
			n, t, err := c.pullKilled(0)
			if err != nil {
				c.t.Fatal(err)
			}
			usual, took = append(usual, n), append(took, t)
		}
		whole, long := slices.Min(usual), median(took)
		for tries := 0; len(e.Ours) < max(leastKills, 2*c.rounds); tries++ {
			if tries > 6*c.rounds+leastKills {
				e.Why = fmt.Sprintf("only %d kills met a pull", len(e.Ours))
				return
			}
			n, _, err := c.pullKilled(time.Duration(dice.Int64N(int64(long))))
			if errors.Is(err, errTooLate) {
				continue
			}
			if err != nil {
				e.Why = err.Error()
				c.t.Error(err)
				return
			}
			e.Ours = append(e.Ours, float64(n-whole)/mib)
		}
		e.Note = fmt.Sprintf("worst of %d: %.1f MiB; %s", len(e.Ours), slices.Max(e.Ours), e.Note)
	}}}}
}

// errTooLate says that a pull was over before its receiver could be killed.
var errTooLate = errors.New("the pull was over")

// pullKilled brings the large file over and returns how many bytes the receiver received in all. It is killed after some time, unless that is 0.
func (c *contest) pullKilled(after time.Duration) (received int64, took time.Duration, err error) {
	into := c.to.Path("into")
	defer func() { err = errors.Join(err, os.RemoveAll(into)) }()
	before, err := c.to.counter("rx")
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	if _, err := c.to.Run(commandLimit, "get", c.from.At("big"), "-o", into, "--detach"); err != nil {
		return 0, 0, err
	}
	late := false
	if after > 0 {
		time.Sleep(after)
		c.to.Kill()
		_, err := os.Lstat(filepath.Join(into, "big", bigFile))
		late = err == nil // it has its name
		if _, err := c.to.Serve(); err != nil {
			return 0, 0, err
		}
	}
	for {
		_, busy, err := c.to.Progress()
		if err != nil {
			return 0, 0, err
		}
		if !busy {
			break
		}
		if time.Since(start) > runLimit {
			return 0, 0, errors.New("the pull does not end")
		}
		time.Sleep(20 * time.Millisecond)
	}
	took = time.Since(start)
	if late {
		return 0, 0, errTooLate
	}
	now, err := c.to.counter("rx")
	if err != nil {
		return 0, 0, err
	}
	return now - before, took, compare(c.data("big"), filepath.Join(into, "big"))
}

// TestFirstData checks the look for the first byte: what is only reserved is none.
func TestFirstData(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, ".porchlight-part", "f1")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if anyData(dir, 8*mib) {
		t.Error("an empty file has data")
	}
	if err := unix.Fallocate(int(f.Fd()), 0, 0, 8*mib); err != nil && !strings.Contains(err.Error(), "not supported") {
		t.Fatal(err)
	}
	if anyData(dir, 8*mib) {
		t.Error("a reserved file has data")
	}
	if _, err := f.WriteAt([]byte("x"), 4*mib); err != nil {
		t.Fatal(err)
	}
	if !anyData(dir, 8*mib) {
		t.Error("a written byte is not seen")
	}
}
