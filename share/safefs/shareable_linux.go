package safefs

import "golang.org/x/sys/unix"

func forbiddenRoot(string) Why { return WhyAll }

func systemPlaces() map[string]place {
	return map[string]place{
		"/proc": throughout(WhySystem), "/sys": throughout(WhySystem), "/dev": throughout(WhySystem), "/dev/shm": {open: true},
		"/run": throughout(WhySystem), "/run/media": {open: true}, "/var/run": throughout(WhySystem),
		"/boot": throughout(WhySystem), "/etc": throughout(WhySystem), "/bin": throughout(WhySystem), "/sbin": throughout(WhySystem),
		"/lib": throughout(WhySystem), "/lib32": throughout(WhySystem), "/lib64": throughout(WhySystem), "/libx32": throughout(WhySystem),
		"/usr/bin": throughout(WhySystem), "/usr/sbin": throughout(WhySystem), "/usr/lib": throughout(WhySystem), "/var/spool": throughout(WhySystem),
		"/usr": exactly(WhySystem), "/var": exactly(WhySystem), "/var/lib": exactly(WhySystem), "/var/log": throughout(WhySystem), "/tmp": exactly(WhySystem), "/var/tmp": exactly(WhySystem),
		"/home": exactly(WhyHomes), "/root": exactly(WhyHome),
	}
}

// pseudo knows volumes that hold no files but the state of the system, wherever they are mounted.
func pseudo(dir string) Why {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return ""
	}
	switch int64(st.Type) {
	case procMagic, sysfsMagic, cgroupMagic, cgroup2Magic, debugfsMagic, tracefsMagic, devptsMagic, securityfsMagic, bpfMagic, efivarfsMagic:
		return WhySystem
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
