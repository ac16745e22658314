package safefs

import (
	"context"
	"errors"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// setSize sets the size of an empty file; its space is left to reserve. POSIX lets a file system refuse to make a file larger this way, and some on FUSE do:
// there a byte at the end does it.
func setSize(f *os.File, n int64) error {
	err := f.Truncate(n)
	if n == 0 || !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	if _, werr := f.WriteAt([]byte{0}, n-1); werr != nil {
		return werr
	}
	if fi, serr := f.Stat(); serr != nil || fi.Size() != n {
		return err // it was taken without a word, and is not there
	}
	return nil
}

// reserveStep is how much is reserved at once. Most disks note some blocks; where that takes milliseconds, because the disk is memory or old, those who
// write the file wait meanwhile, so they get three times as long after each step.
const reserveStep = 16 << 20

// reserve takes the space of a file of n bytes, from its beginning on, so that it keeps ahead of those who write it.
func reserve(ctx context.Context, f *os.File, n int64) error {
	var st unix.Stat_t
	var fs unix.Statfs_t
	fd := int(f.Fd())
	if err := errors.Join(unix.Fstat(fd, &st), unix.Fstatfs(fd, &fs)); err != nil {
		return err
	}
	if missing := n - st.Blocks*512; missing > 0 && fs.Blocks > 0 && uint64(missing) > fs.Bavail*uint64(fs.Bsize) {
		return unix.ENOSPC // before the disk is filled to the last byte
	}
	if fs.Type == unix.TMPFS_MAGIC { // memory has no order that could be kept, and the writers would wait
		return nil
	}
	for off := int64(0); off < n; off += reserveStep {
		start := time.Now()
		_, err := retry(func() (int, error) { return 0, unix.Fallocate(fd, 0, off, min(n-off, reserveStep)) })
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(3 * time.Since(start)):
		}
	}
	return nil
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
	if st.Type == unix.MSDOS_SUPER_MAGIC || st.Type == unix.FUSE_SUPER_MAGIC && isFAT(mountKind(dir)) {
		file = math.MaxUint32
	}
	return int(st.Namelen), file
}

// isFAT knows FAT by the names that programs mount it by. exFAT is another one, and holds large files.
func isFAT(kind string) bool {
	return strings.Contains(kind, "fat") && !strings.Contains(kind, "exfat") || strings.Contains(kind, "msdos")
}

// mountKind is what the file system at dir calls itself in mountinfo, see proc(5); "" if that cannot be told.
func mountKind(dir string) string {
	var at unix.Stat_t
	if unix.Stat(dir, &at) != nil {
		return ""
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	const device = 2
	want := strconv.Itoa(int(unix.Major(at.Dev))) + ":" + strconv.Itoa(int(unix.Minor(at.Dev)))
	for line := range strings.Lines(string(table)) {
		before, behind, ok := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if of := strings.Fields(behind); ok && len(fields) > device && fields[device] == want && len(of) > 0 {
			return strings.ToLower(of[0])
		}
	}
	return ""
}

const makesNoSense = unix.EUCLEAN // "structure needs cleaning"
