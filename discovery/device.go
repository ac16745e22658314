// Package discovery names the devices of a workgroup.
//
// It holds nouns and rules only: no I/O, no goroutines, standard library.
package discovery

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// DeviceID identifies one installation: SHA-256 of a domain string and its Ed25519 public key.
// Its shown form is 56 letters in eight groups of seven, with a check letter after each 13 (see String).
type DeviceID [32]byte

// ErrDeviceID says that a text is not the shown form of a device ID.
var ErrDeviceID = errors.New("not a device ID")

const deviceDomain = "porchlight device id v1\x00"

var base32Std = base32.StdEncoding.WithPadding(base32.NoPadding)

// IDOf returns the device ID of a public key.
func IDOf(pub ed25519.PublicKey) DeviceID {
	h := sha256.New()
	h.Write([]byte(deviceDomain))
	h.Write(pub)
	return DeviceID(h.Sum(nil))
}

// String returns the shown form, for example NQC4YIA-6B7NW5T-….
func (d DeviceID) String() string {
	raw := base32Std.EncodeToString(d[:])
	var full strings.Builder
	for i := 0; i < len(raw); i += 13 {
		full.WriteString(raw[i : i+13])
		full.WriteByte(CheckLetter(raw[i : i+13]))
	}
	s := full.String()
	groups := make([]string, 0, 8)
	for i := 0; i < len(s); i += 7 {
		groups = append(groups, s[i:i+7])
	}
	return strings.Join(groups, "-")
}

// Short returns the first seven letters. It tells devices of one name apart; it authenticates nothing.
func (d DeviceID) Short() string { return d.String()[:7] }

// IsZero reports whether d was never set.
func (d DeviceID) IsZero() bool { return d == DeviceID{} }

// MarshalText writes the shown form, so that JSON and settings are readable.
func (d DeviceID) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the shown form.
func (d *DeviceID) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDeviceID(string(b))
	return err
}

// Hex returns the ID as 64 hexadecimal digits, for logs and file names.
func (d DeviceID) Hex() string { return hex.EncodeToString(d[:]) }

// ParseDeviceID reads what a person typed: case, spaces and dashes do not matter, 0, 1 and 8 stand for O, I and B.
// A wrong check letter is reported with the number of its group.
func ParseDeviceID(s string) (DeviceID, error) {
	s = FoldIDText(s)
	if len(s) != 56 {
		return DeviceID{}, fmt.Errorf("%w: %d letters instead of 56", ErrDeviceID, len(s))
	}
	var raw strings.Builder
	for i := 0; i < 56; i += 14 {
		part := s[i : i+13]
		if strings.Trim(s[i:i+14], alphabet) != "" {
			return DeviceID{}, fmt.Errorf("%w: a letter in groups %d-%d is none of A-Z and 2-7", ErrDeviceID, i/7+1, i/7+2)
		}
		if CheckLetter(part) != s[i+13] {
			return DeviceID{}, fmt.Errorf("%w: a letter in groups %d-%d is mistyped", ErrDeviceID, i/7+1, i/7+2)
		}
		raw.WriteString(part)
	}
	b, err := base32Std.DecodeString(raw.String())
	if err != nil || len(b) != 32 {
		return DeviceID{}, ErrDeviceID
	}
	id := DeviceID(b)
	if got := strings.ReplaceAll(id.String(), "-", ""); got != s {
		return DeviceID{}, ErrDeviceID // the last letter carries unused bits; only one spelling is right
	}
	return id, nil
}

// FoldIDText undoes the ways people type a device ID or the start of one: upper case, 0→O, 1→I, 8→B, no spaces or dashes.
func FoldIDText(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '-', '\t':
			return -1
		case '0':
			return 'O'
		case '1':
			return 'I'
		case '8':
			return 'B'
		}
		return r
	}, strings.ToUpper(s))
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

// CheckLetter returns the letter that reveals a mistyped one in s, which is of A-Z and 2-7: Luhn mod 32 with factor 2 on the
// rightmost letter.
func CheckLetter(s string) byte {
	sum, factor := 0, 2
	for i := len(s) - 1; i >= 0; i-- {
		v := strings.IndexByte(alphabet, s[i]) * factor
		sum += v/32 + v%32
		factor = 3 - factor
	}
	return alphabet[(32-sum%32)%32]
}
