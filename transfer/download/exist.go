package download

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"

	"porchlight/share"
	"porchlight/share/content"
	"porchlight/share/safefs"
	"porchlight/transfer"
)

// there reports whether something has the item's name, and whether size and time say that it is this very file.
func (p *pull) there(it *item) (there, same bool, err error) {
	f, err := p.dest.Folder(it.dir)
	if err != nil {
		return false, false, p.disk(err)
	}
	defer f.Release()
	info, err := f.Stat(it.name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, false, nil
	}
	if err != nil || !info.Mode().IsRegular() {
		return true, false, nil
	}
	same = info.Size() == it.size && p.dest.SameTime(info.ModTime(), it.mtime)
	if p.checks() && !p.parts.ours(it) {
		same = false // not by this alone
	}
	return true, same, nil
}

// existing decides about an item whose name is taken: either one of the files with its name or a numbered one is equal, and it is skipped,
// or the item gets the first number that is free.
func (p *pull) existing(ctx context.Context, it *item) (skipped bool, err error) {
	if !it.look {
		return false, nil
	}
	f, err := p.dest.Folder(it.dir)
	if err != nil {
		return false, p.disk(err)
	}
	defer f.Release()
	base := it.name
	for k := 1; k <= maxNumber; k++ {
		name := p.names.Numbered(base, k)
		info, err := f.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			it.name, it.look = name, false
			if k > 1 {
				p.tally.adapt(it.src, name)
			}
			return false, nil
		}
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		it.former = name
		if info.Size() != it.size {
			continue
		}
		same, err := p.same(ctx, f, name, it, k, p.dest.SameTime(info.ModTime(), it.mtime))
		if err != nil {
			return false, err
		}
		if same {
			if k > 1 {
				p.tally.adapt(it.src, name)
			}
			p.skip(it)
			return true, nil
		}
	}
	p.tally.lose(it.src, transfer.NameTrouble)
	return true, nil
}

// same compares a file of the right size. Size and time prove it for the file's own name, unless contents are to be compared; with a number behind it
// only content does, for then it may as well be another file of that folder.
func (p *pull) same(ctx context.Context, f *safefs.Folder, name string, it *item, k int, sameTime bool) (bool, error) {
	check := p.checks()
	switch {
	case sameTime && p.parts.ours(it):
		return true, nil
	case !check && k == 1:
		return sameTime, nil
	case !check && !sameTime:
		return false, nil
	}
	var theirs content.Layer
	err := p.patient(ctx, func() (err error) {
		theirs, err = p.src.Layer(ctx, p.job.Request.Share, it.src, it.version)
		return err
	})
	if errors.Is(err, transfer.ErrAway) || ctx.Err() != nil {
		return false, err
	}
	if err != nil || theirs.Size != it.size {
		return false, nil // fetching it will tell what is wrong
	}
	h, err := f.Open(name)
	if err != nil {
		return false, nil //nolint:nilerr // it cannot be read, so it is not known to be equal
	}
	defer h.Close()
	ours, err := content.Build(ctx, h, it.size, 1)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	return err == nil && ours.Equal(theirs), nil
}

// checks reports whether what is there already is compared by content.
func (p *pull) checks() bool { return p.job.Request.Check || !p.dest.KeepsTimes() }

// skip counts a file that is there already: as fetched, if an earlier attempt of this job brought it.
func (p *pull) skip(it *item) {
	p.tally.bytes.Add(it.size)
	p.tally.done.Add(1)
	if !p.parts.ours(it) {
		p.tally.skipped.Add(1)
	}
}

// key names one version of one file in a job's journal.
func (it *item) key() uint64 {
	b := make([]byte, 0, 128)
	b = append(b, it.version[:]...)
	b = append(b, it.src...)
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:])
}

// question asks the source about one file as it is now; transfer.ErrGone if it is none any more.
func (p *pull) question(ctx context.Context, path share.Path) (share.Entry, error) {
	var e share.Entry
	err := p.patient(ctx, func() error {
		e = share.Entry{}
		return p.src.Manifest(ctx, p.job.Request.Share, path, func(got share.Entry) error {
			e = got
			return errStop
		})
	})
	if errors.Is(err, errStop) || err == nil && e.Kind != 0 {
		if e.Path == path {
			return e, nil
		}
		err = transfer.ErrProtocol
	}
	if err == nil {
		err = transfer.ErrGone
	}
	return share.Entry{}, err
}

// stillShared returns nil if what was asked for is still there, and why not otherwise.
func (p *pull) stillShared(ctx context.Context) error {
	var last error
	for _, path := range p.job.Request.Paths {
		if _, err := p.question(ctx, path); err == nil || !errors.Is(err, transfer.ErrGone) {
			return err
		} else if last = err; len(p.job.Request.Paths) > 8 && path == p.job.Request.Paths[7] {
			break
		}
	}
	return last
}

// whether makes a halt of transfer.ErrGone where the whole share is away and may come back; other errors stay as they are.
func (p *pull) whether(ctx context.Context, err error) error {
	if !errors.Is(err, transfer.ErrGone) || !haltFree(err) {
		return err
	}
	var offers []share.Offer
	qerr := p.patient(ctx, func() (err error) {
		offers, err = p.src.Shares(ctx)
		return err
	})
	if qerr != nil {
		return qerr
	}
	for _, o := range offers {
		if o.ID == p.job.Request.Share && o.Away {
			return &halt{state: transfer.Away, trouble: transfer.ShareAway, detail: o.Name, err: err}
		}
	}
	return err
}
