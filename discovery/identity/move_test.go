package identity

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestAnIdentityMoves(t *testing.T) {
	old, fresh, file := t.TempDir(), filepath.Join(t.TempDir(), "home"), filepath.Join(t.TempDir(), "identity")
	mine, err := Load(old, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Export(t.TempDir(), file); !errors.Is(err, ErrMissing) {
		t.Error("nothing to export:", err)
	}
	if got, err := Export(old, file); err != nil || got.ID() != mine.ID() {
		t.Fatal(err)
	}
	if fi, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("others may read the key: %v %v", fi.Mode(), err)
	}
	if _, err := Export(old, file); !errors.Is(err, fs.ErrExist) {
		t.Error("a file was overwritten:", err)
	}
	if got, err := Import(fresh, file, false); err != nil || got.ID() != mine.ID() {
		t.Fatal(err)
	}
	if got, err := Load(fresh, false); err != nil || got.ID() != mine.ID() {
		t.Error("the new home has another identity:", err)
	}
	if _, err := Import(fresh, file, false); err != nil { // the same once more
		t.Error(err)
	}
}

func TestAnIdentityIsNotReplacedUnasked(t *testing.T) {
	old, other, file := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "identity")
	mine, err := Load(old, true)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := Load(other, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Export(old, file); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(other, file, false); !errors.Is(err, ErrTaken) {
		t.Error(err)
	}
	if got, err := Load(other, false); err != nil || got.ID() != theirs.ID() {
		t.Error("the identity is gone:", err)
	}
	if got, err := Import(other, file, true); err != nil || got.ID() != mine.ID() {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(other, keyFile+oldSuffix)); err != nil {
		t.Error("what was replaced is lost:", err)
	}
}

func TestOnlyAnIdentityIsImported(t *testing.T) {
	good := filepath.Join(t.TempDir(), "identity")
	dir := t.TempDir()
	if _, err := Load(dir, true); err != nil {
		t.Fatal(err)
	}
	if _, err := Export(dir, good); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(dir, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	other := append([]byte{}, data...)
	other[len(other)/2+40] ^= 1
	for name, content := range map[string][]byte{"empty": nil, "half": data[:len(data)/2], "a key file": key, "long": make([]byte, maxMove+1), "bent": other} {
		home, file := t.TempDir(), filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Import(home, file, true); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if list, err := os.ReadDir(home); err != nil || len(list) > 0 {
			t.Errorf("%s leaves %v %v", name, list, err)
		}
	}
	if _, err := Import(t.TempDir(), t.TempDir(), true); !errors.Is(err, ErrDamaged) {
		t.Error("a folder:", err)
	}
	if _, err := Import(t.TempDir(), filepath.Join(t.TempDir(), "none"), true); !errors.Is(err, fs.ErrNotExist) {
		t.Error("nothing:", err)
	}
}
