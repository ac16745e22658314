package viewmodel

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"porchlight/discovery"
	"porchlight/discovery/workgroup"
	"porchlight/share"
)

// Dot is the mark beside a computer; each is a shape of its own, not a colour alone.
type Dot string

// The dots.
const (
	DotHere     Dot = "here"     // full
	DotTrouble  Dot = "trouble"  // exclamation mark: gone quiet
	DotAway     Dot = "away"     // ring
	DotUnproven Dot = "unproven" // dotted: announced, never proven
	DotBlocked  Dot = "blocked"  // a cross: its owner wants nothing to do with it
)

// Computer is one neighbour as people see it.
type Computer struct {
	ID       discovery.DeviceID
	Name     string
	Dot      Dot
	State    string // in words
	Detail   string // when it was last here, or what is to know of its name; may be empty
	Openable bool   // it was proven once, so there is something to open
	Verified bool   // people compared its pictures or digits, so it is what it says
	Selected bool
}

// Group is one workgroup.
type Group struct {
	Name      string
	Own       bool  // the open one of this computer
	To        Place // its page; zero for an open one that is not this computer's
	Note      string
	Computers []Computer
}

// OfferRow is one share of a neighbour.
type OfferRow struct {
	To       Place
	Icon     string
	Name     string
	State    string // in words
	Away     bool
	Openable bool
}

// ComputerPage is what the page of one neighbour shows.
type ComputerPage struct {
	Computer
	Group   string
	ID      string // the whole shown form
	Seen    string // in words
	Address string
	Offers  []OfferRow
	Blocked bool
	Verify  string // label of the button that compares pictures, "" when that is not possible now
	Proof   string // what is known of who it is, in words
	Empty   string // in words, when there are no offers to show
	Loading bool
}

// Empty is what a screen says when it has nothing to show.
type Empty struct{ Title, Text string }

// Neighbourhood shows who is here.
type Neighbourhood struct{ core *core }

// Groups returns the workgroups: one's own first, then by name; computers by name, those that are away after the others. One
// that goes quiet keeps its place until it is given up, so that nothing jumps for a moment's silence.
func (n *Neighbourhood) Groups() []Group {
	s := n.core.now()
	alike := namesakesOf(s.peers)
	groups, members := n.private(s, alike)
	private := len(groups)
	if s.ready {
		own := Group{Name: s.self.Workgroup, Own: true, To: Place{Page: PageWorkgroup}}
		if !s.self.Open {
			own.Note = n.core.words.Text("sidebar.not-open")
		}
		groups = append(groups, own)
	}
	for _, p := range s.peers {
		if members[p.ID] {
			continue
		}
		group := cmp.Or(p.Workgroup, s.self.Workgroup) // of one that is only known as blocked nothing else is known
		i := private + slices.IndexFunc(groups[private:], func(g Group) bool { return discovery.SameWorkgroup(g.Name, group) })
		if i < private {
			i = len(groups)
			groups = append(groups, Group{Name: group})
		}
		groups[i].Computers = append(groups[i].Computers, n.core.computer(p, alike))
	}
	if len(groups) > private+1 {
		slices.SortStableFunc(groups[private+1:], func(a, b Group) int { return byName(a.Name, b.Name) })
	}
	for _, g := range groups {
		slices.SortStableFunc(g.Computers, func(a, b Computer) int {
			return cmp.Or(away(a)-away(b), byName(a.Name, b.Name), strings.Compare(a.ID.Hex(), b.ID.Hex()))
		})
	}
	return groups
}

// private returns the private workgroups, and who is shown in one: whoever is a member stands there and not in an open one, too.
func (n *Neighbourhood) private(s snapshot, alike namesakes) (groups []Group, members map[discovery.DeviceID]bool) {
	members = map[discovery.DeviceID]bool{}
	for _, w := range s.groups {
		g := Group{Name: nameOfGroup(w), To: Place{Page: PageWorkgroup, Group: w.ID}}
		if w.Standing != workgroup.In {
			g.Note = n.core.words.Text("sidebar." + string(w.Standing))
			groups = append(groups, g)
			continue
		}
		for _, m := range w.Members {
			if m.Self {
				continue
			}
			members[m.ID] = true
			x := Computer{ID: m.ID, Name: memberName(m, w.Members), Dot: DotAway, State: n.core.words.Text("state.away")}
			if i := slices.IndexFunc(s.peers, func(p discovery.Peer) bool { return p.ID == m.ID }); i >= 0 {
				name := x.Name
				x = n.core.computer(s.peers[i], alike)
				x.Name = name
			}
			g.Computers = append(g.Computers, x)
		}
		groups = append(groups, g)
	}
	return groups, members
}

func away(c Computer) int {
	switch c.Dot {
	case DotBlocked:
		return 2
	case DotAway:
		return 1
	}
	return 0
}

// byName orders names as people do: without regard to case.
func byName(a, b string) int {
	return cmp.Or(strings.Compare(strings.ToLower(a), strings.ToLower(b)), strings.Compare(a, b))
}

// namesakes tells which computers call themselves alike. Whoever only announces itself counts for nobody's name but its own: a
// forged announcement must not change how a known computer is shown.
type namesakes map[string][]discovery.Peer // proven ones, by name without regard to case

func namesakesOf(peers []discovery.Peer) namesakes {
	m := namesakes{}
	for _, p := range peers {
		if p.State != discovery.Candidate {
			key := strings.ToLower(shownName(p))
			m[key] = append(m[key], p)
		}
	}
	return m
}

// shared reports whether p needs the start of its device ID beside its name, and whether another had the name before it.
func (m namesakes) shared(p discovery.Peer) (twin, later bool) {
	for _, q := range m[strings.ToLower(shownName(p))] {
		if q.ID != p.ID {
			twin, later = true, later || q.FirstSeen.Before(p.FirstSeen)
		}
	}
	return twin, later
}

func shownName(p discovery.Peer) string { return cmp.Or(p.Name, p.FirstName, p.ID.Short()) }

func (c *core) computer(p discovery.Peer, all namesakes) Computer {
	name := shownName(p)
	twin, later := all.shared(p)
	if twin && !p.ID.IsZero() {
		name += " (" + p.ID.Short() + ")"
	}
	x := Computer{ID: p.ID, Name: name, Openable: p.State != discovery.Candidate && !p.ID.IsZero(), Verified: p.Verified}
	switch p.State {
	case discovery.Online:
		x.Dot = DotHere
	case discovery.Suspect:
		x.Dot = DotTrouble
	case discovery.Candidate:
		x.Dot = DotUnproven
	default:
		x.Dot = DotAway
	}
	x.State = c.words.Text("state." + string(x.Dot))
	if p.Blocked {
		x.Dot, x.State, x.Openable = DotBlocked, c.words.Text("state.blocked"), true
		return x
	}
	newer := p.Newer && p.State != discovery.Online
	if newer {
		x.State = c.words.Text("state.newer")
	}
	switch {
	case newer && x.Openable: // its page says what to do
	case newer:
		x.Detail = c.words.Text("computer.newer", "Name", name)
	case x.Dot == DotAway && !p.LastSeen.IsZero():
		x.Detail = c.words.Text("computer.seen", "When", c.fmt.When(p.LastSeen, c.cfg.Now()))
	case x.Openable && p.FirstName != "" && p.Name != "" && p.FirstName != p.Name:
		x.Detail = c.words.Text("computer.renamed", "Name", p.FirstName)
	case x.Openable && later:
		x.Detail = c.words.Text("computer.twin", "Name", shownName(p))
	}
	return x
}

// Empty says what to do when nobody else is here; no title means somebody is.
func (n *Neighbourhood) Empty() Empty {
	s := n.core.now()
	n.core.mu.Lock()
	failure := n.core.failure
	n.core.mu.Unlock()
	switch {
	case failure != "":
		return Empty{n.core.words.Text("trouble.no-engine"), failure}
	case !s.ready:
		return Empty{Title: n.core.words.Text("starting")}
	case len(s.peers) > 0 || slices.ContainsFunc(s.groups, func(w workgroup.Workgroup) bool { return len(w.Members) > 1 }):
		return Empty{}
	case s.self.Ask:
		return Empty{n.core.words.Text("neighbours.ask.title"), n.core.words.Text("neighbours.ask.text")}
	case s.self.Network == discovery.Public:
		return Empty{n.core.words.Text("neighbours.public.title"), n.core.words.Text("neighbours.public.text")}
	}
	return Empty{n.core.words.Text("neighbours.empty.title"), n.core.words.Text("neighbours.empty.text")}
}

// Newer says in one line that neighbours run a newer Porchlight, "" if none does.
func (n *Neighbourhood) Newer() string {
	only, too := 0, 0
	for _, p := range n.core.now().peers {
		switch {
		case p.Newer && p.State == discovery.Online:
			too++
		case p.Newer:
			only++
		}
	}
	switch {
	case only > 0:
		return n.core.words.Text("neighbours.newer", "Count", only)
	case too > 0:
		return n.core.words.Text("neighbours.newer-too")
	}
	return ""
}

// Page returns the page of one neighbour, and false when it is not known any more.
func (n *Neighbourhood) Page(d discovery.DeviceID) (ComputerPage, bool) {
	c := n.core
	s := c.now()
	for _, p := range s.peers {
		if p.ID != d {
			continue
		}
		x := ComputerPage{Computer: c.computer(p, namesakesOf(s.peers)), Group: p.Workgroup, ID: p.ID.String(), Blocked: p.Blocked}
		if x.Dot != DotHere && !p.LastSeen.IsZero() {
			x.Seen = c.fmt.When(p.LastSeen, c.cfg.Now())
		}
		if len(p.Addresses) > 0 {
			x.Address = p.Addresses[0].String()
		}
		n.proof(&x, p)
		o := c.offersOf(d)
		x.Offers = n.rows(d, o.list, x.Dot)
		x.Loading = o.loading && o.list == nil
		switch {
		case p.Blocked:
			x.Empty, x.Offers, x.Loading = c.words.Text("computer.blocked", "Name", x.Name), nil, false
		case p.Newer && p.State != discovery.Online:
			x.Empty, x.Offers, x.Loading = c.words.Text("computer.newer", "Name", x.Name), nil, false
		case len(x.Offers) > 0 || x.Loading:
		case x.Dot == DotAway:
			x.Empty = c.words.Text("computer.away", "Name", x.Name)
		case o.trouble != "":
			x.Empty = o.trouble
		default:
			x.Empty = c.words.Text("computer.empty", "Name", x.Name)
		}
		return x, true
	}
	return ComputerPage{}, false
}

// proof says what is known of who a neighbour is, and whether more can be found out now.
func (n *Neighbourhood) proof(x *ComputerPage, p discovery.Peer) {
	w := n.core.words
	switch {
	case p.Blocked || !x.Openable:
	case p.Verified:
		x.Proof = w.Text("computer.verified")
	default:
		x.Proof = w.Text("computer.unverified", "Name", x.Name)
		if x.Dot == DotHere {
			x.Verify = w.Text("computer.verify")
		}
	}
	for _, id := range p.Groups {
		if name := n.core.groupName(id); x.Group == "" {
			x.Group = name
		} else {
			x.Group += ", " + name
		}
	}
}

func (n *Neighbourhood) rows(d discovery.DeviceID, list []share.Offer, dot Dot) []OfferRow {
	rows := make([]OfferRow, 0, len(list))
	for _, o := range list {
		if o.Kind != share.Folder && o.Kind != share.Drive {
			continue // printers and the like have no page
		}
		r := OfferRow{To: Place{Page: PageFolder, Device: d, Share: o.ID}, Icon: shareIcon(o.Kind), Name: o.Name, Away: o.Away || dot == DotAway}
		r.Openable = !r.Away
		switch {
		case dot == DotAway:
			r.State = n.core.words.Text("offer.computer-away")
		case o.Away:
			r.State = n.core.words.Text("offer.away")
		default:
			r.State = n.core.words.Text("offer.open")
		}
		rows = append(rows, r)
	}
	slices.SortStableFunc(rows, func(a, b OfferRow) int { return byName(a.Name, b.Name) })
	return rows
}

// Add looks for a computer at an address somebody typed: a name or an address, with or without a port.
func (n *Neighbourhood) Add(address string) {
	if address = strings.TrimSpace(address); address == "" {
		return
	}
	n.core.work.do(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := n.core.eng().AddPeer(ctx, address); err != nil {
			n.core.note.say(Bad, n.core.words.Text("neighbours.not-added", "Address", address, "Why", n.core.errorWords(err)))
			return
		}
		n.core.note.say(Good, n.core.words.Text("neighbours.added", "Address", address))
	})
}

// BlockQuestion asks before Block.
func (n *Neighbourhood) BlockQuestion(name string) (title, text string) {
	return n.core.words.Text("computer.block.title", "Name", name), n.core.words.Text("computer.block.text")
}

// Block has this computer have nothing to do with another one.
func (n *Neighbourhood) Block(d discovery.DeviceID) {
	n.core.ask(func(ctx context.Context, e Engine) error { return e.Block(ctx, d) })
}

// Unblock takes that back.
func (n *Neighbourhood) Unblock(d discovery.DeviceID) {
	n.core.ask(func(ctx context.Context, e Engine) error { return e.Unblock(ctx, d) })
}

// Forget takes a computer off the list; it comes back when it announces itself again.
func (n *Neighbourhood) Forget(d discovery.DeviceID) {
	n.core.ask(func(ctx context.Context, e Engine) error { return e.ForgetPeer(ctx, d) })
}
