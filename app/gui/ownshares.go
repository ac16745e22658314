//go:build !headless

package gui

import (
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"

	"porchlight/app/viewmodel"
)

// shares is the page of what this computer offers.
type shares struct {
	w     *window
	whole fyne.CanvasObject
	box   *fyne.Container
	page  fyne.CanvasObject
	empty *emptyNote
	rows  []viewmodel.ShareRow
}

func newShares(w *window) *shares {
	s := &shares{w: w, box: container.New(stack{gap: 8}), empty: newEmptyNote(w, "shares")}
	words := w.set.Words
	add := func() { w.chooseFolder(w.set.Shares.Add) }
	s.empty.action = button(words.Text("action.add-folder"), true, add)
	head := row(12, 0, []float32{-1, 0}, w.paint.bold(words.Text("page.shares"), textHead, colText), button(words.Text("action.add-folder"), true, add))
	s.page = scrollPage(24, 880, column(16, head, s.box))
	s.whole = container.NewStack(s.page, s.empty.object)
	return s
}

func (s *shares) object() fyne.CanvasObject { return s.whole }

func (s *shares) refresh() {
	s.empty.show(s.w.set.Shares.Empty())
	rows := s.w.set.Shares.Rows()
	shown(s.page, len(rows) > 0)
	if slices.Equal(rows, s.rows) {
		return
	}
	s.rows = rows
	s.box.Objects = nil
	for _, r := range rows {
		s.box.Add(s.card(r))
	}
	s.box.Refresh()
	s.page.Refresh()
}

func (s *shares) card(r viewmodel.ShareRow) fyne.CanvasObject {
	p, words := s.w.paint, s.w.set.Words
	text := column(3, newCut(p.bold(r.Name, textBody, colText)), newCut(p.text(r.Path, textSmall, colQuiet)), sentence(p.text(r.Who, textSmall, colQuiet)))
	tools := row(4, 0, []float32{0, 0, 0, 0},
		s.w.tool("eye", words.Text("shares.for"), func() { s.audience(r) }),
		s.w.tool("folder", words.Text("action.show-folder"), func() { s.w.set.Shares.Show(r.Path) }),
		s.w.tool("pencil", words.Text("action.rename"), func() { s.rename(r) }),
		s.w.tool("bin", words.Text("action.remove"), func() { s.remove(r) }))
	b := s.w.press(inset(12, 12, 0, 0, row(14, 16, []float32{32, -1, 0}, p.thing(r.Icon, 32), text, tools)), radiusCard, "", func() { s.w.set.Shares.Show(r.Path) })
	b.keys = map[fyne.KeyName]func(){fyne.KeyF2: func() { s.rename(r) }, fyne.KeyDelete: func() { s.remove(r) }}
	return p.card(b)
}

func (s *shares) rename(r viewmodel.ShareRow) {
	words := s.w.set.Words
	e := widget.NewEntry()
	e.SetText(r.Name)
	s.w.dialog(words.Text("shares.rename.title", "Name", r.Name), e, words.Text("action.rename"), func() string {
		if why := s.w.set.Settings.CheckName(e.Text); why != "" {
			return why
		}
		s.w.set.Shares.Rename(r.ID, e.Text)
		return ""
	})
	s.w.win.Canvas().Focus(e)
}

func (s *shares) remove(r viewmodel.ShareRow) {
	title, text := s.w.set.Shares.RemoveQuestion(r.Name)
	s.w.ask(title, text, s.w.set.Words.Text("action.remove"), func() { s.w.set.Shares.Remove(r.ID) })
}
