package store

import "testing"

// TestNetworkFileSystems holds the numbers by which statfs(2) and the kernel's linux/magic.h name file systems.
func TestNetworkFileSystems(t *testing.T) {
	for _, tt := range []struct {
		name    string
		magic   int64
		network bool
	}{
		{"nfs", 0x6969, true},
		{"cifs", 0xFF534D42, true}, {"cifs, as a signed number", -0xACB2BE, true},
		{"smb2", 0xFE534D42, true}, {"smb2, as a signed number", -0x1ACB2BE, true},
		{"smbfs", 0x517B, true},
		{"sshfs and what else is FUSE", 0x65735546, true},
		{"9p", 0x01021997, true},
		{"afs", 0x5346414F, true}, {"coda", 0x73757245, true}, {"ceph", 0x00C36400, true}, {"lustre", 0x0BD00BD0, true}, {"vboxsf", 0x786F4256, true},
		{"ext4", 0xEF53, false}, {"btrfs", 0x9123683E, false}, {"xfs", 0x58465342, false}, {"tmpfs", 0x01021994, false},
		{"overlay", 0x794C7630, false}, {"zfs", 0x2FC12FC1, false}, {"f2fs", 0xF2F52010, false}, {"exfat", 0x2011BAB0, false}, {"vfat", 0x4D44, false}, {"ntfs3", 0x7366746E, false},
	} {
		if got := networkMagic(uint32(tt.magic)); got != tt.network {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if onNetwork(t.TempDir()+"/none") || onNetwork("/proc") {
		t.Error("what cannot be told, and what is no disk, counts as local")
	}
}
