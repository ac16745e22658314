//go:build !windows

package whole

// Again renames or removes a file by f: once, for here it does not matter who has it open.
func Again(f func() error) error { return f() }
