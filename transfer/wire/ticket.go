package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/canon"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
)

const (
	manifestDomain = "porchlight manifest v1\x00"
	ticketDomain   = "porchlight ticket v1\x00"
	signedVersion  = 1 // of both
	algBLAKE3      = 1
)

// Policy says who but its origin may give content on.
type Policy uint8

// The policies. Either way it takes a ticket of the origin, and of a workgroup it takes that both are active in it.
const (
	PolicyTicket  Policy = 0 // the share is for some
	PolicyMembers Policy = 1 // the share is for everyone of the manifest's workgroup
)

// Signed is a message of one device that another one passes on. What is verified is these very bytes, never an encoding
// of what they say.
type Signed struct {
	Body []byte `cbor:"b"`
	Sig  []byte `cbor:"s"`
}

// Signer is a device's key; *identity.Identity is one.
type Signer interface {
	Public() ed25519.PublicKey
	// Sign signs msg, which begins with its domain.
	Sign(msg []byte) []byte
}

// Manifest is what the owner of a file states about its content, so that others may give it on.
type Manifest struct {
	Share  share.ID
	Path   share.Path
	Size   int64
	MTime  time.Time
	Root   content.Hash
	Policy Policy
	Group  [32]byte           // the private workgroup that it is for; zero for the open one
	Origin discovery.DeviceID // who signed it
	Made   time.Time
}

// manifestBody is the CBOR of a manifest, keys as in PROTOCOL.md.
type manifestBody struct {
	V      uint   `cbor:"1,keyasint"`
	Share  []byte `cbor:"2,keyasint"`
	Path   string `cbor:"3,keyasint"`
	Size   int64  `cbor:"4,keyasint"`
	MTime  int64  `cbor:"5,keyasint"`
	Alg    uint   `cbor:"6,keyasint"`
	Root   []byte `cbor:"7,keyasint"`
	Policy uint8  `cbor:"8,keyasint"`
	Group  []byte `cbor:"9,keyasint"`
	Origin []byte `cbor:"10,keyasint"`
	Made   int64  `cbor:"11,keyasint"`
	Exec   bool   `cbor:"12,keyasint"`
}

// SignManifest makes the manifest of a file of this device; Origin of m is not read.
func SignManifest(m Manifest, by Signer) (Signed, error) {
	return sign(manifestDomain, manifestBody{V: signedVersion, Share: m.Share[:], Path: string(m.Path), Size: m.Size, MTime: m.MTime.UnixNano(), Alg: algBLAKE3,
		Root: m.Root[:], Policy: uint8(m.Policy), Group: m.Group[:], Origin: by.Public(), Made: m.Made.UnixNano()}, by)
}

// OpenManifest verifies a manifest and returns what it says. transfer.ErrProtocol for anything that is not one.
func OpenManifest(s Signed) (Manifest, error) {
	var b manifestBody
	if err := open(manifestDomain, s, &b, func() []byte { return b.Origin }); err != nil {
		return Manifest{}, err
	}
	m := Manifest{Size: b.Size, MTime: time.Unix(0, b.MTime), Policy: Policy(b.Policy), Origin: discovery.IDOf(b.Origin), Made: time.Unix(0, b.Made)}
	if b.V != signedVersion || b.Alg != algBLAKE3 || len(b.Share) != len(m.Share) || len(b.Root) != len(m.Root) || len(b.Group) != 32 || b.Size < 0 {
		return Manifest{}, fmt.Errorf("%w: manifest", transfer.ErrProtocol)
	}
	if m.Group = [32]byte(b.Group); m.Policy > PolicyMembers || m.Policy == PolicyMembers && m.Group == [32]byte{} {
		return Manifest{}, fmt.Errorf("%w: policy of a manifest", transfer.ErrProtocol)
	}
	path, err := share.ParsePath(b.Path)
	if err != nil {
		return Manifest{}, fmt.Errorf("%w: manifest: %w", transfer.ErrProtocol, err)
	}
	m.Share, m.Path, m.Root = share.ID(b.Share), path, content.Hash(b.Root)
	return m, nil
}

// Ticket lets one device fetch one content from whoever has it of the same origin.
type Ticket struct {
	Root   content.Hash
	Holder discovery.DeviceID
	Origin discovery.DeviceID // who signed it
	Group  [32]byte           // the private workgroup that both have to be active in; zero for the open one
	Until  time.Time          // by the origin's clock, whole seconds
}

// ticketBody is the CBOR of a ticket. The device ID of its holder stands for the key, of which it is the hash.
type ticketBody struct {
	V      uint   `cbor:"1,keyasint"`
	Root   []byte `cbor:"2,keyasint"`
	Holder []byte `cbor:"3,keyasint"`
	Origin []byte `cbor:"4,keyasint"`
	Group  []byte `cbor:"5,keyasint"`
	Until  int64  `cbor:"6,keyasint"`
}

// SignTicket makes a ticket; Origin of t is not read.
func SignTicket(t Ticket, by Signer) (Signed, error) {
	return sign(ticketDomain, ticketBody{V: signedVersion, Root: t.Root[:], Holder: t.Holder[:], Origin: by.Public(), Group: t.Group[:], Until: t.Until.Unix()}, by)
}

// OpenTicket verifies a ticket and returns what it says, which Allows must still be asked about.
func OpenTicket(s Signed) (Ticket, error) {
	var b ticketBody
	if err := open(ticketDomain, s, &b, func() []byte { return b.Origin }); err != nil {
		return Ticket{}, err
	}
	t := Ticket{Origin: discovery.IDOf(b.Origin), Until: time.Unix(b.Until, 0)}
	if b.V != signedVersion || len(b.Root) != len(t.Root) || len(b.Holder) != len(t.Holder) || len(b.Group) != 32 {
		return Ticket{}, fmt.Errorf("%w: ticket", transfer.ErrProtocol)
	}
	t.Root, t.Holder, t.Group = content.Hash(b.Root), discovery.DeviceID(b.Holder), [32]byte(b.Group)
	return t, nil
}

// Names reports whether the ticket is about a content of an origin, for a device. When it is good is for Allows and Counts to say.
func (t Ticket) Names(holder, origin discovery.DeviceID, root content.Hash) bool {
	return t.Holder == holder && t.Origin == origin && t.Root == root
}

// Allows reports whether the ticket lets a device have the content of an origin at a time, by the origin's clock. One that would
// last longer than any origin makes them is worth nothing.
func (t Ticket) Allows(holder, origin discovery.DeviceID, root content.Hash, now time.Time) bool {
	return t.Names(holder, origin, root) && t.fresh(now)
}

func (t Ticket) fresh(now time.Time) bool {
	return now.Before(t.Until) && t.Until.Before(now.Add(TicketTime+TicketSlack))
}

// Counts reports whether a device that gives the content on takes the ticket now: as long as it is fresh, and for away after that
// if this device has not been in touch with the origin since it ran out. Who has the right still gets a new one from an origin that
// is there. now and met, when they were in touch last, are by the origin's clock.
func (t Ticket) Counts(now, met time.Time, away time.Duration) bool {
	return t.fresh(now) || !now.Before(t.Until) && !met.After(t.Until) && now.Sub(t.Until) < away
}

// Away is how long a ticket counts on when its origin is not there to be asked.
func (m Manifest) Away() time.Duration {
	if m.Policy == PolicyMembers {
		return TicketMembers
	}
	return TicketAway
}

func sign(domain string, body any, by Signer) (Signed, error) {
	b, err := canon.Marshal(body)
	if err != nil {
		return Signed{}, err
	}
	return Signed{Body: b, Sig: by.Sign(append([]byte(domain), b...))}, nil
}

// open decodes a signed body and verifies it with the key that it names itself; whose key that is, is for the caller to ask.
func open(domain string, s Signed, body any, key func() []byte) error {
	if len(s.Body) > MaxSigned || len(s.Sig) != ed25519.SignatureSize {
		return fmt.Errorf("%w: signed message", transfer.ErrProtocol)
	}
	if err := canon.Unmarshal(s.Body, body); err != nil {
		return fmt.Errorf("%w: %w", transfer.ErrProtocol, err)
	}
	k := key()
	if len(k) != ed25519.PublicKeySize || !ed25519.Verify(k, append([]byte(domain), s.Body...), s.Sig) {
		return fmt.Errorf("%w: signature", transfer.ErrProtocol)
	}
	if again, err := canon.Marshal(body); err != nil || !bytes.Equal(again, s.Body) {
		return fmt.Errorf("%w: not the one way to say it", transfer.ErrProtocol)
	}
	return nil
}

// Header writes a signed message as it stands in the header of a request.
func (s Signed) Header() string {
	e := base64.RawURLEncoding
	return e.EncodeToString(s.Body) + "." + e.EncodeToString(s.Sig)
}

// ParseHeader reads what Header wrote; it verifies nothing.
func ParseHeader(h string) (Signed, error) {
	body, sig, ok := strings.Cut(h, ".")
	if !ok || len(h) > MaxTicketHeader {
		return Signed{}, fmt.Errorf("%w: ticket", transfer.ErrProtocol)
	}
	e := base64.RawURLEncoding.Strict()
	b, err1 := e.DecodeString(body)
	s, err2 := e.DecodeString(sig)
	if err1 != nil || err2 != nil {
		return Signed{}, fmt.Errorf("%w: ticket", transfer.ErrProtocol)
	}
	out := Signed{Body: b, Sig: s}
	if out.Header() != h { // the decoder passes over line ends
		return Signed{}, fmt.Errorf("%w: ticket", transfer.ErrProtocol)
	}
	return out, nil
}
