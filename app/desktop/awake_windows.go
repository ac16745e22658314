package desktop

import (
	"context"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/windows"
)

// kernel returns a function of kernel32.
func kernel(name string) *windows.LazyProc {
	return windows.NewLazySystemDLL("kernel32.dll").NewProc(name)
}

// Awake keeps the computer from falling asleep until ctx ends.
func Awake(ctx context.Context, _ string) error {
	const continuous, system = 0x80000000, 0x00000001
	runtime.LockOSThread() // what is asked for holds for the thread
	defer runtime.UnlockOSThread()
	set := kernel("SetThreadExecutionState")
	if before, _, err := set.Call(continuous | system); before == 0 {
		return fmt.Errorf("stay awake: %w", err)
	}
	<-ctx.Done()
	set.Call(continuous) //nolint:errcheck // the end of the thread does the same
	return nil
}

// OnMains reports whether the computer runs from the wall, as far as that can be told.
func OnMains(context.Context) bool {
	var s struct {
		line, battery, percent, saver byte
		left, full                    uint32
	}
	ok, _, _ := kernel("GetSystemPowerStatus").Call(uintptr(unsafe.Pointer(&s)))
	return ok == 0 || s.line != 0
}
