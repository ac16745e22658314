package safefs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"porchlight/share"
)

// Walk yields p and everything below it: a folder before its content, its files before its folders, both by name. If p is no folder, it is all there is.
// What cannot be entered (no right, another volume) is an Other with the reason, so that nothing is left out silently; a folder that is only in the cloud
// is not entered, reading it would fetch it. What vanishes meanwhile is left out. An error of yield ends the walk and is returned.
func (t *Tree) Walk(ctx context.Context, p share.Path, yield func(share.Entry) error) error {
	a, err := t.enter(p)
	if err != nil {
		return err
	}
	defer t.release(a)
	m, err := a.stat(p)
	if err != nil {
		return gone("walk", p, err)
	}
	if m.kind != share.Dir {
		return yield(a.entry(p, m))
	}
	broken := false
	w := walk{ctx: ctx, a: a, yield: func(e share.Entry) error {
		broken = broken || e.Reason == ReasonBroken
		return yield(e)
	}}
	err = w.folder(p, m, true)
	if err == nil && broken && !a.still(t.dir) { // it was no bad place: the disk was taken out, and comes back whole
		err = fmt.Errorf("walk %v: %w", p, ErrGone)
	}
	return err
}

type walk struct {
	ctx   context.Context
	a     *anchor
	yield func(share.Entry) error
}

// folder yields a folder and what is in it. Only one folder is open at any time, however deep the tree.
func (w *walk) folder(p share.Path, m meta, first bool) error {
	if m.cloud {
		return w.yield(w.a.entry(p, m))
	}
	d, err := w.a.folder(p)
	if err != nil {
		return w.closed(p, m, first, err)
	}
	rows, err := d.rows(w.ctx)
	if err != nil {
		d.close()
		if isBroken(err) {
			return w.closed(p, m, first, err)
		}
		return gone("walk", p, err)
	}
	subs, err := w.files(d, rows)
	d.close()
	if err != nil {
		return err
	}
	for _, r := range subs {
		sub, reason := child(p, r.name)
		if reason != "" || r.meta.kind != share.Dir {
			continue // yielded with the files
		}
		if err := w.folder(sub, *r.meta, false); err != nil {
			return err
		}
	}
	return nil
}

// files yields an open folder and all in it but the folders, which it returns. rows are what is in it.
func (w *walk) files(d *folder, rows []row) ([]row, error) {
	if err := w.yield(w.a.entry(d.path, d.meta)); err != nil {
		return nil, err
	}
	dirs, rest := order(rows, share.ByName)
	var subs []row
	for i, at := range append(rest, dirs...) {
		r := rows[at.row]
		if i%batch == 0 && w.ctx.Err() != nil {
			return nil, w.ctx.Err()
		}
		m, ok, err := d.look(r.name)
		if err != nil {
			return nil, gone("walk", d.path, err)
		}
		if !ok {
			continue
		}
		r.meta = &m
		e, ok, err := d.entry(r)
		if err != nil || !ok {
			continue
		}
		if e.Kind == share.Dir {
			subs = append(subs, row{name: r.name, meta: &m})
			continue
		}
		if err := w.yield(e); err != nil {
			return nil, err
		}
	}
	return slices.Clip(subs), nil
}

// closed decides about a folder that did not open, or cannot be read.
func (w *walk) closed(p share.Path, m meta, first bool, err error) error {
	switch {
	case first:
		return gone("walk", p, err)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, fs.ErrPermission), meansGone(err):
		m.kind, m.reason = share.Other, ReasonAccess
		return w.yield(w.a.entry(p, m))
	case isBroken(err):
		m.kind, m.reason = share.Other, ReasonBroken
		return w.yield(w.a.entry(p, m))
	}
	return gone("walk", p, err)
}
