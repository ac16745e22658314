// Package store keeps the engine's state in one embedded database.
//
// It is the only door to SQLite. Small types, one for each part of the engine, have the method sets of the Store
// interfaces declared in catalogue, workgroup, presence, content and download. All of them may be used by many goroutines; each call
// ends within the busy timeout plus the time of its own disk access, so none takes a context.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"porchlight/transfer"
)

var (
	// ErrNewer says that a newer version of the program made the database. Nothing in it was touched.
	ErrNewer = errors.New("the database was made by a newer version of Porchlight")
	// ErrDamaged says that the file, or a part of it, is not a whole database.
	ErrDamaged = errors.New("the database is damaged")
	// ErrNoAccess says that this user may not write the file, or not in its folder. Nothing in it was touched.
	ErrNoAccess = errors.New("the database may not be written")
)

// Config of a DB. The zero value works.
type Config struct {
	Log       *slog.Logger // nothing is logged if nil
	MaxLayers int          // rows of piece hashes kept; 200,000 if zero
	MaxPieces int64        // bytes of piece hashes kept; 256 MiB (the hashes of 8 TiB of files) if zero

	network func(dir string) bool // onNetwork but in tests
}

// DB is an open database.
type DB struct {
	path string
	log  *slog.Logger
	lost *Damage // nil unless the file was damaged when it was opened
	// state syncs each commit: a share somebody removed must not come back after a power cut.
	// cache does not: piece hashes are many, and lost ones are made again; progress of a job likewise.
	state, cache *sql.DB

	jobs   kept       // what the file has of the jobs
	write  sync.Mutex // held by each writer: SQLite has one, and would poll for its turn
	second sync.Mutex // held while shares or workgroups change, and their second copies
	layers layerCount // guarded by write
}

// Open opens the database at path and makes it if there is none, and brings an older schema up to date after copying the
// file to path.before-vN. It returns ErrNewer or ErrNoAccess for a file it must not touch. A damaged file is set aside, what
// can be read of it goes into a new one, shares, blocked devices and workgroups come from their second copies (path.shares, path.workgroups), and Health tells. The caller
// holds the lock of the home.
func Open(ctx context.Context, path string, cfg Config) (*DB, error) {
	return open(ctx, path, cfg, migrations())
}

// Used reports whether there was ever a database at path: it, a second copy of what is in it, or a damaged one.
func Used(path string) bool {
	if _, err := os.Lstat(path); err == nil {
		return true
	}
	return copied(path) || lastAside(path) != ""
}

// copied reports whether there is a second copy of anything.
func copied(path string) bool {
	for _, suffix := range []string{mirrorSuffix, groupsSuffix} {
		if _, err := os.Lstat(path + suffix); err == nil {
			return true
		}
	}
	return false
}

func open(ctx context.Context, path string, cfg Config, steps []string) (*DB, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.network == nil {
		cfg.network = onNetwork
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	var d *DB
	if err = missing(abs); err == nil {
		d, err = openWhole(ctx, abs, cfg, steps)
	}
	if errors.Is(err, ErrDamaged) {
		d, err = rebuild(ctx, abs, cfg, steps, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open the database %s: %w", abs, err)
	}
	if err := d.sealFirst(); err != nil {
		cfg.Log.Warn("what was decided is not sealed", "error", err)
	}
	if err := d.mirrorAll(); err != nil {
		cfg.Log.Warn("no second copy of the shares", "error", err)
	}
	if err := d.mirrorAllGroups(); err != nil {
		cfg.Log.Warn("no second copy of the workgroups", "error", err)
	}
	return d, nil
}

// missing returns ErrDamaged when something else lies in the place of the database, or nothing where there must be one: an
// empty file would pass for a new database, and everything in it be gone without a word.
func missing(path string) error {
	fi, err := os.Stat(path)
	switch {
	case err == nil && fi.IsDir():
		return fmt.Errorf("%w: a folder lies in its place", ErrDamaged)
	case err == nil && fi.Size() > 0:
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return access(err)
	}
	if copied(path) || lastAside(path) != "" {
		return fmt.Errorf("%w: it is gone, or empty", ErrDamaged)
	}
	return nil
}

// openWhole opens a file that is in order.
func openWhole(ctx context.Context, path string, cfg Config, steps []string) (_ *DB, err error) {
	if err := private(path); err != nil {
		return nil, err
	}
	d := &DB{path: path, log: cfg.Log, jobs: kept{of: map[transfer.JobID]keptJob{}}, layers: layerCount{maxRows: cfg.MaxLayers, maxBytes: cfg.MaxPieces}}
	defer func() {
		if err != nil {
			err = errors.Join(d.explain(err), d.Close())
		}
	}()
	mode := "WAL"
	if cfg.network(filepath.Dir(path)) {
		mode = "DELETE" // WAL needs memory shared by all who have the file open, which network file systems do not give
		if err := leaveWAL(ctx, path); err != nil {
			return nil, err
		}
	}
	if d.state, err = sql.Open("sqlite", dsn(path, "synchronous(FULL)")); err != nil {
		return nil, err
	}
	d.state.SetMaxOpenConns(1) // pragmas belong to the connection, and one is plenty for a few rows a second
	if err := d.migrate(ctx, steps); err != nil {
		return nil, err
	}
	if _, err := d.state.ExecContext(ctx, "PRAGMA journal_mode="+mode); err != nil {
		return nil, err
	}
	if err := d.prove(ctx, steps); err != nil {
		return nil, err
	}
	if d.cache, err = sql.Open("sqlite", dsn(path, "synchronous(NORMAL)")); err != nil {
		return nil, err
	}
	d.cache.SetMaxOpenConns(1)
	return d, d.layers.start(ctx, d.cache)
}

// leaveWAL takes a database of a home that was moved to a network file system out of the mode WAL, without the shared memory
// that mode otherwise needs: https://sqlite.org/wal.html#noshm. It does nothing to any other file.
func leaveWAL(ctx context.Context, path string) (err error) {
	const versions, wal = 18, 2 // of the header: https://sqlite.org/fileformat2.html#file_format_version_numbers
	var header [20]byte
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.ReadFull(f, header[:])
	if errors.Join(err, f.Close()) != nil || header[versions] != wal {
		return nil //nolint:nilerr // what is too short for a header is looked at later
	}
	db, err := sql.Open("sqlite", dsn(path, "locking_mode(EXCLUSIVE)"))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, "PRAGMA journal_mode=DELETE")
	return err
}

// kept remembers what the file has of the jobs. Safe for concurrent use.
type kept struct {
	mu sync.Mutex // guards the field below
	of map[transfer.JobID]keptJob
}

func (k *kept) get(id transfer.JobID) (keptJob, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	j, ok := k.of[id]
	return j, ok
}

func (k *kept) put(id transfer.JobID, j keptJob) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.of[id] = j
}

func (k *kept) drop(id transfer.JobID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.of, id)
}

// Close writes what is pending and closes the file.
func (d *DB) Close() error {
	var errs []error
	for _, db := range []*sql.DB{d.cache, d.state} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// Path returns where the database lies.
func (d *DB) Path() string { return d.path }

// dsn escapes the path: a home may have '?' or '#' in its name.
func dsn(path, sync string) string {
	p := filepath.ToSlash(path)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // C:/home
	}
	u := url.URL{Scheme: "file", Path: p, RawQuery: url.Values{
		"_pragma": {"busy_timeout(5000)", sync, "trusted_schema(0)"},
		"_txlock": {"immediate"},
	}.Encode()}
	return u.String()
}

// private makes the file with nobody else's access before SQLite would make it with the usual one.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return access(err)
	}
	return f.Close()
}

// access tells apart what this user may not do.
func access(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w: %w", ErrNoAccess, err)
	}
	return err
}

// tx runs f in one transaction of the state; its error undoes everything.
func (d *DB) tx(what string, f func(*sql.Tx) error) error { return d.txOn(d.state, what, f) }

func (d *DB) txOn(db *sql.DB, what string, f func(*sql.Tx) error) error {
	d.write.Lock()
	defer d.write.Unlock()
	t, err := db.Begin()
	if err != nil {
		return fmt.Errorf("%s: %w", what, explain(err))
	}
	if err := f(t); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", what, explain(err)), t.Rollback())
	}
	if err := t.Commit(); err != nil {
		return fmt.Errorf("%s: %w", what, explain(err))
	}
	return nil
}

// rows runs a query of the state and hands each row to scan.
func (d *DB) rows(what, query string, scan func(*sql.Rows) error) error {
	return rowsOf(d.state, what, query, scan)
}

func rowsOf(db *sql.DB, what, query string, scan func(*sql.Rows) error) error {
	rows, err := db.Query(query)
	if err != nil {
		return fmt.Errorf("%s: %w", what, explain(err))
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("%s: %w", what, explain(err))
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, explain(err))
	}
	return nil
}

// explain adds the meaning of SQLite's codes a caller decides on.
func explain(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: %w", transfer.ErrFull, err)
	}
	return err
}

// explain adds the meaning of what went wrong when the file was opened. Any disagreement with the statements is damage then:
// they are always the same, so it is the file that is not as they expect.
func (d *DB) explain(err error) error {
	var e *sqlite.Error
	if errors.Is(err, errStep) || !errors.As(err, &e) {
		return explain(err)
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		if e.Code() == sqlite3.SQLITE_READONLY || d.folderBeside() { // this process may write the file, so it is its header that says not to
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return fmt.Errorf("%w: %w", ErrNoAccess, err)
	}
	return explain(err)
}

// folderBeside reports whether a folder lies where SQLite wants a journal.
func (d *DB) folderBeside() bool {
	for _, ext := range journals() {
		if fi, err := os.Lstat(d.path + ext); err == nil && fi.IsDir() {
			return true
		}
	}
	return false
}

func journals() []string { return []string{"-wal", "-shm", "-journal"} }
