//go:build !headless

package gui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"porchlight/app/viewmodel"
)

// noticeBar says what happened, in a bar above the page rather than in a dialog.
type noticeBar struct {
	w      *window
	object *fyne.Container
	text   string
}

func newNoticeBar(w *window) *noticeBar {
	return &noticeBar{w: w, object: container.NewStack()}
}

func (n *noticeBar) refresh() {
	x := n.w.set.Notices.Now()
	shown(n.object, x.Text != "")
	if x.Text == n.text {
		return
	}
	n.text = x.Text
	p := n.w.paint
	icon, colour := p.icon("check", 18, theme.ColorNameSuccess, colNone), colText
	if x.Tone == viewmodel.Bad {
		icon, colour = p.icon("careful", 18, theme.ColorNameError, colNone), theme.ColorNameError
	}
	objects := []fyne.CanvasObject{icon, p.para(x.Text, colour, theme.SizeNameText)}
	widths := []float32{18, -1}
	if x.Action != "" {
		objects, widths = append(objects, button(x.Action, false, x.Do)), append(widths, 0)
	}
	objects, widths = append(objects, n.w.tool("close", n.w.set.Words.Text("tip.close"), n.w.set.Notices.Dismiss)), append(widths, 0)
	n.object.Objects = []fyne.CanvasObject{p.box(colRaised, 0), container.NewBorder(nil, p.rule(), nil, nil, container.New(noticeLine{line{8, 16, widths}}, objects...))}
	n.object.Refresh()
}

// noticeLine is a line whose text wraps: its height is known when its width is.
type noticeLine struct{ line }

// Layout gives the text its width first.
func (l noticeLine) Layout(o []fyne.CanvasObject, s fyne.Size) {
	l.line.Layout(o, s)
	l.line.Layout(o, s)
}

// strip is the line at the bottom while something moves.
type strip struct {
	w       *window
	object  *fyne.Container
	title   *cut
	text    *cut
	figures *canvas.Text
	bar     *bar
	more    *canvas.Text
	moreBox *press
	pause   *press
	cancel  *press
	row     viewmodel.TransferRow
}

func newStrip(w *window) *strip {
	p, words := w.paint, w.set.Words
	s := &strip{w: w, title: newCut(p.bold("", textBody, colText)), text: sentence(p.text("", textCaption, colQuiet)),
		figures: p.text("", textSmall, colQuiet), bar: p.bar(), more: p.bold("", textSmall, colAccent)}
	s.moreBox = w.press(inset(5, 5, 10, 10, s.more), radiusRow, "", func() { w.set.Nav.Go(viewmodel.Place{Page: viewmodel.PageTransfers}) })
	s.pause = w.tool("pause", words.Text("act.pause"), func() { w.set.Transfers.Do(s.row, viewmodel.ActPause) })
	s.cancel = w.tool("close", words.Text("act.cancel"), func() { w.set.Transfers.Do(s.row, viewmodel.ActCancel) })
	middle := column(4, row(12, 0, []float32{-1, 0}, s.title, s.figures), s.bar, s.text)
	all := row(8, 16, []float32{22, -1, 0, 0, 0}, p.icon("down", 22, colAccent, colNone), middle, s.moreBox, s.pause, s.cancel)
	s.object = container.NewStack(p.box(colRaised, 0), container.NewBorder(p.rule(), nil, nil, nil, all))
	s.object.Hide()
	return s
}

func (s *strip) refresh() {
	x := s.w.set.Transfers.Strip()
	shown(s.object, x.Visible)
	if !x.Visible {
		return
	}
	s.row = x.TransferRow
	s.title.set(x.Title)
	s.text.set(x.Text)
	s.bar.set(x.Part)
	changed := s.figures.Text != x.Figures || s.more.Text != x.More
	s.figures.Text, s.more.Text = x.Figures, x.More
	shown(s.moreBox, x.More != "")
	if changed {
		s.object.Refresh()
	}
}

// emptyNote is what a page says when it has nothing to show.
type emptyNote struct {
	w      *window
	object *fyne.Container
	icon   string
	now    viewmodel.Empty
	action fyne.CanvasObject
}

func newEmptyNote(w *window, icon string) *emptyNote {
	e := &emptyNote{w: w, icon: icon, object: container.NewStack()}
	e.object.Hide()
	return e
}

func (e *emptyNote) show(x viewmodel.Empty) {
	shown(e.object, x.Title != "")
	if x == e.now {
		return
	}
	e.now = x
	if x.Title == "" {
		return
	}
	p := e.w.paint
	stroke, body := thingColours(e.icon)
	title, text := p.para(x.Title, colText, theme.SizeNameSubHeadingText), p.para(x.Text, colQuiet, theme.SizeNameText)
	flush(title)
	for _, r := range []*widget.RichText{title, text} {
		if s, ok := r.Segments[0].(*widget.TextSegment); ok {
			s.Style.Alignment = fyne.TextAlignCenter
		}
	}
	objects := []fyne.CanvasObject{container.NewCenter(p.icon(e.icon, 56, stroke, body)), title}
	if x.Text != "" {
		objects = append(objects, text)
	}
	if e.action != nil {
		objects = append(objects, container.NewCenter(e.action))
	}
	e.object.Objects = []fyne.CanvasObject{container.New(amid{width: 400}, container.New(stack{gap: 4}, objects...))}
	e.object.Refresh()
}

// amid puts one object in the middle, no wider than it reads well.
type amid struct{ width float32 }

// MinSize lets it wrap.
func (a amid) MinSize(o []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(min(a.width, 200), o[0].MinSize().Height)
}

// Layout asks for the height when the width is known.
func (a amid) Layout(o []fyne.CanvasObject, s fyne.Size) {
	w := min(a.width, s.Width-32)
	o[0].Resize(fyne.NewSize(w, o[0].MinSize().Height))
	h := o[0].MinSize().Height
	o[0].Resize(fyne.NewSize(w, h))
	o[0].Move(fyne.NewPos(middle(s.Width, w), max(middle(s.Height, h)-12, 0)))
}
