//go:build !linux && !darwin && !windows

package store

// onNetwork cannot tell here and takes every place for local.
func onNetwork(string) bool { return false }
