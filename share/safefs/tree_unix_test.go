//go:build linux || darwin

package safefs

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"porchlight/discovery/calm"
	"porchlight/share"
)

func TestOthersAreListedNeverOpened(t *testing.T) {
	dir := plant(t, "real/file", "other/")
	must(t, os.Symlink("real", filepath.Join(dir, "link to folder")))
	must(t, os.Symlink("real/file", filepath.Join(dir, "link to file")))
	must(t, os.Symlink("/proc/self/environ", filepath.Join(dir, "link out")))
	must(t, os.Symlink("nowhere", filepath.Join(dir, "link dangling")))
	must(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o644))
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	must(t, err)
	defer l.Close()
	must(t, os.WriteFile(filepath.Join(dir, "bad\xff\nname"), nil, 0o644))
	must(t, os.WriteFile(filepath.Join(dir, `back\slash`), nil, 0o644))
	tr := tree(t, dir)
	want := []string{"other", "real", `back\slash (unreadable name)`, "bad\ufffd\ufffdname (unreadable name)", "link dangling (link)", "link out (link)",
		"link to file (link)", "link to folder (link)", "pipe (pipe)", "socket (socket)"}
	if diff := cmp.Diff(want, list(t, tr, "", share.ByName)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(append(append([]string{""}, want[2:]...), "other", "real", "real/file"), walkAll(t, tr, "")); diff != "" {
		t.Error(diff)
	}
	start := time.Now()
	for _, p := range []share.Path{"link to folder", "link to file", "link out", "link dangling", "pipe", "socket", "link to folder/file", `back\slash`} {
		if err := second(tr.Open(p)); !errors.Is(err, ErrGone) {
			t.Errorf("open %q: %v", p, err)
		}
		b := tr.Batch()
		if _, err := b.Read(p, share.Version{}, make([]byte, 9)); !errors.Is(err, ErrGone) {
			t.Errorf("read %q: %v", p, err)
		}
		b.Close()
	}
	if err := tr.List(t.Context(), "link to folder", share.ByName, nil); !errors.Is(err, ErrGone) {
		t.Errorf("list through a link: %v", err)
	}
	if e, err := tr.Stat("pipe"); err != nil || e.Kind != share.Other || e.Reason != ReasonPipe {
		t.Errorf("stat of a pipe: %+v %v", e, err)
	}
	if d := time.Since(start); d > calm.Most(time.Second) {
		t.Errorf("something waited %v", d)
	}
}

func TestFolderWithoutRight(t *testing.T) {
	dir := plant(t, "a/x", "b/y", "c")
	must(t, os.Chmod(filepath.Join(dir, "a"), 0))
	t.Cleanup(func() { os.Chmod(filepath.Join(dir, "a"), 0o755) })
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	tr := tree(t, dir)
	if diff := cmp.Diff([]string{"", "c", "a (no access)", "b", "b/y"}, walkAll(t, tr, "")); diff != "" {
		t.Error(diff)
	}
	if err := tr.List(t.Context(), "a", share.ByName, nil); !errors.Is(err, ErrGone) {
		t.Errorf("list without right: %v", err)
	}
}

// Somebody swaps a file and a folder for links while they are read: nothing outside may ever come through.
func TestSwapRace(t *testing.T) {
	base := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(base, "outside"), 0o755))
	must(t, os.WriteFile(filepath.Join(base, "outside", "f"), []byte("secret"), 0o644))
	dir := filepath.Join(base, "share")
	must(t, os.MkdirAll(filepath.Join(dir, "good"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "good", "f"), []byte("inside"), 0o644))
	must(t, os.Symlink("../outside", filepath.Join(dir, "evil")))
	tr := tree(t, dir)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			os.Rename(filepath.Join(dir, "good"), filepath.Join(dir, "d"))
			os.Rename(filepath.Join(dir, "d"), filepath.Join(dir, "good"))
			os.Rename(filepath.Join(dir, "evil"), filepath.Join(dir, "d"))
			os.Rename(filepath.Join(dir, "d"), filepath.Join(dir, "evil"))
		}
	})
	opened := 0
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); {
		f, err := tr.Open("d/f")
		if err != nil {
			if !errors.Is(err, ErrGone) {
				t.Error(err)
			}
			continue
		}
		opened++
		b := make([]byte, 6)
		f.ReadAt(b, 0)
		f.Close()
		if string(b) != "inside" {
			t.Errorf("read %q", b)
		}
		batch := tr.Batch()
		for range 2 { // the second time the folder is open, wherever it is by now
			if _, err := batch.Read("d/f", f.Entry().Version, b); err == nil && string(b) != "inside" {
				t.Errorf("batch read %q", b)
			}
		}
		batch.Close()
	}
	close(stop)
	wg.Wait()
	t.Logf("%d reads", opened)
}

// Where the kernel has no single call, the way is gone step by step, to the same result.
func TestStepByStep(t *testing.T) {
	dir := plant(t, "a/b/c", "x")
	must(t, os.Symlink("a", filepath.Join(dir, "l")))
	must(t, os.Symlink("c", filepath.Join(dir, "a", "b", "l")))
	a, err := openAnchor(dir)
	must(t, err)
	defer a.close()
	for p, want := range map[share.Path]error{"a/b/c": nil, "x": nil, "l/b/c": unix.ENOTDIR, "a/b/l": unix.ELOOP, "a/no": unix.ENOENT, "x/y": unix.ENOTDIR} {
		fd, err := a.walkBelow(a.fd, p, openFlags)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", p, err, want)
		}
		if err == nil {
			unix.Close(fd)
		}
	}
	a.dev++ // everything seems to lie on another volume
	if _, err := a.walkBelow(a.fd, "a/b/c", openFlags); !errors.Is(err, unix.EXDEV) {
		t.Errorf("over a mount: %v", err)
	}
}

// Where inodes are made up as files are looked at, versions must not change with them, and must not be the same for different files.
func TestLooseVolume(t *testing.T) {
	m := meta{kind: share.File, size: 5, mtime: 1, ctime: 1, ino: 7}
	other := m
	other.ino = 8
	loose := volume{id: 1, loose: true, dir: "/media/stick"}
	if m.version(loose, "a") != other.version(loose, "a") || m.version(loose, "a") == m.version(loose, "b") {
		t.Error("loose: the path must stand for the inode")
	}
	if v := (volume{id: 1}); m.version(v, "a") == other.version(v, "a") || m.version(v, "a") != m.version(v, "b") {
		t.Error("not loose: the inode counts, the path does not")
	}
}

func TestDeepTree(t *testing.T) {
	dir := t.TempDir()
	p := strings.Repeat("d/", share.MaxDepth+2)
	must(t, os.MkdirAll(filepath.Join(dir, p), 0o755))
	all := walkAll(t, tree(t, dir), "")
	if last := all[len(all)-1]; len(all) != share.MaxDepth+2 || !strings.HasSuffix(last, "("+ReasonDeep+")") {
		t.Errorf("%d entries, the last is %q", len(all), last)
	}
}

// TestOtherWaysToPublish are those of disks that lack the first way.
func TestOtherWaysToPublish(t *testing.T) {
	d, p := openDest(t)
	f, err := d.Folder("sub")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	for i, way := range []func(*Part, string, *Folder, string) error{linkPublish, placePublish} {
		name, final := "w"+strconv.Itoa(i), "f"+strconv.Itoa(i)
		if err := p.Put(name, []byte("whole"), when); err != nil {
			t.Fatal(err)
		}
		if err := way(p, name, f, final); err != nil {
			t.Fatal(err)
		}
		if err := p.Put(name, []byte("second"), when); err != nil {
			t.Fatal(err)
		}
		if err := way(p, name, f, final); !errors.Is(err, fs.ErrExist) {
			t.Errorf("way %d replaces: %v", i, err)
		}
		if got, _ := os.ReadFile(f.Path(final)); string(got) != "whole" {
			t.Errorf("way %d left %q", i, got)
		}
	}
}
