package safefs

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

// setSize sets the size of an empty file and takes its space, which is quick here.
func setSize(f *os.File, n int64) error {
	if n == 0 {
		return nil
	}
	err := windows.SetFileInformationByHandle(windows.Handle(f.Fd()), windows.FileAllocationInfo, (*byte)(unsafe.Pointer(&n)), uint32(unsafe.Sizeof(n)))
	if isFull(err) {
		return err
	}
	return f.Truncate(n)
}

// reserve has nothing left to do.
func reserve(context.Context, *os.File, int64) error { return nil }

func freeBytes(dir string) (int64, error) {
	p, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(p, &free, nil, nil); err != nil {
		return 0, err
	}
	return int64(min(free, math.MaxInt64)), nil
}

// diskLimits returns the longest name, in bytes (0 if unknown), and the largest file.
func diskLimits(dir string) (name int, file int64) {
	p, err := windows.UTF16PtrFromString(filepath.Clean(dir))
	if err != nil {
		return 0, math.MaxInt64
	}
	var volume, kind [windows.MAX_PATH + 1]uint16
	if windows.GetVolumePathName(p, &volume[0], uint32(len(volume))) != nil {
		return 0, math.MaxInt64
	}
	if windows.GetVolumeInformation(&volume[0], nil, 0, nil, nil, nil, &kind[0], uint32(len(kind))) != nil {
		return 0, math.MaxInt64
	}
	if k := windows.UTF16ToString(kind[:]); strings.HasPrefix(k, "FAT") {
		return 0, math.MaxUint32
	}
	return 0, math.MaxInt64
}

func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) || errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}

// isBroken knows what is said of one file or folder whose place on the disk cannot be read or makes no sense.
func isBroken(err error) bool {
	return isAny(err, windows.ERROR_CRC, windows.ERROR_SECTOR_NOT_FOUND, windows.ERROR_READ_FAULT, windows.ERROR_IO_DEVICE,
		windows.ERROR_FILE_CORRUPT, windows.ERROR_DISK_CORRUPT)
}

// isAny reports whether err is one of those.
func isAny(err error, known ...windows.Errno) bool {
	return slices.ContainsFunc(known, func(e windows.Errno) bool { return errors.Is(err, e) })
}

func isTooLarge(err error) bool { return errors.Is(err, windows.ERROR_FILE_TOO_LARGE) }

func isReadOnly(err error) bool { return errors.Is(err, windows.ERROR_WRITE_PROTECT) }

// isLost knows what is said of a disk that was pulled out under an open file.
func isLost(err error) bool {
	return isAny(err, windows.ERROR_NOT_READY, windows.ERROR_IO_DEVICE, windows.ERROR_DEV_NOT_EXIST, windows.ERROR_NO_SUCH_DEVICE,
		windows.ERROR_DEVICE_NOT_CONNECTED, windows.ERROR_NO_MEDIA_IN_DRIVE)
}

func isBadName(err error) bool {
	return errors.Is(err, windows.ERROR_INVALID_NAME) || errors.Is(err, windows.ERROR_FILENAME_EXCED_RANGE) || errors.Is(err, windows.ERROR_DIRECTORY)
}
