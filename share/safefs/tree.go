package safefs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"porchlight/share"
)

const (
	recheckAfter = 100 * time.Millisecond // how old the knowledge may be that the open folder is still the one at the path
	idleAfter    = time.Second            // then the folder is closed: an open one keeps a stick from being ejected
)

// Tree reads below one shared folder. Safe for concurrent use. It holds the folder open only while it is used, and opens it
// again by its path: while the folder is not there everything is ErrGone, and when it is back everything works again.
type Tree struct {
	dir   string
	check func(dir string) error // nil: anything may be read

	mu      sync.Mutex // guards the fields below, and anchor.refs
	at      *anchor    // nil while nothing is open
	idle    *time.Timer
	closed  bool
	passed  string // the last place that check let pass
	mounted bool   // the folder was the root of a volume: without the volume it is not there, even if an empty folder is
}

// OpenTree makes the tree of the folder dir, an absolute path of this computer's user, never of a neighbour. Links above and in dir itself are followed.
// The error is ErrGone if there is no such folder now.
func OpenTree(dir string) (*Tree, error) { return OpenChecked(dir, nil) }

// OpenChecked is OpenTree for a folder that not only must be there. check is asked about dir and about the place where the open folder really lies, now and
// whenever another folder lies there: somebody may put a link to other places at the path. What it refuses is ErrGone and the error of check.
func OpenChecked(dir string, check func(dir string) error) (*Tree, error) {
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("%w: %s is not an absolute path", ErrGone, dir)
	}
	t := &Tree{dir: filepath.Clean(dir), check: check}
	a, err := t.acquire()
	if err != nil {
		return nil, err
	}
	t.release(a)
	return t, nil
}

// Dir is the folder on this computer.
func (t *Tree) Dir() string { return t.dir }

// Close ends the tree; what is running ends well, what is asked later is ErrGone. Files that are open stay open.
func (t *Tree) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.idle != nil {
		t.idle.Stop()
	}
	t.retire()
	return nil
}

// Present returns nil if the folder is there now.
func (t *Tree) Present() error {
	a, err := t.acquire()
	if err != nil {
		return err
	}
	t.release(a)
	return nil
}

// Stat describes one entry; of a link the link itself.
func (t *Tree) Stat(p share.Path) (share.Entry, error) {
	a, err := t.enter(p)
	if err != nil {
		return share.Entry{}, err
	}
	defer t.release(a)
	m, err := a.stat(p)
	if err != nil {
		return share.Entry{}, gone("stat", p, err)
	}
	return a.entry(p, m), nil
}

// Open opens a regular file for reading. Everything else is ErrGone, and is never opened, not even for a look: opening alone makes some devices act.
func (t *Tree) Open(p share.Path) (*File, error) {
	a, err := t.enter(p)
	if err != nil {
		return nil, err
	}
	defer t.release(a)
	f, m, err := a.open(p)
	if err != nil {
		return nil, gone("open", p, err)
	}
	return &File{f: f, entry: a.entry(p, m), volume: a.volume}, nil
}

// enter is acquire for whoever wants p: refused is what ParsePath refuses, for callers that made a Path by hand, and what is hidden.
func (t *Tree) enter(p share.Path) (*anchor, error) {
	if _, err := share.ParsePath(string(p)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGone, err)
	}
	a, err := t.acquire()
	if err != nil {
		return nil, err
	}
	for at := p; at != ""; at = at.Dir() {
		if hidden(a.real(at.Dir()), at.Base()) {
			t.release(a)
			return nil, fmt.Errorf("%w: %w: private name", ErrGone, share.ErrPath)
		}
	}
	return a, nil
}

// acquire returns the open folder, opening it if need be. Every acquire is followed by a release.
func (t *Tree) acquire() (*anchor, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, fmt.Errorf("%w: the tree is closed", ErrGone)
	}
	now := time.Now()
	if t.at != nil && now.Sub(t.at.checked) > recheckAfter {
		if t.at.still(t.dir) {
			t.at.checked = now
		} else {
			t.retire()
		}
	}
	if t.at == nil {
		a, err := openAnchor(t.dir)
		if err != nil {
			return nil, gone("open", t.dir, err)
		}
		if t.mounted && !a.top {
			a.close()
			return nil, fmt.Errorf("%w: the volume of %s is not mounted", ErrGone, t.dir)
		}
		if err := t.allow(a); err != nil {
			a.close()
			return nil, err
		}
		t.at, t.mounted, a.checked = a, a.top, now
	}
	t.at.refs++
	return t.at, nil
}

// allow finds out where an open folder really lies, and asks whether that may be read. The caller holds mu.
func (t *Tree) allow(a *anchor) error {
	real := a.where()
	if real == "" {
		var err error
		if real, err = filepath.EvalSymlinks(t.dir); err != nil {
			real = t.dir
		}
	}
	a.dir = filepath.ToSlash(real)
	if t.check == nil || t.passed == real {
		return nil
	}
	for _, place := range []string{t.dir, real} {
		if err := t.check(place); err != nil {
			return fmt.Errorf("%w: %w", ErrGone, err)
		}
	}
	t.passed = real
	return nil
}

func (t *Tree) release(a *anchor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a.refs--
	switch {
	case a.refs > 0:
	case a != t.at:
		a.close()
	case t.idle == nil:
		t.idle = time.AfterFunc(idleAfter, t.sleep)
	default:
		t.idle.Reset(idleAfter)
	}
}

// sleep closes the folder if nobody uses it.
func (t *Tree) sleep() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.at != nil && t.at.refs == 0 {
		t.retire()
	}
}

// retire forgets the open folder; the last user closes it. The caller holds mu.
func (t *Tree) retire() {
	if t.at != nil && t.at.refs == 0 {
		t.at.close()
	}
	t.at = nil
}

// hidden reports whether a name in the folder dir (slash form, of this computer) is never shown: Porchlight's own, and where programs keep keys and passwords.
func hidden(dir, name string) bool { return private(name) || secret(dir, name) != "" }

// real is where the folder p lies on this computer, in slash form.
func (a *anchor) real(p share.Path) string {
	if p == "" {
		return a.dir
	}
	return a.dir + "/" + string(p)
}

// shortPrivate is how FAT and Windows begin the short alias of a name with share.PrivatePrefix.
const shortPrivate = "porchl~"

// private reports whether a name is one of Porchlight's own, in any spelling some disk takes for it.
func private(name string) bool {
	clean := strings.Map(func(r rune) rune {
		if r >= 0x200C && r <= 0x200F || r >= 0x202A && r <= 0x202E || r >= 0x206A && r <= 0x206F || r == 0xFEFF {
			return -1 // HFS+ does not see these
		}
		return r
	}, name)
	return foldPrefix(clean, share.PrivatePrefix) || foldPrefix(clean, shortPrivate)
}

func foldPrefix(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// File is an open file of a Tree. ReadAt is safe for concurrent use.
type File struct {
	f      *os.File
	entry  share.Entry
	volume volume
}

// Entry is what the file was when it was opened.
func (f *File) Entry() share.Entry { return f.entry }

// ReadAt reads as io.ReaderAt says.
func (f *File) ReadAt(p []byte, off int64) (int, error) { return f.f.ReadAt(p, off) }

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }

// Check returns ErrChanged if the file is no longer the version that was opened. Bytes read before a Check that returns nil are of that version.
func (f *File) Check() error {
	m, err := metaOfHandle(f.f)
	if errors.Is(err, os.ErrClosed) {
		return err
	}
	if err != nil || m.kind != share.File || m.version(f.volume, f.entry.Path) != f.entry.Version {
		return fmt.Errorf("%s: %w", f.entry.Path, ErrChanged)
	}
	return nil
}
