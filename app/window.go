//go:build !headless

package app

import (
	"context"
	"errors"
	"sync"
	"time"

	fyneapp "fyne.io/fyne/v2/app"

	"porchlight/app/config"
	"porchlight/app/control"
	"porchlight/app/engine"
	"porchlight/app/gui"
	"porchlight/app/viewmodel"
)

// openWindow shows the window of a home and returns when it was closed or ctx ended. It must run on the main goroutine. Where
// a service works for the home already the window is one more client of it; otherwise the engine runs in this process, and
// has ended when openWindow returns.
func openWindow(ctx context.Context, version, home string) error {
	settings, _, err := config.Load(home)
	if err != nil {
		return err
	}
	log := logger()
	w := &windowEngine{cfg: engine.Config{Home: home, Version: version, AskFirst: true, Log: log}}
	err = gui.Run(ctx, gui.Config{
		App:     fyneapp.NewWithID("org.porchlight.Porchlight"),
		Connect: w.connect,
		Look:    viewmodel.Look{Theme: settings.Theme, Language: settings.Language},
		KeepLook: func(ctx context.Context, l viewmodel.Look) error {
			_, err := config.Update(ctx, home, func(s *config.Settings) error {
				s.Theme, s.Language = l.Theme, l.Language
				return nil
			})
			return err
		},
		Version: version,
		Log:     log,
	})
	return errors.Join(err, w.end())
}

// windowEngine finds or makes the engine of a window.
type windowEngine struct {
	cfg engine.Config

	mu     sync.Mutex // guards the fields below
	cancel context.CancelFunc
	client *control.Client
	ended  chan error // of the engine in this process; nil without one
}

// connect runs when the window is on screen already. The home may be locked by an engine that is only just starting.
func (w *windowEngine) connect(ctx context.Context) (viewmodel.Engine, error) {
	for tries := 0; ; tries++ {
		c, err := control.Connect(ctx, w.cfg.Home)
		if err == nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.client = c
			return c, nil
		}
		if !errors.Is(err, control.ErrNoEngine) {
			return nil, err
		}
		e, err := w.open(ctx)
		if err == nil || !errors.Is(err, config.ErrLocked) || tries == 20 {
			return e, err
		}
		select {
		case <-time.After(250 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// open makes the engine in this process.
func (w *windowEngine) open(ctx context.Context) (viewmodel.Engine, error) {
	h, err := openHost(ctx, w.cfg)
	if err != nil {
		return nil, err
	}
	// The engine outlives the window's ctx by a moment: end stops it when the window has let go of it.
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- h.run(run) }()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancel, w.ended = cancel, ended
	return h.engine, nil
}

func (w *windowEngine) end() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var err error
	if w.client != nil {
		err = w.client.Close()
	}
	if w.ended != nil {
		w.cancel()
		err = errors.Join(err, <-w.ended)
	}
	return err
}
