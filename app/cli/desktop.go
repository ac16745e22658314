package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"porchlight/app/config"
	"porchlight/app/control"
	"porchlight/app/desktop"
	"porchlight/discovery"
	"porchlight/discovery/identity"
)

// program is this program and the home it works for, as the desktop knows them.
func (c *call) program() (desktop.Program, error) {
	usual, err := config.DefaultHome()
	if err == nil {
		usual, err = config.Resolve(usual)
	}
	if err != nil {
		return desktop.Program{}, err
	}
	p, err := desktop.This(c.home, c.home == usual, false)
	if c.Getenv != nil {
		p.Getenv = c.Getenv
	}
	return p, err
}

type serviceRow struct {
	Installed bool     `json:"installed"`
	Running   bool     `json:"running"` // the engine of this home, as a service or not
	Files     []string `json:"files"`
	Start     string   `json:"start"`
	Stop      string   `json:"stop"`
	Missing   string   `json:"missing,omitempty"`
}

// serviceCall does one thing with the service and says what was done.
func serviceCall(title string, done func(desktop.Program) (desktop.Installed, error)) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		p, err := c.program()
		if err != nil {
			return err
		}
		i, err := done(p)
		if errors.Is(err, errors.ErrUnsupported) {
			return failed(exitFailed, err, "cli.error.no-service")
		}
		if err != nil {
			return err
		}
		installed, err := p.Service()
		if err != nil {
			return err
		}
		running := c.runs(ctx)
		if c.json {
			return c.object(serviceRow{len(installed.Files) > 0, running, nonNil(i.Files), i.Start, i.Stop, i.Missing})
		}
		return c.sayService(title, i, running)
	}
}

// runs reports whether an engine works for the home.
func (c *call) runs(ctx context.Context) bool {
	e, err := c.Connect(ctx, c.home)
	if err != nil {
		return false
	}
	if closer, ok := e.(io.Closer); ok {
		_ = closer.Close() // nothing is in use
	}
	return true
}

func (c *call) sayService(title string, i desktop.Installed, running bool) error {
	if len(i.Files) == 0 {
		return c.say("cli.service.none")
	}
	if err := c.say(title); err != nil {
		return err
	}
	for _, f := range i.Files {
		if _, err := fmt.Fprintln(c.Stdout, "  "+show(f)); err != nil {
			return err
		}
	}
	next, command := "cli.service.start", i.Start
	switch {
	case title == "cli.service.removed":
		next, command = "cli.service.stop", i.Stop
	case running:
		return c.say("cli.service.running")
	}
	if i.Missing != "" {
		return c.say("cli.service.missing", "Program", i.Missing, "Command", command)
	}
	return c.say(next, "Command", command)
}

// identityExport writes the identity to a file.
func identityExport(_ context.Context, c *call) error {
	i, err := identity.Export(c.home, c.args[0])
	if err != nil {
		return err
	}
	if c.json {
		return c.object(identityRow{i.ID().String(), c.args[0]})
	}
	return c.say("cli.identity.exported", "File", show(c.args[0]), "ID", i.ID().String())
}

// identityImport makes this home the one of an identity. No engine may run meanwhile.
func identityImport(_ context.Context, c *call) (err error) {
	lock, err := config.Lock(c.home)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	_, replace := c.flags["--replace"]
	i, err := identity.Import(c.home, c.args[0], replace)
	if err != nil {
		return err
	}
	if c.json {
		return c.object(identityRow{i.ID().String(), c.args[0]})
	}
	return c.say("cli.identity.imported", "File", show(c.args[0]), "ID", i.ID().String())
}

type identityRow struct {
	ID   string `json:"id"`
	File string `json:"file"`
}

type renewedRow struct {
	Renewed bool   `json:"renewed"`
	ID      string `json:"id,omitempty"`
}

// identityNew makes this computer a new one: the engine does it if one runs, as it must go on as the new one.
func identityNew(ctx context.Context, c *call) error {
	if !exists(c.home) {
		return failed(exitNotFound, identity.ErrMissing, "cli.error.no-key", "Why", show(c.home))
	}
	if _, yes := c.flags["--yes"]; !yes {
		if !c.json {
			return c.say("cli.identity.ask")
		}
		return c.object(renewedRow{})
	}
	id, err := c.renew(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.object(renewedRow{true, id.String()})
	}
	return c.say("cli.identity.new", "ID", id.String())
}

func (c *call) renew(ctx context.Context) (id discovery.DeviceID, err error) {
	e, err := c.Connect(ctx, c.home)
	if err == nil {
		if closer, ok := e.(io.Closer); ok {
			defer func() { err = errors.Join(err, closer.Close()) }()
		}
		return e.NewIdentity(ctx)
	}
	if !errors.Is(err, control.ErrNoEngine) {
		return id, err
	}
	lock, err := config.Lock(c.home)
	if err != nil {
		return id, err
	}
	i, err := identity.Renew(c.home)
	if err = errors.Join(err, lock.Release()); err != nil {
		return id, err
	}
	return i.ID(), nil
}
