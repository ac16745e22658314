//go:build headless

package app

import (
	"context"

	"porchlight/app/cli"
)

// openWindow says that this build has none.
func openWindow(context.Context, string, string) error {
	return cli.ErrNoWindow
}
