//go:build !headless

package app

import (
	"context"
	"errors"
	"sync"

	"porchlight/app/config"
	"porchlight/app/desktop"
)

// desk is how the program lives on this desktop (viewmodel.Desk).
type desk struct {
	home    string
	program desktop.Program
	own     func() bool

	mu    sync.Mutex // guards the field below
	keeps bool
}

func newDesk(home string, s config.Settings, own func() bool) (*desk, error) {
	usual, err := config.DefaultHome()
	if err != nil {
		return nil, err
	}
	if usual, err = config.Resolve(usual); err != nil {
		return nil, err
	}
	p, err := desktop.This(home, home == usual, true)
	return &desk{home: home, program: p, own: own, keeps: !s.QuitOnClose}, err
}

// Own reports whether the engine runs in this process.
func (d *desk) Own() bool { return d.own() }

// KeepsRunning reports whether sharing goes on when the window is closed.
func (d *desk) KeepsRunning() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.keeps
}

// SetKeepRunning decides that.
func (d *desk) SetKeepRunning(ctx context.Context, on bool) error {
	_, err := config.Update(ctx, d.home, func(s *config.Settings) error {
		s.QuitOnClose = !on
		return nil
	})
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keeps = on
	return nil
}

// Starts reports whether the program starts with the computer, and whether that can be arranged.
func (d *desk) Starts() (on, able bool) {
	on, err := d.program.Starts()
	return on, err == nil
}

// SetStarts decides that.
func (d *desk) SetStarts(_ context.Context, on bool) error { return d.program.SetStarts(on) }

var errSaid = errors.New("said already")

// FirstClose reports whether it was never said that sharing goes on, and notes that it is.
func (d *desk) FirstClose(ctx context.Context) bool {
	_, err := config.Update(ctx, d.home, func(s *config.Settings) error {
		if s.SaidKeep {
			return errSaid
		}
		s.SaidKeep = true
		return nil
	})
	return err == nil
}
