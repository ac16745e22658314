package safefs

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

// forbiddenRoot refuses the drive that Windows is on; other drives are drives like any.
func forbiddenRoot(dir string) Why {
	if strings.EqualFold(filepath.VolumeName(dir), filepath.VolumeName(windowsDir())) {
		return WhyAll
	}
	return ""
}

// windowsDir is where Windows is, C:\Windows if it does not say.
func windowsDir() string {
	if dir, err := windows.GetSystemWindowsDirectory(); err == nil && dir != "" {
		return dir
	}
	return `C:\Windows`
}

// systemPlaces is in lower case, as the disk does not tell cases apart.
func systemPlaces() map[string]place {
	dir := strings.ToLower(filepath.ToSlash(windowsDir()))
	drive := strings.ToLower(filepath.VolumeName(dir))
	return map[string]place{
		dir: throughout(WhySystem), drive + "/program files": throughout(WhySystem), drive + "/program files (x86)": throughout(WhySystem),
		drive + "/programdata": throughout(WhySystem), drive + "/recovery": throughout(WhySystem), drive + "/users": exactly(WhyHomes),
	}
}

func pseudo(string) Why { return "" }
