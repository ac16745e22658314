package pairing

import (
	"encoding/base32"
	"fmt"
	"io"
	"math"
	"net/netip"
	"strings"
)

// Code is what lets somebody in once: eight digits for a person to type, and 26 letters for a camera.
type Code struct {
	Digits string // 8; the first two are public, see Slot
	Secret string // 26 letters A-Z2-7: 128 random bits. Empty when only the digits are known
}

const (
	slots       = 100
	secrets     = 1_000_000 // of six digits
	secretBytes = 16
	maxText     = 512 // of what a person pastes
	maxAddrs    = 4   // in a QR code
)

// newCode makes a code whose slot is not taken, if there is one left.
func newCode(rand io.Reader, taken func(slot int) bool) (Code, error) {
	slot, err := uniform(rand, slots)
	if err != nil {
		return Code{}, err
	}
	for range slots {
		if taken == nil || !taken(slot) {
			break
		}
		slot = (slot + 1) % slots
	}
	six, err := uniform(rand, secrets)
	if err != nil {
		return Code{}, err
	}
	b, err := random(rand, secretBytes)
	if err != nil {
		return Code{}, err
	}
	return Code{fmt.Sprintf("%02d%06d", slot, six), letters().EncodeToString(b)}, nil
}

func letters() *base32.Encoding { return base32.StdEncoding.WithPadding(base32.NoPadding) }

// uniform returns a number below n, each as likely as the others.
func uniform(rand io.Reader, n uint32) (int, error) {
	for {
		b, err := random(rand, 4)
		if err != nil {
			return 0, err
		}
		v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		if v < math.MaxUint32-math.MaxUint32%n { // the rest would make small numbers likelier
			return int(v % n), nil
		}
	}
}

// Slot returns the first two digits. They are announced, so that the joiner finds the inviter; nothing else of a code ever is.
func (c Code) Slot() int { return int(c.Digits[0]-'0')*10 + int(c.Digits[1]-'0') }

// String returns the digits as they are shown: "27 · 482 913".
func (c Code) String() string { return c.Digits[:2] + " · " + c.Digits[2:5] + " " + c.Digits[5:] }

// prs returns the password of CPace, the letters if qr.
func (c Code) prs(qr bool) []byte {
	if qr {
		return []byte(c.Secret)
	}
	return []byte(c.Digits)
}

// QR returns the text of the QR code: three lines, made for two readers.
//
//	Porchlight 27 482 913
//	192.168.1.20:47470
//	ABCDEFGHIJKLMNOPQRSTUVWXYZ
//
// The camera of a phone, which has no Porchlight, shows digits and addresses, to be typed on the other computer. Where the whole
// text arrives (read by a camera there, or pasted), the joiner dials the addresses and uses the letters: 128 bits, which nobody
// guesses. The inviter's device ID is not in it, for the picture's sake: the exchange proves the ID anyway. At most four addresses.
func (c Code) QR(addrs []netip.AddrPort) string {
	lines := []string{"Porchlight " + c.Digits[:2] + " " + c.Digits[2:5] + " " + c.Digits[5:]}
	for _, a := range addrs[:min(len(addrs), maxAddrs)] {
		lines = append(lines, a.String())
	}
	return strings.Join(append(lines, c.Secret), "\n")
}

// ParseCode reads what a person typed or pasted: the digits, with spaces, dots and dashes as they like, or the text of QR.
// The addresses are where the inviter may be, and no more than a hint.
func ParseCode(text string) (c Code, addrs []netip.AddrPort, err error) {
	if len(text) > maxText {
		return c, nil, ErrCode
	}
	words := strings.Fields(text)
	if len(words) == 0 || !strings.EqualFold(words[0], "porchlight") {
		c.Digits = strings.Map(func(r rune) rune {
			if strings.ContainsRune(" \t\u00a0·.-", r) {
				return -1
			}
			return r
		}, strings.TrimSpace(text))
		return c, nil, c.check()
	}
	for _, w := range words[1:] {
		a, err := netip.ParseAddrPort(w)
		switch {
		case err == nil && len(addrs) < maxAddrs:
			addrs = append(addrs, a)
		case err == nil:
		case len(w) == 26 && c.Secret == "":
			c.Secret = strings.ToUpper(w)
		default:
			c.Digits += w
		}
	}
	return c, addrs, c.check()
}

// check says whether the digits are eight digits, and the letters 26 or none.
func (c Code) check() error {
	if len(c.Digits) != 8 || strings.Trim(c.Digits, "0123456789") != "" {
		return ErrCode
	}
	if b, err := letters().DecodeString(c.Secret); c.Secret != "" && (err != nil || len(b) != secretBytes) {
		return ErrCode
	}
	return nil
}
