package watch

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

// systemLimit is not known here: each watched folder costs a handle and a buffer of 64 KiB.
func systemLimit() int { return 4 * 256 }

// watchable reports whether the system hears of all changes: not of those that other computers make.
func watchable(path string) bool {
	volume := filepath.VolumeName(path)
	if volume == "" || strings.HasPrefix(volume, `\\`) {
		return false
	}
	root, err := windows.UTF16PtrFromString(volume + `\`)
	return err == nil && windows.GetDriveType(root) != windows.DRIVE_REMOTE
}
