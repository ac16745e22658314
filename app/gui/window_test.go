//go:build !headless

package gui

import (
	"fmt"
	"image/color"
	"math"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"porchlight/app/viewmodel"
	"porchlight/discovery/calm"
	"porchlight/share"
)

func inFolder(t *testing.T, h *house) *stage {
	t.Helper()
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	s.goTo(photos())
	return s
}

// mouse presses the primary button on the row of an index.
func (s *stage) mouse(index int, m fyne.KeyModifier) {
	s.t.Helper()
	for _, r := range s.w.list.list.rows {
		if r.Visible() && r.index == index {
			r.MouseDown(&desktop.MouseEvent{Button: desktop.MouseButtonPrimary, Modifier: m})
			s.draw()
			return
		}
	}
	s.t.Fatalf("row %d is not on screen", index)
}

func (s *stage) key(k fyne.KeyName) {
	s.t.Helper()
	if f := s.w.win.Canvas().Focused(); f != nil {
		f.TypedKey(&fyne.KeyEvent{Name: k})
	} else {
		s.w.key(&fyne.KeyEvent{Name: k})
	}
	s.draw()
}

func (s *stage) shortcut(k fyne.KeyName, m fyne.KeyModifier) {
	s.w.win.Canvas().(interface{ TypedShortcut(fyne.Shortcut) }).TypedShortcut(&desktop.CustomShortcut{KeyName: k, Modifier: m})
	s.draw()
}

func TestMouseChoosesAndOpens(t *testing.T) {
	h := newHouse()
	h.entries["2025 Garden"] = []share.Entry{{Path: "2025 Garden/rose.jpg", Kind: share.File, Size: 5}}
	s := inFolder(t, h)
	s.mouse(3, 0)
	s.mouse(5, fyne.KeyModifierShortcutDefault)
	s.mouse(7, fyne.KeyModifierShift)
	if got := s.w.set.Browser.Details().Title; got != "3 items" {
		t.Errorf("details of %q", got)
	}
	s.mouse(1, 0)
	s.mouse(1, 0)
	s.until("the folder is open", func() bool {
		return s.w.set.Nav.Place().Path == "2025 Garden" && s.w.list.list.rows[0].row.Name == "rose.jpg"
	})
	if got := s.w.win.Title(); got != "2025 Garden · Porchlight" {
		t.Errorf("title %q", got)
	}
}

func TestKeysMoveAndGet(t *testing.T) {
	h := newHouse()
	s := inFolder(t, h)
	if s.w.win.Canvas().Focused() != fyne.Focusable(s.w.list.list) {
		t.Fatal("the list has no focus")
	}
	s.key(fyne.KeyDown)
	s.key(fyne.KeyDown)
	if s.w.set.Browser.Cursor() != 1 {
		t.Errorf("cursor at %d", s.w.set.Browser.Cursor())
	}
	s.w.list.list.TypedRune('r')
	s.draw()
	if got := s.w.set.Browser.Details().Title; got != "README" {
		t.Errorf("typing r chose %q", got)
	}
	s.shortcut(fyne.KeyD, fyne.KeyModifierShortcutDefault)
	s.until("it is pulled", func() bool { return h.called("pull [README] into /home/anna/Downloads/Porchlight") })
	s.shortcut(fyne.KeyF, fyne.KeyModifierShortcutDefault)
	if s.w.win.Canvas().Focused() != fyne.Focusable(s.w.top.filter) {
		t.Fatal("the filter has no focus")
	}
	test.Type(s.w.top.filter, "IMG")
	s.draw()
	if s.w.list.list.count != 2 {
		t.Errorf("%d rows pass the filter", s.w.list.list.count)
	}
	s.key(fyne.KeyEscape)
	if s.w.list.list.count != 15 || s.w.win.Canvas().Focused() != fyne.Focusable(s.w.list.list) {
		t.Errorf("after Esc: %d rows", s.w.list.list.count)
	}
	s.w.win.Canvas().(interface{ TypedShortcut(fyne.Shortcut) }).TypedShortcut(&fyne.ShortcutSelectAll{})
	s.draw()
	if got := s.w.set.Browser.Details().Title; got != "14 items" {
		t.Errorf("all are %q", got)
	}
	s.key(fyne.KeyF5)
	s.key(fyne.KeyBackspace)
	if s.w.set.Nav.Place().Page != viewmodel.PageComputer {
		t.Errorf("Backspace leads to %s", s.w.set.Nav.Place().Page)
	}
	s.shortcut(fyne.KeyLeft, fyne.KeyModifierAlt)
	if s.w.set.Nav.Place() != photos() {
		t.Errorf("Alt+Left leads to %+v", s.w.set.Nav.Place())
	}
	for i, p := range []viewmodel.Page{viewmodel.PageNeighbours, viewmodel.PageShares, viewmodel.PageTransfers, viewmodel.PageSettings, viewmodel.PageAbout} {
		s.shortcut(fyne.KeyName(fmt.Sprint(i+1)), fyne.KeyModifierShortcutDefault)
		if s.w.shown.Page != p {
			t.Errorf("Ctrl+%d shows %s", i+1, s.w.shown.Page)
		}
	}
}

func TestSpaceOpensDetailsInANarrowWindow(t *testing.T) {
	s := newStage(t, newHouse(), viewmodel.Look{}, 800, 560)
	s.goTo(photos())
	if s.w.details.object.Visible() {
		t.Fatal("details take room in a narrow window")
	}
	s.key(fyne.KeySpace)
	if !s.w.details.object.Visible() {
		t.Error("Space does not open them")
	}
	s.key(fyne.KeyEscape)
	if s.w.details.object.Visible() {
		t.Error("Esc does not close them")
	}
}

func TestColumnsAlign(t *testing.T) {
	s := inFolder(t, newHouse())
	place := fyne.CurrentApp().Driver().AbsolutePositionForObject
	r := s.w.list.list.rows[3]
	for i, o := range []fyne.CanvasObject{r.name, r.facts[0], r.facts[1], r.facts[2]} {
		head := s.w.list.heads.cells[i].press
		if a, b := place(o).X, place(head).X; math.Abs(float64(a-b)) > .6 {
			t.Errorf("column %d begins at %v under a head at %v", i, a, b)
		}
		if a, b := o.Size().Width, head.Size().Width; math.Abs(float64(a-b)) > .6 {
			t.Errorf("column %d is %v wide under a head of %v", i, a, b)
		}
	}
	var last fyne.CanvasObject
	for _, r := range s.w.list.list.rows {
		if r.Visible() && last != nil && place(r).Y-place(last).Y != rowHeight {
			t.Errorf("rows are %v apart", place(r).Y-place(last).Y)
		}
		last = r
	}
}

func TestHundredThousandRowsScroll(t *testing.T) {
	h := newHouse()
	var many []share.Entry
	for i := range 100_000 {
		many = append(many, share.Entry{Path: share.Path(fmt.Sprintf("picture %06d.jpg", i)), Kind: share.File, Size: int64(i) * 1000, MTime: time.Now()})
	}
	h.entries[""] = many
	s := inFolder(t, h)
	l := s.w.list.list
	if l.count != len(many) {
		t.Fatalf("%d rows", l.count)
	}
	if len(l.rows) > 40 {
		t.Errorf("%d widgets for what fits on a screen", len(l.rows))
	}
	began := time.Now()
	for range 50 {
		l.TypedKey(&fyne.KeyEvent{Name: fyne.KeyPageDown})
	}
	if took := time.Since(began) / 50; took > calm.Most(300*time.Millisecond) {
		t.Errorf("a page down took %v", took)
	}
	l.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEnd})
	s.draw()
	found := false
	for _, r := range l.rows {
		if bottom := r.Position().Y + rowHeight; r.Visible() && r.row.Name == "picture 099999.jpg" {
			found = bottom <= l.scroll.Offset.Y+l.scroll.Size().Height
		}
	}
	if !found {
		t.Error("the last row is not whole on screen")
	}
}

func TestCutKeepsTheEnding(t *testing.T) {
	s := newStage(t, newHouse(), viewmodel.Look{}, 800, 560)
	c := newCut(s.w.paint.text("a very long name of a file that nobody shortened.jpeg", textBody, colText))
	c.Resize(fyne.NewSize(160, 20))
	first := c.text.Text
	if c.text.MinSize().Width > 160 || first[len(first)-5:] != ".jpeg" {
		t.Errorf("cut to %q", first)
	}
	c.Resize(fyne.NewSize(300, 20))
	if longer := c.text.Text; len(longer) <= len(first) || c.text.MinSize().Width > 300 {
		t.Errorf("not cut anew from the whole: %q", longer)
	}
	c.Resize(fyne.NewSize(900, 20))
	if c.text.Text != c.full {
		t.Errorf("%q was cut without need", c.text.Text)
	}
}

func TestSharesAreRemovedAfterAQuestion(t *testing.T) {
	h := newHouse()
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	s.goTo(viewmodel.Place{Page: viewmodel.PageShares})
	s.w.pages[viewmodel.PageShares].(*shares).remove(s.w.set.Shares.Rows()[0])
	top := s.w.win.Canvas().Overlays().Top()
	if top == nil {
		t.Fatal("no question")
	}
	if len(s.w.set.Shares.Rows()) != 2 {
		t.Fatal("removed without an answer")
	}
	test.Tap(findButton(top, "Stop sharing"))
	s.until("it is gone", func() bool { return len(s.w.set.Shares.Rows()) == 1 })
}

func findButton(root fyne.CanvasObject, label string) (found *widget.Button) {
	walk(root, fyne.Position{}, fyne.Position{}, fyne.Size{}, false, func(o fyne.CanvasObject, _ fyne.Position, _ fyne.Size, _ bool) {
		if b, ok := o.(*widget.Button); ok && b.Text == label {
			found = b
		}
	})
	return found
}

func TestThemeChangesWhileTheWindowIsOpen(t *testing.T) {
	s := inFolder(t, newHouse())
	s.w.set.Settings.SetLook(viewmodel.Look{Theme: "dark", Language: "en"})
	s.draw()
	if !s.w.paint.dark || s.w.list.list.count != 15 || s.w.set.Nav.Place() != photos() {
		t.Errorf("dark %v, %d rows", s.w.paint.dark, s.w.list.list.count)
	}
}

func TestSidebarKeepsTheFocus(t *testing.T) {
	h := newHouse()
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	to := viewmodel.Place{Page: viewmodel.PageComputer, Device: device(3)}
	line := s.w.side.lines[to].press
	s.w.win.Canvas().Focus(line)
	s.key(fyne.KeyReturn)
	h.change(func() { h.peers = h.peers[1:] })
	s.until("the other one is gone", func() bool {
		return s.w.side.lines[viewmodel.Place{Page: viewmodel.PageComputer, Device: device(2)}] == nil
	})
	if s.w.side.lines[to].press != line || s.w.win.Canvas().Focused() != fyne.Focusable(line) {
		t.Error("the line lost the focus")
	}
}

func TestContrast(t *testing.T) {
	p := palette()
	for _, pair := range [][2]fyne.ThemeColorName{
		{colText, theme.ColorNameBackground}, {colText, colSide}, {colText, colRaised}, {colText, theme.ColorNameSelection}, {colText, theme.ColorNameButton}, {colText, colTint},
		{colQuiet, theme.ColorNameBackground}, {colQuiet, colSide}, {colQuiet, colRaised}, {colQuiet, theme.ColorNameSelection}, {colQuiet, colTint},
		{colAccent, theme.ColorNameBackground}, {colAccent, colSide}, {colAccent, colTint}, {colAccent, theme.ColorNameSelection}, {colAccent, colRaised},
		{theme.ColorNameForegroundOnPrimary, theme.ColorNamePrimary}, {theme.ColorNamePlaceHolder, theme.ColorNameInputBackground},
		{theme.ColorNameSuccess, colRaised}, {theme.ColorNameError, colRaised}, {theme.ColorNameError, theme.ColorNameBackground}, {theme.ColorNameError, colSide},
		{theme.ColorNameWarning, colRaised}, {theme.ColorNameWarning, theme.ColorNameBackground}, {colText, theme.ColorNameMenuBackground}, {colQuiet, theme.ColorNameOverlayBackground},
	} {
		for _, dark := range []bool{false, true} {
			if c := contrast(p[pair[0]].in(dark), p[pair[1]].in(dark)); c < 4.5 {
				t.Errorf("%s on %s (dark %v): %.2f", pair[0], pair[1], dark, c)
			}
		}
	}
	for _, on := range []fyne.ThemeColorName{theme.ColorNameBackground, colRaised} { // an empty box of a tick is nothing but its edge (WCAG 1.4.11)
		for _, dark := range []bool{false, true} {
			if c := contrast(p[theme.ColorNameInputBorder].in(dark), p[on].in(dark)); c < 3 {
				t.Errorf("the edge of a field on %s (dark %v): %.2f", on, dark, c)
			}
		}
	}
}

func contrast(a, b color.NRGBA) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + .05) / (min(x, y) + .05)
}

func luminance(c color.NRGBA) float64 {
	lin := func(v uint8) float64 {
		if f := float64(v) / 255; f > .03928 {
			return math.Pow((f+.055)/1.055, 2.4)
		}
		return float64(v) / 255 / 12.92
	}
	return .2126*lin(c.R) + .7152*lin(c.G) + .0722*lin(c.B)
}
