//go:build linux || darwin

package safefs

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// linkPublish is the way where a rename that does not replace is missing: a second name, then the first one away. A crash between leaves both, each whole.
// Both folders are open, so nobody can lead it elsewhere meanwhile.
func linkPublish(p *Part, name string, to *Folder, final string) error {
	from, dir := int(p.dir.Fd()), int(to.dir.Fd())
	err := unix.Linkat(from, name, dir, final, 0)
	if errors.Is(err, unix.EEXIST) {
		return err
	}
	if err != nil {
		return placePublish(p, name, to, final)
	}
	return unix.Unlinkat(from, name, 0)
}

// placePublish is the way of disks without links: an empty file takes the name, and the whole one is renamed over it.
func placePublish(p *Part, name string, to *Folder, final string) error {
	dir := int(to.dir.Fd())
	const flags = unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY | unix.O_CLOEXEC | unix.O_NOFOLLOW
	fd, err := retry(func() (int, error) { return unix.Openat(dir, final, flags, 0o666) })
	if err != nil {
		return err
	}
	unix.Close(fd)
	before, berr := p.root.Lstat(name)
	if err := unix.Renameat(int(p.dir.Fd()), name, dir, final); err != nil {
		_ = unix.Unlinkat(dir, final, 0) // ours, and empty
		return err
	}
	after, aerr := to.root.Lstat(final)
	if berr == nil && aerr == nil && !near(before.ModTime(), after.ModTime()) { // there are drivers that keep the time of what had the name
		_ = to.root.Chtimes(final, time.Now(), before.ModTime()) // it is whole with another time, too
	}
	return nil
}
