// Package workgroup keeps the workgroups this device is in, and decides which devices belong.
//
// A Book holds one ledger, and one ring of discovery keys, for each private workgroup. It does no networking and reads no clock:
// messages go in and come out as values, and whatever follows from one is a Change, for the caller to act on at once:
//
//	entry of a neighbour ─► Receive ─┐              ┌─► Gone: their sessions in this workgroup end, within a second
//	operation of the user ───────────┼─► Change ────┼─► Push: to every connected member, but not back to who sent it
//	key of a neighbour ──► LearnKeys ┘              └─► Announce: tags and proofs are others now
//
// What is asked of a Book is answered as of this moment. Membership is the ledger's word and nothing else's: no clock, no address,
// no announcement, and no connection that was made before.
//
// # Sync before serve
//
// Nothing of a workgroup is for a device before both ledgers were found equal on a connection that is still there, and both
// devices are active in them. The client of a connection compares (Sync), the server answers (Compare, Receive, Fetch), and each
// notes the other as in step (Synced) until Disconnected. A device that the ledger says was removed is answered with the entry
// that says so (Reply.Removed), and may hand in entries, which is how a founder's veto travels; one that the ledger does not know
// yet is shown hashes, and entries when its admission has arrived.
//
// # Standing
//
//	Create, Join, Recover ─► In ──removed──► Out ──contested, recovered, admitted again──► In
//	                         └────Leave────► Left ──Forget──► (nothing)
//
// A device that is out keeps ledger and keys: what removed it may turn out to be void. It does not announce the workgroup.
package workgroup

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
)

// Limits.
const (
	MaxWorkgroups = 16        // private ones, of one device
	MaxBatch      = 1024      // entries, or IDs asked for, in one message
	MaxBatchBytes = 256 << 10 // of the entries in one message
	MaxMoments    = 64        // to choose from in a recovery
	maxRounds     = 128       // of one comparison: more than a full ledger of the longest entries takes
	maxOwn        = 64        // entries that a removed device hands in at once
)

// What a caller decides by.
var (
	ErrUnknown   = errors.New("no such workgroup")
	ErrNotMember = errors.New("not a member of this workgroup")
	ErrNotAdmin  = errors.New("only an admin of the workgroup may do this")
	ErrMany      = errors.New("too many workgroups")
	ErrMember    = errors.New("this device is a member already")
	ErrSelf      = errors.New("a device does not remove itself; it leaves")
	ErrLastAdmin = errors.New("the workgroup would have no admin")
	ErrUnsaved   = errors.New("the recovery code was not saved yet")
	ErrErased    = errors.New("the recovery code is not on this computer")
	ErrPerson    = errors.New("no such person in this workgroup")
	ErrRole      = errors.New("not a role")
	ErrReason    = errors.New("not a reason")
	ErrCode      = errors.New("the recovery code is of another workgroup")
	ErrMoment    = errors.New("not a moment of this workgroup")
	ErrNoContest = errors.New("nothing to contest, or no right to")
	ErrOffer     = errors.New("no such offer to move over")
	ErrSync      = errors.New("the ledgers have not been compared yet")
	ErrKey       = errors.New("no usable key of the workgroup came with it")
	// ErrEntry says that a neighbour broke the rules: what it sent can never be right.
	ErrEntry = errors.New("not acceptable from a neighbour")
	// ErrRemoved says that the ledger knows the neighbour as removed.
	ErrRemoved = errors.New("the device was removed from this workgroup")
)

// ID is the name of a workgroup that no other has: the hash of its first entry.
type ID = ledger.Hash

// Standing is what this device is in a workgroup.
type Standing string

// The standings.
const (
	In   Standing = "in"
	Out  Standing = "out"  // removed, or not admitted yet
	Left Standing = "left" // by itself; its keys are erased
)

// Workgroup is one of this device's workgroups. A value; readers may keep it.
type Workgroup struct {
	ID          ID
	Name        string
	Short       string // seven letters of the ID
	Twin        bool   // another one of this device's has the same name: show Short, or pictures of the ID, beside it
	Standing    Standing
	Role        ledger.Role // of this device; 0 unless it is in
	Members     []Member    // most senior first
	Removal     *Removal    // how this device was removed; nil unless it was
	Contest     bool        // Contest would bring this device back
	Unsaved     bool        // the recovery code is still on this computer, and so on no sheet yet
	Remind      bool        // it is time to say so again
	NeedsUpdate bool        // the ledger has entries that only a newer program understands; Members are the last known ones
	KeyMissing  bool        // the key in use is not here: ask a member for it
	Replaces    ID          // the workgroup this one continues; zero if none
	Founded     time.Time   // as the founder's clock said
}

// Member is a device that belongs. A value; readers may keep it.
type Member struct {
	ID         discovery.DeviceID
	Key        ledger.Key
	Name       string // given by an admin
	Person     ledger.Person
	PersonName string
	Role       ledger.Role
	Via        ledger.Via
	By         discovery.DeviceID // who let it in; its own for the founder
	Since      time.Time          // as that device's clock said
	Self       bool
}

// Removal says how this device was removed.
type Removal struct {
	By      discovery.DeviceID
	ByName  string // empty if the ledger has none
	Reason  ledger.Reason
	At      time.Time // as that device's clock said
	Hearsay bool      // an admin signed it, but what it rests on is not here
}

// Change is what followed from something. The zero value is that nothing did.
type Change struct {
	Workgroup ID
	Joined    []discovery.DeviceID // members now that were none before
	Gone      []discovery.DeviceID // members no more: their sessions in this workgroup are to be cut now
	Self      bool                 // standing or role of this device changed; if it is out, every session in this workgroup ends
	Announce  bool                 // tags and proofs are others now
	Ask       bool                 // the key in use is not here: ask a member that is in step for its keys
	Push      [][]byte             // entries for every connected member, parents first; not back to who sent them
}

// Any reports whether anything followed.
func (c Change) Any() bool {
	return len(c.Joined)+len(c.Gone)+len(c.Push) > 0 || c.Self || c.Announce || c.Ask
}

// Config says what a Book works with.
type Config struct {
	Self  ledger.Signer    // this device; *identity.Identity is one
	Store Store            // in memory only if nil
	Log   *slog.Logger     // nothing is logged if nil
	Now   func() time.Time // time.Now if nil; no decision about anybody's membership looks at it
	Rand  io.Reader        // crypto/rand.Reader if nil
}

// Book keeps this device's private workgroups. Safe for concurrent use; a change is on the disk when its call returns. Names given
// to it are to be in normal form C.
type Book struct {
	cfg  Config
	self ledger.Key
	id   discovery.DeviceID

	mu     sync.Mutex // guards the fields below, and all they lead to
	groups []*group   // the oldest first
	offers []offer
}

// New makes an empty book; Load fills it.
func New(cfg Config) *Book {
	if cfg.Store == nil {
		cfg.Store = NewMemory()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	self := ledger.KeyOf(cfg.Self.Public())
	return &Book{cfg: cfg, self: self, id: self.ID()}
}

// Load reads the book from the store. It is called once, before anything else. A workgroup whose ledger cannot be read is left
// out, stays in the store, and is named in the error; the others are there all the same.
func (b *Book) Load() error {
	all, err := b.cfg.Store.Workgroups()
	if err != nil {
		return fmt.Errorf("load the workgroups: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var bad []error
	for _, k := range all {
		g, err := b.revive(k)
		if err != nil {
			bad = append(bad, fmt.Errorf("load the workgroup %s: %w", k.ID, err))
			continue
		}
		b.groups = append(b.groups, g)
	}
	return errors.Join(bad...)
}

// Workgroups returns all, the oldest first.
func (b *Book) Workgroups() []Workgroup {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Workgroup, 0, len(b.groups))
	for _, g := range b.groups {
		out = append(out, b.show(g))
	}
	for i := range out {
		for j := range out {
			out[i].Twin = out[i].Twin || i != j && discovery.SameWorkgroup(out[i].Name, out[j].Name)
		}
	}
	return out
}

// Workgroup returns one; ErrUnknown if there is none.
func (b *Book) Workgroup(id ID) (Workgroup, error) {
	for _, w := range b.Workgroups() {
		if w.ID == id {
			return w, nil
		}
	}
	return Workgroup{}, ErrUnknown
}

// Common returns the workgroups that the device and this one are active members of, the oldest first.
func (b *Book) Common(device discovery.DeviceID) []ID {
	return b.where(func(g *group) bool { return b.common(g, device) })
}

// Synced returns those of Common in which the device is in step too: what it may be served from, now.
func (b *Book) Synced(device discovery.DeviceID) []ID {
	return b.where(func(g *group) bool { return g.synced[device] && b.common(g, device) })
}

// Member returns the active member of a workgroup.
func (b *Book) Member(id ID, device discovery.DeviceID) (Member, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.find(id)
	if err != nil {
		return Member{}, err
	}
	p, ok := g.graph.State().Member(device)
	if !ok {
		return Member{}, ErrNotMember
	}
	return b.member(p), nil
}

func (b *Book) where(ok func(*group) bool) (ids []ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, g := range b.groups {
		if ok(g) {
			ids = append(ids, g.kept.ID)
		}
	}
	return ids
}
