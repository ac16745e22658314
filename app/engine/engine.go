// Package engine assembles one device's services and runs them: the roster, the shares, the pulls, the mesh and the network they are on.
//
// It is what window, command line and service are clients of. Every exported method may be called from any goroutine.
// Nothing runs before Run; what does not work here is told in Self.Health, and the rest goes on.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"time"

	"porchlight/app/config"
	"porchlight/app/membership"
	"porchlight/app/mesh"
	"porchlight/app/sight"
	"porchlight/app/store"
	"porchlight/app/whereabouts"
	"porchlight/discovery"
	"porchlight/discovery/identity"
	"porchlight/discovery/presence"
	"porchlight/share/catalogue"
	"porchlight/share/content"
	"porchlight/share/watch"
	"porchlight/transfer/download"
	"porchlight/transfer/pace"
)

// Config says which home an engine works for, and how. Home and Version are needed.
type Config struct {
	Home    string
	Version string
	// Change is applied to the settings before they are used, and kept: what was asked for on the command line.
	Change func(*config.Settings) error
	// AskFirst keeps a new home off the network until FinishFirstRun, and off each new network until SetNetwork: its owner has
	// not said yet whom it belongs to. Otherwise that is asked while a window attends; a network that comes when none does counts
	// as Settings.Network says.
	AskFirst bool
	// Network, if set, is what the network counts as on which the engine starts.
	Network discovery.Network
	// Loopback keeps everything on this machine: several engines that only find each other.
	Loopback bool
	Log      *slog.Logger
}

// cachedPieces bounds the piece values held in memory: a terabyte's worth.
const cachedPieces = 1 << 20

// Engine is one device at work.
type Engine struct {
	membership.Surface // what people do with private workgroups

	cfg       Config
	db        *store.DB
	roster    *presence.Roster
	catalogue *catalogue.Catalogue
	layers    *content.Cache
	watcher   *watch.Watcher
	pulls     *download.Manager
	changes   changes
	there     mesh.Attendance
	private   *membership.Membership
	members   memberships // is private
	announced announcer   // likewise
	learned   *mesh.Learned
	where     *whereabouts.Whereabouts
	windows   windows
	sight     *sight.Sight
	up, down  *pace.Limit   // of the bytes of files
	limit     chan struct{} // one token: look at the limits again
	since     time.Time
	log       *slog.Logger

	renew sync.Mutex // held while the identity changes

	mu       sync.Mutex // guards the fields below
	ident    *identity.Identity
	install  string // tells copies of one identity apart
	settings config.Settings
	net      *network      // nil while this device is on no network
	renet    chan struct{} // closed when net may be wrong
	turn     int           // counts the changes that need another start of the network
	health   map[string]string
}

// Open takes a home into use: its key, settings and database. The caller holds the home's lock. Run or Close must follow.
func Open(ctx context.Context, cfg Config) (*Engine, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{cfg: cfg, log: cfg.Log, health: map[string]string{}, renet: make(chan struct{}),
		since: time.Now(), up: pace.New(), down: pace.New(), limit: make(chan struct{}, 1)}
	e.where = whereabouts.New(whereabouts.Config{Owner: owner{e}, First: cfg.Network, AskFirst: cfg.AskFirst, Loopback: cfg.Loopback, OnChange: e.placeChanged, Log: e.log})
	e.changes.init()
	if err := e.open(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func (e *Engine) open(ctx context.Context) error {
	var err error
	if e.ident, err = identity.Load(e.cfg.Home, !store.Used(config.DatabasePath(e.cfg.Home))); err != nil {
		return err
	}
	if e.ident.Restored() {
		e.setHealth("key", "the key of this computer was damaged or gone, and came back from its copy")
	}
	e.install = instance()
	e.learned = mesh.NewLearned(e.ident.ID(), e.install)
	if err := e.loadSettings(ctx); err != nil {
		return err
	}
	if e.db, err = store.Open(ctx, config.DatabasePath(e.cfg.Home), store.Config{Log: e.log}); err != nil {
		return err
	}
	for _, h := range e.db.Health() {
		e.setHealth(h.Service, h.Trouble)
	}
	e.roster = presence.New(presence.Config{Self: e.ident.ID(), Store: e.db.Peers(), OnChange: e.changes.bump, Log: e.log})
	e.catalogue = catalogue.New(catalogue.Config{Store: e.db.Shares(), Own: []string{e.cfg.Home}, Default: e.newAudience, OnChange: e.sharesChanged, Log: e.log})
	e.layers = content.NewCache(e.db.Layers(), cachedPieces)
	e.watcher = watch.New(watch.Config{OnChange: e.dirChanged, Log: e.log})
	if e.pulls, err = download.New(download.Config{Store: e.db.Jobs(), Sources: sources{e}, Self: e.selfID, Helpers: sources{e}, Standing: e.db.Standings(), Layers: e.layers, OnChange: e.changes.bump, Log: e.log}); err != nil {
		return err
	}
	e.pulls.Hold(e.settings.QueueHeld)
	e.setLimits(time.Now())
	if err := e.roster.Load(); err != nil {
		return err
	}
	if err := e.openGroups(); err != nil {
		return err
	}
	return e.catalogue.Load()
}

// loadSettings reads the settings and applies what was asked for.
func (e *Engine) loadSettings(ctx context.Context) error {
	s, restored, err := config.Load(e.cfg.Home)
	if err != nil {
		return err
	}
	if restored {
		e.setHealth("settings", "the settings were damaged or gone, and the ones before the last change are used")
	}
	e.settings = s
	change := e.cfg.Change
	if change == nil && restored { // what is used is written back
		change = func(*config.Settings) error { return nil }
	}
	if change == nil {
		return nil
	}
	e.settings, err = config.Update(ctx, e.cfg.Home, change)
	return err
}

// Run works until ctx ends, says goodbye, and returns when everything has stopped and is kept.
func (e *Engine) Run(ctx context.Context) error {
	defer e.Close() //nolint:errcheck // nothing is left to do about it
	var wg sync.WaitGroup
	part := func(name string, run func(context.Context) error) {
		wg.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				e.log.Error("a part of the engine stopped", "part", name, "err", err)
				e.setHealth(name, err.Error())
			}
		})
	}
	part("watch", e.watcher.Run)
	part("pull", e.pulls.Run)
	part("limits", e.keepLimits)
	part("places", e.where.Run)
	part("groups", e.private.Run)
	part("network", e.runNetworks)
	wg.Wait()
	return nil
}

// Close ends an engine that was opened and never run; Run does it by itself.
func (e *Engine) Close() error {
	var errs []error
	if e.catalogue != nil {
		errs = append(errs, e.catalogue.Close())
	}
	if e.db != nil {
		errs = append(errs, e.db.Close())
		e.db = nil
	}
	return errors.Join(errs...)
}

// current are the settings as they are.
func (e *Engine) current() config.Settings {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.settings
}

// network is the network this device is on; nil if it is on none.
func (e *Engine) network() *network {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.net
}

// setHealth notes what does not work; an empty trouble takes it back.
func (e *Engine) setHealth(service, trouble string) {
	e.mu.Lock()
	was := e.health[service]
	e.health[service] = trouble
	if trouble == "" {
		delete(e.health, service)
	}
	e.mu.Unlock()
	if was != trouble {
		e.changes.bump()
	}
}

// Self describes this device.
func (e *Engine) Self(context.Context) (discovery.Self, error) {
	var s discovery.Self
	e.where.Describe(&s)
	e.mu.Lock()
	defer e.mu.Unlock()
	s.ID, s.Name, s.Workgroup, s.Open = e.ident.ID(), e.settings.Name, e.settings.Workgroup, !e.settings.Private
	s.Version, s.Home, s.Downloads, s.FirstRun = e.cfg.Version, e.cfg.Home, e.settings.Downloads, !e.settings.FirstRunDone
	s.Since, s.Goroutines, s.Heap = e.since.UTC(), runtime.NumGoroutine(), heap()
	if e.net != nil {
		s.Port, s.Addresses = e.net.port, e.net.addresses()
	}
	for service, trouble := range e.health {
		s.Health = append(s.Health, discovery.Health{Service: service, Trouble: trouble})
	}
	slices.SortFunc(s.Health, func(a, b discovery.Health) int {
		if a.Service < b.Service {
			return -1
		}
		return 1
	})
	return s, nil
}

// heap is what the last collection of garbage left. It costs nothing to ask, and collects nothing.
func heap() int64 {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return int64(live[0].Value.Uint64())
}

// change changes the settings and keeps them.
func (e *Engine) change(ctx context.Context, f func(*config.Settings)) error {
	if err := e.changeQuietly(ctx, f); err != nil {
		return err
	}
	if n := e.network(); n != nil {
		n.renamed()
	}
	return nil
}

// changeQuietly is change for what is no neighbour's business.
func (e *Engine) changeQuietly(ctx context.Context, f func(*config.Settings)) error {
	s, err := config.Update(ctx, e.cfg.Home, func(s *config.Settings) error {
		f(s)
		return s.Check()
	})
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.settings = s
	e.mu.Unlock()
	e.changes.bump()
	return nil
}

// SetName renames this device. It returns discovery.ErrName for a name that cannot be used.
func (e *Engine) SetName(ctx context.Context, name string) error {
	return e.change(ctx, func(s *config.Settings) { s.Name = name })
}

// SetWorkgroup moves this device to another open workgroup. It returns discovery.ErrName for a name that cannot be used.
func (e *Engine) SetWorkgroup(ctx context.Context, name string) error {
	return e.change(ctx, func(s *config.Settings) { s.Workgroup = name })
}

// SetDownloads says where pulls go; dir is absolute.
func (e *Engine) SetDownloads(ctx context.Context, dir string) error {
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("%q is not a whole path", dir)
	}
	return e.change(ctx, func(s *config.Settings) { s.Downloads = filepath.Clean(dir) })
}

// FinishFirstRun notes that somebody has gone through the first steps.
func (e *Engine) FinishFirstRun(ctx context.Context) error { return e.where.FinishFirstRun(ctx) }

// Wait returns the newest version of everything that people see, once it is greater than since.
func (e *Engine) Wait(ctx context.Context, since uint64) (uint64, error) {
	return e.changes.wait(ctx, since)
}
