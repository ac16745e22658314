package safefs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/windows"

	"porchlight/discovery/whole"
)

// publish renames without replacing: MoveFileEx does so unless told otherwise. Every name in the paths was made here.
func publish(p *Part, name string, to *Folder, final string) error {
	from, err := windows.UTF16PtrFromString(longPath(filepath.Join(p.dest.dir, partsDir, p.id.String(), name)))
	if err != nil {
		return err
	}
	dst, err := windows.UTF16PtrFromString(longPath(to.Path(final)))
	if err != nil {
		return err
	}
	return whole.Again(func() error {
		err := windows.MoveFileEx(from, dst, windows.MOVEFILE_WRITE_THROUGH)
		if errors.Is(err, windows.ERROR_ALREADY_EXISTS) || errors.Is(err, windows.ERROR_FILE_EXISTS) {
			return fs.ErrExist
		}
		if errors.Is(err, windows.ERROR_ACCESS_DENIED) { // what it says when a folder has the name
			if _, serr := to.Stat(final); serr == nil {
				return fs.ErrExist
			}
		}
		return err
	})
}

// longPath lifts the limit of 260 letters.
func longPath(p string) string {
	switch {
	case strings.HasPrefix(p, `\\?\`):
		return p
	case strings.HasPrefix(p, `\\`):
		return `\\?\UNC` + p[1:]
	}
	return `\\?\` + p
}

// mark makes the system ask before a received program is started. Disks without streams do without.
func mark(p *Part, _ *os.File, name string) {
	path := longPath(filepath.Join(p.dest.dir, partsDir, p.id.String(), name+":Zone.Identifier"))
	_ = os.WriteFile(path, []byte("[ZoneTransfer]\r\nZoneId=3\r\n"), 0o600)
}

// hide sets the attribute; a disk that has none does without.
func hide(dir, name string) error {
	p, err := windows.UTF16PtrFromString(longPath(filepath.Join(dir, name)))
	if err != nil {
		return err
	}
	_ = windows.SetFileAttributes(p, windows.FILE_ATTRIBUTE_HIDDEN)
	return nil
}

func settle(f *os.File) error { return f.Sync() }

// flush has nothing left to do: settle did it file by file, and there is no call for many.
func flush(*Part, []string) error { return nil }

// Folders need no sync: the rename was written through.
func syncEvicted(*os.File) error { return nil }

func (*Dest) syncFolders([]*Folder, bool) error { return nil }

func (p *Part) put(name string, data []byte, mtime time.Time) error {
	return p.putPlain(name, data, mtime)
}
