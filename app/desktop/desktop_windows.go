package desktop

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/windows/registry"
)

const (
	runKey   = `Software\Microsoft\Windows\CurrentVersion\Run`
	runTrace = `HKEY_CURRENT_USER\` + runKey + `\`
)

// Starts reports whether the program starts with the computer.
func (p Program) Starts() (bool, error) {
	k, err := registry.OpenKey(registry.CURRENT_USER, runKey, registry.QUERY_VALUE)
	if errors.Is(err, registry.ErrNotExist) {
		return false, nil // nothing of this user starts
	}
	if err != nil {
		return false, err
	}
	defer k.Close() //nolint:errcheck // it was only read
	_, _, err = k.GetStringValue(p.name())
	if errors.Is(err, registry.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// SetStarts has the program start with the computer, or not.
func (p Program) SetStarts(on bool) error {
	k, _, err := registry.CreateKey(registry.CURRENT_USER, runKey, registry.SET_VALUE)
	if err != nil {
		return err
	}
	if on {
		words := []string{windowsWord(p.Path)}
		for _, a := range p.loginArgs() {
			words = append(words, windowsWord(a))
		}
		err = k.SetStringValue(p.name(), strings.Join(words, " "))
	} else if err = k.DeleteValue(p.name()); errors.Is(err, registry.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, k.Close())
}

// task is the file that describes the task. It stays as long as the scheduler has the task, and says that it has.
func (p Program) task() string { return filepath.Join(p.Home, "service.xml") }

// taskTime bounds one order to the scheduler.
const taskTime = 20 * time.Second

// schedule gives the scheduler an order, and returns what it says when it refuses.
func schedule(args []string) error {
	cmd := exec.Command("schtasks", args...) //nolint:noctx // the timer below ends it
	Unseen(cmd)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return err
	}
	late := time.AfterFunc(taskTime, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("schtasks: %w: %s", err, strings.TrimSpace(said.String()))
	}
	return nil
}

// InstallService has the program serve whenever the user is logged on.
func (p Program) InstallService() (Installed, error) {
	user := p.Getenv("USERNAME")
	if d := p.Getenv("USERDOMAIN"); d != "" {
		user = d + `\` + user
	}
	if err := write(p.task(), utf16File(scheduledTask(user, p.Path, p.serveArgs()))); err != nil {
		return Installed{}, err
	}
	add, _ := taskCommands(p.name(), p.task())
	if err := schedule(add); err != nil {
		_, gone := remove(p.task())
		return Installed{}, errors.Join(err, gone)
	}
	return p.commands(Installed{Files: []string{p.task()}}), nil
}

// RemoveService undoes InstallService. It ends the service, too.
func (p Program) RemoveService() (Installed, error) {
	if len(there(p.task())) > 0 {
		_, orders := taskCommands(p.name(), p.task())
		for _, o := range orders {
			_ = schedule(o) // it does not run, or somebody took it out by hand
		}
	}
	gone, err := removeAll(p.task())
	return p.commands(Installed{Files: gone}), err
}

// Service returns what of the service is there.
func (p Program) Service() (Installed, error) {
	return p.commands(Installed{Files: there(p.task())}), nil
}

func (p Program) commands(i Installed) Installed {
	i.Start, i.Stop = "schtasks /Run /TN "+p.name(), "schtasks /End /TN "+p.name()
	if _, err := exec.LookPath("schtasks"); err != nil {
		i.Missing = "schtasks"
	}
	return i
}

// entries lists what is there of this package.
func (p Program) entries() []string {
	out := there(p.task())
	if on, err := p.Starts(); err == nil && on {
		out = append(out, runTrace+p.name())
	}
	return out
}

// erase removes one of entries.
func (p Program) erase(trace string) error {
	if strings.HasPrefix(trace, runTrace) {
		return p.SetStarts(false)
	}
	_, err := p.RemoveService()
	return err
}
