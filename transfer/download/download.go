// Package download fetches content from a peer, survives restarts, and gives a file its name only when it is whole.
//
// A pull is a job. Its listing streams in, and fetching begins with the first line:
//
//	            ┌─► small spool ─► packs (2 in flight) ─┐
//	listing ────┤                                       ├─► publisher: sync a batch, name it
//	 (names)    └─► large spool ─► ranges (2 at a time) ┘
//
// What has to wait is spooled to the part folder, so memory does not grow with the number of files. Small files arrive whole or not at all. Large ones are
// journalled piece by piece, and compared at the end with the layer their owner states. The largest are fetched under a plan (package swarm): when their owner
// names others who pull them, or others have the same content, pieces come from all of them, each verified with the layer before it counts, and what is verified
// is given on (Holding). What that needs is in the journal, so that such a file goes on, and gets its name, while its owner is away. Everything is bound to one version of the source file:
// when that changes, what came of the old one counts only where the owner's layer of the new one says that it is the same.
package download

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"porchlight/discovery"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/share/safefs"
	"porchlight/transfer"
	"porchlight/transfer/client"
	"porchlight/transfer/swarm"
)

// Source is one device as a giver of content; *client.Client is one. Its errors wrap those of package transfer.
type Source interface {
	// Shares lists what the device offers to this one, and what of that is away.
	Shares(ctx context.Context) ([]share.Offer, error)
	// Manifest yields p and everything below it, a folder before its content.
	Manifest(ctx context.Context, sh share.ID, p share.Path, yield func(share.Entry) error) error
	// Read copies a range of one version of a file, in order; nil only if all of it was written.
	Read(ctx context.Context, sh share.ID, p share.Path, v share.Version, r transfer.Range, w io.Writer) error
	// Pack fetches small files in the order asked; of one that is gone or changed the size is -1.
	Pack(ctx context.Context, sh share.ID, want []share.Entry, yield func(client.Packed, io.Reader) error) error
	// Layer describes the content of one version of a file.
	Layer(ctx context.Context, sh share.ID, p share.Path, v share.Version) (content.Layer, error)
}

// Sources finds the devices.
type Sources interface {
	// Source returns a device that can be reached now, and transfer.ErrAway otherwise.
	Source(id discovery.DeviceID) (Source, error)
	// Up is closed when the device becomes reachable; it is closed already if it is.
	Up(id discovery.DeviceID) <-chan struct{}
}

// Store keeps jobs beyond the life of the process. Safe for concurrent use.
type Store interface {
	Jobs() ([]transfer.Job, error)
	PutJob(transfer.Job) error
	DeleteJob(transfer.JobID) error
	// NextJob returns a number that no job ever had.
	NextJob() (transfer.JobID, error)
}

// Config is what a Manager needs. Store and Sources must be there.
type Config struct {
	Store    Store
	Sources  Sources
	Self     func() discovery.DeviceID // this device; nobody else helps if nil
	Helpers  Helpers                   // other devices that may have what a source has; none if nil
	Standing StandingStore             // keeps what this device has seen of others; forgotten with the process if nil
	Layers   content.Store             // told of the layers of large files that arrived, so that passing them on needs no hashing; none if nil
	Log      *slog.Logger              // silent if nil
	OnChange func()                    // called with no lock held after every change, at most at Tick while bytes move
	MaxJobs  int                       // jobs at a time; 2 if zero
	Tick     time.Duration             // between two looks at the counters; 250 ms if zero
	Poll     time.Duration             // between two looks at a disk that is full or not there; 5 s if zero
	Retry    time.Duration             // first wait after a source failed that seems reachable, doubling to 32 times; 1 s if zero

	free  func(dir string) (int64, error) // space left on a disk; tests have small ones
	batch time.Duration                   // how long a whole file may wait for others to be synced with; batchTime if zero
	watch safefs.Watch                    // the disks of tests
}

// saveEvery is how often the progress of a running job is kept; what is lost by a crash is only what a counter shows.
const saveEvery = 5 * time.Second

// Manager runs pulls. Safe for concurrent use.
type Manager struct {
	cfg  Config
	wake chan struct{} // one token: look at the jobs again
	save sync.Mutex    // held while a job is kept, so that an older state never replaces a newer one

	offers   offers
	disks    disks
	standing *swarm.Standing
	pool     chan struct{} // one token for each piece in memory that a file has besides those of its fetcher

	mu    sync.Mutex // guards the field below and everything in the tasks that says so
	tasks []*task    // by number
	held  bool       // nothing is to run
	taken int64      // the last place in the queue that was given away
}

// New loads the jobs of the store. It starts nothing: what was running waits for Run.
func New(cfg Config) (*Manager, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.OnChange == nil {
		cfg.OnChange = func() {}
	}
	cfg.MaxJobs = max(cfg.MaxJobs, 0)
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&cfg.Tick, 250 * time.Millisecond}, {&cfg.Poll, 5 * time.Second}, {&cfg.Retry, time.Second}, {&cfg.batch, batchTime}} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	if cfg.MaxJobs == 0 {
		cfg.MaxJobs = 2
	}
	jobs, err := cfg.Store.Jobs()
	if err != nil {
		return nil, fmt.Errorf("load the jobs: %w", err)
	}
	m := &Manager{cfg: cfg, wake: make(chan struct{}, 1), standing: recallStanding(cfg), pool: make(chan struct{}, poolPieces)}
	m.offers.byRoot = map[content.Hash]*offer{}
	for _, j := range jobs {
		if j.State == transfer.Running || j.State == transfer.Away {
			j.State, j.Trouble, j.Detail = transfer.Waiting, transfer.NoTrouble, ""
		}
		j.Rate = 0
		m.tasks = append(m.tasks, newTask(j))
	}
	slices.SortFunc(m.tasks, func(a, b *task) int { return int(a.job.ID - b.job.ID) })
	m.arrange()
	return m, nil
}

// Run works on the jobs until ctx ends, and returns when everything it started has. What was running then goes on with the next Run.
func (m *Manager) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer m.offers.endAll()
	defer m.keepStanding(ctx)()
	defer wg.Wait()
	tick := time.NewTicker(m.cfg.Tick)
	defer tick.Stop()
	saved := time.Now()
	for {
		running := m.start(ctx, &wg)
		beat := tick.C
		if running == 0 {
			beat = nil
		}
		select {
		case <-ctx.Done():
			wg.Wait()
			return nil
		case <-m.wake:
		case now := <-beat:
			changed := m.measure(now)
			if now.Sub(saved) >= saveEvery {
				saved = now
				for _, t := range changed {
					m.keep(t)
				}
			}
			if len(changed) > 0 {
				m.cfg.OnChange()
			}
		}
	}
}

// start gives free places to waiting jobs, in the order of the queue, and returns the number of jobs that run.
func (m *Manager) start(ctx context.Context, wg *sync.WaitGroup) int {
	if ctx.Err() != nil {
		return 0
	}
	m.mu.Lock()
	var started []*task
	running, front := m.giveWay()
	for _, t := range m.line() {
		if running >= m.cfg.MaxJobs || t.job.State != transfer.Waiting || t.stop != nil || t.job.Background && front {
			continue
		}
		running++
		tctx, cancel := context.WithCancel(ctx)
		t.begin(cancel)
		started = append(started, t)
		wg.Go(func() {
			defer cancel()
			m.work(ctx, tctx, wg, t)
		})
	}
	m.mu.Unlock()
	for _, t := range started {
		m.changed(t)
	}
	return running
}

// work makes one attempt at a job and decides what comes of it. run is the context of Run, ctx that of the attempt.
func (m *Manager) work(run, ctx context.Context, wg *sync.WaitGroup, t *task) {
	m.mu.Lock()
	job, parts, tally := t.job, t.parts, t.tally
	m.mu.Unlock()
	result, err := m.pull(ctx, job, parts, tally)
	m.mu.Lock()
	canceled := err != nil && t.wanted == transfer.Canceled
	m.mu.Unlock()
	if canceled { // before the state says so
		m.drop(job)
	}
	m.mu.Lock()
	stopped := ctx.Err() != nil
	h := t.end(result, err, stopped)
	away, late := t.job.State == transfer.Away, t.job.State == transfer.Canceled && !canceled
	m.mu.Unlock()
	if late {
		m.drop(job)
	}
	if h != nil && !stopped {
		m.cfg.Log.Info("pull stopped", "job", job.ID, "trouble", string(h.trouble), "err", h.err)
	}
	if away {
		m.await(run, wg, t, h)
	}
	m.changed(t)
	m.poke()
}

// changed keeps a job and tells who listens.
func (m *Manager) changed(t *task) {
	m.keep(t)
	m.cfg.OnChange()
}

// keep writes a job to the store. A store that fails costs only what a restart would remember.
func (m *Manager) keep(t *task) {
	m.save.Lock()
	defer m.save.Unlock()
	m.mu.Lock()
	job, forgotten := t.job, t.forgotten
	m.mu.Unlock()
	if forgotten {
		return
	}
	if err := m.cfg.Store.PutJob(job); err != nil {
		m.cfg.Log.Warn("job not kept", "job", job.ID, "err", err)
	}
}

// poke makes Run look again.
func (m *Manager) poke() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// measure brings the counters of running jobs up to date and returns the jobs that changed.
func (m *Manager) measure(now time.Time) []*task {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []*task
	for _, t := range m.tasks {
		if t.job.State == transfer.Running && t.measure(now) {
			out = append(out, t)
		}
	}
	return out
}

// errStop ends a listing that was only a question.
var errStop = errors.New("enough")
