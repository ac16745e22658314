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

// recoverPage leads from the letters of a recovery sheet back into a workgroup.
type recoverPage struct {
	w       *window
	box     *fyne.Container
	page    fyne.CanvasObject
	letters *widget.Entry
	now     viewmodel.RecoverPage
	drawn   bool
}

func newRecover(w *window) *recoverPage {
	r := &recoverPage{w: w, box: container.New(stack{gap: 12}), letters: widget.NewEntry()}
	r.letters.TextStyle.Monospace = true
	r.letters.SetPlaceHolder(w.set.Words.Text("recover.letters.hint"))
	r.letters.OnSubmitted = func(s string) { w.set.Recovering.Letters(s) }
	r.page = scrollPage(24, 640, r.box)
	return r
}

func (r *recoverPage) object() fyne.CanvasObject { return r.page }

// entered gives the field the keyboard.
func (r *recoverPage) entered() {
	r.refresh() // it is not on the page before
	r.w.win.Canvas().Focus(r.letters)
}

// left empties the field: nobody's letters stay on screen.
func (r *recoverPage) left() { r.letters.SetText("") }

func (r *recoverPage) refresh() {
	x := r.w.set.Recovering.Page()
	if r.drawn && reflect.DeepEqual(x, r.now) {
		return
	}
	r.now, r.drawn = x, true
	r.box.Objects = r.draw(x)
	r.box.Refresh()
	r.page.Refresh()
}

func (r *recoverPage) draw(x viewmodel.RecoverPage) []fyne.CanvasObject {
	p, words, vm := r.w.paint, r.w.set.Words, r.w.set.Recovering
	out := []fyne.CanvasObject{newCut(p.bold(x.Title, textHead, colText)), plain(p.para(x.Text, colQuiet, theme.SizeNameText))}
	next, label := func() {}, words.Text("action.next")
	switch x.Step {
	case viewmodel.RecoverLetters:
		out = append(out, r.letters)
		next = func() { vm.Letters(r.letters.Text) }
	case viewmodel.RecoverMoment:
		for i, m := range x.Moments {
			out = append(out, r.moment(i, m))
		}
		next = vm.Next
	case viewmodel.RecoverWho:
		for _, m := range x.Members {
			out = append(out, ticked(r.w, m.Name, m.About, m.Chosen, func(on bool) { vm.Mark(m.ID, on) }))
		}
		next, label = vm.Finish, words.Text("recover.finish")
	}
	if x.Busy {
		out = append(out, p.text(words.Text("recover.busy"), textBody, colQuiet))
	}
	if x.Trouble != "" {
		out = append(out, plain(p.para(x.Trouble, theme.ColorNameError, theme.SizeNameText)))
	}
	on, back := button(label, true, next), button(words.Text("action.back"), false, vm.Back)
	able(on, !x.Busy)
	able(back, !x.Busy && x.Step != viewmodel.RecoverLetters)
	return append(out, row(8, 0, []float32{0, 0, -1}, back, on, space(1, 1)))
}

// moment is one state to go back to.
func (r *recoverPage) moment(i int, m viewmodel.Choice) fyne.CanvasObject {
	p := r.w.paint
	fill, edge := colRaised, theme.ColorNameSeparator
	if m.Chosen {
		fill, edge = colTint, theme.ColorNamePrimary
	}
	ground := p.box(fill, radiusCard)
	ground.StrokeColor, ground.StrokeWidth = p.colour(edge), 1
	text := column(2, newCut(p.bold(m.Name, textBody, colText)), sentence(p.text(m.Text, textSmall, colQuiet)))
	return r.w.press(container.NewStack(ground, inset(8, 8, 14, 14, text)), radiusCard, m.Text, func() { r.w.set.Recovering.Choose(i) })
}
