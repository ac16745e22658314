//go:build linux || darwin

package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// width returns the columns of a terminal, 80 if it does not say, or 0 for anything else.
func width(f *os.File) int {
	s, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	switch {
	case err != nil || os.Getenv("TERM") == "dumb":
		return 0
	case s.Col == 0:
		return 80
	}
	return int(s.Col)
}
