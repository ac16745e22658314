package safefs

import (
	"fmt"
	"time"

	"porchlight/share"
)

// Batch reads small files of a Tree one after another. It keeps the folder of the last one open for the next, for a tenth of a second at most, since
// half of what a small file costs is the way to it. For one goroutine, which closes it.
type Batch struct {
	tree *Tree

	// what is kept: nil, or the folder dir below at, opened at since
	at    *anchor
	dir   share.Path
	in    parent
	since time.Time
}

// Batch returns an empty batch. Nothing is opened before the first Read.
func (t *Tree) Batch() *Batch { return &Batch{tree: t} }

// Close lets go of the folder that is open.
func (b *Batch) Close() {
	if b.at != nil {
		b.in.close()
		b.tree.release(b.at)
		b.at = nil
	}
}

// Read reads all of version v of a regular file into buf and returns its size. The error is ErrChanged where the file is of another version, before or after
// the bytes were read, or larger than buf, and ErrGone where Open says so.
func (b *Batch) Read(p share.Path, v share.Version, buf []byte) (int, error) {
	if err := b.enter(p); err != nil {
		return 0, err
	}
	n, err := b.at.load(b.in, p, v, buf)
	if err != nil {
		return 0, gone("read", p, err)
	}
	return n, nil
}

// enter makes the folder of p the one that is open.
func (b *Batch) enter(p share.Path) error {
	if p == "" {
		return fmt.Errorf("%w: not a file", ErrGone)
	}
	dir := p.Dir()
	if b.at != nil && dir == b.dir && time.Since(b.since) < recheckAfter {
		if _, err := share.ParsePath(string(p)); err != nil {
			return fmt.Errorf("%w: %w", ErrGone, err)
		}
		if hidden(b.at.real(dir), p.Base()) {
			return fmt.Errorf("%w: %w: private name", ErrGone, share.ErrPath)
		}
		return nil
	}
	b.Close()
	a, err := b.tree.enter(p)
	if err != nil {
		return err
	}
	in, err := a.around(p)
	if err != nil {
		b.tree.release(a)
		return gone("open", p, err)
	}
	b.at, b.dir, b.in, b.since = a, dir, in, time.Now()
	return nil
}
