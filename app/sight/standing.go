package sight

import (
	"cmp"
	"slices"
	"time"

	"porchlight/app/store"
	"porchlight/discovery"
	"porchlight/discovery/presence"
)

// Blocked reports whether this device has nothing to do with another one.
func (s *Sight) Blocked(id discovery.DeviceID) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.blocks[id]
	return ok
}

// Block notes that this device has nothing to do with another one any more; was says that it was so before. presence.ErrUnknown if
// it is not known.
func (s *Sight) Block(id discovery.DeviceID) (was bool, err error) {
	s.change.Lock()
	defer s.change.Unlock()
	if s.Blocked(id) {
		return true, nil
	}
	p, err := s.cfg.Roster.Get(id)
	if err != nil {
		return false, err
	}
	if id == s.cfg.Self.ID() || id.IsZero() {
		return false, presence.ErrUnknown
	}
	x := store.Block{Device: id, Name: cmp.Or(p.Name, p.FirstName), Since: time.Now().UTC()}
	if err := s.cfg.Blocks.PutBlock(x); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocks[id] = x
	return false, nil
}

// Unblock takes a block back; was says whether there was one.
func (s *Sight) Unblock(id discovery.DeviceID) (was bool, err error) {
	s.change.Lock()
	defer s.change.Unlock()
	if !s.Blocked(id) {
		return false, nil
	}
	if err := s.cfg.Blocks.DeleteBlock(id); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.blocks, id)
	return true, nil
}

// Verified reports whether the key of a device is known to be its own, since people compared pictures or gave a code once. It is about
// the key of the other one: it stays when this computer becomes a new one, and a device that does is not it any more.
func (s *Sight) Verified(id discovery.DeviceID) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.verified[id]
	return ok
}

// Verify notes how a device was verified; the last time counts.
func (s *Sight) Verify(id discovery.DeviceID, how store.How) error {
	s.change.Lock()
	defer s.change.Unlock()
	x := store.Verification{Device: id, How: how, Since: time.Now().UTC()}
	if err := s.cfg.Verified.PutVerified(x); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verified[id] = x
	return nil
}

// Unverify forgets that a device was verified; was says whether it was.
func (s *Sight) Unverify(id discovery.DeviceID) (was bool, err error) {
	s.change.Lock()
	defer s.change.Unlock()
	if !s.Verified(id) {
		return false, nil
	}
	if err := s.cfg.Verified.DeleteVerified(id); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.verified, id)
	return true, nil
}

// Complete notes in a list of devices what they are to this one. It leaves out those that are not for people, strangers and those
// without a name, and adds those that are blocked and not on the list any more.
func (s *Sight) Complete(peers []discovery.Peer) []discovery.Peer {
	for i := range peers {
		s.acquaint(&peers[i])
	}
	open := s.Open()
	return s.mark(slices.DeleteFunc(peers, func(p discovery.Peer) bool { return p.Name == "" || !open && (p.ID.IsZero() || !s.Friend(p.ID)) }))
}

func (s *Sight) acquaint(p *discovery.Peer) {
	if p.ID.IsZero() {
		return
	}
	p.Verified = s.Verified(p.ID)
	for _, id := range s.Common(p.ID) {
		p.Groups = append(p.Groups, id)
	}
	if p.Workgroup == "" && len(p.Groups) > 0 {
		p.Name = cmp.Or(s.Called(p.ID), p.Name)
		p.FirstName = p.Name // an admin gave it
	}
}

func (s *Sight) mark(peers []discovery.Peer) []discovery.Peer {
	s.mu.RLock()
	defer s.mu.RUnlock()
	known := map[discovery.DeviceID]bool{}
	for i, p := range peers {
		_, peers[i].Blocked = s.blocks[p.ID]
		known[p.ID] = true
	}
	var gone []discovery.Peer
	for id, x := range s.blocks {
		if !known[id] {
			gone = append(gone, discovery.Peer{ID: id, Name: x.Name, FirstName: x.Name, State: discovery.Offline, Blocked: true})
		}
	}
	slices.SortFunc(gone, func(x, y discovery.Peer) int {
		return cmp.Or(cmp.Compare(x.Name, y.Name), slices.Compare(x.ID[:], y.ID[:]))
	})
	return append(peers, gone...)
}
