package store

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

// onNetwork reports whether dir lies on a network drive. What cannot be told counts as local.
func onNetwork(dir string) bool {
	volume := filepath.VolumeName(dir)
	if strings.HasPrefix(volume, `\\`) {
		return true
	}
	p, err := windows.UTF16PtrFromString(volume + `\`)
	return err == nil && windows.GetDriveType(p) == windows.DRIVE_REMOTE
}
