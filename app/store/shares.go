package store

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"porchlight/share"
)

// Shares is what this device offers: the store of the catalogue.
type Shares struct{ db *DB }

// Shares returns the part of the database that keeps shares.
func (d *DB) Shares() Shares { return Shares{d} }

// Shares returns all shares, the oldest first.
func (s Shares) Shares() ([]share.Share, error) {
	var all []share.Share
	err := s.db.rows("read the shares", "SELECT id, kind, name, path, added, audience FROM shares ORDER BY added, id", func(r *sql.Rows) error {
		var sh share.Share
		var id, path, audience []byte
		var added int64
		if err := r.Scan(&id, &sh.Kind, &sh.Name, &path, &added, &audience); err != nil {
			return err
		}
		if len(id) != len(sh.ID) {
			return ErrDamaged
		}
		sh.ID, sh.Path, sh.Added = share.ID(id), string(path), fromNanos(added)
		decodeAudience(&sh, audience)
		all = append(all, sh)
		return nil
	})
	return all, err
}

// PutShare keeps a share, replacing the one of its ID. If that one was for others, the second copy hears of it first: nobody may
// get back with it what was taken from them.
func (s Shares) PutShare(sh share.Share) error {
	s.db.second.Lock()
	defer s.db.second.Unlock()
	was, err := s.db.both()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(was.shares, func(old share.Share) bool { return old.ID == sh.ID })
	if i >= 0 && (was.shares[i].Lost != sh.Lost || !slices.Equal(was.shares[i].Audience, sh.Audience)) {
		will := was
		will.shares = slices.Clone(was.shares)
		will.shares[i] = sh
		if err := s.db.mirror(will); err != nil {
			return fmt.Errorf("keep for whom the share is: %w", err)
		}
	}
	if err := s.db.txDecided("keep the share", func(tx *sql.Tx) error { return putShare(tx, sh) }); err != nil {
		return errors.Join(err, s.db.mirror(was))
	}
	if err := s.db.mirrorNow(); err != nil {
		s.db.log.Warn("no second copy of the shares", "error", err) // the first one has it
	}
	return nil
}

func putShare(tx *sql.Tx, sh share.Share) error {
	audience, err := encodeAudience(sh)
	if err != nil {
		return err
	}
	_, err = tx.Exec("INSERT OR REPLACE INTO shares (id, kind, name, path, added, audience) VALUES (?,?,?,?,?,?)",
		sh.ID[:], sh.Kind, sh.Name, []byte(sh.Path), nanos(sh.Added), audience)
	return err
}

// DeleteShare forgets a share; it is no error if there is none.
func (s Shares) DeleteShare(id share.ID) error {
	return s.db.forgetTwice("share", "shares", id[:], func(all *decided) {
		all.shares = slices.DeleteFunc(all.shares, func(sh share.Share) bool { return sh.ID == id })
	})
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
