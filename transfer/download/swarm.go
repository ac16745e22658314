package download

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"porchlight/discovery"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
	"porchlight/transfer/client"
	"porchlight/transfer/swarm"
	"porchlight/transfer/wire"
)

// Swarmer is a Source that knows who else pulls its files.
type Swarmer interface {
	Source
	// Swarm tells it that this device, self, pulls a file and has the pieces of a map, and returns who else does.
	Swarm(ctx context.Context, self discovery.DeviceID, sh share.ID, e share.Entry, bits []byte, wait bool) (wire.Swarm, error)
}

// Helper is a device that has content of another one; *client.Client is one.
type Helper interface {
	// Have returns which pieces of a content it has, when there are more than since or after some seconds.
	Have(ctx context.Context, root content.Hash, size int64, ticket wire.Signed, since int) (client.Have, error)
	// Content copies whole pieces of a content, in order; nil only if all of it was written.
	Content(ctx context.Context, root content.Hash, ticket wire.Signed, rg transfer.Range, w io.Writer) error
	// Find names files of given sizes in its own shares.
	Find(ctx context.Context, sizes []int64) ([]wire.Found, error)
	Read(ctx context.Context, sh share.ID, p share.Path, v share.Version, r transfer.Range, w io.Writer) error
	Layer(ctx context.Context, sh share.ID, p share.Path, v share.Version) (content.Layer, error)
}

// Helpers finds devices that may have content of others.
type Helpers interface {
	// Helper returns a device that can be reached now, and transfer.ErrAway otherwise.
	Helper(id discovery.DeviceID) (Helper, error)
	// HelperUp is closed when the device becomes reachable; nil for one that was never met.
	HelperUp(id discovery.DeviceID) <-chan struct{}
	// Online names all that can be reached now and know how to help.
	Online() []discovery.DeviceID
}

const (
	poolPieces = 36               // pieces in memory for many sources, all files together; each fetcher has rangeLanes of its own besides
	stuckTime  = 10 * time.Second // nobody has what is missing: then the file waits for its source
	busyTime   = time.Minute      // a source that is busy for so long counts as away
)

// swarmed is one large file, fetched from whoever has it. The Plan is only called with mu held; requests run in goroutines of their own, each with one
// piece in memory. Until the layer is known, only its source gives it, and what came is compared when the layer comes, at the latest at the end.
type swarmed struct {
	p    *pull
	b    *partial
	it   *item
	sync *syncer
	wake chan struct{}  // one token: look at the plan again
	kick chan struct{}  // one token: ask the source who else is there
	left chan struct{}  // one token: the source left
	wg   sync.WaitGroup // everything started

	noted time.Time // when the ticket on the disk was made, by the source's clock; of who learns the layer, and after that of who asks the source

	mu        sync.Mutex // guards the fields below
	plan      *swarm.Plan
	src       Source // nil while it is not there
	givers    map[discovery.DeviceID]*giver
	asked     map[discovery.DeviceID]bool // followed, or never to be
	following int
	learning  bool // the layer is on its way
	running   map[uint64]*request
	bufs      [][]byte // not in use
	ids       []uint64
	tokens    int // of the pool, held by this file
	memo      *memo
	fail      error
	stuck     time.Time // since when nothing can come
	good      time.Time // something came, or the source was asked for the first time
}

// giver is one device that pieces can be read from.
type giver struct {
	id     discovery.DeviceID
	origin bool
	other  bool // it has another file of the same content
	read   func(ctx context.Context, r transfer.Range, w io.Writer) error
}

// request is one question for pieces under way.
type request struct {
	ask     swarm.Ask
	from    *giver
	count   *given // of the job
	buf     []byte
	ctx     context.Context //nolint:containedctx // of this request
	cancel  context.CancelFunc
	dropped bool // guarded by swarmed.mu: the plan wants no more of it
	ended   bool // guarded by swarmed.mu: the plan has ended it
}

// swarms reports whether a file is worth a plan.
func (p *pull) swarms(it *item) bool {
	if it.size < wire.SwarmSize {
		return false
	}
	if p.src == nil {
		return true
	}
	_, ok := p.src.(Swarmer)
	return ok
}

// fillSwarm fetches what is missing of a file from all who have it. The layer is nil if nobody needed it so far.
func (p *pull) fillSwarm(ctx context.Context, b *partial, it *item, bufs *[rangeLanes][]byte) (*content.Layer, error) {
	now := time.Now()
	s := &swarmed{p: p, b: b, it: it, sync: p.newSyncer(b), wake: make(chan struct{}, 1), kick: make(chan struct{}, 1), left: make(chan struct{}, 1), src: p.src,
		givers: map[discovery.DeviceID]*giver{}, asked: map[discovery.DeviceID]bool{p.self: true, p.job.Request.Source: true},
		running: map[uint64]*request{}, bufs: append(make([][]byte, 0, rangeLanes), bufs[:]...), good: now,
		plan: swarm.New(swarm.Config{Size: b.size, Self: p.self, Seed: binary.LittleEndian.Uint64(b.version[:8]) ^ uint64(b.id), Standing: p.standing})}
	for i, ok := range b.have { // nobody else has the file yet
		if ok {
			s.plan.Mark(i)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer s.giveBack()
	if !s.plan.Done() {
		s.wg.Go(func() {
			if err := p.part.Reserve(ctx, b.file, b.size); err != nil {
				s.failed(p.disk(err))
			}
		})
	}
	s.plan.Careful(swarm.Singly) // until the source says who else is there, which it does at once
	s.recall(ctx)
	if s.src != nil {
		s.joinSource()
	}
	s.wg.Go(func() { s.withSource(ctx) })
	s.wg.Go(func() { s.seek(ctx) })
	s.drive(ctx)
	cancel()
	s.wg.Wait()
	err := s.sync.wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.fail != nil:
		return nil, s.fail
	case err != nil:
		return nil, p.disk(err)
	case !s.plan.Done():
		return nil, context.Cause(ctx)
	case s.memo == nil:
		return nil, nil
	}
	s.tellWhole(ctx)
	return &s.memo.layer, nil
}

// joinSource makes the source one to be asked. Nothing waits for anybody else.
func (s *swarmed) joinSource() {
	id := s.p.job.Request.Source
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.src
	s.plan.Join(id, true, time.Now())
	s.givers[id] = &giver{id: id, origin: true, read: func(ctx context.Context, r transfer.Range, w io.Writer) error {
		return src.Read(ctx, s.p.job.Request.Share, s.b.src, s.b.version, r, w)
	}}
}

// giveBack returns what was borrowed from other files.
func (s *swarmed) giveBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; s.tokens > 0; s.tokens-- {
		<-s.p.pool
	}
}

func (s *swarmed) failed(err error) {
	s.mu.Lock()
	s.failLocked(err)
	s.mu.Unlock()
}

// failLocked ends the file; the caller holds mu.
func (s *swarmed) failLocked(err error) {
	if s.fail == nil && err != nil {
		s.fail = err
	}
	s.poke()
}

func (s *swarmed) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// drive has the plan decide after every report, until all is there or nothing can come.
func (s *swarmed) drive(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next, over := s.step(ctx, time.Now())
		if over {
			return
		}
		timer.Reset(next)
		select {
		case <-s.wake:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// step breaks off what is too late and asks for whatever can be asked for. It returns when to look again.
func (s *swarmed) step(ctx context.Context, now time.Time) (next time.Duration, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids = s.plan.Overdue(now, s.ids[:0])
	for _, id := range s.ids {
		if r := s.running[id]; r != nil {
			r.dropped = true
			r.cancel()
		}
	}
	for s.fail == nil && s.room() {
		a, ok := s.plan.Next(now)
		if !ok {
			s.unroom()
			break
		}
		s.ask(ctx, a)
	}
	if s.fail != nil || s.plan.Done() {
		return 0, true
	}
	next = time.Second
	if at, ok := s.plan.Wake(now); ok {
		next = min(next, max(at.Sub(now), time.Millisecond))
	}
	return next, s.hopeless(now)
}

// hopeless ends the file when nobody can give what is missing, or the one who could is busy for too long. The caller holds mu.
func (s *swarmed) hopeless(now time.Time) bool {
	if !s.plan.Stuck() {
		s.stuck = time.Time{}
		if len(s.running) == 0 && !s.helped() && now.Sub(s.good) > busyTime {
			s.fail = fmt.Errorf("%w: busy for too long", transfer.ErrAway)
		}
		return s.fail != nil
	}
	if s.stuck.IsZero() {
		s.stuck = now
	}
	if len(s.givers) == 0 && s.memo == nil || now.Sub(s.stuck) > stuckTime {
		s.fail = fmt.Errorf("%w: nobody there has the rest", transfer.ErrAway)
	}
	return s.fail != nil
}

// room makes sure of memory for one more request; the caller holds mu.
func (s *swarmed) room() bool {
	if len(s.bufs) > 0 {
		return true
	}
	select {
	case s.p.pool <- struct{}{}:
		s.tokens++
		s.bufs = append(s.bufs, nil) // made when it is needed
		return true
	default:
		return false // one of the requests under way ends some time
	}
}

// unroom gives back what room took and nobody needed.
func (s *swarmed) unroom() {
	if n := len(s.bufs) - 1; n >= 0 && s.bufs[n] == nil {
		s.bufs = s.bufs[:n]
		s.tokens--
		<-s.p.pool
	}
}

// ask starts one request; the caller holds mu.
func (s *swarmed) ask(ctx context.Context, a swarm.Ask) {
	n := len(s.bufs) - 1
	buf := s.bufs[n]
	s.bufs = s.bufs[:n]
	if buf == nil {
		buf = make([]byte, content.PieceSize)
	}
	r := s.begin(ctx, a, buf)
	s.wg.Go(func() {
		for r != nil {
			w := &arriving{s: s, r: r, next: r.ask.From}
			err := s.read(r.ctx, r, w)
			r.cancel()
			r = s.ended(ctx, r, w, err)
		}
	})
}

// begin enters a request; the caller holds mu.
func (s *swarmed) begin(ctx context.Context, a swarm.Ask, buf []byte) *request {
	r := &request{ask: a, from: s.givers[a.Peer], count: s.p.tally.by(a.Peer), buf: buf}
	r.ctx, r.cancel = context.WithCancel(ctx)
	s.running[a.ID] = r
	return r
}

// read reads what a request asks for. Its source is asked for as many ranges at a time as one pull may have under way with it.
func (s *swarmed) read(ctx context.Context, r *request, w *arriving) error {
	if r.from.origin {
		select {
		case s.p.lanes <- struct{}{}:
		default:
			if err := s.queue(ctx, r); err != nil {
				return err
			}
		}
		defer func() { <-s.p.lanes }()
		if err := s.p.writers.Enter(ctx, s.b, func() { s.began(r) }); err != nil {
			return err
		}
		defer s.p.writers.Leave(s.b)
	}
	return r.from.read(ctx, r.ask.Range(s.b.size), w)
}

// queue waits for a lane; the plan is told that nobody is to blame for it.
func (s *swarmed) queue(ctx context.Context, r *request) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case s.p.lanes <- struct{}{}:
			s.began(r)
			return nil
		case <-tick.C:
			s.began(r)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// began tells the plan that a request begins only now.
func (s *swarmed) began(r *request) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plan.Began(r.ask.ID, now)
	s.good = now
}

// ended tells the plan how a request ended, and returns the next one for the same goroutine, if there is one at once.
func (s *swarmed) ended(ctx context.Context, r *request, w *arriving, err error) *request {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.poke()
	now := time.Now()
	delete(s.running, r.ask.ID)
	s.settle(ctx, r, w, err, now)
	if s.fail == nil && ctx.Err() == nil {
		if a, ok := s.plan.Next(now); ok {
			return s.begin(ctx, a, r.buf)
		}
	}
	s.bufs = append(s.bufs, r.buf)
	return nil
}

// settle tells the plan how a request ended; the caller holds mu.
func (s *swarmed) settle(ctx context.Context, r *request, w *arriving, err error, now time.Time) {
	switch {
	case w.err != nil:
		s.failLocked(w.err)
	case r.ended:
		return
	case err == nil, r.dropped, ctx.Err() != nil, errors.Is(err, errEnough):
	case r.from.origin:
		s.sourceFailed(r, w, err, now)
		return
	default:
		how, retry := outcomeOf(err)
		if how == swarm.Gone && s.memo.stale(now) { // it may well have the piece
			how, retry = swarm.Busy, helperRest
		}
		s.plan.End(r.ask.ID, how, retry, now)
		return
	}
	s.plan.End(r.ask.ID, swarm.Served, 0, now)
}

// sourceFailed decides what becomes of the file when its source could not serve a request; the caller holds mu.
func (s *swarmed) sourceFailed(r *request, w *arriving, err error, now time.Time) {
	how, retry := outcomeOf(err)
	if how == swarm.Busy && w.any {
		how, err = swarm.Away, fmt.Errorf("%w: busy in the middle of a range", transfer.ErrAway)
	}
	if how == swarm.Busy {
		s.plan.End(r.ask.ID, how, retry, now)
		return
	}
	s.plan.End(r.ask.ID, swarm.Away, 0, now)
	if how != swarm.Away || !s.helped() {
		s.failLocked(err)
		return
	}
	s.sourceLeft()
}

// helped reports whether anybody but the source gives; the caller holds mu.
func (s *swarmed) helped() bool {
	for _, g := range s.givers {
		if !g.origin {
			return true
		}
	}
	return false
}

// sourceLeft goes on without the source until it is back; the caller holds mu.
func (s *swarmed) sourceLeft() {
	id := s.p.job.Request.Source
	if s.givers[id] == nil {
		return
	}
	s.p.log.Info("source away, others go on", "job", s.p.job.ID)
	s.plan.Leave(id)
	delete(s.givers, id)
	s.src = nil
	select {
	case s.left <- struct{}{}:
	default:
	}
}

// outcomeOf says what an answer of a device means.
func outcomeOf(err error) (swarm.Outcome, time.Duration) {
	var busy *transfer.Busy
	switch {
	case errors.As(err, &busy):
		return swarm.Busy, busy.Retry
	case errors.Is(err, transfer.ErrBusy):
		return swarm.Busy, 0
	case errors.Is(err, transfer.ErrAway):
		return swarm.Away, 0
	case errors.Is(err, transfer.ErrGone), errors.Is(err, transfer.ErrChanged):
		return swarm.Gone, 0
	}
	return swarm.Broken, 0
}
