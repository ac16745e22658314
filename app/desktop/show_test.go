package desktop

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatShowsAPath(t *testing.T) {
	for _, tt := range []struct {
		system, path string
		dir          bool
		want         []string // the beginnings
	}{
		{"linux", "/dl/films", true, []string{"xdg-open /dl/films"}},
		{"linux", "/dl/a b.txt", false, []string{"dbus-send --session --print-reply", "gdbus call --session", "xdg-open /dl"}},
		{"freebsd", "/dl", true, []string{"xdg-open /dl"}},
		{"darwin", "/dl/a b.txt", false, []string{"open -R /dl/a b.txt"}},
		{"darwin", "/dl", true, []string{"open /dl"}},
		{"windows", "/dl/a b.txt", false, []string{`explorer /select,"/dl/a b.txt"`}},
		{"darwin", "/dl/Holiday.app", true, []string{"open -R /dl/Holiday.app"}},
		{"windows", "/dl", true, []string{`explorer "/dl"`}},
		{"windows", "/dl/a,/root,b", true, []string{`explorer "/dl/a,/root,b"`}},
	} {
		if tt.system != "windows" && runtime.GOOS == "windows" {
			continue // paths of the other kind
		}
		got := showers(tt.system, tt.path, tt.dir)
		if len(got) != len(tt.want) {
			t.Errorf("%s %s: %q", tt.system, tt.path, got)
			continue
		}
		for i, want := range tt.want {
			if line := strings.Join(got[i], " "); !strings.HasPrefix(line, want) {
				t.Errorf("%s %s: %q", tt.system, tt.path, line)
			}
		}
	}
	if got, want := fileURI("/dl/it's, [1] 100 % ünï?#.txt"), "file:///dl/it%27s%2C%20%5B1%5D%20100%20%25%20%C3%BCn%C3%AF%3F%23.txt"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestShowAsksTheFileManager has programs of its own stand for those of the system.
func TestShowAsksTheFileManager(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the programs are those of Linux")
	}
	bin, dir := t.TempDir(), t.TempDir()
	said := filepath.Join(dir, "said")
	program := func(name, script string) {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\necho \"$0 $*\" >>'"+said+"'\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	file := filepath.Join(dir, "a, b.txt")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	asked := func() (names []string) {
		data, err := os.ReadFile(said)
		if err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(said)
		for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
			names = append(names, strings.Replace(strings.Replace(line, bin+"/", "", 1), dir, "DIR", 1))
		}
		return names
	}
	for _, tt := range []struct {
		name      string
		bus, exit string
		path      string
		want      []string // how the lines begin
	}{
		{"a file, with a file manager", "exit 0", "exit 0", file, []string{"dbus-send"}},
		{"a file, without one", "exit 1", "exit 0", file, []string{"dbus-send", "gdbus", "xdg-open DIR"}},
		{"a folder", "exit 0", "exit 0", dir, []string{"xdg-open DIR"}},
	} {
		program("dbus-send", tt.bus)
		program("gdbus", tt.bus)
		program("xdg-open", tt.exit)
		if err := Show(t.Context(), tt.path); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		var got []string
		for i, line := range asked() {
			if i < len(tt.want) && strings.HasPrefix(line, tt.want[i]) {
				line = tt.want[i]
			}
			got = append(got, line)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
	for _, name := range []string{"dbus-send", "gdbus", "xdg-open"} {
		program(name, "exit 3")
	}
	exit := new(exec.ExitError)
	if err := Show(t.Context(), file); !errors.As(err, &exit) {
		t.Errorf("nothing works, and that is %v", err)
	}
	if err := Show(t.Context(), "relative"); !errors.Is(err, os.ErrInvalid) {
		t.Error(err)
	}
	if err := Show(t.Context(), filepath.Join(dir, "gone")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
