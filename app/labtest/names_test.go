//go:build linux && lab

package labtest

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
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
	"unicode"

	"porchlight/share"
)

// pulled is what `get --json` prints of a job.
type pulled struct {
	ID                                    int64
	State, Trouble                        string
	Files, Done, Skipped, Failed, Adapted int
	Problems                              []struct{ Path, Trouble, As string }
}

// get pulls and returns the job as it ended; that some files did not come is no error here.
func (d *Device) get(t testing.TB, what, into string) pulled {
	t.Helper()
	out, err := d.Run(5*time.Minute, "--json", "get", what, "-o", into) // some disks are slow
	var p pulled
	if json.Unmarshal(out, &p) != nil {
		t.Fatalf("get %s prints %.300q: %v", what, out, err)
	}
	return p
}

// disk is a file system of its own in a file.
type disk struct {
	t             testing.TB
	img, dir, dev string
}

// newDisk makes a disk of the given size with one of the programs that do, and a folder to mount it at.
func newDisk(t testing.TB, size int64, mkfs string, args ...string) *disk {
	t.Helper()
	base, err := os.MkdirTemp("", "plt")
	if err != nil {
		t.Fatal(err)
	}
	k := &disk{t: t, img: filepath.Join(base, "img"), dir: filepath.Join(base, "disk")}
	t.Cleanup(func() {
		for exec.Command("umount", "-l", k.dir).Run() == nil { // as often as it is mounted
		}
		if k.dev != "" {
			exec.Command("losetup", "-d", k.dev).Run() //nolint:errcheck // it may be gone with its last mount
		}
		os.RemoveAll(base) //nolint:errcheck // a folder of /tmp, at worst
	})
	if err := errors.Join(os.WriteFile(k.img, nil, 0o600), os.Truncate(k.img, size), os.Mkdir(k.dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	must(t, mkfs, append(args, k.img)...)
	k.dev = strings.TrimSpace(must(t, "losetup", "-f", "--show", k.img))
	return k
}

// inside runs a command where d has its mounts: each device has its own.
func (d *Device) inside(t testing.TB, name string, args ...string) string {
	t.Helper()
	return must(t, "nsenter", append([]string{"-t", strconv.Itoa(d.cmd.Process.Pid), "-m", name}, args...)...)
}

// view is a path as d sees it.
func (d *Device) view(path string) string {
	return filepath.Join("/proc", strconv.Itoa(d.cmd.Process.Pid), "root", path)
}

// hostileNames reads the corpus that share/safefs keeps.
func hostileNames(t testing.TB) (names []string) {
	t.Helper()
	f, err := os.Open(filepath.FromSlash("../../share/safefs/testdata/names.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, err := strconv.Unquote(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// plantCorpus makes a file of each hostile name a disk can hold, and returns how many a neighbour gets, and how many it only sees.
func plantCorpus(t testing.TB, dir string) (files map[string]bool, unreadable int) {
	t.Helper()
	files = map[string]bool{}
	old := time.Now().Add(-time.Hour).Truncate(time.Second).Add(time.Second / 3)
	for i, name := range hostileNames(t) {
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
			continue
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(name), 0o644); errors.Is(err, syscall.ENAMETOOLONG) {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		when := old.Add(-time.Duration(i) * time.Minute)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
		plain := strings.ToLower(strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Cf, r) {
				return -1
			}
			return r
		}, name))
		switch {
		case strings.HasPrefix(plain, share.PrivatePrefix), strings.HasPrefix(plain, "porchl~"), slices.Contains([]string{".ssh", "system volume information", "$recycle.bin"}, plain):
			// never shown
		case share.CheckComponent(name) == nil:
			files[name] = true
		default:
			unreadable++
		}
	}
	return files, unreadable
}

// TestHostileNames pulls files of all the hostile names onto disks of every kind there is here, twice. All that can come comes, each under a name of its own and
// below the target folder; what had to be renamed is told; and what is there is not fetched again, whatever time the disk keeps.
func TestHostileNames(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	if err := os.Mkdir(anna.Path("names"), 0o755); err != nil {
		t.Fatal(err)
	}
	want, unreadable := plantCorpus(t, anna.Path("names"))
	targets := mountAll(t, 400*mib)
	serveAll(t, devices)
	anna.Share(t, anna.Path("names"), "names")
	for name, dir := range targets {
		t.Run(name, func(t *testing.T) {
			for round := range 2 {
				job := bo.get(t, anna.At("names"), filepath.Join(dir, "into"))
				adapted := checkCorpus(t, bo, dir, want, name == "NTFS as Windows has it")
				if job.State != "done" || job.Done != len(want) || job.Failed != unreadable || job.Adapted != adapted {
					t.Errorf("%d of %d done, %d failed of %d files, %d names adapted and %d told: %s %s", job.Done, len(want), job.Failed, job.Files, adapted, job.Adapted, job.State, job.Trouble)
				}
				if round == 0 {
					figure(t, "%d files here, %d under another name, %d that nobody can name", job.Done, job.Adapted, job.Failed)
				} else if job.Skipped != len(want) {
					t.Errorf("the second time %d of %d were there", job.Skipped, len(want))
				}
			}
		})
	}
}

// checkCorpus looks at what came: the bytes of each file are the name it has at its source. It returns how many names are others here;
// lower says that the disk shows all names in small letters.
func checkCorpus(t *testing.T, d *Device, dir string, want map[string]bool, lower bool) (adapted int) {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(d.view(dir), func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && e.Name() == "lost+found" {
			return fs.SkipDir
		}
		rel, err := filepath.Rel(d.view(dir), p)
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		if other, twice := got[string(b)]; twice || !want[string(b)] {
			t.Errorf("%q is at %q, and at %q", b, rel, other)
		}
		got[string(b)] = rel
		if filepath.Dir(rel) != filepath.Join("into", "names") {
			t.Errorf("%q is outside of the target folder", rel)
		}
		if here, there := filepath.Base(rel), string(b); here != there && (!lower || here != strings.ToLower(there)) {
			adapted++
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%q did not come", name)
		}
	}
	return adapted
}

// waitsFor waits until the last pull of d is away for the given reason.
func (d *Device) waitsFor(t testing.TB, limit time.Duration, reasons ...string) time.Duration {
	t.Helper()
	last := ""
	defer func() { t.Logf("the pull is %s", last) }()
	return eventually(t, limit, fmt.Sprintf("the pull waits, for %s", strings.Join(reasons, " or ")), func() bool {
		j := d.newest(t)
		if last = j.State + " " + j.Trouble; j.State == "failed" || j.State == "done" {
			t.Fatalf("the pull is %s: %+v", last, j)
		}
		for _, r := range reasons {
			if j.State == "away" && j.Trouble == r {
				return true
			}
		}
		return false
	})
}

// newest is the pull of d that was asked for last.
func (d *Device) newest(t testing.TB) pulled {
	t.Helper()
	var jobs []pulled
	if err := d.ask(&jobs, "jobs"); err != nil || len(jobs) == 0 {
		t.Fatal(len(jobs), err)
	}
	return slices.MaxFunc(jobs, func(a, b pulled) int { return cmp.Compare(a.ID, b.ID) })
}
