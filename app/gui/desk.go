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
	w.win.SetCloseIntercept(func() { w.close(ctx, desk) })
	if d, ok := w.app.(desktop.App); ok && !bare && desk.KeepsRunning() {
		words := w.set.Words
		quit := fyne.NewMenuItem(words.Text("tray.quit"), w.app.Quit)
		quit.IsQuit = true
		d.SetSystemTrayMenu(fyne.NewMenu(words.Text("app.name"), fyne.NewMenuItem(words.Text("tray.show"), w.show), quit))
	}
}

// close hides the window where sharing goes on without it, and ends the program otherwise.
func (w *window) close(ctx context.Context, desk viewmodel.Desk) {
	if !desk.Own() || !desk.KeepsRunning() {
		w.app.Quit()
		return
	}
	w.win.Hide()
	w.watched.Store(false)
	if !w.bare && desk.FirstClose(ctx) {
		words := w.set.Words
		w.app.SendNotification(fyne.NewNotification(words.Text("tiding.keeps"), words.Text("tiding.keeps.text")))
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
