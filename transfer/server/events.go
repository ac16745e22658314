package server

import (
	"context"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"porchlight/discovery"
	"porchlight/share"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// hub hands events to the streams that are open.
type hub struct {
	mu       sync.Mutex // guards the fields below
	n        uint64
	readers  map[*reader]bool
	watchers map[dirKey]*looked
}

// reader is one open event stream.
type reader struct {
	n     uint64 // which came first
	dev   discovery.DeviceID
	queue chan wire.Event
	slow  chan struct{} // closed when the queue was full, or newer streams came: the reader starts again
	once  sync.Once
}

type dirKey struct {
	share share.ID
	path  share.Path
}

// looked is a folder somebody looks at.
type looked struct {
	dir  string // on this computer
	devs map[discovery.DeviceID]bool
}

// Tell sends an event to every device that listens.
func (s *Server) Tell(e wire.Event) { s.tell(e, nil) }

// TellOne sends an event to one device.
func (s *Server) TellOne(dev discovery.DeviceID, e wire.Event) {
	s.tell(e, func(d discovery.DeviceID) bool { return d == dev })
}

// Bye tells everybody that this device leaves, so that nobody has to find out.
func (s *Server) Bye() { s.Tell(wire.Event{Kind: wire.EventBye}) }

// DirChanged is told by whoever watches the disk; dir is what Watcher.Add was given.
func (s *Server) DirChanged(dir string) {
	type hint struct {
		key  dirKey
		devs map[discovery.DeviceID]bool
	}
	var hints []hint
	s.hub.mu.Lock()
	for k, l := range s.hub.watchers {
		if l.dir == dir {
			devs := map[discovery.DeviceID]bool{}
			maps.Copy(devs, l.devs)
			hints = append(hints, hint{k, devs})
		}
	}
	s.hub.mu.Unlock()
	for _, h := range hints {
		maps.DeleteFunc(h.devs, func(d discovery.DeviceID, _ bool) bool { return !s.maySee(d, h.key.share) }) // without the lock: a disk may take its time
		s.tell(wire.Event{Kind: wire.EventDir, Share: h.key.share[:], Path: string(h.key.path)}, func(d discovery.DeviceID) bool { return h.devs[d] })
	}
}

// maySee reports whether a share is there for a device now.
func (s *Server) maySee(dev discovery.DeviceID, id share.ID) bool {
	_, err := s.cfg.Shares.Tree(dev, id)
	return err == nil
}

// Recheck ends the looks of devices at folders of shares that are not there for them any more. It is called after a change of
// rights; whether an event is told is asked anew each time in any case.
func (s *Server) Recheck() {
	s.looking.Lock()
	defer s.looking.Unlock()
	looks := map[dirKey][]discovery.DeviceID{}
	s.hub.mu.Lock()
	for k, l := range s.hub.watchers {
		looks[k] = slices.Collect(maps.Keys(l.devs))
	}
	s.hub.mu.Unlock()
	var remove []string
	for k, devs := range looks {
		devs = slices.DeleteFunc(devs, func(d discovery.DeviceID) bool { return s.maySee(d, k.share) })
		s.hub.mu.Lock()
		l := s.hub.watchers[k]
		for _, d := range devs {
			delete(l.devs, d)
		}
		if len(l.devs) == 0 {
			delete(s.hub.watchers, k)
			remove = append(remove, l.dir)
		}
		s.hub.mu.Unlock()
	}
	for _, dir := range remove {
		if s.cfg.Watcher == nil {
			break
		}
		s.cfg.Watcher.Remove(dir)
	}
}

func (s *Server) tell(e wire.Event, to func(discovery.DeviceID) bool) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.n++
	e.N = s.hub.n
	for r := range s.hub.readers {
		if to != nil && !to(r.dev) {
			continue
		}
		select {
		case r.queue <- e:
		default:
			r.end()
		}
	}
}

// events is the endless answer: a beat each 5 s and whatever happens between.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	sess := link.SessionOf(r.Context())
	rd := s.hub.join(sess.ID)
	defer s.leave(rd)
	seq := s.sequence(w, 4<<10)
	beat := time.NewTicker(wire.Beat)
	defer beat.Stop()
	for e, ok := (wire.Event{Kind: wire.EventBeat}), true; ok; e, ok = rd.next(r.Context(), beat.C) {
		if seq.Write(e) != nil || seq.flush() != nil {
			return
		}
		if e.Kind == wire.EventBye {
			seq.end()
			return
		}
	}
}

// join opens a stream. A device may have two: a new one beside one whose connection is dead and does not know it yet.
// What is older ends.
func (h *hub) join(dev discovery.DeviceID) *reader {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n++
	rd := &reader{n: h.n, dev: dev, queue: make(chan wire.Event, wire.MaxQueued), slow: make(chan struct{})}
	var newest *reader // of the older ones
	for r := range h.readers {
		if r.dev == dev && (newest == nil || r.n > newest.n) {
			newest = r
		}
	}
	for r := range h.readers {
		if r.dev == dev && r != newest {
			r.end()
		}
	}
	h.readers[rd] = true
	return rd
}

func (r *reader) end() { r.once.Do(func() { close(r.slow) }) }

// next waits for what is to be sent next; false when the stream is over.
func (r *reader) next(ctx context.Context, beat <-chan time.Time) (wire.Event, bool) {
	select {
	case e := <-r.queue:
		return e, true
	case <-beat:
		return wire.Event{Kind: wire.EventBeat}, true
	case <-r.slow:
		return wire.Event{}, false
	case <-ctx.Done(): // this device leaves, or the reader did; the goodbye may be in the queue
		select {
		case e := <-r.queue:
			return e, true
		case <-time.After(200 * time.Millisecond):
			return wire.Event{}, false
		}
	}
}

// leave ends a stream; with the last one of a device end its looks at folders.
func (s *Server) leave(rd *reader) {
	s.hub.mu.Lock()
	delete(s.hub.readers, rd)
	s.hub.mu.Unlock()
	s.look(rd.dev, nil, false)
}

// watch replaces the folders a device looks at.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) {
	const most = wire.MaxWatch * (share.MaxPath + 64)
	give, err := s.lists.take(r.Context(), 2*most)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer give()
	var m wire.Watch
	if !s.message(w, r, most, &m) {
		return
	}
	if len(m.Dirs) > wire.MaxWatch {
		s.breach(w, r, transfer.ErrLimit)
		return
	}
	dev := link.SessionOf(r.Context()).ID
	want := map[dirKey]string{}
	for _, d := range m.Dirs {
		if len(d.Share) != 16 {
			s.breach(w, r, transfer.ErrProtocol)
			return
		}
		tree, p, err := s.place(dev, share.ID(d.Share), d.Path)
		if err != nil {
			continue // gone: the listing says so
		}
		if e, err := tree.Stat(p); err != nil || e.Kind != share.Dir {
			continue
		}
		want[dirKey{share.ID(d.Share), p}] = filepath.Join(tree.Dir(), filepath.FromSlash(string(p)))
	}
	if !s.look(dev, want, true) {
		s.refuse(w, r, transfer.ErrProtocol) // nobody would hear of it, and nothing would end it
		return
	}
	extend(w)
	w.WriteHeader(http.StatusNoContent)
}

// look makes want the folders dev looks at, if it has a stream or has none, as listens says; it reports whether.
// One after another, since the watcher must hear of them in the order in which they became so.
func (s *Server) look(dev discovery.DeviceID, want map[dirKey]string, listens bool) bool {
	s.looking.Lock()
	defer s.looking.Unlock()
	var add, remove []string
	s.hub.mu.Lock()
	if s.hub.listens(dev) != listens {
		s.hub.mu.Unlock()
		return false
	}
	for k, l := range s.hub.watchers {
		if _, ok := want[k]; !ok && l.devs[dev] {
			delete(l.devs, dev)
			if len(l.devs) == 0 {
				delete(s.hub.watchers, k)
				remove = append(remove, l.dir)
			}
		}
	}
	for k, dir := range want {
		l := s.hub.watchers[k]
		if l == nil {
			l = &looked{dir: dir, devs: map[discovery.DeviceID]bool{}}
			s.hub.watchers[k] = l
			add = append(add, dir)
		}
		l.devs[dev] = true
	}
	s.hub.mu.Unlock()
	if s.cfg.Watcher == nil {
		return true
	}
	for _, d := range add {
		if err := s.cfg.Watcher.Add(d); err != nil {
			s.cfg.Log.Debug("not watched", "err", err)
		}
	}
	for _, d := range remove {
		s.cfg.Watcher.Remove(d)
	}
	return true
}

// listens reports whether a device has an event stream. The caller holds mu.
func (h *hub) listens(dev discovery.DeviceID) bool {
	for r := range h.readers {
		if r.dev == dev {
			return true
		}
	}
	return false
}
