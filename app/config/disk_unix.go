//go:build unix

package config

import "syscall"

// DiskFull are the errors by which this system says that the disk of a home is full.
func DiskFull() []error { return []error{syscall.ENOSPC, syscall.EDQUOT} }

// DiskReadOnly are those by which it says that nothing may be written there.
func DiskReadOnly() []error { return []error{syscall.EROFS} }
