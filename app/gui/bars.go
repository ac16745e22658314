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
	all := row(12, 18, []float32{22, -1, 0, 0, 0}, p.icon("down", 22, colAccent, colNone), middle, s.moreBox, s.pause, s.cancel)
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

// transfers is the page of the pulls.
type transfers struct {
	w     *window
	whole fyne.CanvasObject
	box   *fyne.Container
	cards []*jobCard
	empty *emptyNote
	clear *widget.Button
	page  fyne.CanvasObject
}

func newTransfers(w *window) *transfers {
	t := &transfers{w: w, box: container.New(stack{gap: 8}), empty: newEmptyNote(w, "arrows")}
	t.clear = button(w.set.Words.Text("action.clear"), false, w.set.Transfers.ForgetEnded)
	head := row(12, 0, []float32{-1, 0}, w.paint.bold(w.set.Words.Text("page.transfers"), textHead, colText), t.clear)
	t.page = scrollPage(24, 880, column(16, head, t.box))
	t.whole = container.NewStack(t.page, t.empty.object)
	return t
}

func (t *transfers) object() fyne.CanvasObject { return t.whole }

func (t *transfers) refresh() {
	rows := t.w.set.Transfers.Rows()
	t.empty.show(t.w.set.Transfers.Empty())
	shown(t.page, len(rows) > 0)
	same := len(rows) == len(t.cards)
	for i := 0; same && i < len(rows); i++ {
		same = t.cards[i].fits(rows[i])
	}
	if same {
		for i, r := range rows {
			t.cards[i].set(r)
		}
		return
	}
	t.cards, t.box.Objects = nil, nil
	ended := false
	for _, r := range rows {
		c := newJobCard(t.w, r)
		t.cards = append(t.cards, c)
		t.box.Add(c.object)
		ended = ended || slices.Contains(r.Acts, viewmodel.ActForget)
	}
	shown(t.clear, ended)
	t.page.Refresh()
}

// jobCard is one pull. It is made for the shape of a row and filled with its figures.
type jobCard struct {
	w       *window
	object  fyne.CanvasObject
	row     viewmodel.TransferRow
	figures *canvas.Text
	head    *fyne.Container
	text    *widget.RichText
	bar     *bar
}

func newJobCard(w *window, r viewmodel.TransferRow) *jobCard {
	p := w.paint
	c := &jobCard{w: w, row: r, figures: p.text(r.Figures, textSmall, colQuiet), bar: p.bar()}
	stroke, body := colAccent, colNone
	switch r.Tone {
	case viewmodel.Good:
		stroke = theme.ColorNameSuccess
	case viewmodel.Bad:
		stroke = theme.ColorNameError
	}
	if r.Icon == "pause" || r.Icon == "close" {
		stroke = colQuiet
	}
	c.head = row(12, 0, []float32{-1, 0}, newCut(p.bold(r.Title, textBody, colText)), c.figures)
	c.text = p.para(r.Text, colQuiet, theme.SizeNameCaptionText)
	objects := []fyne.CanvasObject{c.head}
	if r.Bar {
		objects = append(objects, c.bar)
	}
	objects = append(objects, inset(-6, -6, -8, -8, c.text))
	for _, s := range r.Problems {
		objects = append(objects, sentence(p.text(s, textCaption, theme.ColorNameWarning)))
	}
	acts := container.New(line{gap: 4, widths: make([]float32, len(r.Acts))})
	for _, a := range r.Acts {
		acts.Add(w.tool(actIcon(a), w.set.Words.Text("act."+string(a)), func() { w.set.Transfers.Do(c.row, a) }))
	}
	inner := container.New(noticeLine{line{12, 0, []float32{22, -1, 0}}}, p.icon(r.Icon, 22, stroke, body), column(5, objects...), acts)
	b := w.press(inset(12, 10, 16, 10, inner), radiusCard, "", nil)
	b.keys = c.keys()
	c.object = p.card(b)
	c.set(r)
	return c
}

// keys gives the acts of a card that has the focus their keys.
func (c *jobCard) keys() map[fyne.KeyName]func() {
	m := map[fyne.KeyName]func(){}
	for _, a := range c.row.Acts {
		do := func() { c.w.set.Transfers.Do(c.row, a) }
		switch a {
		case viewmodel.ActForget, viewmodel.ActCancel:
			m[fyne.KeyDelete] = do
		case viewmodel.ActShow:
			m[fyne.KeyReturn] = do
		case viewmodel.ActPause, viewmodel.ActResume, viewmodel.ActRetry:
			m[fyne.KeySpace] = do
		}
	}
	return m
}

func actIcon(a viewmodel.Act) string {
	switch a {
	case viewmodel.ActPause:
		return "pause"
	case viewmodel.ActResume:
		return "play"
	case viewmodel.ActRetry:
		return "again"
	case viewmodel.ActShow:
		return "folder"
	case viewmodel.ActForget:
		return "bin"
	}
	return "close"
}

// fits reports whether the card has the shape of a row.
func (c *jobCard) fits(r viewmodel.TransferRow) bool {
	o := c.row
	return o.ID == r.ID && o.Icon == r.Icon && o.Tone == r.Tone && o.Title == r.Title && o.Bar == r.Bar &&
		slices.Equal(o.Acts, r.Acts) && slices.Equal(o.Problems, r.Problems)
}

func (c *jobCard) set(r viewmodel.TransferRow) {
	c.bar.set(r.Part)
	if r.Figures != c.row.Figures {
		c.figures.Text = r.Figures
		c.head.Refresh()
	}
	if r.Text != c.row.Text {
		if s, ok := c.text.Segments[0].(*widget.TextSegment); ok {
			s.Text = r.Text
			c.text.Refresh()
		}
	}
	c.row = r
}
