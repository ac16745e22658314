// Package keyring lets the members of a private workgroup recognise each other, and tells nobody else anything; it is pure.
//
// A workgroup has one secret of 32 bytes at a time. It is made anew with each removal, announced in the ledger by its ID, and
// handed over only inside connections to active members. From it come the tags of mDNS announcements, which only members can tell
// from random bytes, and the proofs in a hello, which show the other side no workgroup but those it is in itself. No clock is part
// of either. A copied tag makes members dial whoever copied it, who then fails to prove a key.
//
//	key ID = SHA-256("porchlight key id v1" 00 K), the first 16 bytes
//	tag    = HMAC-SHA256(K, "porchlight mdns tag v1" 00 label), the first 8 bytes; label is the mDNS instance, 16 letters
//	t=     = base64url, without padding, of 4 or 8 tags in random order, random bytes where there are fewer
//	proof  = HMAC-SHA256(K, "porchlight wg proof v1" 00 exp side), the first 16 bytes; side is 'c' at the TLS client, 's' at the server
//	hello  = 16 proofs in random order, random bytes where there are fewer
//
// # Vectors
//
// testdata/vectors.json lets another implementation check itself: objects with "key", "id", "label", "tag" (base64url), "exp",
// "client" and "server" (proofs), bytes in hexadecimal. go test -run Vectors -update writes the file anew.
package keyring

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// Limits.
const (
	MaxTags   = 8  // in one announcement; who is in more workgroups announces some of them, others after the next change of label
	MaxProofs = 16 // in one hello, always that many
	halfTags  = 4  // few workgroups are padded to this number
)

const (
	idDomain    = "porchlight key id v1\x00"
	tagDomain   = "porchlight mdns tag v1\x00"
	proofDomain = "porchlight wg proof v1\x00"
)

// ErrTags says that a text is not a list of tags.
var ErrTags = errors.New("not a list of workgroup tags")

type (
	// Secret is a workgroup's K.
	Secret [32]byte
	// ID names a secret without telling it.
	ID [16]byte
	// Tag marks an mDNS announcement.
	Tag [8]byte
	// Proof shows on one connection that its sender has the secret.
	Proof [16]byte
	// Side is the role of the sender in the TLS handshake.
	Side byte
)

// The sides. They make a proof worthless to the one who received it.
const (
	Client Side = 'c'
	Server Side = 's'
)

// NewSecret makes a secret; rand is crypto/rand.Reader outside tests.
func NewSecret(rand io.Reader) (s Secret, err error) {
	if _, err := io.ReadFull(rand, s[:]); err != nil {
		return s, fmt.Errorf("make a discovery key: %w", err)
	}
	return s, nil
}

// String keeps secrets out of logs.
func (Secret) String() string { return "(secret)" }

// GoString keeps secrets out of logs.
func (Secret) GoString() string { return "(secret)" }

// ID returns the name of s.
func (s Secret) ID() ID {
	h := sha256.New()
	h.Write([]byte(idDomain))
	h.Write(s[:])
	return ID(h.Sum(nil)[:len(ID{})])
}

func (s Secret) mac(parts ...[]byte) []byte {
	m := hmac.New(sha256.New, s[:])
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}

// Tag returns the tag of an announcement by its label, the instance name of 16 letters.
func (s Secret) Tag(label string) Tag {
	return Tag(s.mac([]byte(tagDomain), []byte(label))[:len(Tag{})])
}

// Proof returns the proof of the given side on the connection with exporter value exp.
func (s Secret) Proof(exp [32]byte, by Side) Proof {
	return Proof(s.mac([]byte(proofDomain), exp[:], []byte{byte(by)})[:len(Proof{})])
}

// Marks reports whether one of tags is that of label, in a time that does not tell which.
func (s Secret) Marks(label string, tags []Tag) bool {
	want := s.Tag(label)
	found := false
	for _, t := range tags {
		found = hmac.Equal(t[:], want[:]) || found
	}
	return found
}

// Proves reports whether one of proofs is that of the given side, in a time that does not tell which.
func (s Secret) Proves(exp [32]byte, by Side, proofs []Proof) bool {
	want := s.Proof(exp, by)
	found := false
	for _, p := range proofs {
		found = hmac.Equal(p[:], want[:]) || found
	}
	return found
}

// Announce returns the value of t= for the tags of this device's workgroups, empty for none: padded, and in random order, so that
// neither a place nor a number says anything. Of more than MaxTags, some are left out. rand is crypto/rand.Reader.
func Announce(tags []Tag, rand io.Reader) (string, error) {
	if len(tags) == 0 {
		return "", nil
	}
	slots := MaxTags
	if len(tags) <= halfTags {
		slots = halfTags
	}
	mixed, err := mix(tags, slots, rand)
	if err != nil {
		return "", err
	}
	var all []byte
	for _, t := range mixed {
		all = append(all, t[:]...)
	}
	return base64.RawURLEncoding.EncodeToString(all), nil
}

// ParseTags reads a neighbour's t=.
func ParseTags(text string) ([]Tag, error) {
	if len(text) > base64.RawURLEncoding.EncodedLen(MaxTags*len(Tag{})) {
		return nil, ErrTags
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if n := len(b) / len(Tag{}); err != nil || len(b)%len(Tag{}) != 0 || n != halfTags && n != MaxTags || strings.ContainsAny(text, "\r\n") {
		return nil, ErrTags // the decoder skips line breaks; here is one way to write a list
	}
	tags := make([]Tag, len(b)/len(Tag{}))
	for i := range tags {
		copy(tags[i][:], b[i*len(Tag{}):])
	}
	return tags, nil
}

// Fill returns what a hello carries: the proofs of this device, padded to MaxProofs and in random order. The server gives those
// of workgroups that the client has proved, and no others. rand is crypto/rand.Reader.
func Fill(proofs []Proof, rand io.Reader) ([]Proof, error) { return mix(proofs, MaxProofs, rand) }

// mix returns n values in random order: those given, or n of them, and random ones.
func mix[T Tag | Proof](given []T, n int, rand io.Reader) ([]T, error) {
	out := append(make([]T, 0, max(n, len(given))), given...)
	for len(out) < n {
		var v T
		b := make([]byte, len(v))
		if _, err := io.ReadFull(rand, b); err != nil {
			return nil, fmt.Errorf("read randomness: %w", err)
		}
		out = append(out, T(b))
	}
	for i := len(out) - 1; i > 0; i-- { // Fisher and Yates
		j, err := below(uint32(i+1), rand)
		if err != nil {
			return nil, err
		}
		out[i], out[j] = out[j], out[i]
	}
	return out[:n], nil
}

// below returns a number below n, each as likely as the others.
func below(n uint32, rand io.Reader) (uint32, error) {
	var b [4]byte
	for {
		if _, err := io.ReadFull(rand, b[:]); err != nil {
			return 0, fmt.Errorf("read randomness: %w", err)
		}
		v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		if v < math.MaxUint32-math.MaxUint32%n { // the rest would make small numbers likelier
			return v % n, nil
		}
	}
}
