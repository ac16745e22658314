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

// newNetwork is the card that asks whom a network belongs to, over the whole window.
type newNetwork struct {
	w      *window
	object *fyne.Container
	nets   *choices
	text   string
}

func newNewNetwork(w *window) *newNetwork {
	n := &newNetwork{w: w, object: container.NewStack()}
	n.object.Hide()
	return n
}

// refresh reports whether the card is up.
func (n *newNetwork) refresh() bool {
	vm := n.w.set.NewNetwork
	up := vm.Shown()
	shown(n.object, up)
	if !up {
		return false
	}
	if title, text := vm.Title(); n.nets == nil || text != n.text {
		n.text = text
		p := n.w.paint
		n.nets = newChoices(n.w, 420, 52, n.w.set.Settings.Networks, n.w.set.Settings.SetNetwork)
		later := button(n.w.set.Words.Text("action.later"), false, vm.Later)
		later.Importance = widget.LowImportance
		all := container.New(stack{gap: 18}, column(4, container.NewCenter(p.icon("lamp", 56, colAccent, colTint)), space(1, 4), centred(p, title, true), centred(p, text, false)),
			n.nets.box, row(8, 0, []float32{0, -1}, later, space(1, 1)))
		n.object.Objects = []fyne.CanvasObject{p.box(theme.ColorNameBackground, 0),
			container.NewVScroll(container.New(amid{width: 520}, container.New(stack{}, p.card(inset(28, 20, 28, 28, all)))))}
		n.object.Refresh()
	}
	if n.nets.refresh() {
		n.object.Refresh()
	}
	return true
}

// interfaces are the ways to the network, each with a tick.
type interfaces struct {
	w     *window
	box   *fyne.Container
	drawn []viewmodel.InterfaceRow
}

func newInterfaces(w *window) *interfaces {
	return &interfaces{w: w, box: container.New(stack{gap: 4})}
}

// refresh reports whether it drew anew.
func (n *interfaces) refresh() bool {
	rows := n.w.set.Settings.Interfaces()
	if slices.Equal(rows, n.drawn) {
		return false
	}
	n.drawn, n.box.Objects = rows, nil
	for _, r := range rows {
		n.box.Add(ticked(n.w, r.Name, r.Text, r.Used, func(on bool) { n.w.set.Settings.SetInterface(r.Name, on) }))
	}
	n.box.Refresh()
	return true
}

// switches are what can be switched on and off on this desktop.
type switches struct {
	w     *window
	box   *fyne.Container
	drawn []viewmodel.Switch
}

func newSwitches(w *window) *switches {
	return &switches{w: w, box: container.New(stack{gap: 8})}
}

// refresh reports whether it drew anew.
func (s *switches) refresh() bool {
	rows := s.w.set.Settings.Switches()
	if slices.Equal(rows, s.drawn) {
		return false
	}
	s.drawn, s.box.Objects = rows, nil
	for _, r := range rows {
		s.box.Add(ticked(s.w, r.Name, r.Text, r.On, func(on bool) { s.w.set.Settings.Flip(r.Key, on) }))
	}
	s.box.Refresh()
	return true
}

// ticked is a tick with its name and a quiet line below.
func ticked(w *window, name, text string, on bool, flip func(bool)) fyne.CanvasObject {
	tick := widget.NewCheck("", nil)
	tick.SetChecked(on)
	tick.OnChanged = flip
	words := column(2, newCut(w.paint.bold(name, textBody, colText)))
	if text != "" {
		words.Add(sentence(w.paint.text(text, textCaption, colQuiet)))
	}
	return w.press(row(6, 4, []float32{0, -1}, tick, words), radiusRow, "", func() { tick.SetChecked(!tick.Checked) })
}
