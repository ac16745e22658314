package desktop

import (
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Unseen keeps a program of the console from opening a window of its own for a moment, which it does when the one that starts it
// has none. Call it before cmd is started.
func Unseen(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{HideWindow: true, CreationFlags: windows.CREATE_NO_WINDOW}
}

// LoseConsole gives up the window of the console that Windows opened for this program alone, as it does for one that is started with
// the computer or by a double click. One that a person works in stays.
func LoseConsole() {
	var list [2]uint32
	if n, _, _ := kernel("GetConsoleProcessList").Call(uintptr(unsafe.Pointer(&list[0])), uintptr(len(list))); n == 1 {
		kernel("FreeConsole").Call() //nolint:errcheck // it stays then
	}
}

// asItIs has a command started with a command line that is not put together from words.
func asItIs(cmd *exec.Cmd, line string) { cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: line} }
