package safefs

import (
	"context"
	"errors"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// setSize sets the size of an empty file and takes its space, which is quick here.
func setSize(f *os.File, n int64) error {
	if n == 0 {
		return nil
	}
	want := unix.Fstore_t{Flags: unix.F_ALLOCATEALL, Posmode: unix.F_PEOFPOSMODE, Length: n}
	if err := unix.FcntlFstore(f.Fd(), unix.F_PREALLOCATE, &want); errors.Is(err, unix.ENOSPC) {
		return err
	}
	return f.Truncate(n)
}

// reserve has nothing left to do.
func reserve(context.Context, *os.File, int64) error { return nil }

func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if _, err := retry(func() (int, error) { return 0, unix.Statfs(dir, &st) }); err != nil {
		return 0, err
	}
	return int64(min(st.Bavail*uint64(st.Bsize), math.MaxInt64)), nil
}

// diskLimits returns the longest name, in bytes (0 if unknown), and the largest file.
func diskLimits(dir string) (name int, file int64) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err == nil && unix.ByteSliceToString(st.Fstypename[:]) == "msdos" {
		return 0, math.MaxUint32
	}
	return 0, math.MaxInt64
}

const makesNoSense = unix.EIO // no word of its own here
