package store

import (
	"database/sql"
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
	return v.db.keepTwice("verified device", func(tx *sql.Tx) error { return putVerified(tx, x) })
}

func putVerified(tx *sql.Tx, x Verification) error {
	_, err := tx.Exec("INSERT OR REPLACE INTO verified (id, how, since) VALUES (?,?,?)", x.Device[:], x.How, nanos(x.Since))
	return err
}

// DeleteVerified forgets one; it is no error if there is none.
func (v Verified) DeleteVerified(id discovery.DeviceID) error {
	return v.db.forgetTwice("verified device", "verified", id[:], func(all *decided) {
		all.verified = slices.DeleteFunc(all.verified, func(x Verification) bool { return x.Device == id })
	})
}
