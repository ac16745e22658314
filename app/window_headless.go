//go:build headless

package app

import (
	"context"

	"porchlight/app/cli"
)

// openWindow says that this build has none.
func openWindow(context.Context, string, cli.WindowOptions) error {
	return cli.ErrNoWindow
}
