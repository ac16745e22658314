package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/canon"
	"porchlight/discovery/whole"
	"porchlight/transfer"
)

// standingSuffix names the file beside the database. It is no part of it: it is rewritten every minute while bytes move, and of no use when it is old.
const standingSuffix = ".standing"

// maxStanding bounds what is read of it: transfer.MaxConduct records of less than 512 bytes.
const maxStanding = transfer.MaxConduct * 512

// Standings is what this device has seen of those it fetched from. It is the store of download.
type Standings struct{ db *DB }

// Standings returns what keeps the experience with other devices.
func (d *DB) Standings() Standings { return Standings{d} }

// standing is one record on disk. Times are nanoseconds since 1970, 0 for none.
type standing struct {
	Device   []byte  `cbor:"d"`
	Bytes    int64   `cbor:"n"`
	Rate     int64   `cbor:"r"`
	Bad      []int64 `cbor:"b"`
	BadCount int     `cbor:"c"`
	Late     []int64 `cbor:"l"`
	LateRest int64   `cbor:"p"`
	RestTill int64   `cbor:"t"`
	HelpTill int64   `cbor:"h"`
	Seen     int64   `cbor:"s"`
}

// Standing returns what was kept; who asks judges what is too old. Nothing is known after damage: it is learnt again.
func (s Standings) Standing() ([]transfer.Conduct, error) {
	f, err := os.Open(s.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what is known of others: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxStanding+1))
	if err != nil {
		return nil, fmt.Errorf("read what is known of others: %w", err)
	}
	n := len(data) - sha256.Size
	if n < 0 || len(data) > maxStanding || sha256.Sum256(data[:max(n, 0)]) != [sha256.Size]byte(data[n:]) {
		return nil, fmt.Errorf("read what is known of others: %w", ErrDamaged)
	}
	return records(canon.NewReader(bytes.NewReader(data[:n])))
}

// records reads a sequence of records.
func records(r *canon.Reader) (all []transfer.Conduct, err error) {
	for {
		var x standing
		err := r.Read(&x)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil || len(x.Device) != len(discovery.DeviceID{}) || len(all) == transfer.MaxConduct {
			return nil, fmt.Errorf("read what is known of others: %w", errors.Join(ErrDamaged, err))
		}
		rec := transfer.Conduct{Device: discovery.DeviceID(x.Device), Bytes: x.Bytes, Rate: float64(x.Rate), BadCount: x.BadCount, LateRest: time.Duration(x.LateRest),
			RestTill: fromNanos(x.RestTill), HelpTill: fromNanos(x.HelpTill), Seen: fromNanos(x.Seen)}
		if len(x.Bad) != len(rec.Bad) || len(x.Late) != len(rec.Late) {
			return nil, fmt.Errorf("read what is known of others: %w", ErrDamaged)
		}
		for i := range rec.Bad {
			rec.Bad[i] = fromNanos(x.Bad[i])
		}
		for i := range rec.Late {
			rec.Late[i] = fromNanos(x.Late[i])
		}
		all = append(all, rec)
	}
}

// PutStanding replaces all that was kept.
func (s Standings) PutStanding(all []transfer.Conduct) error {
	var b bytes.Buffer
	w := canon.NewWriter(&b)
	for _, r := range all[:min(len(all), transfer.MaxConduct)] {
		x := standing{Device: r.Device[:], Bytes: r.Bytes, Rate: int64(r.Rate), BadCount: r.BadCount, LateRest: int64(r.LateRest),
			RestTill: nanos(r.RestTill), HelpTill: nanos(r.HelpTill), Seen: nanos(r.Seen)}
		for _, t := range r.Bad {
			x.Bad = append(x.Bad, nanos(t))
		}
		for _, t := range r.Late {
			x.Late = append(x.Late, nanos(t))
		}
		if err := w.Write(x); err != nil {
			return fmt.Errorf("keep what is known of others: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("keep what is known of others: %w", err)
	}
	sum := sha256.Sum256(b.Bytes())
	path := s.path()
	if err := whole.Write(whole.OS{}, path, filepath.Base(path)+".tmp-*", append(b.Bytes(), sum[:]...)); err != nil {
		return fmt.Errorf("keep what is known of others: %w", err)
	}
	return nil
}

func (s Standings) path() string { return s.db.path + standingSuffix }
