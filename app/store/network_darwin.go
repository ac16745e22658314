package store

import "golang.org/x/sys/unix"

// onNetwork reports whether dir lies on a network file system. What cannot be told counts as local.
func onNetwork(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Flags&unix.MNT_LOCAL == 0
}
