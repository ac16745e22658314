package safefs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"porchlight/share"
)

// anchor is the folder of a Tree, open.
type anchor struct {
	dir     string // where it really lies, in slash form; set by the tree
	root    *os.Root
	final   string // the folder's true path; what is opened below must have a true path below it
	self    os.FileInfo
	volume  volume
	top     bool // a volume that is gone takes its letter along: no empty folder stays behind
	checked time.Time
	refs    int
}

func openAnchor(dir string) (*anchor, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	a := &anchor{root: root}
	f, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	defer f.Close()
	var info windows.ByHandleFileInformation
	if a.self, err = f.Stat(); err == nil {
		a.final, err = finalPath(f)
	}
	if err == nil {
		err = windows.GetFileInformationByHandle(windows.Handle(f.Fd()), &info)
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	a.volume = volume{id: uint64(info.VolumeSerialNumber)}
	return a, nil
}

// where is not asked here: the true path has a form that no rule knows.
func (a *anchor) where() string { return "" }

func (a *anchor) close() { a.root.Close() }

// still reports whether dir is the folder that is open.
func (a *anchor) still(dir string) bool {
	fi, err := os.Stat(dir)
	return err == nil && os.SameFile(fi, a.self)
}

// handle opens p and makes sure that p is its one true path: no link or junction on the way, no short alias, no stream.
func (a *anchor) handle(p share.Path) (*os.File, error) {
	name, want := ".", a.final
	if p != "" {
		name = filepath.FromSlash(string(p))
		want = strings.TrimSuffix(want, `\`) + `\` + name
		if !filepath.IsLocal(name) || strings.ContainsAny(name, `:*?"<>|`) {
			return nil, fmt.Errorf("%w: no name on this system", ErrGone)
		}
	}
	f, err := a.root.Open(name)
	if err != nil {
		return nil, err
	}
	got, err := finalPath(f)
	if err == nil && !strings.EqualFold(got, want) {
		err = fmt.Errorf("%w: another spelling or a link", ErrGone)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// finalPath is the true path of an open file on its volume.
func finalPath(f *os.File) (string, error) {
	const volumeNameNT = 2 // works for volumes without a letter too
	buf := make([]uint16, 512)
	for {
		n, err := windows.GetFinalPathNameByHandle(windows.Handle(f.Fd()), &buf[0], uint32(len(buf)), volumeNameNT)
		if err != nil {
			return "", err
		}
		if int(n) <= len(buf) {
			return windows.UTF16ToString(buf[:n]), nil
		}
		buf = make([]uint16, n)
	}
}

func (a *anchor) stat(p share.Path) (meta, error) {
	if p == "" {
		return metaOfInfo(a.self), nil
	}
	name := filepath.FromSlash(string(p))
	if !callable(name) {
		return meta{}, fmt.Errorf("%w: no name on this system", ErrGone)
	}
	if p.Dir() != "" { // proves the way to p
		up, err := a.handle(p.Dir())
		if err != nil {
			return meta{}, err
		}
		up.Close()
	}
	fi, err := a.root.Lstat(name)
	if err != nil {
		return meta{}, err
	}
	m := metaOfInfo(fi)
	if m.kind == share.Other {
		return m, nil
	}
	f, err := a.handle(p)
	if err != nil {
		if m.kind == share.File && errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
			return m, nil // another program keeps it to itself: it can be shown
		}
		return meta{}, err
	}
	defer f.Close()
	return metaOfHandle(f)
}

func (a *anchor) open(p share.Path) (*os.File, meta, error) {
	if p == "" {
		return nil, meta{}, fmt.Errorf("%w: not a file", ErrGone)
	}
	fi, err := a.root.Lstat(filepath.FromSlash(string(p)))
	if err != nil {
		return nil, meta{}, err
	}
	if metaOfInfo(fi).kind != share.File {
		return nil, meta{}, fmt.Errorf("%w: not a file", ErrGone)
	}
	f, err := a.handle(p)
	if err != nil {
		return nil, meta{}, err
	}
	m, err := metaOfHandle(f)
	if err == nil && m.kind != share.File {
		err = fmt.Errorf("%w: not a file", ErrGone)
	}
	if err != nil {
		f.Close()
		return nil, meta{}, err
	}
	return f, m, nil
}

// callable reports whether Windows takes a path. A disk may hold others: Linux wrote them, or the server behind a network drive.
func callable(name string) bool {
	return filepath.IsLocal(name) && !strings.ContainsAny(name, `:*?"<>|`)
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
	f, err := a.handle(p)
	if err != nil {
		return nil, err
	}
	m, err := metaOfHandle(f)
	if err == nil && m.kind != share.Dir {
		err = fmt.Errorf("%w: not a folder", ErrGone)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &folder{a: a, f: f, path: p, meta: m, buf: make([]byte, 64<<10)}, nil
}

func (d *folder) close() { d.f.Close() }

// Where FILE_ID_BOTH_DIR_INFO has its fields.
const (
	atWritten, atChanged, atSize, atAttributes, atNameLen, atTag, atID, atName = 24, 32, 40, 56, 60, 64, 96, 104
)

// read returns some names with all that the folder itself knows about them, io.EOF at the end.
func (d *folder) read(int) ([]row, error) {
	err := windows.GetFileInformationByHandleEx(windows.Handle(d.f.Fd()), windows.FileIdBothDirectoryInfo, &d.buf[0], uint32(len(d.buf)))
	if errors.Is(err, windows.ERROR_NO_MORE_FILES) {
		return nil, io.EOF
	}
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	var rows []row
	for b := d.buf; len(b) > atName; {
		n := int(le.Uint32(b[atNameLen:]))
		if n > len(b)-atName {
			return nil, io.ErrUnexpectedEOF
		}
		units := make([]uint16, n/2)
		for i := range units {
			units[i] = le.Uint16(b[atName+2*i:])
		}
		if name := windows.UTF16ToString(units); name != "." && name != ".." {
			m := metaOfAttributes(le.Uint32(b[atAttributes:]), le.Uint32(b[atTag:]))
			m.size, m.ino = int64(le.Uint64(b[atSize:])), le.Uint64(b[atID:])
			m.mtime, m.ctime = nanos(le.Uint64(b[atWritten:])), nanos(le.Uint64(b[atChanged:]))
			if !callable(name) {
				m.kind, m.reason = share.Other, ReasonName
			}
			rows = append(rows, row{name: name, dir: m.kind == share.Dir, meta: &m})
		}
		next := int(le.Uint32(b))
		if next == 0 || next > len(b) {
			break
		}
		b = b[next:]
	}
	return rows, nil
}

// stat asks the file itself: what the folder knows of it may be old while it is written, or when it has several names.
func (d *folder) stat(name string) (meta, error) {
	p, reason := child(d.path, name)
	if reason != "" {
		return meta{kind: share.Other, reason: reason}, nil
	}
	if !callable(name) {
		return meta{kind: share.Other, reason: ReasonName}, nil
	}
	return d.a.stat(p)
}

// metaOfInfo knows neither inode nor change time.
func metaOfInfo(fi os.FileInfo) meta {
	attributes, tag := uint32(0), uint32(0)
	if d, ok := fi.Sys().(*syscall.Win32FileAttributeData); ok {
		attributes = d.FileAttributes
	}
	switch mode := fi.Mode(); {
	case mode&os.ModeSymlink != 0:
		tag = windows.IO_REPARSE_TAG_SYMLINK
	case attributes&windows.FILE_ATTRIBUTE_REPARSE_POINT != 0 && attributes&windows.FILE_ATTRIBUTE_DIRECTORY != 0 && !mode.IsDir():
		tag = windows.IO_REPARSE_TAG_MOUNT_POINT
	}
	m := metaOfAttributes(attributes, tag)
	if fi.Mode()&(os.ModeDevice|os.ModeNamedPipe|os.ModeSocket) != 0 {
		m.kind, m.reason = share.Other, ReasonDevice
	}
	m.size, m.mtime = fi.Size(), sinceEpoch(fi.ModTime().Unix(), int64(fi.ModTime().Nanosecond()))
	return m
}

// metaOfAttributes tells the kind. A reparse point whose tag names another place is a link; the others are files and folders of filters like deduplication or a cloud.
func metaOfAttributes(attributes, tag uint32) meta {
	const surrogate = 0x20000000
	m := meta{kind: share.File}
	switch {
	case attributes&windows.FILE_ATTRIBUTE_REPARSE_POINT != 0 && tag&surrogate != 0:
		m.kind, m.reason = share.Other, ReasonLink
	case attributes&windows.FILE_ATTRIBUTE_DIRECTORY != 0:
		m.kind = share.Dir
	case attributes&windows.FILE_ATTRIBUTE_DEVICE != 0:
		m.kind, m.reason = share.Other, ReasonDevice
	}
	m.cloud = attributes&(windows.FILE_ATTRIBUTE_OFFLINE|windows.FILE_ATTRIBUTE_RECALL_ON_OPEN|windows.FILE_ATTRIBUTE_RECALL_ON_DATA_ACCESS) != 0
	return m
}

func metaOfHandle(f *os.File) (meta, error) {
	h := windows.Handle(f.Fd())
	if h == windows.InvalidHandle {
		return meta{}, os.ErrClosed
	}
	if t, err := windows.GetFileType(h); err != nil || t != windows.FILE_TYPE_DISK {
		return meta{kind: share.Other, reason: ReasonDevice}, err
	}
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(h, &info); err != nil {
		return meta{}, err
	}
	var basic struct {
		created, accessed, written, changed uint64
		attributes                          uint32
		_                                   uint32
	}
	if err := windows.GetFileInformationByHandleEx(h, windows.FileBasicInfo, (*byte)(unsafe.Pointer(&basic)), uint32(unsafe.Sizeof(basic))); err != nil {
		return meta{}, err
	}
	m := metaOfAttributes(info.FileAttributes, 0)
	m.size = int64(info.FileSizeHigh)<<32 | int64(info.FileSizeLow)
	m.ino = uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow)
	m.mtime, m.ctime = nanos(basic.written), nanos(basic.changed)
	return m, nil
}

// nanos turns 100 ns since 1601 into ns since 1970.
func nanos(t uint64) int64 {
	const second, until1970 = 1e7, 11644473600 // in 100 ns; in seconds
	return sinceEpoch(int64(t/second)-until1970, int64(t%second)*100)
}

// meansGone knows the ways a place is not there beyond ErrNotExist and ErrPermission.
func meansGone(err error) bool {
	for _, e := range []syscall.Errno{windows.ERROR_DIRECTORY, windows.ERROR_INVALID_NAME, windows.ERROR_NOT_READY, windows.ERROR_BAD_NETPATH,
		windows.ERROR_BAD_NET_NAME, windows.ERROR_NO_SUCH_DEVICE, windows.ERROR_DEV_NOT_EXIST, windows.ERROR_SHARING_VIOLATION, windows.ERROR_CANT_ACCESS_FILE,
		syscall.ENOTDIR, syscall.ELOOP} {
		if errors.Is(err, e) {
			return true
		}
	}
	// os.Root has no name for this one
	return strings.Contains(err.Error(), "path escapes from parent")
}
