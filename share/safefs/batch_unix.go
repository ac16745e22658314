//go:build linux || darwin

package safefs

import (
	"fmt"

	"golang.org/x/sys/unix"

	"porchlight/share"
)

// parent is a folder open for looking names up.
type parent struct {
	fd   int
	done func()
}

func (p parent) close() { p.done() }

func (a *anchor) around(p share.Path) (parent, error) {
	fd, done, err := a.parent(p)
	return parent{fd, done}, err
}

// load is open, read and check in one, with as few calls as there can be. A file of another version is not even opened.
func (a *anchor) load(in parent, p share.Path, v share.Version, buf []byte) (int, error) {
	m, err := a.statAt(in.fd, p.Base())
	if err != nil {
		return 0, err
	}
	if m.kind != share.File {
		return 0, fmt.Errorf("%w: not a file", ErrGone)
	}
	if m.version(a.volume, p) != v || m.size > int64(len(buf)) {
		return 0, ErrChanged
	}
	fd, err := a.below(in.fd, p.Base(), openFlags)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if err := unchanged(fd, m); err != nil { // before anything is read: it may have become a device
		return 0, err
	}
	buf = buf[:m.size]
	for n := 0; n < len(buf); {
		k, err := retry(func() (int, error) { return unix.Pread(fd, buf[n:], int64(n)) })
		if err != nil {
			return 0, err
		}
		if k == 0 {
			return 0, ErrChanged
		}
		n += k
	}
	return len(buf), unchanged(fd, m)
}

// unchanged returns ErrChanged if the open file is not what m says.
func unchanged(fd int, m meta) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	now := metaOf(&st)
	if now.cloud = m.cloud; now != m { // reading brings a file down from the cloud
		return ErrChanged
	}
	return nil
}
