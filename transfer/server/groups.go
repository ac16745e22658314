package server

import (
	"context"

	"porchlight/discovery/keyring"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
	"porchlight/transfer/link"
)

// Groups is what the server may say about private workgroups. It decides about membership; the server asks it only about
// workgroups that the other side proved on this connection. What it refuses with workgroup.ErrUnknown, ErrNotMember or ErrRemoved
// is not there, one like the other; with workgroup.ErrSync the ledgers have to be compared first; with workgroup.ErrEntry the other
// side broke the rules.
type Groups interface {
	// Answer takes the proofs of a hello; its Proofs and Removed are answered.
	Answer(s *link.Session, proofs []keyring.Proof) (workgroup.Reply, error)
	Compare(s *link.Session, id workgroup.ID, theirs workgroup.Summary) (workgroup.Summary, error)
	// Receive acts on what came before an error, too.
	Receive(s *link.Session, id workgroup.ID, entries [][]byte) (missing []ledger.Prefix, err error)
	Fetch(s *link.Session, id workgroup.ID, want []ledger.Prefix) ([][]byte, error)
	// Keys returns the ring, as keyring.Encode writes it.
	Keys(s *link.Session, id workgroup.ID) ([]byte, error)
	// Offered takes the welcome to a workgroup that continues one of this device's.
	Offered(s *link.Session, w workgroup.Welcome) error
}

// Meetings lets devices in that are no members yet. A connection has one meeting, whose calls come in this order, each once;
// what it is about ends with the connection (link.Session.Gone). Errors are those of package pairing, discovery.ErrDeclined for a
// person's no, workgroup.ErrCode for a recovery code of no workgroup of this device; any of them ends the meeting.
type Meetings interface {
	// Join takes message 1 of a join by code and returns message 2. From here on the run counts, if the connection ends, too.
	Join(s *link.Session, msg []byte) ([]byte, error)
	// JoinConfirm takes message 3 and returns message 4.
	JoinConfirm(s *link.Session, msg []byte) ([]byte, error)
	// JoinResult waits until a person decided, or ctx ends: with the connection, or after wire.DecisionTime. It may be the first call
	// on a connection, if the one on which the same device proved the code broke; for anybody else it is pairing.ErrOver.
	JoinResult(ctx context.Context, s *link.Session) (workgroup.Welcome, error)
	// Recover answers who proves to have a recovery code.
	Recover(s *link.Session, proof []byte) (workgroup.Welcome, error)
}

// Pictures lets two people compare pictures, this device having been dialled; the rules are those of Meetings. When somebody said
// that they differ, or did so a short while ago, the error is discovery.ErrDifferent or pairing.ErrBlocked.
type Pictures interface {
	// Begin takes message 0 and returns message 1.
	Begin(s *link.Session, msg []byte) ([]byte, error)
	// Reveal takes message 2 and returns message 3; from here on the pictures can be shown.
	Reveal(s *link.Session, msg []byte) ([]byte, error)
	// Confirm is told what the other person said, waits for this one, and returns a welcome if both met for that.
	Confirm(ctx context.Context, s *link.Session, same bool) (*workgroup.Welcome, error)
}
