//go:build !headless

package gui

import (
	"context"
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

func TestTidingsOnlyWhileNobodyLooks(t *testing.T) {
	s := newStage(t, newHouse(), viewmodel.Look{}, 1100, 720)
	s.w.watched.Store(true)
	end := func(id transfer.JobID, state transfer.State, trouble transfer.Trouble) func() {
		return func() {
			s.h.change(func() {
				jobs := append([]transfer.Job{}, s.h.jobs...)
				for i := range jobs {
					if jobs[i].ID == id {
						jobs[i].State, jobs[i].Trouble, jobs[i].Ended = state, trouble, jobs[i].Created.AddDate(0, 0, 1)
					}
				}
				s.h.jobs = jobs
			})
			s.until("it is known", func() bool {
				for _, r := range s.w.set.Transfers.Rows() {
					if r.ID == id {
						return (r.Bar == false) == state.Ended()
					}
				}
				return false
			})
		}
	}
	words := s.w.set.Words
	test.AssertNotificationSent(t, nil, end(7, transfer.Done, transfer.NoTrouble))
	s.w.watched.Store(false)
	test.AssertNotificationSent(t, notification(words.Text("tiding.done"), words.Text("tiding.done.text", "What", "First steps.mp4", "From", "Bo’s mini-PC")), end(8, transfer.Done, transfer.NoTrouble))
}

func notification(title, text string) *fyne.Notification { return fyne.NewNotification(title, text) }
