//go:build !headless

package gui

import (
	"reflect"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"porchlight/app/viewmodel"
	"porchlight/discovery/workgroup"
)

// workgroupPage is the page of one workgroup, the open one or a private one.
type workgroupPage struct {
	w     *window
	box   *fyne.Container
	page  fyne.CanvasObject
	now   viewmodel.WorkgroupPage
	known bool
	drawn bool
}

func newWorkgroup(w *window) *workgroupPage {
	g := &workgroupPage{w: w, box: container.New(stack{gap: 12})}
	g.page = scrollPage(24, 720, g.box)
	return g
}

func (g *workgroupPage) object() fyne.CanvasObject { return g.page }

func (g *workgroupPage) refresh() {
	x, known := g.w.set.Workgroups.Page(g.w.shown.Group)
	if g.drawn && known == g.known && reflect.DeepEqual(x, g.now) {
		return
	}
	g.now, g.known, g.drawn = x, known, true
	if known {
		g.box.Objects = g.draw(x)
	} else {
		g.box.Objects = []fyne.CanvasObject{g.w.paint.text(g.w.set.Words.Text("wg.gone"), textBody, colQuiet)}
	}
	g.box.Refresh()
	g.page.Refresh()
}

func (g *workgroupPage) draw(x viewmodel.WorkgroupPage) []fyne.CanvasObject {
	p, words := g.w.paint, g.w.set.Words
	icon := "people"
	if !x.Private {
		icon = "lamp"
	}
	head := row(16, 0, []float32{48, -1}, p.icon(icon, 48, colAccent, colTint), newCut(p.bold(x.Name, textHead, colText)))
	out := []fyne.CanvasObject{head, plain(p.para(x.Text, colQuiet, theme.SizeNameText))}
	if len(x.Pictures) > 0 {
		out = append(out, p.card(inset(10, 10, 14, 14, column(6, plain(p.para(words.Text("wg.twin", "Short", x.Short), colText, theme.SizeNameText)), g.w.pictures(x.Pictures, 28)))))
	}
	for _, n := range x.Notes {
		out = append(out, g.note(x.ID, n))
	}
	if len(x.Acts) > 0 {
		out = append(out, g.buttons(x.ID, x.Acts))
	}
	if len(x.Members) > 0 {
		out = append(out, space(1, 4), p.bold(words.Text("wg.members"), textSmall, colQuiet))
	}
	for _, m := range x.Members {
		out = append(out, g.member(x, m))
	}
	return out
}

// note is something to know, in a card with what can be done about it.
func (g *workgroupPage) note(id workgroup.ID, n viewmodel.GroupNote) fyne.CanvasObject {
	p := g.w.paint
	icon := p.icon("info", 20, colAccent, colNone)
	if n.Tone == viewmodel.Bad {
		icon = p.icon("careful", 20, theme.ColorNameWarning, colNone)
	}
	box := column(8, container.New(noticeLine{line{10, 0, []float32{20, -1}}}, icon, plain(p.para(n.Text, colText, theme.SizeNameText))))
	if len(n.Acts) > 0 {
		box.Add(inset(0, 0, 30, 0, g.buttons(id, n.Acts)))
	}
	return p.card(inset(10, 10, 14, 14, box))
}

func (g *workgroupPage) buttons(id workgroup.ID, acts []viewmodel.ActRow) fyne.CanvasObject {
	box := container.New(newWrap(8))
	for _, a := range acts {
		box.Add(button(a.Text, a.Main, func() { g.do(id, a.Do) }))
	}
	return box
}

// member is the card of one computer.
func (g *workgroupPage) member(x viewmodel.WorkgroupPage, m viewmodel.MemberRow) fyne.CanvasObject {
	p, words := g.w.paint, g.w.set.Words
	stroke, body := colAccent, colTint
	if m.Dot != viewmodel.DotHere {
		stroke, body = colQuiet, colNone
	}
	name := []fyne.CanvasObject{newCut(p.bold(m.Name, textBody, colText))}
	widths := []float32{-1}
	if m.Verified {
		name, widths = append(name, p.icon("check", 16, theme.ColorNameSuccess, colNone)), append(widths, 16)
	}
	if m.Role != "" {
		name, widths = append(name, p.badge(m.Role)), append(widths, 0)
	}
	text := column(3, row(6, 0, widths, name...), row(6, 0, []float32{0, -1}, p.dot(m.Dot), sentence(p.text(m.About, textSmall, colQuiet))))
	objects, sizes := []fyne.CanvasObject{p.icon("desktop", 28, stroke, body), text}, []float32{28, -1}
	if len(m.Acts) > 0 {
		var more *press
		more = g.w.tool("more", words.Text("wg.more", "Name", m.Name), func() { g.menu(more, x.ID, m) })
		objects, sizes = append(objects, more), append(sizes, 0)
	}
	var open func()
	if m.To.Page != "" {
		open = func() { g.w.set.Nav.Go(m.To) }
	}
	b := g.w.press(inset(10, 10, 0, 0, row(12, 14, sizes, objects...)), radiusCard, "", open)
	b.keys = map[fyne.KeyName]func(){}
	for _, a := range m.Acts {
		switch a.Do {
		case viewmodel.ActName:
			b.keys[fyne.KeyF2] = func() { g.with(x.ID, m, a.Do) }
		case viewmodel.ActRemove:
			b.keys[fyne.KeyDelete] = func() { g.with(x.ID, m, a.Do) }
		}
	}
	return p.card(b)
}

// menu lists what can be done with a member.
func (g *workgroupPage) menu(at fyne.CanvasObject, id workgroup.ID, m viewmodel.MemberRow) {
	var items []*fyne.MenuItem
	for _, a := range m.Acts {
		items = append(items, fyne.NewMenuItem(a.Text, func() { g.with(id, m, a.Do) }))
	}
	pos := fyne.CurrentApp().Driver().AbsolutePositionForObject(at).AddXY(0, at.Size().Height)
	widget.ShowPopUpMenuAtPosition(fyne.NewMenu("", items...), g.w.win.Canvas(), pos)
}

// do does what a button of the page stands for.
func (g *workgroupPage) do(id workgroup.ID, act viewmodel.GroupAct) {
	set, words := g.w.set, g.w.set.Words
	switch act {
	case viewmodel.ActInvite:
		set.Inviting.Start(id)
	case viewmodel.ActMakePrivate:
		g.w.found()
	case viewmodel.ActRename:
		g.w.rename(words.Text("wg.rename.title", "Name", g.now.Name), g.now.Name, func(name string) { set.Workgroups.Rename(id, name) })
	case viewmodel.ActLeave:
		title, text := set.Workgroups.LeaveQuestion(id)
		g.w.ask(title, text, words.Text("leave.yes"), func() { set.Workgroups.Leave(id) })
	case viewmodel.ActSheet:
		set.Nav.Go(viewmodel.Place{Page: viewmodel.PageSheet, Group: id})
	case viewmodel.ActRemind:
		set.Workgroups.RemindLater(id)
	case viewmodel.ActRecover:
		set.Nav.Go(viewmodel.Place{Page: viewmodel.PageRecover})
	case viewmodel.ActStartOver:
		set.Founding.AskOver(id, func(q viewmodel.OverQuestion) { g.w.later(func() { g.w.startOver(q) }) })
	case viewmodel.ActContest:
		title, text := set.Workgroups.ContestQuestion(id)
		g.w.ask(title, text, words.Text("contest.yes"), func() { set.Workgroups.Contest(id) })
	case viewmodel.ActForgetGroup:
		title, text := set.Workgroups.ForgetQuestion(id)
		g.w.ask(title, text, words.Text("forget.yes"), func() { set.Workgroups.Forget(id) })
	case viewmodel.ActOpen:
		set.Workgroups.SetOpen(true)
	case viewmodel.ActClose:
		title, text := set.Workgroups.CloseQuestion()
		g.w.ask(title, text, words.Text("leave.yes"), func() { set.Workgroups.SetOpen(false) })
	case viewmodel.ActJoin:
		set.Nav.Go(viewmodel.Place{Page: viewmodel.PageJoin})
	}
}

// with does what a line of a member's menu stands for.
func (g *workgroupPage) with(id workgroup.ID, m viewmodel.MemberRow, act viewmodel.GroupAct) {
	vm, words := g.w.set.Workgroups, g.w.set.Words
	switch act {
	case viewmodel.ActRemove:
		vm.AskRemove(id, m.ID, func(q viewmodel.RemoveQuestion) { g.w.later(func() { g.w.remove(q) }) })
	case viewmodel.ActName:
		g.w.rename(words.Text("wg.rename.title", "Name", m.Name), m.Name, func(name string) { vm.RenameMember(id, m.ID, name) })
	case viewmodel.ActAdmin, viewmodel.ActMember:
		admin := act == viewmodel.ActAdmin
		title, text := vm.AdminQuestion(m.Name, admin)
		g.w.ask(title, text, words.Text("action.change"), func() { vm.SetAdmin(id, m.ID, admin) })
	}
}
