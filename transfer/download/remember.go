package download

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/canon"
	"porchlight/share/content"
	"porchlight/transfer"
	"porchlight/transfer/wire"
)

// memo is what lets a file go on without its source. A value is never changed.
type memo struct {
	manifest, ticket wire.Signed // as the source signed them; empty where only the layer is known
	stated           wire.Manifest
	ahead            time.Duration // by which the source's clock is ahead of this device's
	layer            content.Layer
	helpers          []discovery.DeviceID
}

// value is that of a piece.
func (m *memo) value(i int) content.Hash {
	if len(m.layer.Pieces) == 0 {
		return m.layer.Root
	}
	return m.layer.Pieces[i]
}

// with is m with newer signatures.
func (m *memo) with(a wire.Swarm) *memo {
	n := *m
	n.manifest, n.ticket, n.stated, n.ahead = a.Manifest, a.Ticket, a.Stated, a.Ahead
	return &n
}

// stale reports whether the ticket is one that a helper need not take any more.
func (m *memo) stale(now time.Time) bool {
	return m != nil && m.manifest.Body != nil && !now.Add(m.ahead).Before(m.stated.Made.Add(wire.TicketTime))
}

// remembered is the body of a record 's' of the journal.
type remembered struct {
	Manifest wire.Signed `cbor:"m"`
	Ticket   wire.Signed `cbor:"t"`
	Helpers  [][]byte    `cbor:"h"`
	Item     []byte      `cbor:"i"`
	Ahead    int64       `cbor:"k,omitempty"` // ns
}

func (b *partial) layerName() string { return "l" + strconv.FormatUint(b.id, 36) }

// remember writes down what a later process needs to go on without the source: the layer first, then the record that speaks of it.
func (s *swarmed) remember(m *memo) error {
	data := make([]byte, 0, len(content.Hash{})*len(m.layer.Pieces))
	for _, h := range m.layer.Pieces {
		data = append(data, h[:]...)
	}
	if err := s.p.part.Put(s.b.layerName(), data, s.it.mtime); err != nil {
		return err
	}
	return s.note(m)
}

// note writes the record alone: a ticket does not last, and who comes back without its source has what is written down.
func (s *swarmed) note(m *memo) error {
	s.noted = m.stated.Made
	r := remembered{Manifest: m.manifest, Ticket: m.ticket, Item: s.it.encode(nil), Ahead: int64(m.ahead)}
	for _, id := range m.helpers[:min(len(m.helpers), wire.MaxSwarm)] {
		r.Helpers = append(r.Helpers, id[:])
	}
	body, err := canon.Marshal(r)
	if err != nil {
		return err
	}
	s.b.swarm = body
	return s.p.journal.Append(append(binary.AppendUvarint([]byte{recSwarm}, s.b.id), body...))
}

// recallMemo reads what remember wrote, and believes nothing that is not signed and does not fit. Nil if there is nothing of use.
func (p *pull) recallMemo(b *partial) (*memo, *item) {
	var r remembered
	if b.swarm == nil || canon.Unmarshal(b.swarm, &r) != nil {
		return nil, nil
	}
	var it item
	if rest, err := it.decode(r.Item); err != nil || len(rest) > 0 || it.src != b.src || it.version != b.version || it.size != b.size {
		return nil, nil
	}
	m := &memo{manifest: r.Manifest, ticket: r.Ticket, ahead: time.Duration(r.Ahead)}
	var err error
	if m.stated, err = wire.OpenManifest(r.Manifest); err != nil {
		return nil, nil
	}
	t, err := wire.OpenTicket(r.Ticket)
	req := p.job.Request
	if err != nil || m.stated.Origin != req.Source || m.stated.Share != req.Share || m.stated.Path != b.src || m.stated.Size != b.size ||
		m.stated.MTime.UnixNano() != it.mtime.UnixNano() || m.stated.Group != t.Group || !t.Names(p.self, req.Source, m.stated.Root) ||
		!time.Now().Add(m.ahead).Before(t.Until.Add(m.stated.Away())) { // nobody would take it any more
		return nil, nil
	}
	if m.layer, err = p.readLayer(b, m.stated.Root); err != nil {
		p.log.Debug("a layer is not as it was", "job", p.job.ID, "err", err)
		return nil, nil
	}
	for _, id := range r.Helpers {
		if len(id) == len(discovery.DeviceID{}) {
			m.helpers = append(m.helpers, discovery.DeviceID(id))
		}
	}
	return m, &it
}

func (p *pull) readLayer(b *partial, root content.Hash) (content.Layer, error) {
	l := content.Layer{Size: b.size, Root: root}
	n := content.PieceCount(b.size)
	bytes := int64(n) * int64(len(root))
	f, err := p.part.Open(b.layerName(), bytes)
	if err != nil {
		return l, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, 0, bytes))
	if err != nil {
		return l, err
	}
	for ; len(data) >= len(root); data = data[len(root):] {
		l.Pieces = append(l.Pieces, content.Hash(data))
	}
	return l, l.Check()
}

// recall takes up where an earlier attempt was.
func (s *swarmed) recall(ctx context.Context) {
	m, _ := s.p.recallMemo(s.b)
	if m == nil {
		return
	}
	s.know(m)
	s.meet(ctx, m.helpers)
}

// helpers names the devices that files of earlier attempts can go on from.
func (s *partials) helpers() (out []discovery.DeviceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.byPath {
		var r remembered
		if b.swarm == nil || canon.Unmarshal(b.swarm, &r) != nil {
			continue
		}
		for _, id := range r.Helpers {
			if len(id) == len(discovery.DeviceID{}) {
				out = append(out, discovery.DeviceID(id))
			}
		}
	}
	return out
}

// withHelp lists the files that may go on without their source.
func (s *partials) withHelp() (out []*partial) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.byPath {
		if b.swarm != nil && !b.busy {
			out = append(out, b)
		}
	}
	return out
}

// rescue finishes what can be finished without the source. It returns transfer.ErrAway when that is done: what else there is needs the source.
func (p *pull) rescue(ctx context.Context) error {
	p.tally.listed.Store(p.job.Listed)
	g := newGroup(ctx)
	work := make(chan *item)
	g.start(nil, func(ctx context.Context) error {
		defer close(work)
		for _, b := range p.parts.withHelp() {
			if _, it := p.recallMemo(b); it != nil {
				select {
				case work <- it:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		return nil
	})
	g.start(nil, func(ctx context.Context) error {
		defer close(p.out)
		bufs := [rangeLanes][]byte{}
		for i := range bufs {
			bufs[i] = make([]byte, content.PieceSize)
		}
		for it := range work {
			if err := p.fetchOnce(ctx, it, &bufs); err != nil {
				if ctx.Err() != nil || !haltFree(err) {
					return err
				}
				p.log.Debug("a file cannot go on without its source", "job", p.job.ID, "err", err)
			}
		}
		return nil
	})
	g.start(nil, p.publish)
	if err := g.wait(); err != nil {
		return err
	}
	if p.complete() {
		return nil
	}
	return fmt.Errorf("%w: the rest needs its source", transfer.ErrAway)
}

// complete reports whether the files of a rescue were all that was missing, and counts the job as a whole then: nothing was listed or counted anew.
func (p *pull) complete() bool {
	j, t := p.job, p.tally
	if !j.Listed || j.Failed > 0 || j.Done+int(t.done.Load()) < j.Files {
		return false
	}
	t.bytes.Store(j.Total)
	t.total.Store(j.Total)
	t.files.Store(int64(j.Files))
	t.done.Store(int64(j.Files))
	t.skipped.Store(int64(j.Skipped))
	t.adapted.Store(int64(j.Adapted))
	t.mu.Lock()
	t.problems = slices.Clone(j.Problems)
	t.mu.Unlock()
	return true
}
