// Package whole writes small files so that a power cut leaves the old one or the new one, and never a part of either.
package whole

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// Disk is the steps such a write is made of. OS is the real one; a test has one that fails between any two steps.
type Disk interface {
	// CreateTemp makes a new file in dir that only this user can read, as os.CreateTemp does.
	CreateTemp(dir, pattern string) (File, error)
	Rename(from, to string) error
	// SyncDir returns when the names in dir survive a power cut.
	SyncDir(dir string) error
	Remove(path string) error
}

// File is a file that is being written.
type File interface {
	io.Writer
	Name() string
	// Sync returns when the content survives a power cut.
	Sync() error
	Close() error
}

// OS is the disk of this computer.
type OS struct{}

// CreateTemp is Disk's.
func (OS) CreateTemp(dir, pattern string) (File, error) { return os.CreateTemp(dir, pattern) }

// Rename is Disk's.
func (OS) Rename(from, to string) error { return Again(func() error { return os.Rename(from, to) }) }

// SyncDir is Disk's.
func (OS) SyncDir(dir string) error { return syncDir(dir) }

// Remove is Disk's.
func (OS) Remove(path string) error { return Again(func() error { return os.Remove(path) }) }

// Write replaces the file at path, or makes it, readable for this user only. pattern names the file it is written to before
// (os.CreateTemp); one that a power cut leaves behind is in nobody's way. The content is on the disk before the name leads
// to it, and the name is when Write returns.
func Write(d Disk, path, pattern string, data []byte) error {
	dir := filepath.Dir(path)
	f, err := d.CreateTemp(dir, pattern)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = d.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, d.Remove(f.Name()))
	}
	return d.SyncDir(dir)
}
