//go:build !headless

package gui

import (
	"reflect"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"porchlight/app/viewmodel"
)

// join is the page on which one types the digits of an invitation, or compares pictures instead.
type join struct {
	w       *window
	page    fyne.CanvasObject
	boxes   *digitBoxes
	text    *cut
	trouble *widget.RichText
	wrong   fyne.CanvasObject
	yes     *widget.Button
	stop    *widget.Button
	nearTip *widget.RichText
	near    *fyne.Container
	drawn   []viewmodel.NearRow
}

func newJoin(w *window) *join {
	p, words, vm := w.paint, w.set.Words, w.set.Joining
	j := &join{w: w, text: sentence(p.bold("", textBody, colText)), near: container.New(stack{gap: 8})}
	j.trouble, j.nearTip = p.para("", theme.ColorNameError, theme.SizeNameText), p.para("", colQuiet, theme.SizeNameText)
	j.wrong = plain(j.trouble)
	j.boxes = newDigitBoxes(w)
	j.yes, j.stop = button(words.Text("join.yes"), true, vm.Join), button(words.Text("join.stop"), false, vm.Stop)
	paste := button(words.Text("join.paste"), false, func() { vm.Paste(w.app.Clipboard().Content()) })
	title, about := vm.Title()
	others := container.New(newWrap(8), button(words.Text("join.own"), false, w.found),
		button(words.Text("wg.act.recover"), false, func() { w.set.Nav.Go(viewmodel.Place{Page: viewmodel.PageRecover}) }))
	content := column(14, p.bold(title, textHead, colText), plain(p.para(about, colQuiet, theme.SizeNameText)), j.text, j.boxes, j.wrong,
		container.New(newWrap(8), j.yes, j.stop, paste), space(1, 4), plain(j.nearTip), j.near, p.rule(), others)
	j.page = scrollPage(24, 640, content)
	return j
}

func (j *join) object() fyne.CanvasObject { return j.page }

func (j *join) refresh() {
	x := j.w.set.Joining.Page()
	j.boxes.set(x.Digits)
	j.text.set(x.Text)
	moved := j.wrong.Visible() != (x.Trouble != "") || j.stop.Visible() != x.Busy
	if x.Trouble != "" {
		rewrite(j.trouble, x.Trouble)
	}
	shown(j.wrong, x.Trouble != "")
	shown(j.stop, x.Busy)
	shown(j.yes, !x.Busy)
	if x.Ready == j.yes.Disabled() {
		able(j.yes, x.Ready)
	}
	rewrite(j.nearTip, x.NearTip)
	if !reflect.DeepEqual(x.Near, j.drawn) || moved {
		j.fill(x.Near)
		j.page.Refresh()
	}
}

func able(b *widget.Button, on bool) {
	if on {
		b.Enable()
	} else {
		b.Disable()
	}
}

// fill lists the computers that invite.
func (j *join) fill(rows []viewmodel.NearRow) {
	p, words := j.w.paint, j.w.set.Words
	j.drawn, j.near.Objects = rows, nil
	for _, r := range rows {
		b := button(words.Text("join.near.yes"), false, func() { j.w.set.Joining.Compare(r.ID) })
		if r.Busy {
			b.SetText(words.Text("join.near.busy"))
			b.Disable()
		}
		j.near.Add(p.card(inset(8, 8, 14, 10, row(12, 0, []float32{24, -1, 0}, p.icon("desktop", 24, colAccent, colTint), newCut(p.bold(r.Name, textBody, colText)), b))))
	}
	j.near.Refresh()
}

// entered puts the keyboard into the boxes.
func (j *join) entered() { j.w.win.Canvas().Focus(j.boxes) }

// digitBoxes are eight boxes for digits, which are one field: what is typed goes on in the next box, and a whole code can be
// pasted.
type digitBoxes struct {
	widget.BaseWidget
	w     *window
	boxes []*canvas.Rectangle
	texts []*canvas.Text
	all   *fyne.Container
	now   string
	focus bool
}

// boxWidth and boxHeight are the measures of one box, gapPair is the room after the second: "27 · 482 913".
const (
	boxWidth, boxHeight = 34, 44
	boxGap, gapPair     = 6, 18
	textDigits          = 34
)

func newDigitBoxes(w *window) *digitBoxes {
	d := &digitBoxes{w: w}
	p := w.paint
	var cells []fyne.CanvasObject
	var widths []float32
	for i := range 8 {
		b := p.box(theme.ColorNameInputBackground, radiusRow)
		t := p.bold("", 22, colText)
		t.Alignment = fyne.TextAlignCenter
		d.boxes, d.texts = append(d.boxes, b), append(d.texts, t)
		cells, widths = append(cells, container.NewStack(b, space(boxWidth, boxHeight), t)), append(widths, boxWidth)
		if i == 1 || i == 4 {
			cells, widths = append(cells, space(gapPair-2*boxGap, 1)), append(widths, gapPair-2*boxGap)
		}
	}
	d.all = row(boxGap, 0, widths, cells...)
	d.ExtendBaseWidget(d)
	d.edges()
	return d
}

// CreateRenderer draws the boxes.
func (d *digitBoxes) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(d.all) }

// set shows digits.
func (d *digitBoxes) set(digits string) {
	if digits == d.now {
		return
	}
	d.now = digits
	for i, t := range d.texts {
		s := ""
		if i < len(digits) {
			s = digits[i : i+1]
		}
		if t.Text != s {
			t.Text = s
			t.Refresh()
		}
	}
	d.edges()
}

// edges marks the box that is next.
func (d *digitBoxes) edges() {
	for i, b := range d.boxes {
		name, width := theme.ColorNameInputBorder, float32(1)
		if d.focus && (i == len(d.now) || i == len(d.boxes)-1 && len(d.now) == len(d.boxes)) {
			name, width = theme.ColorNamePrimary, 2
		}
		b.StrokeColor, b.StrokeWidth = d.w.paint.colour(name), width
		b.Refresh()
	}
}

// Tapped takes the keyboard.
func (d *digitBoxes) Tapped(*fyne.PointEvent) { d.w.win.Canvas().Focus(d) }

// FocusGained marks the next box.
func (d *digitBoxes) FocusGained() { d.focus = true; d.edges() }

// FocusLost takes the mark away.
func (d *digitBoxes) FocusLost() { d.focus = false; d.edges() }

// TypedRune takes a digit.
func (d *digitBoxes) TypedRune(r rune) { d.typed(d.now + string(r)) }

func (d *digitBoxes) typed(s string) {
	d.w.set.Joining.Type(s)
	d.set(d.w.set.Joining.Page().Digits)
}

// TypedKey takes a digit back, or asks with all of them.
func (d *digitBoxes) TypedKey(e *fyne.KeyEvent) {
	switch e.Name {
	case fyne.KeyBackspace, fyne.KeyDelete:
		d.typed(d.now[:max(len(d.now)-1, 0)])
	case fyne.KeyReturn, fyne.KeyEnter:
		d.w.set.Joining.Join()
	case fyne.KeyDown:
		d.w.win.Canvas().FocusNext()
	case fyne.KeyUp:
		d.w.win.Canvas().FocusPrevious()
	default:
		d.w.key(e)
	}
}

// TypedShortcut pastes a code. All others are the window's, which does not hear of them while the boxes have the focus.
func (d *digitBoxes) TypedShortcut(s fyne.Shortcut) {
	if p, ok := s.(*fyne.ShortcutPaste); ok {
		d.w.set.Joining.Paste(p.Clipboard.Content())
		return
	}
	if c, ok := d.w.win.Canvas().(fyne.Shortcutable); ok {
		c.TypedShortcut(s)
	}
}
