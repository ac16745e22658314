// Package config reads and writes the user's settings, and says where everything of one home lies.
//
// A home is one folder: settings.json, device.key and porchlight.db. What the user decided is there twice, so that one damaged
// file takes nothing with it: settings.json.bak, device.key.bak and porchlight.db.shares. Only the socket other processes of the user
// connect to lives elsewhere, in the runtime folder, because paths of sockets are short.
package config

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Dirs names the folders of this user that matter before any settings are read. All are absolute.
type Dirs struct {
	Data      string // parent of the default home
	Config    string // where the desktop keeps its user-dirs.dirs
	Downloads string // the user's folder for downloads
}

// Files of a home.
const (
	settingsFile = "settings.json"
	databaseFile = "porchlight.db"
	lockFile     = "lock"
)

// DatabasePath returns the path of the database of a home.
func DatabasePath(home string) string { return filepath.Join(home, databaseFile) }

// SettingsPath returns the path of the settings of a home.
func SettingsPath(home string) string { return filepath.Join(home, settingsFile) }

// UserDirs finds the folders by the XDG rules; macOS and Windows have their own places.
// getenv is os.Getenv but in tests.
func UserDirs(getenv func(string) string) (Dirs, error) {
	user, err := os.UserHomeDir()
	if h := getenv("HOME"); runtime.GOOS != "windows" && filepath.IsAbs(h) {
		user, err = h, nil
	}
	if err != nil {
		return Dirs{}, fmt.Errorf("find the user's folder: %w", err)
	}
	d := Dirs{Downloads: filepath.Join(user, "Downloads")}
	switch runtime.GOOS {
	case "windows":
		d.Data = absOr(getenv("LocalAppData"), filepath.Join(user, "AppData", "Local"))
		d.Config = d.Data
	case "darwin":
		d.Data = filepath.Join(user, "Library", "Application Support")
		d.Config = d.Data
	default:
		d.Data = absOr(getenv("XDG_DATA_HOME"), filepath.Join(user, ".local", "share"))
		d.Config = absOr(getenv("XDG_CONFIG_HOME"), filepath.Join(user, ".config"))
		d.Downloads = absOr(getenv("XDG_DOWNLOAD_DIR"), downloadDir(d.Config, user, d.Downloads))
	}
	return d, nil
}

// absOr returns dir, or other when dir is not absolute: the XDG rules have relative values ignored.
func absOr(dir, other string) string {
	if filepath.IsAbs(dir) {
		return filepath.Clean(dir)
	}
	return other
}

// downloadDir reads XDG_DOWNLOAD_DIR out of user-dirs.dirs, where desktops keep it: a line NAME="$HOME/Folder".
func downloadDir(config, user, other string) string {
	f, err := os.Open(filepath.Join(config, "user-dirs.dirs"))
	if err != nil {
		return other
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		value, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "XDG_DOWNLOAD_DIR=")
		if !ok {
			continue
		}
		value = strings.Trim(value, `"`)
		if below, ok := strings.CutPrefix(value, "$HOME"); ok {
			value = user + below
		}
		// A desktop writes "$HOME/" for "no such folder"; a download must not land among everything else.
		if value = absOr(value, other); value != filepath.Clean(user) {
			return value
		}
	}
	return other
}

// DefaultHome returns the home of a user who names none.
func DefaultHome() (string, error) {
	d, err := UserDirs(os.Getenv)
	if err != nil {
		return "", err
	}
	return d.Home(), nil
}

// Home returns the default home below d.
func (d Dirs) Home() string {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return filepath.Join(d.Data, "Porchlight")
	}
	return filepath.Join(d.Data, "porchlight")
}

// Resolve returns the one spelling of a home's path: absolute, and without links as far as it exists already.
// Locks and sockets are named after it, so that two spellings of a folder are one home.
func Resolve(home string) (string, error) {
	if home == "" {
		return "", errors.New("no home given")
	}
	abs, err := filepath.Abs(home)
	if err != nil {
		return "", fmt.Errorf("resolve the home: %w", err)
	}
	rest := ""
	for dir := abs; ; {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(real, rest), nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return abs, nil
		}
		rest, dir = filepath.Join(filepath.Base(dir), rest), up
	}
}
