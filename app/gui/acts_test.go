//go:build !headless

package gui

import (
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/storage"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"porchlight/app/viewmodel"
	"porchlight/discovery"
	"porchlight/transfer"
)

func find[T fyne.CanvasObject](root fyne.CanvasObject) (found T, ok bool) {
	walk(root, fyne.Position{}, fyne.Position{}, fyne.Size{}, false, func(o fyne.CanvasObject, _ fyne.Position, _ fyne.Size, _ bool) {
		if x, is := o.(T); is && !ok {
			found, ok = x, true
		}
	})
	return found, ok
}

func (s *stage) popup() fyne.CanvasObject {
	s.t.Helper()
	top := s.w.win.Canvas().Overlays().Top()
	if top == nil {
		s.t.Fatal("nothing is asked")
	}
	return top
}

func TestShareCardAnswersToKeys(t *testing.T) {
	h := newHouse()
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	s.goTo(viewmodel.Place{Page: viewmodel.PageShares})
	card, ok := find[*press](s.w.pages[viewmodel.PageShares].(*shares).box)
	if !ok {
		t.Fatal("no card")
	}
	s.w.win.Canvas().Focus(card)
	s.key(fyne.KeyF2)
	entry, _ := find[*widget.Entry](s.popup())
	entry.SetText(" ")
	test.Tap(findButton(s.popup(), "Rename"))
	if s.w.win.Canvas().Overlays().Top() == nil {
		t.Fatal("a blank name was taken")
	}
	entry.SetText("Tunes")
	test.Tap(findButton(s.popup(), "Rename"))
	s.until("it is renamed", func() bool { return h.called("rename " + shareID(11).String() + " Tunes") })
	s.w.win.Canvas().Focus(card)
	s.key(fyne.KeyDelete)
	test.Tap(findButton(s.popup(), "Cancel"))
	if s.w.win.Canvas().Overlays().Top() != nil || len(s.w.set.Shares.Rows()) != 2 {
		t.Error("Cancel does not cancel")
	}
}

// TestForWhomIsChosen: by the dialog of a card, from everyone to one computer, to nobody, and back.
func TestForWhomIsChosen(t *testing.T) {
	h := newHouse()
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	s.goTo(viewmodel.Place{Page: viewmodel.PageShares})
	page := s.w.pages[viewmodel.PageShares].(*shares)
	who := func() string { return s.w.set.Shares.Rows()[0].Who }
	choose := func(label string) {
		t.Helper()
		page.audience(s.w.set.Shares.Rows()[0])
		way, ok := find[*widget.RadioGroup](s.popup())
		if !ok {
			t.Fatal("nothing to choose from")
		}
		way.SetSelected(label)
	}
	choose("Only the computers I choose")
	test.Tap(findButton(s.popup(), "Save"))
	if s.w.win.Canvas().Overlays().Top() == nil {
		t.Fatal("for no computer at all was taken")
	}
	tick, ok := find[*widget.Check](s.popup())
	if !ok {
		t.Fatal("no computer to tick")
	}
	test.Tap(tick)
	test.Tap(findButton(s.popup(), "Save"))
	s.until("it is for one", func() bool { return who() == "Only for Bo’s mini-PC" })
	page.audience(s.w.set.Shares.Rows()[0])
	if tick, _ := find[*widget.Check](s.popup()); tick == nil || !tick.Checked {
		t.Error("it is not ticked")
	}
	test.Tap(findButton(s.popup(), "Cancel"))
	choose("Nobody for the moment")
	test.Tap(findButton(s.popup(), "Save"))
	s.until("it is for nobody", func() bool { return who() == "For nobody right now" })
	choose("Everyone nearby")
	if _, ok := find[*widget.Check](s.popup()); ok {
		t.Error("ticks show though everyone is meant")
	}
	test.Tap(findButton(s.popup(), "Save"))
	s.until("it is for everyone", func() bool { return who() == "Everyone nearby may look and get" })
}

func TestBlockAComputer(t *testing.T) {
	h := newHouse()
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	s.goTo(viewmodel.Place{Page: viewmodel.PageComputer, Device: device(2)})
	page := s.w.pages[viewmodel.PageComputer]
	blocked := func() bool { x, _ := s.w.set.Neighbours.Page(device(2)); return x.Blocked }
	test.Tap(findButton(page.object(), "Block this computer"))
	test.Tap(findButton(s.popup(), "Cancel"))
	if blocked() {
		t.Fatal("Cancel does not cancel")
	}
	test.Tap(findButton(page.object(), "Block this computer"))
	test.Tap(findButton(s.popup(), "Block this computer"))
	s.until("it is blocked", func() bool { return blocked() && findButton(page.object(), "Unblock") != nil })
	if findButton(page.object(), "Block this computer") != nil {
		t.Error("it can be blocked twice")
	}
	test.Tap(findButton(page.object(), "Unblock"))
	s.until("it is not blocked any more", func() bool { return !blocked() && findButton(page.object(), "Block this computer") != nil })
}

func TestDroppedFolderIsShared(t *testing.T) {
	h := newHouse()
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	s.w.dropped(fyne.Position{}, []fyne.URI{storage.NewFileURI("/home/anna/Pictures")})
	s.until("it is shared", func() bool { return len(s.w.set.Shares.Rows()) == 3 && s.w.shown.Page == viewmodel.PageShares })
}

func TestRowMenuAndFolderChooser(t *testing.T) {
	s := inFolder(t, newHouse())
	s.w.list.list.rows[1].TappedSecondary(&fyne.PointEvent{AbsolutePosition: fyne.NewPos(400, 200)})
	s.popup()
	s.w.win.Canvas().Overlays().Remove(s.popup())
	s.w.chooseFolder(func(string) {})
	if findButton(s.popup(), "Cancel") == nil {
		t.Error("the folder chooser has no way back")
	}
}

func TestTipShowsInsideTheWindow(t *testing.T) {
	s := newStage(t, newHouse(), viewmodel.Look{}, 640, 420)
	for _, p := range []*press{s.w.top.back, s.w.strip.cancel} {
		s.w.placeTip(p, p.tip)
		box := s.w.tip.box
		if at, size := box.Position(), box.Size(); at.X < 0 || at.Y < 0 || at.X+size.Width > 640 || at.Y+size.Height > 420 || !s.w.tip.layer.Visible() {
			t.Errorf("tip %q at %v %v", p.tip, at, size)
		}
	}
	s.w.top.back.MouseIn(nil)
	s.w.top.back.MouseOut()
	if s.w.tip.layer.Visible() {
		t.Error("the tip stays")
	}
}

func TestFirstRunByKeys(t *testing.T) {
	h := newHouse()
	h.self.FirstRun = true
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	s.w.first.name.SetText("")
	s.w.first.next()
	if s.w.set.FirstRun.Step() != viewmodel.StepName {
		t.Fatal("no name was taken for one")
	}
	s.w.first.name.SetText("Kitchen")
	s.key(fyne.KeyReturn)
	s.until("the name is set", func() bool { return s.w.set.Settings.Name() == "Kitchen" && s.w.first.step == viewmodel.StepNetwork })
	office, _ := find[*press](s.w.first.nets.box.Objects[1])
	test.Tap(office)
	s.until("the network is set", func() bool { return h.network() == discovery.Office })
	test.Tap(findButton(s.w.first.object, "Next"))
	s.draw()
	test.Tap(findButton(s.w.first.object, "Done"))
	s.until("the window opens", func() bool { return s.w.shown.Page == viewmodel.PageNeighbours && s.w.body.Visible() })
}

func (h *house) network() discovery.Network {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.self.Network
}

func TestProgressMovesInPlace(t *testing.T) {
	h := newHouse()
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	s.goTo(viewmodel.Place{Page: viewmodel.PageTransfers})
	page := s.w.pages[viewmodel.PageTransfers].(*transfers)
	card := page.cards[0]
	h.change(func() {
		jobs := believableJobs(h.jobs[0].Created)
		jobs[0].Bytes, jobs[0].Done, jobs[0].Rate = 2_000_000_000, 300, 9_000_000
		h.jobs = jobs
	})
	s.until("the bar moves", func() bool { return card.bar.part > .95 })
	if page.cards[0] != card || card.row.Text != "300 of 312 files from Bo’s mini-PC" || s.w.strip.bar.part != card.bar.part {
		t.Errorf("card %q, strip at %v", card.row.Text, s.w.strip.bar.part)
	}
	b, _ := find[*press](card.object)
	s.w.win.Canvas().Focus(b)
	s.key(fyne.KeySpace)
	s.until("it is paused", func() bool { return h.called("pause 7") })
	s.key(fyne.KeyDelete)
	s.until("it is canceled", func() bool { return h.called("cancel 7") })
	h.change(func() { h.jobs = []transfer.Job{} })
	s.until("all is quiet", func() bool { return !s.w.strip.object.Visible() && page.empty.object.Visible() })
}

func TestForgetAComputerAndAddressField(t *testing.T) {
	h := newHouse()
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	s.goTo(viewmodel.Place{Page: viewmodel.PageComputer, Device: device(5)})
	test.Tap(findButton(s.w.pages[viewmodel.PageComputer].object(), "Take off the list"))
	test.Tap(findButton(s.popup(), "Take off the list"))
	s.until("it is forgotten", func() bool { return h.called("forget " + device(5).Short()) })
	s.shortcut(fyne.KeyL, fyne.KeyModifierShortcutDefault)
	e, ok := s.w.win.Canvas().Focused().(*widget.Entry)
	if !ok {
		t.Fatal("Ctrl+L leads to no field")
	}
	test.Type(e, "10.1.2.3")
	e.OnSubmitted(e.Text)
	s.until("it is looked for", func() bool { return h.called("add 10.1.2.3") })
}
