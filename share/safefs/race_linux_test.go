package safefs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"porchlight/share"
)

// racesVar is how long each race runs: PORCHLIGHT_RACES=60s before a release.
const racesVar = "PORCHLIGHT_RACES"

const canary = "canary: outside"

// arena is a folder with another one outside of it, and somebody who exchanges a folder inside for a link that leads out, and back, without a pause.
type arena struct {
	t            *testing.T
	dir, outside string
	end          time.Time
	stop         chan struct{}
	wg           sync.WaitGroup
	swaps        atomic.Int64
}

// enough is how many exchanges make a race. On a busy computer they take longer than the race was to last.
const enough = 100

// newArena exchanges what lies at path below its folder for a link to the outside, or to target. The folder there has the file f.
func newArena(t *testing.T, path, target string) *arena {
	t.Helper()
	t.Parallel()
	base := t.TempDir()
	a := &arena{t: t, dir: filepath.Join(base, "inside"), outside: filepath.Join(base, "outside"), stop: make(chan struct{})}
	good, evil := filepath.Join(a.dir, path), filepath.Join(a.dir, filepath.Dir(path), "other")
	for _, d := range []string{filepath.Join(good, "sub"), filepath.Join(a.outside, "sub")} {
		must(t, os.MkdirAll(d, 0o755))
	}
	must(t, os.WriteFile(filepath.Join(good, "f"), []byte("inside"), 0o644))
	for _, f := range []string{"f", "canary", "sub/canary"} {
		must(t, os.WriteFile(filepath.Join(a.outside, f), []byte(canary), 0o644))
	}
	if target == "" {
		target = a.outside
	}
	must(t, os.Symlink(target, evil))
	lasts := 2 * time.Second
	if v := os.Getenv(racesVar); v != "" {
		var err error
		lasts, err = time.ParseDuration(v)
		must(t, err)
	} else if testing.Short() {
		lasts /= 10
	}
	a.end = time.Now().Add(lasts)
	a.wg.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-a.stop:
				return
			default:
			}
			if unix.Renameat2(unix.AT_FDCWD, good, unix.AT_FDCWD, evil, unix.RENAME_EXCHANGE) == nil {
				a.swaps.Add(1)
			}
			if n%16 == 0 && !isLink(good) && !isLink(evil) { // it was taken for an empty folder and removed
				os.RemoveAll(evil)       //nolint:errcheck // next time
				os.Symlink(target, evil) //nolint:errcheck // likewise
			}
		}
	})
	t.Cleanup(a.leave)
	return a
}

func isLink(path string) bool {
	fi, err := os.Lstat(path)
	return err == nil && fi.Mode()&fs.ModeSymlink != 0
}

// until reports whether the race goes on: for its time, and longer until there were enough exchanges and seen is true.
func (a *arena) until(seen bool) bool {
	left := time.Until(a.end)
	return !a.t.Failed() && (left > 0 || left > -time.Minute && (a.swaps.Load() < enough || !seen))
}

// leave ends the race and looks at the outside: nothing of it may have changed, and nothing have come to it.
func (a *arena) leave() {
	close(a.stop)
	a.wg.Wait()
	var got []string
	must(a.t, filepath.WalkDir(a.outside, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() != "sub" {
			if d != nil && d.Name() != "outside" {
				got = append(got, d.Name()+"/")
			}
			return err
		}
		got = append(got, d.Name())
		if b, err := os.ReadFile(p); !d.IsDir() && (err != nil || string(b) != canary) {
			a.t.Errorf("%s outside holds %q: %v", d.Name(), b, err)
		}
		return nil
	}))
	if all := strings.Join(got, " "); all != "canary f sub canary" {
		a.t.Errorf("the outside holds %s", all)
	}
	if a.swaps.Load() < enough {
		a.t.Errorf("%d exchanges are no race", a.swaps.Load())
	}
	a.t.Logf("%d exchanges", a.swaps.Load())
}

// allowed fails on every error that is not one of those a race may give.
func (a *arena) allowed(what string, err error, want ...error) bool {
	if err == nil {
		return true
	}
	for _, w := range want {
		if errors.Is(err, w) {
			return false
		}
	}
	a.t.Errorf("%s: %v", what, err)
	return false
}

// inside fails on any byte or name of the outside.
func (a *arena) inside(what, got string) {
	if strings.Contains(got, "canary") {
		a.t.Errorf("%s gives %q", what, got)
	}
}

func TestRaceRead(t *testing.T) {
	a := newArena(t, "d", "")
	tr := tree(t, a.dir)
	read, batched := 0, 0
	buf := make([]byte, 64)
	for a.until(read > 0 && batched > 0) {
		f, err := tr.Open("d/f")
		if !a.allowed("open", err, ErrGone) {
			continue
		}
		n, _ := f.ReadAt(buf, 0)
		a.inside("read", string(buf[:n]))
		if err := f.Check(); err == nil && string(buf[:n]) != "inside" {
			t.Errorf("read %q", buf[:n])
		}
		f.Close()
		read++
		b := tr.Batch()
		for range 3 {
			n, err := b.Read("d/f", f.Entry().Version, buf)
			if a.allowed("batch", err, ErrGone, ErrChanged) {
				a.inside("batch", string(buf[:n]))
				batched++
			}
		}
		b.Close()
	}
	if read == 0 || batched == 0 {
		t.Errorf("%d reads, %d in batches: never inside", read, batched)
	}
	t.Logf("%d reads, %d in batches", read, batched)
}

func TestRaceList(t *testing.T) {
	a := newArena(t, "d", "")
	tr := tree(t, a.dir)
	listed := 0
	see := func(e share.Entry) error {
		a.inside("a listing", string(e.Path))
		if e.Path == "d/f" && e.Size != int64(len("inside")) {
			t.Errorf("the file outside is described: %+v", e)
		}
		listed++
		return nil
	}
	for a.until(listed > 0) {
		a.allowed("list", tr.List(t.Context(), "d", share.BySize, see), ErrGone)
		a.allowed("list below", tr.List(t.Context(), "d/sub", share.ByName, see), ErrGone)
		a.allowed("walk", tr.Walk(t.Context(), "", see), ErrGone)
		if e, err := tr.Stat("d/f"); a.allowed("stat", err, ErrGone) {
			a.allowed("describe", see(e))
		}
	}
	if listed == 0 {
		t.Error("nothing was listed")
	}
	t.Logf("%d entries", listed)
}

// TestRaceRoot: the shared folder itself is exchanged. Its owner's links are followed there, but not to what may not be shared.
func TestRaceRoot(t *testing.T) {
	a := newArena(t, "root", "")
	dir := filepath.Join(a.dir, "root")
	refused := errors.New("not this one")
	tr := &Tree{dir: dir, check: func(place string) error {
		if strings.HasPrefix(place, a.outside) {
			return refused
		}
		return nil
	}}
	defer tr.Close()
	read, no := 0, 0
	buf := make([]byte, 64)
	for a.until(read > 0 && no > 0) {
		f, err := tr.Open("f")
		if !a.allowed("open", err, ErrGone) {
			if errors.Is(err, refused) {
				no++
			}
			continue
		}
		n, _ := f.ReadAt(buf, 0)
		a.inside("read", string(buf[:n]))
		f.Close()
		read++
		tr.mu.Lock()
		if tr.at != nil {
			tr.at.checked = time.Time{} // as if some time had passed
		}
		tr.mu.Unlock()
	}
	if read == 0 || no == 0 {
		t.Errorf("%d reads, %d refused: that was no race", read, no)
	}
	t.Logf("%d reads, %d refused", read, no)
}

// racers opens a target folder for a pull while somebody exchanges the folder d in it.
func racers(t *testing.T, path, target string) (*arena, *Dest) {
	t.Helper()
	a := newArena(t, path, target)
	d, err := ReopenDest(a.dir)
	for end := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(end); {
		d, err = ReopenDest(a.dir)
	}
	must(t, err)
	t.Cleanup(func() { d.Close() })
	return a, d
}

func TestRacePublish(t *testing.T) {
	for name, way := range map[string]func(*Part, string, *Folder, string) error{"rename": publish, "link": linkPublish, "place": placePublish} {
		t.Run(name, func(t *testing.T) {
			a, d := racers(t, "d", "")
			p, err := d.Part(PartID{9})
			must(t, err)
			defer p.Close()
			done, last := 0, ""
			for n := 0; a.until(done > 0); n++ {
				part, final := "s"+strconv.Itoa(n), "final "+strconv.Itoa(n)
				must(t, p.Put(part, []byte("whole"), when))
				f, err := d.Folder("d/sub")
				if !a.allowed("folder", err, fs.ErrExist, fs.ErrNotExist) {
					continue
				}
				if a.allowed("publish", way(p, part, f, final), fs.ErrExist) {
					done++
				}
				if n%100 == 99 { // the folder was open before the exchange, or is opened in it
					f.Release()
					d.evict()
				} else {
					f.Release()
				}
				if last != "" {
					f.root.Remove(last)
				}
				last = final
			}
			if done == 0 {
				t.Error("nothing was published")
			}
			t.Logf("%d published", done)
		})
	}
}

// evict closes all folders that are held.
func (d *Dest) evict() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for e := d.order.Front(); e != nil; e = e.Next() {
		e.Value.(*Folder).close()
	}
	d.order.Init()
	clear(d.folders)
}

func TestRaceMakeFolder(t *testing.T) {
	a, d := racers(t, "d", "")
	made := 0
	for n := 0; a.until(made > 0); n++ {
		d.evict()
		fresh, err := d.MakeFolder("d", "new "+strconv.Itoa(n%20_000))
		if a.allowed("make", err, fs.ErrExist, fs.ErrNotExist) && fresh {
			made++
		}
		f, err := d.Folder("d/new " + strconv.Itoa(n%20_000) + "/below")
		if a.allowed("open", err, fs.ErrExist, fs.ErrNotExist) {
			f.Release()
		}
	}
	if made == 0 {
		t.Error("nothing was made")
	}
	t.Logf("%d made", made)
}

func TestRaceStatOpen(t *testing.T) {
	a, d := racers(t, "d", "")
	looked := 0
	buf := make([]byte, 64)
	for a.until(looked > 0) {
		d.evict()
		f, err := d.Folder("d")
		if !a.allowed("folder", err, fs.ErrExist, fs.ErrNotExist) {
			continue
		}
		if h, err := f.Open("f"); a.allowed("open", err, fs.ErrNotExist) {
			n, _ := h.Read(buf)
			a.inside("open", string(buf[:n]))
			h.Close()
			looked++
		}
		if i, err := f.Stat("f"); a.allowed("stat", err, fs.ErrNotExist) && i.Size() != int64(len("inside")) {
			t.Errorf("the file outside is described: %d bytes", i.Size())
		}
		f.Release()
	}
	if looked == 0 {
		t.Error("nothing was looked at")
	}
	t.Logf("%d looked at", looked)
}

// TestRacePart: the private folder itself is exchanged for a link. What is written, swept and removed there is never the outside's, nor that of another folder inside.
func TestRacePart(t *testing.T) {
	for name, target := range map[string]string{"outside": "", "inside": "photos"} {
		t.Run(name, func(t *testing.T) {
			a, d := racers(t, partsDir, target)
			photos := filepath.Join(a.dir, "photos")
			must(t, os.MkdirAll(filepath.Join(photos, PartID{7}.String()), 0o755))
			for _, f := range []string{"a.jpg", PartID{7}.String() + "/b.jpg"} {
				must(t, os.WriteFile(filepath.Join(photos, f), []byte("mine"), 0o644))
			}
			swept := 0
			for n := 0; a.until(swept > 0); n++ {
				p, err := d.Part(PartID{7})
				if !a.allowed("part", err, fs.ErrExist, fs.ErrNotExist) && p == nil {
					if again, err := ReopenDest(a.dir); err == nil {
						again.Close()
					}
					continue
				}
				a.allowed("put", p.Put("s", []byte("part"), when), fs.ErrNotExist)
				if a.allowed("sweep", p.Sweep(func(string) bool { return false }), fs.ErrNotExist) {
					swept++
				}
				p.Close()
				a.allowed("drop", d.DropPart(PartID{7}), fs.ErrExist, fs.ErrNotExist)
			}
			for _, f := range []string{"a.jpg", PartID{7}.String() + "/b.jpg"} {
				if b, err := os.ReadFile(filepath.Join(photos, f)); string(b) != "mine" {
					t.Errorf("%s: %q, %v", f, b, err)
				}
			}
			if swept == 0 {
				t.Error("nothing was swept")
			}
			t.Logf("%d swept", swept)
		})
	}
}
