package whole

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/windows"
)

// TestFilesThatAreLookedAt: another program has the old file open for a moment.
func TestFilesThatAreLookedAt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.json")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	open, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(300*time.Millisecond, func() { open.Close() })
	if err := Write(OS{}, path, "settings-*", []byte("new")); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); string(b) != "new" {
		t.Errorf("%q %v", b, err)
	}
}

// TestFilesThatStayOpen: it is not tried for ever, nor at all where nobody has it open.
func TestFilesThatStayOpen(t *testing.T) {
	tries, began := 0, time.Now()
	err := Again(func() error { tries++; return windows.ERROR_SHARING_VIOLATION })
	if took := time.Since(began); !errors.Is(err, windows.ERROR_SHARING_VIOLATION) || took < againFor || took > 2*againFor || tries < 10 || tries > 40 {
		t.Errorf("%v after %v and %d tries", err, took, tries)
	}
	tries = 0
	if err := Again(func() error { tries++; return os.ErrNotExist }); !errors.Is(err, os.ErrNotExist) || tries != 1 {
		t.Errorf("%v after %d tries", err, tries)
	}
}
