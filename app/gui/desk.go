//go:build !headless

package gui

import (
	"context"
	"errors"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"

	"porchlight/app/viewmodel"
)

// settleDown makes the window live with its desktop: what closing means, an icon in the tray where there is one, and
// notifications while nobody looks.
func (w *window) settleDown(ctx context.Context, desk viewmodel.Desk, bare bool) {
	w.bare = bare
	life := w.app.Lifecycle()
	life.SetOnEnteredForeground(func() { w.watched.Store(true) })
	life.SetOnExitedForeground(func() { w.watched.Store(false) })
	if desk == nil {
		return
	}
	// The driver starts an icon only that is there before the window runs; whose engine it will be is not known yet.
	if d, ok := w.app.(desktop.App); ok && !bare {
		words := w.set.Words
		quit := fyne.NewMenuItem(words.Text("tray.quit"), w.app.Quit)
		quit.IsQuit = true
		d.SetSystemTrayWindow(w.win) // a click shows it; this decides about closing too, so ours comes after it
		d.SetSystemTrayMenu(fyne.NewMenu(words.Text("app.name"), fyne.NewMenuItem(words.Text("tray.show"), w.show), quit))
	}
	w.win.SetCloseIntercept(func() { w.close(ctx, desk) })
}

// close hides the window where sharing goes on without it, and ends the program otherwise. The first time it says so in
// the window, which every desktop shows, unlike a notification or an icon.
func (w *window) close(ctx context.Context, desk viewmodel.Desk) {
	hide := func() {
		w.win.Hide()
		w.watched.Store(false)
	}
	switch words := w.set.Words; {
	case !desk.Own() || !desk.KeepsRunning() || w.first.object.Visible():
		w.app.Quit()
	case desk.FirstClose(ctx):
		w.ask(words.Text("tiding.keeps"), words.Text("tiding.keeps.text"), words.Text("tiding.keeps.yes"), hide)
	default:
		hide()
	}
}

// show brings the window to the front.
func (w *window) show() {
	w.win.Show()
	w.win.RequestFocus()
	w.refresh()
}

// Tell shows a notification of the desktop, and may take its time. clicked is called when the person clicked on it, where the
// desktop says so; click is what that does, in words. errors.ErrUnsupported leaves it to Fyne.
type Tell func(ctx context.Context, t viewmodel.Tiding, click string, clicked func()) error

// maxTidings is how many wait for a desktop that is slow to show them; later ones are in the window only.
const maxTidings = 8

// tell says something to a person who looks elsewhere. Any goroutine may call it; it never waits.
func (w *window) tell(t viewmodel.Tiding) {
	if w.watched.Load() || w.bare {
		return
	}
	select {
	case w.tidings <- t:
	default:
	}
}

// spread shows what tell was given until ctx ends, one by one: a desktop that hangs holds up nothing else.
func (w *window) spread(ctx context.Context, cfg Config) {
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-w.tidings:
			err := errors.ErrUnsupported
			if cfg.Tell != nil {
				err = cfg.Tell(ctx, t, w.set.Words.Text("tray.show"), func() { w.later(w.show) })
			}
			switch {
			case errors.Is(err, errors.ErrUnsupported):
				w.later(func() { w.app.SendNotification(fyne.NewNotification(t.Title, t.Text)) })
			case err != nil && cfg.Log != nil:
				cfg.Log.Warn("a notification is not shown", "error", err)
			}
		}
	}
}
