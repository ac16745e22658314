//go:build !headless

package app

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	fyneapp "fyne.io/fyne/v2/app"

	"porchlight/app/cli"
	"porchlight/app/config"
	"porchlight/app/control"
	"porchlight/app/desktop"
	"porchlight/app/engine"
	"porchlight/app/gui"
	"porchlight/app/viewmodel"
	"porchlight/assets"
)

// openWindow shows the window of a home and returns when it was closed or ctx ended. It must run on the main goroutine. Where
// a service works for the home already the window is one more client of it; otherwise the engine runs in this process, and
// has ended when openWindow returns.
//
// There is one window for each home: where one is open already it is shown, and nothing else happens. A hidden one begins
// without being seen.
func openWindow(ctx context.Context, version string, o cli.WindowOptions) error {
	desktop.LoseConsole()
	home := o.Home
	if shown, err := showOther(ctx, o); shown || err != nil {
		return err
	}
	log := logger()
	settings, _, err := config.Load(home)
	if err != nil { // the engine fails likewise, and the window says so in words
		log.Warn("settings", "error", err)
	}
	w := &windowEngine{cfg: engine.Config{Home: home, Version: version, AskFirst: true, Log: log}}
	d, err := newDesk(home, settings, w.own)
	if err != nil {
		return err
	}
	icon, err := assets.AppIcon()
	if err != nil {
		return err
	}
	notes, err := desktop.NewNotifier(icon, os.Getenv)
	if err != nil {
		return err
	}
	defer notes.Close() //nolint:errcheck // what is shown stays
	err = gui.Run(ctx, gui.Config{
		Desk:    d,
		Hidden:  o.Hidden,
		Bare:    !desktop.Shell(ctx, os.Getenv),
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
		Open: desktop.Show,
		Tell: func(ctx context.Context, t viewmodel.Tiding, click string, clicked func()) error {
			return notes.Show(ctx, desktop.Note{Title: t.Title, Text: t.Text, Click: click, Clicked: clicked})
		},
		Version: version,
		Log:     log,
	})
	return errors.Join(err, w.end())
}

// showOther asks a window that is open already to be seen. It reports whether there is one.
func showOther(ctx context.Context, o cli.WindowOptions) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second) // an engine that hangs: another window says so
	defer cancel()
	c, err := control.Connect(ctx, o.Home)
	if err != nil {
		return false, nil //nolint:nilerr // none runs, or none that can be asked: the window tells
	}
	defer c.Close() //nolint:errcheck // nothing is in use any more
	if o.Hidden {   // started with the computer while somebody was quicker
		return true, nil
	}
	shown, err := c.ShowWindow(ctx)
	return shown && err == nil, nil
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

// own reports whether the engine runs in this process.
func (w *windowEngine) own() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended != nil
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
