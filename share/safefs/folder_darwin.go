package safefs

import (
	"io"

	"golang.org/x/sys/unix"

	"porchlight/share"
)

const searchFlags = openFlags

// below opens p below the open folder dir.
func (a *anchor) below(dir int, p string, flags int) (int, error) {
	if p == "." {
		return retry(func() (int, error) { return unix.Openat(dir, p, flags, 0) })
	}
	return a.walkBelow(dir, share.Path(p), flags)
}

// crosses reports whether a folder is where another volume begins.
func (a *anchor) crosses(_ int, _ string, dev uint64) bool { return dev != a.dev }

// isMount reports whether an open folder is the root of a mounted volume.
func isMount(_ int, _, parent string, dev uint64) bool {
	var st unix.Stat_t
	return unix.Stat(parent, &st) == nil && uint64(st.Dev) != dev
}

func volumeOf(fd int, dev uint64) volume {
	var st unix.Statfs_t
	if unix.Fstatfs(fd, &st) != nil {
		return volume{id: dev}
	}
	return volume{id: uint64(uint32(st.Fsid.Val[0])) | uint64(uint32(st.Fsid.Val[1]))<<32}
}

// read returns up to n names and what the folder itself says about them, io.EOF at the end.
func (d *folder) read(n int) ([]row, error) {
	entries, err := d.f.ReadDir(n)
	if len(entries) == 0 && err == nil {
		err = io.EOF
	}
	rows := make([]row, len(entries))
	for i, e := range entries {
		rows[i] = row{name: e.Name(), dir: e.IsDir()}
	}
	return rows, err
}

// where is not asked here: the path is looked up again.
func (a *anchor) where() string { return "" }

// isCloud knows a file whose content is in the cloud only: reading it makes the system fetch it.
func isCloud(st *unix.Stat_t) bool { return st.Flags&unix.SF_DATALESS != 0 }
