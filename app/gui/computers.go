//go:build !headless

package gui

import (
	"reflect"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"porchlight/app/viewmodel"
)

// neighbours is the page of all computers.
type neighbours struct {
	w      *window
	whole  fyne.CanvasObject
	box    *fyne.Container
	page   fyne.CanvasObject
	empty  *emptyNote
	groups []viewmodel.Group
	newer  string        // the line about newer versions
	entry  *widget.Entry // of an address
	why    fyne.CanvasObject
}

func newNeighbours(w *window) *neighbours {
	n := &neighbours{w: w, box: container.New(stack{gap: 10}), empty: newEmptyNote(w, "lamp")}
	why := func() *widget.Button {
		return button(w.set.Words.Text("page.doctor"), false, func() { w.set.Nav.Go(viewmodel.Place{Page: viewmodel.PageDoctor}) })
	}
	n.why = why()
	head := row(12, 0, []float32{-1, 0}, w.paint.bold(w.set.Words.Text("page.neighbours"), textHead, colText), why())
	n.page = scrollPage(24, 960, column(20, head, n.box))
	n.whole = container.NewBorder(nil, n.address(), nil, nil, container.NewStack(n.page, n.empty.object))
	return n
}

// address is the line where one types where a computer is that does not show by itself.
func (n *neighbours) address() fyne.CanvasObject {
	words := n.w.set.Words
	e := widget.NewEntry()
	n.entry = e
	e.SetPlaceHolder(words.Text("neighbours.address.hint"))
	add := func() {
		n.w.set.Neighbours.Add(e.Text)
		e.SetText("")
	}
	e.OnSubmitted = func(string) { add() }
	p := n.w.paint
	line := row(12, 24, []float32{-1, 200, 0}, sentence(p.text(words.Text("neighbours.address"), textSmall, colQuiet)), e, button(words.Text("action.add"), false, add))
	return column(0, p.rule(), inset(6, 6, 0, 0, line))
}

func (n *neighbours) object() fyne.CanvasObject { return n.whole }

func (n *neighbours) refresh() {
	empty := n.w.set.Neighbours.Empty()
	if n.empty.action = nil; n.w.set.Ready() {
		n.empty.action = n.why
	}
	n.empty.show(empty)
	shown(n.page, empty.Title == "")
	groups, newer := n.w.set.Neighbours.Groups(), n.w.set.Neighbours.Newer()
	if empty.Title != "" || newer == n.newer && reflect.DeepEqual(groups, n.groups) {
		return
	}
	n.groups, n.newer = groups, newer
	n.box.Objects = nil
	for _, g := range groups {
		if len(g.Computers) == 0 {
			continue
		}
		n.box.Add(n.head(g))
		cells := container.New(newFlow(230, 64, 12))
		for _, c := range g.Computers {
			cells.Add(n.cell(c))
		}
		n.box.Add(cells)
		n.box.Add(space(1, 6))
	}
	if newer != "" {
		n.box.Add(inset(-6, -6, -8, -8, n.w.paint.para(newer, colQuiet, theme.SizeNameText)))
	}
	n.box.Refresh()
	n.page.Refresh()
}

// head names a workgroup, and leads to its page where it has one.
func (n *neighbours) head(g viewmodel.Group) fyne.CanvasObject {
	name := newCut(n.w.paint.bold(g.Name, textSmall, colQuiet))
	if g.To.Page == "" {
		return name
	}
	return n.w.press(inset(3, 3, 0, 0, row(6, 0, []float32{-1, 14}, name, n.w.paint.icon("forward", 14, colQuiet, colNone))), radiusRow, "", func() { n.w.set.Nav.Go(g.To) })
}

func (n *neighbours) cell(c viewmodel.Computer) fyne.CanvasObject {
	p := n.w.paint
	stroke, body := colAccent, colTint
	if c.Dot != viewmodel.DotHere {
		stroke, body = colQuiet, colNone
	}
	state := c.State
	if c.Detail != "" && c.Dot == viewmodel.DotAway {
		state = c.Detail
	}
	about := row(6, 0, []float32{0, -1}, p.dot(c.Dot), sentence(p.text(state, textSmall, colQuiet)))
	name := []fyne.CanvasObject{newCut(p.bold(c.Name, textBody, colText))}
	widths := []float32{-1}
	if c.Verified {
		name, widths = append(name, p.icon("check", 16, theme.ColorNameSuccess, colNone)), append(widths, 16)
	}
	text := column(3, row(6, 0, widths, name...), about)
	var do func()
	if c.Openable {
		do = func() { n.w.set.Nav.Go(viewmodel.Place{Page: viewmodel.PageComputer, Device: c.ID}) }
	}
	inner := row(12, 14, []float32{28, -1}, p.icon("desktop", 28, stroke, body), text)
	return p.card(n.w.press(inner, radiusCard, c.Detail, do))
}

// computer is the page of one neighbour.
type computer struct {
	w     *window
	whole fyne.CanvasObject
	box   *fyne.Container
	page  fyne.CanvasObject
	now   viewmodel.ComputerPage
	known bool
	drawn bool
}

func newComputer(w *window) *computer {
	c := &computer{w: w, box: container.New(stack{gap: 12})}
	c.page = scrollPage(24, 720, c.box)
	c.whole = c.page
	return c
}

func (c *computer) object() fyne.CanvasObject { return c.whole }

func (c *computer) refresh() {
	x, known := c.w.set.Neighbours.Page(c.w.shown.Device)
	if c.drawn && known == c.known && reflect.DeepEqual(x, c.now) {
		return
	}
	c.now, c.known, c.drawn = x, known, true
	if known {
		c.box.Objects = c.draw(x)
	} else {
		c.box.Objects = []fyne.CanvasObject{c.w.paint.text(c.w.set.Words.Text("computer.gone"), textBody, colQuiet)}
	}
	c.box.Refresh()
	c.page.Refresh()
}

func (c *computer) draw(x viewmodel.ComputerPage) []fyne.CanvasObject {
	p, words := c.w.paint, c.w.set.Words
	state := x.State
	if x.Detail != "" {
		state += " · " + x.Detail
	}
	stroke, body := colAccent, colTint
	if x.Dot != viewmodel.DotHere {
		stroke, body = colQuiet, colNone
	}
	title := column(4, newCut(p.bold(x.Name, textHead, colText)), row(6, 0, []float32{0, -1}, p.dot(x.Dot), sentence(p.text(state, textSmall, colQuiet))))
	out := []fyne.CanvasObject{row(16, 0, []float32{48, -1}, p.icon("desktop", 48, stroke, body), title), space(1, 4)}
	out = append(out, p.bold(words.Text("computer.shares"), textSmall, colQuiet))
	for _, o := range x.Offers {
		out = append(out, c.offer(o))
	}
	switch {
	case x.Loading:
		out = append(out, p.text(words.Text("browser.loading"), textBody, colQuiet))
	case x.Empty != "":
		out = append(out, inset(-6, -6, -8, -8, p.para(x.Empty, colQuiet, "")))
	}
	if x.Proof != "" {
		out = append(out, c.proof(x))
	}
	out = append(out, space(1, 8), p.bold(words.Text("computer.facts"), textSmall, colQuiet))
	facts := container.New(stack{gap: 8})
	for _, f := range []viewmodel.Fact{{Name: words.Text("computer.workgroup"), Value: x.Group}, {Name: words.Text("computer.address"), Value: x.Address},
		{Name: words.Text("computer.id"), Value: x.ID}} {
		if f.Value != "" {
			facts.Add(factLine(p, f, 110))
		}
	}
	return append(out, p.card(inset(14, 14, 16, 16, facts)), c.acts(x))
}

// proof says whether it is known who it is, and lets one find out.
func (c *computer) proof(x viewmodel.ComputerPage) fyne.CanvasObject {
	p, words, vm := c.w.paint, c.w.set.Words, c.w.set.Comparing
	icon := p.icon("info", 18, colQuiet, colNone)
	if x.Verified {
		icon = p.icon("check", 18, theme.ColorNameSuccess, colNone)
	}
	box := column(8, container.New(noticeLine{line{8, 0, []float32{18, -1}}}, icon, plain(p.para(x.Proof, colText, theme.SizeNameText))))
	switch {
	case x.Verified:
		box.Add(row(0, 26, []float32{0, -1}, button(words.Text("computer.unverify"), false, func() { vm.Unverify(x.Computer.ID) }), space(1, 1)))
	case x.Verify != "":
		box.Add(row(0, 26, []float32{0, -1}, button(x.Verify, false, func() { vm.Verify(x.Computer.ID) }), space(1, 1)))
	}
	return p.card(inset(10, 10, 16, 16, box))
}

// acts are what one can do with the computer itself.
func (c *computer) acts(x viewmodel.ComputerPage) fyne.CanvasObject {
	words := c.w.set.Words
	if x.Blocked {
		return row(0, 0, []float32{0, -1}, button(words.Text("computer.unblock"), true, func() { c.w.set.Neighbours.Unblock(x.Computer.ID) }), space(1, 1))
	}
	forget := button(words.Text("computer.forget"), false, func() { c.forget(x) })
	return row(8, 0, []float32{0, 0, -1}, forget, button(words.Text("computer.block"), false, func() { c.block(x) }), space(1, 1))
}

func (c *computer) block(x viewmodel.ComputerPage) {
	title, text := c.w.set.Neighbours.BlockQuestion(x.Name)
	c.w.ask(title, text, c.w.set.Words.Text("computer.block"), func() { c.w.set.Neighbours.Block(x.Computer.ID) })
}

func (c *computer) offer(o viewmodel.OfferRow) fyne.CanvasObject {
	p, words := c.w.paint, c.w.set.Words
	icon := p.thing(o.Icon, 28)
	colour := colText
	if o.Away {
		icon, colour = p.icon(o.Icon, 28, colQuiet, colNone), colQuiet
	}
	text := column(3, newCut(p.bold(o.Name, textBody, colour)), sentence(p.text(o.State, textSmall, colQuiet)))
	objects, widths := []fyne.CanvasObject{icon, text}, []float32{28, -1}
	var open func()
	if o.Openable {
		open = func() { c.w.set.Nav.Go(o.To) }
		objects = append(objects, button(words.Text("action.open"), false, open), button(words.Text("action.get"), false, func() { c.w.set.Neighbours.GetShare(o.To, "") }))
		widths = append(widths, 0, 0)
	}
	return p.card(c.w.press(inset(10, 10, 0, 0, row(12, 14, widths, objects...)), radiusCard, "", open))
}

func (c *computer) forget(x viewmodel.ComputerPage) {
	words := c.w.set.Words
	c.w.ask(words.Text("computer.forget.title", "Name", x.Name), words.Text("computer.forget.text"), words.Text("computer.forget"), func() {
		c.w.set.Neighbours.Forget(x.Computer.ID)
		c.w.set.Nav.Go(viewmodel.Place{Page: viewmodel.PageNeighbours})
	})
}
