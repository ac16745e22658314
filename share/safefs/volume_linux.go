package safefs

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// VolumeOf returns how many bytes of dir, a clean absolute path, name the place where the volume with dir on it is mounted; 0 if that is the system's own.
// Without its volume such a place is an empty folder of another disk.
func VolumeOf(dir string) int {
	for at := dir; filepath.Dir(at) != at; at = filepath.Dir(at) {
		if Mounted(at) {
			return len(at)
		}
	}
	return 0
}

// PlaceOf returns dir, and VolumeOf for it. Where links lead from the system's own volume to another one it returns the place they lead to: without that
// volume they lead to an empty folder, and nobody could tell.
func PlaceOf(dir string) (place string, volume int) {
	if n := VolumeOf(dir); n > 0 {
		return dir, n
	}
	for at, rest := dir, ""; filepath.Dir(at) != at; at, rest = filepath.Dir(at), filepath.Join(filepath.Base(at), rest) {
		real, err := filepath.EvalSymlinks(at)
		if err != nil {
			continue // it is still to be made
		}
		real = filepath.Join(real, rest)
		if n := VolumeOf(real); n > 0 {
			return real, n
		}
		break
	}
	return dir, 0
}

// Mounted reports whether a volume is mounted at path.
func Mounted(path string) bool {
	fd, err := retry(func() (int, error) { return unix.Open(path, searchFlags|unix.O_DIRECTORY, 0) })
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	root, known := mountRoot(fd, "")
	if !known {
		var st, up unix.Stat_t
		return unix.Fstat(fd, &st) != nil || unix.Stat(filepath.Dir(path), &up) != nil || st.Dev != up.Dev
	}
	return root
}
