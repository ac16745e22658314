package safefs

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"time"

	"porchlight/discovery/whole"
)

// PartID names the private folder of one pull.
type PartID [8]byte

// String returns 16 hexadecimal digits.
func (i PartID) String() string { return hex.EncodeToString(i[:]) }

// Part is the private folder in which the files of one pull grow. Names in it are the caller's own, never a neighbour's.
// Safe for concurrent use.
type Part struct {
	dest *Dest
	id   PartID
	root *os.Root
	dir  *os.File

	gauge Gauge // nil if nobody measures
}

// Part opens the private folder of a pull, making it if it is not there. The caller closes it.
func (d *Dest) Part(id PartID) (*Part, error) {
	p := &Part{dest: d, id: id}
	var err error
	for range 3 { // another pull that ended may remove the empty folder above meanwhile
		if p.root, err = d.partRoot(id.String()); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open the part folder: %w", diskError(err))
	}
	if p.dir, err = p.root.Open("."); err != nil {
		p.root.Close()
		return nil, fmt.Errorf("open the part folder: %w", err)
	}
	return p, nil
}

// partRoot makes and opens a folder in the private one. A link in the place of either is refused: what it leads to would be swept.
func (d *Dest) partRoot(name string) (*os.Root, error) {
	if err := d.makeParts(); err != nil {
		return nil, err
	}
	parts, err := d.parts()
	if err != nil {
		return nil, err
	}
	defer parts.Close()
	err = d.watch.step(Step{Deed: MadeFolder, Name: path.Join(partsDir, name)}, func() error { return parts.Mkdir(name, 0o700) })
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	info, err := parts.Lstat(name)
	if err != nil {
		return nil, err
	}
	return enter(parts, name, info)
}

// DropPart removes the private folder of a pull with all in it. Not an error if there is none.
func (d *Dest) DropPart(id PartID) error {
	parts, err := d.parts()
	if err == nil {
		err = d.watch.step(Step{Deed: Removed, Name: path.Join(partsDir, id.String())}, func() error {
			return whole.Again(func() error { return parts.RemoveAll(id.String()) })
		})
		sweepProbes(parts)
		parts.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the part folder: %w", err)
	}
	_ = d.watch.step(Step{Deed: Removed, Name: partsDir}, func() error { return d.root.Remove(partsDir) }) // fails, rightly, while another pull has its folder there
	return nil
}

// Close lets go of the folder; it stays on the disk.
func (p *Part) Close() error {
	p.dir.Close()
	return p.root.Close()
}

// Put writes a whole small file, not yet durable: Sync does that for many at once.
func (p *Part) Put(name string, data []byte, mtime time.Time) error {
	if err := p.putTimed(name, data, mtime); err != nil {
		return fmt.Errorf("write part: %w", diskError(err))
	}
	return nil
}

func (p *Part) putWatched(name string, data []byte, mtime time.Time) error {
	if p.dest.watch == nil {
		return p.put(name, data, mtime)
	}
	s := Step{Deed: Put, Name: p.rel(name), Data: data}
	return p.dest.watch(&s, func() error { return p.put(name, s.Data, mtime) })
}

// putPlain is how a small file is made where no quicker way is worth its code.
func (p *Part) putPlain(name string, data []byte, mtime time.Time) error {
	if err := p.Remove(name); err != nil {
		return err
	}
	f, err := p.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	return p.seal(f, name, mtime)
}

// Create makes an empty file of n bytes, replacing one of the same name. Reserve is to take its space.
func (p *Part) Create(name string, n int64) (*PartFile, error) {
	if n > p.dest.maxFile {
		return nil, ErrTooLarge
	}
	if err := p.Remove(name); err != nil {
		return nil, err
	}
	// The folder is private, so the mode may be the final one: only the process's umask knows what people want.
	f, err := p.open(MadeFile, name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o666)
	if err != nil {
		return nil, fmt.Errorf("make part: %w", diskError(err))
	}
	if err := p.resize(f, n); err != nil {
		f.Close()
		_ = p.Remove(name) // a reservation that failed half-way holds space
		return nil, fmt.Errorf("make part of %d bytes: %w", n, diskError(err))
	}
	return f, nil
}

// open opens or makes a file of the folder.
func (p *Part) open(deed Deed, name string, flags int, mode fs.FileMode) (*PartFile, error) {
	var f *os.File
	err := p.dest.watch.step(Step{Deed: deed, Name: p.rel(name)}, func() (err error) {
		f, err = p.root.OpenFile(name, flags, mode)
		return err
	})
	if err != nil {
		if f != nil {
			f.Close()
		}
		return nil, err
	}
	return p.file(f, name), nil
}

func (p *Part) resize(f *PartFile, n int64) error {
	return p.dest.watch.step(Step{Deed: Sized, Name: f.name, Off: n}, func() error { return setSize(f.f, n) })
}

// Reserve takes the space of a file of n bytes while others write it already: a full disk shows now and not at 99 %. It may be called again.
func (p *Part) Reserve(ctx context.Context, f *PartFile, n int64) error {
	if err := f.watch.step(Step{Deed: Reserved, Name: f.name, Off: n}, func() error { return reserve(ctx, f.f, n) }); err != nil {
		return fmt.Errorf("reserve %d bytes: %w", n, diskError(err))
	}
	return nil
}

// Open opens a file of the folder for going on; fs.ErrNotExist if it is not there with that size.
func (p *Part) Open(name string, size int64) (*PartFile, error) {
	f, err := p.open(Opened, name, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open part: %w", err)
	}
	info, err := f.f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() != size {
		f.Close()
		return nil, fmt.Errorf("part of another size: %w", fs.ErrNotExist)
	}
	return f, nil
}

// Resize opens a file of the folder for going on with another size: it keeps its beginning. fs.ErrNotExist if it is not there.
func (p *Part) Resize(name string, n int64) (*PartFile, error) {
	if n > p.dest.maxFile {
		return nil, ErrTooLarge
	}
	f, err := p.open(Opened, name, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open part: %w", err)
	}
	info, err := f.f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err == nil && info.Size() != n {
		err = p.resize(f, n)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("resize part: %w", diskError(err))
	}
	return f, nil
}

// Scratch makes a file for the caller's own notes, empty, replacing one of the same name.
func (p *Part) Scratch(name string) (*PartFile, error) {
	f, err := p.open(MadeFile, name, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make scratch file: %w", diskError(err))
	}
	return f, nil
}

// Seal gives a whole file its time and its marks and closes it, whatever the result.
func (p *Part) Seal(f *PartFile, name string, mtime time.Time) error { return p.seal(f.f, name, mtime) }

func (p *Part) seal(f *os.File, name string, mtime time.Time) error {
	mark(p, f, name)
	err := settle(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = p.dest.watch.step(Step{Deed: Timed, Name: p.rel(name)}, func() error { return p.setTime(name, mtime) })
	}
	if err != nil {
		return fmt.Errorf("seal part: %w", diskError(err))
	}
	return nil
}

// setTime sets the time of change; a disk that cannot hold it gets the nearest it can.
func (p *Part) setTime(name string, t time.Time) error {
	now := time.Now() // some file systems do not hear of one time without the other
	err := p.root.Chtimes(name, now, p.dest.years.clamp(t))
	if err != nil {
		err = p.root.Chtimes(name, now, everyDisk().clamp(t))
	}
	return err
}

func (p *Part) sync(names []string) error {
	if err := flush(p, names); err != nil {
		return fmt.Errorf("sync parts: %w", diskError(err))
	}
	return nil
}

// Publish gives a file its final name in a folder. It never replaces: if the name is taken, the error is fs.ErrExist and nothing has changed.
// Only a file that Sync has returned for may be published.
func (p *Part) Publish(name string, to *Folder, final string) error {
	if err := p.publishWatched(name, to, final); err != nil {
		return fmt.Errorf("publish: %w", to.nameError(final, err))
	}
	to.touch()
	return nil
}

func (p *Part) publishWatched(name string, to *Folder, final string) error {
	if p.dest.watch == nil {
		return publish(p, name, to, final)
	}
	s := Step{Deed: Renamed, Name: p.rel(name), To: path.Join(to.rel, final)}
	return p.dest.watch(&s, func() error { return publish(p, name, to, final) })
}

// Same reports whether a file of the folder, of the given size, has the very bytes of what has the name final in another folder.
func (p *Part) Same(name string, size int64, in *Folder, final string) bool {
	ours, err := p.Open(name, size)
	if err != nil {
		return false
	}
	defer ours.Close()
	theirs, err := in.Open(final)
	if err != nil {
		return false
	}
	defer theirs.Close()
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	all := io.NewSectionReader(ours, 0, math.MaxInt64)
	for {
		n, err := io.ReadFull(all, a)
		m, terr := io.ReadFull(theirs, b)
		if !bytes.Equal(a[:n], b[:m]) {
			return false
		}
		if err != nil || terr != nil {
			return ended(err) && ended(terr)
		}
	}
}

func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// Remove deletes a file of the folder. Not an error if it is not there.
func (p *Part) Remove(name string) error {
	err := p.dest.watch.step(Step{Deed: Removed, Name: p.rel(name)}, func() error {
		return whole.Again(func() error { return p.root.Remove(name) })
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove part: %w", err)
	}
	return nil
}

// Sweep deletes every file that keep does not want. One that cannot be deleted, as while another program looks at it, is in nobody's way
// until the folder itself goes.
func (p *Part) Sweep(keep func(name string) bool) error {
	d, err := p.root.Open(".")
	if err != nil {
		return fmt.Errorf("sweep parts: %w", err)
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return fmt.Errorf("sweep parts: %w", err)
	}
	for _, n := range names {
		if !keep(n) {
			_ = p.Remove(n)
		}
	}
	return nil
}
