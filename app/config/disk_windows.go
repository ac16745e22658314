package config

import "golang.org/x/sys/windows"

// DiskFull are the errors by which this system says that the disk of a home is full.
func DiskFull() []error {
	return []error{windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL, windows.ERROR_DISK_QUOTA_EXCEEDED}
}

// DiskReadOnly are those by which it says that nothing may be written there.
func DiskReadOnly() []error { return []error{windows.ERROR_WRITE_PROTECT} }
