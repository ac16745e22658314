//go:build !linux && !darwin && !windows

package watch

func systemLimit() int { return 0 }

// watchable is false: unknown systems are read.
func watchable(string) bool { return false }
