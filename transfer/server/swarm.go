package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"porchlight/discovery"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// Holdings are contents of other devices that this one has, or is just getting, and may give on.
type Holdings interface {
	// Holding returns the content of a root.
	Holding(root content.Hash) (Holding, bool)
}

// Holding is one of them. Safe for concurrent use.
type Holding interface {
	io.ReaderAt // of pieces that are there; anything else fails
	Origin() discovery.DeviceID
	Size() int64
	// Stated is what its origin said of it last, and what the origin's clock shows when the one of this device shows now.
	Stated(now time.Time) (wire.Manifest, time.Time)
	// Have returns how many pieces are there, which (wire.HaveAnswer), and what is closed when there are more.
	Have() (count int, bits []byte, more <-chan struct{})
	// Peers are other devices known to have some of it.
	Peers() []discovery.DeviceID
}

// swarm tells a device that pulls a file who else does, and gives it what it needs to be served by them.
func (s *Server) swarm(w http.ResponseWriter, r *http.Request) {
	var ask wire.SwarmAsk
	if !s.message(w, r, wire.MaxSwarmAsk, &ask) {
		return
	}
	id, err := share.ParseID(r.PathValue("share"))
	if err != nil {
		s.refuse(w, r, transfer.ErrGone)
		return
	}
	a, err := s.introduce(r, id, ask)
	if err != nil {
		s.refuse(w, r, kindOf(err))
		return
	}
	s.answer(w, r, a)
}

// introduce enters a puller among the others, and makes what it is told of them.
func (s *Server) introduce(r *http.Request, id share.ID, ask wire.SwarmAsk) (wire.SwarmAnswer, error) {
	tree, f, err := s.openVersion(r)
	if err != nil {
		return wire.SwarmAnswer{}, err
	}
	defer f.Close()
	e, dev := f.Entry(), link.SessionOf(r.Context()).ID
	switch {
	case s.cfg.Signer == nil || e.Size < wire.SwarmSize:
		return wire.SwarmAnswer{}, transfer.ErrUnsupported
	case len(ask.Bits) != (content.Parts(e.Size)+7)/8:
		return wire.SwarmAnswer{}, transfer.ErrProtocol
	}
	ground, ok := s.cfg.Circle.Ground(dev, id)
	if !ok {
		return wire.SwarmAnswer{}, transfer.ErrGone
	}
	key := crowdKey{e.Version, ground.Group}
	if _, ok := s.crowds.join(key, e.Size, dev, ask.Bits, time.Now()); !ok {
		return wire.SwarmAnswer{}, nil
	}
	if ask.Wait {
		s.crowds.await(r.Context(), key, dev)
		if now, ok := s.cfg.Circle.Ground(dev, id); !ok || now.Group != ground.Group { // lost while it waited
			return wire.SwarmAnswer{}, transfer.ErrGone
		}
	}
	t := s.crowds.tell(key, dev, time.Now())
	if t.others == 0 && !t.invited {
		return wire.SwarmAnswer{}, nil
	}
	a := wire.SwarmAnswer{Others: uint(t.others), Advice: t.advice}
	ctx, cancel := context.WithTimeout(r.Context(), wire.HaveTime) // the advice is of use before the content is known
	defer cancel()
	l, err := s.layerOf(ctx, dev, tree, f)
	if ctx.Err() != nil || errors.Is(err, transfer.ErrBusy) {
		return a, nil
	}
	if err != nil {
		return a, err
	}
	for _, p := range t.peers { // who lost the right since it asked is nobody to be sent to
		if now, ok := s.cfg.Circle.Ground(p, id); ok && now.Group == ground.Group {
			a.Peers = append(a.Peers, bytes.Clone(p[:]))
		}
	}
	err = s.invite(&a, wire.Manifest{Share: id, Path: e.Path, Size: e.Size, MTime: e.MTime, Root: l.Root, Group: ground.Group, Policy: ground.Policy}, dev)
	if err == nil {
		s.crowds.invited(key, dev)
	}
	return a, err
}

// invite signs what a puller shows to others. It is signed anew for each answer, which costs some 50 µs: so a ticket may be short-lived.
func (s *Server) invite(a *wire.SwarmAnswer, m wire.Manifest, dev discovery.DeviceID) error {
	now := time.Now()
	m.Made = now
	manifest, err := wire.SignManifest(m, s.cfg.Signer)
	if err != nil {
		return err
	}
	ticket, err := wire.SignTicket(wire.Ticket{Root: m.Root, Holder: dev, Group: m.Group, Until: now.Add(wire.TicketTime)}, s.cfg.Signer)
	if err != nil {
		return err
	}
	a.Manifest, a.Ticket = &manifest, &ticket
	return nil
}

// holding finds what a request for content names, if its ticket lets the device have it. Everything that is wrong with a
// request looks as if the content were not there: nobody learns by asking who has what.
func (s *Server) holding(r *http.Request) (Holding, pass, error) {
	if s.cfg.Holdings == nil {
		return nil, pass{}, transfer.ErrGone
	}
	p, err := s.passOf(r)
	if err != nil {
		return nil, pass{}, err
	}
	h, ok := s.cfg.Holdings.Holding(p.ticket.Root)
	if !ok || !p.opens(h, time.Now()) {
		return nil, pass{}, transfer.ErrGone
	}
	return h, p, nil
}

// have tells which pieces of a content this device has, when it has more than the asker knows of.
func (s *Server) have(w http.ResponseWriter, r *http.Request) {
	h, by, err := s.holding(r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	since, err := strconv.ParseUint(r.URL.Query().Get("since"), 10, 31)
	if err != nil {
		s.refuse(w, r, transfer.ErrGone)
		return
	}
	give, err := s.lists.take(r.Context(), int64(h.Size()/content.PieceSize/8+4096))
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer give()
	count, bits, err := awaitMore(r.Context(), h, int(since))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if !by.stands() { // any more
		s.refuse(w, r, transfer.ErrGone)
		return
	}
	a := wire.HaveAnswer{Count: uint(count), Bits: bits}
	for _, p := range h.Peers() {
		if len(a.Peers) < wire.MaxSwarm {
			a.Peers = append(a.Peers, bytes.Clone(p[:]))
		}
	}
	s.answer(w, r, a)
}

// awaitMore waits until there are more than since pieces, but no longer than wire.HaveTime. Pieces come fast: it waits for
// wire.HaveEvery in any case, so that one answer tells of several.
func awaitMore(ctx context.Context, h Holding, since int) (int, []byte, error) {
	end := time.NewTimer(wire.HaveTime)
	defer end.Stop()
	if since > 0 {
		select {
		case <-time.After(wire.HaveEvery):
		case <-ctx.Done():
			return 0, nil, ctx.Err()
		}
	}
	for {
		count, bits, more := h.Have()
		if count > since {
			return count, bits, nil
		}
		select {
		case <-more:
		case <-end.C:
			return count, bits, nil
		case <-ctx.Done():
			return 0, nil, ctx.Err()
		}
	}
}

// content sends pieces of a content of another device.
func (s *Server) content(w http.ResponseWriter, r *http.Request) {
	h, by, err := s.holding(r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	rg, err := parseRange(r.Header.Get("Range"), h.Size())
	if err != nil {
		s.refuse(w, r, transfer.ErrGone)
		return
	}
	if rg.Off%content.PieceSize != 0 || rg.Len > wire.ContentPieces*content.PieceSize || (rg.Off+rg.Len)%content.PieceSize != 0 && rg.Off+rg.Len != h.Size() {
		s.refuse(w, r, transfer.ErrGone)
		return
	}
	_, bits, _ := h.Have()
	for i := rg.Off / content.PieceSize; i*content.PieceSize < rg.Off+rg.Len; i++ {
		if !has(bits, int(i)) {
			s.refuse(w, r, transfer.ErrGone)
			return
		}
	}
	done, err := s.beginSend(r, sendCost)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer done()
	w.Header().Set("Content-Type", wire.TypeBytes)
	w.Header().Set("Content-Length", strconv.FormatInt(rg.Len, 10))
	w.WriteHeader(http.StatusPartialContent)
	out := s.paced(w, r)
	defer out.turn.leave()
	if err := s.copyContent(r.Context(), out, by, h, rg); err != nil {
		s.cfg.Log.Debug("content broke off", "err", err)
		panic(http.ErrAbortHandler)
	}
}

// copyContent sends the bytes; that they are right is for the other side to see, which has the layer.
func (s *Server) copyContent(ctx context.Context, w *paced, by pass, h Holding, rg transfer.Range) error {
	buf := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buf)
	for off, end := rg.Off, rg.Off+rg.Len; off < end; {
		p := (*buf)[:min(content.PieceSize, end-off)]
		if err := w.turn.take(ctx, int64(len(p))); err != nil {
			return err
		}
		if !by.stands() { // any more
			return transfer.ErrGone
		}
		if err := s.readHolding(ctx, h, p, off); err != nil {
			return err
		}
		if _, err := (deadlined{w}).Write(p); err != nil {
			return err
		}
		off += int64(len(p))
	}
	return nil
}

func (s *Server) readHolding(ctx context.Context, h Holding, p []byte, off int64) error {
	done, err := s.reads.take(ctx, nil)
	if err != nil {
		return ctx.Err()
	}
	defer done()
	if n, err := h.ReadAt(p, off); n < len(p) {
		return errors.Join(transfer.ErrGone, err)
	}
	return nil
}
