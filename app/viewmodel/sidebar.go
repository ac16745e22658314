package viewmodel

import (
	"porchlight/transfer"
)

// SideKind says how an item of the sidebar is drawn.
type SideKind string

// The kinds of items.
const (
	SideHead SideKind = "head" // name of a section; it leads to the page of its workgroup if To is one
	SideItem SideKind = "item"
	SideNote SideKind = "note" // a quiet line of words
)

// Side is one line of the sidebar. It is comparable, so a view can tell what changed.
type Side struct {
	Kind     SideKind
	Indent   int
	Icon     string
	Name     string
	Dot      Dot    // "" for none
	Tick     bool   // people compared its pictures or digits
	Count    string // "" for none
	Selected bool
	Quiet    bool // away, or cannot be opened
	To       Place
}

// Sidebar lists where one can go.
type Sidebar struct {
	core *core
	nav  *Navigation
	hood *Neighbourhood
}

// Items returns the lines from top to bottom.
func (s *Sidebar) Items() []Side {
	at := s.nav.Place()
	words := s.core.words
	items := []Side{{Kind: SideItem, Icon: "home", Name: words.Text("page.neighbours"), To: Place{Page: PageNeighbours}, Selected: at.Page == PageNeighbours}}
	for _, g := range s.hood.Groups() {
		items = append(items, Side{Kind: SideHead, Name: g.Name, To: g.To, Selected: g.To != Place{} && inGroup(at) && at.Group == g.To.Group})
		for _, c := range g.Computers {
			items = append(items, s.computer(c, at)...)
		}
		switch {
		case g.Note != "":
			items = append(items, Side{Kind: SideNote, Name: g.Note})
		case len(g.Computers) == 0:
			items = append(items, Side{Kind: SideNote, Name: words.Text("sidebar.nobody")})
		}
	}
	items = append(items,
		Side{Kind: SideItem, Icon: "join", Name: words.Text("page.join"), To: Place{Page: PageJoin}, Selected: at.Page == PageJoin || at.Page == PageRecover},
		Side{Kind: SideHead, Name: words.Text("sidebar.this")},
		Side{Kind: SideItem, Icon: "shares", Name: words.Text("page.shares"), To: Place{Page: PageShares}, Selected: at.Page == PageShares},
		Side{Kind: SideItem, Icon: "arrows", Name: words.Text("page.transfers"), To: Place{Page: PageTransfers}, Selected: at.Page == PageTransfers, Count: s.active()},
	)
	return items
}

// inGroup reports whether a place belongs to a workgroup.
func inGroup(p Place) bool {
	return p.Page == PageWorkgroup || p.Page == PageInvite || p.Page == PageSheet
}

// computer returns the line of a computer and, when it is the one on screen, those of its shares.
func (s *Sidebar) computer(c Computer, at Place) []Side {
	open := (at.Page == PageComputer || at.Page == PageFolder) && at.Device == c.ID
	items := []Side{{Kind: SideItem, Icon: "desktop", Name: c.Name, Dot: c.Dot, Tick: c.Verified, Quiet: c.Dot == DotAway || c.Dot == DotUnproven || c.Dot == DotBlocked,
		Selected: open && at.Page == PageComputer, To: Place{Page: PageComputer, Device: c.ID}}}
	if !c.Openable {
		items[0].To = Place{Page: PageNeighbours}
	}
	if !open || c.Dot == DotBlocked {
		return items
	}
	for _, o := range s.hood.rows(c.ID, s.core.offersOf(c.ID).list, c.Dot) {
		items = append(items, Side{Kind: SideItem, Indent: 1, Icon: o.Icon, Name: o.Name, Quiet: o.Away, To: o.To,
			Selected: at.Page == PageFolder && at.Share == o.To.Share})
	}
	return items
}

// active counts the transfers that are not over.
func (s *Sidebar) active() string {
	n := 0
	for _, j := range s.core.now().jobs {
		if !j.State.Ended() || j.State == transfer.Failed {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return s.core.fmt.Count(n)
}
