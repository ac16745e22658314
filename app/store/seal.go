package store

import (
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// sealed is the counter that holds a digest of what the user decided. SQLite notices when its own structures are damaged, and
// nothing of what they hold: without it a disk that turns one bit would share another folder, or with somebody else.
const sealed = "decided"

// querier is a database or a transaction.
type querier interface {
	Query(query string, args ...any) (*sql.Rows, error)
	QueryRow(query string, args ...any) *sql.Row
}

// txDecided is tx for what changes the shares, the blocked or the verified devices.
func (d *DB) txDecided(what string, f func(*sql.Tx) error) error {
	return d.tx(what, func(tx *sql.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return seal(tx)
	})
}

// seal notes the digest of what is decided now.
func seal(tx *sql.Tx) error {
	sum, err := decisionsSum(tx)
	if err != nil {
		return err
	}
	_, err = tx.Exec("INSERT OR REPLACE INTO counters (name, value) VALUES (?,?)", sealed, sum)
	return err
}

// unsealed returns ErrDamaged if the decisions are not those of the digest, and whether there is one. What was never sealed is believed.
func unsealed(db querier) (known bool, err error) {
	var want int64
	err = db.QueryRow("SELECT value FROM counters WHERE name=?", sealed).Scan(&want)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	got, err := decisionsSum(db)
	if err == nil && got != want {
		err = fmt.Errorf("%w: what was decided is not what was written", ErrDamaged)
	}
	return true, err
}

// sealFirst seals a database that never was.
func (d *DB) sealFirst() error {
	known, err := unsealed(d.state)
	if known || err != nil {
		return err
	}
	return d.txDecided("seal what was decided", func(*sql.Tx) error { return nil })
}

// decisionsSum is a digest of every value of the tables, as far as a counter holds one.
func decisionsSum(db querier) (int64, error) {
	h := sha256.New()
	for _, table := range []string{"shares", "blocked", "verified"} {
		rows, err := db.Query("SELECT * FROM " + table + " ORDER BY rowid") // in the order of the key its values would come from the index
		if err != nil {
			return 0, err
		}
		columns, err := rows.Columns()
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		for err == nil && rows.Next() {
			if err = rows.Scan(into...); err == nil {
				fmt.Fprintf(h, "%s %#v\n", table, values)
			}
		}
		if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
			return 0, err
		}
	}
	return int64(binary.BigEndian.Uint64(h.Sum(nil)) & math.MaxInt64), nil
}
