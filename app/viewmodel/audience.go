package viewmodel

import (
	"context"
	"slices"
	"strings"

	"porchlight/discovery"
	"porchlight/discovery/workgroup"
	"porchlight/share"
)

// For says for whom a share is, in the ways one can choose.
type For string

// The ways.
const (
	ForGroup  For = "group"  // everyone in one private workgroup
	ForPeople For = "people" // chosen people of private workgroups, with all their computers
	ForChosen For = "chosen" // chosen computers
	ForNearby For = "nearby"
	ForNobody For = "nobody"
	ForMixed  For = "mixed" // several of these at once; it can be read here, and chosen by a command only
)

// Way is one way to say for whom a share is.
type Way struct {
	For   For
	Group workgroup.ID // of ForGroup
}

// WayRow is a way with its name.
type WayRow struct {
	Way
	Text string
}

// Receiver is one computer, or one person, that a share may be for.
type Receiver struct {
	Name   string // with the start of its device ID where two have one name
	Chosen bool
	grant  share.Grant
	gone   bool // may get nothing any more
}

// mostNames is how many names stand in a sentence.
const mostNames = 3

// who says for whom a share is.
func (s *Shares) who(x share.Share, now snapshot) (Way, string) {
	if x.Lost {
		return Way{For: ForNobody}, s.core.words.Text("shares.who.lost")
	}
	if len(x.Audience) == 0 {
		return Way{For: ForNearby}, s.core.words.Text("shares.who")
	}
	ways := map[Way]bool{}
	var receivers []Receiver
	there, gone := s.split(x)
	if len(there) == 0 {
		there = gone
	}
	for _, g := range there {
		switch g.Who {
		case share.ToNearby:
			ways[Way{For: ForNearby}] = true
		case share.ToEveryone:
			ways[Way{ForGroup, g.Workgroup}] = true
		case share.ToPerson:
			ways[Way{For: ForPeople}] = true
		case share.ToDevice:
			ways[Way{For: ForChosen}] = true
		case share.ToNobody:
			continue
		}
		receivers = append(receivers, Receiver{s.receiver(g, now), true, g, slices.Contains(gone, g)})
	}
	switch {
	case ways[Way{For: ForNearby}]:
		return Way{For: ForNearby}, s.core.words.Text("shares.who")
	case len(ways) == 0:
		return Way{For: ForNobody}, s.core.words.Text("shares.who.nobody")
	case len(ways) > 1:
		return Way{For: ForMixed}, s.sentence("shares.who.only", receivers)
	}
	for w := range ways {
		return w, s.Says(w, receivers)
	}
	return Way{}, ""
}

// split tells those rows of a share that are for somebody from those that are for nobody any more: this computer left the
// workgroup, or the person or computer is not in it now.
func (s *Shares) split(x share.Share) (there, gone []share.Grant) {
	for _, g := range x.Audience {
		if s.outside(g, x.Left) || s.missing(g) {
			gone = append(gone, g)
		} else if g.Who != share.ToNobody {
			there = append(there, g)
		}
	}
	return there, gone
}

// outside reports whether a row is for a workgroup that this computer is not in; left is what is said of one that is not known.
func (s *Shares) outside(g share.Grant, left bool) bool {
	if g.Workgroup == (workgroup.ID{}) {
		return false
	}
	w, known := s.core.group(g.Workgroup)
	return known && w.Standing != workgroup.In || !known && left
}

// missing reports whether a row is for a person or a computer that is not in the workgroup, which this computer is in.
func (s *Shares) missing(g share.Grant) bool {
	w, known := s.core.group(g.Workgroup)
	if !known || w.Standing != workgroup.In {
		return false
	}
	return !slices.ContainsFunc(w.Members, func(m workgroup.Member) bool {
		return g.Who == share.ToEveryone || g.Who == share.ToPerson && m.Person == g.Person || g.Who == share.ToDevice && m.ID == g.Device
	})
}

// receiver is what the one a grant is about is called.
func (s *Shares) receiver(g share.Grant, now snapshot) string {
	w, known := s.core.group(g.Workgroup)
	switch g.Who {
	case share.ToEveryone:
		if known {
			return s.core.words.Text("shares.who.everyone", "Name", nameOfGroup(w))
		}
	case share.ToPerson:
		for _, p := range people(w) {
			if p.ID == g.Person {
				return p.Name
			}
		}
		if known {
			return s.core.words.Text("shares.who.past", "Name", nameOfGroup(w))
		}
	case share.ToDevice:
		for _, m := range w.Members {
			if m.ID == g.Device {
				return memberName(m, w.Members)
			}
		}
		return s.core.nameOf(g.Device, now.peers)
	}
	return s.core.words.Text("shares.who.others")
}

// Says says in one sentence what a choice means.
func (s *Shares) Says(w Way, all []Receiver) string {
	words := s.core.words
	switch w.For {
	case ForNearby:
		return words.Text("shares.who")
	case ForNobody:
		return words.Text("shares.who.nobody")
	case ForGroup:
		g, ok := s.core.group(w.Group)
		if !ok {
			return words.Text("shares.who.left")
		}
		if g.Standing != workgroup.In {
			return words.Text("shares.who.not-in", "Name", nameOfGroup(g))
		}
		return words.Text("shares.who.group", "Name", nameOfGroup(g), "Count", max(len(g.Members)-1, 0))
	case ForPeople:
		return s.sentence("shares.who.people", all)
	}
	return s.sentence("shares.who.only", all)
}

// sentence names those who are chosen, the first few of many.
func (s *Shares) sentence(key string, all []Receiver) string {
	var names []string
	gone, left := 0, 0
	for _, r := range all {
		switch {
		case r.Chosen && r.gone:
			gone++
			if !s.missing(r.grant) {
				left++
			}
		case r.Chosen:
			names = append(names, r.Name)
		}
	}
	switch {
	case len(names) == 0 && gone > left:
		return s.core.words.Text("shares.who.gone")
	case len(names) == 0 && gone > 0:
		return s.core.words.Text("shares.who.left")
	case len(names) == 0 && key == "shares.who.people":
		return s.core.words.Text("shares.for.no-person")
	case len(names) == 0:
		return s.core.words.Text("shares.for.none-chosen")
	}
	slices.SortFunc(names, byName)
	text := strings.Join(names[:min(len(names), mostNames)], ", ")
	if len(names) > mostNames {
		text = s.core.words.Text("shares.who.more", "Names", text, "Count", len(names)-mostNames)
	}
	return s.core.words.Text(key, "Names", text)
}

// Ways returns the ways one can choose from: private workgroups first.
func (s *Shares) Ways() (out []WayRow) {
	words := s.core.words
	for _, w := range s.core.now().groups {
		if w.Standing == workgroup.In {
			out = append(out, WayRow{Way{ForGroup, w.ID}, words.Text("shares.for.group", "Name", briefly(nameOfGroup(w)))})
		}
	}
	if len(out) > 0 {
		out = append(out, WayRow{Way{For: ForPeople}, words.Text("shares.for.people")})
	}
	for _, f := range []For{ForChosen, ForNearby, ForNobody} {
		out = append(out, WayRow{Way{For: f}, words.Text("shares.for." + string(f))})
	}
	return out
}

// briefly leaves the middle of a long name out, for places that cannot do so by their room.
func briefly(name string) string {
	const most, tail = 40, 14 // letters; the end tells one twin from another
	r := []rune(name)
	if len(r) <= most {
		return name
	}
	return string(r[:most-tail]) + "…" + string(r[len(r)-tail:])
}

// Receivers returns the people or the computers a share may be for, by name: those it is for already, members, and, of
// computers, all that have proven who they are.
func (s *Shares) Receivers(id share.ID, to For) []Receiver {
	now, left := s.core.now(), false
	var all []Receiver
	add := func(g share.Grant, chosen bool) {
		same := func(r Receiver) bool {
			return g.Who == share.ToPerson && r.grant.Person == g.Person && r.grant.Workgroup == g.Workgroup || g.Who == share.ToDevice && r.grant.Device == g.Device
		}
		if !slices.ContainsFunc(all, same) {
			all = append(all, Receiver{s.receiver(g, now), chosen, g, chosen && (s.outside(g, left) || s.missing(g))})
		}
	}
	who := map[For]share.Who{ForPeople: share.ToPerson, ForChosen: share.ToDevice}[to]
	if who == 0 {
		return nil
	}
	if i := slices.IndexFunc(now.shares, func(x share.Share) bool { return x.ID == id }); i >= 0 {
		left = now.shares[i].Left
		for _, g := range now.shares[i].Audience {
			if g.Who == who {
				add(g, true)
			}
		}
	}
	for _, w := range now.groups {
		if w.Standing != workgroup.In {
			continue
		}
		for _, m := range w.Members {
			switch {
			case to == ForChosen && !m.Self:
				add(share.Grant{Who: share.ToDevice, Workgroup: w.ID, Device: m.ID, Level: share.LookOnly}, false)
			case to == ForPeople && m.Person != [16]byte{}:
				add(share.Grant{Who: share.ToPerson, Workgroup: w.ID, Person: m.Person, Level: share.LookOnly}, false)
			}
		}
	}
	for _, p := range now.peers {
		if to == ForChosen && p.State != discovery.Candidate && !p.ID.IsZero() && !p.Blocked {
			add(share.Grant{Who: share.ToDevice, Device: p.ID, Level: share.LookOnly}, false)
		}
	}
	slices.SortStableFunc(all, func(a, b Receiver) int { return byName(a.Name, b.Name) })
	return all
}

// Allow says anew for whom a share is; those who are chosen of all count with ForPeople and ForChosen. It returns in words
// what is wrong, or "".
func (s *Shares) Allow(id share.ID, w Way, all []Receiver) string {
	var list []share.Grant
	switch w.For {
	case ForNearby:
		list = []share.Grant{{Who: share.ToNearby, Level: share.LookOnly}}
	case ForGroup:
		list = []share.Grant{{Who: share.ToEveryone, Workgroup: w.Group, Level: share.LookOnly}}
	case ForPeople, ForChosen:
		for _, r := range all {
			if r.Chosen {
				list = append(list, r.grant)
			}
		}
	case ForNobody:
		list = []share.Grant{{Who: share.ToNobody}}
	}
	switch {
	case len(list) == 0 && w.For == ForPeople:
		return s.core.words.Text("shares.for.no-person")
	case len(list) == 0:
		return s.core.words.Text("shares.for.none-chosen")
	case len(list) > share.MaxGrants:
		return s.core.words.Text("shares.for.too-many", "Most", share.MaxGrants)
	}
	s.core.ask(func(ctx context.Context, e Engine) error { return e.AllowShare(ctx, id, list) })
	return ""
}
