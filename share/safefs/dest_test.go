package safefs

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

func openDest(t *testing.T) (*Dest, *Part) {
	t.Helper()
	d, err := OpenDest(filepath.Join(t.TempDir(), "made", "now"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.Part(PartID{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		d.Close()
	})
	return d, p
}

var when = time.Date(2021, 2, 3, 4, 5, 6, 123456700, time.UTC)

func TestPublishKeepsWhatIsThere(t *testing.T) {
	d, p := openDest(t)
	f, err := d.Folder("a/b")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	if err := os.WriteFile(f.Path("x"), []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := p.Put("s1", []byte("theirs"), when); err != nil {
		t.Fatal(err)
	}
	if err := p.Sync([]string{"s1"}); err != nil {
		t.Fatal(err)
	}
	if err := p.Publish("s1", f, "x"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("published over a file: %v", err)
	}
	if err := p.Publish("s1", f, "x (2)"); err != nil {
		t.Fatal(err)
	}
	if err := d.Settle(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"x": "mine", "x (2)": "theirs"} {
		if got, _ := os.ReadFile(f.Path(name)); string(got) != want {
			t.Errorf("%s holds %q", name, got)
		}
	}
	if info, err := f.Stat("x (2)"); err != nil || !info.ModTime().Equal(when) {
		t.Errorf("time: %v %v", info, err)
	}
	if _, ok := f.Version("x (2)"); !ok {
		t.Error("no version of a published file")
	}
	if err := d.DropPart(PartID{1, 2, 3}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(d.Dir(), partsDir)); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the empty folder for parts stays")
	}
	if _, err := d.Part(PartID{4}); err != nil {
		t.Errorf("after that: %v", err)
	}
}

func TestDestFollowsNoLink(t *testing.T) {
	d, p := openDest(t)
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(d.Dir(), "out")); err != nil {
		t.Skip("no links here:", err)
	}
	os.Mkdir(filepath.Join(d.Dir(), "real"), 0o777)
	os.Symlink("real", filepath.Join(d.Dir(), "in"))
	os.WriteFile(filepath.Join(d.Dir(), "file"), nil, 0o666)
	for _, name := range []string{"out", "in", "file"} {
		if _, err := d.Folder(name); !errors.Is(err, fs.ErrExist) {
			t.Errorf("folder %s: %v", name, err)
		}
		if _, err := d.MakeFolder("", name); !errors.Is(err, fs.ErrExist) {
			t.Errorf("make %s: %v", name, err)
		}
	}
	if _, err := d.Folder("../x"); err == nil {
		t.Error("a folder outside")
	}
	top, err := d.Folder("")
	if err != nil {
		t.Fatal(err)
	}
	defer top.Release()
	if _, err := top.Open("out"); err == nil {
		t.Error("opened a link")
	}
	os.Symlink("nowhere", filepath.Join(d.Dir(), "dangling"))
	p.Put("s", []byte("x"), when)
	if err := p.Publish("s", top, "dangling"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("published through a link: %v", err)
	}
	if got, _ := os.ReadDir(outside); len(got) != 0 {
		t.Error("something came outside")
	}
	if fresh, err := d.MakeFolder("real", "new"); !fresh || err != nil {
		t.Error(fresh, err)
	}
	if fresh, err := d.MakeFolder("real", "new"); fresh || err != nil {
		t.Error(fresh, err)
	}
}

func TestManyFolders(t *testing.T) {
	d, p := openDest(t)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 2 * maxFolders {
				f, err := d.Folder("a/b" + strconv.Itoa(i) + "/c")
				if err != nil {
					t.Error(err)
					return
				}
				name := strconv.Itoa(g) + "-" + strconv.Itoa(i)
				if err := p.Put(name, []byte(name), when); err != nil {
					t.Error(err)
				}
				if err := p.Publish(name, f, name); err != nil {
					t.Error(err)
				}
				f.Release()
			}
		})
	}
	wg.Wait()
	if err := d.Settle(); err != nil {
		t.Error(err)
	}
	if d.order.Len() > maxFolders+8 {
		t.Errorf("%d folders are open", d.order.Len())
	}
	got, _ := filepath.Glob(filepath.Join(d.Dir(), "a", "b*", "c", "*"))
	if len(got) != 8*maxFolders {
		t.Errorf("%d files", len(got))
	}
}

func TestPartFiles(t *testing.T) {
	d, p := openDest(t)
	f, err := p.Create("f1", 3<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Reserve(t.Context(), f, 3<<20); err != nil {
		t.Error(err)
	}
	if info, _ := f.Stat(); info.Size() != 3<<20 {
		t.Errorf("size %d", info.Size())
	}
	f.Close()
	if _, err := p.Open("f1", 5); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if f, err = p.Open("f1", 3<<20); err != nil {
		t.Fatal(err)
	}
	if err := p.Seal(f, "f1", when); err != nil {
		t.Fatal(err)
	}
	huge, err := p.Create("huge", 1<<60)
	if err == nil {
		err = p.Reserve(t.Context(), huge, 1<<60)
		huge.Close()
	}
	if err == nil {
		t.Error("an exabyte was reserved")
	}
	if err := p.Sweep(func(n string) bool { return n == "f1" }); err != nil {
		t.Error(err)
	}
	if got, _ := filepath.Glob(filepath.Join(d.Dir(), partsDir, "*", "*")); len(got) != 1 {
		t.Error(got)
	}
	if n, err := d.Free(); err != nil || n <= 0 || d.MaxFile() < 1<<31 {
		t.Error(n, err)
	}
	if _, err := ReopenDest(filepath.Join(d.Dir(), "never")); !errors.Is(err, ErrGone) {
		t.Error(err)
	}
	if !d.SameTime(time.Date(1980, 1, 1, 0, 0, 1, 0, time.UTC), time.Unix(0, 0)) || d.SameTime(when, when.Add(3*time.Second)) {
		t.Error("same time")
	}
}

func TestJournal(t *testing.T) {
	_, p := openDest(t)
	read := func(add ...string) (got []string) {
		t.Helper()
		j, err := p.Journal(func(rec []byte) error {
			got = append(got, string(rec))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		for _, r := range add {
			if err := j.Append([]byte(r)); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Sync(); err != nil {
			t.Error(err)
		}
		return got
	}
	read("one", "two", "three")
	path := filepath.Join(p.dest.dir, partsDir, p.id.String(), "journal")
	whole, _ := os.ReadFile(path)
	for cut := range len(whole) + 1 { // whatever is torn off, what is before can be read and appended to
		os.WriteFile(path, whole[:cut], 0o600)
		before := read("more")
		after := read()
		if len(after) != len(before)+1 || after[len(after)-1] != "more" {
			t.Fatalf("cut at %d: %q, then %q", cut, before, after)
		}
	}
	bad := bytes.Clone(whole)
	bad[len(bad)-7] ^= 1
	os.WriteFile(path, bad, 0o600)
	if got := read(); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

func FuzzJournal(f *testing.F) {
	f.Add([]byte(journalMagic))
	f.Add([]byte(journalMagic + "\x01\x00\x00\x00\x00\x00\x00\x00x"))
	f.Add([]byte(journalMagic + "\x03\x00\x00\x00\xff\xff\xff\xffabc"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		good, err := readJournal(bytes.NewReader(b), func(rec []byte) error {
			if len(rec) == 0 || len(rec) > MaxRecord {
				t.Error("a record out of bounds")
			}
			n++
			return nil
		})
		if err != nil || good > int64(len(b)) {
			t.Fatal(good, err)
		}
		again := 0
		if g, _ := readJournal(bytes.NewReader(b[:good]), func([]byte) error { again++; return nil }); g != good || again != n {
			t.Errorf("read %d records of %d bytes, then %d of %d", n, good, again, g)
		}
	})
}
