package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"

	"porchlight/discovery"
	"porchlight/discovery/canon"
)

const (
	idDomain  = "porchlight ledger id v1\x00"
	sigDomain = "porchlight ledger entry v1\x00"
)

// Body is what an entry says. The number is its key in the CBOR map; a zero value is absent there, but for 6 and 7.
//
// Names are 1 to 64 bytes of UTF-8 as discovery.CheckName wants them. They should be in normal form C; that is for the writer
// to see to and no rule here, because its tables grow with every version of Unicode and a verdict must never change.
type Body struct {
	Workgroup  Hash     // 2, absent only in Genesis
	Kind       Kind     // 3
	Author     Key      // 4, set by Sign
	Prev       []Hash   // 5, the newest entries the author had, strictly ascending; absent only in Genesis
	Depth      uint32   // 6, 0 in Genesis, else one more than that of the deepest parent
	Time       int64    // 7, Unix seconds, for people to read; no rule looks at it
	Target     Key      // 8
	Role       Role     // 9
	Name       string   // 10, of the target; in Genesis, and in Rename without a target, of the workgroup
	Person     Person   // 11
	PersonName string   // 12
	Via        Via      // 13
	Recovery   Key      // 14
	Salt       [16]byte // 15
	Epoch      uint32   // 16
	KeyID      [16]byte // 17
	Reason     Reason   // 18
	Replaces   Hash     // 19, the workgroup this one continues
	Ext        []byte   // 20, ignored by version 1
}

// wireBody is Body as it is encoded. Lengths of byte strings are checked when it becomes a Body.
type wireBody struct {
	V          uint64   `cbor:"1,keyasint"`
	Workgroup  []byte   `cbor:"2,keyasint,omitempty"`
	Kind       uint64   `cbor:"3,keyasint"`
	Author     []byte   `cbor:"4,keyasint"`
	Prev       [][]byte `cbor:"5,keyasint,omitempty"`
	Depth      uint32   `cbor:"6,keyasint"`
	Time       int64    `cbor:"7,keyasint"`
	Target     []byte   `cbor:"8,keyasint,omitempty"`
	Role       uint8    `cbor:"9,keyasint,omitempty"`
	Name       string   `cbor:"10,keyasint,omitempty"`
	Person     []byte   `cbor:"11,keyasint,omitempty"`
	PersonName string   `cbor:"12,keyasint,omitempty"`
	Via        uint8    `cbor:"13,keyasint,omitempty"`
	Recovery   []byte   `cbor:"14,keyasint,omitempty"`
	Salt       []byte   `cbor:"15,keyasint,omitempty"`
	Epoch      uint32   `cbor:"16,keyasint,omitempty"`
	KeyID      []byte   `cbor:"17,keyasint,omitempty"`
	Reason     uint8    `cbor:"18,keyasint,omitempty"`
	Replaces   []byte   `cbor:"19,keyasint,omitempty"`
	Ext        []byte   `cbor:"20,keyasint,omitempty"`
}

type wireEntry struct {
	_    struct{} `cbor:",toarray"`
	Body []byte
	Sig  []byte
}

// Entry is one signed statement. It is made by Parse or Sign only, and never changed after that.
type Entry struct {
	Body
	id  Hash
	raw []byte
}

// ID returns the hash of the body: what others name as parent.
func (e *Entry) ID() Hash { return e.id }

// Raw returns the exact bytes for wire and disk. They must not be changed.
func (e *Entry) Raw() []byte { return e.raw }

// Signer signs for a device; *identity.Identity is one.
type Signer interface {
	Public() ed25519.PublicKey
	Sign(msg []byte) []byte
}

// Sign makes an entry of b, which s writes. It checks the form, not the rights: that does Graph.Insert.
func Sign(b Body, s Signer) (*Entry, error) {
	b.Author = KeyOf(s.Public())
	if err := b.check(); err != nil {
		return nil, err
	}
	body, err := canon.Marshal(b.wire())
	if err != nil {
		return nil, fmt.Errorf("encode ledger entry: %w", err)
	}
	raw, err := canon.Marshal(wireEntry{Body: body, Sig: s.Sign(append([]byte(sigDomain), body...))})
	if err != nil {
		return nil, fmt.Errorf("encode ledger entry: %w", err)
	}
	return Parse(raw)
}

// Parse reads one entry from wire or disk and checks everything that can be known without the others: size, form, signature,
// and which fields its kind has. An entry of a critical kind that is not known passes, for Graph.Insert to refuse with
// ErrUpdate: only there is known whether its author has any say.
func Parse(raw []byte) (*Entry, error) {
	if len(raw) > MaxEntry {
		return nil, ErrSize
	}
	var outer wireEntry
	if err := canon.Unmarshal(raw, &outer); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	again, err := canon.Marshal(outer)
	if err != nil || !bytes.Equal(again, raw) {
		return nil, ErrCanonical
	}
	w, err := parseBody(outer.Body)
	if err != nil {
		return nil, err
	}
	// After the decoding, without which the author is not known; before anything it says is looked at.
	if len(w.Author) != ed25519.PublicKeySize || len(outer.Sig) != ed25519.SignatureSize ||
		!ed25519.Verify(w.Author, append([]byte(sigDomain), outer.Body...), outer.Sig) {
		return nil, ErrSignature
	}
	if w.V != 1 {
		return nil, ErrVersion
	}
	b, err := w.body()
	if err != nil {
		return nil, err
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	return &Entry{Body: b, id: hashOf(outer.Body), raw: slices.Clone(raw)}, nil
}

// parseBody decodes strictly, but for what a newer program may have written: kinds and versions that are refused anyway.
func parseBody(body []byte) (*wireBody, error) {
	w := new(wireBody)
	if err := canon.Unmarshal(body, w); err != nil {
		newer := new(wireBody)
		if canon.UnmarshalOpen(body, newer) == nil && (newer.V != 1 || newer.Kind < 256 && Kind(newer.Kind).critical()) {
			return newer, nil
		}
		return nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	again, err := canon.Marshal(w)
	if err != nil || !bytes.Equal(again, body) {
		return nil, ErrCanonical
	}
	return w, nil
}

func hashOf(body []byte) Hash {
	h := sha256.New()
	h.Write([]byte(idDomain))
	h.Write(body)
	return Hash(h.Sum(nil))
}

// wire returns b for encoding.
func (b *Body) wire() wireBody {
	w := wireBody{
		V: 1, Workgroup: some(b.Workgroup[:]), Kind: uint64(b.Kind), Author: b.Author[:], Depth: b.Depth, Time: b.Time,
		Target: some(b.Target[:]), Role: uint8(b.Role), Name: b.Name, Person: some(b.Person[:]), PersonName: b.PersonName,
		Via: uint8(b.Via), Recovery: some(b.Recovery[:]), Salt: some(b.Salt[:]), Epoch: b.Epoch, KeyID: some(b.KeyID[:]),
		Reason: uint8(b.Reason), Replaces: some(b.Replaces[:]), Ext: b.Ext,
	}
	for i := range b.Prev {
		w.Prev = append(w.Prev, b.Prev[i][:])
	}
	return w
}

// some returns b, or nil if it is all zero.
func some(b []byte) []byte {
	if bytes.Count(b, []byte{0}) == len(b) {
		return nil
	}
	return b
}

// body checks the lengths, and that absent is written in one way only.
func (w *wireBody) body() (b Body, err error) {
	if w.Kind > 63 {
		return b, ErrKind
	}
	b = Body{
		Kind: Kind(w.Kind), Depth: w.Depth, Time: w.Time, Role: Role(w.Role), Name: w.Name, PersonName: w.PersonName,
		Via: Via(w.Via), Epoch: w.Epoch, Reason: Reason(w.Reason), Ext: w.Ext,
	}
	for _, f := range []struct{ to, from []byte }{
		{b.Workgroup[:], w.Workgroup}, {b.Author[:], w.Author}, {b.Target[:], w.Target}, {b.Person[:], w.Person},
		{b.Recovery[:], w.Recovery}, {b.Salt[:], w.Salt}, {b.KeyID[:], w.KeyID}, {b.Replaces[:], w.Replaces},
	} {
		if len(f.from) == 0 {
			continue
		}
		if len(f.from) != len(f.to) || some(f.from) == nil {
			return b, ErrForm
		}
		copy(f.to, f.from)
	}
	if len(w.Prev) > MaxParents {
		return b, ErrParents
	}
	for _, p := range w.Prev {
		if len(p) != len(Hash{}) {
			return b, ErrForm
		}
		b.Prev = append(b.Prev, Hash(p))
	}
	return b, nil
}

// fields is a set of keys of the CBOR map.
type fields uint32

func keys(list ...int) (f fields) {
	for _, k := range list {
		f |= 1 << k
	}
	return f
}

// allowed returns the fields that an entry of kind k must and may have, beside those every entry has.
func (k Kind) allowed() (must, may fields) {
	const links = 1<<2 | 1<<5
	switch {
	case k == Genesis:
		return keys(10, 11, 12, 14, 15), keys(13, 19, 20)
	case k == Admit:
		return links | keys(8, 9, 10, 11, 12), keys(13, 20)
	case k == SetRole:
		return links | keys(8, 9), keys(20)
	case k == Remove:
		return links | keys(8), keys(18, 20)
	case k == Rename:
		return links | keys(10), keys(8, 11, 12, 20)
	case k == NewDiscoveryKey:
		return links | keys(16, 17), keys(20)
	}
	return links, ^keys(14, 15, 19)
}

// has returns the fields of b that are there.
func (b *Body) has() (f fields) {
	w := b.wire()
	for _, x := range []struct {
		key int
		ok  bool
	}{
		{2, w.Workgroup != nil}, {5, len(w.Prev) > 0}, {8, w.Target != nil}, {9, w.Role != 0}, {10, w.Name != ""},
		{11, w.Person != nil}, {12, w.PersonName != ""}, {13, w.Via != 0}, {14, w.Recovery != nil}, {15, w.Salt != nil},
		{16, w.Epoch != 0}, {17, w.KeyID != nil}, {18, w.Reason != 0}, {19, w.Replaces != nil}, {20, len(w.Ext) > 0},
	} {
		if x.ok {
			f |= 1 << x.key
		}
	}
	return f
}

// check holds what can be said of an entry without its ancestors.
func (b *Body) check() error {
	if b.Kind == 0 || b.Kind > 63 {
		return ErrKind
	}
	if b.Kind == Genesis && (len(b.Prev) > 0 || b.Depth != 0 || b.Recovery == b.Author) {
		return fmt.Errorf("%w: genesis", ErrFields)
	}
	if b.Kind != Genesis && (len(b.Prev) == 0 || len(b.Prev) > MaxParents) {
		return ErrParents
	}
	for i := 1; i < len(b.Prev); i++ {
		if bytes.Compare(b.Prev[i-1][:], b.Prev[i][:]) >= 0 {
			return ErrOrder
		}
	}
	if b.Kind.critical() {
		return nil
	}
	must, may := b.Kind.allowed()
	if f := b.has(); f&must != must || f&^(must|may) != 0 {
		return ErrFields
	}
	if b.Role > Admin || len(b.Ext) > MaxExt ||
		b.Kind == Rename && (b.Person != Person{}) != (b.PersonName != "") ||
		b.Kind == Rename && b.Target == (Key{}) && b.PersonName != "" {
		return ErrFields
	}
	for _, name := range []string{b.Name, b.PersonName} {
		if name != "" && discovery.CheckName(name) != nil {
			return ErrName
		}
	}
	return nil
}
