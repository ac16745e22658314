package server

import (
	"container/list"
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"porchlight/discovery"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/share/safefs"
	"porchlight/transfer"
	"porchlight/transfer/wire"
)

// hashing notes the hash of each piece as it is served, so that the layer, asked for at the end, costs nothing more.
type hashing struct {
	cache *content.Cache

	mu     sync.Mutex // guards the fields below
	open   map[share.Version]*list.Element
	order  list.List // of *gathering, the last used in front
	noted  int64     // pieces of all
	builds map[share.Version]*build
	freed  chan struct{} // closed and replaced when a build ends
}

type gathering struct {
	version share.Version
	size    int64
	pieces  int64
	all     *content.Gather
	known   atomic.Bool // the layer is in the cache: nothing to note
}

// build is the reading of one file for its layer. It outlives the request that began it, since that takes longer than
// anybody waits for an answer, and ends when nobody has asked for it for a while.
type build struct {
	dev   discovery.DeviceID // who asked first
	odd   bool               // that is a stranger
	idle  *time.Timer
	done  chan struct{} // closed when the fields below are set
	layer content.Layer
	err   error
}

func newHashing(cache *content.Cache) *hashing {
	return &hashing{cache: cache, open: map[share.Version]*list.Element{}, builds: map[share.Version]*build{}, freed: make(chan struct{})}
}

// of returns where the pieces of e are noted.
func (h *hashing) of(e share.Entry) *gathering {
	h.mu.Lock()
	if el := h.open[e.Version]; el != nil {
		h.order.MoveToFront(el)
		h.mu.Unlock()
		return el.Value.(*gathering)
	}
	h.mu.Unlock()
	g := &gathering{version: e.Version, size: e.Size}
	if _, known, err := h.cache.Layer(e.Version); known && err == nil {
		g.known.Store(true)
	} else if g.all, err = content.NewGather(e.Size); err != nil {
		g.known.Store(true) // larger than any layer may be: nobody will ask
	} else {
		g.pieces = e.Size/content.PieceSize + 1
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if el := h.open[e.Version]; el != nil {
		return el.Value.(*gathering)
	}
	h.open[e.Version] = h.order.PushFront(g)
	for h.noted += g.pieces; h.order.Len() > 1 && (h.order.Len() > wire.MaxGathers || h.noted > wire.MaxNoted); {
		last := h.order.Remove(h.order.Back()).(*gathering)
		h.noted -= last.pieces
		delete(h.open, last.version)
	}
	return g
}

// put notes a whole piece; part of one is left for the layer request to read.
func (g *gathering) put(off int64, p []byte) {
	if g.known.Load() || off%content.PieceSize != 0 {
		return
	}
	i := int(off / content.PieceSize)
	if len(p) == content.PieceLen(g.size, i) {
		g.all.Put(i, p) //nolint:errcheck // the length was just checked
	}
}

// ready returns the layer of a version if nothing need be read for it.
func (h *hashing) ready(ctx context.Context, v share.Version) (content.Layer, bool) {
	h.mu.Lock()
	el := h.open[v]
	h.mu.Unlock()
	if el != nil {
		if g := el.Value.(*gathering); g.all != nil {
			if l, err := g.all.Layer(); err == nil {
				l, err = h.cache.Fetch(ctx, v, func(context.Context) (content.Layer, error) { return l, nil })
				g.known.Store(err == nil)
				return l, err == nil
			}
		}
	}
	l, ok, err := h.cache.Layer(v)
	return l, ok && err == nil
}

// layerOf returns the layer of an open file, from the cache, from what was noted, or by reading it. What takes longer than
// wire.Patience, half of what a caller waits, is transfer.ErrBusy: the reading goes on, and who asks again finds it further on.
func (s *Server) layerOf(ctx context.Context, dev discovery.DeviceID, tree *safefs.Tree, f *safefs.File) (content.Layer, error) {
	if l, ok := s.hashing.ready(ctx, f.Entry().Version); ok {
		return l, f.Check()
	}
	patience := time.NewTimer(wire.Patience)
	defer patience.Stop()
	for {
		b, freed, err := s.begin(ctx, dev, tree, f.Entry())
		if err != nil {
			return content.Layer{}, err
		}
		done := freed
		if b != nil {
			done = b.done
		}
		select {
		case <-done:
		case <-patience.C:
			return content.Layer{}, transfer.ErrBusy
		case <-ctx.Done():
			return content.Layer{}, ctx.Err()
		}
		if b != nil {
			return b.layer, b.err
		}
	}
}

// begin returns the reading of a file, begun if it was not; nil if too many are being read, and what is closed when one ends.
func (s *Server) begin(ctx context.Context, dev discovery.DeviceID, tree *safefs.Tree, e share.Entry) (*build, <-chan struct{}, error) {
	h, odd := s.hashing, isStranger(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if b := h.builds[e.Version]; b != nil {
		b.idle.Reset(wire.ClientIdle)
		return b, nil, nil
	}
	mine, strangers := 0, 0
	for _, b := range h.builds {
		if b.dev == dev {
			mine++
		}
		if b.odd {
			strangers++
		}
	}
	if mine >= wire.DeviceBuilds || len(h.builds) >= wire.MaxBuilds || odd && strangers >= wire.MaxStrangerBuilds {
		return nil, h.freed, nil
	}
	if s.life == nil || s.life.Err() != nil {
		return nil, nil, transfer.ErrBusy
	}
	f, err := tree.Open(e.Path) // the one of the request is closed with it
	if err != nil {
		return nil, nil, err
	}
	bctx, cancel := context.WithCancel(s.life)
	b := &build{dev: dev, odd: odd, done: make(chan struct{}), idle: time.AfterFunc(wire.ClientIdle, cancel)}
	h.builds[e.Version] = b
	s.running.Go(func() {
		defer cancel()
		b.layer, b.err = h.read(bctx, f, e.Version)
		b.idle.Stop()
		h.mu.Lock()
		delete(h.builds, e.Version)
		close(h.freed)
		h.freed = make(chan struct{})
		h.mu.Unlock()
		close(b.done)
	})
	return b, nil, nil
}

// read reads a file for its layer, and closes it.
func (h *hashing) read(ctx context.Context, f *safefs.File, v share.Version) (content.Layer, error) {
	defer f.Close()
	if f.Entry().Version != v {
		return content.Layer{}, transfer.ErrChanged
	}
	l, err := h.cache.Fetch(ctx, v, func(ctx context.Context) (content.Layer, error) {
		return content.Build(ctx, f, f.Entry().Size, runtime.GOMAXPROCS(0))
	})
	if err == nil {
		err = f.Check()
	}
	return l, err
}

// rest waits for what is being read when the server has ended.
func (s *Server) rest() {
	s.hashing.mu.Lock() // whoever begins holds it, and finds that the life is over
	//lint:ignore SA2001 to have had it is the point
	s.hashing.mu.Unlock()
	s.running.Wait()
}
