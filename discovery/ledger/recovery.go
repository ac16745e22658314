package ledger

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"strings"

	"porchlight/discovery"
)

// ErrRecovery says that a text is not a recovery code.
var ErrRecovery = errors.New("not a recovery code")

const (
	recoveryInfo   = "porchlight recovery v1"
	recoveryDomain = "porchlight recovery proof v1\x00"
	codeLetters    = 26 // base32 of 16 bytes
	halfLetters    = 13 // each followed by a check letter
)

// RecoveryCode is the secret on the recovery sheet: 16 random bytes, from which the recovery key of a workgroup is made. Whoever
// has it outranks every device.
type RecoveryCode [16]byte

// NewRecoveryCode makes one; rand is crypto/rand.Reader outside tests.
func NewRecoveryCode(rand io.Reader) (c RecoveryCode, err error) {
	if _, err := io.ReadFull(rand, c[:]); err != nil {
		return c, fmt.Errorf("make a recovery code: %w", err)
	}
	return c, nil
}

// String returns the shown form: 28 letters in four groups of seven, each 14th letter a check letter as in device IDs.
func (c RecoveryCode) String() string {
	raw := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(c[:])
	s := raw[:halfLetters] + string(discovery.CheckLetter(raw[:halfLetters])) + raw[halfLetters:] + string(discovery.CheckLetter(raw[halfLetters:]))
	return s[:7] + "-" + s[7:14] + "-" + s[14:21] + "-" + s[21:]
}

// ParseRecoveryCode reads what a person typed, with the same help as discovery.ParseDeviceID.
func ParseRecoveryCode(text string) (c RecoveryCode, err error) {
	s := discovery.FoldIDText(text)
	if len(s) != codeLetters+2 {
		return c, fmt.Errorf("%w: %d letters instead of %d", ErrRecovery, len(s), codeLetters+2)
	}
	raw := s[:halfLetters] + s[halfLetters+1:codeLetters+1]
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(raw)
	if err != nil || len(b) != len(c) {
		return c, fmt.Errorf("%w: a letter is none of A-Z and 2-7", ErrRecovery)
	}
	copy(c[:], b)
	if again := strings.ReplaceAll(c.String(), "-", ""); again != s {
		half := 1
		if again[:halfLetters+1] == s[:halfLetters+1] {
			half = 3
		}
		return RecoveryCode{}, fmt.Errorf("%w: a letter in groups %d-%d is mistyped", ErrRecovery, half, half+1)
	}
	return c, nil
}

// Key returns the key pair of the code: Ed25519 with the seed HKDF-SHA256(code, no salt, "porchlight recovery v1").
// The result signs entries; it is not to be kept.
func (c RecoveryCode) Key() (*RecoveryKey, error) {
	seed, err := hkdf.Key(sha256.New, c[:], nil, recoveryInfo, ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("derive the recovery key: %w", err)
	}
	return &RecoveryKey{ed25519.NewKeyFromSeed(seed)}, nil
}

// RecoveryKey is a Signer that outranks every device.
type RecoveryKey struct{ key ed25519.PrivateKey }

// Public returns the public key, as it stands in the genesis.
func (k *RecoveryKey) Public() ed25519.PublicKey { return k.key.Public().(ed25519.PublicKey) }

// Sign signs msg, which must begin with its domain string.
func (k *RecoveryKey) Sign(msg []byte) []byte { return ed25519.Sign(k.key, msg) }

// Prove shows the member at the other end of a connection, of which exp is the exporter value, that the code is here.
func (k *RecoveryKey) Prove(exp [32]byte) []byte {
	return k.Sign(append([]byte(recoveryDomain), exp[:]...))
}

// CheckRecoveryProof reports whether proof shows the recovery key of the workgroup on the connection with exporter value exp.
func (g *Graph) CheckRecoveryProof(exp [32]byte, proof []byte) bool {
	pub := g.Genesis().Recovery
	return len(proof) == ed25519.SignatureSize && ed25519.Verify(pub[:], append([]byte(recoveryDomain), exp[:]...), proof)
}
