//go:build linux && lab

package labtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Sizes, in bytes.
const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// maxDifferences bounds what compare lists.
const maxDifferences = 10

// source returns a folder tree of real files: the Go sources, more than 11,000 of them.
func source(t testing.TB) string {
	t.Helper()
	root := os.Getenv("GOROOT")
	if root == "" {
		root = strings.TrimSpace(must(t, "go", "env", "GOROOT"))
	}
	return filepath.Join(root, "src")
}

// writeFile writes a file of size bytes that cannot be guessed or compressed, the same for the same seed.
func writeFile(t testing.TB, file string, size int64, seed byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, mib)
	if _, err := io.CopyN(w, rand.NewChaCha8([32]byte{seed, byte(size), byte(size >> 8), byte(size >> 16)}), size); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

// writeMany writes small files of one size, evenly into as many folders.
func writeMany(t testing.TB, dir string, files, folders, size int) {
	t.Helper()
	for i := range folders {
		if err := os.MkdirAll(filepath.Join(dir, fmt.Sprint(i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dice, data := rand.NewChaCha8([32]byte{byte(size)}), make([]byte, size)
	for i := range files {
		if _, err := dice.Read(data); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i%folders), fmt.Sprint(i)), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// writeMix writes a folder of every size that matters: empty, small ones that travel packed, one piece, many pieces.
func writeMix(t testing.TB, dir string) {
	t.Helper()
	sizes := []int64{0, 1, 4 * kib, 300 * kib, mib - 1, mib, mib + 1, 5*mib + 3, 12 * mib, 24 * mib, 48*mib + 777}
	for i, size := range sizes {
		writeFile(t, filepath.Join(dir, fmt.Sprintf("file %d.bin", i)), size, byte(i))
	}
	for i := range 200 {
		writeFile(t, filepath.Join(dir, "many", fmt.Sprint(i%7), fmt.Sprintf("small-%d", i)), int64(i*97), byte(i))
	}
	if err := os.MkdirAll(filepath.Join(dir, "empty folder", "within"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "Ümläute und 漢字", "naïve café.txt"), 1234, 77)
}

// compare checks that got is want: the same names, kinds, bytes and times of change.
func compare(want, got string) error {
	diff := compareNamed(want, got)
	missing := 0
	err := filepath.WalkDir(want, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(want, path)
		if err != nil {
			return err
		}
		if _, err := os.Lstat(filepath.Join(got, rel)); err != nil {
			if missing++; missing <= maxDifferences {
				diff = errors.Join(diff, fmt.Errorf("missing: %s", rel))
			}
		}
		return nil
	})
	return errors.Join(diff, err)
}

// compareNamed checks that whatever has a name below got has the bytes and the time it has below want. Not all must be
// there: that is the law while a pull is under way.
func compareNamed(want, got string) error {
	var diff error
	n := 0
	err := filepath.WalkDir(got, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == ".porchlight-part" {
			return fs.SkipDir
		}
		rel, err := filepath.Rel(got, path)
		if err != nil {
			return err
		}
		if err := compareOne(filepath.Join(want, rel), path, d); err != nil {
			if n++; n <= maxDifferences {
				diff = errors.Join(diff, fmt.Errorf("%s: %w", rel, err))
			}
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // nothing has a name yet, or something was being published while we looked
	}
	return errors.Join(diff, err)
}

func compareOne(want, got string, d fs.DirEntry) error {
	w, err := os.Lstat(want)
	if err != nil {
		return errors.New("is there and should not be")
	}
	g, err := d.Info()
	if err != nil {
		return err
	}
	if w.Mode().Type() != g.Mode().Type() {
		return fmt.Errorf("is %v and should be %v", g.Mode().Type(), w.Mode().Type())
	}
	if d.IsDir() {
		return nil
	}
	if w.Size() != g.Size() {
		return fmt.Errorf("has %d bytes and should have %d", g.Size(), w.Size())
	}
	if off := w.ModTime().Sub(g.ModTime()).Abs(); off > time.Second {
		return fmt.Errorf("its time is off by %v", off)
	}
	return sameBytes(want, got)
}

func sameBytes(want, got string) error {
	a, err := os.Open(want)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := os.Open(got)
	if err != nil {
		return err
	}
	defer b.Close()
	info, err := a.Stat()
	if err != nil {
		return err
	}
	room := min(info.Size()+1, 256*kib) // there may be a hundred thousand files
	left, right := make([]byte, room), make([]byte, room)
	for off := int64(0); ; off += int64(len(left)) {
		n, errA := io.ReadFull(a, left)
		m, errB := io.ReadFull(b, right)
		if !bytes.Equal(left[:n], right[:m]) {
			return fmt.Errorf("has wrong bytes within %d..%d", off, off+int64(n))
		}
		if errA == io.EOF || errA == io.ErrUnexpectedEOF {
			return nil
		}
		if err := errors.Join(errA, errB); err != nil {
			return err
		}
	}
}

// mustEqual is compare for where a difference fails the row.
func mustEqual(t testing.TB, want, got string) {
	t.Helper()
	if err := compare(want, got); err != nil {
		t.Errorf("%s is not %s:\n%v", got, want, err)
	}
}
