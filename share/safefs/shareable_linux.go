package safefs

import "golang.org/x/sys/unix"

func forbiddenRoot(string) string { return whyAll }

func systemPlaces() map[string]place {
	return map[string]place{
		"/proc": throughout(whySystem), "/sys": throughout(whySystem), "/dev": throughout(whySystem), "/dev/shm": {open: true},
		"/run": throughout(whySystem), "/run/media": {open: true}, "/var/run": throughout(whySystem),
		"/boot": throughout(whySystem), "/etc": throughout(whySystem), "/bin": throughout(whySystem), "/sbin": throughout(whySystem),
		"/lib": throughout(whySystem), "/lib32": throughout(whySystem), "/lib64": throughout(whySystem), "/libx32": throughout(whySystem),
		"/usr/bin": throughout(whySystem), "/usr/sbin": throughout(whySystem), "/usr/lib": throughout(whySystem), "/var/spool": throughout(whySystem),
		"/usr": exactly(whySystem), "/var": exactly(whySystem), "/var/lib": exactly(whySystem), "/var/log": throughout(whySystem), "/tmp": exactly(whySystem), "/var/tmp": exactly(whySystem),
		"/home": exactly(whyHomes), "/root": exactly(whyHome),
	}
}

// pseudo knows volumes that hold no files but the state of the system, wherever they are mounted.
func pseudo(dir string) string {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return ""
	}
	switch int64(st.Type) {
	case procMagic, sysfsMagic, cgroupMagic, cgroup2Magic, debugfsMagic, tracefsMagic, devptsMagic, securityfsMagic, bpfMagic, efivarfsMagic:
		return whySystem
	}
	return ""
}

// What statfs(2) calls the file systems without files.
const (
	procMagic       = 0x9fa0
	sysfsMagic      = 0x62656572
	cgroupMagic     = 0x27e0eb
	cgroup2Magic    = 0x63677270
	debugfsMagic    = 0x64626720
	tracefsMagic    = 0x74726163
	devptsMagic     = 0x1cd1
	securityfsMagic = 0x73636673
	bpfMagic        = 0xcafe4a11
	efivarfsMagic   = 0xde5e81e4
)
