package download

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"porchlight/discovery"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/share/safefs"
	"porchlight/transfer"
	"porchlight/transfer/pace"
	"porchlight/transfer/swarm"
)

const (
	smallFile  = content.PieceSize // up to here a file travels in a pack
	packItems  = 1024              // files in one pack
	packBytes  = 8 << 20           // bytes in one pack
	packers    = 2                 // packs in flight
	rangeLanes = 4                 // ranges in flight: see swarm.soleLanes
	bigFiles   = 3                 // large files at a time: while one is checked and one ends, another keeps the lanes busy
	patience   = 8                 // times a busy source is asked again, in a minute
	strikes    = 3                 // times the same file may go wrong
	losses     = 9                 // times the connection may break over the same file, within half a minute
)

// pull is one attempt at one job.
type pull struct {
	cfg   *Config
	log   *slog.Logger
	job   transfer.Job
	tally *tally
	parts *partials
	src   Source // nil while it is away and others may have the rest of what was begun
	names *safefs.Names
	free  func(*safefs.Dest) (int64, error)

	offers   *offers
	standing *swarm.Standing
	pool     chan struct{}
	self     discovery.DeviceID

	dest    *safefs.Dest
	part    *safefs.Part
	journal *safefs.Journal

	small, large *spool
	lanes        chan struct{} // one token for each range in flight
	writers      *pace.Disk    // how many of them, of all jobs, the disk bears
	out          chan ready
	number       atomic.Uint64 // of part files
	owed         atomic.Int64  // bytes reserved on the disk and not written yet
	lying        lying         // what is here already
	nameless     nameless      // what a crash would lose
	loose        atomic.Int64  // bytes of large files that were not synced
	single       bool          // one thing was asked for, so it is what is shown

	late sync.WaitGroup // what need not be waited for before the attempt ends

	mu     sync.Mutex // guards the field below
	result string
}

// pull makes one attempt. It returns the path to show, as far as known, and nil only if everything that can be there is.
func (m *Manager) pull(ctx context.Context, job transfer.Job, parts *partials, t *tally) (string, error) {
	src, err := m.cfg.Sources.Source(job.Request.Source)
	if err != nil && (m.cfg.Helpers == nil || job.Files == 0) {
		return "", err
	}
	p := &pull{
		offers: &m.offers, standing: m.standing, pool: m.pool, self: m.self(),
		cfg: &m.cfg, log: m.cfg.Log, job: job, tally: t, parts: parts, src: src, free: m.free,
		lanes: make(chan struct{}, rangeLanes), out: make(chan ready, packItems), single: len(job.Request.Paths) == 1, result: job.Result,
	}
	if err := p.open(); err != nil {
		return p.result, err
	}
	writers, done := m.disks.use(p.dest.Disk())
	defer done()
	p.writers = writers
	p.part.Measure(writers)
	if src == nil {
		err = p.rescue(ctx)
	} else {
		err = p.run(ctx)
	}
	if err == nil {
		err = p.disk(p.dest.Settle())
	}
	p.late.Wait()
	p.parts.closeFiles()
	p.journal.Close()
	p.part.Close()
	if err == nil {
		if derr := p.dest.DropPart(partID(job)); derr != nil { // the files are there all the same
			p.log.Warn("part folder stays", "job", job.ID, "err", derr)
		}
		p.parts.forget()
	}
	p.dest.Close()
	return p.result, err
}

// self is the device that pulls.
func (m *Manager) self() (id discovery.DeviceID) {
	if m.cfg.Self != nil {
		id = m.cfg.Self()
	}
	return id
}

// open opens target folder, part folder and journal.
func (p *pull) open() (err error) {
	p.dest, err = openTarget(p.cfg.watch, p.job)
	if err != nil {
		return p.disk(err)
	}
	p.result = p.dest.Dir()
	p.names = p.dest.Names()
	if p.part, err = p.dest.Part(partID(p.job)); err != nil {
		p.dest.Close()
		return p.disk(err)
	}
	if p.journal, err = p.parts.load(p.part); err != nil {
		p.part.Close()
		p.dest.Close()
		return p.disk(err)
	}
	p.owed.Store(p.parts.owe())
	p.small = newSpool(func() (scratch, error) { return p.part.Scratch("list-small") })
	p.large = newSpool(func() (scratch, error) { return p.part.Scratch("list-large") })
	return nil
}

// run starts everything and returns when all of it has ended, with the first error.
func (p *pull) run(ctx context.Context) error {
	defer p.small.discard()
	defer p.large.discard()
	g := newGroup(ctx)
	packs := make(chan []item)
	var smalls, bigs sync.WaitGroup
	g.start(nil, func(ctx context.Context) error {
		defer p.small.close()
		return p.list(ctx)
	})
	g.start(&smalls, func(ctx context.Context) error {
		defer close(packs)
		return p.fillPacks(ctx, packs)
	})
	for range packers {
		g.start(&smalls, func(ctx context.Context) error { return p.fetchPacks(ctx, packs) })
	}
	for range bigFiles {
		g.start(&bigs, p.fetchLarge)
	}
	g.start(nil, p.publish)
	smalls.Wait()
	p.large.close() // only now: a small file may have grown
	bigs.Wait()
	close(p.out)
	return g.wait()
}

// group runs goroutines that end together.
type group struct {
	wg     sync.WaitGroup
	ctx    context.Context //nolint:containedctx // of this group alone
	cancel context.CancelCauseFunc
	once   sync.Once
	err    error
}

func newGroup(ctx context.Context) *group {
	g := &group{}
	g.ctx, g.cancel = context.WithCancelCause(ctx)
	return g
}

// start runs f; also, if not nil, counts it too.
func (g *group) start(also *sync.WaitGroup, f func(context.Context) error) {
	if also != nil {
		also.Add(1)
	}
	g.wg.Go(func() {
		if also != nil {
			defer also.Done()
		}
		if err := f(g.ctx); err != nil {
			g.once.Do(func() { g.err = err })
			g.cancel(err)
		}
	})
}

func (g *group) wait() error {
	g.wg.Wait()
	g.cancel(nil)
	return g.err
}

// patient asks a busy source again, less and less often, and takes it for away at last.
func (p *pull) patient(ctx context.Context, ask func() error) error {
	wait := p.cfg.Retry / 4
	for range patience {
		err := ask()
		if !errors.Is(err, transfer.ErrBusy) || !haltFree(err) {
			return err
		}
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
		wait *= 2
	}
	return fmt.Errorf("%w: busy for too long", transfer.ErrAway)
}

// disk makes the halt of an error of this computer's disk; nil for nil.
func (p *pull) disk(err error) error {
	var h *halt
	switch {
	case err == nil || errors.As(err, &h):
		return err
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, safefs.ErrFull):
		need := p.need()
		return &halt{state: transfer.Away, trouble: transfer.DiskFull, detail: strconv.FormatInt(need, 10), need: need, err: err}
	case errors.Is(err, safefs.ErrGone):
		return &halt{state: transfer.Away, trouble: transfer.TargetGone, detail: p.job.Request.Into, err: err}
	}
	readOnly := &halt{state: transfer.Away, trouble: transfer.DiskReadOnly, detail: p.job.Request.Into, err: err}
	if errors.Is(err, safefs.ErrReadOnly) && p.dest == nil { // the folder could not even be made
		return readOnly
	}
	d, again := reopen(p.cfg.watch, p.job) // a drive that was pulled out fails in many ways
	switch {
	case again == nil:
		d.Close()
	case errors.Is(again, safefs.ErrGone):
		return &halt{state: transfer.Away, trouble: transfer.TargetGone, detail: p.job.Request.Into, err: err}
	case errors.Is(again, safefs.ErrReadOnly):
		return readOnly
	}
	return &halt{state: transfer.Failed, trouble: transfer.DiskTrouble, detail: p.job.Request.Into, err: err}
}

// haltFree reports whether err is the source's and not yet judged.
func haltFree(err error) bool {
	var h *halt
	return !errors.As(err, &h)
}

// need is how much space must be free for what is left, with some to spare: a disk filled to the last byte makes everybody suffer.
func (p *pull) need() int64 {
	left := max(p.tally.total.Load()-p.tally.bytes.Load()-p.owed.Load(), 0)
	return left + max(64<<20, left/100)
}

// checkSpace refuses early, once all is listed. Where contents are compared, nobody knows yet what is there already.
func (p *pull) checkSpace() error {
	left := p.tally.total.Load() - p.tally.bytes.Load()
	if p.checks() || left <= p.owed.Load() {
		return nil
	}
	free, err := p.free(p.dest)
	if err != nil {
		return p.disk(err)
	}
	if free < p.need() {
		return p.disk(fmt.Errorf("%w: %d bytes free", safefs.ErrFull, free))
	}
	return nil
}

// shown notes the path that a person will want to see.
func (p *pull) shown(local string) {
	if !p.single {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.result = filepath.Join(p.dest.Dir(), local)
}

// verdict decides about a file whose transfer went wrong: nil says that it may be tried again with what it now says about the file, which was renewed.
// Anything else ends the file (errGiven, told already) or the attempt.
func (p *pull) verdict(ctx context.Context, it *item, err error, tries *tries) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !haltFree(err) {
		return err
	}
	e, qerr := p.question(ctx, it.src)
	switch {
	case errors.Is(qerr, transfer.ErrGone):
		if serr := p.stillShared(ctx); serr != nil {
			return p.whether(ctx, serr)
		}
		return p.give(it, transfer.SourceGone)
	case qerr != nil:
		return qerr
	case e.Kind != share.File:
		return p.give(it, transfer.SourceGone)
	case e.Version != it.version || e.Size != it.size:
		tries.changed++
		if tries.changed > strikes {
			return p.give(it, transfer.SourceChanged)
		}
		p.tally.total.Add(e.Size - it.size)
		it.renew(e)
		return nil
	}
	if errors.Is(err, transfer.ErrAway) { // a connection that broke, or was not made, says little about the file
		if tries.lost++; tries.lost < losses {
			sleep(ctx, p.cfg.Retry/8<<min(tries.lost-1, 6))
			return nil
		}
		return p.give(it, transfer.SourceBroken)
	}
	tries.broken++
	if tries.broken < strikes { // of a disk that has just gone the system still knows for a second what was on it
		sleep(ctx, p.cfg.Retry/8<<(3*tries.broken-3))
		return nil
	}
	if errors.Is(err, errBad) {
		return p.give(it, transfer.BadBytes)
	}
	return p.give(it, transfer.SourceBroken)
}

// tries counts what went wrong with one file.
type tries struct{ changed, broken, lost int }

// give gives a file up.
func (p *pull) give(it *item, why transfer.Trouble) error {
	p.tally.lose(it.src, why)
	p.log.Debug("file given up", "job", p.job.ID, "why", string(why))
	return errGiven
}

var (
	errGiven = errors.New("file given up")
	errBad   = errors.New("not the bytes their owner described")
)

// batchTime is how long a whole file may wait for others to be synced with.
const batchTime = time.Second
