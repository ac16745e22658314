package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"porchlight/share"
	"porchlight/share/content"
)

// Layers is the piece hashes of files of this computer: the store of content. It keeps a bounded number; the oldest go first.
type Layers struct{ db *DB }

// Layers returns the part of the database that keeps piece hashes.
func (d *DB) Layers() Layers { return Layers{d} }

// Layer returns the layer of a version; false if there is none, or none that is whole.
func (l Layers) Layer(v share.Version) (content.Layer, bool, error) {
	var out content.Layer
	var root, pieces []byte
	err := l.db.cache.QueryRow("SELECT root, size, pieces FROM layers WHERE version=?", v[:]).Scan(&root, &out.Size, &pieces)
	if errors.Is(err, sql.ErrNoRows) || err == nil && (len(root) != len(out.Root) || len(pieces)%len(out.Root) != 0) {
		return content.Layer{}, false, nil
	}
	if err != nil {
		return content.Layer{}, false, fmt.Errorf("read piece hashes: %w", explain(err))
	}
	out.Root = content.Hash(root)
	for ; len(pieces) > 0; pieces = pieces[len(out.Root):] {
		out.Pieces = append(out.Pieces, content.Hash(pieces[:len(out.Root)]))
	}
	return out, true, nil
}

// PutLayer keeps a layer, replacing the one of its version.
func (l Layers) PutLayer(v share.Version, layer content.Layer) error {
	pieces := make([]byte, 0, len(layer.Pieces)*len(layer.Root)) // never nil: the column takes no NULL
	for _, h := range layer.Pieces {
		pieces = append(pieces, h[:]...)
	}
	return l.db.txOn(l.db.cache, "keep piece hashes", func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT OR REPLACE INTO layers (version, root, size, pieces) VALUES (?,?,?,?)", v[:], layer.Root[:], layer.Size, pieces)
		if err != nil {
			return err
		}
		return l.db.layers.added(tx, int64(len(pieces)))
	})
}

// layerCount bounds the table. It counts a replaced layer twice and finds out when it looks again, which it does before pruning.
type layerCount struct {
	maxRows     int
	maxBytes    int64
	rows, bytes int64
}

func (c *layerCount) start(ctx context.Context, db *sql.DB) error {
	if c.maxRows <= 0 {
		c.maxRows = 200_000 // the files of a large home; about 20 MB
	}
	if c.maxBytes <= 0 {
		c.maxBytes = 256 << 20
	}
	return db.QueryRowContext(ctx, "SELECT count(*), coalesce(sum(length(pieces)), 0) FROM layers").Scan(&c.rows, &c.bytes)
}

// added counts a new layer and drops the oldest when there are too many, down to nine tenths so that it is seldom.
func (c *layerCount) added(tx *sql.Tx, bytes int64) error {
	c.rows++
	c.bytes += bytes
	for c.rows > int64(c.maxRows) || c.bytes > c.maxBytes {
		if err := tx.QueryRow("SELECT count(*), coalesce(sum(length(pieces)), 0) FROM layers").Scan(&c.rows, &c.bytes); err != nil {
			return err
		}
		if c.rows == 0 || c.rows <= int64(c.maxRows) && c.bytes <= c.maxBytes {
			return nil
		}
		drop := max(c.rows-int64(c.maxRows)*9/10, c.rows/10, 1)
		if _, err := tx.Exec("DELETE FROM layers WHERE seq IN (SELECT seq FROM layers ORDER BY seq LIMIT ?)", drop); err != nil {
			return err
		}
		c.rows -= drop
		if err := tx.QueryRow("SELECT coalesce(sum(length(pieces)), 0) FROM layers").Scan(&c.bytes); err != nil {
			return err
		}
	}
	return nil
}
