//go:build !linux && !darwin

package control

import "net"

// checkCaller cannot tell here; the folder of the socket lets only this user in.
func checkCaller(*net.UnixConn) error { return nil }
