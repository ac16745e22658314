// Package sight knows what other devices are to this one, and so who sees whom.
//
// A device in the open workgroup is seen by everybody nearby. One that is in none is seen by its friends: those with whom it
// shares a private workgroup, and those whose key people verified. To all others, strangers, it is an address where something
// speaks this protocol: it announces a label and tags that say nothing to them, its hello names nobody, and behind that are the
// ways to become a member and nothing else. It does not dial them, list them, or tell others of them.
//
// Between the two is a guest, who proved a key of a private workgroup and is not in the ledger here, yet: connected for as long as it
// takes to compare ledgers, and not told a name. The ways behind the hello are there for it, and what they show is decided by
// membership: nothing.
//
// A blocked device is nobody's neighbour, whatever else it is.
package sight

import (
	"slices"
	"sync"

	"porchlight/app/config"
	"porchlight/app/store"
	"porchlight/discovery"
	"porchlight/discovery/keyring"
	"porchlight/discovery/presence"
	"porchlight/discovery/workgroup"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// Self is this device, as it is now.
type Self interface {
	ID() discovery.DeviceID
	Settings() config.Settings
}

// Circle is what the private workgroups of this device say of others. *membership.Membership is one.
type Circle interface {
	// Recognise names the workgroups that an announcement is of: a hint.
	Recognise(label, tags string) ([]workgroup.ID, error)
	// Check names those that the other end of a connection has proven.
	Check(exporter [32]byte, proofs []keyring.Proof) ([]workgroup.ID, error)
	// Common names those that a device and this one are members of.
	Common(discovery.DeviceID) []workgroup.ID
	// Synced names those of Common in which the two are in step.
	Synced(discovery.DeviceID) []workgroup.ID
	// Called is what a device is called in one of Common; empty if there is none.
	Called(discovery.DeviceID) string
	// Guest reports whether a device connected and proved a key, and was not removed.
	Guest(discovery.DeviceID) bool
}

// Config says what a Sight goes by. All is needed.
type Config struct {
	Self     Self
	Circle   Circle
	Roster   *presence.Roster
	Blocks   store.Blocks
	Verified store.Verified
}

// Sight is what other devices are to this one. Safe for concurrent use.
type Sight struct {
	cfg    Config
	change sync.Mutex // makes one change at a time, the store included

	mu       sync.RWMutex // guards the fields below
	blocks   map[discovery.DeviceID]store.Block
	verified map[discovery.DeviceID]store.Verification
}

// New makes one, with who is blocked and verified read from the store.
func New(cfg Config) (*Sight, error) {
	s := &Sight{cfg: cfg, blocks: map[discovery.DeviceID]store.Block{}, verified: map[discovery.DeviceID]store.Verification{}}
	blocks, err := cfg.Blocks.Blocks()
	if err != nil {
		return nil, err
	}
	for _, x := range blocks {
		s.blocks[x.Device] = x
	}
	verified, err := cfg.Verified.Verified()
	if err != nil {
		return nil, err
	}
	for _, x := range verified {
		s.verified[x.Device] = x
	}
	return s, nil
}

// Open reports whether this device is in the open workgroup.
func (s *Sight) Open() bool { return !s.cfg.Self.Settings().Private }

// Common names the private workgroups that a device and this one are members of.
func (s *Sight) Common(id discovery.DeviceID) []workgroup.ID {
	if id.IsZero() {
		return nil
	}
	return s.cfg.Circle.Common(id)
}

// Called is what a device is called in a workgroup that both are in; empty if there is none.
func (s *Sight) Called(id discovery.DeviceID) string { return s.cfg.Circle.Called(id) }

// Friend reports whether a device sees this one wherever it is: a member of a private workgroup of both, or verified.
func (s *Sight) Friend(id discovery.DeviceID) bool { return len(s.Common(id)) > 0 || s.Verified(id) }

// Stranger reports whether this device does not show itself to another one.
func (s *Sight) Stranger(id discovery.DeviceID) bool {
	return !s.Open() && id != s.cfg.Self.ID() && !s.Friend(id)
}

// ShutOut reports whether the other side of a connection finds nothing behind its hello (server.Config.Stranger).
func (s *Sight) ShutOut(l *link.Session) bool { return s.Stranger(l.ID) && !s.cfg.Circle.Guest(l.ID) }

// Unseen reports whether another device is none to look after: one that this device hides from, or that hides from this one.
func (s *Sight) Unseen(id discovery.DeviceID) bool {
	if s.Friend(id) {
		return false
	}
	p, err := s.cfg.Roster.Get(id)
	return !s.Open() || err == nil && p.Workgroup == ""
}

// Welcome reports whether a device that said hello may be a neighbour for as long as it likes.
func (s *Sight) Welcome(l *link.Session, h wire.Hello) bool {
	return s.Open() && h.Workgroup != "" || s.Friend(l.ID)
}

// Guest reports whether a device that called, or answered, proves a key of one of the private workgroups of this one.
func (s *Sight) Guest(l *link.Session, answer wire.Hello) bool {
	if l.ProvedAny() { // it called, and the server looked
		return s.cfg.Circle.Guest(l.ID)
	}
	if len(l.Exporter) != 32 || len(answer.Proofs) > keyring.MaxProofs {
		return false
	}
	var proofs []keyring.Proof
	for _, p := range answer.Proofs {
		if len(p) == len(keyring.Proof{}) {
			proofs = append(proofs, keyring.Proof(p))
		}
	}
	ids, err := s.cfg.Circle.Check([32]byte(l.Exporter), proofs)
	return err == nil && len(ids) > 0
}

// LooksFor reports whether this device wants to meet the device that a hint is of, if it is not known.
func (s *Sight) LooksFor(hint discovery.Sighting) bool {
	switch open := s.Open(); {
	case !hint.ID.IsZero():
		return open || s.Friend(hint.ID)
	case open && (hint.Name != "" || hint.IDPrefix != ""):
		return true
	case hint.Tags == "":
		return false
	}
	ids, err := s.cfg.Circle.Recognise(hint.Instance, hint.Tags)
	return err == nil && len(ids) > 0
}

// Together reports whether a device may be told that another one is there: both are in the open workgroup, which then has the same
// name, or in step with this one in a private workgroup that both are members of.
func (s *Sight) Together(dev, other discovery.Peer) bool {
	mine := s.cfg.Self.Settings()
	if !mine.Private && dev.Workgroup != "" && discovery.SameWorkgroup(dev.Workgroup, other.Workgroup) && discovery.SameWorkgroup(dev.Workgroup, mine.Workgroup) {
		return true
	}
	theirs := s.Common(other.ID)
	return slices.ContainsFunc(s.cfg.Circle.Synced(dev.ID), func(id workgroup.ID) bool { return slices.Contains(theirs, id) })
}
