//go:build !headless

package gui

import (
	"fmt"
	"image/color"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/theme"

	"porchlight/app/viewmodel"
	"porchlight/transfer"
)

// queueScreens are the transfers in every state worth a picture.
func queueScreens() []screen {
	open := func(id transfer.JobID, maps int) func(*stage) {
		return func(s *stage) {
			s.goTo(viewmodel.Place{Page: viewmodel.PageTransfers})
			s.w.set.Transfers.Toggle(id)
			s.until("it is open", func() bool {
				for _, r := range s.w.set.Transfers.Rows() {
					if r.ID == id {
						return r.Open && len(r.Details.Maps) == maps
					}
				}
				return false
			})
		}
	}
	at := func(s *stage) { s.goTo(viewmodel.Place{Page: viewmodel.PageTransfers}) }
	only := func(states ...transfer.State) func(*house) {
		return func(h *house) {
			var some []transfer.Job
			for _, j := range manyJobs(h) {
				for _, s := range states {
					if j.State == s {
						some = append(some, j)
					}
				}
			}
			h.jobs = some
		}
	}
	return []screen{
		{"transfers-many", func(h *house) { h.jobs = manyJobs(h) }, at},
		{"transfers-open", underWay, open(7, 2)},
		{"transfers-open-waiting", nil, open(8, 0)},
		{"transfers-open-done", func(h *house) { only(transfer.Done)(h); h.jobs[0].ID = 3 }, open(3, 0)},
		{"transfers-older", func(h *house) {
			only(transfer.Done)(h)
			for i := range 40 {
				j := h.jobs[0]
				j.ID = transfer.JobID(300 + i)
				h.jobs = append(h.jobs, j)
			}
		}, func(s *stage) {
			at(s)
			s.until("older ones are offered", func() bool { return s.w.pages[viewmodel.PageTransfers].(*transfers).more.Visible() })
		}},
		{"transfers-held", func(h *house) { h.queue.Held = true }, at},
		{"transfers-held-empty", func(h *house) { h.queue.Held, h.jobs = true, nil }, at},
		{"transfers-limited", func(h *house) { h.queue.Now = transfer.Limits{Up: 1_500_000, Down: 12_500_000} }, at},
		{"transfers-failed", only(transfer.Failed), at},
		{"transfers-history", only(transfer.Done, transfer.Canceled), at},
		{"settings-limits", func(h *house) {
			h.queue.Limits = transfer.Limits{Up: 1_500_000, Down: 12_500_000, From: 22 * 60, Until: 6*60 + 30}
		}, func(s *stage) { s.goTo(viewmodel.Place{Page: viewmodel.PageSettings}) }},
		{"settings-limits-wrong", nil, func(s *stage) {
			s.goTo(viewmodel.Place{Page: viewmodel.PageSettings})
			s.w.pages[viewmodel.PageSettings].(*settings).limits.entries[0].SetText("0.1")
			s.draw()
		}},
	}
}

// manyJobs are forty transfers of all sorts.
func manyJobs(h *house) (all []transfer.Job) {
	now := h.jobs[0].Created
	few := believableJobs(now)
	for i := range 40 {
		j := few[i%len(few)]
		j.ID = transfer.JobID(100 + i)
		j.Order = int64(100 + (i*7)%40)
		if j.State.Ended() {
			j.Ended = now.Add(-time.Duration(i) * time.Hour)
			j.Took, j.Fetched = time.Duration(17*i+1)*time.Second, int64(i)*20_000_000
		}
		if i == 20 {
			j.Title = "The film of the whole summer with every single evening at the lake, uncut, second version of the third try.mkv"
		}
		all = append(all, j)
	}
	return all
}

// underWay is a pull from several computers with two large files under way.
func underWay(h *house) {
	h.jobs[0].Sources = []transfer.SourceRate{
		{Device: device(2), Name: "Bo’s mini-PC", Bytes: 700_000_000, Rate: 9_200_000}, {Device: device(3), Name: "Clara’s laptop", Bytes: 500_000_000, Rate: 7_100_000},
		{Device: device(5), Name: "Dad’s old computer under the stairs with a name that is far too long for any line", Bytes: 102_000_000}, {Device: device(9), Bytes: 12}}
	h.maps = []transfer.FileMap{
		{Path: "2026 Holiday/First steps at the lake, the whole film of the afternoon.mp4", Size: 4 << 30, Pieces: 4096, Have: 1844, Parts: someParts(512)},
		{Path: "2026 Holiday/short.mov", Size: 37 << 20, Pieces: 37, Have: 20, Parts: someParts(37)},
	}
}

func someParts(n int) []uint8 {
	parts := make([]uint8, n)
	for i := range parts {
		switch {
		case i < n/3 || i%5 == 0:
			parts[i] = 255
		case i%7 == 0:
			parts[i] = 120
		}
	}
	return parts
}

func TestOpenTransferShowsSourcesAndPieces(t *testing.T) {
	h := newHouse()
	underWay(h)
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	s.goTo(viewmodel.Place{Page: viewmodel.PageTransfers})
	page := s.w.pages[viewmodel.PageTransfers].(*transfers)
	s.w.win.Canvas().Focus(page.cards[0].press)
	test.Tap(page.cards[0].press)
	s.until("it is open", func() bool { return page.cards[0].more != nil && len(page.cards[0].more.maps) == 2 })
	card := page.cards[0]
	if s.w.win.Canvas().Focused() != fyne.Focusable(card.press) {
		t.Error("opening it took the focus away")
	}
	if got := card.more.figures[0].Text; got != "700\u00a0MB · 9.20\u00a0MB/s" {
		t.Errorf("source: %q", got)
	}
	if got := card.more.counts[0].Text; got != "1,844 of 4,096 pieces" {
		t.Errorf("map: %q", got)
	}
	h.change(func() {
		h.jobs[0].Sources[0].Bytes, h.maps[1].Have = 800_000_000, 21
		h.maps[1].Parts = someParts(37)
		h.maps[1].Parts[36] = 255
	})
	s.until("it moves", func() bool { return card.more.counts[1].Text == "21 of 37 pieces" })
	if page.cards[0] != card || card.more.figures[0].Text != "800\u00a0MB · 9.20\u00a0MB/s" || card.more.maps[1].parts[36] != 255 {
		t.Error("the figures of an open card do not move in place")
	}
	test.Tap(card.press)
	s.until("it is closed", func() bool { return page.cards[0].more == nil })
}

func TestQueueIsMovedHeldAndRetried(t *testing.T) {
	h := newHouse()
	s := newStage(t, h, viewmodel.Look{}, 1100, 2000)
	s.goTo(viewmodel.Place{Page: viewmodel.PageTransfers})
	page := s.w.pages[viewmodel.PageTransfers].(*transfers)
	var waiting *jobCard
	for _, c := range page.cards {
		if c.row.ID == 8 {
			waiting = c
		}
	}
	s.w.win.Canvas().Focus(waiting.press)
	for key, call := range map[fyne.KeyName]string{fyne.KeyHome: "move first 8", fyne.KeyPageUp: "move up 8", fyne.KeyPageDown: "move down 8", fyne.KeyEnd: "move last 8"} {
		s.key(key)
		s.until(call, func() bool { return h.called(call) })
	}
	test.Tap(waiting.press)
	s.until("it is open", func() bool { return findButton(page.whole, "Earlier") != nil })
	test.Tap(findButton(page.whole, "Try all again"))
	s.until("the failed one is tried again", func() bool { return h.called("retry 5") })
	test.Tap(findButton(page.whole, "Clear history"))
	s.until("the history is forgotten", func() bool { return h.called("forget 3") })
	test.Tap(findButton(page.whole, "Pause all"))
	s.until("all is paused", func() bool { return h.called("hold true") && page.said.Visible() && page.hold.Text == "Go on with all" })
	test.Tap(page.hold)
	s.until("all goes on", func() bool { return h.called("hold false") && !page.said.Visible() })
}

func TestLimitsAreTyped(t *testing.T) {
	h := newHouse()
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	s.goTo(viewmodel.Place{Page: viewmodel.PageSettings})
	f := s.w.pages[viewmodel.PageSettings].(*settings).limits
	f.entries[0].SetText("0.1")
	if !f.wrong.Visible() || !f.save.Disabled() {
		t.Error("a limit below the least is taken")
	}
	f.entries[0].SetText("2,5")
	f.entries[2].SetText("22")
	if f.wrong.Visible() || f.save.Disabled() {
		t.Fatal("a good limit is refused")
	}
	test.Tap(f.save)
	s.until("they are kept", func() bool {
		return h.called(fmt.Sprintf("limits 0 2500000 %d 0", 22*60)) && f.entries[0].Text == "2.5" && f.entries[3].Text == "00:00"
	})
	h.change(func() { h.queue.Limits = transfer.Limits{} })
	s.until("they follow the engine", func() bool { return f.entries[0].Text == "" && f.entries[2].Text == "" })
}

// TestPieceMapIsDrawn looks at the pixels: what is here is as strong as the accent, what is not as quiet as a line, in both themes.
func TestPieceMapIsDrawn(t *testing.T) {
	for _, look := range []string{"light", "dark"} {
		s := newStage(t, newHouse(), viewmodel.Look{Theme: look}, 800, 560)
		m := s.w.paint.pieces([]uint8{255, 0, 128, 255})
		img := m.draw(400, 8)
		all, none := rgba(s.w.paint.colour(theme.ColorNamePrimary)), rgba(s.w.paint.colour(theme.ColorNameSeparator))
		at := func(x int) color.NRGBA { return rgba(img.At(x, 3)) }
		if at(50) != all || at(150) != none || at(350) != all || at(250) == all || at(250) == none {
			t.Errorf("%s: %v %v %v %v", look, at(50), at(150), at(250), at(350))
		}
		if big := s.w.paint.pieces(someParts(512)); big.MinSize().Height != 4*mapCell {
			t.Errorf("512 cells are %v high", big.MinSize().Height)
		}
		if b := s.w.paint.pieces(nil).draw(100, 8).Bounds(); b.Dx() != 100 {
			t.Error("a file without parts is not drawn")
		}
	}
}
