//go:build !headless

package gui

import (
	"reflect"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"porchlight/app/viewmodel"
)

// folder is the page of one folder of a neighbour: heads of the columns, the list, a quiet line below.
type folder struct {
	w      *window
	whole  fyne.CanvasObject
	list   *fileList
	heads  *heads
	status *cut
	get    *widget.Button
	foot   *fyne.Container
	empty  *emptyNote
}

func newFolder(w *window) *folder {
	p := w.paint
	f := &folder{w: w, list: newFileList(w), status: sentence(p.text("", textSmall, colQuiet)), empty: newEmptyNote(w, "folder")}
	f.heads = newHeads(w)
	f.get = button(w.set.Words.Text("action.get"), true, func() { w.set.Browser.Get("") })
	f.foot = row(12, 18, []float32{-1, 0}, f.status, f.get)
	f.whole = container.NewBorder(column(0, inset(6, 2, listPad, listPad, f.heads.box), p.rule()), column(0, p.rule(), inset(4, 4, 0, -8, f.foot)), nil, nil,
		container.NewStack(f.list, f.empty.object))
	return f
}

func (f *folder) object() fyne.CanvasObject { return f.whole }

// entered begins at the top of another folder, with the keyboard on the list.
func (f *folder) entered() {
	f.w.top.filter.SetText("")
	f.list.top()
	f.w.win.Canvas().Focus(f.list)
}

func (f *folder) refresh() {
	f.list.refresh()
	f.heads.refresh()
	status := f.w.set.Browser.Status()
	if t := f.w.set.Browser.Trouble(); t != "" {
		status = t
	}
	f.status.set(status)
	d := f.w.set.Browser.Details()
	f.empty.show(f.w.set.Browser.Empty())
	on := d.CanGet && !f.w.details.object.Visible() // the details have one too
	if f.get.Text != d.Get || f.get.Visible() != on {
		f.get.SetText(d.Get)
		shown(f.get, on)
		f.foot.Refresh()
	}
}

// heads are the heads of the columns.
type heads struct {
	w     *window
	box   *fyne.Container
	cells []*headCell
}

type headCell struct {
	*press
	column viewmodel.Column
	label  *canvas.Text
	arrow  *canvas.Image
}

func newHeads(w *window) *heads {
	h := &heads{w: w}
	var objects []fyne.CanvasObject
	for _, c := range []viewmodel.Column{viewmodel.ColName, viewmodel.ColSize, viewmodel.ColChanged, viewmodel.ColKind} {
		cell := &headCell{column: c, label: w.paint.text(w.set.Words.Text("column."+string(c)), textSmall, colQuiet), arrow: w.paint.icon("up", 12, colText, colNone)}
		inner := container.New(layout.NewCustomPaddedHBoxLayout(4), cell.label, container.NewCenter(cell.arrow))
		if c == viewmodel.ColSize {
			inner = container.New(layout.NewCustomPaddedHBoxLayout(4), layout.NewSpacer(), container.NewCenter(cell.arrow), cell.label)
		}
		cell.press = w.press(inset(5, 5, 0, 0, inner), 6, "", func() { w.set.Browser.SortBy(c) })
		h.cells = append(h.cells, cell)
		objects = append(objects, cell.press)
	}
	h.box = container.New(headLayout{}, objects...)
	return h
}

func (h *heads) refresh() {
	by, down := h.w.set.Browser.Sort()
	for _, c := range h.cells {
		on := c.column == by
		if !on && c.arrow.Visible() {
			c.arrow.Hide()
		}
		if on {
			name := "up"
			if down {
				name = "sortdown"
			}
			c.arrow.Resource = h.w.paint.drawing(name, colText, colNone)
			c.arrow.Show()
			c.arrow.Refresh()
		}
		colour := colQuiet
		if on {
			colour = colText
		}
		if c.label.TextStyle.Bold != on || c.label.Color != h.w.paint.colour(colour) {
			c.label.TextStyle.Bold, c.label.Color = on, h.w.paint.colour(colour)
			c.label.Refresh()
			c.press.Refresh()
		}
	}
}

// headLayout puts the heads over their columns.
type headLayout struct{}

// MinSize is one line.
func (headLayout) MinSize(o []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(200, o[0].MinSize().Height)
}

// Layout uses the spans of the rows.
func (headLayout) Layout(o []fyne.CanvasObject, s fyne.Size) {
	c := columnsFor(s.Width)
	for i, x := range []span{c.name, c.size, c.changed, c.kind} {
		x.put(o[i], s.Height)
	}
}

// details tells about what is chosen.
type details struct {
	w      *window
	object fyne.CanvasObject
	inner  *fyne.Container
	now    viewmodel.Details
	drawn  bool
}

func newDetails(w *window) *details {
	d := &details{w: w, inner: container.New(stack{gap: 12})}
	scroll := scrollPage(18, detailsWidth-36, d.inner)
	d.object = container.NewStack(w.paint.box(theme.ColorNameBackground, 0), container.NewBorder(nil, nil, w.paint.rule(), nil, scroll))
	return d
}

func (d *details) refresh() {
	if !d.object.Visible() {
		return
	}
	now := d.w.set.Browser.Details()
	if d.drawn && reflect.DeepEqual(now, d.now) {
		return
	}
	d.now, d.drawn = now, true
	d.inner.Objects = d.draw(now)
	d.inner.Refresh()
	d.object.Refresh()
}

func (d *details) draw(x viewmodel.Details) []fyne.CanvasObject {
	p := d.w.paint
	stroke, body := thingColours(x.Icon)
	ground := p.box(colSide, radiusCard)
	ground.SetMinSize(fyne.NewSize(0, 132))
	picture := container.NewStack(ground, container.NewCenter(p.icon(x.Icon, 64, stroke, body)))
	facts := container.New(stack{gap: 6})
	for _, f := range x.Facts {
		facts.Add(factLine(p, f, 76))
	}
	title := p.para(x.Title, colText, theme.SizeNameSubHeadingText)
	title.Wrapping = fyne.TextWrapBreak
	flush(title)
	b := d.w.set.Browser
	get := button(x.Get, true, func() { b.Get("") })
	to := button(d.w.set.Words.Text("action.get-to"), false, func() { d.w.chooseFolder(b.Get) })
	if !x.CanGet {
		get.Disable()
		to.Disable()
	}
	note := row(8, 0, []float32{18, -1}, p.icon("eye", 18, colQuiet, colNone), sentence(p.text(x.Note, textSmall, colQuiet)))
	return []fyne.CanvasObject{picture, inset(-4, -4, -8, -8, title), facts, p.rule(), note, get, to}
}

// flush makes the text of a para bold; Fyne keeps a padding around it, which its container takes back.
func flush(r *widget.RichText) {
	if s, ok := r.Segments[0].(*widget.TextSegment); ok {
		s.Style.TextStyle.Bold = true
	}
}

// factLine is a name and a value.
func factLine(p *paint, f viewmodel.Fact, name float32) fyne.CanvasObject {
	return row(8, 0, []float32{name, -1}, sentence(p.text(f.Name, textSmall, colQuiet)), newCut(p.text(f.Value, textSmall, colText)))
}

// rowMenu offers what one can do with the choice.
func (w *window) rowMenu(i int, at fyne.Position) {
	b, words := w.set.Browser, w.set.Words
	var items []*fyne.MenuItem
	if p, ok := b.Opens(i); ok {
		items = append(items, fyne.NewMenuItem(words.Text("action.open"), func() { w.set.Nav.Go(p) }))
	}
	items = append(items,
		fyne.NewMenuItem(words.Text("action.get"), func() { b.Get("") }),
		fyne.NewMenuItem(words.Text("action.get-to"), func() { w.chooseFolder(b.Get) }),
		fyne.NewMenuItemSeparator(),
		fyne.NewMenuItem(words.Text("action.select-all"), b.SelectAll),
		fyne.NewMenuItem(words.Text("action.details"), w.toggleDetails))
	widget.ShowPopUpMenuAtPosition(fyne.NewMenu("", items...), w.win.Canvas(), at)
}
