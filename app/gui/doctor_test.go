//go:build !headless

package gui

import (
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

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
	if got := s.w.app.Clipboard().Content(); !strings.Contains(got, "sudo ufw allow from 192.168.1.0/24") {
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
