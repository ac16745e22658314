package safefs

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Why is the reason of a refusal. The words for it are in the catalogue, under "refusal.".
type Why string

// Why places are refused.
const (
	WhyRelative Why = "relative"     // not the full path of a folder
	WhyMissing  Why = "missing"      // no such folder
	WhyClosed   Why = "closed"       // it cannot be opened
	WhyFile     Why = "file"         // a file, not a folder
	WhyOwn      Why = "own"          // Porchlight keeps its keys and settings in it
	WhyOurs     Why = "ours"         // it is inside of what Porchlight keeps
	WhySystem   Why = "system"       // it belongs to the system
	WhyAll      Why = "whole-system" // it holds the whole system
	WhyHomes    Why = "homes"        // it holds the homes of all users
	WhyHome     Why = "home"         // it is a whole home, with keys and passwords in it
	WhySecrets  Why = "secrets"      // programs keep keys, passwords or private data there
	WhyStart    Why = "start"        // programs in it start by themselves
)

// CheckShareable refuses folders that must never be shared: those of the system, whole homes, where keys and passwords are kept, and Porchlight's own
// (own; also above them). dir is what a person chose; links in it are resolved, and both what was chosen and where it leads must pass.
// The error is a *Refusal, which is ErrNotShareable.
func CheckShareable(dir string, own []string) error {
	if !filepath.IsAbs(dir) {
		return refused(dir, WhyRelative)
	}
	fi, err := os.Stat(dir)
	switch {
	case os.IsNotExist(err):
		return refused(dir, WhyMissing)
	case err != nil:
		return refused(dir, WhyClosed)
	case !fi.IsDir():
		return refused(dir, WhyFile)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return refused(dir, WhyClosed)
	}
	for _, d := range []string{filepath.Clean(dir), real} {
		if why := forbidden(d); why != "" {
			return refused(dir, why)
		}
	}
	if why := pseudo(real); why != "" {
		return refused(dir, why)
	}
	for _, o := range own {
		if within(fi, o) {
			return refused(dir, WhyOwn)
		}
		if oi, err := os.Stat(o); err == nil && within(oi, real) {
			return refused(dir, WhyOurs)
		}
	}
	return nil
}

// Refusal says that a place is not shared, and why. It is ErrNotShareable.
type Refusal struct {
	Place string // what the person chose
	Why   Why
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s %v: %s", r.Place, ErrNotShareable, r.Why) }

// Unwrap makes every refusal an ErrNotShareable.
func (r *Refusal) Unwrap() error { return ErrNotShareable }

func refused(dir string, why Why) error { return &Refusal{Place: dir, Why: why} }

// within reports whether path is the folder that fi describes, or lies in it. Files are compared, not names: names differ in case and by links.
func within(fi os.FileInfo, path string) bool {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	for {
		if at, err := os.Stat(path); err == nil && os.SameFile(at, fi) {
			return true
		}
		up := filepath.Dir(path)
		if up == path {
			return false
		}
		path = up
	}
}

// forbidden says why a place is never shared, "" if it may be.
func forbidden(dir string) Why {
	if filepath.Dir(dir) == dir {
		if why := forbiddenRoot(dir); why != "" {
			return why
		}
	}
	places := systemPlaces()
	for at, exact := dir, true; filepath.Dir(at) != at; at, exact = filepath.Dir(at), false {
		key := filepath.ToSlash(at)
		if runtime.GOOS != "linux" {
			key = strings.ToLower(key)
		}
		p, ok := places[key]
		if ok && p.open {
			break // what lies here may be shared though what is above may not
		}
		if ok && (exact || p.deep) {
			return p.why
		}
		if why := secret(filepath.ToSlash(filepath.Dir(at)), filepath.Base(at)); why != "" {
			return why
		}
	}
	if isHome(dir) {
		return WhyHome
	}
	return ""
}

// isHome knows the home of this user, and those beside it.
func isHome(dir string) bool {
	if home, err := os.UserHomeDir(); err == nil && filepath.Clean(home) == dir {
		return true
	}
	switch parent := strings.ToLower(filepath.ToSlash(filepath.Dir(dir))); runtime.GOOS {
	case "windows":
		return len(parent) == len("c:/users") && parent[1:] == ":/users" && !strings.EqualFold(filepath.Base(dir), "Public")
	case "darwin":
		return parent == "/users" && filepath.Base(dir) != "Shared"
	default:
		return parent == "/home"
	}
}

// place is a rule about a folder.
type place struct {
	why  Why
	deep bool // with everything below
	open bool // an exception: from here on down it may be shared
}

func exactly(why Why) place    { return place{why: why} }
func throughout(why Why) place { return place{why: why, deep: true} }

// secret says why a name below the folder dir (slash form) is never shown, wherever it lies; "" for all others.
func secret(dir, name string) Why {
	const longest = len("System Volume Information")
	if len(name) > longest || len(name) < 3 {
		return ""
	}
	parent := func(p string) bool {
		return len(dir) >= len(p) && strings.EqualFold(dir[len(dir)-len(p):], p) && (len(dir) == len(p) || dir[len(dir)-len(p)-1] == '/')
	}
	switch strings.ToLower(name) {
	case ".ssh", ".gnupg", ".pki", ".aws", ".azure", ".kube", ".password-store", ".netrc", ".git-credentials", ".pgpass", ".mozilla", ".thunderbird", "_netrc",
		"pagefile.sys", "hiberfil.sys", "swapfile.sys", "system volume information", "$recycle.bin":
		return WhySecrets
	case "keyrings", "kwalletd":
		if parent(".local/share") {
			return WhySecrets
		}
	case "google-chrome", "chromium", "bravesoftware", "microsoft-edge", "vivaldi", "opera", "gh", "gcloud", "rclone", "systemd", "autostart":
		if parent(".config") {
			return WhySecrets
		}
	case "keychains", "launchagents", "cookies", "mail", "safari":
		if parent("Library") {
			return WhySecrets
		}
	case "appdata":
		if len(dir) >= len("/users/") && strings.Contains(strings.ToLower(dir), "/users/") {
			return WhySecrets
		}
	case "startup":
		if parent("Start Menu/Programs") {
			return WhyStart
		}
	}
	return ""
}
