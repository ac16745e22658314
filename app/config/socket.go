package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// maxSocket is the longest path of a socket that works everywhere: macOS has 104 bytes with the closing zero.
const maxSocket = 103

// ErrSocketPath says that no folder for the control socket is short, private and writable at once.
var ErrSocketPath = errors.New("no usable folder for the control socket")

// SocketPath returns the path of the control socket of a home and makes its folder, private to the user.
// The folder is the first usable one of RuntimeDirs. The name is made from the home's path.
func SocketPath(home string) (string, error) {
	name, err := socketName(home)
	if err != nil {
		return "", err
	}
	var why []error
	for _, dir := range RuntimeDirs(os.Getenv) {
		path := filepath.Join(dir, name)
		if len(path) > maxSocket {
			why = append(why, fmt.Errorf("%s is longer than %d bytes", path, maxSocket))
			continue
		}
		if err := privateDir(dir); err != nil {
			why = append(why, err)
			continue
		}
		return path, nil
	}
	return "", fmt.Errorf("%w: %w", ErrSocketPath, errors.Join(why...))
}

// FindSockets returns every place where the control socket of a home may be, likeliest first, and makes nothing.
// A service, a login shell and a cron job of one user see different environments; a client tries each place.
// Folders that are not private to this user are left out: somebody else could be listening there.
func FindSockets(home string) ([]string, error) {
	name, err := socketName(home)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, dir := range RuntimeDirs(os.Getenv) {
		path := filepath.Join(dir, name)
		if len(path) <= maxSocket && checkPrivate(dir) == nil {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

// RuntimeDirs returns the folders the control socket may be in, best first. They need not exist.
func RuntimeDirs(getenv func(string) string) []string {
	if runtime.GOOS == "windows" {
		var dirs []string
		for _, base := range []string{getenv("LocalAppData"), os.TempDir()} {
			if filepath.IsAbs(base) {
				dirs = append(dirs, filepath.Join(base, "Porchlight", "run"))
			}
		}
		return dirs
	}
	var dirs []string
	add := func(base, name string) {
		if dir := filepath.Join(base, name); filepath.IsAbs(base) && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	own := fmt.Sprintf("porchlight-%d", os.Getuid())
	if runtime.GOOS == "darwin" {
		add(getenv("TMPDIR"), "porchlight")
		add("/tmp", own)
		return dirs
	}
	add(getenv("XDG_RUNTIME_DIR"), "porchlight")
	add("/tmp", own)
	add(fmt.Sprintf("/run/user/%d", os.Getuid()), "porchlight") // where a service of the desktop put it, for a cron job
	return dirs
}

func socketName(home string) (string, error) {
	home, err := Resolve(home)
	if err != nil {
		return "", err
	}
	if runtime.GOOS == "windows" {
		home = strings.ToLower(home) // C:\Home and c:\home are one folder
	}
	sum := sha256.Sum256([]byte(home))
	return hex.EncodeToString(sum[:10]) + ".sock", nil // 80 bits tell a person's homes apart, and the path stays short
}

// privateDir makes dir with nobody else's access, or checks that it is like that already.
func privateDir(dir string) error {
	if runtime.GOOS == "windows" {
		return os.MkdirAll(dir, 0o700) // the user's own LocalAppData is private by its access list
	}
	err := os.Mkdir(dir, 0o700)
	if err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return checkPrivate(dir)
}
