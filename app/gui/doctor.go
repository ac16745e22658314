//go:build !headless

package gui

import (
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"porchlight/app/doctor"
	"porchlight/app/viewmodel"
)

// doctorPage says why somebody is missing.
type doctorPage struct {
	w       *window
	whole   fyne.CanvasObject
	summary *cut
	again   *widget.Button
	copy    *widget.Button
	box     *fyne.Container
	rows    []viewmodel.DoctorRow
}

func newDoctor(w *window) *doctorPage {
	p, words, vm := w.paint, w.set.Words, w.set.Doctor
	d := &doctorPage{w: w, box: container.New(stack{gap: 8}), summary: sentence(p.text("", textBody, colQuiet))}
	d.again = button(words.Text("doctor.again"), true, vm.Check)
	d.copy = button(words.Text("doctor.copy"), false, func() { d.clip(vm.Report()) })
	head := column(12, p.bold(words.Text("page.doctor"), textHead, colText), row(8, 0, []float32{-1, 0, 0}, d.summary, d.copy, d.again))
	d.whole = scrollPage(24, 720, column(16, head, d.box))
	return d
}

// clip puts a text where it can be pasted.
func (d *doctorPage) clip(text string) {
	d.w.app.Clipboard().SetContent(text)
	d.w.set.Doctor.Copied()
}

func (d *doctorPage) object() fyne.CanvasObject { return d.whole }

func (d *doctorPage) refresh() {
	vm := d.w.set.Doctor
	d.summary.set(vm.Summary())
	rows, busy := vm.Rows(), vm.Busy()
	enable(d.again, !busy)
	enable(d.copy, !busy && len(rows) > 0)
	if slices.Equal(rows, d.rows) {
		return
	}
	d.rows = rows
	d.box.Objects = nil
	for _, r := range rows {
		d.box.Add(d.card(r))
	}
	d.box.Refresh()
	d.whole.Refresh()
}

func enable(b *widget.Button, on bool) {
	switch {
	case on && b.Disabled():
		b.Enable()
	case !on && !b.Disabled():
		b.Disable()
	}
}

// makeNew asks once, and has it done.
func (d *doctorPage) makeNew(r viewmodel.Remedy) {
	d.w.ask(r.Title, r.Text, r.Label, d.w.set.Doctor.MakeNew)
}

// card shows one check: what it found, what to do, and the commands that do it.
func (d *doctorPage) card(r viewmodel.DoctorRow) fyne.CanvasObject {
	p, words := d.w.paint, d.w.set.Words
	colour := theme.ColorNameSuccess
	switch r.Level {
	case doctor.Trouble:
		colour = theme.ColorNameError
	case doctor.Hint:
		colour = theme.ColorNameWarning
	}
	tight := func(o fyne.CanvasObject) fyne.CanvasObject { return inset(-6, -6, -8, -8, o) }
	text := column(4, tight(p.para(r.Text, colText, theme.SizeNameText)))
	if r.Do != "" {
		text.Add(tight(p.para(r.Do, colQuiet, theme.SizeNameText)))
	}
	if r.Self.Label != "" {
		act := button(r.Self.Label, true, func() { d.makeNew(r.Self) })
		text.Add(row(0, 0, []float32{0, -1}, act, space(1, 1)))
	} else if r.Fix != "" {
		text.Add(tight(p.para(words.Text("doctor.fix"), colQuiet, theme.SizeNameCaptionText)))
		commands := p.para(r.Fix, colText, theme.SizeNameCaptionText)
		if s, ok := commands.Segments[0].(*widget.TextSegment); ok {
			s.Style.TextStyle = fyne.TextStyle{Monospace: true}
		}
		text.Add(tight(commands))
		if r.Note != "" {
			text.Add(tight(p.para(r.Note, colQuiet, theme.SizeNameCaptionText)))
		}
		text.Add(row(0, 0, []float32{0, -1}, button(words.Text("doctor.fix.copy"), false, func() { d.clip(r.Fix) }), space(1, 1)))
	}
	return p.card(inset(10, 10, 14, 14, container.New(noticeLine{line{12, 0, []float32{18, -1}}}, p.icon(r.Icon, 18, colour, colNone), text)))
}
