// Package ledger is the signed, hash-linked, mergeable record of who belongs to a private workgroup; it is pure.
//
// # Entries
//
// An entry on the wire and on disk is the CBOR array [body, sig] of two byte strings. Its ID is
// SHA-256("porchlight ledger id v1" 00 body), its signature Ed25519 by the author over "porchlight ledger entry v1" 00 body.
// The ID of the genesis entry is the ID of the workgroup. The body is a map with the integer keys of Body, in the one
// deterministic form of CBOR (RFC 8949 §4.2.1): Parse writes it again and wants the same bytes.
//
// # The law
//
// Order: a stands before b if (depth, ID) is smaller. The group of an entry is the Admit (or Genesis) under which its author was
// active in the entry's own past; the recovery key has a group before all others. Seniority is the order of the groups.
//
// An entry is accepted, for ever, by what its own ancestors say: its author is the recovery key, or an admin, or a member
// removing itself; who is admitted is not active and not the recovery key; who is removed or given a role is active.
//
// An accepted entry of device p's group g is void if g itself is void, or if a ruling that is not void removes p, or takes its
// admin role (leaving stays possible), comes from a group senior to g, is not an ancestor of g, and does not have the entry among
// its ancestors: a ruling keeps what its author had seen. Void entries have no effect.
//
// A device is active if it has an Admit that is not void and has every Remove of it that is not void among its ancestors. Its
// role is that of the earliest such Admit, then of the last SetRole after it. Names and discovery keys are those of the last
// entries, in order, that are not void. So the state depends on the set of entries, never on how they arrived; it follows that
// a demotion by a senior keeps voiding what the device signs later, even after a new SetRole: remove and admit it instead.
//
// # Vectors
//
// testdata/vectors.json lets another implementation check itself. It holds arrays of objects: "devices" (seed, public, id,
// shown), "recovery" (bytes, shown, public), "entries" (name, fields, seed, body, id, sig, raw), "refused" (name, raw, why) and
// "states" (name, entries in order, members and void entries that follow from them). Bytes are hexadecimal.
// go test -run Vectors -update writes the file anew.
package ledger

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"time"

	"porchlight/discovery"
)

// Limits. They are part of the law: an entry beyond one is refused by everybody.
const (
	MaxEntry   = 2048   // bytes of one entry on the wire
	MaxParents = 16     // of one entry
	MaxEntries = 10_000 // of one workgroup
	MaxExt     = 1024   // bytes of Body.Ext
)

// Limits of one device's patience. Others may choose differently; the state stays the same.
const (
	MaxPending = 256              // entries of one peer that wait for a parent
	PendingFor = 60 * time.Second // how long they wait
	MaxHeld    = 64               // void entries of one author that nothing needs (see Graph.Trim)
)

// Why an entry is refused. Each is final but for ErrParent, ErrFull and ErrUpdate.
var (
	ErrSize      = errors.New("ledger entry is over its size")
	ErrForm      = errors.New("not a ledger entry")
	ErrCanonical = errors.New("ledger entry is not in the one deterministic form")
	ErrSignature = errors.New("ledger entry is not signed by its author")
	ErrVersion   = errors.New("ledger entry is of another version")
	ErrKind      = errors.New("ledger entry is of no kind")
	ErrUpdate    = errors.New("ledger entry is of a kind that only a newer program understands")
	ErrFields    = errors.New("ledger entry lacks a field or has one too many")
	ErrName      = errors.New("ledger entry has a name that cannot be used")
	ErrParents   = errors.New("ledger entry has too many parents, or none")
	ErrOrder     = errors.New("ledger entry has parents that are not in ascending order")
	ErrDepth     = errors.New("ledger entry has the wrong depth")
	ErrWorkgroup = errors.New("ledger entry is of another workgroup")
	ErrParent    = errors.New("ledger entry has a parent that is not here")
	ErrRight     = errors.New("ledger entry is beyond its author's rights")
	ErrTarget    = errors.New("ledger entry is about a device that it cannot be about")
	ErrFull      = errors.New("ledger is full")
	ErrPending   = errors.New("too many ledger entries of this peer wait for others")
)

// Hash is the ID of an entry, and of a workgroup.
type Hash [32]byte

// String returns 64 hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Prefix is the start of an entry's ID. It is enough to compare two ledgers, not to trust anything.
type Prefix [8]byte

// Prefix returns the first eight bytes.
func (h Hash) Prefix() Prefix { return Prefix(h[:8]) }

// Key is an Ed25519 public key: of a device, or the recovery key.
type Key [32]byte

// KeyOf returns pub as a Key; it panics if pub is not 32 bytes long, which no key of crypto/ed25519 is.
func KeyOf(pub ed25519.PublicKey) Key { return Key(pub) }

// ID returns the device ID of k.
func (k Key) ID() discovery.DeviceID { return discovery.IDOf(k[:]) }

// Person says whose device a device is: a random number that an admin gave to a person.
type Person [16]byte

// Kind says what an entry does. 7 to 31 are critical: who does not know them must not go on from there.
// 32 to 63 are harmless: stored, without effect. There are no others.
type Kind uint8

// The kinds of version 1.
const (
	Genesis         Kind = 1 // founds the workgroup; its author is the first admin
	Admit           Kind = 2
	SetRole         Kind = 3
	Remove          Kind = 4 // of its own author: leaving
	Rename          Kind = 5 // the target, or without one the workgroup
	NewDiscoveryKey Kind = 6
)

func (k Kind) critical() bool { return k >= 7 && k <= 31 }
func (k Kind) harmless() bool { return k >= 32 && k <= 63 }

// Role is what a member may do.
type Role uint8

// The roles. No other number is a role.
const (
	Member Role = 1
	Admin  Role = 2
)

// Via says how a device proved itself when it was admitted. For people to read; it decides nothing.
type Via uint8

// The ways.
const (
	ViaCode     Via = 1
	ViaPictures Via = 2
	ViaQR       Via = 3
	ViaRecovery Via = 4
	ViaFounder  Via = 5
)

// Reason says why a device was removed. For people to read; it decides nothing.
type Reason uint8

// The reasons.
const (
	Removed  Reason = 1
	Left     Reason = 2
	Lost     Reason = 3 // or stolen
	Replaced Reason = 4
)
