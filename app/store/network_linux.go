package store

import "golang.org/x/sys/unix"

// onNetwork reports whether dir lies on a network file system. What cannot be told counts as local.
func onNetwork(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && networkMagic(uint32(st.Type))
}

// networkMagic reports whether a number of linux/magic.h names a file system whose files other computers may have open.
func networkMagic(magic uint32) bool {
	const (
		lustre = 0x0BD00BD0 // lustre_user.h
		vboxsf = 0x786F4256 // folders of the host of a virtual machine
	)
	switch magic {
	case unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.AFS_SUPER_MAGIC,
		unix.CODA_SUPER_MAGIC, unix.NCP_SUPER_MAGIC, unix.V9FS_MAGIC, unix.CEPH_SUPER_MAGIC, lustre, vboxsf,
		unix.FUSE_SUPER_MAGIC: // sshfs and the like; a local one loses nothing but a little speed
		return true
	}
	return false
}
