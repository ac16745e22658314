package download

import (
	"context"
	"sync"
)

// maxNameless bounds the bytes of files that wait for their names and may be lost until then: small ones by any crash, and a disk that is slow to sync must not
// make them many. One batch is named while the next arrives.
const maxNameless = 2 * batchBytes

// loose is how many bytes of a file are sure to nobody before it has its name.
func (r *ready) loose() int64 {
	if r.big != nil {
		return r.big.loose
	}
	return r.size
}

// nameless counts bytes of whole files that are not synced yet. The zero value is ready; safe for concurrent use.
type nameless struct {
	mu    sync.Mutex // guards the fields below
	bytes int64
	wake  chan struct{} // closed when there are fewer; nil when nobody waits
}

// add counts n bytes, as soon as there is room for them.
func (c *nameless) add(ctx context.Context, n int64) error {
	for {
		c.mu.Lock()
		if c.bytes == 0 || c.bytes+n <= maxNameless {
			c.bytes += n
			c.mu.Unlock()
			return nil
		}
		if c.wake == nil {
			c.wake = make(chan struct{})
		}
		wake := c.wake
		c.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// named takes a batch off the count.
func (c *nameless) named(batch []ready) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range batch {
		c.bytes -= batch[i].loose()
	}
	if c.wake != nil {
		close(c.wake)
		c.wake = nil
	}
}
