package viewmodel

import (
	"context"
	"sync"

	"porchlight/discovery"
	"porchlight/discovery/workgroup"
	"porchlight/share"
)

// Page is one screen.
type Page string

// The pages.
const (
	PageNeighbours Page = "neighbours"
	PageComputer   Page = "computer"
	PageFolder     Page = "folder"
	PageShares     Page = "shares"
	PageTransfers  Page = "transfers"
	PageSettings   Page = "settings"
	PageAbout      Page = "about"
	PageDoctor     Page = "doctor"
	PageFirst      Page = "first"
	PageWorkgroup  Page = "workgroup"
	PageInvite     Page = "invite"
	PageSheet      Page = "sheet"
	PageJoin       Page = "join"
	PageRecover    Page = "recover"
)

// Place is where one can go. It is comparable.
type Place struct {
	Page   Page
	Device discovery.DeviceID // of PageComputer and PageFolder
	Share  share.ID           // of PageFolder
	Path   share.Path         // of PageFolder
	Group  workgroup.ID       // of PageWorkgroup, PageInvite and PageSheet; zero for the open one
}

// Crumb is one part of the path bar.
type Crumb struct {
	Text string
	To   Place
}

// Navigation knows where the person is and was.
type Navigation struct {
	core   *core
	arrive func(Place)

	mu   sync.Mutex // guards the fields below
	at   Place
	back []Place
	fwd  []Place
}

// maxHistory bounds the way back.
const maxHistory = 100

func newNavigation(c *core) *Navigation {
	return &Navigation{core: c, at: Place{Page: PageNeighbours}}
}

// Place returns where the person is. While the first steps are not done, that is PageFirst.
func (n *Navigation) Place() Place {
	if s := n.core.now(); s.ready && s.self.FirstRun {
		return Place{Page: PageFirst}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.at
}

// Go goes to p and remembers the way back.
func (n *Navigation) Go(p Place) {
	n.mu.Lock()
	if n.at != p {
		n.back = append(n.back, n.at)
		n.back = n.back[max(0, len(n.back)-maxHistory):]
		n.at, n.fwd = p, nil
	}
	n.mu.Unlock()
	n.arrived(p)
}

// Back goes where the person came from.
func (n *Navigation) Back() { n.step(&n.back, &n.fwd) }

// Forward undoes Back.
func (n *Navigation) Forward() { n.step(&n.fwd, &n.back) }

func (n *Navigation) step(from, to *[]Place) {
	n.mu.Lock()
	if len(*from) == 0 {
		n.mu.Unlock()
		return
	}
	last := len(*from) - 1
	p := (*from)[last]
	*from, *to, n.at = (*from)[:last], append(*to, n.at), p
	n.mu.Unlock()
	n.arrived(p)
}

// Up goes to the folder above, from a share to its computer, from there to all computers.
func (n *Navigation) Up() {
	if p, ok := above(n.Place()); ok {
		n.Go(p)
	}
}

func above(p Place) (Place, bool) {
	switch {
	case p.Page == PageFolder && p.Path != "":
		p.Path = p.Path.Dir()
		return p, true
	case p.Page == PageFolder:
		return Place{Page: PageComputer, Device: p.Device}, true
	case p.Page == PageComputer, p.Page == PageWorkgroup, p.Page == PageJoin:
		return Place{Page: PageNeighbours}, true
	case p.Page == PageInvite, p.Page == PageSheet:
		return Place{Page: PageWorkgroup, Group: p.Group}, true
	case p.Page == PageRecover:
		return Place{Page: PageJoin}, true
	}
	return p, false
}

// Can reports which ways are open.
func (n *Navigation) Can() (back, forward, up bool) {
	_, up = above(n.Place())
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.back) > 0, len(n.fwd) > 0, up
}

func (n *Navigation) arrived(p Place) {
	n.arrive(p)
	n.core.changed()
}

// Crumbs returns the path bar, from the outermost place to this one.
func (n *Navigation) Crumbs() []Crumb {
	p := n.Place()
	c := n.core
	crumbs := []Crumb{{c.words.Text("page.neighbours"), Place{Page: PageNeighbours}}}
	switch p.Page {
	case PageComputer, PageFolder:
	case PageWorkgroup:
		return append(crumbs, Crumb{c.groupName(p.Group), p})
	case PageInvite, PageSheet:
		return append(crumbs, Crumb{c.groupName(p.Group), Place{Page: PageWorkgroup, Group: p.Group}}, Crumb{c.words.Text("page." + string(p.Page)), p})
	default:
		return []Crumb{{c.words.Text("page." + string(p.Page)), p}}
	}
	crumbs = append(crumbs, Crumb{c.deviceName(p.Device), Place{Page: PageComputer, Device: p.Device}})
	if p.Page == PageFolder {
		root := Place{Page: PageFolder, Device: p.Device, Share: p.Share}
		crumbs = append(crumbs, Crumb{c.shareName(p.Device, p.Share), root})
		for _, name := range p.Path.Components() {
			if next, err := root.Path.Join(name); err == nil {
				root.Path = next
				crumbs = append(crumbs, Crumb{name, root})
			}
		}
	}
	return crumbs
}

// Title returns the name of this place.
func (n *Navigation) Title() string {
	crumbs := n.Crumbs()
	return crumbs[len(crumbs)-1].Text
}

// arrive makes the screens ready for p.
func (s *Set) arrive(p Place) {
	if p.Page != PageSheet {
		s.Sheet.close()
	}
	if p.Page != PageRecover {
		s.Recovering.Again()
	}
	switch p.Page {
	case PageInvite:
		s.Inviting.watch()
	case PageSheet:
		s.Sheet.open(p.Group)
	case PageComputer:
		s.core.askOffers(p.Device)
	case PageFolder:
		if s.core.offersOf(p.Device).list == nil {
			s.core.askOffers(p.Device) // the path bar needs the name of the share
		}
		s.Browser.open(p)
		return
	case PageDoctor:
		s.Doctor.Check()
	}
	s.Browser.close()
}

// Reload asks again for what this place shows (F5).
func (s *Set) Reload() {
	switch p := s.Nav.Place(); p.Page {
	case PageFolder:
		s.Browser.reload()
	case PageComputer:
		s.core.askOffers(p.Device)
	case PageDoctor:
		s.Doctor.Check()
	default:
		s.core.ask(func(ctx context.Context, e Engine) error { return e.Refresh(ctx) })
	}
}

func (c *core) deviceName(d discovery.DeviceID) string {
	for _, p := range c.now().peers {
		if p.ID == d {
			return shownName(p)
		}
	}
	return d.Short()
}

func (c *core) shareName(d discovery.DeviceID, id share.ID) string {
	for _, o := range c.offersOf(d).list {
		if o.ID == id {
			return o.Name
		}
	}
	return c.words.Text("browser.share")
}
