package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"porchlight/discovery"
	"porchlight/discovery/whole"
	"porchlight/share"
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
		`CREATE TABLE workgroups (
			id   BLOB PRIMARY KEY,
			body BLOB NOT NULL, -- JSON of groupBody: secrets
			sum  BLOB NOT NULL -- digest of id and body
		) STRICT;
		CREATE TABLE entries (
			seq       INTEGER PRIMARY KEY, -- parents stand before children
			workgroup BLOB NOT NULL,
			raw       BLOB NOT NULL, -- of its ledger
			sum       BLOB NOT NULL -- digest of workgroup and raw
		) STRICT;`,
		`ALTER TABLE shares ADD COLUMN audience BLOB NOT NULL DEFAULT X'6E6561726279'; -- "nearby"
		CREATE TABLE blocked (
			id    BLOB PRIMARY KEY,
			name  TEXT NOT NULL,
			since INTEGER NOT NULL
		) STRICT;`,
		`CREATE TABLE verified (
			id    BLOB PRIMARY KEY,
			how   INTEGER NOT NULL, -- store.How
			since INTEGER NOT NULL
		) STRICT;`,
	}
}

// groupsSince is the schema that has workgroups.
const groupsSince = 2

// decisions returns the tables of a schema that hold what nobody can find out again.
func decisions(schema int) []string {
	tables := []string{"shares", "peers", "jobs", "counters"}
	if schema >= groupsSince {
		tables = append(tables, "workgroups", "entries")
	}
	if schema >= blocksSince {
		tables = append(tables, "blocked")
	}
	if schema >= verifiedSince {
		tables = append(tables, "verified")
	}
	return tables
}

// errStep marks a step of the schema that does not work: the program is wrong, and not the file.
var errStep = errors.New("a step of the schema does not work")

// maxVersion is more steps than there will ever be: a number beyond is damage, and not the future.
const maxVersion = 10_000

// migrate refuses what it must not touch, and otherwise runs the missing steps, each in a transaction of its own, after a
// copy. A power cut between two of them leaves a schema from which the next start goes on.
func (d *DB) migrate(ctx context.Context, steps []string) error {
	at, err := version(ctx, d.state)
	if err != nil {
		return err
	}
	if at < 0 || at > maxVersion {
		return fmt.Errorf("%w: schema %d", ErrDamaged, at)
	}
	if at > len(steps) {
		return fmt.Errorf("%w: schema %d, known up to %d", ErrNewer, at, len(steps))
	}
	if err := check(ctx, d.state, at); err != nil {
		return err
	}
	if at >= verifiedSince { // it has all that is sealed
		if _, err := unsealed(d.state); err != nil {
			return err
		}
	}
	if at > 0 && at < len(steps) {
		if err := d.backup(ctx, at); err != nil {
			return fmt.Errorf("copy before the migration: %w", err)
		}
		d.log.Info("database is brought up to date", "from", at, "to", len(steps))
	}
	for ; at < len(steps); at++ {
		if err := d.step(ctx, steps[at], at+1); err != nil {
			return fmt.Errorf("migrate to schema %d: %w", at+1, err)
		}
	}
	return nil
}

func (d *DB) step(ctx context.Context, step string, to int) error {
	tx, err := d.state.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing after the commit
	if _, err := tx.ExecContext(ctx, step); err != nil {
		return fmt.Errorf("%w: %w", errStep, err)
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM counters WHERE name=?", sealed); err != nil { // of tables that may have changed
		return fmt.Errorf("%w: %w", errStep, err)
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version=%d", to)); err != nil {
		return err
	}
	return tx.Commit()
}

func version(ctx context.Context, db *sql.DB) (v int, err error) {
	err = db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v)
	return v, err
}

// check looks for damage where it would lose decisions of the user. The piece hashes are left out: they are the bulk of the
// file, and content checks each one it uses. at is the schema the file says it has.
func check(ctx context.Context, db *sql.DB, at int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version=%d", at)) // a file that says of itself that it is not to be written would be noticed too late
	if err = errors.Join(err, tx.Rollback()); err != nil {
		return err
	}
	var tables int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	if at == 0 && tables == 0 {
		return nil
	}
	if at == 0 {
		return fmt.Errorf("%w: it has tables and no schema", ErrDamaged)
	}
	var result string
	for _, table := range decisions(at) {
		var n int
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE name=?", table).Scan(&n); err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%w: %s is gone", ErrDamaged, table)
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

// prove compares the schema with what the steps make of an empty file, and reads every row that decisions are in.
func (d *DB) prove(ctx context.Context, steps []string) error {
	plan, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return err
	}
	defer plan.Close()
	plan.SetMaxOpenConns(1) // each connection would have a memory of its own
	for _, step := range steps {
		if _, err := plan.ExecContext(ctx, step); err != nil {
			return fmt.Errorf("%w: %w", errStep, err)
		}
	}
	want, err := schema(ctx, plan)
	if err != nil {
		return err
	}
	got, err := schema(ctx, d.state)
	if err != nil {
		return err
	}
	if !slices.Equal(want, got) {
		return fmt.Errorf("%w: its schema is not the one of its number", ErrDamaged)
	}
	if _, err := unsealed(d.state); err != nil {
		return err
	}
	var n int
	if err := d.state.QueryRowContext(ctx, "SELECT count(value) FROM counters WHERE value<0").Scan(&n); err != nil {
		return err
	}
	for _, table := range []string{"shares", "blocked", "verified", "workgroups", "peers", "jobs"} {
		bad, err := d.unreadable(table)
		if err != nil {
			return err
		}
		n += len(bad)
	}
	if n > 0 {
		return fmt.Errorf("%w: %d rows cannot be read", ErrDamaged, n)
	}
	return nil
}

// unreadable returns the keys of the rows of a table that nothing can be made of.
func (d *DB) unreadable(table string) (bad []any, err error) {
	switch table {
	case "peers":
		_, bad, err = d.Peers().read()
	case "jobs":
		_, bad, err = d.Jobs().read()
	case "workgroups":
		_, bad, err = d.Workgroups().read()
	case "shares", "blocked", "verified":
		length := len(discovery.DeviceID{})
		if table == "shares" {
			length = len(share.ID{})
		}
		err = d.rows("read "+table, fmt.Sprintf("SELECT id FROM %s WHERE length(id)<>%d", table, length), func(r *sql.Rows) error {
			var id []byte
			if err := r.Scan(&id); err != nil {
				return err
			}
			bad = append(bad, id)
			return nil
		})
	}
	return bad, err
}

// schema lists what defines the database, in one order; statistics somebody made with another program do not.
func schema(ctx context.Context, db *sql.DB) (out []string, err error) {
	rows, err := db.QueryContext(ctx, "SELECT type || ' ' || name || ' ' || tbl_name || ' ' || coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' ORDER BY name")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
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
	if err := (whole.OS{}).Rename(tmp, to); err != nil {
		return err
	}
	return whole.OS{}.SyncDir(filepath.Dir(to))
}
