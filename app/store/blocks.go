package store

import (
	"context"
	"database/sql"
	"fmt"
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
	b.db.second.Lock()
	defer b.db.second.Unlock()
	if err := b.db.tx("keep the block", func(tx *sql.Tx) error { return putBlock(tx, x) }); err != nil {
		return err
	}
	if err := b.db.mirrorNow(); err != nil {
		b.db.log.Warn("no second copy of the blocked devices", "error", err) // the first one has it
	}
	return nil
}

func putBlock(tx *sql.Tx, x Block) error {
	_, err := tx.Exec("INSERT OR REPLACE INTO blocked (id, name, since) VALUES (?,?,?)", x.Device[:], x.Name, nanos(x.Since))
	return err
}

// DeleteBlock forgets a block; it is no error if there is none.
func (b Blocks) DeleteBlock(id discovery.DeviceID) error {
	b.db.second.Lock()
	defer b.db.second.Unlock()
	now, err := b.db.both()
	if err != nil {
		return err
	}
	now.blocks = slices.DeleteFunc(now.blocks, func(x Block) bool { return x.Device == id })
	if err := b.db.mirror(now); err != nil {
		return fmt.Errorf("forget the block: %w", err)
	}
	return b.db.tx("forget the block", func(tx *sql.Tx) error {
		_, err := tx.Exec("DELETE FROM blocked WHERE id=?", id[:])
		return err
	})
}

// fillBlocks takes the blocked devices out of the damaged database, when the second copy is of no use. A database from before
// anything could be blocked has lost none.
func (d *DB) fillBlocks(ctx context.Context, old *sql.DB, table string) error {
	if old == nil {
		return errNothing
	}
	lost := d.salvage(ctx, old, table)
	if at, err := version(ctx, old); err == nil && at > 0 && at < blocksSince {
		return nil
	}
	return lost
}
