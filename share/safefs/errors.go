// Package safefs is the only way to the disk for anything a neighbour named.
//
// A Tree reads below a shared folder, a Dest writes below a folder for downloads. Neither leaves its folder, whatever a path says and whoever
// changes the disk meanwhile: no link is followed, nothing is opened before its type is known, no volume mounted below is entered, and
// Porchlight's own files are not there. A Tree has the kernel enforce this where it can (openat2 on Linux, O_NOFOLLOW step by step on other
// Unix systems) and stands on os.Root on Windows; os.Root alone follows links that stay inside and crosses mounts.
package safefs

import (
	"errors"
	"fmt"
	"io/fs"
)

// What a caller decides by. "Not there" and "there, but not to be opened by rule" are both ErrGone: nobody learns what exists by asking.
var (
	ErrGone         = errors.New("not there")
	ErrChanged      = errors.New("changed since it was listed")
	ErrNotShareable = errors.New("cannot be shared")
	ErrFull         = errors.New("no space left on the disk")
	ErrTooLarge     = errors.New("larger than the disk can hold in one file")
	ErrName         = errors.New("no usable name on this disk")
	ErrReadOnly     = errors.New("the disk can only be read")
)

// gone makes ErrGone of everything that means "not there" or "not by rule"; the rest stays what it is, a disk in trouble.
func gone(op string, at any, err error) error {
	if errors.Is(err, ErrGone) {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || meansGone(err) {
		return fmt.Errorf("%s %v: %w: %w", op, at, ErrGone, err)
	}
	return fmt.Errorf("%s %v: %w", op, at, err)
}
