package safefs

import (
	"errors"
	"io"

	"porchlight/share"
)

// parent would be an open folder; here a path is opened as a whole.
type parent struct{}

func (parent) close() {}

func (a *anchor) around(share.Path) (parent, error) { return parent{}, nil }

// load is open, read and check.
func (a *anchor) load(_ parent, p share.Path, v share.Version, buf []byte) (int, error) {
	h, m, err := a.open(p)
	if err != nil {
		return 0, err
	}
	f := &File{f: h, entry: a.entry(p, m), volume: a.volume}
	defer f.Close()
	if f.entry.Version != v || m.size > int64(len(buf)) {
		return 0, ErrChanged
	}
	if n, err := f.ReadAt(buf[:m.size], 0); n < int(m.size) {
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		return 0, ErrChanged
	}
	return int(m.size), f.Check()
}
