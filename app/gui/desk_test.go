//go:build !headless

package gui

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"porchlight/app/viewmodel"
	"porchlight/discovery"
	"porchlight/transfer"
)

// fakeDesk is a desktop in memory.
type fakeDesk struct {
	own bool

	mu           sync.Mutex // guards the fields below
	keeps, start bool
	closed       int
}

func (d *fakeDesk) Own() bool { return d.own }

func (d *fakeDesk) KeepsRunning() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.keeps
}

func (d *fakeDesk) SetKeepRunning(_ context.Context, on bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keeps = on
	return nil
}

func (d *fakeDesk) Starts() (on, able bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.start, true
}

func (d *fakeDesk) SetStarts(_ context.Context, on bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.start = on
	return nil
}

func (d *fakeDesk) FirstClose(context.Context) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed++
	return d.closed == 1
}

func TestTheCardAsksOnce(t *testing.T) {
	h := newHouse()
	h.self.Ask, h.self.Network, h.self.Interfaces[0].Network = true, discovery.Unsaid, discovery.Unsaid
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	card := s.w.newNet
	s.until("the card is up", card.object.Visible)
	if s.w.body.Visible() {
		t.Error("the window shows through")
	}
	s.w.set.NewNetwork.Later()
	s.until("the card is down", func() bool { return !card.object.Visible() && s.w.body.Visible() })
	h.change(func() { h.self.Interfaces[0].Name = "wlan0" })
	s.until("another network brings it back", card.object.Visible)
	test.Tap(card.nets.box.Objects[1].(*press))
	s.until("it is answered", func() bool { return !card.object.Visible() })
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.self.Network != discovery.Office {
		t.Errorf("the answer was %q", h.self.Network)
	}
}

func TestInterfacesAndSwitchesInTheSettings(t *testing.T) {
	s := newStage(t, newHouse(), viewmodel.Look{}, 1100, 720)
	s.goTo(viewmodel.Place{Page: viewmodel.PageSettings})
	page := s.w.pages[viewmodel.PageSettings].(*settings)
	test.Tap(page.ways.box.Objects[1].(*press))
	s.until("the tunnel is used", func() bool { return s.h.called("interface wg0 true") })
	test.Tap(page.desk.box.Objects[0].(*press))
	s.until("it keeps running", s.desk.KeepsRunning)
	test.Tap(page.desk.box.Objects[1].(*press))
	s.until("it starts with the computer", func() bool { on, _ := s.desk.Starts(); return on })
}

func TestClosingKeepsSharingAndSaysSoOnce(t *testing.T) {
	s := newStage(t, newHouse(), viewmodel.Look{}, 1100, 720)
	s.desk.keeps = true
	s.w.settleDown(t.Context(), s.desk, false)
	pops := func() int { return len(s.w.win.Canvas().Overlays().List()) }
	s.w.watched.Store(true)
	s.w.close(t.Context(), s.desk)
	if pops() != 1 || !s.w.watched.Load() {
		t.Fatalf("%d questions, the window gone: %v", pops(), !s.w.watched.Load())
	}
	test.Tap(findButton(s.popup(), "Close the window"))
	if pops() != 0 || s.w.watched.Load() {
		t.Fatalf("answered: %d questions, the window gone: %v", pops(), !s.w.watched.Load())
	}
	s.w.show()
	s.w.watched.Store(true)
	s.w.close(t.Context(), s.desk)
	if pops() != 0 || s.w.watched.Load() {
		t.Errorf("the second time: %d questions, the window gone: %v", pops(), !s.w.watched.Load())
	}
}

// ends returns what makes job id end well, and waits until the window knows.
func (s *stage) ends(id transfer.JobID) {
	s.t.Helper()
	s.h.change(func() {
		jobs := append([]transfer.Job{}, s.h.jobs...)
		for i := range jobs {
			if jobs[i].ID == id {
				jobs[i].State, jobs[i].Trouble, jobs[i].Ended = transfer.Done, transfer.NoTrouble, jobs[i].Created.AddDate(0, 0, 1)
			}
		}
		s.h.jobs = jobs
	})
	s.until("it is known", func() bool {
		return slices.ContainsFunc(s.w.set.Transfers.Rows(), func(r viewmodel.TransferRow) bool { return r.ID == id && !r.Bar })
	})
}

// spreads runs what shows notifications, with one way of the desktop.
func (s *stage) spreads(tell Tell) {
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.w.spread(ctx, Config{Tell: tell}) }()
	s.t.Cleanup(func() { cancel(); <-ended })
}

func TestTidingsOnlyWhileNobodyLooks(t *testing.T) {
	s := newStage(t, newHouse(), viewmodel.Look{}, 1100, 720)
	win := &seen{Window: s.w.win}
	s.w.win = win
	told := make(chan viewmodel.Tiding, 9)
	s.spreads(func(_ context.Context, t viewmodel.Tiding, click string, clicked func()) error {
		if click == "" {
			t.Text = "a click has no words"
		}
		told <- t
		clicked()
		return nil
	})
	s.w.watched.Store(true)
	s.ends(7)
	s.w.watched.Store(false)
	s.ends(8)
	words := s.w.set.Words
	want := viewmodel.Tiding{Title: words.Text("tiding.done"), Text: words.Text("tiding.done.text", "What", "First steps.mp4", "From", "Bo’s mini-PC")}
	if got := <-told; got != want || len(told) != 0 {
		t.Errorf("told %q, and %d more; want %q", got, len(told), want)
	}
	s.until("the click shows the window", func() bool { return win.times > 0 })
}

// seen counts how often a window was shown.
type seen struct {
	fyne.Window
	times int
}

func (w *seen) Show() { w.times++ }

// notes keeps the notifications Fyne is asked for.
type notes struct {
	fyne.App
	sent []fyne.Notification
}

func (a *notes) SendNotification(n *fyne.Notification) { a.sent = append(a.sent, *n) }

// TestTidingsByFyne: where the program has no way of its own.
func TestTidingsByFyne(t *testing.T) {
	s := newStage(t, newHouse(), viewmodel.Look{}, 1100, 720)
	s.spreads(func(context.Context, viewmodel.Tiding, string, func()) error { return errors.ErrUnsupported })
	app := &notes{App: s.w.app}
	s.w.app = app
	s.ends(8)
	s.until("it is handed on", func() bool { return len(app.sent) > 0 })
	words := s.w.set.Words
	if want := fyne.NewNotification(words.Text("tiding.done"), words.Text("tiding.done.text", "What", "First steps.mp4", "From", "Bo’s mini-PC")); len(app.sent) != 1 || app.sent[0] != *want {
		t.Errorf("Fyne is to show %q, want %q", app.sent, want)
	}
}

// TestADesktopThatHangs holds up no tidings but its own, and of those it keeps a few.
func TestADesktopThatHangs(t *testing.T) {
	s := newStage(t, newHouse(), viewmodel.Look{}, 1100, 720)
	begun := make(chan struct{}, 99)
	s.spreads(func(ctx context.Context, _ viewmodel.Tiding, _ string, _ func()) error {
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	for range 3 * maxTidings {
		s.w.tell(viewmodel.Tiding{Title: "x"})
	}
	<-begun
	s.ends(8) // the window goes on
	if n := len(s.w.tidings); n > maxTidings || len(begun) != 0 {
		t.Errorf("%d wait, %d more are being shown", n, len(begun))
	}
}
