package config

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"porchlight/discovery"
	"porchlight/transfer"
)

func env(m map[string]string) func(string) string { return func(k string) string { return m[k] } }

func TestUserDirsFollowXDG(t *testing.T) {
	if os.PathSeparator != '/' {
		t.Skip("the XDG rules are for Unix")
	}
	home := t.TempDir()
	d, err := UserDirs(env(map[string]string{"HOME": home, "XDG_DATA_HOME": "relative"}))
	if err != nil {
		t.Fatal(err)
	}
	if d.Downloads != filepath.Join(home, "Downloads") || !strings.HasPrefix(d.Home(), home) {
		t.Errorf("defaults: %+v", d)
	}
	if d.Config != filepath.Join(home, ".config") {
		t.Skip("user-dirs.dirs is read on free desktops only")
	}
	if err := os.Mkdir(d.Config, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ line, want string }{
		{`XDG_DOWNLOAD_DIR="$HOME/Heruntergeladen"`, home + "/Heruntergeladen"},
		{`XDG_DOWNLOAD_DIR="/data/in"`, "/data/in"},
		{`XDG_DOWNLOAD_DIR="$HOME/"`, home + "/Downloads"},
		{`#XDG_DOWNLOAD_DIR="/x"`, home + "/Downloads"},
	} {
		if err := os.WriteFile(filepath.Join(d.Config, "user-dirs.dirs"), []byte("# c\n"+tt.line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := UserDirs(env(map[string]string{"HOME": home}))
		if err != nil || got.Downloads != tt.want {
			t.Errorf("%s: %q %v, want %q", tt.line, got.Downloads, err, tt.want)
		}
	}
	got, err := UserDirs(env(map[string]string{"HOME": home, "XDG_DATA_HOME": "/d", "XDG_DOWNLOAD_DIR": "/dl"}))
	if err != nil || got.Home() != "/d/porchlight" || got.Downloads != "/dl" {
		t.Errorf("from the environment: %+v %v", got, err)
	}
}

func TestResolveKnowsOneSpelling(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "real"), filepath.Join(dir, "link")); err != nil {
		t.Skip("no links here:", err)
	}
	for _, tt := range []struct{ in, want string }{
		{"real", "real"}, {"link", "real"}, {"link/../real/", "real"}, {"link/new/home", "real/new/home"}, {"none/x", "none/x"},
	} {
		got, err := Resolve(dir + "/" + tt.in)
		if err != nil || got != filepath.Join(dir, filepath.FromSlash(tt.want)) {
			t.Errorf("%s: %s %v", tt.in, got, err)
		}
	}
	if _, err := Resolve(""); err == nil {
		t.Error("no home was taken")
	}
}

func TestSocketPath(t *testing.T) {
	rt := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", rt)
	t.Setenv("TMPDIR", rt)
	t.Setenv("LocalAppData", rt)
	if err := os.Chmod(rt, 0o700); err != nil {
		t.Fatal(err)
	}
	a, err := SocketPath(filepath.Join(rt, "a"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := SocketPath(filepath.Join(rt, strings.Repeat("long", 60)))
	if err != nil {
		t.Fatal(err)
	}
	again, err := SocketPath(filepath.Join(rt, "x", "..", "a"))
	if err != nil {
		t.Fatal(err)
	}
	if a == b || a != again || len(a) > maxSocket || len(b) > maxSocket {
		t.Errorf("%q %q %q", a, b, again)
	}
	found, err := FindSockets(filepath.Join(rt, "a"))
	if err != nil || len(found) == 0 || found[0] != a {
		t.Errorf("found %q %v, want %q first", found, err, a)
	}
}

func TestSocketPathRefusesAnOpenFolder(t *testing.T) {
	if os.PathSeparator != '/' {
		t.Skip("Windows keeps sockets under the user's own LocalAppData")
	}
	rt := t.TempDir()
	t.Setenv("XDG_RUNTIME_DIR", rt)
	t.Setenv("TMPDIR", rt)
	dir := filepath.Join(rt, "porchlight")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if p, err := SocketPath(rt); err == nil && strings.HasPrefix(p, dir) {
		t.Errorf("%s lies in a folder open to others", p)
	}
	if err := errors.Join(os.Remove(dir), os.Symlink(t.TempDir(), dir)); err != nil {
		t.Fatal(err)
	}
	if p, err := SocketPath(rt); err == nil && strings.HasPrefix(p, dir) {
		t.Errorf("%s lies behind a link", p)
	}
}

func TestLock(t *testing.T) {
	home := filepath.Join(t.TempDir(), "new", "home")
	a, err := Lock(home)
	if err != nil {
		t.Fatal(err)
	}
	if a.Home() != home {
		t.Error("the lock is of", a.Home())
	}
	if _, err := Lock(home); !errors.Is(err, ErrLocked) {
		t.Errorf("second lock: %v", err)
	}
	if err := a.Release(); err != nil {
		t.Fatal(err)
	}
	b, err := Lock(home)
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	if err := b.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestLegalName(t *testing.T) {
	for _, tt := range []struct{ host, want string }{
		{"anna-pc", "anna-pc"}, {"anna.local", "anna"}, {"", "Computer"}, {".x", ".x"}, {" a\u202eb\n", "ab"},
		{strings.Repeat("ü", 40), strings.Repeat("ü", 32)}, {strings.Repeat("x", 63) + "ü", strings.Repeat("x", 63)}, {"\xff", "Computer"},
	} {
		if got := legalName(tt.host); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.host, got, tt.want)
		}
	}
}

func TestSettingsRoundAndUnknownFields(t *testing.T) {
	home := t.TempDir()
	first, restored, err := Load(home)
	if err != nil || restored || first.Check() != nil || first.Workgroup != "WORKGROUP" || first.Network != discovery.Home {
		t.Fatalf("defaults: %+v %v %v", first, restored, err)
	}
	if _, err := os.Stat(SettingsPath(home)); err == nil {
		t.Error("reading wrote a file")
	}
	if err := os.WriteFile(SettingsPath(home), []byte(`{"name":"Bo","network":"space","port":-4,"theme":"dark","queue_held":true,"limit_up":7,"limit_down":2000000,"from_the_future":{"a":[1]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _, err := Load(home)
	if err != nil || s.Name != "Bo" || s.Network != discovery.Public || s.Port != 0 || s.Theme != ThemeDark || !s.QueueHeld || s.Limits() != (transfer.Limits{}) || s.Workgroup != "WORKGROUP" {
		t.Fatalf("mended: %+v %v", s, err)
	}
	if err := Save(home, s); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(SettingsPath(home))
	if err != nil || !strings.Contains(string(data), "from_the_future") || !json.Valid(data) {
		t.Errorf("%s %v", data, err)
	}
	if fi, err := os.Stat(SettingsPath(home)); err != nil || os.PathSeparator == '/' && fi.Mode().Perm() != 0o600 {
		t.Error("settings are open to others", fi.Mode(), err)
	}
	s.SetLimits(transfer.Limits{Up: 2_000_000, From: 60, Until: 120})
	if err := Save(home, s); err != nil {
		t.Fatal(err)
	}
	if again, _, err := Load(home); err != nil || again.Limits() != s.Limits() || !again.QueueHeld {
		t.Errorf("%+v, %v", again.Limits(), err)
	}
	s.SetLimits(transfer.Limits{Down: 5})
	if err := Save(home, s); !errors.Is(err, transfer.ErrLimits) {
		t.Error("a limit of five bytes was saved:", err)
	}
	s.SetLimits(transfer.Limits{})
	s.Name = ""
	if err := Save(home, s); !errors.Is(err, discovery.ErrName) {
		t.Error("an empty name was saved:", err)
	}
}

func TestDamagedSettingsFallBack(t *testing.T) {
	home := t.TempDir()
	s, _, err := Load(home)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "two"} {
		s.Name = name
		if err := Save(home, s); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{"", "{", `{"name":3}`} {
		if err := os.WriteFile(SettingsPath(home), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		got, restored, err := Load(home)
		if err != nil || !restored || got.Name != "one" {
			t.Errorf("%q: %+v %v %v", bad, got, restored, err)
		}
	}
	if err := Save(home, s); err != nil {
		t.Fatal(err)
	}
	if old, err := read(SettingsPath(home) + ".bak"); err != nil || old.Name != "one" {
		t.Errorf("a damaged file replaced the previous settings: %+v %v", old, err)
	}
	for _, f := range []string{SettingsPath(home), SettingsPath(home) + ".bak"} {
		if err := os.WriteFile(f, []byte("\x00"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := Load(home); !errors.Is(err, ErrDamaged) {
		t.Error("both damaged:", err)
	}
}

func TestUpdateLosesNothing(t *testing.T) {
	home := t.TempDir()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := Update(t.Context(), home, func(s *Settings) error { s.Port++; return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s, _, err := Load(home); err != nil || s.Port != 8 {
		t.Errorf("%d of 8 updates are there: %v", s.Port, err)
	}
	no := errors.New("no")
	if _, err := Update(t.Context(), home, func(*Settings) error { return no }); !errors.Is(err, no) {
		t.Error(err)
	}
	if entries, err := filepath.Glob(filepath.Join(home, ".settings-*")); err != nil || len(entries) > 0 {
		t.Error("left behind:", entries, err)
	}
}

// TestOldHomesStayOpen: settings that say nothing of it are of a device in the open workgroup, and leaving it is kept.
func TestOldHomesStayOpen(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(SettingsPath(home), []byte(`{"name":"anna","workgroup":"HOME","network":"home"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _, err := Load(home)
	if err != nil || s.Private || s.Workgroup != "HOME" {
		t.Fatalf("%+v, %v", s, err)
	}
	for _, private := range []bool{true, false} {
		if _, err := Update(t.Context(), home, func(s *Settings) error { s.Private = private; return nil }); err != nil {
			t.Fatal(err)
		}
		if s, _, err = Load(home); err != nil || s.Private != private || s.Workgroup != "HOME" || len(s.unknown) != 0 {
			t.Errorf("%+v, %v", s, err)
		}
	}
}
