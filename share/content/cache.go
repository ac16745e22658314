package content

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"

	"porchlight/share"
)

// Store keeps layers beyond the life of the process, by the version of the file they were made from. Safe for concurrent use.
type Store interface {
	// Layer returns the layer of a version; false if there is none.
	Layer(share.Version) (Layer, bool, error)
	// PutLayer keeps a layer, replacing an older one.
	PutLayer(share.Version, Layer) error
}

// DefaultCache is the number of piece hashes a Cache holds in memory unless told otherwise: 4 MiB, the layers of 128 GiB of files.
const DefaultCache = 1 << 17

// Cache keeps the layers used last in memory, in front of a Store, and sees to it that the same file is not hashed twice at a time.
// It is a Store itself. Safe for concurrent use; no lock is held while the store or a hasher works.
type Cache struct {
	store Store
	most  int

	mu    sync.Mutex // guards the fields below
	held  map[share.Version]*list.Element
	order list.List // of held, the last used in front
	cost  int
	calls map[share.Version]*call
}

type held struct {
	version share.Version
	layer   Layer
}

// call is one run of a hasher that others may wait for.
type call struct {
	done  chan struct{}
	layer Layer // valid after done was closed
	err   error // valid after done was closed
}

// NewCache holds up to most piece hashes (DefaultCache if most < 1) in front of store; store may be nil, then memory is all there is.
func NewCache(store Store, most int) *Cache {
	if most < 1 {
		most = DefaultCache
	}
	return &Cache{store: store, most: most, held: map[share.Version]*list.Element{}, calls: map[share.Version]*call{}}
}

// Layer returns the layer of a version, from memory or the store. What the store holds is checked; what does not fit is as good as absent.
func (c *Cache) Layer(v share.Version) (Layer, bool, error) {
	if l, ok := c.recall(v); ok {
		return l, true, nil
	}
	if c.store == nil {
		return Layer{}, false, nil
	}
	l, ok, err := c.store.Layer(v)
	if err != nil {
		return Layer{}, false, fmt.Errorf("layer of %s: %w", v, err)
	}
	if !ok || l.Check() != nil {
		return Layer{}, false, nil //nolint:nilerr // a damaged one is made again
	}
	c.keep(v, l)
	return l, true, nil
}

// PutLayer keeps a layer in memory and in the store. When the store fails, memory has it all the same.
func (c *Cache) PutLayer(v share.Version, l Layer) error {
	if err := l.Check(); err != nil {
		return err
	}
	c.keep(v, l)
	if c.store == nil {
		return nil
	}
	if err := c.store.PutLayer(v, l); err != nil {
		return fmt.Errorf("keep layer of %s: %w", v, err)
	}
	return nil
}

// Fetch returns the layer of a version, calling build where there is none. Of several callers one builds and the others wait for its result;
// when the builder's context ends, one of the others takes over. A store that fails costs speed only.
func (c *Cache) Fetch(ctx context.Context, v share.Version, build func(context.Context) (Layer, error)) (Layer, error) {
	for {
		if l, ok, err := c.Layer(v); err == nil && ok {
			return l, nil
		}
		mine, other := c.join(v)
		if mine != nil {
			return c.lead(ctx, v, mine, build)
		}
		select {
		case <-other.done:
		case <-ctx.Done():
			return Layer{}, ctx.Err()
		}
		if other.err == nil {
			return other.layer, nil
		}
		if !errors.Is(other.err, context.Canceled) && !errors.Is(other.err, context.DeadlineExceeded) && !errors.Is(other.err, errAbandoned) {
			return Layer{}, other.err
		}
	}
}

// errAbandoned tells the waiters that the builder panicked away.
var errAbandoned = errors.New("hashing was abandoned")

// lead builds for all who wait.
func (c *Cache) lead(ctx context.Context, v share.Version, mine *call, build func(context.Context) (Layer, error)) (Layer, error) {
	mine.err = errAbandoned
	defer func() {
		c.mu.Lock()
		delete(c.calls, v)
		c.mu.Unlock()
		close(mine.done)
	}()
	l, ok := c.recall(v) // the one before may have ended between our look and our turn
	var err error
	if !ok {
		if l, err = build(ctx); err == nil {
			err = l.Check()
		}
	}
	mine.layer, mine.err = l, err
	if err != nil {
		return Layer{}, err
	}
	if ok {
		return l, nil
	}
	c.keep(v, l)
	if c.store != nil {
		_ = c.store.PutLayer(v, l) // the layer is right with or without a store that keeps it
	}
	return l, nil
}

// join returns a new call to lead, or the call of another to wait for.
func (c *Cache) join(v share.Version) (mine, other *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.calls[v]; k != nil {
		return nil, k
	}
	k := &call{done: make(chan struct{})}
	c.calls[v] = k
	return k, nil
}

func (c *Cache) recall(v share.Version) (Layer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.held[v]
	if e == nil {
		return Layer{}, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*held).layer, true
}

func (c *Cache) keep(v share.Version, l Layer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.held[v]; e != nil {
		c.drop(e)
	}
	if cost(l) > c.most {
		return
	}
	c.held[v] = c.order.PushFront(&held{v, l})
	c.cost += cost(l)
	for c.cost > c.most {
		c.drop(c.order.Back())
	}
}

// drop forgets one element; the caller holds the lock.
func (c *Cache) drop(e *list.Element) {
	h := c.order.Remove(e).(*held)
	delete(c.held, h.version)
	c.cost -= cost(h.layer)
}

// cost counts hashes; the bookkeeping of an entry weighs about as much as five.
func cost(l Layer) int { return len(l.Pieces) + 5 }
