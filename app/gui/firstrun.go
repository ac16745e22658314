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

// firstRun leads through the first steps, in the whole window.
type firstRun struct {
	w      *window
	object *fyne.Container
	drawn  bool
	step   viewmodel.Step
	name   *widget.Entry
	nets   *choices
	shares *fyne.Container
	rows   []viewmodel.ShareRow
}

func newFirstRun(w *window) *firstRun {
	f := &firstRun{w: w, object: container.NewStack()}
	f.object.Hide()
	return f
}

func (f *firstRun) refresh() {
	if step := f.w.set.FirstRun.Step(); !f.drawn || step != f.step {
		f.drawn, f.step = true, step
		f.draw()
	}
	switch f.step {
	case viewmodel.StepNetwork:
		if f.nets.refresh() {
			f.object.Refresh()
		}
	case viewmodel.StepShare:
		f.fillShares()
	}
}

func (f *firstRun) draw() {
	p, words, vm := f.w.paint, f.w.set.Words, f.w.set.FirstRun
	title, text, progress := vm.Title()
	next := words.Text("action.next")
	if vm.Last() {
		next = words.Text("action.finish")
	}
	on := button(next, true, f.next)
	back := button(words.Text("action.back"), false, vm.Back)
	skip := button(words.Text("action.skip"), false, vm.Finish)
	skip.Importance = widget.LowImportance
	if f.step == 0 {
		back.Disable()
	}
	head := column(4, container.NewCenter(p.icon("lamp", 56, colAccent, colTint)), space(1, 4), container.NewCenter(p.text(progress, textCaption, colQuiet)),
		centred(p, title, true), centred(p, text, false))
	foot := row(8, 0, []float32{0, -1, 0, 0}, skip, space(1, 1), back, on)
	all := container.New(stack{gap: 18}, head, f.body(), foot)
	card := p.card(inset(28, 20, 28, 28, all))
	f.object.Objects = []fyne.CanvasObject{p.box(theme.ColorNameBackground, 0), container.NewVScroll(container.New(amid{width: 520}, container.New(stack{}, card)))}
	f.object.Refresh()
	if f.name != nil && f.step == viewmodel.StepName {
		f.w.win.Canvas().Focus(f.name)
	}
}

// centred is a wrapping text in the middle.
func centred(p *paint, s string, head bool) fyne.CanvasObject {
	r := p.para(s, colQuiet, theme.SizeNameText)
	if head {
		r = p.para(s, colText, theme.SizeNameHeadingText)
		flush(r)
	}
	if x, ok := r.Segments[0].(*widget.TextSegment); ok {
		x.Style.Alignment = fyne.TextAlignCenter
	}
	return inset(-4, -4, 0, 0, r)
}

// body is what one does in this step.
func (f *firstRun) body() fyne.CanvasObject {
	w := f.w
	switch f.step {
	case viewmodel.StepName:
		f.name = widget.NewEntry()
		f.name.SetText(w.set.Settings.Name())
		f.name.OnSubmitted = func(string) { f.next() }
		return f.name
	case viewmodel.StepNetwork:
		f.nets = newChoices(w, 420, 52, w.set.Settings.Networks, w.set.Settings.SetNetwork)
		return f.nets.box
	}
	f.shares, f.rows = container.New(stack{gap: 6}), nil
	add := button(w.set.Words.Text("action.add-folder"), false, func() { w.chooseFolder(w.set.Shares.Add) })
	return column(8, f.shares, add)
}

func (f *firstRun) fillShares() {
	rows := f.w.set.Shares.Rows()
	if slices.Equal(rows, f.rows) {
		return
	}
	f.rows, f.shares.Objects = rows, nil
	p := f.w.paint
	for _, r := range rows {
		f.shares.Add(row(8, 0, []float32{20, 0, -1}, p.thing(r.Icon, 20), p.bold(r.Name, textBody, colText), newCut(p.text(r.Path, textSmall, colQuiet))))
	}
	f.object.Refresh()
}

func (f *firstRun) next() {
	if f.step == viewmodel.StepName && f.name != nil {
		if f.w.set.Settings.CheckName(f.name.Text) != "" {
			return // nothing typed, or nothing a name can be: the field keeps the focus
		}
		f.w.set.Settings.SetName(f.name.Text)
	}
	f.w.set.FirstRun.Next()
}
