package server

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/canon"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/share/safefs"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// place finds what a request names, if the device may see it.
func (s *Server) place(dev discovery.DeviceID, id share.ID, path string) (*safefs.Tree, share.Path, error) {
	p, err := share.ParsePath(path)
	if err != nil {
		return nil, "", err
	}
	tree, err := s.cfg.Shares.Tree(dev, id)
	return tree, p, err
}

func (s *Server) placeOf(r *http.Request) (*safefs.Tree, share.Path, error) {
	id, err := share.ParseID(r.PathValue("share"))
	if err != nil {
		return nil, "", transfer.ErrGone
	}
	return s.place(link.SessionOf(r.Context()).ID, id, r.URL.Query().Get("path"))
}

// firstRows is after how many entries a listing is first sent, so that a screen fills while the rest is read.
const firstRows = 64

// list streams a folder, sorted, or with deep=1 everything below it.
func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	tree, p, err := s.placeOf(r)
	if err != nil {
		s.refuse(w, r, kindOf(err))
		return
	}
	done, ok := s.beginList(link.SessionOf(r.Context()).ID)
	if !ok {
		pause(r, wire.RefusalTime)
		s.refuse(w, r, transfer.ErrBusy)
		return
	}
	defer done()
	give, err := s.lists.take(r.Context(), listCost)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer give()
	q := r.URL.Query()
	order := share.Sort(cmp.Or(q.Get("sort"), string(share.ByName)))
	if !order.Valid() {
		s.refuse(w, r, transfer.ErrProtocol)
		return
	}
	first, err := tree.Stat(p)
	if err != nil {
		s.refuse(w, r, kindOf(err))
		return
	}
	deep := q.Get("deep") == "1"
	if !deep && first.Kind != share.Dir {
		s.refuse(w, r, transfer.ErrGone)
		return
	}
	seq, n := s.sequence(w, 64<<10), 0
	send := func(e share.Entry) error {
		sent := e.Name()
		if deep {
			sent = below(e.Path, p)
		}
		if err := seq.Write(wire.ItemOf(e, sent)); err != nil {
			return err
		}
		if n++; n == firstRows {
			return seq.flush()
		}
		return nil
	}
	if deep {
		err = tree.Walk(r.Context(), p, send)
	} else {
		err = tree.List(r.Context(), p, order, send)
	}
	if err != nil {
		s.cfg.Log.Debug("listing broke", "err", err)
		panic(http.ErrAbortHandler)
	}
	seq.end()
}

// below is p without dir.
func below(p, dir share.Path) string {
	if dir == "" {
		return string(p)
	}
	return strings.TrimPrefix(strings.TrimPrefix(string(p), string(dir)), "/")
}

// file sends one range of one version of a file, hashing it on the way.
func (s *Server) file(w http.ResponseWriter, r *http.Request) {
	f, rg, err := s.openRange(r)
	if err != nil {
		s.refuse(w, r, kindOf(err))
		return
	}
	defer f.Close()
	done, err := s.beginSend(r, sendCost)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer done()
	e := f.Entry()
	w.Header().Set("Content-Type", wire.TypeBytes)
	w.Header().Set("Content-Length", strconv.FormatInt(rg.Len, 10))
	w.Header().Set("ETag", `"`+e.Version.String()+`"`)
	if advice := s.crowds.advise(e.Version, link.SessionOf(r.Context()).ID, time.Now()); advice != "" {
		w.Header().Set(wire.HeaderAdvice, advice)
	}
	w.WriteHeader(http.StatusPartialContent)
	out := s.paced(w, r)
	defer out.turn.leave()
	if err := s.copyRange(r.Context(), out, f, rg); err != nil {
		s.cfg.Log.Debug("file broke off", "err", err)
		panic(http.ErrAbortHandler) // the status is out: a cut connection is the only honest answer
	}
}

// copyRange sends the bytes, piece by piece, and checks at the end that the file is still the version that was asked for.
func (s *Server) copyRange(ctx context.Context, w *paced, f *safefs.File, rg transfer.Range) error {
	buf := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	g := s.hashing.of(f.Entry())
	for off, end := rg.Off, rg.Off+rg.Len; off < end; {
		// up to the next border between pieces, so that a piece is hashed from one buffer
		n := min(content.PieceSize-off%content.PieceSize, end-off)
		p := (*buf)[:n]
		if err := w.turn.take(ctx, n); err != nil {
			return err
		}
		if err := s.readAll(ctx, f, p, off); err != nil {
			return err
		}
		g.put(off, p)
		if off+n == end { // before the last bytes leave: a mixture must not look whole
			if err := f.Check(); err != nil {
				return err
			}
		}
		if _, err := (deadlined{w}).Write(p); err != nil {
			return err
		}
		if e := f.Entry(); n == content.PieceSize || off%content.PieceSize == 0 && off+n == e.Size {
			s.crowds.gave(e.Version, link.SessionOf(ctx).ID, int(off/content.PieceSize), time.Now())
		}
		off += n
	}
	return nil
}

// readAll fills p from a file, in its turn. A file that has become shorter is broken: what is in p is of some other file.
func (s *Server) readAll(ctx context.Context, f *safefs.File, p []byte, off int64) error {
	done, err := s.reads.take(ctx, nil)
	if err != nil {
		return ctx.Err()
	}
	defer done()
	if n, err := f.ReadAt(p, off); n < len(p) {
		return errors.Join(transfer.ErrChanged, err)
	}
	return nil
}

// openVersion opens the version of a file that a request names.
func (s *Server) openVersion(r *http.Request) (*safefs.Tree, *safefs.File, error) {
	tree, p, err := s.placeOf(r)
	if err != nil {
		return nil, nil, err
	}
	want, err := share.ParseVersion(strings.Trim(r.Header.Get("If-Match"), `"`))
	if err != nil {
		return nil, nil, transfer.ErrProtocol
	}
	f, err := tree.Open(p)
	if err != nil {
		return nil, nil, err
	}
	if f.Entry().Version != want {
		f.Close()
		return nil, nil, transfer.ErrChanged
	}
	return tree, f, nil
}

// openRange opens what a file request asks for.
func (s *Server) openRange(r *http.Request) (*safefs.File, transfer.Range, error) {
	_, f, err := s.openVersion(r)
	if err != nil {
		return nil, transfer.Range{}, err
	}
	rg, err := parseRange(r.Header.Get("Range"), f.Entry().Size)
	if err != nil {
		f.Close()
		return nil, transfer.Range{}, err
	}
	return f, rg, nil
}

// parseRange reads "bytes=FIRST-LAST", the one form that is sent.
func parseRange(h string, size int64) (transfer.Range, error) {
	h, ok := strings.CutPrefix(h, "bytes=")
	a, b, dash := strings.Cut(h, "-")
	first, err1 := strconv.ParseInt(a, 10, 64)
	last, err2 := strconv.ParseInt(b, 10, 64)
	if !ok || !dash || err1 != nil || err2 != nil || first < 0 || last < first || last >= size {
		return transfer.Range{}, fmt.Errorf("%w: range", transfer.ErrProtocol)
	}
	rg := transfer.Range{Off: first, Len: last - first + 1}
	if rg.Len > wire.MaxRange {
		return transfer.Range{}, transfer.ErrLimit
	}
	return rg, nil
}

// pack sends many small files in one answer: a head, then the bytes, again and again.
func (s *Server) pack(w http.ResponseWriter, r *http.Request) {
	id, err := share.ParseID(r.PathValue("share"))
	if err != nil {
		s.refuse(w, r, transfer.ErrGone)
		return
	}
	dev := link.SessionOf(r.Context()).ID
	tree, err := s.cfg.Shares.Tree(dev, id)
	if err != nil {
		s.refuse(w, r, kindOf(err))
		return
	}
	done, err := s.beginSend(r, packCost)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer done()
	items, err := packItems(w, r)
	if err != nil {
		s.breach(w, r, err)
		return
	}
	buf := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	files := tree.Batch()
	defer files.Close()
	out := s.paced(w, r)
	defer out.turn.leave()
	seq := s.sequence(out, 64<<10)
	for i, it := range items {
		err := out.turn.take(r.Context(), 0)
		if err == nil {
			err = s.packOne(r.Context(), seq, files, i, it, *buf)
		}
		if err != nil {
			s.cfg.Log.Debug("pack broke off", "err", err)
			panic(http.ErrAbortHandler)
		}
	}
	seq.end()
}

// packItems reads what a pack request asks for. transfer.ErrAway says that the caller left in the middle, or was too slow.
func packItems(w http.ResponseWriter, r *http.Request) ([]wire.PackItem, error) {
	var items []wire.PackItem
	in := canon.NewReader(http.MaxBytesReader(w, r.Body, wire.MaxPackRequest))
	for {
		var it wire.PackItem
		err := in.Read(&it)
		var large *http.MaxBytesError
		switch {
		case errors.Is(err, io.EOF):
			io.Copy(io.Discard, in.Body()) //nolint:errcheck // at most MaxPackRequest; net/http would read it later
			calm(w)
			return items, nil
		case errors.As(err, &large), err == nil && len(items) == wire.MaxPackItems:
			return nil, transfer.ErrLimit
		case errors.Is(err, canon.ErrMessage):
			return nil, errors.Join(transfer.ErrProtocol, err)
		case err != nil:
			return nil, errors.Join(transfer.ErrAway, err)
		}
		items = append(items, it)
	}
}

// packOne sends one small file, or a head that says it is not to be had.
func (s *Server) packOne(ctx context.Context, seq *sequence, files *safefs.Batch, i int, it wire.PackItem, buf []byte) error {
	n, err := s.readSmall(ctx, files, it, buf)
	if err != nil {
		return seq.Write(wire.PackHead{I: i, Size: -1})
	}
	root := content.Sum(buf[:n])
	if err := seq.Write(wire.PackHead{I: i, Size: int64(n), Root: root[:]}); err != nil {
		return err
	}
	return seq.raw(buf[:n])
}

// readSmall reads a whole file, in its turn.
func (s *Server) readSmall(ctx context.Context, files *safefs.Batch, it wire.PackItem, buf []byte) (int, error) {
	if len(it.Version) != len(share.Version{}) {
		return 0, transfer.ErrProtocol
	}
	done, err := s.reads.take(ctx, nil)
	if err != nil {
		return 0, ctx.Err()
	}
	defer done()
	return files.Read(share.Path(it.Path), share.Version(it.Version), buf)
}

// layer describes the content of one version of a file; what was hashed while it was served need not be read again.
func (s *Server) layer(w http.ResponseWriter, r *http.Request) {
	tree, f, err := s.openVersion(r)
	if err != nil {
		s.refuse(w, r, kindOf(err))
		return
	}
	defer f.Close()
	e := f.Entry()
	l, err := s.layerOf(r.Context(), link.SessionOf(r.Context()).ID, tree, f)
	if err != nil {
		s.refuse(w, r, kindOf(err))
		return
	}
	give, err := s.memory.take(r.Context(), layerCost(len(l.Pieces)))
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer give()
	a := wire.LayerAnswer{Version: e.Version[:], Size: l.Size, Root: l.Root[:], Layer: make([]byte, 0, 32*len(l.Pieces))}
	for _, h := range l.Pieces {
		a.Layer = append(a.Layer, h[:]...)
	}
	s.answer(w, r, a)
}

// sequence is a canon.Writer on an answer.
type sequence struct {
	*canon.Writer
	buf *bufio.Writer
	w   http.ResponseWriter
}

func (s *Server) sequence(w http.ResponseWriter, size int) *sequence {
	w.Header().Set("Content-Type", wire.TypeSequence)
	b := bufio.NewWriterSize(deadlined{w}, size)
	return &sequence{canon.NewWriter(b), b, w}
}

func (q *sequence) flush() error {
	if err := q.buf.Flush(); err != nil {
		return err
	}
	return http.NewResponseController(q.w).Flush()
}

func (q *sequence) raw(p []byte) error {
	_, err := q.buf.Write(p)
	return err
}

// end closes the sequence; a reader that misses it knows that the answer is not whole.
func (q *sequence) end() {
	if q.Close() != nil || q.buf.Flush() != nil {
		panic(http.ErrAbortHandler)
	}
}

// deadlined gives every wire.StallSend of a body the time that a body may stall; a slower reader is given up.
type deadlined struct{ w http.ResponseWriter }

func (d deadlined) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		part := p[:min(len(p), wire.StallSend)]
		extend(d.w)
		var m int
		m, err = d.w.Write(part)
		n, p = n+m, p[m:]
	}
	return n, err
}
