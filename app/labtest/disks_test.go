//go:build linux && lab

package labtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"porchlight/share"
)

// away reports whether d has the one share of other as not there.
func (d *Device) away(t testing.TB, other *Device) bool {
	t.Helper()
	out, err := d.Run(commandLimit, "--json", "ls", other.id)
	text := strings.ReplaceAll(string(out), " ", "")
	if err != nil || strings.Count(text, `"away":`) != 1 {
		t.Fatalf("ls prints %.300q: %v", out, err)
	}
	return strings.Contains(text, `"away":true`)
}

// TestShareGoes: what is shared goes in every way a folder and its disk can go, while it is listed and pulled from. The neighbour is told that it is not there,
// the pull waits for it, and all goes on by itself when it is back.
func TestShareGoes(t *testing.T) {
	const told, back = 3 * time.Second, 45 * time.Second
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	k := newDisk(t, 300*mib, "mkfs.ext4", "-q")
	serveAll(t, devices)
	anna.inside(t, "mount", k.dev, k.dir)
	writeFile(t, anna.view(k.dir)+"/docs/big.bin", 100*mib, 7)
	writeFile(t, anna.view(k.dir)+"/docs/small", 100, 8)
	want := anna.Path("copy")
	must(t, "cp", "-a", anna.view(k.dir)+"/docs", want)
	in := func(script string) func() {
		return func() { anna.inside(t, "sh", "-c", script) }
	}
	for _, tt := range []struct {
		name     string
		dir      string // shared
		go_, ret func()
	}{
		{"renamed", "/docs", in("mv " + k.dir + "/docs " + k.dir + "/gone"), in("mv " + k.dir + "/gone " + k.dir + "/docs")},
		{"deleted and made anew", "/docs", in("mv " + k.dir + "/docs " + k.dir + "/away && cp -a " + k.dir + "/away " + k.dir + "/anew && rm -r " + k.dir + "/away"),
			in("mv " + k.dir + "/anew " + k.dir + "/docs")},
		{"unmounted, a folder of the disk", "/docs", in("umount -l " + k.dir), in("mount " + k.dev + " " + k.dir)},
		{"unmounted, the disk itself", "", in("umount -l " + k.dir), in("mount " + k.dev + " " + k.dir)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			anna.Share(t, k.dir+tt.dir, "docs")
			defer anna.Must(t, commandLimit, "share", "remove", "docs")
			anna.Shape("100mbit")
			into := bo.Path("into " + tt.name)
			if _, err := bo.List(anna, "docs"); err != nil {
				t.Fatal(err)
			}
			bo.Must(t, commandLimit, "get", bo.placeOf(anna, tt.dir), "-o", into, "--detach")
			eventually(t, 30*time.Second, "the pull is under way", func() bool {
				_, err := os.Stat(into)
				return err == nil
			})
			time.Sleep(time.Second)
			tt.go_()
			took := eventually(t, told+10*time.Second, "bo sees that it is not there", func() bool { return bo.away(t, anna) })
			if _, err := bo.List(anna, "docs"); err == nil || !strings.Contains(err.Error(), "not there right now") {
				t.Errorf("a listing says %v", err)
			}
			bo.waitsFor(t, 30*time.Second, "share-away")
			tt.ret()
			again := eventually(t, told+10*time.Second, "bo sees that it is back", func() bool { return !bo.away(t, anna) })
			anna.Shape("")
			whole := eventually(t, back+15*time.Second, "the pull ends", func() bool {
				_, busy, err := bo.Progress()
				if err != nil {
					t.Fatal(err)
				}
				return !busy
			})
			figure(t, "known after %v, known to be back after %v, the pull is done after %v more", ms(took), ms(again), ms(whole))
			atMost(t, "being known", max(took, again), told)
			atMost(t, "being done", whole, back)
			mustEqual(t, want, filepath.Join(into, "docs"))
		})
	}
}

// placeOf is what is asked of the share in TestShareGoes: all of it, or of a whole disk the folder on it.
func (d *Device) placeOf(other *Device, dir string) string {
	if dir == "" {
		return other.At("docs/docs")
	}
	return other.At("docs")
}

// TestTargetGoes: the disk that is pulled to turns read-only, is unmounted, or dies in the middle. The pull waits and says what for, nothing lands where the disk
// should be, and it goes on when the disk is back.
func TestTargetGoes(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	k := newDisk(t, gib, "mkfs.ext4", "-q") // with room to spare: a pull does not fill a disk to the last byte
	serveAll(t, devices)
	writeFile(t, anna.Path("docs", "big.bin"), 150*mib, 7)
	for i := range 50 {
		writeFile(t, anna.Path("docs", "many", fmt.Sprint(i)), 3000, byte(i))
	}
	anna.Share(t, anna.Path("docs"), "docs")
	for i, tt := range []struct {
		name, script string
		reasons      []string
	}{
		{"the file system stops for an error", "mount -o remount,abort " + k.dir, []string{"disk-read-only", "target-gone"}},
		{"paused and unmounted", "umount -l " + k.dir, []string{"target-gone"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bo.inside(t, "mount", k.dev, k.dir)
			anna.Shape("100mbit")
			into := filepath.Join(k.dir, "into", fmt.Sprint(i))
			bo.inside(t, "mkdir", "-p", into)
			bo.Must(t, commandLimit, "get", anna.At("docs"), "-o", into, "--detach")
			eventually(t, 30*time.Second, "the pull is under way", func() bool {
				n, _, err := bo.Progress()
				return err == nil && n > 0
			})
			time.Sleep(2 * time.Second)
			if i == 1 { // what has the disk open goes on with it, unmounted or not
				bo.turn(t)
			}
			bo.inside(t, "sh", "-c", tt.script)
			if i == 1 {
				bo.turn(t)
			}
			bo.waitsFor(t, 60*time.Second, tt.reasons...)
			if i == 0 {
				bo.inside(t, "umount", "-l", k.dir)
			}
			bo.waitsFor(t, 60*time.Second, tt.reasons...)
			if names, err := os.ReadDir(bo.view(k.dir)); err != nil || len(names) != 0 {
				t.Errorf("in the place of the disk: %v, %v", names, err)
			}
			bo.inside(t, "mount", k.dev, k.dir)
			anna.Shape("")
			took := eventually(t, time.Minute, "the pull ends", func() bool {
				_, busy, err := bo.Progress()
				return err == nil && !busy
			})
			figure(t, "the pull is done %v after the disk is back", ms(took))
			mustEqual(t, anna.Path("docs"), filepath.Join(bo.view(into), "docs"))
			bo.inside(t, "umount", "-l", k.dir)
		})
	}
}

// turn pauses the last pull, or lets it go on.
func (d *Device) turn(t testing.TB) {
	t.Helper()
	j, what := d.newest(t), "pause"
	if j.State == "paused" {
		what = "resume"
	}
	d.Must(t, commandLimit, what, fmt.Sprint(j.ID))
	if what == "pause" {
		eventually(t, 10*time.Second, "the pull is paused", func() bool { return d.newest(t).State == "paused" })
	}
}

// TestMillion: a share of a million entries, in one folder and in a thousand. It is listed soon and in bounded memory, and a part of it is pulled.
func TestMillion(t *testing.T) {
	const entries = 1_000_000
	const firstBar, allBar, memoryBar = 10 * time.Second, 60 * time.Second, 400 * mib
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	for name, folders := range map[string]int{"one folder": 1, "a thousand folders": 1000} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "plt")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				anna.Must(t, commandLimit, "share", "remove", "million")
				anna.Kill()
				bo.Kill()
				must(t, "umount", "-l", dir)
				os.Remove(dir) //nolint:errcheck // an empty folder of /tmp, at worst
			})
			must(t, "mount", "-t", "tmpfs", "-o", "size=4g,nr_inodes=1100000", "plt", dir)
			for f := range folders {
				at := filepath.Join(dir, fmt.Sprintf("all %d", f))
				if err := os.Mkdir(at, 0o755); err != nil {
					t.Fatal(err)
				}
				for i := range entries / folders {
					h, err := os.Create(filepath.Join(at, fmt.Sprintf("IMG_%d.jpg", i)))
					if err != nil {
						t.Fatal(err)
					}
					h.Close()
				}
			}
			serveAll(t, devices)
			anna.Share(t, dir, "million")
			look := openFolder(t, bo, anna)
			start, first, rows := time.Now(), time.Duration(0), 0
			err = look.engine.List(context.Background(), look.device, look.share, "all 0", share.ByName, func(e []share.Entry) error {
				if rows += len(e); first == 0 && rows > 0 {
					first = time.Since(start)
				}
				return nil
			})
			all := time.Since(start)
			if err != nil || rows != entries/folders {
				t.Errorf("%d rows: %v", rows, err)
			}
			figure(t, "first rows after %v, all %d after %v", ms(first), rows, ms(all))
			atMost(t, "first rows", first, firstBar)
			atMost(t, "all rows", all, allBar)
			what, want := "million/all 7", filepath.Join(dir, "all 7")
			if folders == 1 {
				what, want = "million/all 0/IMG_123456.jpg", ""
			}
			start = time.Now()
			bo.Must(t, 2*time.Minute, "get", anna.At(what), "-o", bo.Path("into"))
			figure(t, "a part of it is here after %v", ms(time.Since(start)))
			if want != "" {
				mustEqual(t, want, bo.Path("into", "all 7"))
			} else if _, err := os.Stat(bo.Path("into", "IMG_123456.jpg")); err != nil {
				t.Error(err)
			}
			for _, d := range devices {
				most := memory(t, d, "VmHWM")
				figure(t, "most memory of %s: %d MiB", d.Name, most/mib)
				if most > memoryBar {
					t.Errorf("%s took %d MiB; the bar is %d", d.Name, most/mib, memoryBar/mib)
				}
			}
		})
	}
}
