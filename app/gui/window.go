//go:build !headless

package gui

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"

	"porchlight/app/viewmodel"
	"porchlight/assets"
)

// Config is what Run needs. App and Connect must be set.
type Config struct {
	App      fyne.App
	Connect  func(ctx context.Context) (viewmodel.Engine, error) // called when the window is up already, so it may take its time
	Look     viewmodel.Look                                      // theme and language kept from the last time
	KeepLook func(ctx context.Context, l viewmodel.Look) error   // nil: theme and language last as long as the window
	Open     func(ctx context.Context, path string) error        // shows a path in the system's file manager; nil: refused
	Desk     viewmodel.Desk                                      // nil: closing the window ends the program
	Tell     Tell                                                // nil: Fyne's own way
	Bare     bool                                                // the desktop shows no notifications and no icons of programs
	Hidden   bool                                                // begin without a window; it shows when it is asked for
	Version  string                                              // of the program
	Log      *slog.Logger                                        // discards if nil
}

// With returns a Connect for an engine that is there already.
func With(e viewmodel.Engine) func(context.Context) (viewmodel.Engine, error) {
	return func(context.Context) (viewmodel.Engine, error) { return e, nil }
}

// window is the one window. All its methods run on Fyne's goroutine, but for later and poke.
type window struct {
	app     fyne.App
	win     fyne.Window
	set     *viewmodel.Set
	theme   *porch
	paint   *paint
	later   func(func()) // has something done on Fyne's goroutine
	dirty   chan struct{}
	watched atomic.Bool // the window has the focus
	tidings chan viewmodel.Tiding
	bare    bool // as in Config; set before anything runs
	cards   *cards
	parts
}

// frame is the time between two drawings of what changed.
const frame = 30 * time.Millisecond

// Run shows the window and returns when it was closed or ctx ended. It must be called on the main goroutine.
func Run(ctx context.Context, cfg Config) error {
	if err := assets.Register(); err != nil {
		return err
	}
	w, err := newWindow(cfg, fyne.Do)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	closed := make(chan struct{})
	var wg sync.WaitGroup
	cfg.App.Lifecycle().SetOnStarted(func() {
		wg.Go(func() {
			if err := w.set.Run(ctx); err != nil && cfg.Log != nil {
				cfg.Log.Error("window without an engine", "error", err)
			}
		})
		wg.Go(func() { w.redraw(ctx) })
		wg.Go(func() { w.spread(ctx, cfg) })
	})
	wg.Go(func() {
		select {
		case <-closed:
		case <-ctx.Done():
			w.later(cfg.App.Quit)
		}
	})
	w.settleDown(ctx, cfg.Desk, cfg.Bare)
	if !cfg.Hidden {
		w.win.Show()
	}
	cfg.App.Run()
	w.leave()
	close(closed)
	cancel()
	wg.Wait()
	return nil
}

// newWindow makes the window with everything in it; nothing in it waits for the engine.
func newWindow(cfg Config, later func(func())) (*window, error) {
	lang := cfg.Look.Language
	if lang == "" {
		lang = assets.Match(assets.SystemLanguages()...)
	}
	words, err := assets.Load(lang)
	if err != nil {
		return nil, err
	}
	w := &window{app: cfg.App, later: later, dirty: make(chan struct{}, 1), tidings: make(chan viewmodel.Tiding, maxTidings)}
	w.set = viewmodel.New(viewmodel.Config{Connect: cfg.Connect, Words: words, Look: cfg.Look, KeepLook: cfg.KeepLook, Open: cfg.Open,
		Show: func() { w.later(w.show) }, Tell: w.tell, Desk: cfg.Desk, OnChange: w.poke, Version: cfg.Version, Log: cfg.Log})
	if w.theme, err = newTheme(cfg.Look.Theme); err != nil {
		return nil, err
	}
	w.win = cfg.App.NewWindow(words.Text("app.name"))
	w.win.SetPadded(false)
	w.win.SetMaster()
	if icon, err := assets.AppIcon(); err == nil {
		res := fyne.NewStaticResource("icon.png", icon)
		cfg.App.SetIcon(res) // the tray's
		w.win.SetIcon(res)
	} else {
		return nil, fmt.Errorf("window: %w", err)
	}
	cfg.App.Settings().SetTheme(w.theme)
	w.cards = &cards{w: w}
	w.build()
	w.shortcuts()
	w.win.SetOnDropped(w.dropped)
	w.win.Resize(fyne.NewSize(1200, 760))
	cfg.App.Settings().AddListener(func(fyne.Settings) { w.later(w.repaint) })
	return w, nil
}

// poke says that something changed. Any goroutine may call it; it never waits.
func (w *window) poke() {
	select {
	case w.dirty <- struct{}{}:
	default:
	}
}

// redraw draws what changed, a burst of changes once.
func (w *window) redraw(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.dirty:
		}
		drawn := make(chan struct{})
		w.later(func() { w.refresh(); close(drawn) })
		select {
		case <-ctx.Done():
			return
		case <-drawn:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(frame):
		}
	}
}

// repaint builds everything anew when light and dark changed places.
func (w *window) repaint() {
	if w.theme.dark(w.app.Settings().ThemeVariant()) != w.paint.dark {
		w.build()
	}
}

// look follows the settings of the window.
func (w *window) look() {
	if wanted := w.set.Settings.Look().Theme; wanted != w.theme.wanted {
		t := *w.theme // Fyne compares themes; a changed one must be another
		t.wanted = wanted
		w.theme = &t
		w.app.Settings().SetTheme(w.theme)
		w.build()
	}
}

// shortcuts gives every action a key.
func (w *window) shortcuts() {
	c := w.win.Canvas()
	nav := w.set.Nav
	section := func(p viewmodel.Page) func() { return func() { nav.Go(viewmodel.Place{Page: p}) } }
	const ctrl, alt = fyne.KeyModifierShortcutDefault, fyne.KeyModifierAlt
	for _, s := range []struct {
		key fyne.KeyName
		mod fyne.KeyModifier
		do  func()
	}{
		{fyne.KeyLeft, alt, nav.Back},
		{fyne.KeyRight, alt, nav.Forward},
		{fyne.KeyUp, alt, nav.Up},
		{fyne.KeyF, ctrl, w.find},
		{fyne.KeyL, ctrl, w.address},
		{fyne.KeyD, ctrl, w.get},
		{fyne.KeyReturn, ctrl, w.get},
		{fyne.KeyR, ctrl, w.set.Reload},
		{fyne.KeyComma, ctrl, section(viewmodel.PageSettings)},
		{fyne.KeyJ, ctrl, section(viewmodel.PageJoin)},
		{fyne.Key1, ctrl, section(viewmodel.PageNeighbours)},
		{fyne.Key2, ctrl, section(viewmodel.PageShares)},
		{fyne.Key3, ctrl, section(viewmodel.PageTransfers)},
		{fyne.Key4, ctrl, section(viewmodel.PageSettings)},
		{fyne.Key5, ctrl, section(viewmodel.PageAbout)},
		{fyne.KeyQ, ctrl, w.app.Quit},
	} {
		c.AddShortcut(&desktop.CustomShortcut{KeyName: s.key, Modifier: s.mod}, func(fyne.Shortcut) { s.do() })
	}
	c.AddShortcut(&fyne.ShortcutSelectAll{}, func(fyne.Shortcut) {
		if w.shown.Page == viewmodel.PageFolder {
			w.set.Browser.SelectAll()
		}
	})
	c.SetOnTypedKey(w.key)
}

// key does what a key means wherever the focus is.
func (w *window) key(e *fyne.KeyEvent) {
	folder := w.shown.Page == viewmodel.PageFolder
	switch e.Name {
	case fyne.KeyF1:
		w.set.Nav.Go(viewmodel.Place{Page: viewmodel.PageDoctor})
	case fyne.KeyF5:
		w.set.Reload()
	case fyne.KeyBackspace:
		w.set.Nav.Up()
	case fyne.KeyEscape:
		w.escape(folder)
	case fyne.KeyDown, fyne.KeyUp, fyne.KeyHome, fyne.KeyEnd, fyne.KeyPageDown, fyne.KeyPageUp:
		if folder && w.win.Canvas().Focused() == nil {
			w.win.Canvas().Focus(w.list.list)
			w.list.list.TypedKey(e)
		}
	}
}

// escape backs out of the nearest thing.
func (w *window) escape(folder bool) {
	switch {
	case w.set.Notices.Now().Text != "":
		w.set.Notices.Dismiss()
	case folder && w.top.filter.Text != "":
		w.top.filter.SetText("")
	case folder && w.sheet:
		w.toggleDetails()
	case folder:
		w.set.Browser.SelectNone()
	}
}

// find puts the keyboard into the filter of the list.
func (w *window) find() {
	if w.shown.Page == viewmodel.PageFolder {
		w.win.Canvas().Focus(w.top.filter)
	}
}

// address puts the keyboard into the field for the address of a computer.
func (w *window) address() {
	w.set.Nav.Go(viewmodel.Place{Page: viewmodel.PageNeighbours})
	w.refresh()
	if n, ok := w.pages[viewmodel.PageNeighbours].(*neighbours); ok && w.shown.Page == viewmodel.PageNeighbours {
		w.win.Canvas().Focus(n.entry)
	}
}

// get pulls the choice.
func (w *window) get() {
	if w.shown.Page == viewmodel.PageFolder && w.set.Browser.Details().CanGet {
		w.set.Browser.Get("")
	}
}

// dropped shares the folders somebody dropped on the window.
func (w *window) dropped(_ fyne.Position, dropped []fyne.URI) {
	for _, u := range dropped {
		if u.Scheme() == "file" {
			w.set.Shares.Add(u.Path())
			w.set.Nav.Go(viewmodel.Place{Page: viewmodel.PageShares})
		}
	}
}
