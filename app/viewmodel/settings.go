package viewmodel

import (
	"context"
	"strings"
	"sync"

	"porchlight/assets"
	"porchlight/discovery"
	"porchlight/transfer"
)

// Choice is one of several ways a setting can be.
type Choice struct {
	Value  string
	Icon   string
	Name   string
	Text   string // what it means
	Chosen bool
}

// Settings shows and changes what the owner decided.
type Settings struct {
	core *core

	mu   sync.Mutex // guards the field below
	look Look
}

// Name returns the name of this computer.
func (s *Settings) Name() string { return s.core.now().self.Name }

// Workgroup returns the open workgroup.
func (s *Settings) Workgroup() string { return s.core.now().self.Workgroup }

// Downloads returns the folder pulls go to.
func (s *Settings) Downloads() string { return s.core.now().self.Downloads }

// Networks returns the kinds of networks.
func (s *Settings) Networks() []Choice {
	now := s.core.now().self.Network
	var out []Choice
	for _, n := range []struct {
		kind discovery.Network
		icon string
	}{{discovery.Home, "home"}, {discovery.Office, "office"}, {discovery.Public, "cup"}} {
		key := "network." + string(n.kind)
		out = append(out, Choice{string(n.kind), n.icon, s.core.words.Text(key), s.core.words.Text(key + ".text"), n.kind == now})
	}
	return out
}

// CheckName says in words what is wrong with a name, or "".
func (s *Settings) CheckName(name string) string {
	if discovery.CheckName(strings.TrimSpace(name)) != nil {
		return s.core.words.Text("error.name")
	}
	return ""
}

// SetName changes the name of this computer.
func (s *Settings) SetName(name string) {
	if name = strings.TrimSpace(name); name == s.Name() {
		return
	}
	s.core.ask(func(ctx context.Context, e Engine) error { return e.SetName(ctx, name) })
}

// SetWorkgroup changes the open workgroup.
func (s *Settings) SetWorkgroup(name string) {
	if name = strings.TrimSpace(name); name == s.Workgroup() {
		return
	}
	s.core.ask(func(ctx context.Context, e Engine) error { return e.SetWorkgroup(ctx, name) })
}

// SetNetwork says what kind of network this is.
func (s *Settings) SetNetwork(value string) {
	s.core.ask(func(ctx context.Context, e Engine) error { return e.SetNetwork(ctx, discovery.Network(value)) })
}

// SetDownloads changes the folder pulls go to.
func (s *Settings) SetDownloads(dir string) {
	s.core.ask(func(ctx context.Context, e Engine) error { return e.SetDownloads(ctx, dir) })
}

// ShowDownloads opens the folder pulls go to.
func (s *Settings) ShowDownloads() { s.core.open(s.Downloads()) }

// LimitFields are the limits as they are typed: millions of bytes per second, and times of day. Empty: none.
type LimitFields struct{ Down, Up, From, Until string }

// Limits returns the limits of transfers.
func (s *Settings) Limits() LimitFields {
	l := s.core.now().queue.Limits
	decimal := s.core.words.Text("format.decimal")
	f := LimitFields{Down: strings.Replace(transfer.LimitText(l.Down), ".", decimal, 1), Up: strings.Replace(transfer.LimitText(l.Up), ".", decimal, 1)}
	if l.Timed() {
		f.From, f.Until = transfer.ClockText(l.From), transfer.ClockText(l.Until)
	}
	return f
}

// CheckLimits says in words what is wrong with what was typed, or "".
func (s *Settings) CheckLimits(f LimitFields) string {
	for _, field := range []string{f.Down, f.Up} {
		if _, err := transfer.ParseLimit(field); err != nil {
			return s.core.words.Text("error.limit", "Least", s.core.fmt.Rate(transfer.MinLimit))
		}
	}
	for _, field := range []string{f.From, f.Until} {
		if _, err := transfer.ParseClock(field); err != nil {
			return s.core.words.Text("error.clock")
		}
	}
	return ""
}

// SetLimits changes the limits to what was typed, if CheckLimits finds nothing wrong with it.
func (s *Settings) SetLimits(f LimitFields) {
	if s.CheckLimits(f) != "" {
		return
	}
	var l transfer.Limits
	l.Down, _ = transfer.ParseLimit(f.Down)
	l.Up, _ = transfer.ParseLimit(f.Up)
	l.From, _ = transfer.ParseClock(f.From)
	l.Until, _ = transfer.ParseClock(f.Until)
	s.core.ask(func(ctx context.Context, e Engine) error { return e.SetLimits(ctx, l) })
}

// Look returns how the window looks.
func (s *Settings) Look() Look {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.look
}

// SetLook changes how the window looks. The language changes with the next start.
func (s *Settings) SetLook(l Look) {
	s.mu.Lock()
	before := s.look
	s.look = l
	s.mu.Unlock()
	if keep := s.core.cfg.KeepLook; keep != nil && l != before {
		s.core.ask(func(ctx context.Context, _ Engine) error { return keep(ctx, l) })
	}
	if l.Language != before.Language {
		s.core.note.say(Good, s.core.words.Text("settings.language.later"))
	}
	s.core.changed()
}

// Themes returns the ways the window can look.
func (s *Settings) Themes() []Choice {
	now := s.Look().Theme
	var out []Choice
	for _, t := range []string{"", "light", "dark"} {
		key := "theme." + t
		if t == "" {
			key = "theme.system"
		}
		out = append(out, Choice{Value: t, Name: s.core.words.Text(key), Chosen: t == now})
	}
	return out
}

// Languages returns the languages of the window, each in its own words.
func (s *Settings) Languages() []Choice {
	now := s.Look().Language
	out := []Choice{{Name: s.core.words.Text("settings.language.system"), Chosen: now == ""}}
	for _, l := range assets.Languages() {
		name := l
		if w, err := assets.Load(l); err == nil {
			name = w.Text("language")
		}
		out = append(out, Choice{Value: l, Name: name, Chosen: l == now})
	}
	return out
}

// Troubles names in words the services that do not work here.
func (s *Settings) Troubles() []string {
	var out []string
	for _, h := range s.core.now().self.Health {
		key := "health." + h.Service
		if !s.core.words.Has(key) {
			key = "health.other"
		}
		out = append(out, s.core.words.Text(key, "Service", h.Service, "Why", h.Trouble))
	}
	return out
}

// About returns the facts about this program and this computer.
func (s *Settings) About() []Fact {
	w, self := s.core.words, s.core.now().self
	facts := []Fact{{w.Text("about.version"), s.core.cfg.Version}, {w.Text("about.this"), self.Name}}
	if !self.ID.IsZero() {
		facts = append(facts, Fact{w.Text("about.id"), self.ID.String()})
	}
	if len(self.Addresses) > 0 {
		facts = append(facts, Fact{w.Text("about.address"), self.Addresses[0].String()})
	}
	return append(facts, Fact{w.Text("about.home"), self.Home})
}

// Never returns what the program never does, one sentence each.
func (s *Settings) Never() []string {
	return strings.Split(s.core.words.Text("about.never"), "\n")
}
