// Package watch turns file-system notifications into settled hints about changed folders; they are hints, never facts.
//
// A folder is watched by the system where that works. Where it does not (network volumes, a limit, a folder that is not there),
// it is read again and again, and compared. Nobody but this package knows which of the two it is.
package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"porchlight/share"
)

const (
	defaultSettle = 50 * time.Millisecond // programs write a file in several steps; with this a hint still arrives within 100 ms
	rescanEvery   = 2 * time.Second       // for folders the system does not watch
	mostWatches   = 8192
	scanShare     = 10 // reading again may take one part in ten of the time, whatever there is to read
)

// Config says how to watch. The zero value works; OnChange is what makes it useful.
type Config struct {
	Settle time.Duration // from the first notification to the hint; 50 ms if zero
	Limit  int           // folders the system is asked to watch; if zero a quarter of what it allows, at most 8192
	Rescan time.Duration // how often a folder is read that the system does not watch; 2 s if zero
	Log    *slog.Logger
	// OnChange is called with what Add was given, never twice at a time, with no lock held. It must not wait for Add or Remove of others.
	OnChange func(dir string)
}

// Watcher watches folders, not what lies in folders inside. Safe for concurrent use.
type Watcher struct {
	cfg  Config
	wake chan struct{} // tells the rescan that folders came or were lost

	// ops makes one call to fsnotify at a time. It is never taken by the goroutine that reads events: fsnotify may hold its own lock while it waits for that one.
	ops sync.Mutex

	mu       sync.Mutex // guards the fields below
	system   *fsnotify.Watcher
	dirs     map[string]*dir
	attached int
	said     bool // that some folders are read instead
}

// dir is a folder somebody wants to hear of.
type dir struct {
	path     string
	refs     int
	attached bool // the system watches it
	state    state
}

// New makes a watcher. It starts nothing; folders may be added before Run.
func New(cfg Config) *Watcher {
	if cfg.Settle <= 0 {
		cfg.Settle = defaultSettle
	}
	if cfg.Rescan <= 0 {
		cfg.Rescan = rescanEvery
	}
	if cfg.Limit <= 0 {
		cfg.Limit = mostWatches
		if n := systemLimit(); n > 0 {
			cfg.Limit = min(mostWatches, n/4)
		}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.OnChange == nil {
		cfg.OnChange = func(string) {}
	}
	return &Watcher{cfg: cfg, wake: make(chan struct{}, 1), dirs: map[string]*dir{}}
}

// Add watches a folder until Remove was called as often as Add. The folder need not be there: that it appears is a change.
// The only error is a path that is not absolute.
func (w *Watcher) Add(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("watch %q: not an absolute path", path)
	}
	path = filepath.Clean(path)
	w.mu.Lock()
	d := w.dirs[path]
	if d == nil {
		d = &dir{path: path}
		w.dirs[path] = d
	}
	d.refs++
	isNew := d.refs == 1
	w.mu.Unlock()
	if isNew && !w.attach(d) {
		w.rouse()
	}
	return nil
}

// Remove takes back one Add. Removing what was not added does nothing.
func (w *Watcher) Remove(path string) {
	path = filepath.Clean(path)
	w.ops.Lock()
	defer w.ops.Unlock()
	w.mu.Lock()
	d := w.dirs[path]
	if d == nil {
		w.mu.Unlock()
		return
	}
	d.refs--
	last := d.refs == 0
	if last {
		delete(w.dirs, path)
	}
	system := w.system
	drop := last && d.attached && system != nil
	if drop {
		d.attached = false
		w.attached--
	}
	w.mu.Unlock()
	if drop {
		system.Remove(path) //nolint:errcheck // it may have gone by itself
	}
}

// Run watches until ctx ends, and has joined what it started when it returns.
func (w *Watcher) Run(ctx context.Context) error {
	system, err := fsnotify.NewBufferedWatcher(256)
	if err != nil {
		w.cfg.Log.Info("the system watches no folders, they are read instead", "err", err)
		system = nil
	}
	changed := make(chan string, 64)
	var joined sync.WaitGroup
	joined.Go(func() { w.rescan(ctx, changed) })
	if system == nil {
		w.loop(ctx, nil, nil, changed)
		joined.Wait()
		return ctx.Err()
	}
	w.use(system)
	w.rouse() // the rescan attaches: attaching from here would wait for events that only the loop reads
	w.loop(ctx, system.Events, system.Errors, changed)
	var drained sync.WaitGroup
	drained.Go(func() { drain(system) })
	joined.Wait()
	w.use(nil)
	err = system.Close()
	drained.Wait()
	return errors.Join(ctx.Err(), err)
}

// drain reads until fsnotify has ended: it may hold its lock while nobody takes what it has to say.
func drain(system *fsnotify.Watcher) {
	var ok bool
	events, errs := system.Events, system.Errors
	for events != nil || errs != nil {
		select {
		case _, ok = <-events:
			if !ok {
				events = nil
			}
		case _, ok = <-errs:
			if !ok {
				errs = nil
			}
		}
	}
}

// use begins with a system watcher, or ends with nil.
func (w *Watcher) use(system *fsnotify.Watcher) {
	w.ops.Lock() // nobody is in a call to the one before
	defer w.ops.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.system = system
	if system != nil {
		return
	}
	w.attached = 0
	for _, d := range w.dirs {
		d.attached = false
	}
}

// loop gathers what changed and tells it once it has settled.
func (w *Watcher) loop(ctx context.Context, events <-chan fsnotify.Event, errs <-chan error, changed <-chan string) {
	dirty := map[string]bool{}
	settled := time.NewTimer(time.Hour)
	settled.Stop()
	mark := func(path string) {
		if len(dirty) == 0 {
			settled.Reset(w.cfg.Settle)
		}
		dirty[path] = true
	}
	for {
		select {
		case <-ctx.Done():
			settled.Stop()
			return
		case e := <-events:
			w.notified(e, mark)
		case err := <-errs:
			w.cfg.Log.Debug("notifications were lost", "err", err)
			w.all(mark)
		case path := <-changed:
			mark(path)
		case <-settled.C:
			for path := range dirty {
				if w.wanted(path) {
					w.cfg.OnChange(path)
				}
			}
			clear(dirty)
		}
	}
}

// notified marks the folders that an event is about: the one it happened in, and the one it happened to.
func (w *Watcher) notified(e fsnotify.Event, mark func(string)) {
	if e.Name == "" || strings.HasPrefix(filepath.Base(e.Name), share.PrivatePrefix) {
		return
	}
	w.mu.Lock()
	in, self := w.dirs[filepath.Dir(e.Name)], w.dirs[filepath.Clean(e.Name)]
	lost := self != nil && self.attached && e.Has(fsnotify.Remove|fsnotify.Rename)
	if lost {
		self.attached = false
		w.attached--
	}
	back := self != nil && !self.attached && e.Has(fsnotify.Create)
	w.mu.Unlock()
	if in != nil {
		mark(in.path)
	}
	if self != nil {
		mark(self.path)
	}
	if lost || back {
		w.rouse()
	}
}

// all marks every folder: nobody knows what was missed.
func (w *Watcher) all(mark func(string)) {
	w.mu.Lock()
	paths := make([]string, 0, len(w.dirs))
	for p := range w.dirs {
		paths = append(paths, p)
	}
	w.mu.Unlock()
	for _, p := range paths {
		mark(p)
	}
}

func (w *Watcher) wanted(path string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dirs[path] != nil
}

func (w *Watcher) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
