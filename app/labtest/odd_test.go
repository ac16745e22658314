//go:build linux && lab

package labtest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestOddTargets pulls to folders that people choose and that cannot take it, or not all of it. The job says why; what can be mended goes on when it is;
// and nothing lands anywhere else.
func TestOddTargets(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	writeFile(t, anna.Path("docs", "big.bin"), 5*mib, 7)
	writeFile(t, anna.Path("docs", "Ümläute", "klein.txt"), 100, 8)
	k := newDisk(t, 300*mib, "mkfs.ext4", "-q")
	serveAll(t, devices)
	anna.Share(t, anna.Path("docs"), "docs")
	bo.inside(t, "mount", k.dev, k.dir)
	sh := func(script string) { t.Helper(); bo.inside(t, "sh", "-ec", script) }
	whole := func(t *testing.T, into string) {
		t.Helper()
		eventually(t, time.Minute, "the pull is done", func() bool { return bo.newest(t).State == "done" })
		mustEqual(t, anna.Path("docs"), filepath.Join(bo.view(into), "docs"))
	}
	refused := func(t *testing.T, into string) {
		t.Helper()
		out, err := bo.Run(time.Minute, "get", anna.At("docs"), "-o", into)
		if j := bo.newest(t); j.State != "failed" || j.Trouble != "disk-trouble" {
			t.Errorf("%+v", j)
		}
		if err == nil || !strings.Contains(string(out)+err.Error(), "could not be written") {
			t.Errorf("it says %s %v", out, err)
		}
	}
	t.Run("a folder that may not change", func(t *testing.T) {
		sh("mkdir " + k.dir + "/still && chattr +i " + k.dir + "/still")
		refused(t, k.dir+"/still")
		sh("chattr -i " + k.dir + "/still")
		bo.Must(t, commandLimit, "jobs", "retry", fmt.Sprint(bo.newest(t).ID))
		whole(t, k.dir+"/still")
	})
	t.Run("a folder in it that may not change", func(t *testing.T) { // it has letters that some disks have no code for, and this one has
		sh("mkdir -p " + k.dir + "/half/docs/Ümläute && chattr +i " + k.dir + "/half/docs/Ümläute")
		refused(t, k.dir+"/half")
		sh("chattr -i " + k.dir + "/half/docs/Ümläute")
		bo.Must(t, commandLimit, "jobs", "retry", fmt.Sprint(bo.newest(t).ID))
		whole(t, k.dir+"/half")
	})
	t.Run("a disk that can only be read", func(t *testing.T) {
		sh("mount -o remount,ro " + k.dir)
		bo.Must(t, commandLimit, "get", anna.At("docs"), "-o", k.dir+"/read", "--detach")
		bo.waitsFor(t, 30*time.Second, "disk-read-only")
		sh("mount -o remount,rw " + k.dir)
		whole(t, k.dir+"/read")
	})
	t.Run("a full disk", func(t *testing.T) {
		sh("mkdir " + bo.Path("full") + " && mount -t tmpfs -o size=2m plt " + bo.Path("full"))
		bo.Must(t, commandLimit, "get", anna.At("docs"), "-o", bo.Path("full", "in"), "--detach")
		bo.waitsFor(t, 30*time.Second, "disk-full")
		sh("mount -o remount,size=200m " + bo.Path("full"))
		whole(t, bo.Path("full", "in"))
	})
	t.Run("a link to a disk that goes", func(t *testing.T) {
		sh("ln -s " + k.dir + " " + bo.Path("link"))
		anna.Shape("10mbit")
		bo.Must(t, commandLimit, "get", anna.At("docs"), "-o", bo.Path("link"), "--detach")
		eventually(t, 30*time.Second, "the pull is under way", func() bool { return bo.newest(t).State == "running" })
		bo.turn(t)
		sh("umount -l " + k.dir)
		bo.turn(t)
		bo.waitsFor(t, 30*time.Second, "target-gone")
		if names, err := os.ReadDir(bo.view(k.dir)); err != nil || len(names) != 0 {
			t.Errorf("in the place of the disk: %v, %v", names, err)
		}
		sh("mount " + k.dev + " " + k.dir)
		anna.Shape("")
		whole(t, k.dir)
	})
	t.Run("the folder that is shared", func(t *testing.T) { // both are on one computer, as a stick is carried from one to the other
		for round := range 2 {
			job := bo.get(t, anna.At("docs"), anna.Path())
			if job.State != "done" || job.Skipped != 2*(round+1) || job.Failed != 0 {
				t.Errorf("onto itself: %+v", job)
			}
			job = bo.get(t, anna.At("docs"), anna.Path("docs"))
			if job.State != "done" || job.Done != 2*(round+1) {
				t.Errorf("into itself, round %d: %+v", round, job)
			}
		}
	})
}

// TestNestedShares: a share in another one, one that is a bind mount, and a mount inside of one. What is another disk is not entered, and that is told.
func TestNestedShares(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	writeFile(t, anna.Path("outer", "a"), 1000, 1)
	writeFile(t, anna.Path("outer", "inner", "b"), 2000, 2)
	writeFile(t, anna.Path("elsewhere", "c"), 3000, 3)
	for _, dir := range []string{"bound", "outer/mounted"} {
		if err := os.Mkdir(anna.Path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	serveAll(t, devices)
	anna.inside(t, "mount", "--bind", anna.Path("elsewhere"), anna.Path("bound"))
	anna.inside(t, "mount", "--bind", anna.Path("elsewhere"), anna.Path("outer", "mounted"))
	for name, dir := range map[string]string{"outer": "outer", "inner": "outer/inner", "bound": "bound"} {
		anna.Share(t, anna.Path(dir), name)
	}
	for name, want := range map[string]int{"inner": 1, "bound": 1, "outer": 2} {
		job := bo.get(t, anna.At(name), bo.Path("into"))
		if job.State != "done" || job.Done != want {
			t.Errorf("%s: %+v", name, job)
		}
		if told := slices.Contains(job.Problems, struct{ Path, Trouble, As string }{"mounted", "other-disk", ""}); told != (name == "outer") || job.Failed != len(job.Problems) {
			t.Errorf("%s: %+v", name, job.Problems)
		}
	}
	mustEqual(t, anna.Path("outer", "inner"), bo.Path("into", "inner"))
	mustEqual(t, anna.Path("elsewhere"), bo.Path("into", "bound"))
	if _, err := os.Stat(bo.Path("into", "outer", "mounted", "c")); err == nil {
		t.Error("another disk was entered")
	}
	anna.inside(t, "umount", "-l", anna.Path("bound"))
	eventually(t, 15*time.Second, "the bind mount is known to be away", func() bool {
		_, err := bo.List(anna, "bound")
		return err != nil && strings.Contains(err.Error(), "not there right now")
	})
}

// TestFilesAtWork pulls a folder again and again in which programs work: logs grow, are rotated by a new name and by being cut, an editor saves by renaming.
// Whatever comes is some moment of the file, and what does not come is said to have changed.
func TestFilesAtWork(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	dir := anna.Path("work")
	writeFile(t, filepath.Join(dir, "still"), 2*mib, 1)
	serveAll(t, devices)
	stop := make(chan struct{})
	var busy sync.WaitGroup
	defer busy.Wait()
	defer close(stop)
	every := func(d time.Duration, do func(n int) error) {
		busy.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(d):
				}
				if err := do(n); err != nil {
					t.Error(err)
				}
			}
		})
	}
	line := func(n int) []byte { return fmt.Appendf(nil, "%08d\n", n) }
	appendTo := func(name string, b []byte) error {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		_, err = f.Write(b)
		return errors.Join(err, f.Close())
	}
	var long bytes.Buffer // more than a piece
	for n := range 200_000 {
		long.Write(line(n))
	}
	if err := os.WriteFile(filepath.Join(dir, "long.log"), long.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	every(50*time.Millisecond, func(n int) error { return appendTo("long.log", line(200_000+n)) })
	every(20*time.Millisecond, func(n int) error {
		if n%40 == 39 {
			return os.Rename(filepath.Join(dir, "turned.log"), filepath.Join(dir, "turned.log.1"))
		}
		return appendTo("turned.log", line(n-n/40))
	})
	every(20*time.Millisecond, func(n int) error {
		if n%40 == 39 {
			return os.Truncate(filepath.Join(dir, "cut.log"), 0)
		}
		return appendTo("cut.log", line(n-n/40))
	})
	every(150*time.Millisecond, func(n int) error {
		fresh := filepath.Join(dir, ".edited.swp")
		return errors.Join(os.WriteFile(fresh, bytes.Repeat([]byte{byte(n)}, 3*mib/2), 0o644), os.Rename(fresh, filepath.Join(dir, "edited")))
	})
	anna.Share(t, dir, "work")
	whole, changed := map[string]int{}, 0
	for round := range number(t, "PORCHLIGHT_ROUNDS", 8) {
		switch {
		case round%2 == 1: // so that no log holds still for as long as it takes
			anna.Shape("20mbit")
		case round > 0:
			anna.Shape("")
		}
		into := bo.Path("into", fmt.Sprint(round))
		job := bo.get(t, anna.At("work"), into)
		if job.State != "done" {
			t.Errorf("%+v", job)
		}
		for _, p := range job.Problems {
			if p.Trouble != "source-changed" && p.Trouble != "source-gone" {
				t.Errorf("%+v", p)
			}
			changed++
		}
		names, err := os.ReadDir(filepath.Join(into, "work"))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range names {
			b, err := os.ReadFile(filepath.Join(into, "work", e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			whole[e.Name()]++
			switch {
			case strings.Contains(e.Name(), ".log"):
				if err := consecutive(b); err != nil {
					t.Errorf("round %d, %s: %v", round, e.Name(), err)
				}
			case e.Name() == "edited" && (len(b) != 3*mib/2 || bytes.Count(b, b[:1]) != len(b)):
				t.Errorf("round %d: a mixture of what the editor saved", round)
			}
		}
		time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
	}
	figure(t, "whole %v, %d said to have changed", whole, changed)
	if whole["still"] == 0 || whole["cut.log"]+whole["turned.log"] == 0 {
		t.Error("what holds still, or nearly, never came")
	}
}

// consecutive checks that a log is of lines that were written one after another.
func consecutive(b []byte) error {
	const length = len("00000000\n")
	if len(b)%length != 0 {
		return fmt.Errorf("%d bytes are no lines", len(b))
	}
	last := -1
	for i := 0; i < len(b); i += length {
		var n int
		if _, err := fmt.Sscanf(string(b[i:i+length]), "%08d\n", &n); err != nil {
			return err
		}
		if last >= 0 && n != last+1 {
			return fmt.Errorf("line %d follows %d", n, last)
		}
		last = n
	}
	return nil
}

// TestHomeOnABadDisk: the disk of the home is full, or can only be read. It is said in words what that means and what to do, and when it is mended all is there.
func TestHomeOnABadDisk(t *testing.T) {
	for _, tt := range []struct{ name, bad, well, words string }{
		{"read-only", "mount -o remount,ro $0", "mount -o remount,rw $0", "can only be read"},
		{"full", "head -c 20M /dev/zero >$0/filler", "rm $0/filler", "Make some room"},
	} {
		for _, fresh := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, new %v", tt.name, fresh), func(t *testing.T) {
				anna := NewDevices(t, DualStack, "anna")[0]
				if err := os.Mkdir(anna.home, 0o700); err != nil {
					t.Fatal(err)
				}
				must(t, "mount", "-t", "tmpfs", "-o", "size=10m,mode=700", "plt", anna.home)
				t.Cleanup(func() {
					anna.Kill()
					for exec.Command("umount", "-l", anna.home).Run() == nil { // as often as it is mounted
					}
				})
				if !fresh {
					if err := os.CopyFS(anna.home, os.DirFS(filepath.Join(homes, "next-schema-4"))); err != nil {
						t.Fatal(err)
					}
				}
				before, err := os.ReadDir(anna.home)
				if err != nil {
					t.Fatal(err)
				}
				must(t, "sh", "-c", tt.bad+" 2>/dev/null || true", anna.home) // filling a disk ends with an error
				if _, err = anna.Serve(); err == nil {
					t.Fatal("it started")
				}
				if !strings.Contains(err.Error(), tt.words) {
					t.Errorf("it says %v", err)
				}
				t.Logf("%v", err)
				must(t, "sh", "-c", tt.well, anna.home)
				if after, err := os.ReadDir(anna.home); err != nil || len(after) < len(before) || len(after) > len(before)+4 {
					t.Errorf("it left %v of %v %v", after, before, err)
				}
				anna.MustServe(t)
				if out, err := anna.Run(commandLimit, "share", "list"); !fresh && (err != nil || !strings.Contains(string(out), "Müsik")) {
					t.Errorf("%s %v", out, err)
				}
			})
		}
	}
}
