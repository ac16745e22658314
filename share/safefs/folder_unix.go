//go:build linux || darwin

package safefs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"porchlight/share"
)

// anchor is the folder of a Tree, open.
type anchor struct {
	dir     string // where it really lies, in slash form; set by the tree
	fd      int
	dev     uint64
	ino     uint64
	owner   uint32 // of the folder
	volume  volume
	top     bool // it is the root of a mounted volume
	checked time.Time
	refs    int
}

const openFlags = unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY

func openAnchor(dir string) (*anchor, error) {
	fd, err := retry(func() (int, error) { return unix.Open(dir, openFlags|unix.O_DIRECTORY, 0) })
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, err
	}
	a := &anchor{fd: fd, dev: uint64(st.Dev), ino: st.Ino, owner: st.Uid}
	a.volume = volumeOf(fd, a.dev)
	if a.volume.loose {
		a.volume.dir = dir
	}
	a.top = isMount(fd, "", filepath.Dir(dir), a.dev)
	return a, nil
}

func (a *anchor) close() { unix.Close(a.fd) }

// still reports whether dir is the folder that is open.
func (a *anchor) still(dir string) bool {
	var st unix.Stat_t
	return unix.Stat(dir, &st) == nil && uint64(st.Dev) == a.dev && st.Ino == a.ino
}

// parent opens the folder that p lies in, for looking names up, and returns what closes it.
func (a *anchor) parent(p share.Path) (fd int, done func(), err error) {
	if p.Dir() == "" {
		return a.fd, func() {}, nil
	}
	if fd, err = a.below(a.fd, string(p.Dir()), searchFlags|unix.O_DIRECTORY); err != nil {
		return -1, nil, err
	}
	return fd, func() { unix.Close(fd) }, nil
}

func (a *anchor) stat(p share.Path) (meta, error) {
	if p == "" {
		var st unix.Stat_t
		err := unix.Fstat(a.fd, &st)
		if err == nil && st.Nlink == 0 {
			err = unix.ENOENT // deleted while open
		}
		return metaOf(&st), err
	}
	fd, done, err := a.parent(p)
	if err != nil {
		return meta{}, err
	}
	defer done()
	return a.statAt(fd, p.Base())
}

// statAt describes a name in an open folder without following or opening it.
func (a *anchor) statAt(fd int, name string) (meta, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return meta{}, err
	}
	m := a.judge(&st)
	if m.kind == share.Dir && a.crosses(fd, name, uint64(st.Dev)) {
		m.kind, m.reason = share.Other, ReasonMount
	}
	return m, nil
}

// judge is metaOf by the rules of the share. A file with several names is only read if it belongs to this user or to whom the shared folder belongs:
// whoever else may write there could have given a second name to a file that lies elsewhere.
func (a *anchor) judge(st *unix.Stat_t) meta {
	m := metaOf(st)
	if m.kind == share.File && st.Nlink > 1 && st.Uid != a.owner && int(st.Uid) != os.Geteuid() {
		m.kind, m.reason = share.Other, ReasonAccess
	}
	return m
}

// open opens a regular file: first its type by name, then the file, then the type of what was opened.
func (a *anchor) open(p share.Path) (*os.File, meta, error) {
	if p == "" {
		return nil, meta{}, unix.EISDIR
	}
	dir, done, err := a.parent(p)
	if err != nil {
		return nil, meta{}, err
	}
	defer done()
	m, err := a.statAt(dir, p.Base())
	if err != nil {
		return nil, meta{}, err
	}
	if m.kind != share.File {
		return nil, meta{}, fmt.Errorf("%w: not a file", ErrGone)
	}
	fd, err := a.below(dir, p.Base(), openFlags)
	if err != nil {
		return nil, meta{}, err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if m = a.judge(&st); err == nil && m.kind != share.File {
		err = fmt.Errorf("%w: not a file", ErrGone)
	}
	if err == nil { // reads of a regular file never wait for anybody; without the flag Go does not try to poll it
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, 0)
	}
	if err != nil {
		unix.Close(fd)
		return nil, meta{}, err
	}
	return os.NewFile(uintptr(fd), p.Base()), m, nil
}

// walkBelow opens p below dir step by step, following nothing and staying on the volume.
func (a *anchor) walkBelow(dir int, p share.Path, flags int) (int, error) {
	names, at := p.Components(), dir
	for i, name := range names {
		f := flags | unix.O_NOFOLLOW
		if i < len(names)-1 {
			f = openFlags | unix.O_NOFOLLOW | unix.O_DIRECTORY
		}
		next, err := retry(func() (int, error) { return unix.Openat(at, name, f, 0) })
		if at != dir {
			unix.Close(at)
		}
		if err != nil {
			return -1, err
		}
		var st unix.Stat_t
		if err = unix.Fstat(next, &st); err == nil && uint64(st.Dev) != a.dev && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			err = unix.EXDEV
		}
		if err != nil {
			unix.Close(next)
			return -1, err
		}
		at = next
	}
	return at, nil
}

// folder is a folder being read.
type folder struct {
	a    *anchor
	f    *os.File
	path share.Path
	meta meta
	buf  []byte
}

func (a *anchor) folder(p share.Path) (*folder, error) {
	name, in := string(p), a.fd
	switch {
	case p == "":
		name = "."
	case len(p) == share.MaxPath: // with the zero behind it, one more than the system takes at once
		dir, done, err := a.parent(p)
		if err != nil {
			return nil, err
		}
		defer done()
		name, in = p.Base(), dir
	}
	fd, err := a.below(in, name, openFlags|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, 0)
	}
	if err == nil && st.Nlink == 0 {
		err = unix.ENOENT // deleted while open
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &folder{a: a, f: os.NewFile(uintptr(fd), name), path: p, meta: metaOf(&st)}, nil
}

func (d *folder) close() { d.f.Close() }

func (d *folder) stat(name string) (meta, error) { return d.a.statAt(int(d.f.Fd()), name) }

func metaOf(st *unix.Stat_t) meta {
	m := meta{kind: share.Other, size: st.Size, ino: st.Ino, cloud: isCloud(st)}
	m.mtime, m.ctime = sinceEpoch(int64(st.Mtim.Sec), int64(st.Mtim.Nsec)), sinceEpoch(int64(st.Ctim.Sec), int64(st.Ctim.Nsec))
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		m.kind = share.File
	case unix.S_IFDIR:
		m.kind = share.Dir
	case unix.S_IFLNK:
		m.reason = ReasonLink
	case unix.S_IFIFO:
		m.reason = ReasonPipe
	case unix.S_IFSOCK:
		m.reason = ReasonSocket
	default:
		m.reason = ReasonDevice
	}
	return m
}

func metaOfHandle(f *os.File) (meta, error) {
	c, err := f.SyscallConn()
	if err != nil {
		return meta{}, err
	}
	var st unix.Stat_t
	var serr error
	if err := c.Control(func(fd uintptr) { serr = unix.Fstat(int(fd), &st) }); err != nil {
		return meta{}, err
	}
	return metaOf(&st), serr
}

// retry repeats what a signal interrupted, as FUSE and network volumes let happen.
func retry(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// meansGone knows the ways a place is not there beyond ErrNotExist and ErrPermission: a step that is no folder or a link, a mount in between,
// a volume that was pulled out.
func meansGone(err error) bool {
	for _, e := range []unix.Errno{unix.ENOTDIR, unix.ELOOP, unix.EXDEV, unix.EISDIR, unix.ENAMETOOLONG, unix.EINVAL, unix.EILSEQ,
		unix.ENODEV, unix.ENXIO, unix.ENOTCONN, unix.ESTALE, unix.EHOSTDOWN} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
