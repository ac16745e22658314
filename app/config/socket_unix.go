//go:build unix

package config

import (
	"fmt"
	"os"
	"syscall"
)

// checkPrivate reports whether dir is a real folder (no link) of this user that nobody else may enter.
// In /tmp anybody could have made it first.
func checkPrivate(dir string) error {
	fi, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) != os.Getuid() {
		return fmt.Errorf("%s belongs to another user", dir)
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s is open to other users", dir)
	}
	return nil
}
