package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"porchlight/discovery/whole"
	"porchlight/discovery/workgroup"
)

const (
	groupsSuffix    = ".workgroups"
	maxGroupEntries = 3 << 20   // bytes of entries of one workgroup in the second copy; 10,000 usual ones have 2.5 MB
	maxGroups       = 128 << 20 // bytes of the second copy
)

// groupsFile is the second copy of the workgroups. Without their keys, and the ledgers that say who this device is in them, they
// could be entered again by nobody but a member's kindness; and what one founded alone would be gone. Of a ledger beyond all
// measure only the older entries are in it: the others have the rest.
type groupsFile struct {
	Format int             `json:"format"`
	Digest string          `json:"sha256"` // of the bytes of Groups
	Groups json.RawMessage `json:"workgroups"`
}

type groupRow struct {
	ID []byte `json:"id"`
	groupBody
	Entries [][]byte `json:"entries"`
}

func encodeGroups(all []workgroup.Kept) ([]byte, error) {
	rows := make([]groupRow, len(all))
	for i, k := range all {
		b, err := bodyOf(k)
		if err != nil {
			return nil, err
		}
		rows[i] = groupRow{ID: k.ID[:], groupBody: b}
		size := 0
		for _, raw := range k.Entries {
			if size += len(raw); size > maxGroupEntries {
				break
			}
			rows[i].Entries = append(rows[i].Entries, raw)
		}
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	return json.Marshal(groupsFile{mirrorFormat, hex.EncodeToString(sum[:]), text})
}

// mirrorGroups writes the second copy, if it is another one. When it cannot be written the old one goes: it would bring back what
// was left, and codes that were erased.
func (d *DB) mirrorGroups(all []workgroup.Kept) error {
	data, err := encodeGroups(all)
	if err != nil {
		return err
	}
	path := d.path + groupsSuffix
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	if err := whole.Write(whole.OS{}, path, mirrorTemp, data); err != nil {
		if gone := os.Remove(path); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			return fmt.Errorf("second copy of the workgroups: %w", errors.Join(err, gone))
		}
		d.log.Warn("the second copy of the workgroups cannot be written", "error", err)
	}
	return nil
}

// mirrorAllGroups makes the second copy say what the database says.
func (d *DB) mirrorAllGroups() error {
	d.second.Lock()
	defer d.second.Unlock()
	all, err := d.Workgroups().Workgroups()
	if err != nil {
		return err
	}
	return d.mirrorGroups(all)
}

// readGroups returns the second copy of the workgroups of the database at path.
func readGroups(path string) ([]workgroup.Kept, error) {
	path += groupsSuffix
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxGroups {
		return nil, fmt.Errorf("%s: %w", path, ErrDamaged)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var f groupsFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrDamaged, err)
	}
	sum := sha256.Sum256(f.Groups)
	var rows []groupRow
	if f.Format != mirrorFormat || f.Digest != hex.EncodeToString(sum[:]) || json.Unmarshal(f.Groups, &rows) != nil {
		return nil, fmt.Errorf("%s: %w", path, ErrDamaged)
	}
	var all []workgroup.Kept
	for _, r := range rows {
		var k workgroup.Kept
		if len(r.ID) != len(k.ID) {
			return nil, fmt.Errorf("%s: %w", path, ErrDamaged)
		}
		k.ID, k.Entries = workgroup.ID(r.ID), r.Entries
		if err := r.put(&k); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, k)
	}
	return all, nil
}

// fillGroups puts the workgroups into a new database: from their second copy or, without one, as far as the rows of the damaged
// one go. Of a ledger the oldest entries are enough: members have the others. A database from before there were workgroups has
// lost none.
func (d *DB) fillGroups(ctx context.Context, path string, old *sql.DB) error {
	all, lost := readGroups(path)
	if lost != nil {
		if old == nil {
			return errNothing
		}
		if at, err := version(ctx, old); err == nil && at > 0 && at < groupsSince {
			return nil
		}
		var bad []any
		if all, bad, lost = scanGroups(old); lost == nil && len(bad) > 0 {
			lost = fmt.Errorf("%d rows cannot be read", len(bad))
		}
	}
	return errors.Join(lost, d.tx("copy the workgroups", func(tx *sql.Tx) error {
		for _, k := range all {
			if len(k.Entries) == 0 {
				continue // nothing says what it is
			}
			if err := putGroup(tx, k); err != nil {
				return err
			}
		}
		return nil
	}))
}
