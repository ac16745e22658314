package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"

	"porchlight/discovery/whole"
	"porchlight/share"
)

const (
	mirrorSuffix = ".shares"
	mirrorTemp   = ".porchlight-shares-*"
	mirrorFormat = 1
	maxMirror    = 16 << 20 // bytes; 256 shares with the longest paths have some 2 MiB
)

// mirrored is the second copy of the shares: a file of its own, so that a damaged database takes no decision of the user
// with it. The digest tells a damaged one.
type mirrored struct {
	Format int             `json:"format"`
	Digest string          `json:"sha256"` // of the bytes of Shares
	Shares json.RawMessage `json:"shares"`
}

type mirroredShare struct {
	ID    share.ID   `json:"id"`
	Kind  share.Kind `json:"kind"`
	Name  string     `json:"name"`
	Path  []byte     `json:"path"` // names of files need not be UTF-8
	Added int64      `json:"added"`
}

// mirror writes the second copy. When it cannot be written the old one goes: it would bring back what was removed.
func (d *DB) mirror(all []share.Share) error {
	rows := make([]mirroredShare, len(all))
	for i, s := range all {
		rows[i] = mirroredShare{s.ID, s.Kind, s.Name, []byte(s.Path), nanos(s.Added)}
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	data, err := json.Marshal(mirrored{mirrorFormat, hex.EncodeToString(sum[:]), text})
	if err != nil {
		return err
	}
	path := d.path + mirrorSuffix
	if err := whole.Write(whole.OS{}, path, mirrorTemp, data); err != nil {
		if gone := os.Remove(path); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			return fmt.Errorf("second copy of the shares: %w", errors.Join(err, gone))
		}
		d.log.Warn("the second copy of the shares cannot be written", "error", err)
	}
	return nil
}

// mirrorAll makes the second copy say what the database says.
func (d *DB) mirrorAll() error {
	d.second.Lock()
	defer d.second.Unlock()
	all, err := d.Shares().Shares()
	if err != nil {
		return err
	}
	if old, err := readMirror(d.path); err == nil && (reflect.DeepEqual(old, all) || len(old)+len(all) == 0) {
		return nil
	}
	return d.mirror(all)
}

// readMirror returns the second copy of the shares of the database at path, the oldest first.
func readMirror(path string) ([]share.Share, error) {
	path += mirrorSuffix
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxMirror {
		return nil, fmt.Errorf("%s: %w", path, ErrDamaged)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var m mirrored
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrDamaged, err)
	}
	sum := sha256.Sum256(m.Shares)
	var rows []mirroredShare
	if m.Format != mirrorFormat || m.Digest != hex.EncodeToString(sum[:]) || json.Unmarshal(m.Shares, &rows) != nil {
		return nil, fmt.Errorf("%s: %w", path, ErrDamaged)
	}
	var all []share.Share
	for _, r := range rows {
		all = append(all, share.Share{ID: r.ID, Kind: r.Kind, Name: r.Name, Path: string(r.Path), Added: fromNanos(r.Added)})
	}
	return all, nil
}
