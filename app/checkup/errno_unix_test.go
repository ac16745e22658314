//go:build unix

package checkup

import "syscall"

// What the system says of a computer that is not there, and of a port where nobody listens.
const (
	errUnreachable = syscall.EHOSTUNREACH
	errRefused     = syscall.ECONNREFUSED
)
