package store

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// asNobody runs f as a user who is not the administrator: nothing is forbidden to that one.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine, and its rights with it
		if err := errors.Join(unix.Setfsgid(65534), unix.Setfsuid(65534)); err != nil {
			done <- err
			return
		}
		f()
		done <- nil
	}()
	no(t, <-done)
}

// TestWithoutRights: what this user may not write is left as it is, and that is told.
func TestWithoutRights(t *testing.T) {
	for _, tt := range []struct {
		name         string
		file, folder os.FileMode
	}{{"a file that may only be read", 0o444, 0o777}, {"a file that may not be read", 0, 0o777}, {"a folder that may only be read", 0o666, 0o555}} {
		t.Run(tt.name, func(t *testing.T) {
			path := filled(t)
			for dir := filepath.Dir(path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
				no(t, os.Chmod(dir, 0o755))
			}
			before := pick(t, path)
			no(t, os.Chmod(path, tt.file), os.Chmod(filepath.Dir(path), tt.folder))
			var err error
			asNobody(t, func() {
				var d *DB
				if d, err = Open(t.Context(), path, Config{}); err == nil {
					_ = d.Close()
				}
			})
			if !errors.Is(err, ErrNoAccess) || errors.Is(err, ErrDamaged) {
				t.Error(err)
			}
			no(t, os.Chmod(path, 0o600), os.Chmod(filepath.Dir(path), 0o700))
			if after := pick(t, path); len(after) != len(before) || string(after["p.db"]) != string(before["p.db"]) {
				t.Errorf("%d files instead of %d, or another database", len(after), len(before))
			}
			if d := openTest(t, path, Config{}); d.Damage() != nil {
				t.Error("with the rights back:", d.Damage())
			}
		})
	}
}
