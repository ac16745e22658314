package viewmodel

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"porchlight/discovery"
	"porchlight/share"
)

// ShareRow is one share of this computer.
type ShareRow struct {
	ID   share.ID
	Icon string
	Name string
	Path string
	Who  string // who may do what, in one sentence, or that it is not there
	For  For
}

// For says for whom a share is, in the three ways one can choose.
type For string

// The ways.
const (
	ForNearby For = "nearby"
	ForChosen For = "chosen"
	ForNobody For = "nobody"
)

// Receiver is one computer a share may be for.
type Receiver struct {
	ID     discovery.DeviceID
	Name   string // with the start of its device ID where two have one name
	Chosen bool
}

// Shares shows what this computer offers.
type Shares struct{ core *core }

// Rows returns the shares by name.
func (s *Shares) Rows() []ShareRow {
	now := s.core.now()
	rows := make([]ShareRow, 0, len(now.shares))
	for _, x := range now.shares {
		kind, who := s.who(x, now.peers)
		if x.Away {
			who = s.core.words.Text("shares.away")
		}
		rows = append(rows, ShareRow{ID: x.ID, Icon: shareIcon(x.Kind), Name: x.Name, Path: x.Path, Who: who, For: kind})
	}
	slices.SortStableFunc(rows, func(a, b ShareRow) int { return byName(a.Name, b.Name) })
	return rows
}

// who says for whom a share is.
func (s *Shares) who(x share.Share, peers []discovery.Peer) (For, string) {
	const most = 3 // names in the sentence
	words := s.core.words
	if x.Lost {
		return ForNobody, words.Text("shares.who.lost")
	}
	var names []string
	for _, g := range x.Audience {
		switch g.Who {
		case share.ToNearby:
			return ForNearby, words.Text("shares.who")
		case share.ToDevice:
			names = append(names, s.core.nameOf(g.Device, peers))
		case share.ToNobody:
		default:
			names = append(names, words.Text("shares.who.others"))
		}
	}
	slices.SortFunc(names, byName)
	text := strings.Join(names[:min(len(names), most)], ", ")
	switch {
	case len(x.Audience) == 0:
		return ForNearby, words.Text("shares.who")
	case len(names) == 0:
		return ForNobody, words.Text("shares.who.nobody")
	case len(names) > most:
		text = words.Text("shares.who.more", "Names", text, "Count", len(names)-most)
	}
	return ForChosen, words.Text("shares.who.only", "Names", text)
}

// nameOf is a known computer's name as it is shown, or the start of the device ID of one that is not known any more.
func (c *core) nameOf(id discovery.DeviceID, peers []discovery.Peer) string {
	if i := slices.IndexFunc(peers, func(p discovery.Peer) bool { return p.ID == id }); i >= 0 {
		return c.computer(peers[i], namesakesOf(peers)).Name
	}
	return id.Short()
}

// Receivers returns the computers a share may be for, by name: those that have proven who they are, and those it is for already.
func (s *Shares) Receivers(id share.ID) []Receiver {
	now := s.core.now()
	var all []Receiver
	chosen := map[discovery.DeviceID]bool{}
	for _, x := range now.shares {
		if x.ID != id {
			continue
		}
		for _, g := range x.Audience {
			if g.Who == share.ToDevice && !chosen[g.Device] {
				chosen[g.Device] = true
				all = append(all, Receiver{g.Device, s.core.nameOf(g.Device, now.peers), true})
			}
		}
	}
	for _, p := range now.peers {
		if p.State != discovery.Candidate && !p.ID.IsZero() && !p.Blocked && !chosen[p.ID] {
			all = append(all, Receiver{p.ID, s.core.nameOf(p.ID, now.peers), false})
		}
	}
	slices.SortStableFunc(all, func(a, b Receiver) int { return byName(a.Name, b.Name) })
	return all
}

// Allow says anew for whom a share is; chosen are the computers with ForChosen. It returns in words what is wrong, or "".
func (s *Shares) Allow(id share.ID, to For, chosen []discovery.DeviceID) string {
	var list []share.Grant
	switch to {
	case ForNearby:
		list = []share.Grant{{Who: share.ToNearby, Level: share.LookOnly}}
	case ForChosen:
		for _, d := range chosen {
			list = append(list, share.Grant{Who: share.ToDevice, Device: d, Level: share.LookOnly})
		}
	case ForNobody:
		list = []share.Grant{{Who: share.ToNobody}}
	}
	switch {
	case len(list) == 0:
		return s.core.words.Text("shares.for.none-chosen")
	case len(list) > share.MaxGrants:
		return s.core.words.Text("shares.for.too-many", "Most", share.MaxGrants)
	}
	s.core.ask(func(ctx context.Context, e Engine) error { return e.AllowShare(ctx, id, list) })
	return ""
}

// Empty says what to do when nothing is shared; no title means something is.
func (s *Shares) Empty() Empty {
	now := s.core.now()
	if !now.ready || len(now.shares) > 0 {
		return Empty{}
	}
	return Empty{s.core.words.Text("shares.empty.title"), s.core.words.Text("shares.empty.text")}
}

// Add shares a folder under its own name.
func (s *Shares) Add(path string) {
	s.core.work.do(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		x, err := s.core.eng().AddShare(ctx, path, "")
		if err != nil {
			s.core.note.say(Bad, s.core.words.Text("shares.not-added", "Name", filepath.Base(path), "Why", s.core.errorWords(err)))
			return
		}
		s.core.note.say(Good, s.core.words.Text("shares.added", "Name", x.Name))
	})
}

// Rename gives a share another name.
func (s *Shares) Rename(id share.ID, name string) {
	s.core.ask(func(ctx context.Context, e Engine) error { return e.RenameShare(ctx, id, name) })
}

// RemoveQuestion asks before Remove.
func (s *Shares) RemoveQuestion(name string) (title, text string) {
	return s.core.words.Text("shares.remove.title", "Name", name), s.core.words.Text("shares.remove.text")
}

// Remove stops sharing; the files stay.
func (s *Shares) Remove(id share.ID) {
	s.core.ask(func(ctx context.Context, e Engine) error { return e.RemoveShare(ctx, id) })
}

// Show opens the folder of a share.
func (s *Shares) Show(path string) { s.core.open(path) }
