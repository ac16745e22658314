package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// migrations returns the steps from an empty file to the schema of this version. Step i leads from user_version i to i+1.
// A step that was ever released is never changed; a change of the schema is a new step at the end.
func migrations() []string {
	return []string{
		`CREATE TABLE shares (
			id    BLOB PRIMARY KEY,
			kind  INTEGER NOT NULL,
			name  TEXT NOT NULL,
			path  BLOB NOT NULL, -- bytes: names of files need not be UTF-8
			added INTEGER NOT NULL -- times are nanoseconds since 1970, 0 for none
		) STRICT;
		CREATE TABLE peers (
			id         BLOB PRIMARY KEY,
			name       TEXT NOT NULL,
			first_name TEXT NOT NULL,
			workgroup  TEXT NOT NULL,
			addresses  TEXT NOT NULL, -- JSON array of "host:port", best first
			install    TEXT NOT NULL,
			caps       TEXT NOT NULL, -- JSON array
			first_seen INTEGER NOT NULL,
			last_seen  INTEGER NOT NULL,
			manual     INTEGER NOT NULL,
			version    TEXT NOT NULL,
			dial_back  INTEGER NOT NULL
		) STRICT;
		CREATE TABLE jobs (
			id      INTEGER PRIMARY KEY,
			request TEXT NOT NULL, -- JSON of transfer.Request but for its local path; apart, as it may be long and never changes
			into_   BLOB NOT NULL,
			body    TEXT NOT NULL, -- JSON of transfer.Job but for its request and its local path
			result  BLOB NOT NULL
		) STRICT;
		CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
		CREATE TABLE layers (
			seq     INTEGER PRIMARY KEY, -- the oldest go first
			version BLOB NOT NULL UNIQUE,
			root    BLOB NOT NULL,
			size    INTEGER NOT NULL,
			pieces  BLOB NOT NULL
		) STRICT;`,
	}
}

// migrate refuses what it must not touch, and otherwise runs the missing steps in one transaction, after a copy.
func (d *DB) migrate(ctx context.Context, steps []string) error {
	at, err := version(ctx, d.state)
	if err != nil {
		return err
	}
	if at > len(steps) {
		return fmt.Errorf("%w: schema %d, known up to %d", ErrNewer, at, len(steps))
	}
	if err := check(ctx, d.state); err != nil {
		return err
	}
	if at == len(steps) {
		return nil
	}
	if at > 0 {
		if err := d.backup(ctx, at); err != nil {
			return fmt.Errorf("copy before the migration: %w", err)
		}
		d.log.Info("database is brought up to date", "from", at, "to", len(steps))
	}
	tx, err := d.state.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing after the commit
	for i := at; i < len(steps); i++ {
		if _, err := tx.ExecContext(ctx, steps[i]); err != nil {
			return fmt.Errorf("migrate to schema %d: %w", i+1, err)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version=%d", len(steps))); err != nil {
		return err
	}
	return tx.Commit()
}

func version(ctx context.Context, db *sql.DB) (v int, err error) {
	err = db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v)
	return v, err
}

// check looks for damage where it would lose decisions of the user. The piece hashes are left out: they are the bulk of the
// file, and content checks each one it uses.
func check(ctx context.Context, db *sql.DB) error {
	var result string
	for _, table := range []string{"shares", "peers", "jobs", "counters"} {
		var n int
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE name=?", table).Scan(&n); err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		if err := db.QueryRowContext(ctx, "PRAGMA quick_check("+table+")").Scan(&result); err != nil {
			return err
		}
		if result != "ok" {
			return fmt.Errorf("%w: %s: %s", ErrDamaged, table, result)
		}
	}
	return nil
}

// backup copies the database as it is to path.before-vN, whole or not at all. A copy of an earlier try is replaced.
func (d *DB) backup(ctx context.Context, at int) error {
	to := fmt.Sprintf("%s.before-v%d", d.path, at+1)
	tmp := to + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := private(tmp); err != nil { // VACUUM INTO takes an empty file
		return err
	}
	if _, err := d.state.ExecContext(ctx, "VACUUM INTO ?", tmp); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	f, err := os.OpenFile(tmp, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Clean(to))
}
