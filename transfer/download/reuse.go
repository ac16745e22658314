package download

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync"
	"time"

	"porchlight/share"
	"porchlight/share/content"
	"porchlight/share/safefs"
)

// What lies here already need not travel: pieces of an older version that was under way, of a file that has the name, of a file that
// looks like this one under another name. The layer of the new version tells which pieces are the same at the same place.

// revise makes the file under way of one version that of another, and keeps its pieces until they can be compared. Where a crash comes
// between the record and the new size, the pieces are read back and the size is set then.
func (s *partials) revise(part *safefs.Part, j *safefs.Journal, b *partial, it *item) (bool, error) {
	if b.size <= content.PieceSize || it.size <= content.PieceSize || b.has() == 0 {
		return false, nil
	}
	if err := j.Append(b.record(it.size, it.version)); err != nil {
		return false, err
	}
	b.mu.Lock()
	size, cvs, have := b.size, b.cvs, b.have
	b.size, b.version, b.swarm = it.size, it.version, nil
	b.blank()
	b.inherit(size, cvs, have)
	b.mu.Unlock()
	f, err := part.Resize(b.name(), b.size)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // it got its name, and a crash came before the record of that
	}
	if err != nil {
		return false, err
	}
	b.file = f
	return true, nil
}

// record is the journal's of a file that is begun.
func (b *partial) record(size int64, v share.Version) []byte {
	rec := append(binary.AppendUvarint([]byte{recFile}, b.id), v[:]...)
	return append(binary.AppendUvarint(rec, uint64(size)), b.src...)
}

// inherit takes over the pieces of an older version that have the same length in this one.
func (b *partial) inherit(size int64, cvs []content.Hash, have []bool) {
	b.revised = true
	if size <= content.PieceSize || b.size <= content.PieceSize {
		return
	}
	for i := range min(len(have), len(b.have)) {
		if have[i] && content.PieceLen(size, i) == content.PieceLen(b.size, i) {
			b.have[i], b.cvs[i] = true, cvs[i]
		}
	}
}

// reuse fills a file with what lies here already. It asks for nothing where there is nothing to compare.
func (p *pull) reuse(ctx context.Context, b *partial, it *item) error {
	if p.src == nil || !b.revised && b.has() > 0 {
		return nil
	}
	givers := p.givers(ctx, it)
	if !b.revised && len(givers) == 0 {
		return nil
	}
	var l content.Layer
	err := p.patient(ctx, func() (err error) {
		l, err = p.src.Layer(ctx, p.job.Request.Share, b.src, b.version)
		return err
	})
	if err == nil && (l.Size != b.size || l.Check() != nil) {
		err = errBad
	}
	if err != nil && !b.revised && ctx.Err() == nil {
		return nil //nolint:nilerr // fetching it will tell what is wrong
	}
	if err != nil {
		return err
	}
	theirs := l.Pieces
	if len(theirs) == 0 {
		theirs = []content.Hash{l.Root}
	}
	if err := p.unlike(b, theirs); err != nil {
		return err
	}
	b.revised = false
	kept := b.has()
	for _, g := range givers {
		if err := p.copyFrom(ctx, b, theirs, g); err != nil {
			return err
		}
	}
	p.log.Debug("found here", "job", p.job.ID, "kept", kept, "copied", b.has()-kept, "of", b.size)
	return nil
}

// unlike forgets the pieces that are not those of a layer.
func (p *pull) unlike(b *partial, theirs []content.Hash) error {
	for i, cv := range theirs {
		if !b.have[i] || b.cvs[i] == cv {
			continue
		}
		if err := b.lost(p.journal, i); err != nil {
			return p.disk(err)
		}
		n := int64(content.PieceLen(b.size, i))
		p.tally.bytes.Add(-n)
		p.owed.Add(n)
	}
	return nil
}

// place is a file below the target folder.
type place struct{ dir, name string }

// copyFrom copies the pieces that a file has at the same place as the new one. That it cannot be read, or changes meanwhile, is no matter:
// each piece is checked in memory before it is written.
func (p *pull) copyFrom(ctx context.Context, b *partial, theirs []content.Hash, from place) error {
	if !onDisk(p.dest, from) {
		return nil
	}
	dir, err := p.dest.Folder(from.dir)
	if err != nil {
		return nil //nolint:nilerr // then there is nothing to copy
	}
	defer dir.Release()
	f, err := dir.Open(from.name)
	if err != nil {
		return nil //nolint:nilerr // then there is nothing to copy
	}
	defer f.Close()
	sync := p.newSyncer(b)
	defer sync.wait() //nolint:errcheck // asked for at the end
	buf := make([]byte, content.PieceSize)
	var rec []byte
	for i, cv := range theirs {
		if b.have[i] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		data := buf[:content.PieceLen(b.size, i)]
		off := int64(i) * content.PieceSize
		n, err := f.ReadAt(data, off)
		if errors.Is(err, io.EOF) && n == 0 && len(data) > 0 {
			break
		}
		if n < len(data) || b.hash(data, i) != cv {
			continue
		}
		if _, err = b.file.WriteAt(data, off); err == nil {
			rec, err = b.wrote(p.journal, i, cv, rec)
		}
		if err != nil {
			return p.disk(safefs.DiskError(err))
		}
		p.tally.bytes.Add(int64(n))
		p.owed.Add(-int64(n))
		sync.wrote(int64(n))
	}
	return p.disk(sync.wait())
}

// onDisk reports whether a file is there, and on this disk: reading one that is only in the cloud would fetch it from there.
func onDisk(d *safefs.Dest, at place) bool {
	t, err := safefs.OpenTree(d.Dir())
	if err != nil {
		return false
	}
	defer t.Close()
	path, err := share.ParsePath(join(at.dir, at.name))
	if err != nil {
		return false
	}
	e, err := t.Stat(path)
	return err == nil && e.Kind == share.File && !e.Cloud
}

// givers lists the files here that may hold pieces of an item, the likeliest first.
func (p *pull) givers(ctx context.Context, it *item) (out []place) {
	if it.former != "" {
		out = append(out, place{it.dir, it.former})
	}
	top, _, _ := strings.Cut(it.dir, "/")
	return append(out, p.lying.like(ctx, p.dest, top, it)...)
}

// maxLying bounds the files that are looked at for one that was renamed.
const maxLying = 20_000

// maxLike bounds the files that may be one that was renamed.
const maxLike = 2

// lying knows the large files that lie in the folders of a pull, by size: a file that was only renamed at its source has the size and the
// time of one of them. The zero value is ready; safe for concurrent use.
type lying struct {
	mu   sync.Mutex // guards the field below
	tops map[string]map[int64][]lyingFile
}

type lyingFile struct {
	place
	mtime time.Time
}

// like lists files below the folder top with the size and time of an item. The target folder itself is looked at without what lies
// in its folders: they are other people's.
func (l *lying) like(ctx context.Context, d *safefs.Dest, top string, it *item) (out []place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	bySize, ok := l.tops[top]
	if !ok {
		bySize = look(ctx, d, top)
		if l.tops == nil {
			l.tops = map[string]map[int64][]lyingFile{}
		}
		l.tops[top] = bySize
	}
	for _, f := range bySize[it.size] {
		if d.SameTime(f.mtime, it.mtime) && f.place != (place{it.dir, it.former}) && len(out) < maxLike {
			out = append(out, f.place)
		}
	}
	return out
}

func look(ctx context.Context, d *safefs.Dest, top string) map[int64][]lyingFile {
	bySize := map[int64][]lyingFile{}
	t, err := safefs.OpenTree(d.Dir())
	if err != nil {
		return bySize
	}
	defer t.Close()
	path, err := share.ParsePath(top)
	if err != nil {
		return bySize
	}
	n := 0
	_ = t.Walk(ctx, path, func(e share.Entry) error { // what cannot be looked at is only not found
		if n++; n > maxLying || top == "" && e.Kind == share.Dir && e.Path != "" {
			return errStop
		}
		if e.Kind == share.File && e.Size > smallFile {
			f := lyingFile{place{string(e.Path.Dir()), e.Path.Base()}, e.MTime}
			bySize[e.Size] = append(bySize[e.Size], f)
		}
		return nil
	})
	return bySize
}
