package download

import (
	"context"
	"io"
	"time"

	"porchlight/discovery"
	"porchlight/share/content"
	"porchlight/transfer"
	"porchlight/transfer/wire"
)

// seek looks for others when a large file comes slowly from its source alone.
func (s *swarmed) seek(ctx context.Context) {
	if s.b.size < findAlone || !sleep(ctx, findAfter) {
		return
	}
	s.mu.Lock()
	pr, known := s.plan.Progress(), s.memo != nil || s.learning
	s.mu.Unlock()
	left := s.b.size - pr.Bytes
	if known || left < findAlone || float64(pr.Received)/findAfter.Seconds() > findSlow {
		return
	}
	found := s.candidates(ctx)
	if len(found) == 0 {
		return
	}
	s.mu.Lock()
	known = s.memo != nil || s.learning
	s.learning = true
	s.mu.Unlock()
	if known {
		return // then find runs there
	}
	l, err := s.sourceLayer(ctx)
	if err == nil && l.Size == s.b.size && l.Check() == nil {
		s.know(&memo{layer: l})
		s.prove(ctx, found)
	}
	s.mu.Lock()
	s.learning = false
	s.mu.Unlock()
}

// candidate is a file of the same size that another device shares.
type candidate struct {
	id discovery.DeviceID
	h  Helper
	f  wire.Found
}

// find asks everybody once for other copies of the file.
func (s *swarmed) find(ctx context.Context) { s.prove(ctx, s.candidates(ctx)) }

func (s *swarmed) candidates(ctx context.Context) (out []candidate) {
	if s.p.cfg.Helpers == nil {
		return nil
	}
	for _, id := range s.p.cfg.Helpers.Online() {
		if id == s.p.self || id == s.p.job.Request.Source || ctx.Err() != nil {
			continue
		}
		h, err := s.p.cfg.Helpers.Helper(id)
		if err != nil {
			continue
		}
		fctx, cancel := context.WithTimeout(ctx, 2*wire.FindTime)
		found, err := h.Find(fctx, []int64{s.b.size})
		cancel()
		if err != nil {
			continue
		}
		for _, f := range found {
			if f.Size == s.b.size {
				out = append(out, candidate{id, h, f})
			}
		}
	}
	return out
}

// prove has those candidates give pieces whose own layer is that of the file.
func (s *swarmed) prove(ctx context.Context, all []candidate) {
	for _, c := range all {
		s.mu.Lock()
		m, there := s.memo, s.givers[c.id] != nil
		s.mu.Unlock()
		if m == nil || there || c.f.Root != (content.Hash{}) && c.f.Root != m.layer.Root {
			continue
		}
		l, err := c.h.Layer(ctx, c.f.Share, c.f.Path, c.f.Version)
		if err != nil || !l.Equal(m.layer) || l.Check() != nil {
			continue
		}
		s.joinOther(c)
	}
}

// joinOther has a device give pieces of a file of its own. It has them all.
func (s *swarmed) joinOther(c candidate) {
	n := content.Parts(s.b.size)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.givers[c.id] != nil || !s.plan.Join(c.id, false, time.Now()) {
		return
	}
	for i := range n {
		if s.plan.Have(c.id, i) != nil {
			return
		}
	}
	s.asked[c.id] = true
	s.givers[c.id] = &giver{id: c.id, other: true, read: func(ctx context.Context, r transfer.Range, w io.Writer) error {
		return c.h.Read(ctx, c.f.Share, c.f.Path, c.f.Version, r, w)
	}}
	s.p.log.Info("the same content is elsewhere as well", "job", s.p.job.ID, "device", c.id.Short())
	s.poke()
}
