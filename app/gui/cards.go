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

// cards are questions that come up by themselves, one at a time, over whatever is on screen.
type cards struct {
	w      *window
	key    any // of the card that is up; nil for none
	pop    *widget.PopUp
	digits bool // a comparison shows digits instead of pictures
}

// refresh puts up the card that is due, and takes away the one that is not.
func (c *cards) refresh() {
	set := c.w.set
	if x, ok := set.Comparing.Card(); ok {
		c.up(x, func() fyne.CanvasObject { return c.compare(x) })
	} else if x, ok := set.Inviting.Card(); ok {
		c.up(x.ID, func() fyne.CanvasObject { return c.approve(x) })
	} else if x, ok := set.Founding.Card(); ok {
		c.up(x, func() fyne.CanvasObject { return c.move(x) })
	} else {
		c.down()
	}
}

func (c *cards) up(key any, body func() fyne.CanvasObject) {
	if c.key == key {
		return
	}
	c.down()
	c.key = key
	c.show(body())
}

func (c *cards) show(body fyne.CanvasObject) {
	all, ok := body.(*fyne.Container)
	if ok {
		c.pop = c.w.raise(all, 2)
	}
}

func (c *cards) down() {
	if c.pop != nil {
		c.pop.Hide()
	}
	c.key, c.pop = nil, nil
}

// card is a title, what it is about, and buttons at the end.
func (c *cards) card(title string, body fyne.CanvasObject, buttons ...fyne.CanvasObject) *fyne.Container {
	p := c.w.paint
	head := p.para(title, colText, theme.SizeNameSubHeadingText)
	flush(head)
	widths := append([]float32{-1}, make([]float32, len(buttons))...)
	foot := row(8, 0, widths, slices.Concat([]fyne.CanvasObject{space(1, 1)}, buttons)...)
	return container.New(stack{gap: 10}, space(420, 1), plain(head), body, foot)
}

// compare shows four pictures, or seven digits, and asks whether the other screen shows the same.
func (c *cards) compare(x viewmodel.CompareCard) fyne.CanvasObject {
	p, words, vm := c.w.paint, c.w.set.Words, c.w.set.Comparing
	var what fyne.CanvasObject = c.w.pictures(x.Pictures[:], 44)
	other := words.Text("compare.digits")
	if c.digits {
		d := p.bold(x.Digits, 36, colText)
		d.Alignment = fyne.TextAlignCenter
		what, other = d, words.Text("compare.pictures")
	}
	turn := button(other, false, func() {
		c.digits = !c.digits
		c.key = nil
		c.pop.Hide()
		c.refresh()
	})
	turn.Importance = widget.LowImportance
	body := column(10, plain(p.para(x.Text, colQuiet, theme.SizeNameText)), container.NewStack(space(1, 84), container.NewVBox(what)), container.NewCenter(turn))
	if x.Waiting {
		return c.card(x.Title, body, button(words.Text("compare.no"), false, func() { vm.Answer(x.ID, false) }), button(words.Text("compare.hide"), true, func() { vm.Hide(x.ID) }))
	}
	return c.card(x.Title, body, button(words.Text("compare.no"), false, func() { vm.Answer(x.ID, false) }), button(words.Text("compare.yes"), true, func() { vm.Answer(x.ID, true) }))
}

// approve asks whether somebody may come in, under which name, whose computer it is, and what it may do.
func (c *cards) approve(x viewmodel.ApproveCard) fyne.CanvasObject {
	p, words, vm := c.w.paint, c.w.set.Words, c.w.set.Inviting
	name := widget.NewEntry()
	name.SetText(x.Device)
	person := widget.NewSelectEntry(x.People)
	person.SetPlaceHolder(words.Text("approve.person.hint"))
	role := widget.NewSelect(x.Roles, nil)
	role.SetSelectedIndex(0)
	wrong := sentence(p.text("", textSmall, theme.ColorNameError))
	label := func(key string) fyne.CanvasObject { return sentence(p.text(words.Text(key), textSmall, colQuiet)) }
	pair := func(key string, o fyne.CanvasObject) fyne.CanvasObject {
		return row(8, 0, []float32{110, -1}, label(key), o)
	}
	body := column(8, plain(p.para(x.Text, colQuiet, theme.SizeNameText)), pair("approve.name", name), pair("approve.person", container.NewStack(space(1, 38), person)), pair("approve.role", role), wrong)
	approve := func() { wrong.set(vm.Approve(x.ID, name.Text, person.Text, role.SelectedIndex() == 1)) }
	c.w.onEnter(body, approve)
	yes := button(x.Yes, true, approve)
	return c.card(x.Title, body, button(words.Text("approve.no"), false, func() { vm.Decline(x.ID) }), yes)
}

// move asks whether to follow somebody who started over.
func (c *cards) move(x viewmodel.MoveCard) fyne.CanvasObject {
	words, vm := c.w.set.Words, c.w.set.Founding
	later := button(words.Text("action.later"), false, func() { vm.MoveLater(x.ID) })
	later.Importance = widget.LowImportance
	return c.card(x.Title, plain(c.w.paint.para(x.Text, colQuiet, theme.SizeNameText)), later,
		button(words.Text("move.no"), false, func() { vm.Move(x.ID, false) }), button(words.Text("move.yes"), true, func() { vm.Move(x.ID, true) }))
}
