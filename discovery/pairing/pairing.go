// Package pairing lets two people's devices meet safely: a one-time code, four pictures, or a QR code.
//
// It is pure: messages in, messages out, time and randomness given. Whoever uses it carries the messages, over a connection whose
// two ends are known by key, and hands in the Channel: with it everything here is bound to that one connection, so that a man in
// the middle, who has two connections with two keys of his own, gets nowhere.
//
// # Join by code
//
// One side makes an Invite and shows its eight digits: two that are announced, so that the right device is found, and six that are
// secret. The other types them. CPace (CPACE-X25519-SHA512, draft-irtf-cfrg-cpace-21) makes of them a key that both sides prove to
// have; who does not know the digits learns nothing but whether one guess was right.
//
//	sid = the exporter value of the connection; lv = every part with its length before it, as unsigned LEB128
//	CI  = lv("porchlight join v1", ID of the joiner, ID of the inviter)
//	PRS = the eight digits, or the 26 letters of the QR code
//	1  joiner → inviter  {ya, ada, qr}   ada = lv("joiner", its name); qr true if PRS are the letters
//	2  inviter → joiner  {yb, adb}       adb = lv("inviter"); from here on the run counts
//	3  joiner → inviter  {ta}            ta = HMAC-SHA512(SHA-512("CPaceMac" sid ISK), lv(ya, ada))
//	4  inviter → joiner  {tb}            tb = the same of lv(yb, adb), only if ta is right
//
// # Compare pictures
//
//	0  joiner → inviter  {purpose, name}
//	1  inviter → joiner  {c}             c = SHA-256("porchlight sas commit v1" 00 exp nB), nB 32 random bytes
//	2  joiner → inviter  {nA}            32 random bytes
//	3  inviter → joiner  {nB}            the joiner checks c
//	SAS = HKDF-SHA256(nA nB, salt exp, "porchlight sas v1" 00 ID of the inviter, ID of the joiner), 3 bytes
//
// Both sides show it as four of 64 pictures, or as seven digits, and two people say whether they are the same. What neither side
// could choose after it knew the other's number, a man in the middle gets equal on both connections once in 2²⁴ tries.
//
// # Vectors
//
// testdata/vectors.json lets another implementation check itself. It holds arrays of objects, bytes in hexadecimal: "join" (prs,
// exp, inviter, joiner, name, scalars a and b, generator, ISK, messages 1 to 4), "sas" (exp, inviter, joiner, nA, nB, messages 0
// to 3, sas, pictures, digits) and "qr" (text, digits, secret, addresses). go test -run Vectors -update writes the file anew.
package pairing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/canon"
)

// Limits. What counts, counts on the inviting side, which has something to lose.
const (
	MaxMessage  = 256 // bytes of one message
	MaxInviters = 4   // that announce a slot: a joiner tries so many, one after the other

	CodeLife   = 10 * time.Minute // of an Invite
	MaxRuns    = 3                // of an Invite, but for the one that succeeds
	RunEvery   = 2 * time.Second  // between runs of one source
	MaxInvites = 3                // in InviteSpan
	InviteSpan = 10 * time.Minute

	MaxCompares = 3 // in CompareSpan
	CompareSpan = 10 * time.Minute
	BlockedFor  = 10 * time.Minute // a device whose pictures differed
)

var (
	// ErrMessage says that a message is not what belongs here. The run is over.
	ErrMessage = errors.New("not an acceptable pairing message")
	// ErrTurn says that a message came out of turn, or a second time. The run is over.
	ErrTurn = errors.New("pairing message out of turn")
	// ErrProof says that the other side does not know the code, or that somebody stands in between. The run is over.
	ErrProof = errors.New("the other side does not prove that it has the code")
	// ErrOver says that an invitation does not hold any more: it is used, burned, withdrawn, or too old.
	ErrOver = errors.New("the invitation is over")
	// ErrOften says that something was tried again too soon.
	ErrOften = errors.New("too many tries")
	// ErrBlocked says that a device showed other pictures a short while ago.
	ErrBlocked = errors.New("this device showed other pictures")
	// ErrCode says that a text is neither eight digits nor what a QR code holds.
	ErrCode = errors.New("not an invitation code")
)

// Channel is the connection that a pairing is bound to. Both ends must be proven by key before.
type Channel struct {
	Exporter [32]byte // identity.Exporter
	Inviter  discovery.DeviceID
	Joiner   discovery.DeviceID
}

// prefixed returns b after its length.
func prefixed(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...) // unsigned LEB128
}

// lv joins parts, each after its length, so that no two lists give the same bytes (lv_cat of the draft).
func lv(parts ...[]byte) (out []byte) {
	for _, p := range parts {
		out = prefixed(out, p)
	}
	return out
}

// decode reads a message of at most MaxMessage bytes. Fields that are not known are ignored, as everywhere in the protocol.
func decode(in []byte, v any) error {
	if len(in) > MaxMessage {
		return fmt.Errorf("%w: %d bytes", ErrMessage, len(in))
	}
	if err := canon.UnmarshalOpen(in, v); err != nil {
		return fmt.Errorf("%w: %w", ErrMessage, err)
	}
	return nil
}

// encode writes a message.
func encode(v any) ([]byte, error) {
	out, err := canon.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode a pairing message: %w", err)
	}
	return out, nil
}

// random reads n bytes; r is crypto/rand.Reader outside tests.
func random(r io.Reader, n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	return b, nil
}
