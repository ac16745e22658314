package store

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"

	"porchlight/discovery"
	"porchlight/discovery/whole"
	"porchlight/share"
)

const (
	mirrorSuffix = ".shares"
	mirrorTemp   = ".porchlight-shares-*"
	mirrorFormat = 1        // of the second copy of the workgroups, and of that of the shares while they had no audiences
	blocksFormat = 2        // of that of the shares while there were no verified devices
	sharesFormat = 3        // of that of the shares
	maxMirror    = 16 << 20 // bytes; 256 shares with the longest paths and lists have some 6 MiB
)

// mirrored is the second copy of the shares, and of the blocked and the verified devices: a file of its own, so that a damaged database takes no
// decision of the user with it. The digest tells a damaged one.
type mirrored struct {
	Format int             `json:"format"`
	Digest string          `json:"sha256"` // of the bytes of Shares, and of those of Blocked and Verified after them
	Shares json.RawMessage `json:"shares"`

	Blocked  json.RawMessage `json:"blocked,omitempty"`
	Verified json.RawMessage `json:"verified,omitempty"`
}

type mirroredShare struct {
	ID       share.ID   `json:"id"`
	Kind     share.Kind `json:"kind"`
	Name     string     `json:"name"`
	Path     []byte     `json:"path"` // names of files need not be UTF-8
	Added    int64      `json:"added"`
	Audience []byte     `json:"audience"`
}

type mirroredBlock struct {
	ID    []byte `json:"id"`
	Name  string `json:"name"`
	Since int64  `json:"since"`
}

type mirroredVerification struct {
	ID    []byte `json:"id"`
	How   How    `json:"how"`
	Since int64  `json:"since"`
}

// decided is what the second copy is of.
type decided struct {
	shares   []share.Share // the oldest first
	blocks   []Block
	verified []Verification
}

func (d decided) empty() bool { return len(d.shares)+len(d.blocks)+len(d.verified) == 0 }

// both reads what the database says.
func (d *DB) both() (decided, error) {
	shares, err := d.Shares().Shares()
	if err != nil {
		return decided{}, err
	}
	blocks, err := d.Blocks().Blocks()
	if err != nil {
		return decided{}, err
	}
	verified, err := d.Verified().Verified()
	return decided{shares, blocks, verified}, err
}

func (m mirrored) sum() string {
	sum := sha256.Sum256(slices.Concat(m.Shares, m.Blocked, m.Verified))
	return hex.EncodeToString(sum[:])
}

func encodeDecided(all decided) ([]byte, error) {
	rows := make([]mirroredShare, len(all.shares))
	for i, s := range all.shares {
		audience, err := encodeAudience(s)
		if err != nil {
			return nil, err
		}
		rows[i] = mirroredShare{s.ID, s.Kind, s.Name, []byte(s.Path), nanos(s.Added), audience}
	}
	blocks := make([]mirroredBlock, len(all.blocks))
	for i, b := range all.blocks {
		blocks[i] = mirroredBlock{b.Device[:], b.Name, nanos(b.Since)}
	}
	verified := make([]mirroredVerification, len(all.verified))
	for i, v := range all.verified {
		verified[i] = mirroredVerification{v.Device[:], v.How, nanos(v.Since)}
	}
	m := mirrored{Format: sharesFormat}
	var err error
	if m.Shares, err = json.Marshal(rows); err != nil {
		return nil, err
	}
	if m.Blocked, err = json.Marshal(blocks); err != nil {
		return nil, err
	}
	if m.Verified, err = json.Marshal(verified); err != nil {
		return nil, err
	}
	m.Digest = m.sum()
	return json.Marshal(m)
}

// mirror writes the second copy. When it cannot be written the old one goes: it would bring back what was removed.
func (d *DB) mirror(all decided) error {
	data, err := encodeDecided(all)
	if err != nil {
		return err
	}
	path := d.path + mirrorSuffix
	if err := whole.Write(whole.OS{}, path, mirrorTemp, data); err != nil {
		if gone := os.Remove(path); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			return fmt.Errorf("second copy of the shares: %w", errors.Join(err, gone))
		}
		d.log.Warn("the second copy of the shares cannot be written", "error", err)
	}
	return nil
}

// mirrorNow writes the second copy of what the database says. The caller holds second.
func (d *DB) mirrorNow() error {
	all, err := d.both()
	if err != nil {
		return err
	}
	return d.mirror(all)
}

// keepTwice puts something into the database and then into the second copy, which may fail: the first one has it.
func (d *DB) keepTwice(what string, put func(*sql.Tx) error) error {
	d.second.Lock()
	defer d.second.Unlock()
	if err := d.txDecided("keep the "+what, put); err != nil {
		return err
	}
	if err := d.mirrorNow(); err != nil {
		d.log.Warn("no second copy", "of", what, "error", err)
	}
	return nil
}

// forgetTwice takes something out of the second copy and then out of its table: what somebody took back must not come back with the copy.
func (d *DB) forgetTwice(what, table string, id []byte, without func(*decided)) error {
	d.second.Lock()
	defer d.second.Unlock()
	all, err := d.both()
	if err != nil {
		return err
	}
	without(&all)
	if err := d.mirror(all); err != nil {
		return fmt.Errorf("forget the %s: %w", what, err)
	}
	return d.txDecided("forget the "+what, func(tx *sql.Tx) error {
		_, err := tx.Exec("DELETE FROM "+table+" WHERE id=?", id) //nolint:gosec // a name of this package's own
		return err
	})
}

// mirrorAll makes the second copy say what the database says. For whom a share is comes from the copy if the database cannot tell.
func (d *DB) mirrorAll() error {
	d.second.Lock()
	defer d.second.Unlock()
	all, err := d.both()
	if err != nil {
		return err
	}
	old, format, err := readMirror(d.path)
	if err != nil {
		return d.mirror(all)
	}
	for i, s := range all.shares {
		j := slices.IndexFunc(old.shares, func(o share.Share) bool { return o.ID == s.ID })
		if !s.Lost || j < 0 || old.shares[j].Lost || format < blocksFormat {
			continue
		}
		s.Audience, s.Lost = old.shares[j].Audience, false
		if err := d.txDecided("take for whom a share is from the second copy", func(tx *sql.Tx) error { return putShare(tx, s) }); err != nil {
			return err
		}
		d.log.Warn("for whom a share is could not be read, and comes from the second copy", "name", s.Name)
		all.shares[i] = s
	}
	if format == sharesFormat && reflect.DeepEqual(old, all) || all.empty() && old.empty() {
		return nil
	}
	return d.mirror(all)
}

// readMirror returns the second copy of the shares, and of the blocked and the verified devices, of the database at path, and its
// format. The oldest one has no audiences: everything was for anyone nearby.
func readMirror(path string) (all decided, format int, err error) {
	path += mirrorSuffix
	fi, err := os.Stat(path)
	if err != nil {
		return all, 0, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxMirror {
		return all, 0, fmt.Errorf("%s: %w", path, ErrDamaged)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return all, 0, err
	}
	var m mirrored
	if err := json.Unmarshal(data, &m); err != nil {
		return all, 0, fmt.Errorf("%s: %w: %w", path, ErrDamaged, err)
	}
	all, err = m.read()
	if err != nil {
		return decided{}, 0, fmt.Errorf("%s: %w", path, err)
	}
	return all, m.Format, nil
}

// read returns what a second copy of any format says; ErrDamaged if it is none.
func (m mirrored) read() (all decided, err error) {
	var rows []mirroredShare
	var blocks []mirroredBlock
	var verified []mirroredVerification
	switch {
	case m.Format < mirrorFormat || m.Format > sharesFormat || m.Digest != m.sum(), json.Unmarshal(m.Shares, &rows) != nil,
		(m.Format < blocksFormat) != (m.Blocked == nil), m.Blocked != nil && json.Unmarshal(m.Blocked, &blocks) != nil,
		(m.Format < sharesFormat) != (m.Verified == nil), m.Verified != nil && json.Unmarshal(m.Verified, &verified) != nil:
		return all, ErrDamaged
	}
	for _, r := range rows {
		s := share.Share{ID: r.ID, Kind: r.Kind, Name: r.Name, Path: string(r.Path), Added: fromNanos(r.Added)}
		if m.Format >= blocksFormat {
			decodeAudience(&s, r.Audience)
		}
		all.shares = append(all.shares, s)
	}
	for _, r := range blocks {
		b := Block{Name: r.Name, Since: fromNanos(r.Since)}
		if len(r.ID) != len(b.Device) {
			return all, ErrDamaged
		}
		b.Device = discovery.DeviceID(r.ID)
		all.blocks = append(all.blocks, b)
	}
	for _, r := range verified {
		v := Verification{How: r.How, Since: fromNanos(r.Since)}
		if len(r.ID) != len(v.Device) {
			return all, ErrDamaged
		}
		v.Device = discovery.DeviceID(r.ID)
		all.verified = append(all.verified, v)
	}
	return all, nil
}
