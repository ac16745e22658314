package cli

import (
	"os"

	"golang.org/x/sys/windows"
)

// width returns the columns of a console, or 0 for anything else.
func width(f *os.File) int {
	var info windows.ConsoleScreenBufferInfo
	if windows.GetConsoleScreenBufferInfo(windows.Handle(f.Fd()), &info) != nil {
		return 0
	}
	return max(20, int(info.Window.Right-info.Window.Left)+1)
}
