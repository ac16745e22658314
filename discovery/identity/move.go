package identity

import (
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"porchlight/discovery/whole"
)

const (
	moveType  = "PORCHLIGHT IDENTITY" // of the file that carries an identity to another computer
	movedFile = "moved"               // that older versions left beside an imported key
	oldSuffix = ".replaced"
	maxMove   = 16 << 10 // bytes; such a file has some hundred
)

// ErrTaken says that a home has an identity of its own already.
var ErrTaken = errors.New("this home has an identity already")

// Export writes the identity of dir to file, which must not exist, for nobody but its owner to read. Whoever has the file is
// this device.
func Export(dir, file string) (*Identity, error) {
	i, err := Load(dir, false)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("export the identity: %w", err)
	}
	err = pem.Encode(f, &pem.Block{Type: moveType, Headers: map[string]string{"Device": i.id.String()}, Bytes: i.key.Seed()})
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("export the identity: %w", errors.Join(err, os.Remove(file)))
	}
	return i, nil
}

// Import makes dir the home of the identity that Export wrote. A key that is there already is ErrTaken, unless replace is
// true, or it is the same one; what is replaced stays beside the new one. The install value of the home is another one
// afterwards (Moved), so that neighbours see that the device has moved. No engine may run on the home.
func Import(dir, file string, replace bool) (*Identity, error) {
	data, err := readMove(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != moveType || len(block.Bytes) != ed25519.SeedSize {
		return nil, fmt.Errorf("%s: %w", file, ErrDamaged)
	}
	i, err := FromSeed(block.Bytes)
	if err != nil {
		return nil, err
	}
	if said := block.Headers["Device"]; said != "" && said != i.id.String() {
		return nil, fmt.Errorf("%s: %w", file, ErrDamaged)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the home: %w", err)
	}
	switch old, err := Load(dir, false); {
	case errors.Is(err, ErrMissing), err == nil && old.id == i.id:
	case !replace:
		return nil, errors.Join(ErrTaken, err)
	default:
		if err := putAside(whole.OS{}, dir); err != nil {
			return nil, err
		}
	}
	return i, keep(whole.OS{}, dir, block.Bytes)
}

// Renew makes dir the home of a new identity: for a computer that is a copy of another one. The old key stays beside the new
// one, as device.key.replaced; it may be damaged or gone. An engine that runs on the home goes on with the old one until it
// is told.
func Renew(dir string) (*Identity, error) { return renew(whole.OS{}, dir) }

func renew(disk whole.Disk, dir string) (*Identity, error) {
	if _, err := load(disk, dir, false); err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrMissing) {
		return nil, err
	}
	if err := putAside(disk, dir); err != nil {
		return nil, err
	}
	return create(disk, dir)
}

// putAside keeps a second of the key file, damaged or not, under another name. The key stays until another one replaces it: a
// power cut must not leave a home without one.
func putAside(disk whole.Disk, dir string) error {
	key := filepath.Join(dir, keyFile)
	data, err := os.ReadFile(key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = whole.Write(disk, key+oldSuffix, tempFile, data)
	}
	if err != nil {
		return fmt.Errorf("put the old identity aside: %w", err)
	}
	return nil
}

func readMove(file string) ([]byte, error) {
	fi, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("import the identity: %w", err)
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxMove {
		return nil, fmt.Errorf("%s: %w", file, ErrDamaged)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("import the identity: %w", err)
	}
	return data, nil
}

// Files lists the names of the files this package makes in a home; one is a pattern.
func Files() []string { return []string{keyFile, copyFile, keyFile + oldSuffix, movedFile, tempFile} }
