// Package identity holds this device's key and turns keys into device IDs.
package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/whole"
)

// Identity is the key of this installation and the certificate made from it. Safe for use by many goroutines.
type Identity struct {
	key  ed25519.PrivateKey
	cert tls.Certificate
	id   discovery.DeviceID
	back bool // the key came from its copy
}

var (
	// ErrMissing says that a home has data but no key: a new key would make this computer a stranger to everyone it knows.
	ErrMissing = errors.New("the key of this computer is missing")
	// ErrDamaged says that the key file does not hold a key.
	ErrDamaged = errors.New("the key of this computer is damaged")
)

const (
	keyFile  = "device.key"
	copyFile = keyFile + ".bak" // the same once more: who this computer is must not hang on one block of a disk
	tempFile = ".device-*"
	pemType  = "PORCHLIGHT DEVICE KEY"
)

// FromSeed makes the identity of a 32-byte Ed25519 seed.
func FromSeed(seed []byte) (*Identity, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, ErrDamaged
	}
	key := ed25519.NewKeyFromSeed(seed)
	cert, err := certificate(key)
	if err != nil {
		return nil, fmt.Errorf("make the certificate: %w", err)
	}
	return &Identity{key: key, cert: cert, id: discovery.IDOf(key.Public().(ed25519.PublicKey))}, nil
}

// Load reads the key kept in dir. If there is none and fresh is true (nothing else was stored for this home yet) it makes one;
// if fresh is false it returns ErrMissing. The file is private to the user (0600; on Windows also wrapped by DPAPI). Beside it
// lies a copy, which takes the place of a key that is damaged or gone: Restored tells. ErrDamaged says that both are damaged.
func Load(dir string, fresh bool) (*Identity, error) { return load(whole.OS{}, dir, fresh) }

func load(disk whole.Disk, dir string, fresh bool) (*Identity, error) {
	file := filepath.Join(dir, keyFile)
	seed, err := read(file)
	other, errCopy := read(filepath.Join(dir, copyFile))
	switch {
	case err == nil:
		if !bytes.Equal(seed, other) { // of a version that kept none, or of before this key
			_ = keepAs(disk, filepath.Join(dir, copyFile), seed) // a home that cannot be written has the key all the same
		}
		return FromSeed(seed)
	case !errors.Is(err, ErrDamaged) && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read the device key: %w", err)
	case errCopy == nil:
		if err := keepAs(disk, file, other); err != nil {
			return nil, err
		}
		i, err := FromSeed(other)
		if err == nil {
			i.back = true
		}
		return i, err
	case errors.Is(err, ErrDamaged):
		return nil, fmt.Errorf("%s: %w", file, err)
	case errors.Is(errCopy, ErrDamaged):
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, copyFile), errCopy)
	case !fresh:
		return nil, fmt.Errorf("%s: %w", file, ErrMissing)
	}
	return create(disk, dir)
}

// create makes a key.
func create(disk whole.Disk, dir string) (*Identity, error) {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed) // never fails since Go 1.24
	i, err := FromSeed(seed)
	if err != nil {
		return nil, err
	}
	return i, keep(disk, dir, seed)
}

// read returns the seed in a key file.
func read(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != pemType {
		return nil, ErrDamaged
	}
	seed, err := unwrap(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if len(seed) != ed25519.SeedSize {
		return nil, ErrDamaged
	}
	return seed, nil
}

// keep writes the key of a home and its copy; a power cut in between leaves the new key and the copy of the old one, which
// the next Load replaces.
func keep(disk whole.Disk, dir string, seed []byte) error {
	if err := keepAs(disk, filepath.Join(dir, keyFile), seed); err != nil {
		return err
	}
	return keepAs(disk, filepath.Join(dir, copyFile), seed)
}

func keepAs(disk whole.Disk, file string, seed []byte) error {
	wrapped, err := wrap(seed)
	if err != nil {
		return fmt.Errorf("protect the device key: %w", err)
	}
	if err := whole.Write(disk, file, tempFile, pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: wrapped})); err != nil {
		return fmt.Errorf("keep the device key: %w", err)
	}
	return nil
}

// Restored reports whether the key was damaged or gone when it was loaded, and its copy took its place.
func (i *Identity) Restored() bool { return i.back }

// ID returns the device ID.
func (i *Identity) ID() discovery.DeviceID { return i.id }

// Public returns the public key.
func (i *Identity) Public() ed25519.PublicKey { return i.key.Public().(ed25519.PublicKey) }

// Sign signs msg, which must begin with its domain string ("porchlight … v1\x00").
func (i *Identity) Sign(msg []byte) []byte { return ed25519.Sign(i.key, msg) }

// certificate wraps the key for TLS. Nothing in it but the key means anything, so it may be made anew at each start.
func certificate(key ed25519.PrivateKey) (tls.Certificate, error) {
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "porchlight"},
		NotBefore:    time.Unix(0, 0),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:     []string{"porchlight"},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
