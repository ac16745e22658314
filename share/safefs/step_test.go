package safefs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestJournalOutlivesAFullDisk: a disk that takes half a record, and the next ones again, must not hide these.
func TestJournalOutlivesAFullDisk(t *testing.T) {
	full := 0
	w := Watch(func(s *Step, do func() error) error {
		if s.Deed == Wrote && full > 0 {
			full--
			s.Data = s.Data[:len(s.Data)/2]
			if err := do(); err != nil {
				return err
			}
			return syscall.ENOSPC
		}
		return do()
	})
	d, err := w.OpenDest(filepath.Join(t.TempDir(), "into"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	p, err := d.Part(PartID{9})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var got []string
	open := func() *Journal {
		got = nil
		j, err := p.Journal(func(rec []byte) error { got = append(got, string(rec)); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	j := open()
	var want []string
	for i := range 9 {
		rec := fmt.Sprintf("record %d", i)
		if i%3 == 1 {
			full = 1
			if err := j.Append([]byte(rec)); !errors.Is(err, ErrFull) {
				t.Errorf("%s: %v", rec, err)
			}
			continue
		}
		if err := j.Append([]byte(rec)); err != nil {
			t.Fatal(err)
		}
		want = append(want, rec)
	}
	j.Close()
	defer func() { j.Close() }()
	if j = open(); strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%q instead of %q", got, want)
	}
}

// TestResizeKeepsTheBeginning: a file under way goes on with another size.
func TestResizeKeepsTheBeginning(t *testing.T) {
	_, p := openDest(t)
	f, err := p.Create("f1", 10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("0123456789"), 0); err != nil {
		t.Fatal(err)
	}
	f.Close()
	for _, n := range []int64{4, 4, 6} {
		if f, err = p.Resize("f1", n); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, n)
		if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, []byte("0123\x00\x00")[:n]) {
			t.Errorf("%d bytes: %q %v", n, got, err)
		}
		f.Close()
	}
	if _, err := p.Resize("never", 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestWatchSeesEveryStep: what a pull does to the disk is told, with the names below the folder, and an error of the watch is the disk's.
func TestWatchSeesEveryStep(t *testing.T) {
	var steps []string
	var fail Deed
	w := Watch(func(s *Step, do func() error) error {
		if s.Deed == fail {
			return syscall.EROFS
		}
		steps = append(steps, fmt.Sprintf("%s %s %s", s.Deed, s.Name, s.To))
		return do()
	})
	d, err := w.OpenDest(filepath.Join(t.TempDir(), "into"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	p, err := d.Part(PartID{1})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	f, err := d.Folder("a")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	for _, err := range []error{p.Put("s1", []byte("x"), when), p.Sync([]string{"s1"}), p.Publish("s1", f, "x"), d.Settle()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	const dir = ".porchlight-part/0100000000000000"
	for _, want := range []string{"make folder  ", "make folder .porchlight-part ", "make folder " + dir + " ", "make folder a ", "put " + dir + "/s1 ", "rename " + dir + "/s1 a/x"} {
		n := 0
		for _, got := range steps {
			if got == want {
				n++
			}
		}
		if n == 0 {
			t.Errorf("%q was not told: %q", want, steps)
		}
	}
	for deed, do := range map[Deed]func() error{
		Put:        func() error { return p.Put("s2", []byte("x"), when) },
		MadeFile:   func() error { _, err := p.Create("f1", 1); return err },
		MadeFolder: func() error { _, err := d.MakeFolder("", "b"); return err },
		Renamed:    func() error { return p.Publish("s3", f, "y") },
		Removed:    func() error { return p.Remove("s3") },
	} {
		if fail = deed; !errors.Is(do(), syscall.EROFS) {
			t.Errorf("%s did not fail", deed)
		}
	}
}

// TestProbesAreSwept: what a crash left of a probe does not keep the folder of parts for ever.
func TestProbesAreSwept(t *testing.T) {
	d, p := openDest(t)
	for _, name := range []string{"probe-Case-abcd", "probe-x"} {
		if err := os.WriteFile(filepath.Join(d.Dir(), partsDir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.DropPart(p.id); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Join(d.Dir(), partsDir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder stays: %v", err)
	}
}
