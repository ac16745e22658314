//go:build !windows

package mesh

import (
	"errors"
	"syscall"
)

// Refused reports whether a dial ended with a no of the computer itself: it is there, and nobody listens.
func Refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// Unreachable reports whether a dial ended with the word that nobody has the address, or a firewall said so.
func Unreachable(err error) bool { return errors.Is(err, syscall.EHOSTUNREACH) }

// NoRoute reports whether a dial failed since this computer has no way to the network of the address.
func NoRoute(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL)
}
