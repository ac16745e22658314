//go:build linux && lab

package labtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"porchlight/app/doctor"
)

// tree lists what lies below a folder: the path of each, and of files the content too.
func tree(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		line := strings.TrimPrefix(path, dir) + " " + e.Type().String()
		if e.Type().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += " " + string(data)
		}
		out = append(out, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPurgeLeavesNothing: a user who is new to everything uses Porchlight and removes it. What lies there afterwards is what lay
// there before, and what was pulled.
func TestPurgeLeavesNothing(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	for name, text := range map[string]string{"Documents/letter.txt": "mine", "Music/a.mp3": "la", ".bashrc": "alias l=ls", "tmp/x": "x"} {
		if err := os.MkdirAll(filepath.Dir(anna.Path(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(anna.Path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, bo.Path("big", "big.bin"), 32*mib, 4)
	before := tree(t, anna.Dir)
	anna.home = anna.Path(".local", "share", "porchlight") // where it is for everybody
	serveAll(t, devices)
	bo.Share(t, bo.Path("big"), "big")
	bo.Shape("2mbit")
	anna.Share(t, anna.Path("Music"), "Music")
	anna.Must(t, commandLimit, "get", bo.At("big"), "-o", anna.Path("Documents"), "--detach")
	eventually(t, commandLimit, "a pull is half done", func() bool { n, _, err := anna.Progress(); return n > 0 && err == nil })
	anna.Must(t, commandLimit, "service", "install")
	anna.Names(t, doctor.ReachGood, doctor.Good, "bo")
	if out, err := anna.Run(commandLimit, "purge", "--yes"); err == nil {
		t.Errorf("it was removed while it ran: %s", out)
	}
	anna.Quit(t)
	during := tree(t, anna.Dir)
	if len(during) < len(before)+10 {
		t.Fatalf("nothing was written: %q", during)
	}
	anna.Must(t, commandLimit, "purge")
	if got := tree(t, anna.Dir); !slices.Equal(got, during) {
		t.Errorf("asking for a list changed something")
	}
	anna.Must(t, commandLimit, "purge", "--yes")
	after := slices.DeleteFunc(tree(t, anna.Dir), func(line string) bool {
		return strings.HasPrefix(line, "/log ") || strings.HasPrefix(line, "/Documents/big d") // of the row, and what was asked for
	})
	for _, line := range after {
		if !slices.Contains(before, line) {
			t.Errorf("left behind: %.200s", line)
		}
	}
	for _, line := range before {
		if !slices.Contains(after, line) {
			t.Errorf("of the user, and gone: %.200s", line)
		}
	}
	figure(t, "purge: %d paths before, %d in use, %d after", len(before), len(during), len(after))
}
