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
	"porchlight/transfer"
)

// transfers is the page of the pulls.
type transfers struct {
	w     *window
	whole fyne.CanvasObject
	box   *fyne.Container
	cards []*jobCard
	empty *emptyNote
	hold  *widget.Button
	more  *widget.Button  // shows the older ones
	said  *fyne.Container // what is so for all of them
	bar   viewmodel.QueueBar
	page  fyne.CanvasObject
}

func newTransfers(w *window) *transfers {
	t := &transfers{w: w, box: container.New(stack{gap: 8}), empty: newEmptyNote(w, "arrows"), said: container.NewStack()}
	t.hold = button("", false, w.set.Transfers.Hold)
	t.more = button("", false, w.set.Transfers.ShowMore)
	t.hold.Hide()
	t.said.Hide()
	t.more.Hide()
	head := row(12, 0, []float32{-1, 0}, newCut(w.paint.bold(w.set.Words.Text("page.transfers"), textHead, colText)), t.hold)
	t.page = scrollPage(24, 880, column(16, head, t.said, t.box, row(0, 0, []float32{0, -1}, t.more, space(1, 1))))
	t.whole = container.NewStack(t.empty.object, t.page)
	return t
}

func (t *transfers) object() fyne.CanvasObject { return t.whole }

func (t *transfers) refresh() {
	rows := t.w.set.Transfers.Rows()
	told := t.tell(t.w.set.Transfers.Queue())
	none := t.w.set.Transfers.Empty()
	if t.bar.Held { // that is more than nothing
		none = viewmodel.Empty{}
	}
	t.empty.show(none)
	shown(t.page, len(rows) > 0 || t.bar.Held)
	if more := t.w.set.Transfers.More(); more != t.more.Text {
		t.more.SetText(more)
		shown(t.more, more != "")
		told = true
	}
	same := len(rows) == len(t.cards) && !told
	for i := 0; same && i < len(rows); i++ {
		same = t.cards[i].fits(rows[i])
	}
	if same {
		for i, r := range rows {
			t.cards[i].set(r)
		}
		return
	}
	t.arrange(rows)
}

// tell says what is so for all transfers, and reports whether that changed.
func (t *transfers) tell(b viewmodel.QueueBar) bool {
	if b == t.bar {
		return false
	}
	t.bar = b
	t.hold.Importance = widget.MediumImportance
	if b.Held {
		t.hold.Importance = widget.HighImportance
	}
	t.hold.SetText(b.Action)
	shown(t.hold, b.Action != "")
	shown(t.said, b.Text != "")
	p := t.w.paint
	icon, ground := p.icon("info", 18, colQuiet, colNone), p.box(colRaised, radiusCard)
	if b.Held {
		icon, ground = p.icon("pause", 18, colAccent, colNone), p.box(colTint, radiusCard)
	}
	t.said.Objects = []fyne.CanvasObject{ground, container.New(noticeLine{line{10, 12, []float32{18, -1}}}, icon, p.para(b.Text, colText, theme.SizeNameText))}
	return true
}

// arrange makes the cards that are needed and keeps those that fit; the focus stays with the transfer that has it.
func (t *transfers) arrange(rows []viewmodel.TransferRow) {
	old := map[transfer.JobID]*jobCard{}
	for _, c := range t.cards {
		old[c.row.ID] = c
	}
	focus := t.w.win.Canvas().Focused()
	t.cards, t.box.Objects = nil, nil
	var again *press
	for _, r := range rows {
		if r.Above.Title != "" {
			t.box.Add(t.section(r.Above))
		}
		c := old[r.ID]
		if c != nil && c.fits(r) {
			c.set(r)
		} else {
			had := c != nil && focus == fyne.Focusable(c.press)
			c = newJobCard(t.w, r)
			if had {
				again = c.press
			}
		}
		t.cards = append(t.cards, c)
		t.box.Add(c.object)
	}
	t.page.Refresh()
	if again != nil {
		t.w.win.Canvas().Focus(again)
	}
}

// section is the line above the first transfer of a kind.
func (t *transfers) section(s viewmodel.Section) fyne.CanvasObject {
	return inset(8, 0, 0, 0, row(12, 0, []float32{-1, 0}, newCut(t.w.paint.bold(s.Title, textBody, colText)), button(s.Action, false, s.Do)))
}

// jobCard is one pull. It is made for the shape of a row and filled with its figures.
type jobCard struct {
	w       *window
	object  fyne.CanvasObject
	press   *press
	row     viewmodel.TransferRow
	figures *canvas.Text
	head    *fyne.Container
	text    *widget.RichText
	bar     *bar
	more    *jobDetails // nil unless it is open
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
	inner := column(10, container.New(noticeLine{line{12, 0, []float32{22, -1, 0}}}, p.icon(r.Icon, 22, stroke, body), column(5, objects...), acts))
	if r.Open {
		c.more = newJobDetails(w, r)
		inner.Add(c.more.object)
	}
	c.press = w.press(inset(12, 10, 16, 10, inner), radiusCard, "", func() { w.set.Transfers.Toggle(r.ID) })
	c.press.keys = c.keys()
	c.object = p.card(c.press)
	c.set(r)
	return c
}

// keys gives the acts of a card that has the focus their keys. Enter opens it where there is nothing else to show.
func (c *jobCard) keys() map[fyne.KeyName]func() {
	t := c.w.set.Transfers
	m := map[fyne.KeyName]func(){}
	for _, a := range c.row.Acts {
		do := func() { t.Do(c.row, a) }
		switch a {
		case viewmodel.ActForget, viewmodel.ActCancel:
			m[fyne.KeyDelete] = do
		case viewmodel.ActShow:
			m[fyne.KeyReturn] = do
		case viewmodel.ActPause, viewmodel.ActResume, viewmodel.ActRetry:
			m[fyne.KeySpace] = do
		}
	}
	if c.row.Moves {
		for key, to := range map[fyne.KeyName]transfer.Move{fyne.KeyHome: transfer.MoveFirst, fyne.KeyPageUp: transfer.MoveUp, fyne.KeyPageDown: transfer.MoveDown, fyne.KeyEnd: transfer.MoveLast} {
			m[key] = func() { t.Move(c.row.ID, to) }
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
	return o.ID == r.ID && o.Icon == r.Icon && o.Tone == r.Tone && o.Title == r.Title && o.Bar == r.Bar && o.Open == r.Open && o.Moves == r.Moves &&
		o.Above.Title == r.Above.Title && slices.Equal(o.Acts, r.Acts) && slices.Equal(o.Problems, r.Problems) && (c.more == nil || c.more.fits(r.Details))
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
	if c.more != nil {
		c.more.set(r.Details)
	}
	c.row = r
}
