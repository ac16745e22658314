package safefs

import (
	"os"
	"path"
)

// Deed is a kind of thing that a Dest does to its disk.
type Deed string

// The deeds. Put is a small file in one: made, written, and given its time.
const (
	MadeFolder   Deed = "make folder"
	MadeFile     Deed = "make file"
	Opened       Deed = "open"
	Sized        Deed = "size" // Off is the size
	Reserved     Deed = "reserve"
	Wrote        Deed = "write"
	Put          Deed = "put"
	Read         Deed = "read"
	Timed        Deed = "time"
	SyncedFile   Deed = "sync file"
	SyncedFolder Deed = "sync folder"
	SyncedDisk   Deed = "sync disk"
	Renamed      Deed = "rename" // to To
	Removed      Deed = "remove" // with all that is in it
)

// Step is one deed. Names are those below the Dest, with slashes.
type Step struct {
	Deed     Deed
	Name, To string
	Off      int64
	Data     []byte // of Wrote and Put; only what is left of it when the deed is done gets to the disk
}

// Watch stands between a Dest and its disk: it is asked to take every step, and do takes it. What it returns is what the disk said. It is how
// tests have a disk that is full, breaks, or loses its power; nil is the disk as it is, at no cost. It is called from several goroutines.
type Watch func(s *Step, do func() error) error

// OpenDest is the OpenDest of this package on a watched disk.
func (w Watch) OpenDest(dir string) (*Dest, error) {
	err := w.step(Step{Deed: MadeFolder}, func() error { return os.MkdirAll(dir, 0o777) })
	if err != nil {
		return nil, makeError(err)
	}
	return w.ReopenDest(dir)
}

func (w Watch) step(s Step, do func() error) error {
	if w == nil {
		return do()
	}
	return w(&s, do)
}

// PartFile is a file of a Part, open for writing. Safe for concurrent use.
type PartFile struct {
	f     *os.File
	watch Watch
	gauge Gauge
	name  string // below the Dest
}

func (p *Part) file(f *os.File, name string) *PartFile {
	return &PartFile{f: f, watch: p.dest.watch, gauge: p.gauge, name: p.rel(name)}
}

// rel is a name in the part folder, seen from the Dest; empty where nobody watches.
func (p *Part) rel(name string) string {
	if p.dest.watch == nil {
		return ""
	}
	return path.Join(partsDir, p.id.String(), name)
}

func (f *PartFile) writeAt(b []byte, off int64) (n int, err error) {
	if f.watch == nil {
		return f.f.WriteAt(b, off)
	}
	s := Step{Deed: Wrote, Name: f.name, Off: off, Data: b}
	err = f.watch(&s, func() (err error) {
		n, err = f.f.WriteAt(s.Data, s.Off)
		return err
	})
	return n, err
}

// ReadAt is io.ReaderAt.
func (f *PartFile) ReadAt(b []byte, off int64) (n int, err error) {
	if f.watch == nil {
		return f.f.ReadAt(b, off)
	}
	err = f.watch(&Step{Deed: Read, Name: f.name, Off: off}, func() (err error) {
		n, err = f.f.ReadAt(b, off)
		return err
	})
	return n, err
}

// Stat describes the file.
func (f *PartFile) Stat() (os.FileInfo, error) { return f.f.Stat() }

// Close closes the file.
func (f *PartFile) Close() error { return f.f.Close() }
