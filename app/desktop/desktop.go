// Package desktop makes the program live on a desktop: it starts with the computer, runs as a service of the user, and keeps
// the computer awake while something moves.
//
// Only files are written, and entries of this user; nothing needs an administrator. What a system does not have returns
// errors.ErrUnsupported.
package desktop

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Program says what is started, for which home, and where the user's folders are.
type Program struct {
	Path   string              // absolute, of the program
	Home   string              // absolute
	Usual  bool                // Home is the one that is used when none is named
	Window bool                // the program has a window; otherwise it serves
	Getenv func(string) string // os.Getenv but in tests
}

// This returns the running program.
func This(home string, usual, window bool) (Program, error) {
	path, err := os.Executable()
	if err != nil {
		return Program{}, fmt.Errorf("find the program: %w", err)
	}
	return Program{Path: path, Home: home, Usual: usual, Window: window, Getenv: os.Getenv}, nil
}

// name names what is written for this home: each home has its own.
func (p Program) name() string {
	if p.Usual {
		return "porchlight"
	}
	sum := sha256.Sum256([]byte(p.Home))
	return "porchlight-" + hex.EncodeToString(sum[:4])
}

// loginArgs are the arguments of a start with the computer: no window in anybody's way.
func (p Program) loginArgs() []string {
	if p.Window {
		return append(p.home(), "--hidden")
	}
	return p.serveArgs()
}

// serveArgs are the arguments of the service.
func (p Program) serveArgs() []string { return append(p.home(), "serve") }

func (p Program) home() []string {
	if p.Usual {
		return nil
	}
	return []string{"--home", p.Home}
}

// toolkit lists what the window's toolkit keeps, and is there; it keeps that for all homes together.
func (p Program) toolkit() []string {
	if !p.Usual {
		return nil
	}
	var all []string
	for _, find := range []func() (string, error){os.UserConfigDir, os.UserCacheDir} {
		if dir, err := find(); err == nil {
			all = append(all, filepath.Join(dir, "fyne", appID))
			lists, _ := filepath.Glob(filepath.Join(dir, "font_index_v*.cache")) // of the fonts here; whoever else uses the toolkit makes it anew
			all = append(all, lists...)
		}
	}
	if home := p.Getenv("HOME"); filepath.IsAbs(home) {
		all = append(all, filepath.Join(home, "Library", "Preferences", "fyne", appID))
	}
	return there(all...)
}

// appID is the name of the program for its toolkit, as in FyneApp.toml.
const appID = "org.porchlight.Porchlight"

// Traces lists what is there of this package, and of the window.
func (p Program) Traces() []string { return append(p.entries(), p.toolkit()...) }

// Erase removes one of Traces.
func (p Program) Erase(trace string) error {
	if slices.Contains(p.toolkit(), trace) {
		return os.RemoveAll(trace)
	}
	return p.erase(trace)
}

// Installed says what was written, and what is left to do by hand.
type Installed struct {
	Files   []string // written, or removed
	Start   string   // a command that starts it now; empty where there is none
	Stop    string   // a command that stops it now
	Missing string   // the program that is needed and not there, as "systemctl"
}

// write makes a file and its folder, private to the user as far as it is new.
func write(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".porchlight-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // gone already when all went well
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// remove removes a file; done says that it was there.
func remove(path string) (done bool, err error) {
	switch err := os.Remove(path); {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	default:
		return false, err
	}
}

// removeAll removes files and returns those that were there.
func removeAll(paths ...string) (gone []string, err error) {
	var errs []error
	for _, p := range paths {
		done, err := remove(p)
		if done {
			gone = append(gone, p)
		}
		errs = append(errs, err)
	}
	return gone, errors.Join(errs...)
}

// there returns those of the paths that exist.
func there(paths ...string) (out []string) {
	for _, p := range paths {
		if _, err := os.Lstat(p); err == nil {
			out = append(out, p)
		}
	}
	return out
}
