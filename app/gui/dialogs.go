//go:build !headless

package gui

import (
	"slices"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// ask asks a question with one way on and one way back.
func (w *window) ask(title, text, yes string, do func()) {
	w.dialog(title, inset(-4, -4, -8, -8, w.paint.para(text, colQuiet, theme.SizeNameText)), yes, func() string { do(); return "" })
}

// dialog shows body under a title. The button yes calls do, which says in words what is wrong, or "" when it is done.
func (w *window) dialog(title string, body fyne.CanvasObject, yes string, do func() string) {
	p := w.paint
	wrong := p.text("", textSmall, theme.ColorNameError)
	wrong.Hide()
	var pop *widget.PopUp
	var all *fyne.Container
	try := func() {
		why := do()
		if why == "" {
			pop.Hide()
			return
		}
		wrong.Text = why
		wrong.Show()
		all.Refresh()
	}
	w.onEnter(body, try)
	head := p.para(title, colText, theme.SizeNameSubHeadingText)
	flush(head)
	foot := row(8, 0, []float32{-1, 0, 0}, space(1, 1), button(w.set.Words.Text("action.cancel"), false, func() { pop.Hide() }), button(yes, true, try))
	all = container.New(stack{gap: 10}, space(400, 1), inset(-4, -4, -8, -8, head), body, wrong, foot)
	pop = w.raise(all, 2)
}

// onEnter has Enter in the last field of a body do what its main button does, and in those before go on to the next.
func (w *window) onEnter(body fyne.CanvasObject, do func()) {
	next := do
	for _, e := range slices.Backward(entriesIn(body)) {
		then := next
		submitted := func(string) { then() }
		switch e := e.(type) {
		case *widget.Entry:
			e.OnSubmitted = submitted
		case *widget.SelectEntry:
			e.OnSubmitted = submitted
		}
		next = func() { w.win.Canvas().Focus(e) }
	}
}

// entriesIn returns the fields one types into, from top to bottom.
func entriesIn(o fyne.CanvasObject) (out []fyne.Focusable) {
	switch x := o.(type) {
	case *widget.Entry:
		return []fyne.Focusable{x}
	case *widget.SelectEntry:
		return []fyne.Focusable{x}
	case *fyne.Container:
		for _, c := range x.Objects {
			out = append(out, entriesIn(c)...)
		}
	}
	return out
}

// raise shows what is in all over the window. Where the window is too low for it, the part with the given index scrolls.
func (w *window) raise(all *fyne.Container, part int) *widget.PopUp {
	const edge = 24 // of the window that stays
	pop := widget.NewModalPopUp(inset(16, 14, 20, 20, all), w.win.Canvas())
	pop.Show()
	pop.Resize(pop.MinSize()) // text that wraps knows its height now
	pop.Resize(pop.MinSize())
	if over := pop.MinSize().Height + edge - w.win.Canvas().Size().Height; over > 0 {
		body := all.Objects[part]
		scroll := container.NewVScroll(body)
		scroll.SetMinSize(fyne.NewSize(body.MinSize().Width, max(body.MinSize().Height-over, leastScroll)))
		all.Objects[part] = scroll
		all.Refresh()
		pop.Resize(pop.MinSize())
	}
	return pop
}

// leastScroll is the least height in which something that scrolls is of use.
const leastScroll = 60

// showText shows a long text.
func (w *window) showText(title, text string) {
	d := dialog.NewCustom(title, w.set.Words.Text("tip.close"), container.NewVScroll(w.paint.para(text, colText, theme.SizeNameText)), w.win)
	size := w.win.Canvas().Size()
	d.Resize(fyne.NewSize(min(size.Width-80, 640), min(size.Height-80, 520)))
	d.Show()
}

// chooseFolder lets the person choose a folder of this computer.
func (w *window) chooseFolder(chosen func(path string)) {
	d := dialog.NewFolderOpen(func(dir fyne.ListableURI, err error) {
		if err == nil && dir != nil {
			chosen(dir.Path())
		}
	}, w.win)
	d.SetConfirmText(w.set.Words.Text("action.open"))
	d.SetDismissText(w.set.Words.Text("action.cancel"))
	size := w.win.Canvas().Size()
	d.Resize(fyne.NewSize(min(size.Width-80, 760), min(size.Height-80, 520)))
	d.Show()
}

// tip shows what a tool does when the pointer rests on it.
type tip struct {
	layer *fyne.Container
	box   *canvas.Rectangle
	text  *canvas.Text
	turn  int // counts up, so that a late timer knows it is late
}

// restTime is how long the pointer rests before a tip shows.
const restTime = 600 * time.Millisecond

func newTip(w *window) *tip {
	t := &tip{box: w.paint.box(theme.ColorNameMenuBackground, 5), text: w.paint.text("", textSmall, colText)}
	t.box.StrokeColor, t.box.StrokeWidth = w.paint.colour(theme.ColorNameSeparator), 1
	t.layer = container.NewWithoutLayout(t.box, t.text)
	t.layer.Hide()
	return t
}

func (w *window) showTip(over fyne.CanvasObject, text string) {
	t := w.tip
	t.turn++
	turn := t.turn
	time.AfterFunc(restTime, func() {
		w.later(func() {
			if w.tip == t && t.turn == turn {
				w.placeTip(over, text)
			}
		})
	})
}

func (w *window) placeTip(over fyne.CanvasObject, text string) {
	t := w.tip
	t.text.Text = text
	m := t.text.MinSize()
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(over).AddXY(0, over.Size().Height+4)
	whole := w.win.Canvas().Size()
	at.X = max(4, min(at.X, whole.Width-m.Width-20))
	if at.Y+m.Height+8 > whole.Height {
		at.Y -= over.Size().Height + m.Height + 16
	}
	t.box.Move(at)
	t.box.Resize(m.AddWidthHeight(16, 8))
	t.text.Move(at.AddXY(8, 4))
	t.text.Resize(m)
	t.layer.Show()
	t.layer.Refresh()
}

func (w *window) hideTip() {
	w.tip.turn++
	shown(w.tip.layer, false)
}
