package membership

import (
	"context"
	"errors"

	"porchlight/discovery"
	"porchlight/discovery/keyring"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
	"porchlight/transfer/link"
	"porchlight/transfer/server"
)

// Door is what neighbours may ask of this device about private workgroups: the Groups of a server.
type Door struct{ m *Membership }

// Meetings lets devices in that are no members: the Meetings of a server.
type Meetings struct{ m *Membership }

// Pictures compares pictures with who dialled: the Pictures of a server.
type Pictures struct{ m *Membership }

var (
	_ server.Groups   = Door{}
	_ server.Meetings = Meetings{}
	_ server.Pictures = Pictures{}
)

// Door returns the three parts of what neighbours may ask.
func (m *Membership) Door() (Door, Meetings, Pictures) { return Door{m}, Meetings{m}, Pictures{m} }

// SessionOf is what a connection proved.
func SessionOf(s *link.Session) Session {
	return Session{Device: s.ID, Key: ledger.KeyOf(s.Key), Exporter: [32]byte(s.Exporter), From: s.Remote.Addr(), Gone: s.Gone()}
}

// Answer is what is answered to the proofs in a hello.
func (d Door) Answer(s *link.Session, proofs []keyring.Proof) (workgroup.Reply, error) {
	return d.m.answer(SessionOf(s), proofs)
}

// Compare is workgroup.Book.Compare.
func (d Door) Compare(s *link.Session, id workgroup.ID, theirs workgroup.Summary) (workgroup.Summary, error) {
	return d.m.compareLedgers(s.ID, id, theirs)
}

// Receive is workgroup.Book.Receive, and what follows from it.
func (d Door) Receive(s *link.Session, id workgroup.ID, entries [][]byte) ([]ledger.Prefix, error) {
	return d.m.receive(s.ID, id, entries)
}

// Fetch is workgroup.Book.Fetch.
func (d Door) Fetch(s *link.Session, id workgroup.ID, want []ledger.Prefix) ([][]byte, error) {
	return d.m.book().Fetch(id, s.ID, want)
}

// Keys is workgroup.Book.Keys.
func (d Door) Keys(s *link.Session, id workgroup.ID) ([]byte, error) {
	return d.m.book().Keys(id, s.ID)
}

// Offered puts an offer to move over before a person.
func (d Door) Offered(s *link.Session, w workgroup.Welcome) error { return d.m.offered(s.ID, w) }

func (m *Membership) compareLedgers(device discovery.DeviceID, id workgroup.ID, theirs workgroup.Summary) (workgroup.Summary, error) {
	before := len(m.book().Synced(device))
	s, err := m.book().Compare(id, device, theirs)
	if err == nil && len(m.book().Synced(device)) != before {
		m.cfg.OnChange()
	}
	return s, err
}

func (m *Membership) receive(device discovery.DeviceID, id workgroup.ID, entries [][]byte) ([]ledger.Prefix, error) {
	c, missing, err := m.book().Receive(id, device, entries)
	m.follow(c, device)
	return missing, err
}

func (m *Membership) offered(device discovery.DeviceID, w workgroup.Welcome) error {
	_, err := m.book().Offered(device, w)
	if err == nil {
		m.cfg.OnChange()
	}
	return err
}

// Join begins a try at the code of this device's open invitation.
func (d Meetings) Join(s *link.Session, msg []byte) ([]byte, error) {
	return d.m.join(SessionOf(s), msg)
}

// JoinConfirm takes the proof of it.
func (d Meetings) JoinConfirm(s *link.Session, msg []byte) ([]byte, error) {
	return d.m.joinConfirm(SessionOf(s), msg)
}

// JoinResult waits until a person has decided.
func (d Meetings) JoinResult(ctx context.Context, s *link.Session) (workgroup.Welcome, error) {
	return d.m.joinResult(ctx, SessionOf(s))
}

// Recover gives the ledger to who has the recovery code.
func (d Meetings) Recover(s *link.Session, proof []byte) (workgroup.Welcome, error) {
	w, err := d.m.book().WelcomeByCode([32]byte(s.Exporter), proof)
	if err == nil {
		d.m.cfg.Log.Warn("somebody used a recovery code", "peer", s.ID.Short(), "workgroup", w.Workgroup.Prefix())
	}
	return w, err
}

// Begin takes the first message of a comparison.
func (d Pictures) Begin(s *link.Session, msg []byte) ([]byte, error) {
	return d.m.begun(SessionOf(s), msg)
}

// Reveal has the pictures shown.
func (d Pictures) Reveal(s *link.Session, msg []byte) ([]byte, error) {
	return d.m.reveal(SessionOf(s), msg)
}

// Confirm waits for the person here.
func (d Pictures) Confirm(ctx context.Context, s *link.Session, same bool) (*workgroup.Welcome, error) {
	w, err := d.m.confirm(ctx, SessionOf(s), same)
	if errors.Is(err, workgroup.ErrNotMember) { // let in, and removed before it heard of it
		err = discovery.ErrDeclined
	}
	return w, err
}
