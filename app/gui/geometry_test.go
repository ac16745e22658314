//go:build !headless

package gui

import (
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"porchlight/app/viewmodel"
	"porchlight/assets"
)

// area is a piece of text on screen.
type area struct {
	text     string
	pos      fyne.Position
	size     fyne.Size
	under    string // the page part it belongs to; overlaps between popups and what they cover are no fault
	scrolled bool
}

// checkGeometry looks for text that is cut off, lies outside of the window or over other text, and for buttons without room.
func checkGeometry(t *testing.T, w *window) {
	t.Helper()
	size := w.win.Canvas().Size()
	var all []area
	layer := "window"
	roots := []fyne.CanvasObject{w.win.Canvas().Content()}
	if top := w.win.Canvas().Overlays().Top(); top != nil {
		roots, layer = []fyne.CanvasObject{top}, "popup"
	}
	for _, root := range roots {
		walk(root, fyne.Position{}, fyne.NewPos(0, 0), size, false, func(o fyne.CanvasObject, at fyne.Position, clip fyne.Size, scrolled bool) {
			switch x := o.(type) {
			case *widget.Button:
				if m := x.MinSize(); x.Size().Width+.5 < m.Width || x.Size().Height+.5 < m.Height {
					t.Errorf("button %q has %v and needs %v", x.Text, x.Size(), m)
				}
			case *widget.RichText:
				if m := x.MinSize(); x.Size().Height+1 < m.Height {
					t.Errorf("wrapped text %q has %v and needs %v", x.String(), x.Size(), m)
				}
			case *fyne.Container:
				if m := x.MinSize(); x.Size().Height+1 < m.Height || x.Size().Width+1 < m.Width {
					t.Errorf("container %T of %d at %v has %v and needs %v", x.Layout, len(x.Objects), at, x.Size(), m)
				}
			case *canvas.Text:
				if x.Text == "" {
					return
				}
				m := x.MinSize()
				if x.Size().Width+1 < m.Width {
					t.Errorf("text %q has %v and needs %v", x.Text, x.Size().Width, m.Width)
				}
				if !scrolled && (at.X < 0 || at.Y < -1 || at.X+m.Width > size.Width+1 || at.Y+m.Height > size.Height+2) {
					t.Errorf("text %q lies at %v %v, outside of %v", x.Text, at, m, size)
				}
				if x.Alignment == fyne.TextAlignTrailing {
					at.X += x.Size().Width - m.Width
				}
				if x.Alignment == fyne.TextAlignCenter {
					at.X += (x.Size().Width - m.Width) / 2
				}
				all = append(all, area{text: x.Text, pos: at, size: m, under: layer, scrolled: scrolled})
			}
		})
	}
	for i, a := range all {
		for _, b := range all[i+1:] {
			if a.scrolled == b.scrolled && overlap(a, b) {
				t.Errorf("%q at %v %v lies over %q at %v %v", a.text, a.pos, a.size, b.text, b.pos, b.size)
			}
		}
	}
}

func overlap(a, b area) bool {
	const slack = 2.5 // line boxes are higher than letters
	return a.pos.X+slack < b.pos.X+b.size.Width && b.pos.X+slack < a.pos.X+a.size.Width &&
		a.pos.Y+slack < b.pos.Y+b.size.Height && b.pos.Y+slack < a.pos.Y+a.size.Height
}

// walk calls visit for everything one can see, with its place in the window.
func walk(o fyne.CanvasObject, at, clipAt fyne.Position, clip fyne.Size, scrolled bool, visit func(fyne.CanvasObject, fyne.Position, fyne.Size, bool)) {
	if o == nil || !o.Visible() {
		return
	}
	at = at.Add(o.Position())
	if scrolled && (at.Y > clipAt.Y+clip.Height || at.Y+o.Size().Height < clipAt.Y) {
		return // scrolled away
	}
	visit(o, at, clip, scrolled)
	switch x := o.(type) {
	case *container.Scroll:
		walk(x.Content, at, at, x.Size(), true, visit)
	case *fyne.Container:
		for _, c := range x.Objects {
			walk(c, at, clipAt, clip, scrolled, visit)
		}
	case fyne.Widget:
		for _, c := range test.WidgetRenderer(x).Objects() {
			walk(c, at, clipAt, clip, scrolled, visit)
		}
	}
}

func TestColumnsHoldTheLongestWords(t *testing.T) {
	s := newStage(t, newHouse(), viewmodel.Look{}, 1100, 720)
	c := columnsFor(600)
	for _, lang := range assets.Languages() {
		words, err := assets.Load(lang)
		if err != nil {
			t.Fatal(err)
		}
		f := viewmodel.NewFormat(words)
		fits := func(text string, in span) {
			if w := s.w.paint.text(text, textSmall, colQuiet).MinSize().Width; w > in.w {
				t.Errorf("%s: %q is %v wide in a column of %v", lang, text, w, in.w)
			}
		}
		for _, k := range strings.Fields("folder file picture film music pdf document sheet slides text archive program code other") {
			fits(words.Text("kind."+k), c.kind)
		}
		now := time.Date(2026, 9, 30, 23, 58, 0, 0, time.UTC)
		for m := range 12 {
			fits(f.When(now.AddDate(-1, -m, 0), now), c.changed)
		}
		fits(f.When(now.AddDate(0, 0, -1), now), c.changed)
		for _, n := range []int64{888, 8_880_000, 88_800_000, 888_000_000_000} {
			fits(f.Size(n), c.size)
		}
	}
}
