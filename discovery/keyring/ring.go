package keyring

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"porchlight/discovery/canon"
)

// Limits of a ring.
const (
	MaxKeys = 16                  // of one workgroup
	KeepFor = 90 * 24 * time.Hour // after a key went out of use: so long may a device sleep and still find its friends
	maxRing = 2048                // bytes of an encoded ring
)

// ErrRing says that bytes are not an encoded ring.
var ErrRing = errors.New("not a ring of discovery keys")

// Key is a secret with its epoch.
type Key struct {
	Epoch   uint32
	Secret  Secret
	Retired time.Time // when it went out of use here; zero for the one in use
}

// Ring is the discovery keys of one workgroup. One is announced with, all are recognised. The zero value is an empty ring.
// Not for use by several goroutines at once.
type Ring struct {
	keys []Key // ascending by epoch
}

// Learn adds keys that a member sent or this device made, if announced, which asks the ledger, knows their epoch: a key that it
// does not name would let anybody be recognised. They are out of use until Use says otherwise. It returns how many were new.
func (r *Ring) Learn(keys []Key, announced func(ID) (epoch uint32, ok bool), now time.Time) (added int) {
	for _, k := range keys {
		id := k.Secret.ID()
		epoch, ok := announced(id)
		if !ok || r.find(id) >= 0 {
			continue
		}
		r.keys = append(r.keys, Key{epoch, k.Secret, now})
		added++
	}
	slices.SortStableFunc(r.keys, func(a, b Key) int { return int(int64(a.Epoch) - int64(b.Epoch)) })
	r.expire(now)
	return added
}

// Use says which key the ledger has in use: the last that it announces. It returns false if that key is not here, and then
// another member must be asked for it; until then the one before stays in use.
func (r *Ring) Use(id ID, now time.Time) bool {
	at := r.find(id)
	if at < 0 {
		return false
	}
	for i := range r.keys {
		switch {
		case i == at:
			r.keys[i].Retired = time.Time{}
		case r.keys[i].Retired.IsZero():
			r.keys[i].Retired = now
		}
	}
	r.expire(now)
	return true
}

// InUse returns the key to announce with.
func (r *Ring) InUse() (Key, bool) {
	for _, k := range r.keys {
		if k.Retired.IsZero() {
			return k, true
		}
	}
	return Key{}, false
}

// Keys returns the keys by which others are recognised at now, ascending by epoch: what a member is given, too.
func (r *Ring) Keys(now time.Time) []Key {
	r.expire(now)
	return slices.Clone(r.keys)
}

// Marks reports whether an announcement with this label and these tags is of the workgroup.
func (r *Ring) Marks(label string, tags []Tag, now time.Time) bool {
	found := false
	for _, k := range r.Keys(now) {
		found = k.Secret.Marks(label, tags) || found
	}
	return found
}

// Proves returns the newest key that the other side of a connection has proved, if there is one. If it is not the one in use,
// that is the moment to hand over the newer ones, once the ledgers agree that the other side is a member.
func (r *Ring) Proves(exp [32]byte, by Side, proofs []Proof, now time.Time) (Key, bool) {
	var best Key
	found := false
	for _, k := range r.Keys(now) {
		if k.Secret.Proves(exp, by, proofs) {
			best, found = k, true
		}
	}
	return best, found
}

func (r *Ring) find(id ID) int {
	return slices.IndexFunc(r.keys, func(k Key) bool { return k.Secret.ID() == id })
}

// expire drops what is too old, and of too many the oldest epochs, never the key in use.
func (r *Ring) expire(now time.Time) {
	extra := len(r.keys) - MaxKeys
	r.keys = slices.DeleteFunc(r.keys, func(k Key) bool {
		if k.Retired.IsZero() {
			return false
		}
		extra--
		return extra >= 0 || now.Sub(k.Retired) >= KeepFor
	})
}

type wireKey struct {
	Epoch   uint32 `cbor:"e"`
	Secret  []byte `cbor:"k"`
	Retired int64  `cbor:"r,omitempty"` // Unix seconds
}

type wireRing struct {
	Keys []wireKey `cbor:"keys"`
}

// Encode writes keys for a member or for the disk. For a member it leaves out when they went out of use, which is its own affair.
func Encode(keys []Key, member bool) ([]byte, error) {
	var w wireRing
	for _, k := range keys {
		x := wireKey{Epoch: k.Epoch, Secret: k.Secret[:]}
		if !member && !k.Retired.IsZero() {
			x.Retired = k.Retired.Unix()
		}
		w.Keys = append(w.Keys, x)
	}
	b, err := canon.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encode discovery keys: %w", err)
	}
	return b, nil
}

// Decode reads what Encode wrote, or a member sent: at most MaxKeys.
func Decode(b []byte) ([]Key, error) {
	if len(b) > maxRing {
		return nil, ErrRing
	}
	var w wireRing
	if err := canon.UnmarshalOpen(b, &w); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRing, err)
	}
	if len(w.Keys) > MaxKeys {
		return nil, fmt.Errorf("%w: %d keys", ErrRing, len(w.Keys))
	}
	keys := make([]Key, 0, len(w.Keys))
	for _, x := range w.Keys {
		if len(x.Secret) != len(Secret{}) {
			return nil, fmt.Errorf("%w: a key of %d bytes", ErrRing, len(x.Secret))
		}
		k := Key{Epoch: x.Epoch, Secret: Secret(x.Secret)}
		if x.Retired != 0 {
			k.Retired = time.Unix(x.Retired, 0)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// Restore makes a ring of keys from the disk.
func Restore(keys []Key) *Ring {
	r := &Ring{keys: slices.Clone(keys)}
	slices.SortStableFunc(r.keys, func(a, b Key) int { return int(int64(a.Epoch) - int64(b.Epoch)) })
	return r
}
