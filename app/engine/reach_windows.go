package engine

import (
	"errors"

	"golang.org/x/sys/windows"
)

func isRefused(err error) bool     { return errors.Is(err, windows.WSAECONNREFUSED) }
func isUnreachable(err error) bool { return errors.Is(err, windows.WSAEHOSTUNREACH) }
func isNoRoute(err error) bool {
	return errors.Is(err, windows.WSAENETUNREACH) || errors.Is(err, windows.WSAEADDRNOTAVAIL)
}
