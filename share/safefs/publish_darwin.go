package safefs

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// publish renames without replacing.
func publish(p *Part, name string, to *Folder, final string) error {
	_, err := retry(func() (int, error) {
		return 0, unix.RenameatxNp(int(p.dir.Fd()), name, int(to.dir.Fd()), final, unix.RENAME_EXCL)
	})
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return linkPublish(p, name, to, final)
	}
	return err
}

// mark makes the system ask before a received program is started. Disks without attributes do without.
func mark(_ *Part, f *os.File, _ string) {
	_ = unix.Fsetxattr(int(f.Fd()), "com.apple.quarantine", []byte("0081;00000000;Porchlight;"), 0)
}

// hide does what the dot does already.
func hide(string, string) error { return nil }

// settle hands the file to the drive; flush then empties the drive's own cache once for many files.
func settle(f *os.File) error {
	_, err := retry(func() (int, error) { return 0, unix.Fsync(int(f.Fd())) })
	return err
}

// flush asks for F_FULLFSYNC, which File.Sync is here, on any file of the volume.
func flush(p *Part, names []string) error {
	if len(names) == 0 {
		return nil
	}
	f, err := p.root.Open(names[len(names)-1])
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func syncEvicted(dir *os.File) error { return unix.Fsync(int(dir.Fd())) }

func (*Dest) syncFolders(dirs []*Folder, _ bool) error {
	for _, d := range dirs {
		if err := syncEvicted(d.dir); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
			return err
		}
	}
	return nil
}

func (p *Part) put(name string, data []byte, mtime time.Time) error {
	return p.putPlain(name, data, mtime)
}
