package download

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"porchlight/share"
	"porchlight/share/content"
	"porchlight/share/safefs"
	"porchlight/transfer"
)

// A batch is synced and named when it is as large as this, or batchTime old.
const (
	batchFiles = 4096
	batchBytes = 24 << 20
)

// ready is a whole file that has no name yet.
type ready struct {
	item
	part  string         // its name in the part folder
	big   *partial       // of a large file
	layer *content.Layer // of a large file
}

// publish gives whole files their names, many at a time. Whatever ends the attempt, what is whole gets its name first: it need not be fetched again.
func (p *pull) publish(ctx context.Context) error {
	var batch []ready
	var size int64
	var timer <-chan time.Time
	flush := func() error {
		err := p.nameAll(batch)
		p.nameless.named(batch)
		clear(batch)
		batch, size, timer = batch[:0], 0, nil
		return err
	}
	for {
		select {
		case r, ok := <-p.out:
			if !ok {
				return flush()
			}
			batch, size = append(batch, r), size+r.size
			if len(batch) >= batchFiles || size >= batchBytes {
				if err := flush(); err != nil {
					return err
				}
			} else if timer == nil {
				timer = time.After(p.cfg.batch)
			}
		case <-timer:
			if err := flush(); err != nil {
				return err
			}
		case <-ctx.Done():
			for {
				select {
				case r, ok := <-p.out:
					if ok {
						batch = append(batch, r)
						continue
					}
				default:
				}
				return errors.Join(ctx.Err(), flush())
			}
		}
	}
}

// nameAll syncs a batch and then names each file of it: a name never stands for content that a crash could take away.
func (p *pull) nameAll(batch []ready) error {
	if len(batch) == 0 {
		return nil
	}
	files := make([]string, len(batch))
	for i := range batch {
		files[i] = batch[i].part
	}
	if err := p.part.Sync(files); err != nil {
		return p.disk(err)
	}
	var keys []uint64
	var first error
	for i := range batch {
		named, err := p.name(&batch[i])
		if err != nil {
			first = err
			break
		}
		if named {
			keys = append(keys, batch[i].key())
		}
	}
	if err := p.parts.published(p.journal, keys); err != nil && first == nil {
		first = p.disk(err)
	}
	return first
}

// name gives one file the first of its names that is free.
func (p *pull) name(r *ready) (bool, error) {
	f, err := p.dest.Folder(r.dir)
	if err != nil {
		return false, p.disk(err)
	}
	defer f.Release()
	for k := 1; k <= maxNumber; k++ {
		final := p.names.Numbered(r.item.name, k)
		err := p.part.Publish(r.part, f, final)
		switch {
		case err == nil:
			if k > 1 {
				p.tally.adapt(r.src, final)
			}
			if r.dir == "" {
				p.shown(final)
			}
			p.tally.done.Add(1)
			return true, p.named(r, f, final)
		case errors.Is(err, fs.ErrExist):
			if k == 1 && p.equal(r, f) { // somebody else brought it meanwhile
				p.tally.done.Add(1)
				return true, p.leave(r)
			}
		case errors.Is(err, safefs.ErrName):
			p.tally.lose(r.src, transfer.NameTrouble)
			return false, p.leave(r)
		default:
			return false, p.disk(err)
		}
	}
	p.tally.lose(r.src, transfer.NameTrouble)
	return false, p.leave(r)
}

// equal reports whether the file that has the name is this one. Size and time are not enough: on a disk with its own idea of case it may be another file of this pull.
func (p *pull) equal(r *ready, f *safefs.Folder) bool {
	info, err := f.Stat(r.item.name)
	return err == nil && !p.job.Request.Check && info.Mode().IsRegular() && info.Size() == r.size && (p.dest.SameTime(info.ModTime(), r.mtime) || !p.dest.KeepsTimes()) &&
		p.part.Same(r.part, r.size, f, r.item.name)
}

// leave removes the part of a file that is not needed.
func (p *pull) leave(r *ready) error {
	if r.big != nil {
		return p.disk(p.parts.drop(p.part, p.journal, r.big))
	}
	return p.disk(p.part.Remove(r.part))
}

// named ends the life of a large file's part, and tells the cache what the file is.
func (p *pull) named(r *ready, f *safefs.Folder, final string) error {
	if r.big == nil {
		return nil
	}
	if err := p.parts.done(p.part, p.journal, r.big); err != nil {
		return p.disk(err)
	}
	if r.layer == nil || p.cfg.Layers == nil && r.big.offer == nil {
		return nil
	}
	v, ok := f.Version(final)
	if ok && p.cfg.Layers != nil {
		if err := p.cfg.Layers.PutLayer(v, *r.layer); err != nil {
			p.log.Debug("layer not kept", "err", err)
		}
	}
	if o := r.big.offer; o != nil && ok {
		r.big.offer = nil
		o.named(p.dest.Dir(), share.Path(join(r.dir, final)), v)
	} else {
		r.big.unoffer()
	}
	return nil
}
