//go:build !headless

package gui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"porchlight/app/viewmodel"
)

// plain takes from a wrapping text the room that Fyne puts around it.
func plain(r *widget.RichText) fyne.CanvasObject { return inset(-4, -4, -8, -8, r) }

// rename asks for another name.
func (w *window) rename(title, now string, set func(string)) {
	e := widget.NewEntry()
	e.SetText(now)
	w.dialog(title, e, w.set.Words.Text("action.rename"), func() string {
		why := w.set.Settings.CheckName(e.Text)
		if why == "" {
			set(e.Text)
		}
		return why
	})
	w.win.Canvas().Focus(e)
}

// found asks for what a new private workgroup begins with.
func (w *window) found() {
	q, p, words := w.set.Founding.Ask(), w.paint, w.set.Words
	name, mine := widget.NewEntry(), widget.NewEntry()
	name.SetText(q.Name)
	mine.SetPlaceHolder(words.Text("create.mine.hint"))
	stay := true
	body := column(6, plain(p.para(q.Text, colQuiet, theme.SizeNameText)), p.text(words.Text("create.name"), textSmall, colQuiet), name, p.text(q.Mine, textSmall, colQuiet), mine)
	if q.Stay != "" {
		body.Add(space(1, 2))
		body.Add(ticked(w, q.Stay, q.StayText, true, func(on bool) { stay = on }))
	}
	w.dialog(q.Title, body, q.Yes, func() string { return w.set.Founding.Create(name.Text, mine.Text, stay) })
	w.win.Canvas().Focus(name)
}

// ticks is a list of computers with a tick each.
func (w *window) ticks(all []viewmodel.Tick) fyne.CanvasObject {
	box := column(2)
	for i := range all {
		box.Add(ticked(w, all[i].Name, all[i].About, all[i].Chosen, func(on bool) { all[i].Chosen = on }))
	}
	list := container.NewVScroll(box)
	list.SetMinSize(fyne.NewSize(1, min(box.MinSize().Height, 150)))
	return list
}

// remove asks before a member is removed, and who else goes.
func (w *window) remove(q viewmodel.RemoveQuestion) {
	p := w.paint
	body := column(8, plain(p.para(q.Text, colQuiet, theme.SizeNameText)))
	if len(q.Also) > 0 {
		body.Add(plain(p.para(q.Ask, colText, theme.SizeNameText)))
		body.Add(w.ticks(q.Also))
	}
	lost := false
	body.Add(ticked(w, q.Lost, "", false, func(on bool) { lost = on }))
	w.dialog(q.Title, body, q.Yes, func() string { w.set.Workgroups.Remove(q, lost); return "" })
}

// startOver asks for the name and who comes along.
func (w *window) startOver(q viewmodel.OverQuestion) {
	p := w.paint
	name := widget.NewEntry()
	name.SetText(q.Name)
	body := column(8, plain(p.para(q.Text, colQuiet, theme.SizeNameText)), name, p.bold(q.Ask, textSmall, colQuiet))
	if len(q.Keep) > 0 {
		body.Add(w.ticks(q.Keep))
	} else {
		body.Add(sentence(p.text(w.set.Words.Text("over.nobody"), textSmall, colQuiet)))
	}
	w.dialog(q.Title, body, q.Yes, func() string { return w.set.Founding.StartOver(q, name.Text) })
	w.win.Canvas().Focus(name)
}

// pictures are symbols in a row, each with its name below.
func (w *window) pictures(all []viewmodel.Picture, size float32) fyne.CanvasObject {
	cells := make([]fyne.CanvasObject, 0, len(all))
	for _, x := range all {
		symbol := w.paint.text(x.Symbol, size, colText)
		symbol.Alignment = fyne.TextAlignCenter
		name := w.paint.text(x.Name, textSmall, colQuiet)
		name.Alignment = fyne.TextAlignCenter
		cells = append(cells, column(2, symbol, name))
	}
	return container.NewGridWithColumns(len(cells), cells...)
}

// wrap puts objects beside each other in their own widths, and begins another line where there is no more room.
type wrap struct {
	gap   float32
	width *float32 // of the last layout: the height follows from it
}

func newWrap(gap float32) wrap { return wrap{gap, new(float32)} }

// MinSize is as wide as the widest, and as high as the last width made it.
func (l wrap) MinSize(o []fyne.CanvasObject) fyne.Size {
	m := fyne.NewSize(0, l.place(o, *l.width, false))
	for _, x := range o {
		m.Width = max(m.Width, x.MinSize().Width)
	}
	return m
}

// Layout places the objects.
func (l wrap) Layout(o []fyne.CanvasObject, s fyne.Size) {
	*l.width = s.Width
	l.place(o, s.Width, true)
}

// place returns the height that is needed.
func (l wrap) place(o []fyne.CanvasObject, width float32, move bool) float32 {
	var x, y, high float32
	for _, c := range o {
		m := c.MinSize()
		if x > 0 && x+m.Width > width {
			x, y, high = 0, y+high+l.gap, 0
		}
		if move {
			c.Resize(m)
			c.Move(fyne.NewPos(x, y))
		}
		x, high = x+m.Width+l.gap, max(high, m.Height)
	}
	return y + high
}
