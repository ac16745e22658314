//go:build linux && lab

package labtest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// lived is a folder as people have them: names that some disks take for one, times before and after all calendars, rights and marks, something deep.
type lived struct {
	dir   string
	files map[string]time.Time // by content, which is the name, with NULs behind it to make it long
	lost  int                  // names that nobody can be told
}

// plantLived makes one. What the disk of dir does not take is left out.
func plantLived(t testing.TB, dir string) lived {
	t.Helper()
	l := lived{dir: dir, files: map[string]time.Time{}}
	day := time.Date(2024, 5, 17, 12, 30, 14, 0, time.UTC)
	size := map[string]int{"one piece.bin": mib, "large.bin": 3*mib + 1}
	times := map[string]time.Time{
		"of 1901": time.Unix(-1<<31+86400, 0), "of 1969": time.Unix(-3600, 0), "of 1979": time.Unix(300_000_000, 0), "of 2039": time.Unix(2_180_000_000, 0),
		"of 2110": time.Unix(4_420_000_000, 0), "of 2300": time.Unix(10_420_000_000, 0), "of 2446": time.Unix(15_032_385_535, 0), "in nanoseconds": day.Add(123456789),
	}
	names := []string{"File.txt", "file.txt", "FILE.TXT", "Docs/Readme", "docs/Readme", "DOCS/readme", "Stra\u00dfe", "STRASSE", "Caf\u00e9", "Cafe\u0301",
		"one piece.bin", "large.bin", "suid", "tagged", "read only", "Latin-1 caf\xe9", "new\nline", "aux.txt", "trailing. ", strings.Repeat("n", 251) + ".txt",
		"deep/" + strings.Repeat("d/", 62) + "end"}
	for name := range times {
		names = append(names, name)
	}
	for _, name := range names {
		path, data := filepath.Join(dir, name), make([]byte, max(size[name], len(name)))
		copy(data, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			if _, there := os.Lstat(path); there == nil {
				continue // the disk takes it for another one
			}
			err = os.WriteFile(path, data, 0o644)
		}
		if err != nil {
			continue
		}
		when := day
		if at, ok := times[name]; ok {
			when = at
		}
		at := syscall.Timespec{Sec: when.Unix(), Nsec: int64(when.Nanosecond())} // os.Chtimes knows no year after 2262
		if err := syscall.UtimesNano(path, []syscall.Timespec{at, at}); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(name, "new\n") || strings.HasPrefix(name, "Latin-1") {
			l.lost++
			continue
		}
		l.files[string(data)] = when
	}
	_ = os.WriteFile(filepath.Join(dir, "empty"), nil, 0o644)     // the one without bytes
	_ = os.Chmod(filepath.Join(dir, "suid"), 0o755|fs.ModeSetuid) // not every disk has rights
	_ = os.Chmod(filepath.Join(dir, "read only"), 0o444)          // likewise
	_ = syscall.Setxattr(filepath.Join(dir, "tagged"), "user.a", []byte("b"), 0)
	_ = os.Symlink("/etc", filepath.Join(dir, "out"))
	l.files[""] = time.Time{}
	return l
}

// check compares what came below dir, as this process sees it: each file once, whatever its name, with no more rights than a plain file has,
// and with its time where every disk knows the year.
func (l lived) check(t testing.TB, dir string) {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() || info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) != 0 {
			t.Errorf("%q is %v", p, info.Mode())
			return nil
		}
		b, err := os.ReadFile(p)
		when, known := l.files[string(b)]
		if other, twice := got[string(b)]; twice || !known {
			t.Errorf("%q has %d bytes that are unknown, or those of %q", p, len(b), other)
		}
		got[string(b)] = p
		if y := when.Year(); y >= 1980 && y < 2038 && info.ModTime().Sub(when).Abs() > 2*time.Second {
			t.Errorf("%q is of %v, and should be of %v", p, info.ModTime(), when)
		}
		var tag [8]byte
		if n, err := syscall.Getxattr(p, "user.a", tag[:]); err == nil {
			t.Errorf("%q brought a mark of %d bytes", p, n)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for data := range l.files {
		if _, ok := got[data]; !ok {
			name, _, _ := strings.Cut(data, "\x00")
			t.Errorf("%q did not come", name)
		}
	}
}

// TestLivedIn pulls such a folder onto every kind of disk there is here, twice: all comes, each once, and the second time nothing is fetched or numbered again.
func TestLivedIn(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	life := plantLived(t, anna.Path("life"))
	targets := mountAll(t, 400*mib)
	serveAll(t, devices)
	anna.Share(t, life.dir, "life")
	for _, kind := range diskKinds() {
		dir, ok := targets[kind.name]
		if !ok {
			continue
		}
		t.Run(kind.name, func(t *testing.T) {
			for round := range 2 {
				into := filepath.Join(dir, "into")
				job := bo.get(t, anna.At("life"), into)
				life.check(t, bo.view(into))
				if job.State != "done" || job.Done != len(life.files) || job.Failed != life.lost {
					t.Errorf("%d of %d done, %d failed: %s %s %+v", job.Done, len(life.files), job.Failed, job.State, job.Trouble, job.Problems)
				}
				if round == 0 {
					figure(t, "%d files here, %d under another name, %d that nobody can name", job.Done, job.Adapted, job.Failed)
				} else if job.Skipped != len(life.files) {
					t.Errorf("the second time %d of %d were there: %+v", job.Skipped, len(life.files), job.Problems)
				}
			}
		})
	}
}

// mountAll mounts a disk of every kind that can be had here, for all who are started later.
func mountAll(t *testing.T, size int64) map[string]string {
	t.Helper()
	targets := map[string]string{}
	for _, kind := range diskKinds() {
		t.Run("mount "+kind.name, func(st *testing.T) { targets[kind.name] = kind.mount(st, t, size) })
	}
	return targets
}

// TestSharedFromEveryDisk shares such a folder from every kind of disk. All of it comes; a file that is written anew comes anew; and when the disk is taken
// out, that is said.
func TestSharedFromEveryDisk(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	disks := mountAll(t, 400*mib)
	lives := map[string]lived{}
	for name, dir := range disks {
		lives[name] = plantLived(t, filepath.Join(dir, "life"))
	}
	serveAll(t, devices)
	for _, kind := range diskKinds() {
		dir, ok := disks[kind.name]
		if !ok {
			continue
		}
		t.Run(kind.name, func(t *testing.T) {
			life := lives[kind.name]
			anna.Share(t, life.dir, "life")
			defer anna.Must(t, commandLimit, "share", "remove", "life")
			job := bo.get(t, anna.At("life"), bo.Path("of "+kind.name))
			if job.State != "done" || job.Done != len(life.files) || job.Failed != life.lost {
				t.Errorf("%d of %d done, %d failed: %s %s %+v", job.Done, len(life.files), job.Failed, job.State, job.Trouble, job.Problems)
			}
			life.check(t, bo.Path("of "+kind.name))
			fresh := bytes.Repeat([]byte{7}, 3*mib+1) // of the size it had
			large := filepath.Join(anna.view(life.dir), "large.bin")
			if err := os.WriteFile(large, fresh, 0o644); err != nil { // there are drivers that cannot cut a file
				if err := errors.Join(os.Remove(large), os.WriteFile(large, fresh, 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			bo.get(t, anna.At("life/large.bin"), bo.Path("again "+kind.name))
			if got, err := os.ReadFile(bo.Path("again "+kind.name, "large.bin")); err != nil || !bytes.Equal(got, fresh) {
				t.Errorf("after it was written anew %d bytes came: %v", len(got), err)
			}
			figure(t, "%d files came, %d that nobody can name", job.Done, job.Failed)
			anna.inside(t, "umount", "-l", strings.TrimSuffix(dir, "/fold"))
			took := eventually(t, 13*time.Second, "bo sees that it is not there", func() bool { return bo.away(t, anna) })
			atMost(t, "being known", took, 3*time.Second)
		})
	}
}

// TestTooLargeForFAT: a file that FAT32 cannot hold is refused before a byte of it moves, in words, and what is beside it comes.
func TestTooLargeForFAT(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	writeFile(t, anna.Path("films", "small.bin"), 1000, 1)
	for name, size := range map[string]int64{"film.mkv": 5 * gib, "just.mkv": 4 * gib} {
		if err := errors.Join(os.WriteFile(anna.Path("films", name), nil, 0o644), os.Truncate(anna.Path("films", name), size)); err != nil {
			t.Fatal(err)
		}
	}
	targets := map[string]string{}
	for _, kind := range diskKinds() {
		if strings.HasPrefix(kind.name, "FAT32") {
			t.Run("mount "+kind.name, func(st *testing.T) { targets[kind.name] = kind.mount(st, t, 12*gib) })
		}
	}
	serveAll(t, devices)
	anna.Share(t, anna.Path("films"), "films")
	for name, dir := range targets {
		t.Run(name, func(t *testing.T) {
			before := received(t, bo)
			start := time.Now()
			job := bo.get(t, anna.At("films"), filepath.Join(dir, "into"))
			took, came := time.Since(start), received(t, bo)-before
			words := []string{}
			for _, p := range job.Problems {
				words = append(words, p.Path+" "+p.Trouble)
			}
			slices.Sort(words)
			if want := []string{"film.mkv file-too-large", "just.mkv file-too-large"}; !slices.Equal(words, want) || job.Done != 1 || job.Failed != 2 {
				t.Errorf("%+v", job)
			}
			if came > mib {
				t.Errorf("%d KiB came for it", came/kib)
			}
			figure(t, "two files of 4 GiB and more refused after %v, with %d KiB from the network", ms(took), came/kib)
			out, err := bo.Run(time.Minute, "get", anna.At("films/film.mkv"), "-o", filepath.Join(dir, "alone"))
			if err == nil || !strings.Contains(string(out)+err.Error(), "too large for this disk") {
				t.Errorf("it says %s %v", out, err)
			}
			if names, err := os.ReadDir(filepath.Join(bo.view(dir), "into", "films")); err != nil || len(names) != 1 {
				t.Errorf("%v %v", names, err)
			}
		})
	}
}

// received is how many bytes came to d from the network since it has one.
func received(t testing.TB, d *Device) (n int64) {
	t.Helper()
	out, err := d.Command("sh", "-c", "cat /proc/net/dev").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		name, rest, ok := strings.Cut(line, ":")
		if fields := strings.Fields(rest); ok && strings.TrimSpace(name) != "lo" && len(fields) > 0 {
			bytes, err := strconv.ParseInt(fields[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			n += bytes
		}
	}
	return n
}

// TestTheDriverDies: the program that is the disk ends, under a share and under a target. Both say that the disk is away, and go on when it is back.
func TestTheDriverDies(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	if _, err := exec.LookPath("bindfs"); err != nil {
		t.Skip("bindfs is not installed")
	}
	for _, d := range devices {
		for _, name := range []string{"below", "disk"} {
			if err := os.Mkdir(d.Path(name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		t.Cleanup(func() {
			for exec.Command("umount", "-l", d.Path("disk")).Run() == nil { // as often as it is mounted
			}
		})
	}
	writeFile(t, anna.Path("below", "docs", "big.bin"), 60*mib, 7)
	writeFile(t, anna.Path("below", "docs", "small"), 100, 8)
	serveAll(t, devices)
	drivers := map[*Device]*exec.Cmd{}
	mount := func(d *Device) {
		cmd := exec.Command("nsenter", "-t", strconv.Itoa(d.cmd.Process.Pid), "-m", "bindfs", "-f", d.Path("below"), d.Path("disk"))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		drivers[d] = cmd
		eventually(t, 10*time.Second, "the disk is there", func() bool {
			return exec.Command("nsenter", "-t", strconv.Itoa(d.cmd.Process.Pid), "-m", "mountpoint", "-q", d.Path("disk")).Run() == nil
		})
	}
	end := func(d *Device) {
		_ = drivers[d].Process.Kill() // what it was is what the row is about
		_ = drivers[d].Wait()
	}
	for _, d := range devices {
		mount(d)
		t.Cleanup(func() { end(d) })
	}
	anna.Share(t, anna.Path("disk", "docs"), "docs")
	for _, tt := range []struct {
		name    string
		d       *Device
		reasons []string
	}{{"of the share", anna, []string{"share-away"}}, {"of the target", bo, []string{"target-gone"}}} {
		t.Run(tt.name, func(t *testing.T) {
			anna.Shape("50mbit")
			into := filepath.Join(bo.Path("disk"), tt.name)
			bo.Must(t, commandLimit, "get", anna.At("docs"), "-o", into, "--detach")
			eventually(t, 30*time.Second, "the pull is under way", func() bool {
				n, _, err := bo.Progress()
				return err == nil && n > mib
			})
			end(tt.d)
			took := bo.waitsFor(t, 60*time.Second, tt.reasons...)
			tt.d.inside(t, "umount", "-l", tt.d.Path("disk"))
			mount(tt.d)
			anna.Shape("")
			again := eventually(t, time.Minute, "the pull ends", func() bool {
				_, busy, err := bo.Progress()
				return err == nil && !busy
			})
			figure(t, "known after %v, done %v after it is back", ms(took), ms(again))
			mustEqual(t, anna.Path("below", "docs"), filepath.Join(bo.Path("below"), tt.name, "docs"))
		})
	}
}
