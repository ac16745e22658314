//go:build !headless

package gui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"porchlight/app/viewmodel"
)

// limitFields change how fast files may go: what is typed counts when it is saved.
type limitFields struct {
	w       *window
	object  fyne.CanvasObject
	entries [4]*widget.Entry // down, up, from, until
	save    *widget.Button
	wrong   *cut
	below   *fyne.Container
	known   viewmodel.LimitFields
}

func newLimitFields(w *window) *limitFields {
	p, words := w.paint, w.set.Words
	f := &limitFields{w: w, wrong: sentence(p.text("", textSmall, theme.ColorNameError))}
	var cells []fyne.CanvasObject
	var most fyne.Size
	for i, key := range []string{"settings.limit-down", "settings.limit-up", "settings.limit-from", "settings.limit-until"} {
		e := widget.NewEntry()
		e.OnChanged = func(string) { f.check() }
		e.OnSubmitted = func(string) { f.keep() }
		f.entries[i] = e
		cell := column(2, p.text(words.Text(key), textCaption, colQuiet), e)
		most = most.Max(cell.MinSize())
		cells = append(cells, cell)
	}
	f.save = button(words.Text("action.save"), false, f.keep)
	f.save.Disable()
	f.wrong.Hide()
	f.below = row(8, 0, []float32{0, -1}, f.save, f.wrong)
	f.object = column(6, container.New(newFlow(max(most.Width, 110), most.Height, 8), cells...), f.below)
	return f
}

func (f *limitFields) typed() viewmodel.LimitFields {
	return viewmodel.LimitFields{Down: f.entries[0].Text, Up: f.entries[1].Text, From: f.entries[2].Text, Until: f.entries[3].Text}
}

func (f *limitFields) check() {
	why := f.w.set.Settings.CheckLimits(f.typed())
	f.wrong.set(why)
	shown(f.wrong, why != "")
	if why == "" && f.typed() != f.known {
		f.save.Enable()
	} else {
		f.save.Disable()
	}
	f.below.Refresh()
}

func (f *limitFields) keep() {
	if x := f.typed(); f.w.set.Settings.CheckLimits(x) == "" {
		f.w.set.Settings.SetLimits(x)
		f.save.Disable()
	}
}

// refresh follows the engine, but not under somebody's fingers.
func (f *limitFields) refresh() {
	now := f.w.set.Settings.Limits()
	if now == f.known {
		return
	}
	touched := !f.save.Disabled() || f.wrong.Visible()
	f.known = now
	if touched {
		return
	}
	for i, text := range []string{now.Down, now.Up, now.From, now.Until} {
		f.entries[i].SetText(text)
	}
}
