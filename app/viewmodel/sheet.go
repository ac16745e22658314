package viewmodel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"strings"
	"sync"

	"porchlight/discovery/workgroup"
)

// SheetPage is what the page of a recovery sheet shows.
type SheetPage struct {
	Title  string
	Text   string
	Groups []string // the letters, as they are read aloud
	QR     QR
	Steps  []string // what to do with it
	Loading,
	Saved bool // the letters are on no computer any more
	Trouble string
}

// Sheet shows the recovery sheet of a workgroup until somebody has it on paper. The letters leave the memory with the page.
type Sheet struct {
	core *core
	nav  *Navigation

	mu      sync.Mutex // guards the fields below
	of      workgroup.ID
	code    string
	saved   bool
	trouble string
}

// open fetches the letters.
func (s *Sheet) open(id workgroup.ID) {
	s.mu.Lock()
	s.of, s.code, s.saved, s.trouble = id, "", false, ""
	s.mu.Unlock()
	s.core.work.do(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		code, err := s.core.eng().RecoveryCode(ctx, id)
		s.mu.Lock()
		if s.of == id {
			s.code, s.saved = code, errors.Is(err, workgroup.ErrErased)
			if err != nil && !s.saved {
				s.trouble = s.core.errorWords(err)
			}
		}
		s.mu.Unlock()
		s.core.changed()
	})
}

// close forgets the letters.
func (s *Sheet) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of, s.code, s.saved, s.trouble = workgroup.ID{}, "", false, ""
}

// Page returns what the page shows.
func (s *Sheet) Page() SheetPage {
	s.mu.Lock()
	id, code, saved, trouble := s.of, s.code, s.saved, s.trouble
	s.mu.Unlock()
	w := s.core.words
	p := SheetPage{Title: w.Text("sheet.title", "Name", s.core.groupName(id)), Text: w.Text("sheet.text"), Saved: saved, Trouble: trouble, Loading: code == "" && !saved && trouble == ""}
	if saved {
		p.Text = w.Text("sheet.saved")
	}
	if code != "" {
		p.Groups, p.QR = strings.Split(code, "-"), newQR(code)
		p.Steps = strings.Split(w.Text("sheet.steps"), "\n")
	}
	return p
}

// FileName is what the file of the sheet is called unless somebody chooses otherwise.
func (s *Sheet) FileName() string {
	s.mu.Lock()
	name := s.core.groupName(s.of)
	s.mu.Unlock()
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, name)
	return s.core.words.Text("sheet.file", "Name", name) + ".html"
}

// Contents is the sheet as a file: a page to print with the picture, or, if the name ends in .txt, plain text.
func (s *Sheet) Contents(name string) ([]byte, error) {
	p := s.Page()
	if len(p.Groups) == 0 {
		return nil, workgroup.ErrErased
	}
	if strings.HasSuffix(strings.ToLower(name), ".txt") {
		return []byte(p.Title + "\n\n" + strings.Join(p.Groups, "-") + "\n\n" + p.Text + "\n\n" + strings.Join(p.Steps, "\n") + "\n"), nil
	}
	t, err := template.New("sheet").Parse(sheetPage)
	if err != nil {
		return nil, fmt.Errorf("recovery sheet: %w", err)
	}
	var b bytes.Buffer
	err = t.Execute(&b, struct {
		SheetPage
		Lang, When string
		Picture    template.HTML
	}{p, s.core.words.Lang(), s.core.words.Text("sheet.made", "When", s.core.fmt.Date(s.core.cfg.Now())), template.HTML(p.QR.svg())}) //nolint:gosec // drawn here, from letters
	if err != nil {
		return nil, fmt.Errorf("recovery sheet: %w", err)
	}
	return b.Bytes(), nil
}

// sheetPage prints on one sheet of A4 or Letter, in black.
const sheetPage = `<!doctype html>
<html lang="{{.Lang}}"><meta charset="utf-8"><title>{{.Title}}</title>
<style>body{font:12pt/1.5 sans-serif;color:#000;background:#fff;max-width:17cm;margin:1.5cm auto}h1{font-size:20pt}
.letters{font:bold 22pt/1.6 monospace;letter-spacing:.12em}svg{width:6cm;height:6cm;margin:.5cm 0}small{color:#444}</style>
<h1>{{.Title}}</h1><p>{{.Text}}</p>
<p class="letters">{{range $i, $g := .Groups}}{{if $i}}-<wbr>{{end}}{{$g}}{{end}}</p>
{{.Picture}}
<ol>{{range .Steps}}<li>{{.}}</li>{{end}}</ol>
<p><small>{{.When}}</small></p>
</html>
`

// SavedQuestion asks before Saved.
func (s *Sheet) SavedQuestion() (title, text string) {
	return s.core.words.Text("sheet.sure.title"), s.core.words.Text("sheet.sure.text")
}

// Saved says that somebody has the sheet: the letters are erased from this computer.
func (s *Sheet) Saved() { s.end(Engine.RecoverySaved, "sheet.done") }

// Later leaves the page; the reminder comes in a week.
func (s *Sheet) Later() { s.end(Engine.RemindLater, "") }

func (s *Sheet) end(do func(Engine, context.Context, workgroup.ID) error, said string) {
	s.mu.Lock()
	id := s.of
	s.mu.Unlock()
	s.core.ask(func(ctx context.Context, e Engine) error {
		if err := do(e, ctx, id); err != nil && !errors.Is(err, workgroup.ErrErased) {
			return err
		}
		if said != "" {
			s.core.note.say(Good, s.core.words.Text(said))
		}
		return nil
	})
	s.nav.Go(Place{Page: PageWorkgroup, Group: id})
}

// Written says that the sheet is in a file, or why it is not.
func (s *Sheet) Written(path string, err error) {
	if err != nil {
		s.core.note.say(Bad, s.core.words.Text("sheet.not-written", "Why", s.core.errorWords(err)))
		return
	}
	s.core.note.say(Good, s.core.words.Text("sheet.written", "Path", path))
}

// Printing says how to go on at the printer, or why it cannot be.
func (s *Sheet) Printing(err error) {
	if err != nil {
		s.Written("", err)
		return
	}
	s.core.note.say(Good, s.core.words.Text("sheet.printing"))
}
