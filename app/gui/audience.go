//go:build !headless

package gui

import (
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"porchlight/app/viewmodel"
)

// whoPart is the part of a dialog that lets one choose for whom a share is, and says the result in one sentence.
type whoPart struct {
	w      *window
	object fyne.CanvasObject
	ways   []viewmodel.WayRow
	chosen viewmodel.Way
	lists  map[viewmodel.For][]viewmodel.Receiver
	says   *widget.RichText
}

// audience lets one choose for whom a share is.
func (s *shares) audience(r viewmodel.ShareRow) {
	words := s.w.set.Words
	who := newWhoPart(s.w, r)
	s.w.dialog(words.Text("shares.for.title", "Name", r.Name), who.object, words.Text("action.save"), func() string {
		return s.w.set.Shares.Allow(r.ID, who.chosen, who.lists[who.chosen.For])
	})
}

func newWhoPart(w *window, r viewmodel.ShareRow) *whoPart {
	vm := w.set.Shares
	p := &whoPart{w: w, ways: vm.Ways(), chosen: r.Way, lists: map[viewmodel.For][]viewmodel.Receiver{}, says: w.paint.para("", colText, theme.SizeNameText)}
	rooms := container.NewStack()
	lists := map[viewmodel.For]fyne.CanvasObject{}
	var high float32
	for _, f := range []viewmodel.For{viewmodel.ForPeople, viewmodel.ForChosen} {
		p.lists[f] = vm.Receivers(r.ID, f)
		lists[f] = p.list(f)
		high = max(high, lists[f].MinSize().Height)
		rooms.Add(lists[f])
	}
	rooms.Add(space(1, high)) // the room is there from the beginning: a dialog that grows would move under the pointer
	var labels []string
	for _, x := range p.ways {
		labels = append(labels, x.Text)
	}
	which := widget.NewRadioGroup(labels, nil)
	which.Required = true
	choose := func(label string) {
		if i := slices.Index(labels, label); i >= 0 {
			p.chosen = p.ways[i].Way
		}
		for f, o := range lists {
			shown(o, f == p.chosen.For)
		}
		p.say()
	}
	now := slices.IndexFunc(p.ways, func(x viewmodel.WayRow) bool { return x.Way == r.Way })
	if now < 0 {
		now = slices.IndexFunc(p.ways, func(x viewmodel.WayRow) bool { return x.For == viewmodel.ForNobody })
	}
	which.SetSelected(labels[now])
	choose(labels[now])
	which.OnChanged = choose
	p.object = column(6, which, inset(0, 0, 24, 0, rooms), container.NewStack(space(1, 44), inset(-4, -4, -8, -8, p.says)))
	return p
}

// list are the people or the computers, each with a tick.
func (p *whoPart) list(f viewmodel.For) fyne.CanvasObject {
	ticks := container.New(stack{gap: 4})
	all := p.lists[f]
	for i := range all {
		ticks.Add(ticked(p.w, all[i].Name, "", all[i].Chosen, func(on bool) {
			all[i].Chosen = on
			p.say()
		}))
	}
	if len(all) == 0 {
		ticks.Add(sentence(p.w.paint.text(p.w.set.Words.Text("shares.for.none-known"), textSmall, colQuiet)))
	}
	list := container.NewVScroll(ticks)
	list.SetMinSize(fyne.NewSize(1, min(ticks.MinSize().Height, 104)))
	return list
}

// say says the result in one sentence.
func (p *whoPart) say() {
	rewrite(p.says, p.w.set.Shares.Says(p.chosen, p.lists[p.chosen.For]))
}

// rewrite puts another text into a wrapping one.
func rewrite(r *widget.RichText, text string) {
	if x, ok := r.Segments[0].(*widget.TextSegment); ok && x.Text != text {
		x.Text = text
		r.Refresh()
	}
}
