//go:build !headless

package gui

import (
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fyne.io/fyne/v2"

	"porchlight/app/viewmodel"
	"porchlight/discovery"
	"porchlight/share"
	"porchlight/transfer"
)

// screen is a state of the window worth a picture.
type screen struct {
	name    string
	prepare func(h *house)
	show    func(s *stage)
}

func photos() viewmodel.Place {
	return viewmodel.Place{Page: viewmodel.PageFolder, Device: device(2), Share: shareID(1)}
}

func screens() []screen {
	at := func(p viewmodel.Page) func(*stage) { return func(s *stage) { s.goTo(viewmodel.Place{Page: p}) } }
	first := func(step int) func(*stage) {
		return func(s *stage) {
			for range step {
				s.w.set.FirstRun.Next()
			}
			s.draw()
		}
	}
	isNew := func(h *house) { h.self.FirstRun = true }
	alone := func(h *house) { h.peers, h.jobs, h.shares = nil, nil, nil }
	return append(append(queueScreens(), groupScreens()...), []screen{
		{"neighbours", nil, at(viewmodel.PageNeighbours)},
		{"neighbours-empty", alone, at(viewmodel.PageNeighbours)},
		{"neighbours-newer", runsNewer, at(viewmodel.PageNeighbours)},
		{"computer-newer", runsNewer, func(s *stage) { s.goTo(viewmodel.Place{Page: viewmodel.PageComputer, Device: device(5)}) }},
		{"lost", func(h *house) {
			aside := "/home/anna/.config/porchlight/porchlight.db.damaged-20260501-120000.000"
			for _, service := range []string{"store", "store-shares", "store-peers", "store-jobs", "settings", "key"} {
				h.self.Health = append(h.self.Health, discovery.Health{Service: service, Trouble: aside})
			}
		}, at(viewmodel.PageSettings)},
		{"computer", nil, func(s *stage) { s.goTo(viewmodel.Place{Page: viewmodel.PageComputer, Device: device(2)}) }},
		{"computer-away", nil, func(s *stage) { s.goTo(viewmodel.Place{Page: viewmodel.PageComputer, Device: device(5)}) }},
		{"browser", nil, func(s *stage) {
			s.goTo(photos())
			s.w.set.Browser.Click(7, viewmodel.Keys{})
			s.draw()
		}},
		{"browser-several", nil, func(s *stage) {
			s.goTo(photos())
			s.w.set.Browser.Click(2, viewmodel.Keys{})
			s.w.set.Browser.Click(5, viewmodel.Keys{Extend: true})
			s.w.sheet = true
			s.draw()
		}},
		{"browser-empty", func(h *house) { h.entries[""] = nil }, func(s *stage) { s.goTo(photos()) }},
		{"browser-got", nil, func(s *stage) {
			s.goTo(photos())
			s.w.set.Browser.Click(7, viewmodel.Keys{})
			s.w.set.Browser.Get("")
			s.until("the bar says so", func() bool { return s.w.set.Notices.Now().Text != "" })
		}},
		{"shares", nil, at(viewmodel.PageShares)},
		{"shares-who", whom, at(viewmodel.PageShares)},
		{"shares-for", nil, audienceOf(0)},
		{"shares-for-chosen", whom, audienceOf(1)},
		{"shares-for-alone", func(h *house) {
			whom(h)
			h.peers, h.shares[1].Audience = nil, []share.Grant{{Who: share.ToNobody}}
		}, audienceOf(1)},
		{"neighbours-blocked", blocks, at(viewmodel.PageNeighbours)},
		{"computer-blocked", blocks, func(s *stage) { s.goTo(viewmodel.Place{Page: viewmodel.PageComputer, Device: device(5)}) }},
		{"computer-block", nil, func(s *stage) {
			s.goTo(viewmodel.Place{Page: viewmodel.PageComputer, Device: device(5)})
			c := s.w.pages[viewmodel.PageComputer].(*computer)
			c.block(c.now)
			s.draw()
		}},
		{"shares-empty", alone, at(viewmodel.PageShares)},
		{"shares-remove", nil, func(s *stage) {
			s.goTo(viewmodel.Place{Page: viewmodel.PageShares})
			s.w.pages[viewmodel.PageShares].(*shares).remove(s.w.set.Shares.Rows()[0])
			s.draw()
		}},
		{"transfers", nil, at(viewmodel.PageTransfers)},
		{"transfers-empty", alone, at(viewmodel.PageTransfers)},
		{"settings", func(h *house) {
			h.self.Health = []discovery.Health{{Service: "mdns", Trouble: "no network can carry multicast"}}
			h.jobs = []transfer.Job{}
		}, at(viewmodel.PageSettings)},
		{"network-new", func(h *house) {
			h.self.Ask, h.self.Network, h.self.Interfaces[0].Network = true, discovery.Unsaid, discovery.Unsaid
		}, at(viewmodel.PageNeighbours)},
		{"about", nil, at(viewmodel.PageAbout)},
		{"doctor", nil, func(s *stage) {
			s.w.key(&fyne.KeyEvent{Name: fyne.KeyF1})
			s.until("the doctor has looked", func() bool { return len(s.w.set.Doctor.Rows()) == 3 && !s.w.set.Doctor.Busy() })
			s.draw()
		}},
		{"doctor-twin", func(h *house) { h.twin = true }, func(s *stage) { s.askDoctor() }},
		{"doctor-twin-ask", func(h *house) { h.twin = true }, func(s *stage) {
			s.askDoctor()
			s.w.pages[viewmodel.PageDoctor].(*doctorPage).makeNew(s.w.set.Doctor.Rows()[0].Self)
			s.draw()
		}},
		{"first-1", isNew, first(0)},
		{"first-2", isNew, first(1)},
		{"first-3", isNew, first(2)},
	}...)
}

// whom has shares for some, for nobody, and one of which it cannot be read any more.
func whom(h *house) {
	for n := byte(2); n < 6; n++ {
		h.shares[1].Audience = append(h.shares[1].Audience, share.Grant{Who: share.ToDevice, Device: device(n), Level: share.LookOnly})
	}
	h.shares = append(h.shares, share.Share{ID: shareID(13), Kind: share.Folder, Name: "Taxes", Path: "/home/anna/Taxes", Audience: []share.Grant{{Who: share.ToNobody}}},
		share.Share{ID: shareID(14), Kind: share.Folder, Name: "Unclear", Path: "/home/anna/Unclear", Lost: true})
}

// blocks has a blocked computer.
func blocks(h *house) { h.peers[3].Blocked = true }

func audienceOf(row int) func(*stage) {
	return func(s *stage) {
		s.goTo(viewmodel.Place{Page: viewmodel.PageShares})
		s.w.pages[viewmodel.PageShares].(*shares).audience(s.w.set.Shares.Rows()[row])
		s.draw()
	}
}

// runsNewer has one neighbour that announces a newer Porchlight, and one that has become one.
func runsNewer(h *house) {
	for i := range h.peers {
		if n := h.peers[i].Name; n == "Meeting room" || strings.HasPrefix(n, "Dad") {
			h.peers[i].Newer = true
		}
	}
}

func (s *stage) askDoctor() {
	s.w.key(&fyne.KeyEvent{Name: fyne.KeyF1})
	s.until("the doctor has looked", func() bool { return len(s.w.set.Doctor.Rows()) == 3 && !s.w.set.Doctor.Busy() })
	s.draw()
}

// TestShots draws every screen and checks its geometry; PORCHLIGHT_SHOTS names a folder for the pictures.
func TestShots(t *testing.T) {
	dir := os.Getenv("PORCHLIGHT_SHOTS")
	for _, theme := range []string{"light", "dark"} {
		app := newSharedApp(t)
		for _, size := range [][2]float32{{1100, 720}, {800, 560}, {1600, 1000}, {640, 420}} {
			for _, lang := range []string{"en", "de"} {
				if theme == "dark" && (dir == "" || lang == "de" || size[0] == 640) || dir == "" && (size[0] == 1600 || lang == "de" && size[0] == 800) {
					continue // colours move nothing, what fits in 800 fits in 1600, and long German words that fit in 640 fit in 800
				}
				for _, x := range screens() {
					name := fmt.Sprintf("%s-%s-%s-%dx%d", x.name, lang, theme, int(size[0]), int(size[1]))
					t.Run(name, func(t *testing.T) {
						h := newHouse()
						if x.prepare != nil {
							x.prepare(h)
						}
						s := newStageOn(t, app, h, viewmodel.Look{Theme: theme, Language: lang}, size[0], size[1])
						x.show(s)
						checkGeometry(t, s.w)
						if dir != "" && (lang == "en" || size[0] == 1100) && size[0] != 640 {
							shoot(t, s.w, filepath.Join(dir, name+".png"))
						}
					})
				}
			}
		}
	}
}

func shoot(t *testing.T, w *window, file string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, w.win.Canvas().Capture()); err != nil {
		t.Fatal(err)
	}
}
