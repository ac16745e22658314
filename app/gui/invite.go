//go:build !headless

package gui

import (
	"reflect"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"

	"porchlight/app/viewmodel"
	"porchlight/discovery/workgroup"
)

// qrSide is how large a picture for a camera is on screen: 53 modules with their quiet zone at four pixels each.
const qrSide = 212

// invite is the page that shows the digits of an invitation.
type invite struct {
	w     *window
	box   *fyne.Container
	page  fyne.CanvasObject
	facts *cut
	now   viewmodel.InvitePage
	of    workgroup.ID
	drawn bool
}

func newInvite(w *window) *invite {
	v := &invite{w: w, box: container.New(stack{gap: 12})}
	v.page = scrollPage(24, 640, v.box)
	return v
}

func (v *invite) object() fyne.CanvasObject { return v.page }

func (v *invite) refresh() {
	id := v.w.shown.Group
	x := v.w.set.Inviting.Page(id)
	facts := x.Facts
	x.Facts = ""
	if v.drawn && v.of == id && reflect.DeepEqual(x, v.now) {
		v.facts.set(facts) // the time goes on in place
		return
	}
	v.now, v.of, v.drawn = x, id, true
	p := v.w.paint
	v.facts = sentence(p.text(facts, textBody, colQuiet))
	v.box.Objects = v.draw(id, x)
	v.box.Refresh()
	v.page.Refresh()
}

func (v *invite) draw(id workgroup.ID, x viewmodel.InvitePage) []fyne.CanvasObject {
	p, words, vm := v.w.paint, v.w.set.Words, v.w.set.Inviting
	out := []fyne.CanvasObject{newCut(p.bold(x.Title, textHead, colText)), plain(p.para(x.Text, colQuiet, theme.SizeNameText))}
	if x.Digits != "" {
		out = append(out, p.bold(x.Digits, textDigits, colText), v.facts)
	}
	if x.QR.Size() > 0 {
		out = append(out, plain(p.para(words.Text("invite.qr"), colQuiet, theme.SizeNameText)), row(0, 0, []float32{0, -1}, newQR(x.QR, qrSide), space(1, 1)))
	}
	buttons := container.New(newWrap(8))
	if x.Again != "" {
		buttons.Add(button(x.Again, !x.Done, func() { vm.Again(id) }))
	}
	if x.QR.Size() > 0 {
		buttons.Add(button(words.Text("invite.copy"), false, func() {
			v.w.app.Clipboard().SetContent(x.QR.Text())
			vm.Copied()
		}))
	}
	if x.Digits != "" {
		buttons.Add(button(words.Text("invite.stop"), false, func() { vm.End(id) }))
	} else {
		buttons.Add(button(words.Text("action.finish"), x.Done, func() { vm.End(id) }))
	}
	return append(out, buttons)
}
