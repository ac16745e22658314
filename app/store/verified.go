package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"porchlight/discovery"
)

// verifiedSince is the schema that has verified devices.
const verifiedSince = 4

// How says by what a device was verified.
type How uint8

// The numbers are kept on disk.
const (
	ByCode     How = 1 // people gave one another a code
	ByPictures How = 2 // people compared pictures
	ByQR       How = 3 // one computer read a code from the screen of the other
)

// Verification is one device whose key is known to be its own.
type Verification struct {
	Device discovery.DeviceID
	How    How
	Since  time.Time
}

// Verified are the devices that were verified.
type Verified struct{ db *DB }

// Verified returns the part of the database that keeps verified devices.
func (d *DB) Verified() Verified { return Verified{d} }

// Verified returns all, in the order of their IDs.
func (v Verified) Verified() ([]Verification, error) {
	var all []Verification
	err := v.db.rows("read the verified devices", "SELECT id, how, since FROM verified ORDER BY id", func(r *sql.Rows) error {
		var x Verification
		var id []byte
		var since int64
		if err := r.Scan(&id, &x.How, &since); err != nil {
			return err
		}
		if len(id) != len(x.Device) {
			return ErrDamaged
		}
		x.Device, x.Since = discovery.DeviceID(id), fromNanos(since)
		all = append(all, x)
		return nil
	})
	return all, err
}

// PutVerified keeps one, replacing that of its device.
func (v Verified) PutVerified(x Verification) error {
	v.db.second.Lock()
	defer v.db.second.Unlock()
	if err := v.db.tx("keep the verified device", func(tx *sql.Tx) error { return putVerified(tx, x) }); err != nil {
		return err
	}
	if err := v.db.mirrorNow(); err != nil {
		v.db.log.Warn("no second copy of the verified devices", "error", err) // the first one has it
	}
	return nil
}

func putVerified(tx *sql.Tx, x Verification) error {
	_, err := tx.Exec("INSERT OR REPLACE INTO verified (id, how, since) VALUES (?,?,?)", x.Device[:], x.How, nanos(x.Since))
	return err
}

// DeleteVerified forgets one; it is no error if there is none. The second copy forgets it first: a right that somebody took back
// must not come back with it.
func (v Verified) DeleteVerified(id discovery.DeviceID) error {
	v.db.second.Lock()
	defer v.db.second.Unlock()
	now, err := v.db.both()
	if err != nil {
		return err
	}
	now.verified = slices.DeleteFunc(now.verified, func(x Verification) bool { return x.Device == id })
	if err := v.db.mirror(now); err != nil {
		return fmt.Errorf("forget the verified device: %w", err)
	}
	return v.db.tx("forget the verified device", func(tx *sql.Tx) error {
		_, err := tx.Exec("DELETE FROM verified WHERE id=?", id[:])
		return err
	})
}

// fillVerified takes the verified devices out of the damaged database, when the second copy is of no use. A database from before
// anything could be verified has lost none.
func (d *DB) fillVerified(ctx context.Context, old *sql.DB, table string) error {
	if old == nil {
		return errNothing
	}
	lost := d.salvage(ctx, old, table)
	if at, err := version(ctx, old); err == nil && at > 0 && at < verifiedSince {
		return nil
	}
	return lost
}
