package viewmodel

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"porchlight/assets"
	"porchlight/discovery"
	"porchlight/discovery/workgroup"
	"porchlight/share"
	"porchlight/transfer"
)

// Config is what a Set needs. Connect and Words must be set.
type Config struct {
	Connect  func(ctx context.Context) (Engine, error) // may take its time: the window is drawn meanwhile
	Words    *assets.Words
	Look     Look                                         // at the start
	KeepLook func(ctx context.Context, l Look) error      // keeps it for the next start; nil: not kept
	Open     func(ctx context.Context, path string) error // shows a file or folder in the system's file manager; nil: refused
	OnChange func()                                       // something to draw changed; called with no lock held, from any goroutine
	Show     func()                                       // another start of the program wants the window seen; nil: it opens its own
	Tell     func(Tiding)                                 // something happened that is of interest elsewhere; nil: nobody is told
	Desk     Desk                                         // nil: nothing of it can be changed
	Version  string                                       // of the program, for About
	Log      *slog.Logger                                 // discards if nil
	Now      func() time.Time                             // time.Now if nil
}

// Set is every screen of one window.
type Set struct {
	Nav        *Navigation
	Sidebar    *Sidebar
	Neighbours *Neighbourhood
	Browser    *Browser
	Shares     *Shares
	Transfers  *Transfers
	Settings   *Settings
	FirstRun   *FirstRun
	NewNetwork *NewNetwork
	Notices    *Notices
	Doctor     *Doctor
	Workgroups *Workgroups
	Founding   *Founding
	Sheet      *Sheet
	Inviting   *Inviting
	Joining    *Joining
	Comparing  *Comparing
	Recovering *Recovering
	Words      *assets.Words
	Format     Format

	core *core
}

// Times of the Set.
const (
	settle   = 50 * time.Millisecond // between two looks at the engine: a burst of changes is one
	lost     = time.Second           // before the engine is asked again after it failed to answer
	patience = 20 * time.Second      // for one answer of the engine that is no listing
	calm     = time.Second           // between two questions for the shares of the computer on screen
)

// snapshot is what the engine said last. A value; its slices are never written again.
type snapshot struct {
	ready  bool
	self   discovery.Self
	peers  []discovery.Peer
	shares []share.Share
	jobs   []transfer.Job
	queue  transfer.Queue

	groups   []workgroup.Workgroup
	invites  []discovery.Invitation
	compares []discovery.Comparison
	moves    []workgroup.Offer
}

// offered is what one neighbour offers, as far as it was asked.
type offered struct {
	list    []share.Offer
	loading bool
	trouble string // words; empty when the last question was answered
}

// core is what the screens have in common.
type core struct {
	words *assets.Words
	fmt   Format
	cfg   Config
	work  *work
	note  *Notices
	stir  chan struct{} // holds one token when the engine said something new

	showTroubles func()             // leads to the page that lists what does not work
	showSheet    func(workgroup.ID) // leads to a recovery sheet
	joined       func(workgroup.ID) // leads to a workgroup that this computer came into

	mu      sync.Mutex // guards the fields below
	engine  Engine
	snap    snapshot
	offers  map[discovery.DeviceID]offered
	failure string             // words, when no engine could be had
	opened  transfer.JobID     // shows its details; 0: none
	maps    []transfer.FileMap // of its files
	whole   bool               // the whole history shows
}

// New makes the screens. It starts nothing.
func New(cfg Config) *Set {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &core{words: cfg.Words, fmt: NewFormat(cfg.Words), cfg: cfg, work: newWork(), stir: make(chan struct{}, 1), offers: map[discovery.DeviceID]offered{}}
	c.note = &Notices{core: c}
	s := &Set{Words: cfg.Words, Format: c.fmt, Notices: c.note, core: c}
	s.Nav = newNavigation(c)
	c.showTroubles = func() { s.Nav.Go(Place{Page: PageSettings}) }
	s.Doctor = &Doctor{core: c}
	s.Neighbours = &Neighbourhood{core: c}
	s.Browser = newBrowser(c)
	s.Shares = &Shares{core: c}
	s.Transfers = &Transfers{core: c}
	s.Settings = &Settings{core: c, look: cfg.Look}
	s.FirstRun = &FirstRun{core: c, nav: s.Nav}
	s.NewNetwork = &NewNetwork{core: c}
	s.Sidebar = &Sidebar{core: c, nav: s.Nav, hood: s.Neighbours}
	s.makeMeetings()
	s.Nav.arrive = s.arrive
	return s
}

// Ready reports whether the engine has answered; until then the screens are empty and should say "Starting".
func (s *Set) Ready() bool { return s.core.now().ready }

// Failure says in words why there is no engine, or "".
func (s *Set) Failure() string {
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	return s.core.failure
}

// Run connects to the engine, follows it and does what the screens ask for. It returns when ctx ends, after everything it
// started has ended.
func (s *Set) Run(ctx context.Context) error {
	c := s.core
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	engine, err := c.cfg.Connect(ctx)
	if err != nil {
		c.mu.Lock()
		c.failure = c.errorWords(err)
		c.mu.Unlock()
		c.changed()
		<-ctx.Done()
		return err
	}
	c.mu.Lock()
	c.engine = engine
	c.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { c.work.run(ctx) })
	wg.Go(func() { s.followPage(ctx) })
	if c.cfg.Show != nil {
		wg.Go(func() { c.attend(ctx) })
	}
	c.follow(ctx)
	cancel()
	wg.Wait()
	return nil
}

// follow keeps the snapshot true to the engine.
func (c *core) follow(ctx context.Context) {
	var version uint64
	for failed := false; ctx.Err() == nil; {
		next, err := c.load(ctx, version)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if !failed {
				c.cfg.Log.Warn("engine does not answer", "error", err)
				c.note.say(Bad, c.words.Text("trouble.engine-lost"))
			}
			failed = true
			pause(ctx, lost)
		default:
			if failed {
				c.note.Dismiss()
			}
			version, failed = next, false
			c.changed()
			c.stirs()
			pause(ctx, settle)
		}
	}
}

// stirs has the page on screen look whether it still holds.
func (c *core) stirs() {
	select {
	case c.stir <- struct{}{}:
	default:
	}
}

// attend tells the engine that this window is there, until ctx ends.
func (c *core) attend(ctx context.Context) {
	for ctx.Err() == nil {
		if err := c.eng().Attend(ctx, c.cfg.Show); err != nil {
			pause(ctx, lost)
		}
	}
}

// load waits for a change and reads the whole state; the first time it does not wait.
func (c *core) load(ctx context.Context, version uint64) (uint64, error) {
	e := c.eng()
	var err error
	if c.now().ready {
		if version, err = e.Wait(ctx, version); err != nil {
			return version, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var n snapshot
	if n.self, err = e.Self(ctx); err != nil {
		return version, err
	}
	if n.peers, err = e.Peers(ctx); err != nil {
		return version, err
	}
	if n.shares, err = e.Shares(ctx); err != nil {
		return version, err
	}
	if n.jobs, err = e.Jobs(ctx); err != nil {
		return version, err
	}
	if q, err := e.Queue(ctx); err == nil { // a service of an older version has none, and all else works with it
		n.queue = q
	}
	c.loadMaps(ctx, n.jobs)
	c.loadPrivate(ctx, &n)
	n.ready = true
	c.mu.Lock()
	before := c.snap
	c.snap = n
	c.mu.Unlock()
	if before.ready {
		c.sayNews(before, n)
	} else {
		c.remind(n.groups)
		c.sayLosses(n.self.Health)
	}
	if c.cfg.Tell != nil {
		for _, t := range c.tidings(before, n) {
			c.cfg.Tell(t)
		}
	}
	return version, nil
}

// sayLosses says at the start what was lost or came back from a copy: nobody would look for that in the settings.
func (c *core) sayLosses(all []discovery.Health) {
	var said []string
	for _, h := range all {
		if key := "health." + h.Service; slices.Contains([]string{"key", "settings", "store", "store-shares", "store-peers", "store-jobs"}, h.Service) && c.words.Has(key) {
			said = append(said, c.words.Text(key, "Why", h.Trouble))
		}
	}
	if len(said) > 0 {
		c.note.put(Notice{Tone: Bad, Text: said[len(said)-1], Action: c.words.Text("settings.troubles"), Do: c.showTroubles}) // the last is the worst
	}
}

// followPage asks again for what the page on screen cannot know from the engine's state alone, whenever that changed; an idle
// engine is not asked.
func (s *Set) followPage(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.core.stir:
		}
		switch p := s.Nav.Place(); p.Page {
		case PageComputer, PageFolder:
			s.core.loadOffers(ctx, p.Device)
		case PageDoctor:
			s.Doctor.follow()
		}
		pause(ctx, calm)
	}
}

// askOffers has the shares of d read in the background.
func (c *core) askOffers(d discovery.DeviceID) {
	c.mu.Lock()
	o := c.offers[d]
	known := o.list != nil
	o.loading = true
	c.offers[d] = o
	c.mu.Unlock()
	c.work.do(func(ctx context.Context) { c.loadOffers(ctx, d) })
	if !known {
		c.changed()
	}
}

func (c *core) loadOffers(ctx context.Context, d discovery.DeviceID) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	list, err := c.eng().Offers(ctx, d)
	c.mu.Lock()
	o := c.offers[d]
	before := o
	o.loading, o.trouble = false, ""
	if err != nil {
		o.trouble = c.errorWords(err)
	} else {
		o.list = append([]share.Offer{}, list...)
	}
	c.offers[d] = o
	c.mu.Unlock()
	if !sameOffers(before, o) {
		c.changed()
	}
}

func sameOffers(a, b offered) bool {
	if a.loading != b.loading || a.trouble != b.trouble || len(a.list) != len(b.list) {
		return false
	}
	for i := range a.list {
		if a.list[i] != b.list[i] {
			return false
		}
	}
	return true
}

func (c *core) eng() Engine {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.engine
}

func (c *core) now() snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.snap
}

func (c *core) offersOf(d discovery.DeviceID) offered {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offers[d]
}

func (c *core) changed() {
	if c.cfg.OnChange != nil {
		c.cfg.OnChange()
	}
}

// ask does one thing with the engine in the background; what goes wrong is told in the bar.
func (c *core) ask(f func(ctx context.Context, e Engine) error) {
	c.work.do(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := f(ctx, c.eng()); err != nil && !errors.Is(err, context.Canceled) {
			c.note.say(Bad, c.errorWords(err))
		}
	})
}

// open shows a file or folder of this computer in the system's file manager.
func (c *core) open(path string) {
	c.work.do(func(ctx context.Context) {
		err := errors.ErrUnsupported
		if c.cfg.Open != nil {
			err = c.cfg.Open(ctx, path)
		}
		if err != nil && ctx.Err() == nil {
			c.cfg.Log.Info("show in the file manager", "path", path, "error", err)
			c.note.say(Bad, c.words.Text("trouble.show", "Path", path))
		}
	})
}

// pause waits d, and reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// work runs what buttons asked for, each in a goroutine of its own, so that a slow neighbour delays nothing else. What is
// asked for before run waits for it; after run has ended it is dropped.
type work struct {
	wake chan struct{} // holds one token when queue is not empty

	mu    sync.Mutex // guards the field below
	queue []func(context.Context)
}

func newWork() *work { return &work{wake: make(chan struct{}, 1)} }

// do has f run soon. It never blocks.
func (w *work) do(f func(context.Context)) {
	w.mu.Lock()
	w.queue = append(w.queue, f)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run blocks until ctx ends and everything started has returned.
func (w *work) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
		w.mu.Lock()
		queue := w.queue
		w.queue = nil
		w.mu.Unlock()
		for _, f := range queue {
			wg.Go(func() { f(ctx) })
		}
	}
}
