package safefs

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"porchlight/share"
)

// row is one name of a folder on its way to become an entry.
type row struct {
	name string
	key  []byte // where the name stands in the natural order
	dir  bool
	meta *meta // nil until asked for
}

// batch is how many names are read or described between two looks at the context.
const batch = 1024

// List yields the entries of the folder p in the order s, folders first. In the orders of names the first rows come as soon as the names are read
// and sorted: each entry is described only when its turn comes. What vanishes meanwhile is left out. An error of yield ends the listing and is returned.
func (t *Tree) List(ctx context.Context, p share.Path, s share.Sort, yield func(share.Entry) error) error {
	a, err := t.enter(p)
	if err != nil {
		return err
	}
	defer t.release(a)
	d, err := a.folder(p)
	if err != nil {
		return gone("list", p, err)
	}
	defer d.close()
	rows, err := d.rows(ctx)
	if err != nil {
		return gone("list", p, err)
	}
	if s != share.ByName && s != share.ByNameRev {
		if rows, err = d.describe(ctx, rows); err != nil {
			return gone("list", p, err)
		}
	}
	dirs, rest := order(rows, s)
	if err := d.yield(ctx, rows, dirs, yield); err != nil {
		return err
	}
	return d.yield(ctx, rows, rest, yield)
}

// rows reads all names but the hidden ones.
func (d *folder) rows(ctx context.Context) ([]row, error) {
	var all []row
	dir := d.a.real(d.path)
	for {
		some, err := d.read(batch)
		for _, r := range some {
			if !hidden(dir, r.name) {
				all = append(all, r)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
	}
	addKeys(all)
	return all, nil
}

// describe asks the disk about all rows, and leaves out what vanished.
func (d *folder) describe(ctx context.Context, rows []row) ([]row, error) {
	kept := rows[:0]
	for i, r := range rows {
		if i%batch == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if r.meta == nil {
			m, ok, err := d.look(r.name)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			r.meta = &m
		}
		r.dir = r.meta.kind == share.Dir
		kept = append(kept, r)
	}
	return kept, nil
}

// look describes a name; false if it is not there any more.
func (d *folder) look(name string) (meta, bool, error) {
	m, err := d.stat(name)
	switch {
	case err == nil:
		return m, true, nil
	case errors.Is(err, fs.ErrNotExist):
		return meta{}, false, nil
	case errors.Is(err, fs.ErrPermission), meansGone(err):
		return meta{kind: share.Other, reason: ReasonAccess}, true, nil
	case isBroken(err): // all the more somebody wants the rest
		return meta{kind: share.Other, reason: ReasonBroken}, true, nil
	}
	return meta{}, false, err
}

// yield tells the rows that order names.
func (d *folder) yield(ctx context.Context, rows []row, order []spot, yield func(share.Entry) error) error {
	for i, o := range order {
		if i%batch == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		e, ok, err := d.entry(rows[o.row])
		if err != nil {
			return gone("list", d.path, err)
		}
		if !ok {
			continue
		}
		if err := yield(e); err != nil {
			return err
		}
	}
	return nil
}

// entry makes the entry of a row; false if there is none any more.
func (d *folder) entry(r row) (share.Entry, bool, error) {
	var m meta
	if r.meta != nil {
		m = *r.meta
	} else {
		var ok bool
		var err error
		if m, ok, err = d.look(r.name); err != nil || !ok {
			return share.Entry{}, false, err
		}
	}
	p, reason := child(d.path, r.name)
	if reason != "" {
		m.kind, m.reason = share.Other, reason
	}
	return d.a.entry(p, m), p != "", nil
}
