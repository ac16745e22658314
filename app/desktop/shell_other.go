//go:build !linux

package desktop

import "context"

// Shell reports whether the desktop can show notifications and icons of programs.
func Shell(context.Context, func(string) string) bool { return true }
