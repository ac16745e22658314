//go:build linux && lab

package labtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// diskKind is a kind of file system people have files on.
type diskKind struct {
	name  string
	mkfs  []string // makes it in a file; nil for one that lies over a folder
	how   []string // mounts it: the disk, or the folder below, and the place come behind
	after []string // is run in the place
	in    string   // the folder of it that is used
	pkg   string   // has the programs, in Debian
}

// diskKinds are those that Linux can have. What is not there is skipped: some kernels know few, and FUSE has many of the others.
func diskKinds() []diskKind {
	const crypt = `mkdir -p "$0" && echo lab > "$0.word" && gocryptfs -q -init -passfile "$0.word" "$0" && gocryptfs -q -passfile "$0.word" "$0" "$1"`
	return []diskKind{
		{name: "ext4", mkfs: []string{"mkfs.ext4", "-q"}, how: []string{"mount"}, pkg: "e2fsprogs"},
		{name: "ext4 casefold", mkfs: []string{"mkfs.ext4", "-q", "-O", "casefold"}, how: []string{"mount"}, after: []string{"sh", "-c", "mkdir fold && chattr +F fold"}, in: "fold", pkg: "e2fsprogs"},
		{name: "XFS", mkfs: []string{"mkfs.xfs", "-q"}, how: []string{"mount"}, pkg: "xfsprogs"},
		{name: "XFS that takes a for A", mkfs: []string{"mkfs.xfs", "-q", "-n", "version=ci"}, how: []string{"mount"}, pkg: "xfsprogs"},
		{name: "Btrfs", mkfs: []string{"mkfs.btrfs", "-q"}, how: []string{"mount"}, pkg: "btrfs-progs"},
		{name: "FAT32", mkfs: []string{"mkfs.vfat", "-F32"}, how: []string{"mount", "-t", "vfat", "-o", "utf8"}, pkg: "dosfstools"},
		{name: "FAT32 on FUSE", mkfs: []string{"mkfs.vfat", "-F32"}, how: []string{"fusefat", "-s", "-o", "rw+"}, pkg: "dosfstools fusefat"},
		{name: "exFAT", mkfs: []string{"mkfs.exfat"}, how: []string{"mount.exfat-fuse"}, pkg: "exfatprogs exfat-fuse"},
		{name: "NTFS", mkfs: []string{"mkfs.ntfs", "-F", "-Q"}, how: []string{"ntfs-3g"}, pkg: "ntfs-3g"},
		{name: "NTFS as Windows has it", mkfs: []string{"mkfs.ntfs", "-F", "-Q"}, how: []string{"lowntfs-3g", "-o", "ignore_case,windows_names"}, pkg: "ntfs-3g"},
		{name: "an encrypted folder", how: []string{"sh", "-c", crypt}, pkg: "gocryptfs"},
		{name: "a folder on FUSE", how: []string{"sh", "-c", `mkdir -p "$0" && bindfs "$0" "$1"`}, pkg: "bindfs"},
		{name: "several disks in one", how: []string{"sh", "-c", `mkdir -p "$0.a" "$0.b" && mergerfs -o category.create=rand "$0.a:$0.b" "$1"`}, pkg: "mergerfs"},
		{name: "an overlay", how: []string{"sh", "-c", `mkdir -p "$0/low" "$0/up" "$0/work" && mount -t tmpfs plt "$0" && mkdir "$0/low" "$0/up" "$0/work" && mount -t overlay -o lowerdir="$0/low",upperdir="$0/up",workdir="$0/work" plt "$1"`}, pkg: "mount"},
	}
}

// mount makes a disk of the kind for all who are started later, until owner ends, and returns the folder to use. Where it cannot be, t is skipped.
func (k diskKind) mount(t, owner testing.TB, size int64) string {
	t.Helper()
	programs := []string{k.how[0]}
	if k.mkfs != nil {
		programs = append(programs, k.mkfs[0])
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed (packages %s)", p, k.pkg)
		}
	}
	var d *disk
	below := ""
	if k.mkfs == nil {
		d = newFolder(owner)
		below = d.img
	} else {
		d = newDisk(owner, size, k.mkfs[0], k.mkfs[1:]...)
		below = d.dev
	}
	if out, err := exec.Command(k.how[0], append(k.how[1:len(k.how):len(k.how)], below, d.dir)...).CombinedOutput(); err != nil {
		t.Skipf("not on this system (packages %s): %v: %s", k.pkg, err, out)
	}
	if k.after != nil {
		cmd := exec.Command(k.after[0], k.after[1:]...)
		cmd.Dir = d.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return filepath.Join(d.dir, k.in)
}

// newFolder is newDisk for what lies over a folder; img names that, and is not made.
func newFolder(t testing.TB) *disk {
	t.Helper()
	base, err := os.MkdirTemp("", "plt")
	if err != nil {
		t.Fatal(err)
	}
	k := &disk{t: t, img: filepath.Join(base, "below"), dir: filepath.Join(base, "disk")}
	t.Cleanup(func() {
		for _, at := range []string{k.dir, k.img} {
			for exec.Command("umount", "-l", at).Run() == nil { // as often as it is mounted
			}
		}
		os.RemoveAll(base) //nolint:errcheck // a folder of /tmp, at worst
	})
	if err := os.Mkdir(k.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return k
}
