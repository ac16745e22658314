//go:build !headless

package gui

import (
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"porchlight/app/viewmodel"
)

// columns are the places of a row's parts for one width. The list and its heads use the same.
type columns struct {
	icon, name, size, changed, kind span
}

type span struct{ x, w float32 }

// columnsFor gives the name the room it needs first: kind goes below 540, changed below 420, size below 280.
func columnsFor(width float32) columns {
	var c columns
	right := width - 12
	take := func(w, least float32) span {
		if width < least {
			return span{}
		}
		right -= w
		return span{right + 16, w - 16}
	}
	c.kind = take(98, 540)
	c.changed = take(128, 420)
	c.size = take(88, 280)
	c.icon = span{12, 20}
	c.name = span{44, max(right-44, 40)}
	return c
}

func (s span) put(o fyne.CanvasObject, height float32) {
	if s.w == 0 {
		o.Hide()
		return
	}
	o.Show()
	h := o.MinSize().Height
	o.Resize(fyne.NewSize(s.w, h))
	o.Move(fyne.NewPos(s.x, middle(height, h)))
}

// listPad is the room around the rows.
const listPad = 8

// fileList shows the rows of a browser. It has widgets for the rows on screen only and fills them anew as it scrolls, so
// that 100,000 rows cost what 20 do.
type fileList struct {
	widget.BaseWidget
	w      *window
	b      *viewmodel.Browser
	scroll *container.Scroll
	area   *fyne.Container
	rows   []*fileRow
	count  int
	typed  string // type-ahead
	at     time.Time
	focus  bool
}

func newFileList(w *window) *fileList {
	l := &fileList{w: w, b: w.set.Browser}
	l.area = container.New(listArea{l})
	l.scroll = container.NewVScroll(l.area)
	l.scroll.OnScrolled = func(fyne.Position) { l.fill() }
	l.ExtendBaseWidget(l)
	return l
}

// listArea is as high as all rows and holds those on screen.
type listArea struct{ l *fileList }

// MinSize is the height of all rows.
func (a listArea) MinSize([]fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(200, float32(a.l.count)*rowHeight+listPad)
}

// Layout fills the rows on screen.
func (a listArea) Layout([]fyne.CanvasObject, fyne.Size) { a.l.fill() }

// CreateRenderer draws the scroller.
func (l *fileList) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(l.scroll) }

// refresh asks the browser how many rows there are, and fills those on screen.
func (l *fileList) refresh() {
	if n := l.b.Len(); n != l.count {
		l.count = n
		l.scroll.Refresh()
	}
	l.fill()
}

// top scrolls to the first row: another folder is shown.
func (l *fileList) top() {
	l.scroll.ScrollToTop()
	l.fill()
}

func (l *fileList) fill() {
	size := l.scroll.Size()
	need := min(int(size.Height/rowHeight)+2, l.count)
	for len(l.rows) < need {
		r := newFileRow(l)
		l.rows = append(l.rows, r)
		l.area.Objects = append(l.area.Objects, r)
	}
	first := max(0, min(int((l.scroll.Offset.Y-listPad/2)/rowHeight), l.count-need))
	for i, r := range l.rows {
		if i >= need {
			r.Hide()
			continue
		}
		index := first + (i-first%max(need, 1)+need)%max(need, 1) // a row on screen keeps its widget while the list moves
		r.Move(fyne.NewPos(listPad, listPad/2+float32(index)*rowHeight))
		r.Resize(fyne.NewSize(size.Width-2*listPad, rowHeight))
		r.set(index, l.b.Row(index))
		r.Show()
	}
}

// show scrolls so that row i is on screen.
func (l *fileList) show(i int) {
	if i < 0 {
		return
	}
	y, h := float32(i)*rowHeight, l.scroll.Size().Height
	switch off := l.scroll.Offset.Y; {
	case y < off:
		l.scroll.ScrollToOffset(fyne.NewPos(0, y))
	case y+rowHeight+listPad > off+h:
		l.scroll.ScrollToOffset(fyne.NewPos(0, y+rowHeight+listPad-h))
	}
	l.fill()
}

// FocusGained lets the keyboard move the choice.
func (l *fileList) FocusGained() { l.focus = true; l.fill() }

// FocusLost ends that.
func (l *fileList) FocusLost() { l.focus = false; l.fill() }

// typeAhead is how long letters belong to one word.
const typeAhead = 800 * time.Millisecond

// TypedRune selects the row whose name starts with what is typed.
func (l *fileList) TypedRune(r rune) {
	if r == ' ' && time.Since(l.at) > typeAhead {
		return // Space is a key of its own
	}
	if time.Since(l.at) > typeAhead {
		l.typed = ""
	}
	l.typed, l.at = l.typed+string(r), time.Now()
	if i := l.b.Type(l.typed); i >= 0 {
		l.show(i)
	}
}

// TypedKey moves and opens.
func (l *fileList) TypedKey(e *fyne.KeyEvent) {
	page := max(int(l.scroll.Size().Height/rowHeight)-1, 1)
	k := keysHeld()
	switch e.Name {
	case fyne.KeyDown:
		l.show(l.b.Move(1, k))
	case fyne.KeyUp:
		l.show(l.b.Move(-1, k))
	case fyne.KeyPageDown:
		l.show(l.b.Move(page, k))
	case fyne.KeyPageUp:
		l.show(l.b.Move(-page, k))
	case fyne.KeyHome:
		l.show(l.b.Move(-l.count, k))
	case fyne.KeyEnd:
		l.show(l.b.Move(l.count, k))
	case fyne.KeyReturn, fyne.KeyEnter:
		l.open(l.b.Cursor())
	case fyne.KeyBackspace:
		l.w.set.Nav.Up()
	case fyne.KeySpace:
		if time.Since(l.at) > typeAhead {
			l.w.toggleDetails()
		}
	default:
		l.w.key(e)
	}
}

// open opens a folder; a file is fetched by the button, never by a slip of the mouse.
func (l *fileList) open(i int) {
	if p, ok := l.b.Opens(i); ok {
		l.w.set.Nav.Go(p)
	}
}

// keysHeld returns the keys held that change what a click means.
func keysHeld() viewmodel.Keys {
	d, ok := fyne.CurrentApp().Driver().(desktop.Driver)
	if !ok {
		return viewmodel.Keys{}
	}
	return keysOf(d.CurrentKeyModifiers())
}

func keysOf(m fyne.KeyModifier) viewmodel.Keys {
	return viewmodel.Keys{Add: m&fyne.KeyModifierShortcutDefault != 0, Extend: m&fyne.KeyModifierShift != 0}
}

// fileRow is one row on screen.
type fileRow struct {
	widget.BaseWidget
	l       *fileList
	bg      *canvas.Rectangle
	icon    *canvas.Image
	name    *cut
	facts   [3]*canvas.Text // size, changed, kind
	index   int
	row     viewmodel.Row
	ringed  bool
	hovered bool
	clicked time.Time // of the last click, for the second
}

// doubleClick is how soon the second click must come.
const doubleClick = 400 * time.Millisecond

func newFileRow(l *fileList) *fileRow {
	p := l.w.paint
	r := &fileRow{l: l, bg: p.box(colNone, radiusRow), icon: p.thing("file", 20), name: newCut(p.text("", textBody, colText)), index: -1}
	for i := range r.facts {
		r.facts[i] = p.text("", textSmall, colQuiet)
	}
	r.facts[0].Alignment = fyne.TextAlignTrailing
	r.ExtendBaseWidget(r)
	return r
}

// set shows another row, and touches only what differs.
func (r *fileRow) set(index int, row viewmodel.Row) {
	ringed := row.Cursor && r.l.focus
	if r.index == index && r.row == row && r.ringed == ringed {
		return
	}
	p := r.l.w.paint
	if row.Icon != r.row.Icon && row.Icon != "" {
		stroke, body := thingColours(row.Icon)
		r.icon.Resource = p.drawing(row.Icon, stroke, body)
		r.icon.Refresh()
	}
	if index != r.index {
		r.clicked = time.Time{}
	}
	r.name.set(row.Name)
	c := p.colour(colText)
	if row.Blocked {
		c = p.colour(colQuiet)
	}
	r.name.tint(c)
	for i, s := range []string{row.Size, row.Changed, row.Kind} {
		if r.facts[i].Text != s {
			r.facts[i].Text = s
			r.facts[i].Refresh()
		}
	}
	r.index, r.row, r.ringed = index, row, ringed
	r.ground()
}

func (r *fileRow) ground() {
	p := r.l.w.paint
	r.bg.FillColor, r.bg.StrokeWidth = p.colour(colNone), 0
	switch {
	case r.row.Selected:
		r.bg.FillColor = p.colour(theme.ColorNameSelection)
	case r.hovered:
		r.bg.FillColor = p.colour(theme.ColorNameHover)
	}
	if r.ringed {
		r.bg.StrokeColor, r.bg.StrokeWidth = p.colour(theme.ColorNamePrimary), 1
	}
	r.bg.Refresh()
}

// CreateRenderer draws the row.
func (r *fileRow) CreateRenderer() fyne.WidgetRenderer { return rowRenderer{r} }

type rowRenderer struct{ r *fileRow }

func (x rowRenderer) MinSize() fyne.Size { return fyne.NewSize(200, rowHeight) }
func (x rowRenderer) Destroy()           {}
func (x rowRenderer) Refresh()           { x.Layout(x.r.Size()) }
func (x rowRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{x.r.bg, x.r.icon, x.r.name, x.r.facts[0], x.r.facts[1], x.r.facts[2]}
}
func (x rowRenderer) Layout(s fyne.Size) {
	c := columnsFor(s.Width)
	x.r.bg.Resize(s)
	x.r.icon.Resize(fyne.NewSquareSize(c.icon.w))
	x.r.icon.Move(fyne.NewPos(c.icon.x, middle(s.Height, c.icon.w)))
	c.name.put(x.r.name, s.Height)
	c.size.put(x.r.facts[0], s.Height)
	c.changed.put(x.r.facts[1], s.Height)
	c.kind.put(x.r.facts[2], s.Height)
}

// MouseIn lights the row up.
func (r *fileRow) MouseIn(*desktop.MouseEvent) { r.hovered = true; r.ground() }

// MouseMoved is of no interest.
func (r *fileRow) MouseMoved(*desktop.MouseEvent) {}

// MouseOut lets it go dark.
func (r *fileRow) MouseOut() { r.hovered = false; r.ground() }

// MouseUp is of no interest.
func (r *fileRow) MouseUp(*desktop.MouseEvent) {}

// MouseDown chooses at once; waiting for a second click would make every choice slow.
func (r *fileRow) MouseDown(e *desktop.MouseEvent) {
	r.l.w.win.Canvas().Focus(r.l)
	if e.Button == desktop.MouseButtonSecondary {
		r.l.b.Point(r.index)
		return
	}
	k := keysOf(e.Modifier)
	if k == (viewmodel.Keys{}) && time.Since(r.clicked) < doubleClick {
		r.clicked = time.Time{}
		r.l.open(r.index)
		return
	}
	r.clicked = time.Now()
	r.l.b.Click(r.index, k)
	r.l.fill()
}

// TappedSecondary shows what one can do with the choice.
func (r *fileRow) TappedSecondary(e *fyne.PointEvent) {
	r.l.w.rowMenu(r.index, e.AbsolutePosition)
}
