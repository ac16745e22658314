//go:build !headless

package gui

import (
	"math"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"porchlight/app/viewmodel"
	"porchlight/discovery"
	"porchlight/discovery/workgroup"
)

// entriesOn are the fields of the dialog on top.
func (s *stage) entriesOn() (out []fyne.Focusable) {
	s.t.Helper()
	top := s.w.win.Canvas().Overlays().Top()
	if top == nil {
		s.t.Fatal("no dialog")
	}
	walk(top, fyne.Position{}, fyne.Position{}, fyne.Size{}, false, func(o fyne.CanvasObject, _ fyne.Position, _ fyne.Size, _ bool) {
		switch x := o.(type) {
		case *widget.Entry:
			out = append(out, x)
		case *widget.SelectEntry:
			out = append(out, x)
		}
	})
	return out
}

// TestEnterInAFieldGoesOnAndEnds: from the first field to the next, and in the last the same as the main button.
func TestEnterInAFieldGoesOnAndEnds(t *testing.T) {
	group := viewmodel.Place{Page: viewmodel.PageWorkgroup, Group: groupID(1)}
	for name, tt := range map[string]struct {
		prepare func(h *house)
		show    func(s *stage)
		fields  int
		typed   []string
		call    string
	}{
		"make private": {family, func(s *stage) { s.w.found() }, 2, []string{"Allotment", "Anna"}, "create Allotment Anna"},
		"start over": {family, func(s *stage) {
			s.goTo(group)
			s.groupPage().do(groupID(1), viewmodel.ActStartOver)
		}, 1, []string{"Anew"}, "over Anew with"},
		"rename": {family, func(s *stage) {
			s.goTo(group)
			s.groupPage().do(groupID(1), viewmodel.ActRename)
		}, 1, []string{"House"}, "rename group House"},
		"approve": {with(func(h *house) { h.invites = []discovery.Invitation{invitation(groupID(1), discovery.InviteAsking)} }), func(s *stage) { s.goTo(group) }, 2, []string{"Attic", "Dora"}, "approve Attic Dora"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse()
			tt.prepare(h)
			s := newStage(t, h, viewmodel.Look{}, 1100, 720)
			tt.show(s)
			s.until("it is asked", func() bool { return s.w.win.Canvas().Overlays().Top() != nil })
			fields := s.entriesOn()
			if len(fields) != tt.fields {
				t.Fatalf("%d fields, want %d", len(fields), tt.fields)
			}
			canvas := s.w.win.Canvas()
			canvas.Focus(fields[0])
			for i, text := range tt.typed {
				if canvas.Focused() != fields[i] {
					t.Fatalf("Enter leads to %T, want field %d", canvas.Focused(), i)
				}
				if h.called(tt.call) {
					t.Fatalf("done before field %d", i)
				}
				fields[i].(interface{ SetText(string) }).SetText(text)
				s.key(fyne.KeyReturn)
			}
			s.until("it is done: "+tt.call, func() bool { return h.calledLike(tt.call) })
		})
	}
}

func (h *house) calledLike(start string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.calls {
		if strings.HasPrefix(c, start) {
			return true
		}
	}
	return false
}

// TestHeadsOfTheSidebarStandInLine: those that can be pressed are high enough for a finger's aim, and their words begin and follow where
// those of the others do.
func TestHeadsOfTheSidebarStandInLine(t *testing.T) {
	h := newHouse()
	family(h)
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	s.goTo(viewmodel.Place{Page: viewmodel.PageWorkgroup, Group: groupID(1)})
	place := fyne.CurrentApp().Driver().AbsolutePositionForObject
	find := func(root fyne.CanvasObject, text string) (found *canvas.Text) {
		walk(root, fyne.Position{}, fyne.Position{}, fyne.NewSize(9999, 9999), false, func(o fyne.CanvasObject, _ fyne.Position, _ fyne.Size, _ bool) {
			if x, ok := o.(*canvas.Text); ok && x.Text == text {
				found = x
			}
		})
		if found == nil {
			t.Fatalf("no %q", text)
		}
		return found
	}
	plain, pressed := find(s.w.side.box, "This computer"), find(s.w.side.box, "Home")
	if a, b := place(plain).X, place(pressed).X; a != b {
		t.Errorf("one begins at %v, the other at %v", a, b)
	}
	line := s.w.side.lines[viewmodel.Place{Page: viewmodel.PageWorkgroup, Group: workgroup.ID(groupID(1))}]
	if line == nil || !line.press.selected {
		t.Fatal("it is not selected")
	}
	if high := line.press.Size().Height; high < 24 {
		t.Errorf("it is %v high", high)
	}
	var whole, other fyne.CanvasObject
	for _, o := range s.w.side.box.Objects {
		walk(o, fyne.Position{}, fyne.Position{}, fyne.NewSize(9999, 9999), false, func(x fyne.CanvasObject, _ fyne.Position, _ fyne.Size, _ bool) {
			switch x {
			case plain:
				other = o
			case pressed:
				whole = o
			}
		})
	}
	middle := func(o fyne.CanvasObject, t *canvas.Text) float64 {
		return float64(place(t).Y + t.Size().Height/2 - place(o).Y)
	}
	if a, b := middle(whole, pressed), middle(other, plain); math.Abs(a-b) > 2 || math.Abs(float64(whole.Size().Height-other.Size().Height)) > 2 {
		t.Errorf("words %v below the line above in %v, others %v in %v", a, whole.Size().Height, b, other.Size().Height)
	}
}

// TestStepsOfTheSheetAreNumbered: they are to be done, not done.
func TestStepsOfTheSheetAreNumbered(t *testing.T) {
	h := newHouse()
	with(func(h *house) { h.groups[0].Unsaved = true })(h)
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	atGroup(viewmodel.PageSheet, 1)(s)
	var got []string
	walk(s.w.pages[viewmodel.PageSheet].object(), fyne.Position{}, fyne.Position{}, fyne.NewSize(9999, 9999), false, func(o fyne.CanvasObject, _ fyne.Position, _ fyne.Size, _ bool) {
		if x, ok := o.(*canvas.Text); ok && len(x.Text) == 2 && strings.HasSuffix(x.Text, ".") {
			got = append(got, x.Text)
		}
	})
	if want := len(s.w.set.Sheet.Page().Steps); want != 3 || strings.Join(got, " ") != "1. 2. 3." {
		t.Errorf("%d steps numbered %q", want, got)
	}
}

// TestKeysOfAPage: a page with one field gives it the keyboard, and the keys of the window go on working there.
func TestKeysOfAPage(t *testing.T) {
	s := newStage(t, newHouse(), viewmodel.Look{}, 1100, 720)
	focused := func() fyne.Focusable { return s.w.win.Canvas().Focused() }
	s.goTo(viewmodel.Place{Page: viewmodel.PageRecover})
	if e, ok := focused().(*widget.Entry); !ok || e != s.w.pages[viewmodel.PageRecover].(*recoverPage).letters {
		t.Errorf("%T has the keyboard, not the field of the letters", focused())
	}
	s.goTo(viewmodel.Place{Page: viewmodel.PageJoin})
	boxes, ok := focused().(*digitBoxes)
	if !ok {
		t.Fatalf("%T has the keyboard, not the boxes", focused())
	}
	boxes.TypedShortcut(&desktop.CustomShortcut{KeyName: fyne.Key2, Modifier: fyne.KeyModifierShortcutDefault})
	s.until("the shares are there", func() bool { return s.w.set.Nav.Place().Page == viewmodel.PageShares })
}
