package store

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"porchlight/discovery/keyring"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
)

// Workgroups is the private workgroups of this device: the store of workgroup.
type Workgroups struct{ db *DB }

// Workgroups returns the part of the database that keeps workgroups.
func (d *DB) Workgroups() Workgroups { return Workgroups{d} }

// groupBody is what is kept of a workgroup beside its entries. It holds secrets.
type groupBody struct {
	Keys     []byte   `json:"keys"` // as keyring.Encode writes them
	Recovery []byte   `json:"recovery,omitempty"`
	Remind   int64    `json:"remind,omitempty"` // nanoseconds since 1970, as everywhere here
	Joined   int64    `json:"joined,omitempty"`
	Left     bool     `json:"left,omitempty"`
	Declined [][]byte `json:"declined,omitempty"`
}

func bodyOf(k workgroup.Kept) (b groupBody, err error) {
	b = groupBody{Remind: nanos(k.Remind), Joined: nanos(k.Joined), Left: k.Left}
	if k.Recovery != nil {
		b.Recovery = k.Recovery[:]
	}
	for _, id := range k.Declined {
		b.Declined = append(b.Declined, id[:])
	}
	b.Keys, err = keyring.Encode(k.Keys, false)
	return b, err
}

// put sets everything of k that b has. It returns ErrDamaged if there is anything wrong.
func (b groupBody) put(k *workgroup.Kept) (err error) {
	if k.Keys, err = keyring.Decode(b.Keys); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	k.Remind, k.Joined, k.Left = fromNanos(b.Remind), fromNanos(b.Joined), b.Left
	switch len(b.Recovery) {
	case 0:
	case len(ledger.RecoveryCode{}):
		code := ledger.RecoveryCode(b.Recovery)
		k.Recovery = &code
	default:
		return ErrDamaged
	}
	for _, id := range b.Declined {
		if len(id) != len(workgroup.ID{}) {
			return ErrDamaged
		}
		k.Declined = append(k.Declined, workgroup.ID(id))
	}
	return nil
}

// Workgroups returns all, the oldest first, with their entries in the order they were added.
func (w Workgroups) Workgroups() ([]workgroup.Kept, error) {
	all, bad, err := w.read()
	if err == nil && len(bad) > 0 {
		err = fmt.Errorf("read the workgroups: %w: %d rows cannot be read", ErrDamaged, len(bad))
	}
	return all, err
}

func (w Workgroups) read() (all []workgroup.Kept, bad []any, err error) {
	return scanGroups(w.db.state)
}

// scanGroups returns the workgroups as far as they can be read, and the IDs of those that are not whole. Each row has a digest: a
// ledger with one wrong bit would be refused altogether, and a wrong key would be noticed by nobody but the neighbours.
func scanGroups(db *sql.DB) (all []workgroup.Kept, bad []any, err error) {
	at := map[workgroup.ID]int{}
	err = rowsOf(db, "read the workgroups", "SELECT id, body, sum FROM workgroups", func(r *sql.Rows) error {
		var id, body, sum []byte
		if err := r.Scan(&id, &body, &sum); err != nil {
			return err
		}
		var k workgroup.Kept
		var b groupBody
		if len(id) != len(k.ID) || !bytes.Equal(sum, digest(id, body)) || json.Unmarshal(body, &b) != nil || b.put(&k) != nil {
			bad = append(bad, id)
			return nil //nolint:nilerr // one bad row must not hide the others
		}
		k.ID = workgroup.ID(id)
		at[k.ID] = len(all)
		all = append(all, k)
		return nil
	})
	spoilt := map[workgroup.ID]bool{}
	err = errors.Join(err, rowsOf(db, "read the ledgers", "SELECT workgroup, raw, sum FROM entries ORDER BY seq", func(r *sql.Rows) error {
		var id, raw, sum []byte
		if err := r.Scan(&id, &raw, &sum); err != nil {
			return err
		}
		i, known := 0, false
		if len(id) == len(workgroup.ID{}) {
			i, known = at[workgroup.ID(id)]
		}
		switch {
		case !known:
		case !bytes.Equal(sum, digest(id, raw)):
			spoilt[all[i].ID] = true
		case !spoilt[all[i].ID]: // what comes after a lost entry rests on it; members have them all
			all[i].Entries = append(all[i].Entries, raw)
		}
		return nil
	}))
	for _, k := range all {
		if len(k.Entries) == 0 || spoilt[k.ID] {
			bad = append(bad, k.ID[:])
		}
	}
	slices.SortFunc(all, func(a, b workgroup.Kept) int {
		if c := a.Joined.Compare(b.Joined); c != 0 {
			return c
		}
		return slices.Compare(a.ID[:], b.ID[:])
	})
	return all, bad, err
}

// digest tells a damaged row from a whole one.
func digest(parts ...[]byte) []byte {
	sum := sha256.Sum256(bytes.Join(parts, nil))
	return sum[:16]
}

// PutWorkgroup keeps a workgroup and adds the entries of k to those it has.
func (w Workgroups) PutWorkgroup(k workgroup.Kept) error {
	w.db.second.Lock()
	defer w.db.second.Unlock()
	if err := w.db.overwrite(); err != nil {
		return err
	}
	erased := false
	err := w.db.tx("keep the workgroup", func(tx *sql.Tx) (err error) {
		if erased, err = erases(tx, k); err != nil {
			return err
		}
		return putGroup(tx, k)
	})
	if err == nil && erased {
		err = w.db.settle()
	}
	if err != nil {
		return err
	}
	all, err := w.Workgroups()
	if err == nil {
		err = w.db.mirrorGroups(all)
	}
	if err != nil {
		w.db.log.Warn("no second copy of the workgroups", "error", err) // the first one has it
	}
	return nil
}

// erases reports whether the row of k has a secret that k has no more.
func erases(tx *sql.Tx, k workgroup.Kept) (bool, error) {
	var body []byte
	var b groupBody
	var was workgroup.Kept
	err := tx.QueryRow("SELECT body FROM workgroups WHERE id=?", k.ID[:]).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if json.Unmarshal(body, &b) != nil || b.put(&was) != nil {
		return true, nil //nolint:nilerr // whatever it was
	}
	lost := slices.ContainsFunc(was.Keys, func(old keyring.Key) bool {
		return !slices.ContainsFunc(k.Keys, func(x keyring.Key) bool { return x.Secret == old.Secret })
	})
	return lost || was.Recovery != nil && k.Recovery == nil, nil
}

func putGroup(tx *sql.Tx, k workgroup.Kept) error {
	b, err := bodyOf(k)
	if err != nil {
		return err
	}
	body, err := json.Marshal(b)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("INSERT OR REPLACE INTO workgroups (id, body, sum) VALUES (?,?,?)", k.ID[:], body, digest(k.ID[:], body)); err != nil {
		return err
	}
	for _, raw := range k.Entries {
		if _, err := tx.Exec("INSERT INTO entries (workgroup, raw, sum) VALUES (?,?,?)", k.ID[:], raw, digest(k.ID[:], raw)); err != nil {
			return err
		}
	}
	return nil
}

// DeleteWorkgroup forgets a workgroup; it is no error if there is none. The second copy forgets it first.
func (w Workgroups) DeleteWorkgroup(id workgroup.ID) error {
	w.db.second.Lock()
	defer w.db.second.Unlock()
	all, err := w.Workgroups()
	if err != nil {
		return err
	}
	if err := w.db.mirrorGroups(slices.DeleteFunc(all, func(k workgroup.Kept) bool { return k.ID == id })); err != nil {
		return fmt.Errorf("forget the workgroup: %w", err)
	}
	if err := w.db.overwrite(); err != nil {
		return err
	}
	err = w.db.tx("forget the workgroup", func(tx *sql.Tx) error {
		_, err := tx.Exec("DELETE FROM workgroups WHERE id=?", id[:])
		if err == nil {
			_, err = tx.Exec("DELETE FROM entries WHERE workgroup=?", id[:])
		}
		return err
	})
	return errors.Join(err, w.db.settle())
}

// overwrite makes SQLite write zeros where it deletes: a recovery code that was saved elsewhere must not be found here.
func (d *DB) overwrite() error {
	if _, err := d.state.Exec("PRAGMA secure_delete=1"); err != nil {
		return fmt.Errorf("erase what is deleted: %w", explain(err))
	}
	return nil
}

// settle empties the journal, where pages of before may be. Somebody who reads right now keeps it from that, until the next time.
func (d *DB) settle() error {
	d.write.Lock()
	defer d.write.Unlock()
	if _, err := d.state.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return fmt.Errorf("empty the journal: %w", explain(err))
	}
	return nil
}
