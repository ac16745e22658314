package powercut

import (
	"os"
	"path/filepath"
	"testing"

	"porchlight/discovery/whole"
)

// careless is whole.Write with one step left out.
func careless(d whole.Disk, path, without string) error {
	f, err := d.CreateTemp(filepath.Dir(path), "tmp-*")
	if err != nil {
		return err
	}
	if _, err := f.Write([]byte("new and longer")); err != nil {
		return err
	}
	if without != "sync" {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	if without == "rename" {
		if err := d.Remove(path); err != nil {
			return err
		}
	}
	return d.Rename(f.Name(), path)
}

// TestTheModel: what whole.Write does passes, and each way to do it worse is caught.
func TestTheModel(t *testing.T) {
	for _, tt := range []struct {
		name  string
		write func(whole.Disk, string) error
		torn  bool // the file may be neither the old nor the new one
		lost  bool // the old one may be there though the write had returned
	}{
		{"whole", func(d whole.Disk, p string) error { return whole.Write(d, p, "tmp-*", []byte("new and longer")) }, false, false},
		{"without a sync of the content", func(d whole.Disk, p string) error { return careless(d, p, "sync") }, true, true},
		{"without a sync of the folder", func(d whole.Disk, p string) error { return careless(d, p, "folder") }, false, true},
		{"removed first", func(d whole.Disk, p string) error { return careless(d, p, "rename") }, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "file")
			if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			d, err := New(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.write(d, path); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != "new and longer" {
				t.Fatalf("without a power cut: %q %v", got, err)
			}
			var torn, lost, fresh int
			n, err := d.Outcomes(t.TempDir(), func(dir, what string) {
				got, err := os.ReadFile(filepath.Join(dir, "file"))
				switch {
				case err == nil && string(got) == "old":
					lost++
				case err == nil && string(got) == "new and longer":
					fresh++
				default:
					torn++
				}
			})
			if err != nil || n == 0 || fresh == 0 {
				t.Fatalf("%d outcomes, %d of them with the new file: %v", n, fresh, err)
			}
			t.Logf("%d steps, %d outcomes: %d old, %d new, %d neither", d.Steps(), n, lost, fresh, torn)
			if (torn > 0) != tt.torn {
				t.Errorf("%d outcomes with neither the old nor the new file", torn)
			}
			names, sure := d.names(len(d.steps))
			if unsure := len(names) - sure; (unsure > 0) != tt.lost {
				t.Errorf("%d changed names may be lost after it returned", unsure)
			}
		})
	}
}

func TestADiskHasOneFolder(t *testing.T) {
	d, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.CreateTemp(t.TempDir(), "x-*"); err == nil {
		t.Error("a file of another folder would not be followed")
	}
	if _, err := New(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a folder that is not there")
	}
}
