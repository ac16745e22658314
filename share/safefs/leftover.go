package safefs

import (
	"os"
	"path/filepath"
)

// Leftovers returns the folder in dir that holds what never became whole, for somebody who wants to be rid of it; empty if
// there is none.
func Leftovers(dir string) string {
	path := filepath.Join(dir, partsDir)
	if fi, err := os.Lstat(path); err != nil || !fi.IsDir() {
		return ""
	}
	return path
}
