package config

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// FuzzSettings reads a settings file of any content. What is read is within its rules after mending, written the same way
// twice, and costs no more than a map of its words.
func FuzzSettings(f *testing.F) {
	f.Add([]byte(`{}`))
	dirs, err := UserDirs(os.Getenv)
	if err != nil {
		f.Skip("no folders of a user here:", err)
	}
	def := Defaults(dirs)
	file := filepath.Join(f.TempDir(), "settings.json")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s, err := read(file)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > uint64(256*len(data)+128<<10) { // JSON: `"":0,` is an entry of a map, twice
			t.Errorf("%d bytes allocated for %d", used, len(data))
		}
		if err != nil {
			return
		}
		s.mend(def)
		if err := s.Check(); err != nil {
			t.Fatalf("mended, and yet: %v", err)
		}
		one, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back Settings
		if err := json.Unmarshal(one, &back); err != nil {
			t.Fatalf("%s is not read again: %v", one, err)
		}
		if two, err := json.Marshal(back); err != nil || !bytes.Equal(one, two) {
			t.Fatalf("%s became %s, %v", one, two, err)
		}
	})
}
