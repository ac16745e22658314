package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/whole"
)

// Damage says what happened to a database that was found damaged, or gone, when it was opened.
type Damage struct {
	Aside string   // where the damaged file was put; "" if there was none
	Lost  []string // tables of which not every row could be read: "shares", "blocked", "verified", "workgroups", "peers", "jobs"
	Cause error
}

const asideMark = ".damaged-"

// Damage returns what was lost; nil if the file was in order.
func (d *DB) Damage() *Damage { return d.lost }

// Health tells of a damaged database, in the service "store", and of each part of it that is lost, in "store-" and the name
// of its table; nil if the file was in order.
func (d *DB) Health() []discovery.Health {
	if d.lost == nil {
		return nil
	}
	where := d.lost.Aside
	if where == "" {
		where = d.lost.Cause.Error()
	}
	out := []discovery.Health{{Service: "store", Trouble: where}}
	for _, table := range d.lost.Lost {
		out = append(out, discovery.Health{Service: "store-" + table, Trouble: where})
	}
	return out
}

// rebuild sets a damaged file aside and makes a new one of what can be read. The new one gets its name when all is in it:
// until then the next start does this again.
func rebuild(ctx context.Context, path string, cfg Config, steps []string, cause error) (*DB, error) {
	aside, err := setAside(path)
	if err != nil {
		return nil, errors.Join(cause, err)
	}
	lost := &Damage{Aside: aside, Cause: cause}
	fresh := path + ".new"
	for _, ext := range append(journals(), "") { // of an earlier try
		if err := os.RemoveAll(fresh + ext); err != nil {
			return nil, errors.Join(cause, err)
		}
	}
	d, err := openWhole(ctx, fresh, cfg, steps)
	if err == nil {
		lost.Lost, err = d.fill(ctx, path, aside)
		err = errors.Join(err, d.Close())
	}
	if err == nil {
		err = whole.OS{}.Rename(fresh, path)
	}
	if err == nil {
		err = whole.OS{}.SyncDir(filepath.Dir(path))
	}
	if err == nil {
		d, err = openWhole(ctx, path, cfg, steps)
	}
	if err != nil {
		return nil, errors.Join(cause, err)
	}
	d.lost = lost
	d.log.Warn("database was damaged and made anew", "aside", aside, "lost", lost.Lost, "error", cause)
	return d, nil
}

// setAside renames the file and its journals, so that somebody may still look at them. It returns where they are: where an
// earlier try put them if they are gone, and "" if there never were any.
func setAside(path string) (string, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return lastAside(path), nil
	}
	aside := path + asideMark + time.Now().UTC().Format("20060102-150405.000")
	for _, ext := range append(journals(), "") { // the file last: until then the next start does this again
		if err := (whole.OS{}).Rename(path+ext, aside+ext); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("set the damaged database aside: %w", access(err))
		}
	}
	return aside, nil
}

// lastAside returns the newest damaged database that lies beside path, "" if none does.
func lastAside(path string) string {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return ""
	}
	last := ""
	for _, e := range entries { // by name, and so by time
		name := e.Name()
		journal := slices.ContainsFunc(journals(), func(ext string) bool { return strings.HasSuffix(name, ext) })
		if strings.HasPrefix(name, filepath.Base(path)+asideMark) && !journal {
			last = filepath.Join(filepath.Dir(path), name)
		}
	}
	return last
}

// fill puts into a new database what can be read of the damaged one at aside, and the shares and workgroups as their second copies
// beside path have them. It returns the tables that are not whole.
func (d *DB) fill(ctx context.Context, path, aside string) (lost []string, err error) {
	var old *sql.DB
	if fi, err := os.Stat(aside); aside != "" && err == nil && fi.Mode().IsRegular() {
		if old, err = sql.Open("sqlite", dsn(aside, "query_only(1)")); err != nil {
			return nil, err
		}
		defer old.Close()
		old.SetMaxOpenConns(1)
	}
	tables := []string{"shares", "blocked", "verified", "workgroups", "peers", "jobs"}
	if err := d.fillShares(path); err == nil {
		tables = tables[3:]
	}
	for _, table := range tables {
		salvage := d.salvage
		switch table {
		case "workgroups":
			salvage = func(ctx context.Context, old *sql.DB, _ string) error { return d.fillGroups(ctx, path, old) }
		case "blocked":
			salvage = d.salvageSince(blocksSince)
		case "verified":
			salvage = d.salvageSince(verifiedSince)
		}
		if err := salvage(ctx, old, table); err != nil {
			lost = append(lost, table)
			d.log.Warn("table of the damaged database is lost in part", "table", table, "error", err)
		}
	}
	if err := d.sealFirst(); err != nil {
		return lost, err
	}
	return lost, d.renumber(ctx, old)
}

// salvageSince is salvage for a table that a schema brought: an older database has lost none of it.
func (d *DB) salvageSince(schema int) func(ctx context.Context, old *sql.DB, table string) error {
	return func(ctx context.Context, old *sql.DB, table string) error {
		if old == nil {
			return errNothing
		}
		lost := d.salvage(ctx, old, table)
		if at, err := version(ctx, old); err == nil && at > 0 && at < schema {
			return nil
		}
		return lost
	}
}

// fillShares takes the shares, the blocked and the verified devices from their second copy.
func (d *DB) fillShares(path string) error {
	all, _, err := readMirror(path)
	if err != nil {
		return err
	}
	return d.tx("copy the shares", func(tx *sql.Tx) error {
		for _, sh := range all.shares {
			if err := putShare(tx, sh); err != nil {
				return err
			}
		}
		for _, b := range all.blocks {
			if err := putBlock(tx, b); err != nil {
				return err
			}
		}
		for _, v := range all.verified {
			if err := putVerified(tx, v); err != nil {
				return err
			}
		}
		return nil
	})
}

// errNothing says that there is no file to read rows from.
var errNothing = errors.New("there is nothing to read them from")

// salvage copies the rows of a table as far as they can be read. Rows after a damaged one are lost, those before it are not.
func (d *DB) salvage(ctx context.Context, old *sql.DB, table string) error {
	if old == nil {
		return errNothing
	}
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
				lost = err
				break // what was read before it stays
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
	return errors.Join(err, lost, rows.Err(), d.weed(ctx, table))
}

// weed drops the rows that nothing can be made of, and says so.
func (d *DB) weed(ctx context.Context, table string) error {
	bad, err := d.unreadable(table)
	if err != nil || len(bad) == 0 {
		return err
	}
	return errors.Join(fmt.Errorf("%d rows cannot be read", len(bad)), d.tx("leave out rows", func(tx *sql.Tx) error {
		for _, id := range bad {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE id=?", id); err != nil {
				return err
			}
		}
		return nil
	}))
}

// renumber makes sure that no job number is given out twice.
func (d *DB) renumber(ctx context.Context, old *sql.DB) error {
	const gap = 1000 // more pulls than anybody has in a list; those of the lost part are below
	var last int64
	err := errNothing
	if old != nil {
		err = old.QueryRowContext(ctx, "SELECT value FROM counters WHERE name='job'").Scan(&last)
	}
	unsure := err != nil && !errors.Is(err, sql.ErrNoRows) || last < 0 || last > 1<<40
	if unsure {
		last = 0
	}
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
