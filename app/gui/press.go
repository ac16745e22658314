//go:build !headless

package gui

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// press is anything one points at and presses: a line of the sidebar, a part of the path, a tool, a card. It takes the
// focus, shows it, and answers to Enter and Space.
type press struct {
	widget.BaseWidget
	w        *window
	bg       *canvas.Rectangle
	ring     *canvas.Rectangle
	content  fyne.CanvasObject
	do       func()
	tip      string // shown when the pointer rests
	selected bool
	off      bool // cannot be pressed now
	hovered  bool
	keys     map[fyne.KeyName]func() // beside Enter and Space
}

func (w *window) press(content fyne.CanvasObject, radius float32, tip string, do func()) *press {
	p := &press{w: w, bg: w.paint.box(colNone, radius), ring: w.paint.box(colNone, radius), content: content, tip: tip, do: do}
	p.ExtendBaseWidget(p)
	return p
}

// CreateRenderer draws the ground, the content and the ring of the focus.
func (p *press) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(container.NewStack(p.bg, p.content, p.ring))
}

func (p *press) choose(on bool) {
	if p.selected != on {
		p.selected = on
		p.ground()
	}
}

func (p *press) disable(off bool) {
	p.off = off
	p.ground()
}

func (p *press) ground() {
	c := color.Color(color.Transparent)
	switch {
	case p.selected:
		c = p.w.paint.colour(theme.ColorNameSelection)
	case p.hovered && !p.off && p.do != nil:
		c = p.w.paint.colour(theme.ColorNameHover)
	}
	if p.bg.FillColor != c {
		p.bg.FillColor = c
		p.bg.Refresh()
	}
}

// Tapped does what it stands for.
func (p *press) Tapped(*fyne.PointEvent) {
	if p.do != nil && !p.off {
		p.w.hideTip()
		p.do()
	}
}

// MouseIn lights it up.
func (p *press) MouseIn(e *desktop.MouseEvent) {
	p.hovered = true
	p.ground()
	if p.tip != "" {
		p.w.showTip(p, p.tip)
	}
}

// MouseMoved is of no interest.
func (p *press) MouseMoved(*desktop.MouseEvent) {}

// MouseOut lets it go dark.
func (p *press) MouseOut() {
	p.hovered = false
	p.ground()
	p.w.hideTip()
}

// FocusGained shows the ring.
func (p *press) FocusGained() {
	p.ring.StrokeColor, p.ring.StrokeWidth = p.w.paint.colour(theme.ColorNamePrimary), 1.5
	p.ring.Refresh()
}

// FocusLost hides it.
func (p *press) FocusLost() {
	p.ring.StrokeWidth = 0
	p.ring.Refresh()
}

// TypedRune is of no interest.
func (p *press) TypedRune(rune) {}

// TypedKey presses with Enter and Space, and moves the focus with the arrows.
func (p *press) TypedKey(e *fyne.KeyEvent) {
	if do := p.keys[e.Name]; do != nil {
		do()
		return
	}
	switch e.Name {
	case fyne.KeyReturn, fyne.KeyEnter, fyne.KeySpace:
		p.Tapped(nil)
	case fyne.KeyDown, fyne.KeyRight:
		p.w.win.Canvas().FocusNext()
	case fyne.KeyUp, fyne.KeyLeft:
		p.w.win.Canvas().FocusPrevious()
	default:
		p.w.key(e)
	}
}

// tool is an icon that acts.
func (w *window) tool(icon, tip string, do func()) *press {
	return w.press(inset(6, 6, 6, 6, w.paint.icon(icon, 18, colQuiet, colNone)), radiusRow, tip, do)
}

// cut is one line of text that loses its middle when there is no room, because the ending of a file's name matters; a
// sentence loses its end.
type cut struct {
	widget.BaseWidget
	text  *canvas.Text
	full  string
	atEnd bool
	width float32 // the text is cut for
}

func newCut(t *canvas.Text) *cut {
	c := &cut{text: t, full: t.Text, width: -1}
	c.ExtendBaseWidget(c)
	return c
}

// sentence is a cut that loses its end.
func sentence(t *canvas.Text) *cut {
	c := newCut(t)
	c.atEnd = true
	return c
}

// CreateRenderer draws the text.
func (c *cut) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(c.text) }

// MinSize is a few letters.
func (c *cut) MinSize() fyne.Size {
	return fyne.NewSize(24, fyne.MeasureText("Ag", c.text.TextSize, c.text.TextStyle).Height)
}

// Resize cuts anew from the full text.
func (c *cut) Resize(s fyne.Size) {
	c.BaseWidget.Resize(s)
	if s.Width != c.width {
		c.width = s.Width
		c.fit()
	}
}

func (c *cut) set(s string) {
	if c.full != s {
		c.full = s
		c.fit()
	}
}

func (c *cut) tint(col color.Color) {
	if c.text.Color != col {
		c.text.Color = col
		c.text.Refresh()
	}
}

// fit finds the longest cut that has room, by halving.
func (c *cut) fit() {
	if c.width < 0 {
		c.text.Text = c.full
		return
	}
	shown := c.full
	if c.wide(shown) > c.width {
		r := []rune(c.full)
		lo, hi := 0, len(r)-1 // letters kept
		for lo < hi {
			if n := (lo + hi + 1) / 2; c.wide(c.keep(r, n)) <= c.width {
				lo = n
			} else {
				hi = n - 1
			}
		}
		shown = c.keep(r, lo)
	}
	if shown != c.text.Text {
		c.text.Text = shown
		c.text.Refresh()
	}
}

func (c *cut) wide(s string) float32 {
	return fyne.MeasureText(s, c.text.TextSize, c.text.TextStyle).Width
}

func (c *cut) keep(r []rune, n int) string {
	if c.atEnd {
		return string(r[:n]) + "…"
	}
	tail := n / 3
	return string(r[:n-tail]) + "…" + string(r[len(r)-tail:])
}

// bar shows how much is done.
type bar struct {
	widget.BaseWidget
	track, done *canvas.Rectangle
	part        float32
}

func (p *paint) bar() *bar {
	b := &bar{track: p.box(theme.ColorNameSeparator, radiusBar), done: p.box(theme.ColorNamePrimary, radiusBar)}
	b.ExtendBaseWidget(b)
	return b
}

func (b *bar) set(part float32) {
	if part != b.part {
		b.part = part
		b.Refresh()
	}
}

// CreateRenderer draws the track and what is done.
func (b *bar) CreateRenderer() fyne.WidgetRenderer { return barRenderer{b} }

type barRenderer struct{ b *bar }

func (r barRenderer) MinSize() fyne.Size           { return fyne.NewSize(24, 4) }
func (r barRenderer) Destroy()                     {}
func (r barRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.b.track, r.b.done} }
func (r barRenderer) Layout(s fyne.Size) {
	r.b.track.Resize(s)
	r.b.done.Resize(fyne.NewSize(s.Width*r.b.part, s.Height))
}
func (r barRenderer) Refresh() {
	r.Layout(r.b.Size())
	r.b.done.Refresh()
}
