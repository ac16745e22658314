package viewmodel

import (
	"context"
	"strings"
	"sync"

	"porchlight/discovery"
)

// NewNetwork is the card that asks whom a network belongs to, once for each.
type NewNetwork struct {
	core *core

	mu    sync.Mutex // guards the field below
	later string     // the network somebody wants to be asked about later
}

// Shown reports whether the card is to be seen.
func (n *NewNetwork) Shown() bool {
	s := n.core.now()
	n.mu.Lock()
	defer n.mu.Unlock()
	if !s.self.Ask {
		n.later = ""
		return false
	}
	return s.ready && !s.self.FirstRun && n.later != newPlace(s.self)
}

// Title returns the question, and what it is for.
func (n *NewNetwork) Title() (title, text string) {
	w := n.core.words
	return w.Text("first.network.title"), w.Text("network.new.text", "Where", newPlace(n.core.now().self))
}

// Later closes the card. This computer stays silent; the card comes back with another network, and with the next start.
func (n *NewNetwork) Later() {
	n.mu.Lock()
	n.later = newPlace(n.core.now().self)
	n.mu.Unlock()
	n.core.changed()
}

// newPlace says which network is new, as people see it in their system's settings.
func newPlace(self discovery.Self) string {
	var names []string
	for _, i := range self.Interfaces {
		if i.Used && i.Network == discovery.Unsaid && len(i.Addresses) > 0 {
			names = append(names, i.Name+", "+i.Addresses[0].String())
		}
	}
	return strings.Join(names, "; ")
}

// InterfaceRow is one way of this computer to a network.
type InterfaceRow struct {
	Name string
	Text string
	Used bool
}

// Interfaces returns the ways of this computer to networks, the used ones first.
func (s *Settings) Interfaces() []InterfaceRow {
	w := s.core.words
	var out []InterfaceRow
	for _, i := range s.core.now().self.Interfaces {
		var parts []string
		if len(i.Addresses) > 0 {
			parts = append(parts, i.Addresses[0].String())
		}
		switch {
		case i.Used && i.Network != discovery.Unsaid:
			parts = append(parts, w.Text("network."+string(i.Network)))
		case !i.Used && !i.Chosen:
			parts = append(parts, w.Text("interface.tunnel"))
		}
		out = append(out, InterfaceRow{i.Name, strings.Join(parts, ", "), i.Used})
	}
	return out
}

// SetInterface has neighbours looked for behind an interface, or not.
func (s *Settings) SetInterface(name string, use bool) {
	s.core.ask(func(ctx context.Context, e Engine) error { return e.SetInterface(ctx, name, use) })
}
