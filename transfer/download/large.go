package download

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"porchlight/share/content"
	"porchlight/share/safefs"
	"porchlight/transfer"
)

const rangePieces = 16 // pieces in one range

// fetchLarge works large files off, one at a time.
func (p *pull) fetchLarge(ctx context.Context) error {
	bufs := [rangeLanes][]byte{}
	for i := range bufs {
		bufs[i] = make([]byte, content.PieceSize)
	}
	for {
		var it item
		ok, more, wake, err := p.large.take(&it)
		if err != nil {
			return p.disk(err)
		}
		if !ok {
			if !more {
				return nil
			}
			select {
			case <-wake:
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		}
		if err := p.fetchFile(ctx, &it, &bufs); err != nil && !errors.Is(err, errGiven) {
			return err
		}
	}
}

// fetchFile fetches one file until it is there or given up.
func (p *pull) fetchFile(ctx context.Context, it *item, bufs *[rangeLanes][]byte) error {
	if skipped, err := p.existing(ctx, it); skipped || err != nil {
		return err
	}
	for t := (tries{}); ; {
		if it.size > p.dest.MaxFile() || content.PieceCount(it.size) > maxPieces {
			return p.give(it, transfer.FileTooLarge)
		}
		before := p.tally.fetched.Load()
		err := p.fetchOnce(ctx, it, bufs)
		if err == nil {
			return nil
		}
		if errors.Is(err, safefs.ErrTooLarge) {
			return p.give(it, transfer.FileTooLarge)
		}
		if p.tally.fetched.Load() > before && !errors.Is(err, errBad) {
			t.broken, t.lost = 0, 0 // it moved
		}
		err = p.verdict(ctx, it, err, &t)
		if errors.Is(err, errGiven) {
			if b, _ := p.parts.claim(it.src); b != nil { // its space is better given back
				if err := p.parts.drop(p.part, p.journal, b); err != nil {
					return p.disk(err)
				}
			}
		}
		if err != nil {
			return err
		}
	}
}

// fetchOnce fetches what is missing of one version of a file, compares the whole with what its owner states, and hands it to the publisher.
func (p *pull) fetchOnce(ctx context.Context, it *item, bufs *[rangeLanes][]byte) error {
	counted := p.parts.settle(it.src)
	b, err := p.parts.take(ctx, p.part, p.journal, it)
	if err != nil {
		if errors.Is(err, safefs.ErrTooLarge) {
			return err
		}
		return p.disk(err)
	}
	had := b.has()
	p.tally.bytes.Add(had)
	p.owed.Add(it.size - had - counted)
	defer func() { // what is owed or counted now is the next try's to count again
		p.owed.Add(b.has() - it.size)
	}()
	layer, err := p.fillAny(ctx, b, it, bufs)
	if err != nil {
		p.leaveFile(b, err)
		return err
	}
	f := b.file
	b.file = nil
	if b.offer != nil {
		b.offer.whole()
	}
	if err := p.part.Seal(f, b.name(), it.mtime); err != nil {
		err = p.disk(err)
		p.leaveFile(b, err)
		return err
	}
	return p.hand(ctx, ready{item: *it, part: b.name(), big: b, layer: layer})
}

// fillAny fetches what is missing, of many if there are many, and returns the layer that all of it was verified with.
func (p *pull) fillAny(ctx context.Context, b *partial, it *item, bufs *[rangeLanes][]byte) (*content.Layer, error) {
	if err := p.reuse(ctx, b, it); err != nil {
		return nil, err
	}
	if p.swarms(it) {
		if l, err := p.fillSwarm(ctx, b, it, bufs); l != nil || err != nil {
			return l, err
		}
	} else if err := p.fill(ctx, b, bufs); err != nil {
		return nil, err
	}
	l, err := p.compare(ctx, b)
	return &l, err
}

// leaveFile puts a file down that is not whole; the next try picks it up. After trouble with this disk nothing is sure to be on it: a disk says only once
// that it lost what it had taken.
func (p *pull) leaveFile(b *partial, why error) {
	p.tally.bytes.Add(-b.has())
	if h := haltOf(why); h.trouble == transfer.DiskTrouble || h.trouble == transfer.DiskReadOnly || h.trouble == transfer.TargetGone {
		b.trusted = false
	}
	b.rest()
	p.parts.release(b)
}

// fill fetches the missing pieces over all lanes that are free.
func (p *pull) fill(ctx context.Context, b *partial, bufs *[rangeLanes][]byte) error {
	todo := b.missing()
	if len(todo) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex // guards todo and fail
		fail error
	)
	next := func() (span, bool) {
		mu.Lock()
		defer mu.Unlock()
		if len(todo) == 0 || fail != nil {
			return span{}, false
		}
		s := todo[0]
		todo = todo[1:]
		return s, true
	}
	failed := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if fail == nil {
			fail = err
		}
		cancel()
	}
	wg.Go(func() {
		if err := p.part.Reserve(ctx, b.file, b.size); err != nil {
			failed(p.disk(err))
		}
	})
	sync := p.newSyncer(b)
	for i := range min(rangeLanes, len(todo)) {
		wg.Go(func() {
			for s, ok := next(); ok; s, ok = next() {
				if err := p.fetchSpan(ctx, b, s, bufs[i], sync); err != nil {
					failed(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := sync.wait(); err != nil && fail == nil {
		fail = p.disk(err)
	}
	return fail
}

// span is a run of pieces [from, to).
type span struct{ from, to int }

// missing lists the pieces that are not there, in runs of at most rangePieces.
func (b *partial) missing() (out []span) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.size == 0 {
		b.have[0], b.cvs[0] = true, content.Sum(nil)
		return nil
	}
	for i := 0; i < len(b.have); i++ {
		if b.have[i] {
			continue
		}
		if n := len(out); n > 0 && out[n-1].to == i && i-out[n-1].from < rangePieces {
			out[n-1].to++
		} else {
			out = append(out, span{i, i + 1})
		}
	}
	return out
}

// fetchSpan fetches one run of pieces when a lane is free.
func (p *pull) fetchSpan(ctx context.Context, b *partial, s span, buf []byte, sync *syncer) error {
	select {
	case p.lanes <- struct{}{}:
		defer func() { <-p.lanes }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := p.writers.Enter(ctx, b, nil); err != nil {
		return err
	}
	defer p.writers.Leave(b)
	off := int64(s.from) * content.PieceSize
	w := &pieceWriter{p: p, b: b, next: s.from, end: s.to, buf: buf, sync: sync}
	err := p.patient(ctx, func() error {
		if w.next > s.from || w.fill > 0 {
			return fmt.Errorf("%w: busy in the middle of a range", transfer.ErrAway)
		}
		return p.src.Read(ctx, p.job.Request.Share, b.src, b.version, transfer.Range{Off: off, Len: min(int64(s.to)*content.PieceSize, b.size) - off}, w)
	})
	if w.err != nil {
		return w.err
	}
	if err == nil && w.next < s.to {
		return transfer.ErrProtocol
	}
	return err
}

// pieceWriter takes the bytes of a run of pieces and writes each piece when it is whole.
type pieceWriter struct {
	p         *pull
	b         *partial
	next, end int    // pieces
	buf       []byte // of the piece that comes
	fill      int
	rec       []byte // for the journal
	sync      *syncer
	err       error // of this computer
}

// ReadFrom reads straight into the piece.
func (w *pieceWriter) ReadFrom(r io.Reader) (n int64, err error) {
	r = &counted{r, w.p.tally, w.p.tally.by(w.p.job.Request.Source)}
	for w.next < w.end {
		want := content.PieceLen(w.b.size, w.next)
		k, err := io.ReadFull(r, w.buf[w.fill:want])
		n += int64(k)
		w.fill += k
		if err != nil {
			return n, fmt.Errorf("%w: %w", transfer.ErrAway, err)
		}
		if err := w.piece(want); err != nil {
			return n, err
		}
	}
	return n, nil
}

// Write is ReadFrom for those who push.
func (w *pieceWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if w.next >= w.end {
			return n, fmt.Errorf("%w: more bytes than asked for", transfer.ErrProtocol)
		}
		want := content.PieceLen(w.b.size, w.next)
		k := copy(w.buf[w.fill:want], p)
		n, w.fill, p = n+k, w.fill+k, p[k:]
		w.p.tally.arrived(w.p.tally.by(w.p.job.Request.Source), int64(k))
		if w.fill == want {
			if err := w.piece(want); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// piece writes the piece in the buffer, then its value into the journal.
func (w *pieceWriter) piece(size int) error {
	data := w.buf[:size]
	cv := w.b.hash(data, w.next)
	_, err := w.b.file.WriteAt(data, int64(w.next)*content.PieceSize)
	if err == nil {
		w.rec, err = w.b.wrote(w.p.journal, w.next, cv, w.rec)
	}
	if err != nil {
		w.err = w.p.disk(safefs.DiskError(err))
		return w.err
	}
	w.next++
	w.fill = 0
	w.p.tally.bytes.Add(int64(size))
	w.p.tally.fetched.Add(int64(size))
	w.p.tally.from(w.p.job.Request.Source, int64(size))
	w.p.owed.Add(-int64(size))
	w.sync.wrote(int64(size))
	return nil
}

// compare checks what is there against the layer its owner states; pieces that differ are thrown away.
func (p *pull) compare(ctx context.Context, b *partial) (content.Layer, error) {
	var l content.Layer
	err := p.patient(ctx, func() (err error) {
		l, err = p.src.Layer(ctx, p.job.Request.Share, b.src, b.version)
		return err
	})
	if err != nil {
		return l, err
	}
	if l.Size != b.size || l.Check() != nil {
		return l, errBad
	}
	theirs := l.Pieces
	if len(theirs) == 0 {
		theirs = []content.Hash{l.Root}
	}
	bad := 0
	for i, cv := range b.cvs {
		if cv == theirs[i] {
			continue
		}
		n := int64(content.PieceLen(b.size, i))
		p.tally.bytes.Add(-n)
		p.owed.Add(n)
		bad++
		if err := b.lost(p.journal, i); err != nil {
			return l, p.disk(err)
		}
	}
	if bad > 0 {
		p.log.Warn("pieces differ from what their owner states", "job", p.job.ID, "pieces", bad)
		return l, errBad
	}
	return l, nil
}
