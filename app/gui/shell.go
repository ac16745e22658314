//go:build !headless

package gui

import (
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"porchlight/app/viewmodel"
)

// page is one screen in the middle of the window.
type page interface {
	object() fyne.CanvasObject
	refresh()
}

// parts are what the window is made of; build makes them anew.
type parts struct {
	root    *fyne.Container
	body    *fyne.Container // laid out by shell
	side    *sidebar
	top     *topbar
	main    *fyne.Container
	notice  *noticeBar
	details *details
	strip   *strip
	tip     *tip
	first   *firstRun
	newNet  *newNetwork
	pages   map[viewmodel.Page]page
	list    *folder
	shown   viewmodel.Place
	sheet   bool // details asked for in a narrow window
}

// build makes every part in the colours of the theme, and keeps where the person is.
func (w *window) build() {
	w.leave()
	w.cards.down() // it comes again in the new colours
	w.paint = newPaint(w.theme, w.app.Settings().ThemeVariant())
	w.parts = parts{sheet: w.sheet}
	w.side, w.top = newSidebar(w), newTopbar(w)
	w.notice, w.strip, w.details = newNoticeBar(w), newStrip(w), newDetails(w)
	w.tip, w.first, w.newNet = newTip(w), newFirstRun(w), newNewNetwork(w)
	w.list = newFolder(w)
	w.pages = map[viewmodel.Page]page{
		viewmodel.PageNeighbours: newNeighbours(w),
		viewmodel.PageComputer:   newComputer(w),
		viewmodel.PageFolder:     w.list,
		viewmodel.PageShares:     newShares(w),
		viewmodel.PageTransfers:  newTransfers(w),
		viewmodel.PageSettings:   newSettings(w),
		viewmodel.PageAbout:      newAbout(w),
		viewmodel.PageDoctor:     newDoctor(w),
		viewmodel.PageWorkgroup:  newWorkgroup(w),
		viewmodel.PageInvite:     newInvite(w),
		viewmodel.PageSheet:      newSheet(w),
		viewmodel.PageJoin:       newJoin(w),
		viewmodel.PageRecover:    newRecover(w),
	}
	w.main = container.NewStack()
	w.body = container.New(&shell{w}, w.side.object, w.top.object, w.main, w.notice.object, w.strip.object, w.details.object)
	w.root = container.NewStack(canvas.NewRectangle(w.paint.colour(theme.ColorNameBackground)), w.body, w.first.object, w.newNet.object, w.tip.layer)
	w.win.SetContent(w.root)
	w.refresh()
}

// leave takes away what a page leaves behind outside of the window.
func (w *window) leave() {
	for _, p := range w.pages {
		if x, ok := p.(interface{ left() }); ok {
			x.left()
		}
	}
}

// refresh draws what the view models say now.
func (w *window) refresh() {
	w.look()
	at := w.set.Nav.Place()
	first := at.Page == viewmodel.PageFirst
	if moved := at != w.shown; moved {
		w.enter(at)
	}
	asked := w.newNet.refresh()
	shown(w.first.object, first)
	shown(w.body, !first && !asked)
	if first {
		w.first.refresh()
	}
	if first || asked {
		return
	}
	w.side.refresh()
	w.top.refresh()
	w.notice.refresh()
	w.strip.refresh()
	if p := w.pages[at.Page]; p != nil {
		p.refresh()
	}
	w.details.refresh()
	w.body.Layout.Layout(w.body.Objects, w.body.Size())
	w.cards.refresh()
}

// enter puts a page in the middle.
func (w *window) enter(at viewmodel.Place) {
	w.leave()
	p := w.pages[at.Page]
	turned := at.Page != w.shown.Page
	w.shown, w.sheet = at, false
	if p == nil {
		return
	}
	if turned {
		w.main.Objects = []fyne.CanvasObject{p.object()}
		w.main.Refresh()
	}
	title := w.set.Words.Text("app.name")
	if at.Page != viewmodel.PageNeighbours {
		title = w.set.Nav.Title() + " · " + title
	}
	w.win.SetTitle(title)
	if next, ok := p.(interface{ entered() }); ok {
		next.entered()
	}
}

func shown(o fyne.CanvasObject, on bool) {
	switch {
	case on && !o.Visible():
		o.Show()
	case !on && o.Visible():
		o.Hide()
	}
}

// shell places the parts: sidebar, top bar, notice, page, strip, details.
type shell struct{ w *window }

// MinSize is the smallest window.
func (s *shell) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(minWidth, minHeight) }

// leastList is the least width in which a list is of use.
const leastList = 240

// Layout gives the page what the others leave; details go first when it gets narrow.
func (s *shell) Layout(o []fyne.CanvasObject, size fyne.Size) {
	side, top, main, notice, strip, det := o[0], o[1], o[2], o[3], o[4], o[5]
	wide := size.Width >= narrow
	left, right, bottom := float32(sideWide), size.Width, size.Height
	if !wide {
		left = sideSmall
	}
	place(side, 0, 0, left, size.Height)
	place(top, left, 0, size.Width-left, topHeight)
	if strip.Visible() {
		bottom -= stripHeight
		place(strip, left, bottom, size.Width-left, stripHeight)
	}
	y := float32(topHeight)
	if notice.Visible() {
		notice.Resize(fyne.NewSize(size.Width-left, notice.MinSize().Height))
		h := notice.MinSize().Height
		place(notice, left, y, size.Width-left, h)
		y += h
	}
	on := s.w.shown.Page == viewmodel.PageFolder && (wide || s.w.sheet)
	shown(det, on)
	if on {
		right -= detailsWidth
		if right-left < leastList {
			right = left // no room for both
		}
		place(det, right, y, size.Width-right, bottom-y)
	}
	shown(main, right > left)
	place(main, left, y, right-left, bottom-y)
}

func place(o fyne.CanvasObject, x, y, width, height float32) {
	o.Move(fyne.NewPos(x, y))
	o.Resize(fyne.NewSize(max(width, 0), max(height, 0)))
}

// toggleDetails opens the details where they are hidden for lack of room, and closes them again.
func (w *window) toggleDetails() {
	w.sheet = !w.sheet
	w.body.Layout.Layout(w.body.Objects, w.body.Size())
	w.details.refresh()
}

// topbar shows the way and what one can do on this page.
type topbar struct {
	w                 *window
	object            fyne.CanvasObject
	back, forward, up *press
	crumbs            *fyne.Container
	shown             []viewmodel.Crumb
	filter            *filterEntry
	filterBox         *fyne.Container
}

func newTopbar(w *window) *topbar {
	words := w.set.Words
	t := &topbar{w: w}
	t.back = w.tool("back", words.Text("tip.back"), w.set.Nav.Back)
	t.forward = w.tool("forward", words.Text("tip.forward"), w.set.Nav.Forward)
	t.up = w.tool("up", words.Text("tip.up"), w.set.Nav.Up)
	again := w.tool("again", words.Text("tip.again"), w.set.Reload)
	t.crumbs = container.New(&trail{})
	t.filter = newFilterEntry(w)
	t.filterBox = fixed(160, 34, t.filter)
	bar := row(4, 10, []float32{0, 0, 0, -1, 0, 0}, t.back, t.forward, t.up, t.crumbs, t.filterBox, again)
	t.object = container.NewBorder(nil, w.paint.rule(), nil, nil, bar)
	return t
}

func (t *topbar) refresh() {
	back, forward, up := t.w.set.Nav.Can()
	for _, x := range []struct {
		p  *press
		on bool
	}{{t.back, back}, {t.forward, forward}, {t.up, up}} {
		x.p.disable(!x.on)
		fade(x.p.content, x.on)
	}
	if on := t.w.shown.Page == viewmodel.PageFolder; on != t.filterBox.Visible() {
		shown(t.filterBox, on)
		t.object.Refresh()
	}
	if crumbs := t.w.set.Nav.Crumbs(); !slices.Equal(crumbs, t.shown) {
		t.shown = crumbs
		t.fill()
	}
}

// fade makes a tool that cannot be used now fainter.
func fade(o fyne.CanvasObject, on bool) {
	c, ok := o.(*fyne.Container)
	if !ok || len(c.Objects) == 0 {
		return
	}
	if im, ok := c.Objects[0].(*canvas.Image); ok {
		if t := map[bool]float64{true: 0, false: .6}[on]; im.Translucency != t {
			im.Translucency = t
			im.Refresh()
		}
	}
}

func (t *topbar) fill() {
	p := t.w.paint
	t.crumbs.Objects = nil
	for i, c := range t.shown {
		last := i == len(t.shown)-1
		label := p.text(c.Text, textBody, colQuiet)
		if last {
			label = p.bold(c.Text, textBody, colText)
		}
		if i > 0 {
			t.crumbs.Add(p.icon("forward", 14, colQuiet, colNone))
		}
		t.crumbs.Add(t.w.press(inset(5, 5, 6, 6, newCut(label)), 6, "", func() { t.w.set.Nav.Go(c.To) }))
	}
	t.crumbs.Refresh()
}

// trail lays out the parts of a path with an arrow between two. What has no room is left out from the beginning; the last
// part is always there.
type trail struct{}

// MinSize is one short part.
func (*trail) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(80, 28) }

// Layout fills from the end.
func (*trail) Layout(o []fyne.CanvasObject, s fyne.Size) {
	widths := make([]float32, len(o))
	room, from := s.Width, len(o)
	for i := len(o) - 1; i >= 0; i -= 2 {
		w := crumbWidth(o[i])
		if i < len(o)-1 {
			w += 14
		}
		if i < len(o)-1 && w > room {
			break
		}
		widths[i] = min(crumbWidth(o[i]), room)
		room -= w
		from = i
	}
	var x float32
	for i, c := range o {
		if i < from {
			c.Hide()
			continue
		}
		c.Show()
		w, h := widths[i], c.MinSize().Height
		if i%2 == 1 {
			w, h = 14, 14
		}
		c.Resize(fyne.NewSize(w, h))
		c.Move(fyne.NewPos(x, middle(s.Height, h)))
		x += w
	}
}

// crumbWidth is what a part needs to show its whole name.
func crumbWidth(o fyne.CanvasObject) float32 {
	if p, ok := o.(*press); ok {
		if c, ok := p.content.(*fyne.Container); ok {
			if t, ok := c.Objects[0].(*cut); ok {
				return t.wide(t.full) + 12 + 1
			}
		}
	}
	return 14
}

// filterEntry is the field that filters the list.
type filterEntry struct {
	widget.Entry
	w *window
}

func newFilterEntry(w *window) *filterEntry {
	e := &filterEntry{w: w}
	e.ExtendBaseWidget(e)
	e.SetPlaceHolder(w.set.Words.Text("browser.filter"))
	e.OnChanged = w.set.Browser.Filter
	return e
}

// TypedKey leaves the field with Esc, Down and Enter.
func (e *filterEntry) TypedKey(k *fyne.KeyEvent) {
	switch k.Name {
	case fyne.KeyEscape:
		e.SetText("")
		e.w.win.Canvas().Focus(e.w.list.list)
	case fyne.KeyDown, fyne.KeyReturn, fyne.KeyEnter:
		e.w.win.Canvas().Focus(e.w.list.list)
		e.w.list.list.show(e.w.set.Browser.Move(1, viewmodel.Keys{}))
	default:
		e.Entry.TypedKey(k)
	}
}
