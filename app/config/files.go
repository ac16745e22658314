package config

import (
	"os"
	"path/filepath"
	"slices"
)

// Files returns what is in a home that Porchlight made, other being the names that other packages make there. What else lies
// in the folder is somebody's own.
func Files(home string, other []string) []string {
	patterns := append([]string{settingsFile, settingsFile + ".bak", settingsFile + ".lock", ".settings-*", ".porchlight-shares-*", databaseFile, databaseFile + "-*", databaseFile + ".*", lockFile}, other...)
	entries, err := os.ReadDir(home)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		mine := slices.ContainsFunc(patterns, func(p string) bool {
			ok, err := filepath.Match(p, e.Name())
			return ok && err == nil
		})
		if mine && !e.IsDir() {
			out = append(out, filepath.Join(home, e.Name()))
		}
	}
	return out
}
