//go:build !headless

package gui

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/theme"

	"porchlight/app/viewmodel"
)

// recoverySheet is the page of a recovery sheet.
type recoverySheet struct {
	w     *window
	box   *fyne.Container
	page  fyne.CanvasObject
	now   viewmodel.SheetPage
	drawn bool
	print string // folder of the page that was given to the browser; "" for none
}

func newSheet(w *window) *recoverySheet {
	s := &recoverySheet{w: w, box: container.New(stack{gap: 12})}
	s.page = scrollPage(24, 640, s.box)
	return s
}

func (s *recoverySheet) object() fyne.CanvasObject { return s.page }

func (s *recoverySheet) refresh() {
	x := s.w.set.Sheet.Page()
	if s.drawn && reflect.DeepEqual(x, s.now) {
		return
	}
	s.now, s.drawn = x, true
	s.box.Objects = s.draw(x)
	s.box.Refresh()
	s.page.Refresh()
}

func (s *recoverySheet) draw(x viewmodel.SheetPage) []fyne.CanvasObject {
	p, words, vm := s.w.paint, s.w.set.Words, s.w.set.Sheet
	out := []fyne.CanvasObject{newCut(p.bold(x.Title, textHead, colText)), plain(p.para(x.Text, colQuiet, theme.SizeNameText))}
	if x.Loading {
		return append(out, p.text(words.Text("sheet.loading"), textBody, colQuiet))
	}
	if x.Trouble != "" {
		out = append(out, plain(p.para(x.Trouble, theme.ColorNameError, theme.SizeNameText)))
	}
	if len(x.Groups) == 0 {
		return append(out, row(0, 0, []float32{0, -1}, button(words.Text("action.finish"), true, s.w.set.Nav.Up), space(1, 1)))
	}
	letters := container.New(newWrap(16))
	for _, g := range x.Groups {
		t := p.text(g, textHead, colText)
		t.TextStyle = fyne.TextStyle{Monospace: true, Bold: true}
		letters.Add(t)
	}
	later := button(words.Text("sheet.later"), false, vm.Later)
	have := button(words.Text("sheet.have"), false, func() {
		title, text := vm.SavedQuestion()
		s.w.ask(title, text, words.Text("sheet.have"), vm.Saved)
	})
	sheet := container.New(noticeLine{line{16, 16, []float32{-1, qrSmall}}}, letters, newQR(x.QR, qrSmall))
	out = append(out, p.card(inset(12, 12, 0, 0, sheet)),
		container.New(newWrap(8), button(words.Text("sheet.print"), true, s.toPrinter), button(words.Text("sheet.save"), true, s.save), have, later))
	for i, step := range x.Steps {
		number := p.bold(strconv.Itoa(i+1)+".", textBody, colAccent)
		out = append(out, container.New(noticeLine{line{8, 0, []float32{16, -1}}}, number, plain(p.para(step, colText, theme.SizeNameText))))
	}
	return out
}

// qrSmall is how large the picture of the letters is: 33 modules with their quiet zone at four pixels each.
const qrSmall = 132

// save lets one choose a file for the sheet, which only this user may read.
func (s *recoverySheet) save() {
	vm := s.w.set.Sheet
	d := dialog.NewFileSave(func(to fyne.URIWriteCloser, err error) {
		if err != nil || to == nil {
			return
		}
		vm.Written(to.URI().Path(), s.write(to))
	}, s.w.win)
	d.SetFileName(vm.FileName())
	d.SetConfirmText(s.w.set.Words.Text("action.save"))
	d.SetDismissText(s.w.set.Words.Text("action.cancel"))
	size := s.w.win.Canvas().Size()
	d.Resize(fyne.NewSize(min(size.Width-80, 760), min(size.Height-80, 520)))
	d.Show()
}

// write writes the sheet and closes the file.
func (s *recoverySheet) write(to fyne.URIWriteCloser) error {
	data, err := s.w.set.Sheet.Contents(to.URI().Name())
	if err == nil {
		_, err = to.Write(data)
	}
	if c := to.Close(); err == nil {
		err = c
	}
	if path := to.URI().Path(); err == nil && to.URI().Scheme() == "file" {
		err = os.Chmod(path, 0o600)
	}
	return err
}

// toPrinter gives the sheet to the browser, which can print on any system. The file is for this user only, and goes with the page.
func (s *recoverySheet) toPrinter() {
	s.w.set.Sheet.Printing(s.toBrowser())
}

func (s *recoverySheet) toBrowser() error {
	data, err := s.w.set.Sheet.Contents("sheet.html")
	if err != nil {
		return err
	}
	s.unprint()
	if s.print, err = os.MkdirTemp("", "porchlight-sheet-"); err != nil { // 0700
		return fmt.Errorf("folder for the page: %w", err)
	}
	file := filepath.Join(s.print, "sheet.html")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return fmt.Errorf("page to print: %w", err)
	}
	path := filepath.ToSlash(file)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/…
	}
	return s.w.app.OpenURL(&url.URL{Scheme: "file", Path: path})
}

// left takes away what was given to the browser, and what was on screen.
func (s *recoverySheet) left() {
	s.drawn, s.now, s.box.Objects = false, viewmodel.SheetPage{}, nil
	s.unprint()
}

func (s *recoverySheet) unprint() {
	if s.print != "" {
		if err := os.RemoveAll(s.print); err != nil {
			fyne.LogError("remove the page that was printed", err)
		}
		s.print = ""
	}
}
