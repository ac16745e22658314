// Package powercut models a disk that loses its power, for tests of what writes files.
//
// A Disk does what it is told in a real folder and notes each step. Afterwards Outcomes makes, for a power cut after each of
// the steps, every folder that a file system may then be found with: content that was not synced is there, is empty, is cut
// in half or is other bytes; names that were not synced are changed up to any of the steps, in their order, as journals keep
// them. (POSIX promises no more; compare Pillai and others, "All File Systems Are Not Created Equal", OSDI 2014.)
package powercut

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"porchlight/discovery/whole"
)

// Disk is a whole.Disk on one folder. Not safe for concurrent use.
type Disk struct {
	dir   string
	start map[string][]byte // what the folder held; it had been there for long
	files int               // that were made so far
	steps []step
}

// kind names a step.
type kind string

const (
	create  kind = "create"
	write   kind = "write"
	sync    kind = "sync"
	rename  kind = "rename"
	remove  kind = "remove"
	syncDir kind = "sync folder"
)

// step is one thing that was done. file is the number of a file made here, names are those in the folder.
type step struct {
	kind     kind
	file     int
	from, to string
	data     []byte
}

// New returns the disk of a folder, which is taken to be whole as it is.
func New(dir string) (*Disk, error) {
	d := &Disk{dir: dir, start: map[string][]byte{}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if d.start[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *Disk) note(s step) { d.steps = append(d.steps, s) }

// Steps is how many steps were done.
func (d *Disk) Steps() int { return len(d.steps) }

// CreateTemp is whole.Disk's.
func (d *Disk) CreateTemp(dir, pattern string) (whole.File, error) {
	if filepath.Clean(dir) != filepath.Clean(d.dir) {
		return nil, fmt.Errorf("%s is not the folder of this disk", dir)
	}
	f, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return nil, err
	}
	d.files++
	d.note(step{kind: create, file: d.files, to: filepath.Base(f.Name())})
	return &file{File: f, disk: d, number: d.files}, nil
}

// Rename is whole.Disk's.
func (d *Disk) Rename(from, to string) error {
	d.note(step{kind: rename, from: filepath.Base(from), to: filepath.Base(to)})
	return os.Rename(from, to)
}

// SyncDir is whole.Disk's.
func (d *Disk) SyncDir(string) error {
	d.note(step{kind: syncDir})
	return nil
}

// Remove is whole.Disk's.
func (d *Disk) Remove(path string) error {
	d.note(step{kind: remove, from: filepath.Base(path)})
	return os.Remove(path)
}

type file struct {
	*os.File
	disk   *Disk
	number int
}

func (f *file) Write(b []byte) (int, error) {
	f.disk.note(step{kind: write, file: f.number, data: bytes.Clone(b)})
	return f.File.Write(b)
}

func (f *file) Sync() error {
	f.disk.note(step{kind: sync, file: f.number})
	return nil
}

// losses are what becomes of content that was not synced.
func losses() map[string]func([]byte) []byte {
	return map[string]func([]byte) []byte{
		"kept":    func(b []byte) []byte { return b },
		"empty":   func([]byte) []byte { return nil },
		"half":    func(b []byte) []byte { return b[:len(b)/2] },
		"zeros":   func(b []byte) []byte { return make([]byte, len(b)) },
		"garbage": func(b []byte) []byte { return bytes.Repeat([]byte{0xA5}, len(b)) },
	}
}

// Outcomes hands over each folder that a power cut may leave, made below scratch, with words for it. It returns how many
// there were. The folder is removed when check returns.
func (d *Disk) Outcomes(scratch string, check func(dir, what string)) (int, error) {
	n := 0
	for cut := range len(d.steps) + 1 {
		names, sure := d.names(cut)
		for kept := sure; kept <= len(names); kept++ {
			for _, loss := range slices.Sorted(maps.Keys(losses())) {
				dir := filepath.Join(scratch, fmt.Sprint("cut", n))
				after := "the beginning"
				if cut > 0 {
					after = fmt.Sprintf("step %d, %s", cut, d.steps[cut-1].kind)
				}
				if err := d.lay(dir, cut, names[:kept], losses()[loss]); err != nil {
					return n, err
				}
				check(dir, fmt.Sprintf("after %s; %d of %d changed names; content not synced: %s", after, kept, len(names), loss))
				if err := os.RemoveAll(dir); err != nil {
					return n, err
				}
				n++
			}
		}
	}
	return n, nil
}

// names are the steps up to cut that change names, and how many of them had been synced.
func (d *Disk) names(cut int) (all []step, sure int) {
	for _, s := range d.steps[:cut] {
		switch s.kind {
		case create, rename, remove:
			all = append(all, s)
		case syncDir:
			sure = len(all)
		}
	}
	return all, sure
}

// lay makes the folder that a cut leaves when these changes of names had reached the disk.
func (d *Disk) lay(dir string, cut int, names []step, lose func([]byte) []byte) error {
	content := map[int][]byte{}
	synced := map[int]bool{}
	for _, s := range d.steps[:cut] {
		switch s.kind {
		case write:
			content[s.file] = append(content[s.file], s.data...)
			synced[s.file] = false
		case sync:
			synced[s.file] = true
		}
	}
	left := maps.Clone(d.start)
	for _, s := range names {
		switch s.kind {
		case create:
			b := content[s.file]
			if !synced[s.file] {
				b = lose(b)
			}
			left[s.to] = b
		case rename:
			left[s.to] = left[s.from]
			delete(left, s.from)
		case remove:
			delete(left, s.from)
		}
	}
	errs := []error{os.Mkdir(dir, 0o700)}
	for name, b := range left {
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	return errors.Join(errs...)
}

var _ whole.Disk = (*Disk)(nil)
