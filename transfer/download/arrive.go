package download

import (
	"errors"
	"fmt"
	"io"
	"time"

	"porchlight/share/content"
	"porchlight/share/safefs"
	"porchlight/transfer"
	"porchlight/transfer/swarm"
)

// errEnough ends a request whose rest came from somebody else.
var errEnough = errors.New("the rest is not needed")

// arriving takes the bytes of a request and keeps each piece when it is whole and right.
type arriving struct {
	s    *swarmed
	r    *request
	next int // piece that comes
	fill int // of it, in the buffer
	grow content.Growing
	rec  []byte // for the journal
	any  bool   // something came
	err  error  // of this computer
}

// Advised takes what the source would like to be asked for next.
func (w *arriving) Advised(text string) {
	if w.r.from.origin {
		w.s.advised(text)
	}
}

func (s *swarmed) advised(text string) {
	a, err := swarm.ParseAdvice(text)
	if err != nil {
		s.p.log.Debug("advice passed over", "err", err)
		return
	}
	s.mu.Lock()
	s.plan.Advise(s.p.job.Request.Source, a)
	known := s.memo != nil
	s.mu.Unlock()
	s.poke()
	if !known && !a.Alone {
		select {
		case s.kick <- struct{}{}:
		default:
		}
	}
}

// moved tells the plan that bytes came.
func (w *arriving) moved(n int) {
	now := time.Now()
	w.any = true
	w.s.p.tally.arrived(w.r.count, int64(n))
	w.s.mu.Lock()
	w.s.plan.Moved(w.r.ask.ID, int64(n), now)
	w.s.good = now
	w.s.mu.Unlock()
}

// ReadFrom reads straight into the piece.
func (w *arriving) ReadFrom(r io.Reader) (n int64, err error) {
	for w.next < w.r.ask.To {
		want := content.PieceLen(w.s.b.size, w.next)
		k, err := r.Read(w.r.buf[w.fill:want])
		n += int64(k)
		w.fill += k
		if k > 0 {
			w.grow.Grown(w.r.buf[:w.fill], int64(w.next))
			w.moved(k)
		}
		if w.fill == want {
			if err := w.piece(want); err != nil {
				return n, err
			}
			if w.next == w.r.ask.To {
				return n, nil
			}
		}
		if errors.Is(err, io.EOF) {
			return n, fmt.Errorf("%w: %w", transfer.ErrAway, io.ErrUnexpectedEOF)
		}
		if err != nil {
			return n, fmt.Errorf("%w: %w", transfer.ErrAway, err)
		}
	}
	return n, nil
}

// Write is ReadFrom for those who push.
func (w *arriving) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		if w.next >= w.r.ask.To {
			return n, fmt.Errorf("%w: more bytes than asked for", transfer.ErrProtocol)
		}
		want := content.PieceLen(w.s.b.size, w.next)
		k := copy(w.r.buf[w.fill:want], p)
		n, w.fill, p = n+k, w.fill+k, p[k:]
		w.moved(k)
		if w.fill == want {
			if err := w.piece(want); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// piece verifies the piece in the buffer if that can be done yet, and keeps it.
func (w *arriving) piece(size int) error {
	s, data := w.s, w.r.buf[:size]
	s.mu.Lock()
	i, verify := s.plan.Whole(w.r.ask.ID)
	memo := s.memo
	s.mu.Unlock()
	if !verify {
		w.grow.Forget()
		return w.on()
	}
	cv := w.grow.CV(data, int64(i)) // a file that swarms has more than one piece
	if memo != nil && cv != memo.value(i) {
		return w.bad(i)
	}
	_, err := s.b.file.WriteAt(data, int64(i)*content.PieceSize)
	if err == nil {
		w.rec, err = s.b.wrote(s.p.journal, i, cv, w.rec)
	}
	if err != nil {
		w.err = s.p.disk(safefs.DiskError(err))
		return w.err
	}
	s.mu.Lock()
	if memo == nil && s.memo != nil && cv != s.memo.value(i) { // the layer came meanwhile
		s.mu.Unlock()
		if err := s.b.lost(s.p.journal, i); err != nil {
			w.err = s.p.disk(safefs.DiskError(err))
			return w.err
		}
		return w.bad(i)
	}
	s.plan.Good(w.r.ask.ID)
	s.offered(i)
	s.mu.Unlock()
	t := s.p.tally
	t.bytes.Add(int64(size))
	t.fetched.Add(int64(size))
	t.from(w.r.from.id, int64(size))
	s.p.owed.Add(-int64(size))
	s.sync.wrote(int64(size))
	s.poke()
	return w.on()
}

// on goes on with the next piece, if it is still wanted.
func (w *arriving) on() error {
	w.next++
	w.fill = 0
	if w.next >= w.r.ask.To {
		return nil
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if !w.s.plan.More(w.r.ask.ID) {
		return errEnough
	}
	return nil
}

// bad ends the request of whoever sent a wrong piece. A source whose own piece does not fit its own layer has changed, or is damaged: that is for the file to decide.
func (w *arriving) bad(piece int) error {
	s := w.s
	s.p.log.Warn("a piece is not what its owner states", "job", s.p.job.ID, "piece", piece, "from", w.r.from.id.Short())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plan.Bad(w.r.ask.ID, time.Now())
	w.r.ended = true
	s.p.tally.spoilt(w.r.from.id)
	delete(s.givers, w.r.from.id)
	if w.r.from.origin {
		s.failLocked(errBad)
	}
	return errBad
}
