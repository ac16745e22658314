//go:build headless

package app

import (
	"context"
	"errors"
)

// openWindow says that this build has none.
func openWindow(context.Context, string, string) error {
	return errors.New("this build of Porchlight has no window; try `porchlight help`")
}
