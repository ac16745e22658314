package safefs

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// put makes a small file with as few calls as there can be: tens of thousands of them are the common case.
func (p *Part) put(name string, data []byte, mtime time.Time) error {
	dir := int(p.dir.Fd())
	const flags = unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY | unix.O_CLOEXEC | unix.O_NOFOLLOW
	fd, err := retry(func() (int, error) { return unix.Openat(dir, name, flags, 0o666) })
	if errors.Is(err, unix.EEXIST) {
		if err = p.Remove(name); err == nil {
			fd, err = retry(func() (int, error) { return unix.Openat(dir, name, flags, 0o666) })
		}
	}
	if err != nil {
		return err
	}
	for len(data) > 0 && err == nil {
		var n int
		n, err = retry(func() (int, error) { return unix.Write(fd, data) })
		data = data[max(n, 0):]
	}
	if cerr := unix.Close(fd); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	ts, err := unix.TimeToTimespec(mtime)
	if err != nil {
		return p.setTime(name, mtime)
	}
	return unix.UtimesNanoAt(dir, name, []unix.Timespec{{Nsec: unix.UTIME_OMIT}, ts}, unix.AT_SYMLINK_NOFOLLOW)
}
