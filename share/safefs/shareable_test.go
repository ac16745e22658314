package safefs

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"porchlight/share"
)

func TestCheckShareable(t *testing.T) {
	dir := plant(t, "photos/x", "home/porchlight/device.key", "home/.ssh/id", "file", "home/pictures/.config/autostart/")
	own := []string{filepath.Join(dir, "home", "porchlight")}
	for path, why := range map[string]Why{
		"photos": "", "home/pictures": "", "home/pictures/.config": "",
		"file": WhyFile, "nothing": WhyMissing, "home": WhyOwn, "home/porchlight": WhyOwn, ".": WhyOwn,
		"home/.ssh": WhySecrets, "home/pictures/.config/autostart": WhySecrets,
	} {
		expect(t, filepath.Join(dir, path), own, why)
	}
	expect(t, "photos", nil, WhyRelative)
	sub := filepath.Join(own[0], "sub")
	must(t, os.Mkdir(sub, 0o755))
	expect(t, sub, own, WhyOurs)
	if runtime.GOOS == "windows" {
		return // links need a right there
	}
	must(t, os.Symlink(own[0], filepath.Join(dir, "innocent")))
	expect(t, filepath.Join(dir, "innocent"), own, WhyOwn)
	must(t, os.Symlink(filepath.Join(dir, "photos"), filepath.Join(dir, "album")))
	expect(t, filepath.Join(dir, "album"), own, "")
}

func expect(t *testing.T, path string, own []string, why Why) {
	t.Helper()
	err := CheckShareable(path, own)
	var refusal *Refusal
	switch {
	case why == "" && err != nil:
		t.Errorf("%s: %v", path, err)
	case why != "" && (!errors.Is(err, ErrNotShareable) || !errors.As(err, &refusal) || refusal.Why != why || refusal.Place != path):
		t.Errorf("%s: %v, want %q", path, err, why)
	}
}

func TestSystemPlacesAreRefused(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the places of Linux")
	}
	t.Setenv("HOME", "/var/lib/somebody")
	for path, ok := range map[string]bool{
		"/": false, "/proc": false, "/proc/self": false, "/sys/kernel": false, "/dev": false, "/dev/shm": true, "/dev/shm/x": true, "/home": false, "/home/anna": false,
		"/home/anna/Pictures": true, "/root": false, "/root/music": true, "/etc": false, "/etc/ssl": false, "/usr": false, "/usr/share/doc": true, "/tmp": false, "/tmp/x": true,
		"/run": false, "/run/user/1000": false, "/run/media/anna/STICK": true, "/media/stick": true, "/mnt": true, "/srv": true, "/var/www": true, "/var/spool/cron": false,
		"/var/lib/somebody": false, "/home/anna/.ssh": false, "/home/anna/.gnupg/x": false, "/home/anna/.local/share/keyrings": false, "/home/anna/.config/autostart": false,
	} {
		if why := forbidden(path); (why == "") != ok {
			t.Errorf("%s: %q", path, why)
		}
	}
	for path, inside := range map[string]string{"/proc": "/proc/self", "/sys": "/sys/kernel"} {
		if _, err := os.Stat(inside); err != nil {
			continue // not mounted, as in some containers
		}
		if pseudo(path) == "" {
			t.Errorf("%s passes for a place of files", path)
		}
	}
}

// What is never shared is not there inside a larger share either.
func TestSecretsAreHidden(t *testing.T) {
	tr := tree(t, plant(t, "u/.ssh/id_rsa", "u/.config/chromium/Cookies", "u/.config/app/x", "chromium/x", "u/notes", "pagefile.sys", "u/.SSH2"))
	want := []string{"", "chromium", "chromium/x", "u", "u/.SSH2", "u/notes", "u/.config", "u/.config/app", "u/.config/app/x"}
	if diff := cmp.Diff(want, walkAll(t, tr, "")); diff != "" {
		t.Error(diff)
	}
	inner := tree(t, filepath.Join(tr.Dir(), "u", ".config"))
	if diff := cmp.Diff([]string{"", "app", "app/x"}, walkAll(t, inner, "")); diff != "" {
		t.Error("the folder above counts too:", diff)
	}
	for _, p := range []share.Path{"u/.ssh/id_rsa", "u/.Ssh/id_rsa", "u/.ssh", "u/.config/chromium/Cookies", "pagefile.sys"} {
		if err := second(tr.Open(p)); !errors.Is(err, ErrGone) {
			t.Errorf("open %q: %v", p, err)
		}
		if err := second(tr.Stat(p)); !errors.Is(err, ErrGone) {
			t.Errorf("stat %q: %v", p, err)
		}
	}
}
