package desktop

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestOnMains(t *testing.T) {
	battery, mains := map[string]string{"type": "Battery", "status": "Discharging"}, map[string]string{"type": "Mains", "online": "1"}
	for _, tt := range []struct {
		name     string
		supplies []map[string]string
		want     bool
	}{
		{"a desktop", nil, true},
		{"on battery", []map[string]string{battery, {"type": "Mains", "online": "0"}}, false},
		{"plugged in", []map[string]string{battery, mains}, true},
		{"full", []map[string]string{{"type": "Battery", "status": "Full"}}, true},
		{"a mouse", []map[string]string{{"type": "Battery", "status": "Discharging", "scope": "Device"}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for i, s := range tt.supplies {
				for file, text := range s {
					path := filepath.Join(dir, string(rune('a'+i)), file)
					if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text+"\n"), 0o600)); err != nil {
						t.Fatal(err)
					}
				}
			}
			if got := onMains(dir); got != tt.want {
				t.Errorf("%v", got)
			}
		})
	}
}

// A program of the name stands in for the system's, and notes that it ran and ended.
func TestAwakeEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\necho \"$@\" > '" + dir + "/began'\ncat\necho > '" + dir + "/ended'\n"
	if err := os.WriteFile(filepath.Join(dir, "systemd-inhibit"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- Awake(ctx, "a test") }()
	for there(filepath.Join(dir, "began")) == nil {
		select {
		case err := <-done:
			t.Fatal("it gave up:", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if there(filepath.Join(dir, "ended")) == nil {
		t.Error("the system would stay awake for ever")
	}
	t.Setenv("PATH", t.TempDir())
	if err := Awake(t.Context(), "a test"); !errors.Is(err, errors.ErrUnsupported) {
		t.Error("nothing there to ask:", err)
	}
}
