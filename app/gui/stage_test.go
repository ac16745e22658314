//go:build !headless

package gui

import (
	"context"
	"sync"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"porchlight/app/viewmodel"
	"porchlight/discovery/calm"
)

// stage is a window in Fyne's test driver with an engine behind it. What the window wants done on Fyne's goroutine is done
// by the test's.
type stage struct {
	t    *testing.T
	w    *window
	h    *house
	desk *fakeDesk

	mu    sync.Mutex // guards the field below
	queue []func()
}

func newStage(t *testing.T, h *house, look viewmodel.Look, width, height float32) *stage {
	t.Helper()
	return newStageOn(t, test.NewTempApp(t), h, look, width, height)
}

// sharedApp is one app for many windows of one theme, one after the other. Fyne reads the fonts anew and forgets the measures of all
// texts whenever a theme is set, which costs more than a window.
type sharedApp struct {
	fyne.App
	settings *sharedSettings
}

func newSharedApp(t *testing.T) *sharedApp {
	t.Helper()
	app := test.NewTempApp(t)
	return &sharedApp{app, &sharedSettings{Settings: app.Settings()}}
}

func (a *sharedApp) Settings() fyne.Settings { return a.settings }

// sharedSettings has the theme set once, and tells nobody of changes: the windows that would listen are closed by then.
type sharedSettings struct {
	fyne.Settings
	wanted string
	set    bool
}

func (s *sharedSettings) AddListener(func(fyne.Settings)) {}

func (s *sharedSettings) SetTheme(t fyne.Theme) {
	if p, ok := t.(*porch); ok && s.set && p.wanted == s.wanted {
		return
	} else if ok {
		s.wanted = p.wanted
	}
	s.set = true
	s.Settings.SetTheme(t)
}

func newStageOn(t *testing.T, app fyne.App, h *house, look viewmodel.Look, width, height float32) *stage {
	t.Helper()
	s := &stage{t: t, h: h, desk: &fakeDesk{own: true}}
	if look.Language == "" {
		look.Language = "en"
	}
	if look.Theme == "" {
		look.Theme = "light"
	}
	w, err := newWindow(Config{App: app, Connect: With(h), Look: look, Desk: s.desk, Version: "0.1.0"}, s.later)
	if err != nil {
		t.Fatal(err)
	}
	s.w = w
	w.win.Resize(fyne.NewSize(width, height))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = w.set.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended; w.win.Close() })
	s.until("the engine has answered", w.set.Ready)
	return s
}

func (s *stage) later(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, f)
}

// draw does what a turn of Fyne's loop does.
func (s *stage) draw() {
	s.mu.Lock()
	queue := s.queue
	s.queue = nil
	s.mu.Unlock()
	for _, f := range queue {
		f()
	}
	s.w.refresh()
}

// until draws until something is so.
func (s *stage) until(what string, so func() bool) {
	s.t.Helper()
	for end := time.Now().Add(calm.Most(10 * time.Second)); ; time.Sleep(2 * time.Millisecond) {
		s.draw()
		if so() {
			s.draw()
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("still waiting until %s", what)
		}
	}
}

func (s *stage) goTo(p viewmodel.Place) {
	s.t.Helper()
	s.w.set.Nav.Go(p)
	s.until("the page is there", func() bool {
		switch p.Page {
		case viewmodel.PageComputer:
			x, _ := s.w.set.Neighbours.Page(p.Device)
			return !x.Loading
		case viewmodel.PageFolder:
			return !s.w.set.Browser.Loading() && s.w.set.Nav.Crumbs()[2].Text != "Share"
		}
		return true
	})
}
