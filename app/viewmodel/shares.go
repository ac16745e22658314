package viewmodel

import (
	"context"
	"path/filepath"
	"slices"

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
	Way  Way
}

// Shares shows what this computer offers.
type Shares struct{ core *core }

// Rows returns the shares by name.
func (s *Shares) Rows() []ShareRow {
	now := s.core.now()
	rows := make([]ShareRow, 0, len(now.shares))
	for _, x := range now.shares {
		way, who := s.who(x, now)
		if x.Away {
			who = s.core.words.Text("shares.away")
		}
		rows = append(rows, ShareRow{ID: x.ID, Icon: shareIcon(x.Kind), Name: x.Name, Path: x.Path, Who: who, Way: way})
	}
	slices.SortStableFunc(rows, func(a, b ShareRow) int { return byName(a.Name, b.Name) })
	return rows
}

// nameOf is a known computer's name as it is shown, or the start of the device ID of one that is not known any more.
func (c *core) nameOf(id discovery.DeviceID, peers []discovery.Peer) string {
	if i := slices.IndexFunc(peers, func(p discovery.Peer) bool { return p.ID == id }); i >= 0 {
		return c.computer(peers[i], namesakesOf(peers)).Name
	}
	return id.Short()
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
