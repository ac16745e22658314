//go:build !windows

package desktop

import "os/exec"

// Unseen keeps a program of the console from opening a window of its own, where programs do that.
func Unseen(*exec.Cmd) {}

// LoseConsole gives up a window that was opened for the output of this program alone, where systems do that.
func LoseConsole() {}

// asItIs is for Windows, whose programs take a command line apart themselves.
func asItIs(*exec.Cmd, string) {}
