//go:build !headless

package gui

import (
	"context"

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

// tell says something to a person who looks elsewhere. Any goroutine may call it.
func (w *window) tell(t viewmodel.Tiding) {
	if !w.watched.Load() && !w.bare {
		w.later(func() { w.app.SendNotification(fyne.NewNotification(t.Title, t.Text)) })
	}
}
