// Package app starts the program as a window, a background service or a single command.
package app

import (
	"fmt"
	"os"
)

// Main runs the program with its arguments (without the program's name) and the contents of FyneApp.toml,
// and returns the exit status.
func Main(args []string, manifest []byte) int {
	if len(args) == 1 && args[0] == "version" {
		fmt.Println("porchlight", version(manifest))
		return 0
	}
	fmt.Fprintln(os.Stderr, "porchlight: usage: porchlight version")
	return 2
}
