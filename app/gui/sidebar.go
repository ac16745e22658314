//go:build !headless

package gui

import (
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/theme"

	"porchlight/app/viewmodel"
)

// sidebar lists where one can go. A line that leads to the same place stays the same widget, so that it keeps the focus
// when others come and go.
type sidebar struct {
	w      *window
	object fyne.CanvasObject
	box    *fyne.Container
	scroll *container.Scroll
	items  []viewmodel.Side
	lines  map[viewmodel.Place]*sideLine
}

// sideLine is a line one can press.
type sideLine struct {
	whole fyne.CanvasObject
	press *press
	inner *fyne.Container
	item  viewmodel.Side
}

func newSidebar(w *window) *sidebar {
	p := w.paint
	s := &sidebar{w: w, box: container.New(stack{}), lines: map[viewmodel.Place]*sideLine{}}
	words := w.set.Words
	brand := row(6, 16, []float32{24, -1, 0, 0}, p.icon("lamp", 24, colAccent, colTint), p.bold(words.Text("app.name"), textTitle, colText),
		w.tool("info", words.Text("tip.about"), func() { w.set.Nav.Go(viewmodel.Place{Page: viewmodel.PageAbout}) }),
		w.tool("gear", words.Text("tip.settings"), func() { w.set.Nav.Go(viewmodel.Place{Page: viewmodel.PageSettings}) }))
	s.scroll = container.NewVScroll(inset(0, 12, 0, 0, s.box))
	s.object = container.NewStack(p.box(colSide, 0), container.NewBorder(inset(9, 5, 0, -6, brand), nil, nil, nil, s.scroll))
	return s
}

func (s *sidebar) refresh() {
	items := s.w.set.Sidebar.Items()
	if slices.Equal(items, s.items) {
		return
	}
	s.items = items
	lines := map[viewmodel.Place]*sideLine{}
	s.box.Objects = make([]fyne.CanvasObject, 0, len(items))
	for _, x := range items {
		if x.To.Page == "" {
			s.box.Objects = append(s.box.Objects, s.words(x))
			continue
		}
		l := s.lines[x.To]
		if l == nil || lines[x.To] != nil { // computers that cannot be opened lead to one place
			l = s.line(x.To)
		}
		lines[x.To] = l
		s.fill(l, x)
		s.box.Objects = append(s.box.Objects, l.whole)
	}
	s.lines = lines
	s.box.Refresh()
	s.scroll.Refresh()
}

// words is a line that leads nowhere.
func (s *sidebar) words(x viewmodel.Side) fyne.CanvasObject {
	p := s.w.paint
	if x.Kind == viewmodel.SideHead {
		return inset(14, 4, 18, 12, newCut(p.bold(x.Name, textCaption, colQuiet)))
	}
	return inset(4, 4, 18, 12, sentence(p.text(x.Name, textSmall, colQuiet)))
}

func (s *sidebar) line(to viewmodel.Place) *sideLine {
	l := &sideLine{inner: container.NewStack()}
	l.press = s.w.press(l.inner, radiusRow, "", func() { s.w.set.Nav.Go(to) })
	l.whole = inset(0, 1, 8, 8, l.press)
	return l
}

// fill draws what a line says, when that changed.
func (s *sidebar) fill(l *sideLine, x viewmodel.Side) {
	if l.item == x {
		return
	}
	l.item = x
	p := s.w.paint
	if x.Kind == viewmodel.SideHead {
		head := row(8, 10, []float32{-1, 14}, newCut(p.bold(x.Name, textCaption, colQuiet)), p.icon("forward", 14, colQuiet, colNone))
		l.inner.Objects = []fyne.CanvasObject{container.NewStack(space(1, sideHeadHeight), head)}
		l.whole.(*fyne.Container).Layout = layout.NewCustomPaddedLayout(8, 1, 8, 8) // its words stand where those of a head that leads nowhere do
		l.inner.Refresh()
		l.press.choose(x.Selected)
		return
	}
	stroke, body, colour := colQuiet, colNone, colText
	if x.Selected {
		stroke, body = colAccent, colTint
	}
	if x.Quiet {
		colour = colQuiet
	}
	t := p.text(x.Name, textBody, colour)
	t.TextStyle.Bold = x.Selected
	objects := []fyne.CanvasObject{space(float32(x.Indent)*16, sideRowHeight), p.icon(x.Icon, 18, stroke, body), newCut(t)}
	widths := []float32{0, 18, -1}
	if x.Tick {
		objects, widths = append(objects, p.icon("check", 14, theme.ColorNameSuccess, colNone)), append(widths, 14)
	}
	if x.Count != "" {
		objects, widths = append(objects, p.badge(x.Count)), append(widths, 0)
	}
	if x.Dot != "" {
		objects, widths = append(objects, p.dot(x.Dot)), append(widths, 12)
	}
	l.inner.Objects = []fyne.CanvasObject{row(8, 8, widths, objects...)}
	l.inner.Refresh()
	l.press.choose(x.Selected)
}
