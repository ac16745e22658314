//go:build !headless

package gui

import (
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"porchlight/app/viewmodel"
)

func TestDoctorIsAFewKeysAway(t *testing.T) {
	h := newHouse()
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	s.w.key(&fyne.KeyEvent{Name: fyne.KeyF1})
	s.until("it has looked", func() bool { return len(s.w.set.Doctor.Rows()) == 3 && !s.w.set.Doctor.Busy() })
	s.draw()
	d, ok := s.w.pages[viewmodel.PageDoctor].(*doctorPage)
	if !ok || s.w.shown.Page != viewmodel.PageDoctor || len(d.box.Objects) != 3 {
		t.Fatalf("F1 leads to %s", s.w.shown.Page)
	}
	if d.copy.Disabled() || d.again.Disabled() {
		t.Error("a button is dead")
	}
	test.Tap(d.copy)
	if got := s.w.app.Clipboard().Content(); !strings.Contains(got, "sudo nft insert rule inet filter input") {
		t.Errorf("the clipboard has %q", got)
	}
	s.key(fyne.KeyF5)
	s.until("it has looked again", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		n := 0
		for _, c := range h.calls {
			if c == "diagnose" {
				n++
			}
		}
		return n == 2
	})
}

func TestACopyIsMadeANewComputer(t *testing.T) {
	h := newHouse()
	h.twin = true
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	s.askDoctor()
	page := s.w.pages[viewmodel.PageDoctor].object()
	if findButton(page, s.w.set.Words.Text("doctor.fix.copy")) != nil {
		t.Error("command lines beside the button that does it")
	}
	test.Tap(findButton(page, "Make this computer a new one"))
	s.draw()
	if h.called("new identity") {
		t.Fatal("it was not asked first")
	}
	test.Tap(findButton(s.popup(), "Cancel"))
	s.draw()
	if h.called("new identity") {
		t.Fatal("the answer was no")
	}
	test.Tap(findButton(page, "Make this computer a new one"))
	test.Tap(findButton(s.popup(), "Make this computer a new one"))
	s.until("it is done, and looked again", func() bool {
		rows := s.w.set.Doctor.Rows()
		return h.called("new identity") && len(rows) == 3 && rows[0].Self == (viewmodel.Remedy{}) && !s.w.set.Doctor.Busy()
	})
	if n := s.w.set.Notices.Now(); n.Tone != viewmodel.Good || !strings.Contains(n.Text, "new one now") {
		t.Errorf("%+v", n)
	}
}

// TestOneQuietLineAboutNewerNeighbours: in the page, and no dialog.
func TestOneQuietLineAboutNewerNeighbours(t *testing.T) {
	h := newHouse()
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	line := func() string {
		n := s.w.pages[viewmodel.PageNeighbours].(*neighbours)
		if x, ok := n.box.Objects[len(n.box.Objects)-1].(*fyne.Container); ok && len(x.Objects) == 1 {
			if para, ok := x.Objects[0].(*widget.RichText); ok {
				return para.String()
			}
		}
		return ""
	}
	s.goTo(viewmodel.Place{Page: viewmodel.PageNeighbours})
	if got := line(); got != "" {
		t.Errorf("nobody is newer, and it says %q", got)
	}
	h.change(func() { runsNewer(h) })
	s.until("the line is there", func() bool { return strings.HasPrefix(line(), "2 neighbours run a newer Porchlight.") })
	if s.w.win.Canvas().Overlays().Top() != nil {
		t.Error("a dialog for a quiet line")
	}
	h.change(func() {
		for i := range h.peers {
			h.peers[i].Newer = false
		}
	})
	s.until("it is gone", func() bool { return line() == "" })
}
