package safefs

import (
	"errors"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// reserve takes the space of a file and sets its size.
func reserve(f *os.File, size int64) error {
	if size == 0 {
		return nil
	}
	_, err := retry(func() (int, error) { return 0, unix.Fallocate(int(f.Fd()), 0, 0, size) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return f.Truncate(size)
	}
	return err
}

func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if _, err := retry(func() (int, error) { return 0, unix.Statfs(dir, &st) }); err != nil {
		return 0, err
	}
	free := st.Bavail * uint64(st.Bsize)
	return int64(min(free, math.MaxInt64)), nil
}

// diskLimits returns the longest name, in bytes (0 if unknown), and the largest file.
func diskLimits(dir string) (name int, file int64) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, math.MaxInt64
	}
	file = math.MaxInt64
	if st.Type == unix.MSDOS_SUPER_MAGIC {
		file = math.MaxUint32
	}
	return int(st.Namelen), file
}
