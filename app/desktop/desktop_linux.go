package desktop

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// config returns a path in the folder for settings of programs.
func (p Program) config(names ...string) (string, error) {
	base := p.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(base) { // the XDG rules have relative values ignored
		home := p.Getenv("HOME")
		if !filepath.IsAbs(home) {
			return "", errors.New("there is no folder of the user: HOME is not set")
		}
		base = filepath.Join(home, ".config")
	}
	return filepath.Join(append([]string{base}, names...)...), nil
}

func (p Program) autostart() (string, error) { return p.config("autostart", p.name()+".desktop") }

// unit returns the service, and the link that has it start.
func (p Program) unit() (unit, link string, err error) {
	name := p.name() + ".service"
	if unit, err = p.config("systemd", "user", name); err != nil {
		return "", "", err
	}
	return unit, filepath.Join(filepath.Dir(unit), "default.target.wants", name), nil
}

// Starts reports whether the program starts with the computer.
func (p Program) Starts() (bool, error) {
	path, err := p.autostart()
	return err == nil && len(there(path)) > 0, err
}

// SetStarts has the program start with the computer, or not.
func (p Program) SetStarts(on bool) error {
	path, err := p.autostart()
	if err != nil {
		return err
	}
	if on {
		return write(path, []byte(desktopEntry(p.Path, p.loginArgs())))
	}
	_, err = remove(path)
	return err
}

// InstallService has the program serve whenever the user is logged in. What it says must still be started.
func (p Program) InstallService() (Installed, error) {
	unit, link, err := p.unit()
	if err != nil {
		return Installed{}, err
	}
	if err := write(unit, []byte(systemdUnit(p.Path, p.serveArgs()))); err != nil {
		return Installed{}, err
	}
	if err := os.MkdirAll(filepath.Dir(link), 0o700); err != nil {
		return Installed{}, err
	}
	if err := os.Symlink(unit, link); err != nil && !errors.Is(err, fs.ErrExist) { // what "systemctl enable" does
		return Installed{}, err
	}
	return p.commands(Installed{Files: []string{unit, link}}), nil
}

// RemoveService undoes InstallService.
func (p Program) RemoveService() (Installed, error) {
	unit, link, err := p.unit()
	if err != nil {
		return Installed{}, err
	}
	gone, err := removeAll(link, unit)
	return p.commands(Installed{Files: gone}), err
}

// Service returns what of the service is there.
func (p Program) Service() (Installed, error) {
	unit, link, err := p.unit()
	if err != nil {
		return Installed{}, err
	}
	return p.commands(Installed{Files: there(unit, link)}), nil
}

func (p Program) commands(i Installed) Installed {
	name := p.name() + ".service"
	i.Start = fmt.Sprintf("systemctl --user daemon-reload && systemctl --user start %s", name)
	i.Stop = fmt.Sprintf("systemctl --user stop %s; systemctl --user daemon-reload", name)
	if _, err := exec.LookPath("systemctl"); err != nil {
		i.Missing = "systemctl"
	}
	return i
}

// entries lists what is there of this package.
func (p Program) entries() []string {
	var out []string
	if path, err := p.autostart(); err == nil {
		out = append(out, there(path)...)
	}
	if unit, link, err := p.unit(); err == nil {
		out = append(out, there(link, unit)...)
	}
	return out
}

// erase removes one of entries.
func (p Program) erase(trace string) error {
	_, err := remove(trace)
	return err
}
