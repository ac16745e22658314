package desktop

import (
	"errors"
	"os/exec"
	"path/filepath"
)

// agent returns the path of a LaunchAgent of the user.
func (p Program) agent(kind string) (path, label string, err error) {
	home := p.Getenv("HOME")
	if !filepath.IsAbs(home) {
		return "", "", errors.New("there is no folder of the user: HOME is not set")
	}
	label = "org.porchlight." + p.name() + kind
	return filepath.Join(home, "Library", "LaunchAgents", label+".plist"), label, nil
}

const (
	login   = ".login"
	service = ".service"
)

// Starts reports whether the program starts with the computer.
func (p Program) Starts() (bool, error) {
	path, _, err := p.agent(login)
	return err == nil && len(there(path)) > 0, err
}

// SetStarts has the program start with the computer, or not.
func (p Program) SetStarts(on bool) error {
	path, label, err := p.agent(login)
	if err != nil {
		return err
	}
	if on {
		return write(path, []byte(launchAgent(label, p.Path, p.loginArgs(), false)))
	}
	_, err = remove(path)
	return err
}

// InstallService has the program serve whenever the user is logged in. What it says must still be started.
func (p Program) InstallService() (Installed, error) {
	path, label, err := p.agent(service)
	if err != nil {
		return Installed{}, err
	}
	if err := write(path, []byte(launchAgent(label, p.Path, p.serveArgs(), true))); err != nil {
		return Installed{}, err
	}
	return p.commands(Installed{Files: []string{path}}, path, label), nil
}

// RemoveService undoes InstallService.
func (p Program) RemoveService() (Installed, error) {
	path, label, err := p.agent(service)
	if err != nil {
		return Installed{}, err
	}
	gone, err := removeAll(path)
	return p.commands(Installed{Files: gone}, path, label), err
}

// Service returns what of the service is there.
func (p Program) Service() (Installed, error) {
	path, label, err := p.agent(service)
	if err != nil {
		return Installed{}, err
	}
	return p.commands(Installed{Files: there(path)}, path, label), nil
}

func (p Program) commands(i Installed, path, label string) Installed {
	i.Start, i.Stop = agentCommands(path, label)
	if _, err := exec.LookPath("launchctl"); err != nil {
		i.Missing = "launchctl"
	}
	return i
}

// entries lists what is there of this package.
func (p Program) entries() (out []string) {
	for _, kind := range []string{login, service} {
		if path, _, err := p.agent(kind); err == nil {
			out = append(out, there(path)...)
		}
	}
	return out
}

// erase removes one of entries.
func (p Program) erase(trace string) error {
	_, err := remove(trace)
	return err
}
