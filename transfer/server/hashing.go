package server

import (
	"container/list"
	"context"
	"runtime"
	"sync"

	"porchlight/share"
	"porchlight/share/content"
	"porchlight/share/safefs"
)

// maxGathers bounds the files whose pieces are noted while they are served.
const maxGathers = 64

// hashing notes the hash of each piece as it is served, so that the layer, asked for at the end, costs nothing more.
type hashing struct {
	cache *content.Cache

	mu    sync.Mutex // guards the fields below
	open  map[share.Version]*list.Element
	order list.List // of *gathering, the last used in front
}

type gathering struct {
	version share.Version
	size    int64
	all     *content.Gather
	known   bool // the layer is in the cache: nothing to note
}

func newHashing(cache *content.Cache) *hashing {
	return &hashing{cache: cache, open: map[share.Version]*list.Element{}}
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
	_, known, err := h.cache.Layer(e.Version)
	if g.known = known && err == nil; !g.known {
		if g.all, err = content.NewGather(e.Size); err != nil {
			g.known = true // larger than any layer may be: nobody will ask
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if el := h.open[e.Version]; el != nil {
		return el.Value.(*gathering)
	}
	h.open[e.Version] = h.order.PushFront(g)
	if h.order.Len() > maxGathers {
		last := h.order.Back()
		h.order.Remove(last)
		delete(h.open, last.Value.(*gathering).version)
	}
	return g
}

// put notes a whole piece; part of one is left for the layer request to read.
func (g *gathering) put(off int64, p []byte) {
	if g.known || off%content.PieceSize != 0 {
		return
	}
	i := int(off / content.PieceSize)
	if len(p) == content.PieceLen(g.size, i) {
		g.all.Put(i, p) //nolint:errcheck // the length was just checked
	}
}

// layer returns the layer of an open file, from the cache, from what was noted, or by reading it.
func (h *hashing) layer(ctx context.Context, f *safefs.File) (content.Layer, error) {
	e := f.Entry()
	return h.cache.Fetch(ctx, e.Version, func(ctx context.Context) (content.Layer, error) {
		h.mu.Lock()
		el := h.open[e.Version]
		h.mu.Unlock()
		if el != nil {
			if g := el.Value.(*gathering); g.all != nil {
				if l, err := g.all.Layer(); err == nil {
					return l, nil
				}
			}
		}
		return content.Build(ctx, f, e.Size, runtime.GOMAXPROCS(0))
	})
}
