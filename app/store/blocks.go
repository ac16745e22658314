package store

import (
	"database/sql"
	"slices"

	"porchlight/discovery"
)

// blocksSince is the schema that has blocked devices, and audiences of shares.
const blocksSince = 3

// Blocks are the devices that were blocked.
type Blocks struct{ db *DB }

// Blocks returns the part of the database that keeps blocked devices.
func (d *DB) Blocks() Blocks { return Blocks{d} }

// Blocks returns all, in the order of their IDs.
func (b Blocks) Blocks() ([]Block, error) {
	var all []Block
	err := b.db.rows("read the blocked devices", "SELECT id, name, since FROM blocked ORDER BY id", func(r *sql.Rows) error {
		var x Block
		var id []byte
		var since int64
		if err := r.Scan(&id, &x.Name, &since); err != nil {
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

// PutBlock keeps a block, replacing the one of its device.
func (b Blocks) PutBlock(x Block) error {
	return b.db.keepTwice("block", func(tx *sql.Tx) error { return putBlock(tx, x) })
}

func putBlock(tx *sql.Tx, x Block) error {
	_, err := tx.Exec("INSERT OR REPLACE INTO blocked (id, name, since) VALUES (?,?,?)", x.Device[:], x.Name, nanos(x.Since))
	return err
}

// DeleteBlock forgets a block; it is no error if there is none.
func (b Blocks) DeleteBlock(id discovery.DeviceID) error {
	return b.db.forgetTwice("block", "blocked", id[:], func(all *decided) {
		all.blocks = slices.DeleteFunc(all.blocks, func(x Block) bool { return x.Device == id })
	})
}
