package download

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"porchlight/discovery"
	"porchlight/share/content"
	"porchlight/transfer"
	"porchlight/transfer/swarm"
	"porchlight/transfer/wire"
)

const (
	firstAsk   = time.Second            // after the first question to a source, which it answers at once, until those that wait for news
	askGrace   = 250 * time.Millisecond // the first question is worth waiting for rather than closing its connection
	helperMost = 32                     // devices followed for one file
	helperSoon = 250 * time.Millisecond // a device named as a helper may not know it yet: asked again after this, doubling up to helperRest
	helperRest = 5 * time.Second
	helperVain = 8        // times that a device is asked which never had anything
	findAlone  = 64 << 20 // bytes still to come from one slow source, for which others are looked for
	findSlow   = 20 << 20 // bytes per second of a slow source
	findAfter  = 3 * time.Second
)

// withSource tells the source that this device pulls the file, for as long as it is there, and waits for it when it is not.
func (s *swarmed) withSource(ctx context.Context) {
	for {
		s.mu.Lock()
		there := s.src != nil
		s.mu.Unlock()
		if there {
			s.askSource(ctx)
			select {
			case <-s.left:
			case <-ctx.Done():
				return
			}
			if !sleep(ctx, s.p.cfg.Retry) { // it may not know yet that it left
				return
			}
		}
		if !s.sourceBack(ctx) {
			return
		}
	}
}

// sourceBack waits until the source is there again and has it asked. An attempt that began without it ends then, for another that does everything.
func (s *swarmed) sourceBack(ctx context.Context) bool {
	id := s.p.job.Request.Source
	for {
		select {
		case <-s.p.cfg.Sources.Up(id):
		case <-ctx.Done():
			return false
		}
		src, err := s.p.cfg.Sources.Source(id)
		if err != nil {
			if !sleep(ctx, s.p.cfg.Retry) {
				return false
			}
			continue
		}
		if s.p.src == nil {
			s.failed(&halt{state: transfer.Waiting, err: errBack})
			return false
		}
		s.mu.Lock()
		s.src = src
		s.mu.Unlock()
		s.joinSource()
		s.poke()
		return true
	}
}

// errBack ends an attempt without the source: it is there again.
var errBack = errors.New("the source is back")

// askSource learns from the source who else pulls the file. The first question is answered at once, so that a file that takes no second costs no
// connection; those after it wait for news.
func (s *swarmed) askSource(ctx context.Context) {
	for wait := false; ; {
		s.mu.Lock()
		src, _ := s.src.(Swarmer)
		bits := s.plan.AppendMap(nil)
		s.mu.Unlock()
		if src == nil {
			return
		}
		actx, cancel := ctx, func() {}
		if !wait {
			actx, cancel = unhurried(ctx)
		}
		a, err := src.Swarm(actx, s.p.self, s.p.job.Request.Share, s.it.entry(), bits, wait)
		cancel()
		gap := firstAsk
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, transfer.ErrGone), errors.Is(err, transfer.ErrUnsupported), errors.Is(err, transfer.ErrChanged):
			s.careful(swarm.Freely)
			return
		case err != nil:
			s.p.log.Debug("the source was not told of a pull", "job", s.p.job.ID, "err", err)
		default:
			s.careful(swarm.Shortly)
			if wait || a.Others > 0 {
				gap = wire.HaveEvery
			}
			wait = true
			s.told(ctx, a)
		}
		rest := time.NewTimer(gap)
		select {
		case <-rest.C:
			s.careful(swarm.Freely)
		case <-s.kick:
		case <-ctx.Done():
		}
		rest.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// tellWhole tells the source that all is here, so that it sends others to this device. Nothing waits for it but the end of the attempt. The caller holds mu.
func (s *swarmed) tellWhole(ctx context.Context) {
	src, ok := s.src.(Swarmer)
	if !ok || s.b.offer == nil {
		return
	}
	bits, e := s.plan.AppendMap(nil), s.it.entry()
	s.p.late.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wire.HaveTime)
		defer cancel()
		if _, err := src.Swarm(ctx, s.p.self, s.p.job.Request.Share, e, bits, false); err != nil {
			s.p.log.Debug("the source was not told of a whole file", "job", s.p.job.ID, "err", err)
		}
	})
}

// careful says how much is asked of an only source at a time.
func (s *swarmed) careful(c swarm.Care) {
	s.mu.Lock()
	s.plan.Careful(c)
	s.mu.Unlock()
}

// unhurried is ctx, but ends a moment later.
func unhurried(ctx context.Context) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(askGrace, cancel) })
	return late, func() { stop(); cancel() }
}

// told takes in what the source says of others.
func (s *swarmed) told(ctx context.Context, a wire.Swarm) {
	if a.Others > 0 {
		s.advised(a.Advice)
	}
	if !a.Known {
		return
	}
	s.mu.Lock()
	m := s.memo
	begin := (m == nil || m.manifest.Body == nil) && !s.learning
	s.learning = s.learning || begin
	renewed := m != nil && m.manifest.Body != nil && m.stated.Root == a.Stated.Root
	if renewed { // the newest ticket lasts longest
		m = m.with(a)
		s.memo = m
		if s.b.offer != nil {
			s.b.offer.restate(m)
		}
	}
	s.mu.Unlock()
	if begin {
		s.wg.Go(func() { s.learn(ctx, a) })
	} else if m != nil && m.manifest.Body != nil {
		s.meet(ctx, a.Peers)
	}
	if renewed && a.Stated.Made.Sub(s.noted).Abs() > wire.TicketTime/2 {
		if err := s.note(m); err != nil {
			s.failed(s.p.disk(err))
		}
	}
}

// learn gets the layer from the source; with it pieces of anybody can be verified.
func (s *swarmed) learn(ctx context.Context, a wire.Swarm) {
	l, err := s.sourceLayer(ctx)
	if err == nil && (l.Size != s.b.size || l.Root != a.Stated.Root || l.Check() != nil || a.Stated.MTime.UnixNano() != s.it.mtime.UnixNano()) {
		err = transfer.ErrProtocol
	}
	if err != nil {
		s.p.log.Debug("no layer yet", "job", s.p.job.ID, "err", err)
		s.mu.Lock()
		s.learning = false
		s.mu.Unlock()
		return
	}
	s.know(&memo{manifest: a.Manifest, ticket: a.Ticket, stated: a.Stated, ahead: a.Ahead, layer: l, helpers: a.Peers})
	s.meet(ctx, a.Peers)
	s.find(ctx)
}

// sourceLayer asks the source for the layer.
func (s *swarmed) sourceLayer(ctx context.Context) (l content.Layer, err error) {
	s.mu.Lock()
	src := s.src
	s.mu.Unlock()
	if src == nil {
		return l, transfer.ErrAway
	}
	err = s.p.patient(ctx, func() (err error) {
		l, err = src.Layer(ctx, s.p.job.Request.Share, s.b.src, s.b.version)
		return err
	})
	return l, err
}

// know takes a layer into use: what is there is compared with it, and what it says is right is offered to others.
func (s *swarmed) know(m *memo) {
	if m.manifest.Body != nil {
		if err := s.remember(m); err != nil {
			s.failed(s.p.disk(err))
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.memo != nil && s.memo.manifest.Body != nil {
		return
	}
	for i := range s.b.cvs {
		if !s.plan.Has(i) || s.b.value(i) == m.value(i) {
			continue
		}
		n := int64(content.PieceLen(s.b.size, i))
		s.p.tally.bytes.Add(-n)
		s.p.owed.Add(n)
		s.plan.Lost(i)
		if err := s.b.lost(s.p.journal, i); err != nil {
			s.failLocked(s.p.disk(err))
			return
		}
	}
	s.memo = m
	s.offer()
	s.poke()
}

// meet follows devices that are said to have some of the file.
func (s *swarmed) meet(ctx context.Context, ids []discovery.DeviceID) {
	if s.p.cfg.Helpers == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if s.asked[id] || s.following >= helperMost {
			continue
		}
		s.asked[id] = true
		s.following++
		s.wg.Go(func() {
			again := s.follow(ctx, id)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.following--
			s.asked[id] = !again
		})
	}
}

// follow learns which pieces a device has, until it turns out that it never has any, or only bad ones; again says that it may be named anew.
func (s *swarmed) follow(ctx context.Context, id discovery.DeviceID) (again bool) {
	since, vain, rest := 0, 0, helperSoon
	for ctx.Err() == nil {
		s.mu.Lock()
		m := s.memo
		s.mu.Unlock()
		h, err := s.p.cfg.Helpers.Helper(id)
		var bits []byte
		var peers []discovery.DeviceID
		if err == nil {
			have, herr := h.Have(ctx, m.layer.Root, s.b.size, m.ticket, since)
			bits, peers, err = have.Bits, have.Peers, herr
			if err == nil {
				since = have.Count
			}
		}
		if err == nil {
			if !s.tells(id, h, bits) {
				return false
			}
			s.meet(ctx, peers)
			vain, rest = -1, helperSoon
			if !sleep(ctx, wire.HaveEvery) {
				return false
			}
			continue
		}
		since = 0
		s.leave(id)
		if vain >= 0 {
			vain++
		}
		if vain > helperVain {
			return true
		}
		if !s.pause(ctx, id, rest) {
			return false
		}
		rest = min(2*rest, helperRest)
	}
	return false
}

// pause waits for a while, or until a device comes that is not there.
func (s *swarmed) pause(ctx context.Context, id discovery.DeviceID, d time.Duration) bool {
	up := s.p.cfg.Helpers.HelperUp(id)
	select {
	case <-up: // it is there, and yet it did not answer well
		up = nil
	default:
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-up:
	case <-ctx.Done():
		return false
	}
	return true
}

// tells takes in what a helper has; false if it is not to be asked any more.
func (s *swarmed) tells(id discovery.DeviceID, h Helper, bits []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.plan.Join(id, false, time.Now()) {
		delete(s.givers, id)
		return false
	}
	if err := s.plan.Map(id, bits); err != nil {
		s.p.log.Debug("a helper makes no sense", "helper", id.Short(), "err", err)
		s.plan.Ban(id)
		delete(s.givers, id)
		s.poke()
		return false
	}
	if s.givers[id] == nil {
		s.givers[id] = &giver{id: id, read: func(ctx context.Context, r transfer.Range, w io.Writer) error {
			s.mu.Lock()
			m := s.memo
			s.mu.Unlock()
			return h.Content(ctx, m.layer.Root, m.ticket, r, w)
		}}
	}
	s.poke()
	return true
}

// leave takes a helper away that cannot be reached.
func (s *swarmed) leave(id discovery.DeviceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.givers[id] != nil {
		delete(s.givers, id)
		s.plan.Leave(id)
		s.poke()
	}
}

// peers names the helpers that are there.
func (s *swarmed) peers() (out []discovery.DeviceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, g := range s.givers {
		if !g.origin && !g.other {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, func(a, b discovery.DeviceID) int { return bytes.Compare(a[:], b[:]) })
	return out[:min(len(out), wire.MaxSwarm)]
}
