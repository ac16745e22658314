//go:build !unix

package config

import (
	"fmt"
	"os"
)

// checkPrivate reports whether dir is a folder; where it lies (LocalAppData) only this user may enter.
func checkPrivate(dir string) error {
	fi, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	return nil
}
