package whole

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// failing is a disk on which one step does not work.
type failing struct {
	OS
	step string
}

var errStep = errors.New("no")

type failingFile struct {
	File
	step string
}

func (f failing) CreateTemp(dir, pattern string) (File, error) {
	if f.step == "create" {
		return nil, errStep
	}
	file, err := f.OS.CreateTemp(dir, pattern)
	return failingFile{file, f.step}, err
}

func (f failing) Rename(from, to string) error {
	if f.step == "rename" {
		return errStep
	}
	return f.OS.Rename(from, to)
}

func (f failing) SyncDir(dir string) error {
	if f.step == "sync folder" {
		return errStep
	}
	return f.OS.SyncDir(dir)
}

func (f failingFile) Write(b []byte) (int, error) {
	if f.step == "write" {
		n, err := f.File.Write(b[:1]) // the disk is full
		return n, errors.Join(err, errStep)
	}
	return f.File.Write(b)
}

func (f failingFile) Sync() error {
	if f.step == "sync" {
		return errStep
	}
	return f.File.Sync()
}

func (f failingFile) Close() error {
	err := f.File.Close()
	if f.step == "close" {
		return errors.Join(err, errStep)
	}
	return err
}

// TestWrite: each step that fails is told, leaves the old file and nothing else.
func TestWrite(t *testing.T) {
	for _, tt := range []struct {
		step string
		want string // in the file afterwards
	}{
		{"", "new"}, {"create", "old"}, {"write", "old"}, {"sync", "old"}, {"close", "old"}, {"rename", "old"}, {"sync folder", "new"},
	} {
		t.Run("fails "+tt.step, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "file")
			if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
				t.Fatal(err)
			}
			err := Write(failing{step: tt.step}, path, ".tmp-*", []byte("new"))
			if tt.step == "" && err != nil || tt.step != "" && !errors.Is(err, errStep) {
				t.Error(err)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != tt.want {
				t.Errorf("%q %v", got, err)
			}
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) != 1 {
				t.Errorf("left behind: %v %v", entries, err)
			}
			if fi, err := os.Stat(path); err != nil || tt.want == "new" && os.PathSeparator == '/' && fi.Mode().Perm() != 0o600 {
				t.Errorf("others may read it: %v %v", fi.Mode(), err)
			}
		})
	}
	if err := Write(OS{}, filepath.Join(t.TempDir(), "none", "file"), ".tmp-*", nil); err == nil {
		t.Error("a folder that is not there")
	}
}
