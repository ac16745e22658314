package config

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestFilesOfAHome: all that Porchlight makes in a home, the copies of its database among it, and nothing that is somebody's own.
func TestFilesOfAHome(t *testing.T) {
	home := t.TempDir()
	mine := []string{"device.key", "lock", "porchlight.db", "porchlight.db-shm", "porchlight.db-wal", "porchlight.db.damaged-1", "porchlight.db.shares", "porchlight.db.workgroups",
		"settings.json", "settings.json.bak", "settings.json.lock"}
	own := []string{"letter.txt", "porchlight.dbx", "settings.json.mine", "my porchlight.db"}
	for _, name := range append(slices.Clone(mine), own...) {
		if err := os.WriteFile(filepath.Join(home, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(home, "porchlight.db.of mine"), 0o700); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, path := range Files(home, []string{"device.key", ".device-*"}) {
		got = append(got, filepath.Base(path))
	}
	if !slices.Equal(got, mine) {
		t.Errorf("%q, want %q", got, mine)
	}
}
