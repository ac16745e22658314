//go:build !linux && !darwin && !windows

package desktop

import (
	"context"
	"errors"
)

// Awake is not to be had here.
func Awake(context.Context, string) error { return errors.ErrUnsupported }

// OnMains cannot be told here.
func OnMains(context.Context) bool { return true }
