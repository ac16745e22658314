package control

import (
	"net"

	"golang.org/x/sys/unix"
)

// checkCaller reports whether the process at the other end belongs to this user or to root.
func checkCaller(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Xucred
	var errCred error
	if err := raw.Control(func(fd uintptr) {
		cred, errCred = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	}); err != nil {
		return err
	}
	if errCred != nil {
		return errCred
	}
	return allowed(cred.Uid)
}
