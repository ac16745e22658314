package safefs

import (
	lru "container/list"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"porchlight/share"
)

// maxFolders bounds the folders a Dest keeps open: a pull works in a few at a time, and each costs two handles.
const maxFolders = 64

// Dest writes below one folder of this computer. Content gets there in two steps: a Part collects it under a private name,
// and Publish gives it its own name, never replacing anything. Safe for concurrent use.
type Dest struct {
	dir     string
	root    *os.Root
	watch   Watch
	fold    bool
	strict  bool
	last    rune // the last letter that names may have
	maxName int
	maxFile int64
	years   years

	mu      sync.Mutex // guards the fields below
	folders map[string]*lru.Element
	order   lru.List // of *Folder, the last used in front
	late    bool     // folders were closed that have names not settled
}

// OpenDest opens dir, an absolute path, for writing, and makes it if it is not there.
func OpenDest(dir string) (*Dest, error) { return Watch(nil).OpenDest(dir) }

func makeError(err error) error {
	if isLost(err) {
		err = fmt.Errorf("%w: %w", ErrGone, err)
	}
	return fmt.Errorf("make the target folder: %w", diskError(err))
}

// ReopenDest is OpenDest for a folder that was there before: where it is missing, because its drive is, or where its drive does not answer
// any more, the error is ErrGone and nothing is made in its place.
func ReopenDest(dir string) (*Dest, error) { return Watch(nil).ReopenDest(dir) }

// ReopenDest is the ReopenDest of this package on a watched disk.
func (w Watch) ReopenDest(dir string) (*Dest, error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) || isLost(err) {
		return nil, fmt.Errorf("%w: target folder: %w", ErrGone, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open the target folder: %w", err)
	}
	d := &Dest{dir: filepath.Clean(dir), root: root, watch: w, folders: map[string]*lru.Element{}}
	if err := d.probe(); err != nil {
		root.Close()
		if isLost(err) {
			err = fmt.Errorf("%w: %w", ErrGone, err)
		}
		return nil, fmt.Errorf("try the target folder: %w", diskError(err))
	}
	return d, nil
}

// Close lets go of the folder. Parts and folders taken from it must have been closed and released.
func (d *Dest) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for e := d.order.Front(); e != nil; e = e.Next() {
		e.Value.(*Folder).close()
	}
	d.order.Init()
	clear(d.folders)
	return d.root.Close()
}

// Dir is the absolute path it was opened with.
func (d *Dest) Dir() string { return d.dir }

// Free is the number of bytes this user may still write.
func (d *Dest) Free() (int64, error) {
	n, err := freeBytes(d.dir)
	if err != nil {
		return 0, fmt.Errorf("space left: %w", err)
	}
	return n, nil
}

// MaxFile is the size in bytes of the largest file the file system can hold.
func (d *Dest) MaxFile() int64 { return d.maxFile }

// FoldsCase reports whether "A" and "a" are one name here.
func (d *Dest) FoldsCase() bool { return d.fold }

// Names returns the rules for names here.
func (d *Dest) Names() *Names {
	n := NewNames(d.strict, d.fold, d.maxName)
	n.last = d.last
	return n
}

// Folder is one folder below a Dest, open. Safe for concurrent use.
type Folder struct {
	dest *Dest
	rel  string // local names with slashes, "" for the Dest itself
	root *os.Root
	dir  *os.File // the same folder, for calls that want a handle

	refs  int  // guarded by dest.mu
	dirty bool // guarded by dest.mu: a name was given since the last Settle
}

// Folder opens a folder by its local names, slash-separated, making what is not there. A link or a file in the way is fs.ErrExist.
// The caller releases it.
func (d *Dest) Folder(rel string) (*Folder, error) {
	if f := d.held(rel); f != nil {
		return f, nil
	}
	f := &Folder{dest: d, rel: rel, refs: 1}
	var err error
	if rel == "" {
		f.root, err = d.root.OpenRoot(".")
	} else {
		i := strings.LastIndexByte(rel, '/')
		var up *Folder
		if up, err = d.Folder(rel[:max(i, 0)]); err != nil {
			return nil, err
		}
		f.root, err = up.child(rel[i+1:])
		up.Release()
	}
	if err != nil {
		return nil, err
	}
	if f.dir, err = f.root.Open("."); err != nil {
		f.root.Close()
		return nil, fmt.Errorf("open folder: %w", err)
	}
	return d.hold(f), nil
}

// MakeFolder makes folder name in parent (local names with slashes) and reports whether it is new. If something else than a folder has the name, the error is fs.ErrExist.
func (d *Dest) MakeFolder(parent, name string) (fresh bool, err error) {
	up, err := d.Folder(parent)
	if err != nil {
		return false, err
	}
	defer up.Release()
	err = up.mkdir(name)
	if err == nil {
		up.touch()
		return true, nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return false, fmt.Errorf("make folder: %w", up.nameError(name, err))
	}
	info, err := up.root.Lstat(name)
	if err != nil {
		return false, fmt.Errorf("look at folder: %w", err)
	}
	if !plainDir(info) {
		return false, fmt.Errorf("%w: not a folder", fs.ErrExist)
	}
	return false, nil
}

// held returns a folder that is open already.
func (d *Dest) held(rel string) *Folder {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.folders[rel]
	if e == nil {
		return nil
	}
	d.order.MoveToFront(e)
	f := e.Value.(*Folder)
	f.refs++
	return f
}

// hold keeps a folder just opened, or the one that another goroutine opened meanwhile.
func (d *Dest) hold(f *Folder) *Folder {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.folders[f.rel]; e != nil {
		f.close()
		f = e.Value.(*Folder)
		f.refs++
		return f
	}
	d.folders[f.rel] = d.order.PushFront(f)
	for e := d.order.Back(); e != nil && d.order.Len() > maxFolders; {
		old, prev := e.Value.(*Folder), e.Prev()
		if old.refs == 0 {
			d.order.Remove(e)
			delete(d.folders, old.rel)
			if old.dirty {
				d.late = true
				_ = syncEvicted(old.dir) // what is lost by a crash now is fetched again
			}
			old.close()
		}
		e = prev
	}
	return f
}

// child opens one folder below f without following a link.
func (f *Folder) child(name string) (*os.Root, error) {
	info, err := f.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err = f.mkdir(name); err == nil {
			f.touch()
		}
		if err == nil || errors.Is(err, fs.ErrExist) {
			info, err = f.root.Lstat(name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open folder: %w", diskError(err))
	}
	return enter(f.root, name, info)
}

func (f *Folder) mkdir(name string) error {
	return f.dest.watch.step(Step{Deed: MadeFolder, Name: path.Join(f.rel, name)}, func() error { return f.root.Mkdir(name, 0o777) })
}

// enter opens the folder name of up, which info describes; a link or something else in its place is fs.ErrExist.
func enter(up *os.Root, name string, info fs.FileInfo) (*os.Root, error) {
	if !plainDir(info) {
		return nil, fmt.Errorf("%w: not a folder", fs.ErrExist)
	}
	r, err := up.OpenRoot(name)
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENOTDIR) || err != nil && strings.Contains(err.Error(), "path escapes from parent") {
		return nil, fmt.Errorf("%w: the folder was exchanged: %w", fs.ErrExist, err) // os.Root has no name for the last one
	}
	if err != nil {
		return nil, fmt.Errorf("open folder: %w", err)
	}
	if now, err := r.Stat("."); err != nil || !os.SameFile(info, now) {
		r.Close()
		return nil, fmt.Errorf("%w: the folder was exchanged", fs.ErrExist)
	}
	return r, nil
}

func plainDir(i fs.FileInfo) bool {
	return i.IsDir() && i.Mode()&(fs.ModeSymlink|fs.ModeIrregular) == 0
}

// Release gives the folder back.
func (f *Folder) Release() {
	f.dest.mu.Lock()
	defer f.dest.mu.Unlock()
	f.refs--
}

func (f *Folder) close() {
	f.dir.Close()
	f.root.Close()
}

func (f *Folder) touch() {
	f.dest.mu.Lock()
	defer f.dest.mu.Unlock()
	f.dirty = true
}

// Stat describes what has a name, not following a link; fs.ErrNotExist if nothing has.
func (f *Folder) Stat(name string) (fs.FileInfo, error) { return f.root.Lstat(name) }

// Path is the absolute path of a name in the folder.
func (f *Folder) Path(name string) string {
	return filepath.Join(f.dest.dir, filepath.FromSlash(f.rel), name)
}

// Open opens a regular file for reading.
func (f *Folder) Open(name string) (*os.File, error) {
	info, err := f.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: not a file", ErrGone)
	}
	h, err := f.root.Open(name)
	if err != nil {
		return nil, err
	}
	if now, err := h.Stat(); err != nil || !os.SameFile(info, now) {
		h.Close()
		return nil, ErrChanged
	}
	return h, nil
}

// Settle makes the names given so far survive a loss of power, as far as the system can.
func (d *Dest) Settle() error {
	d.mu.Lock()
	var dirty []*Folder
	for e := d.order.Front(); e != nil; e = e.Next() {
		if f := e.Value.(*Folder); f.dirty {
			f.dirty = false
			f.refs++
			dirty = append(dirty, f)
		}
	}
	late := d.late
	d.late = false
	d.mu.Unlock()
	err := d.syncFolders(dirty, late)
	for _, f := range dirty {
		f.Release()
	}
	if err != nil {
		return fmt.Errorf("settle folders: %w", diskError(err))
	}
	return nil
}

// Version is what a Tree says of a file with that name; false where it says nothing.
func (f *Folder) Version(name string) (share.Version, bool) {
	t, err := OpenTree(f.dest.dir)
	if err != nil {
		return share.Version{}, false
	}
	defer t.Close()
	p, err := share.ParsePath(strings.TrimPrefix(f.rel+"/"+name, "/"))
	if err != nil {
		return share.Version{}, false
	}
	e, err := t.Stat(p)
	return e.Version, err == nil && e.Kind == share.File
}

// DiskError names what an error of a file opened here means: it wraps ErrFull, ErrTooLarge, ErrName or ErrReadOnly where it is one of these.
func DiskError(err error) error { return diskError(err) }

// nameError is diskError for a call that gave a name: some file systems refuse letters they have no code for, each in its own words. A folder that takes no
// other name either is not about letters.
func (f *Folder) nameError(name string, err error) error {
	odd := errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOENT)
	if !isASCII(name) && odd && !refuses(f.root, share.PrivatePrefix+probes) {
		return fmt.Errorf("%w: %w", ErrName, err)
	}
	return diskError(err)
}

// diskError names the errors a caller decides by.
func diskError(err error) error {
	switch {
	case err == nil:
		return nil
	case isFull(err):
		return fmt.Errorf("%w: %w", ErrFull, err)
	case isTooLarge(err):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case isBadName(err):
		return fmt.Errorf("%w: %w", ErrName, err)
	case isReadOnly(err):
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	return err
}
