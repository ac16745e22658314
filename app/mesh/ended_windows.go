package mesh

import (
	"errors"

	"golang.org/x/sys/windows"
)

// Refused reports whether a dial ended with a no of the computer itself: it is there, and nobody listens.
func Refused(err error) bool { return errors.Is(err, windows.WSAECONNREFUSED) }

// Unreachable reports whether a dial ended with the word that nobody has the address, or a firewall said so.
func Unreachable(err error) bool { return errors.Is(err, windows.WSAEHOSTUNREACH) }

// NoRoute reports whether a dial failed since this computer has no way to the network of the address.
func NoRoute(err error) bool {
	return errors.Is(err, windows.WSAENETUNREACH) || errors.Is(err, windows.WSAEADDRNOTAVAIL)
}
