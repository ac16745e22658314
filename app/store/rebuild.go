package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"porchlight/discovery"
)

// Damage says what happened to a database that was found damaged when it was opened.
type Damage struct {
	Aside string   // where the damaged file was put
	Lost  []string // tables of which not every row could be read: "shares", "peers", "jobs"
	Cause error
}

// Damage returns what was lost; nil if the file was in order.
func (d *DB) Damage() *Damage { return d.lost }

// Health tells of a damaged database, in the service "store"; nil if the file was in order.
func (d *DB) Health() []discovery.Health {
	if d.lost == nil {
		return nil
	}
	lost := "nothing was lost"
	if len(d.lost.Lost) > 0 {
		lost = "lost at least in part: " + strings.Join(d.lost.Lost, ", ")
	}
	return []discovery.Health{{Service: "store", Trouble: fmt.Sprintf("the database was damaged (%s); the damaged file is %s", lost, d.lost.Aside)}}
}

// rebuild sets a damaged file aside and makes a new one of what can be read.
func rebuild(ctx context.Context, path string, cfg Config, steps []string, cause error) (*DB, error) {
	aside, err := setAside(path)
	if err != nil {
		return nil, errors.Join(cause, err)
	}
	d, err := openWhole(ctx, path, cfg, steps)
	if err != nil {
		return nil, errors.Join(cause, err)
	}
	d.lost = &Damage{Aside: aside, Cause: cause}
	old, err := sql.Open("sqlite", dsn(aside, "query_only(1)"))
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	defer old.Close()
	old.SetMaxOpenConns(1)
	for _, table := range []string{"shares", "peers", "jobs"} {
		if err := d.salvage(ctx, old, table); err != nil {
			d.lost.Lost = append(d.lost.Lost, table)
			d.log.Warn("table of the damaged database is lost in part", "table", table, "error", err)
		}
	}
	if err := d.renumber(ctx, old); err != nil {
		return nil, errors.Join(cause, err, d.Close())
	}
	d.log.Warn("database was damaged and made anew", "aside", aside, "lost", d.lost.Lost, "error", cause)
	return d, nil
}

// setAside renames the file and its journals, so that somebody may still look at them.
func setAside(path string) (string, error) {
	stamp := time.Now().UTC().Format("20060102-150405.000")
	aside := path + ".damaged-" + stamp
	for _, ext := range []string{"-wal", "-shm", "-journal", ""} { // the file last: until then the next start does this again
		if err := os.Rename(path+ext, aside+ext); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("set the damaged database aside: %w", err)
		}
	}
	return aside, nil
}

// salvage copies the rows of a table as far as they can be read. Rows after a damaged one are lost, those before it are not.
func (d *DB) salvage(ctx context.Context, old *sql.DB, table string) error {
	rows, err := old.QueryContext(ctx, "SELECT * FROM "+table)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values := make([]any, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = `"` + strings.ReplaceAll(c, `"`, `""`) + `"` // names out of a damaged file
	}
	insert := "INSERT OR REPLACE INTO " + table + " (" + strings.Join(quoted, ",") + ") VALUES (?" + strings.Repeat(",?", len(columns)-1) + ")"
	var lost error
	err = d.tx("copy "+table, func(tx *sql.Tx) error {
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				return err
			}
			for i, v := range values {
				if b, ok := v.([]byte); ok && b == nil {
					values[i] = []byte{} // the driver reads an empty blob as nil, and would write it as NULL
				}
			}
			if _, err := tx.ExecContext(ctx, insert, values...); err != nil {
				lost = err // a row that fits the schema no longer
			}
		}
		return nil
	})
	return errors.Join(err, lost, rows.Err())
}

// renumber makes sure that no job number is given out twice.
func (d *DB) renumber(ctx context.Context, old *sql.DB) error {
	const gap = 1000 // more pulls than anybody has in a list; those of the lost part are below
	var last int64
	err := old.QueryRowContext(ctx, "SELECT value FROM counters WHERE name='job'").Scan(&last)
	unsure := err != nil && !errors.Is(err, sql.ErrNoRows)
	return d.tx("number the jobs", func(tx *sql.Tx) error {
		var most int64
		if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM jobs").Scan(&most); err != nil {
			return err
		}
		if last = max(last, most); unsure {
			last += gap
		}
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO counters (name, value) VALUES ('job', ?)", last)
		return err
	})
}
