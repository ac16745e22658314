package safefs

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"porchlight/share"
)

// searchFlags opens a folder for looking names up; that needs no right to read it.
const searchFlags = unix.O_PATH | unix.O_CLOEXEC

// below opens p below the open folder dir. The kernel refuses links, mounts (bind mounts too) and every way out in one step;
// kernels before 5.6 and some sandboxes do not have the call.
func (a *anchor) below(dir int, p string, flags int) (int, error) {
	how := unix.OpenHow{Flags: uint64(flags), Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV}
	fd, err := retry(func() (int, error) { return unix.Openat2(dir, p, &how) })
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		if p == "." {
			return retry(func() (int, error) { return unix.Openat(dir, p, flags, 0) })
		}
		return a.walkBelow(dir, share.Path(p), flags)
	}
	return fd, err
}

// where is the path of the folder that is open, whatever lies at the path it was opened by; "" if nobody knows.
func (a *anchor) where() string {
	path, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(a.fd))
	if err != nil || !strings.HasPrefix(path, "/") || !a.still(path) {
		return ""
	}
	return path
}

// crosses reports whether the folder name is where another volume begins.
func (a *anchor) crosses(fd int, name string, dev uint64) bool {
	if root, known := mountRoot(fd, name); known {
		return root
	}
	return dev != a.dev
}

// isMount reports whether an open folder is the root of a mounted volume.
func isMount(fd int, _, parent string, dev uint64) bool {
	if root, known := mountRoot(fd, ""); known {
		return root
	}
	var st unix.Stat_t
	return unix.Stat(parent, &st) == nil && st.Dev != dev
}

// mountRoot asks the kernel (5.8 and later) whether name in fd, or fd itself, is the root of a mount. Device numbers do not tell:
// bind mounts keep them, and subvolumes change them without being mounts.
func mountRoot(fd int, name string) (root, known bool) {
	var st unix.Statx_t
	err := unix.Statx(fd, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT|unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, 0, &st)
	if err != nil || st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0 {
		return false, false
	}
	return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, true
}

// exfatMagic is missing in x/sys.
const exfatMagic = 0x2011BAB0

// volumeOf prefers the ID the file system has of itself: device numbers change from one mount to the next.
func volumeOf(fd int, dev uint64) volume {
	var st unix.Statfs_t
	if unix.Fstatfs(fd, &st) != nil {
		return volume{id: dev}
	}
	v := volume{id: uint64(uint32(st.Fsid.Val[0])) | uint64(uint32(st.Fsid.Val[1]))<<32}
	if v.id == 0 {
		v.id = dev
	}
	switch uint32(st.Type) {
	case unix.MSDOS_SUPER_MAGIC, exfatMagic, unix.FUSE_SUPER_MAGIC:
		v.loose = true
	}
	return v
}

func isCloud(*unix.Stat_t) bool { return false }

// Where linux_dirent64 has its fields.
const (
	atLength, atType, atName = 16, 18, 19
)

// read returns some names and what the folder itself says about them, io.EOF at the end. The names of one read share one piece of memory.
func (d *folder) read(int) ([]row, error) {
	if d.buf == nil {
		d.buf = make([]byte, 64<<10)
	}
	n, err := retry(func() (int, error) { return unix.Getdents(int(d.f.Fd()), d.buf) })
	if err != nil {
		return nil, err
	}
	if n <= 0 {
		return nil, io.EOF
	}
	raw := string(d.buf[:n])
	rows := make([]row, 0, n/32)
	for off := 0; off+atName < n; {
		length := int(binary.NativeEndian.Uint16(d.buf[off+atLength:]))
		if length <= atName || off+length > n {
			return nil, io.ErrUnexpectedEOF
		}
		name, _, _ := strings.Cut(raw[off+atName:off+length], "\x00")
		kind := d.buf[off+atType]
		off += length
		if name == "." || name == ".." || name == "" {
			continue
		}
		r := row{name: name, dir: kind == unix.DT_DIR}
		if kind == unix.DT_UNKNOWN { // some file systems do not say: folders come first, so it must be known
			m, ok, err := d.look(name)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			r.dir, r.meta = m.kind == share.Dir, &m
		}
		rows = append(rows, r)
	}
	return rows, nil
}
