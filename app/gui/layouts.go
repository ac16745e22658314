//go:build !headless

package gui

import (
	"image/color"
	"math"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
)

// line puts objects in one row, centred upright: a width of 0 asks the object, -1 takes the rest.
type line struct {
	gap, pad float32
	widths   []float32
}

func row(gap, pad float32, widths []float32, o ...fyne.CanvasObject) *fyne.Container {
	return container.New(line{gap, pad, widths}, o...)
}

// MinSize is the sum of the widths and the greatest height.
func (l line) MinSize(o []fyne.CanvasObject) fyne.Size {
	m := fyne.NewSize(2*l.pad, 0)
	shown := 0
	for i, x := range o {
		if !x.Visible() {
			continue
		}
		shown++
		s := x.MinSize()
		switch w := l.widths[i]; {
		case w > 0:
			m.Width += w
		default:
			m.Width += s.Width
		}
		m.Height = max(m.Height, s.Height)
	}
	m.Width += l.gap * float32(max(shown-1, 0))
	return m
}

// Layout places the objects.
func (l line) Layout(o []fyne.CanvasObject, s fyne.Size) {
	rest := s.Width - l.MinSize(o).Width
	x := l.pad
	for i, e := range o {
		if !e.Visible() {
			continue
		}
		m := e.MinSize()
		w := l.widths[i]
		switch {
		case w == 0:
			w = m.Width
		case w < 0:
			w = max(m.Width+rest, 0)
		}
		e.Resize(fyne.NewSize(w, m.Height))
		e.Move(fyne.NewPos(x, middle(s.Height, m.Height)))
		x += w + l.gap
	}
}

func middle(outer, inner float32) float32 { return float32(math.Round(float64(outer-inner) / 2)) }

// stack puts objects under each other at full width. It asks for heights after the width is known, because text wraps.
type stack struct {
	gap      float32
	maxWidth float32 // 0: as wide as there is
}

func column(gap float32, o ...fyne.CanvasObject) *fyne.Container {
	return container.New(stack{gap: gap}, o...)
}

// MinSize is the greatest width and the sum of the heights.
func (l stack) MinSize(o []fyne.CanvasObject) fyne.Size {
	var m fyne.Size
	shown := 0
	for _, x := range o {
		if !x.Visible() {
			continue
		}
		shown++
		s := x.MinSize()
		m.Width = max(m.Width, s.Width)
		m.Height += s.Height
	}
	m.Height += l.gap * float32(max(shown-1, 0))
	return m
}

// Layout places the objects.
func (l stack) Layout(o []fyne.CanvasObject, s fyne.Size) {
	w := s.Width
	if l.maxWidth > 0 {
		w = min(w, l.maxWidth)
	}
	var y float32
	for _, x := range o {
		if !x.Visible() {
			continue
		}
		x.Resize(fyne.NewSize(w, x.MinSize().Height))
		h := x.MinSize().Height
		x.Resize(fyne.NewSize(w, h))
		x.Move(fyne.NewPos(0, y))
		y += h + l.gap
	}
}

// flow puts cells of one size beside each other, as many as fit, and lets them grow to fill the row.
type flow struct {
	minWidth, height, gap float32
	width                 *float32 // of the last layout: the height follows from it
}

func newFlow(minWidth, height, gap float32) flow {
	return flow{minWidth, height, gap, new(float32)}
}

func (l flow) across(width float32) int {
	return max(1, int((width+l.gap)/(l.minWidth+l.gap)))
}

// MinSize is one cell wide and as high as the last width made it.
func (l flow) MinSize(o []fyne.CanvasObject) fyne.Size {
	n := l.across(*l.width)
	rows := (len(o) + n - 1) / n
	return fyne.NewSize(l.minWidth, float32(rows)*(l.height+l.gap)-min(l.gap, float32(rows)*l.gap))
}

// Layout places the cells.
func (l flow) Layout(o []fyne.CanvasObject, s fyne.Size) {
	*l.width = s.Width
	n := l.across(s.Width)
	w := (s.Width - l.gap*float32(n-1)) / float32(n)
	for i, x := range o {
		x.Resize(fyne.NewSize(w, l.height))
		x.Move(fyne.NewPos(float32(i%n)*(w+l.gap), float32(i/n)*(l.height+l.gap)))
	}
}

// inset keeps o away from the edges.
func inset(top, bottom, left, right float32, o fyne.CanvasObject) *fyne.Container {
	return container.New(layout.NewCustomPaddedLayout(top, bottom, left, right), o)
}

// fixed gives o a size.
func fixed(w, h float32, o fyne.CanvasObject) *fyne.Container {
	return container.NewGridWrap(fyne.NewSize(w, h), o)
}

// space is nothing of a size.
func space(w, h float32) fyne.CanvasObject {
	r := canvas.NewRectangle(color.Transparent)
	r.SetMinSize(fyne.NewSize(w, h))
	return r
}

// atMost keeps a page from growing wider than reads well.
type atMost struct{ width, pad float32 }

// MinSize is what the content needs, with the padding.
func (l atMost) MinSize(o []fyne.CanvasObject) fyne.Size {
	m := o[0].MinSize()
	return fyne.NewSize(min(m.Width, l.width)+2*l.pad, m.Height+2*l.pad)
}

// Layout puts the content at the left, no wider than reads well.
func (l atMost) Layout(o []fyne.CanvasObject, s fyne.Size) {
	w := min(s.Width-2*l.pad, l.width)
	o[0].Resize(fyne.NewSize(w, o[0].MinSize().Height))
	o[0].Resize(fyne.NewSize(w, max(o[0].MinSize().Height, s.Height-2*l.pad)))
	o[0].Move(fyne.NewPos(l.pad, l.pad))
}

// scrolling is a page that scrolls. Its content is laid out twice, because text that wraps knows its height late.
type scrolling struct{ scroll *container.Scroll }

func scrollPage(pad, width float32, content fyne.CanvasObject) fyne.CanvasObject {
	s := container.NewVScroll(container.New(atMost{width: width, pad: pad}, content))
	return container.New(scrolling{s}, s)
}

// MinSize is small, because a page scrolls.
func (l scrolling) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(200, 100) }

// Layout gives the page all room.
func (l scrolling) Layout(_ []fyne.CanvasObject, s fyne.Size) {
	l.scroll.Resize(s)
	l.scroll.Refresh()
}
