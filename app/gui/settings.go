//go:build !headless

package gui

import (
	"reflect"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"porchlight/app/viewmodel"
	"porchlight/assets"
)

// settings is the page of what the owner decides.
type settings struct {
	w         *window
	whole     fyne.CanvasObject
	name      *nameField
	workgroup *nameField
	networks  *choices
	ways      *interfaces
	desk      *switches
	downloads *cut
	limits    *limitFields
	troubles  *fyne.Container
	said      []string
}

func newSettings(w *window) *settings {
	p, words, vm := w.paint, w.set.Words, w.set.Settings
	s := &settings{w: w, downloads: newCut(p.text("", textBody, colText)), troubles: container.New(stack{gap: 4})}
	s.name, s.workgroup = newNameField(w, vm.Name, vm.SetName), newNameField(w, vm.Workgroup, vm.SetWorkgroup)
	s.networks = newChoices(w, 150, 62, vm.Networks, vm.SetNetwork)
	s.ways, s.desk, s.limits = newInterfaces(w), newSwitches(w), newLimitFields(w)
	downloads := p.card(inset(6, 6, 12, 8, row(8, 0, []float32{20, -1, 0, 0}, p.thing("folder", 20), s.downloads,
		button(words.Text("action.show-folder"), false, vm.ShowDownloads),
		button(words.Text("action.choose"), false, func() { w.chooseFolder(vm.SetDownloads) }))))
	look := func(change func(*viewmodel.Look, string)) func(string) {
		return func(v string) {
			l := vm.Look()
			change(&l, v)
			vm.SetLook(l)
		}
	}
	themes := newSelect(vm.Themes(), look(func(l *viewmodel.Look, v string) { l.Theme = v }))
	langs := newSelect(vm.Languages(), look(func(l *viewmodel.Look, v string) { l.Language = v }))
	content := column(20,
		p.bold(words.Text("page.settings"), textHead, colText),
		s.section("settings.name", s.name.object), s.section("settings.workgroup", s.workgroup.object),
		s.section("settings.network", s.networks.box), s.section("settings.interfaces", s.ways.box), s.section("settings.downloads", downloads),
		s.section("settings.limits", s.limits.object), s.section("settings.desk", s.desk.box),
		container.NewGridWithColumns(2, s.section("settings.theme", themes), s.section("settings.language", langs)),
		s.troubles)
	s.whole = scrollPage(24, 600, content)
	return s
}

// section is a head, a quiet line where there is one to say, and what one can change.
func (s *settings) section(key string, o fyne.CanvasObject) fyne.CanvasObject {
	p, words := s.w.paint, s.w.set.Words
	box := column(6, p.bold(words.Text(key), textBody, colText))
	if words.Has(key + ".text") {
		box.Add(sentence(p.text(words.Text(key+".text"), textSmall, colQuiet)))
	}
	box.Add(o)
	return box
}

func (s *settings) object() fyne.CanvasObject { return s.whole }

func (s *settings) refresh() {
	s.name.refresh()
	s.workgroup.refresh()
	s.limits.refresh()
	networks, ways, desk := s.networks.refresh(), s.ways.refresh(), s.desk.refresh()
	if networks || ways || desk {
		s.whole.Refresh()
	}
	s.downloads.set(s.w.set.Settings.Downloads())
	said := s.w.set.Settings.Troubles()
	if slices.Equal(said, s.said) {
		return
	}
	s.said = said
	s.troubles.Objects = nil
	if len(said) > 0 {
		s.troubles.Add(s.w.paint.bold(s.w.set.Words.Text("settings.troubles"), textBody, colText))
	}
	for _, t := range said {
		s.troubles.Add(inset(-6, -6, -8, -8, s.w.paint.para(t, theme.ColorNameWarning, theme.SizeNameText)))
	}
	s.whole.Refresh()
}

// nameField changes a name: what is typed counts when it is saved.
type nameField struct {
	w      *window
	object fyne.CanvasObject
	entry  *widget.Entry
	save   *widget.Button
	wrong  *cut
	now    func() string
	known  string
}

func newNameField(w *window, now func() string, set func(string)) *nameField {
	f := &nameField{w: w, now: now, entry: widget.NewEntry(), wrong: sentence(w.paint.text("", textSmall, theme.ColorNameError))}
	save := func() {
		if w.set.Settings.CheckName(f.entry.Text) == "" {
			set(f.entry.Text)
			f.save.Disable()
		}
	}
	f.save = button(w.set.Words.Text("action.save"), false, save)
	f.save.Disable()
	f.entry.OnSubmitted = func(string) { save() }
	f.entry.OnChanged = func(s string) {
		why := w.set.Settings.CheckName(s)
		f.wrong.set(why)
		shown(f.wrong, why != "")
		if why == "" && s != f.now() {
			f.save.Enable()
		} else {
			f.save.Disable()
		}
	}
	f.wrong.Hide()
	f.object = column(4, row(8, 0, []float32{-1, 0}, f.entry, f.save), f.wrong)
	return f
}

// refresh follows the engine, but not under somebody's fingers.
func (f *nameField) refresh() {
	if now := f.now(); now != f.known {
		untouched := f.entry.Text == f.known
		f.known = now
		if untouched {
			f.entry.SetText(now)
		}
	}
}

// choices shows a few ways side by side, of which one is chosen.
type choices struct {
	w     *window
	box   *fyne.Container
	now   func() []viewmodel.Choice
	set   func(string)
	drawn []viewmodel.Choice
}

func newChoices(w *window, width, height float32, now func() []viewmodel.Choice, set func(string)) *choices {
	return &choices{w: w, box: container.New(newFlow(width, height, 8)), now: now, set: set}
}

// refresh reports whether it drew anew, so that what is around it finds its place.
func (c *choices) refresh() bool {
	now := c.now()
	if reflect.DeepEqual(now, c.drawn) {
		return false
	}
	c.drawn = now
	p := c.w.paint
	c.box.Objects = nil
	for _, x := range now {
		fill, edge, stroke := colRaised, theme.ColorNameInputBorder, colQuiet
		if x.Chosen {
			fill, edge, stroke = colTint, theme.ColorNamePrimary, colAccent
		}
		ground := p.box(fill, radiusCard)
		ground.StrokeColor, ground.StrokeWidth = p.colour(edge), 1
		text := column(2, newCut(p.bold(x.Name, textBody, colText)), sentence(p.text(x.Text, textCaption, colQuiet)))
		c.box.Add(c.w.press(container.NewStack(ground, row(10, 12, []float32{22, -1}, p.icon(x.Icon, 22, stroke, colNone), text)), radiusCard, x.Text, func() { c.set(x.Value) }))
	}
	c.box.Refresh()
	return true
}

// newSelect is a list to choose one way from.
func newSelect(ways []viewmodel.Choice, set func(string)) *widget.Select {
	var names []string
	for _, x := range ways {
		names = append(names, x.Name)
	}
	s := widget.NewSelect(names, nil)
	for i, x := range ways {
		if x.Chosen {
			s.SetSelectedIndex(i)
		}
	}
	s.OnChanged = func(string) {
		if i := s.SelectedIndex(); i >= 0 {
			set(ways[i].Value)
		}
	}
	return s
}

// about is the page about the program.
type about struct {
	w     *window
	whole fyne.CanvasObject
	facts *fyne.Container
	drawn []viewmodel.Fact
}

func newAbout(w *window) *about {
	p, words := w.paint, w.set.Words
	a := &about{w: w, facts: container.New(stack{gap: 8})}
	head := row(16, 0, []float32{56, -1}, p.icon("lamp", 56, colAccent, colTint), column(4, p.bold(words.Text("app.name"), textHead, colText),
		inset(-6, -6, -8, -8, p.para(words.Text("about.text"), colQuiet, theme.SizeNameText))))
	never := column(8)
	for _, s := range w.set.Settings.Never() {
		never.Add(container.New(noticeLine{line{8, 0, []float32{16, -1}}}, p.icon("check", 16, theme.ColorNameSuccess, colNone),
			inset(-6, -6, -8, -8, p.para(s, colText, theme.SizeNameText))))
	}
	a.whole = scrollPage(24, 640, column(16, head, p.card(inset(14, 14, 16, 16, a.facts)), p.bold(words.Text("about.never.title"), textBody, colText), never,
		inset(-6, -6, -8, -8, p.para(words.Text("about.licence"), colQuiet, theme.SizeNameCaptionText)),
		row(0, 0, []float32{0, -1}, button(words.Text("about.font"), false, func() { w.showText(words.Text("about.font"), assets.FontLicence()) }), space(1, 1))))
	return a
}

func (a *about) object() fyne.CanvasObject { return a.whole }

func (a *about) refresh() {
	facts := a.w.set.Settings.About()
	if slices.Equal(facts, a.drawn) {
		return
	}
	a.drawn = facts
	a.facts.Objects = nil
	for _, f := range facts {
		a.facts.Add(factLine(a.w.paint, f, 130))
	}
	a.whole.Refresh()
}
