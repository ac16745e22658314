// Package app starts the program as a window, a background service or a single command.
package app

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"porchlight/app/cli"
	"porchlight/app/control"
)

// Main runs the program. args are those after the program's name, manifest is FyneApp.toml, which holds the version.
// It returns the exit code.
func Main(args []string, manifest []byte) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	version := versionOf(manifest)
	return cli.Run(ctx, cli.Env{
		Args: args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Version: version, Getenv: os.Getenv,
		Connect: func(ctx context.Context, home string) (cli.Engine, error) { return control.Connect(ctx, home) },
		Serve:   func(ctx context.Context, o cli.ServeOptions) error { return serve(ctx, version, o, os.Stdout) },
		Lab:     func(ctx context.Context, o cli.LabOptions) error { return runLab(ctx, version, o, os.Stdout) },
		Window:  func(ctx context.Context, o cli.WindowOptions) error { return openWindow(ctx, version, o) },
	})
}
