//go:build unix

package safefs

import (
	"errors"

	"golang.org/x/sys/unix"
)

func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

func isTooLarge(err error) bool { return errors.Is(err, unix.EFBIG) }

func isReadOnly(err error) bool { return errors.Is(err, unix.EROFS) }

// isLost knows what is said of a disk that was pulled out under an open file.
func isLost(err error) bool {
	for _, e := range []unix.Errno{unix.EIO, unix.ENODEV, unix.ENXIO, unix.ENOTCONN, unix.ESTALE, unix.ESHUTDOWN} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// isBroken knows what is said of one file or folder whose place on the disk cannot be read or makes no sense.
func isBroken(err error) bool {
	return errors.Is(err, unix.EIO) || errors.Is(err, unix.EBADMSG) || errors.Is(err, unix.EOVERFLOW) || errors.Is(err, makesNoSense)
}

func isBadName(err error) bool {
	return errors.Is(err, unix.ENAMETOOLONG) || errors.Is(err, unix.EILSEQ)
}
