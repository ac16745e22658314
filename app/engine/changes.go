package engine

import (
	"context"
	"sync"
)

// changes numbers the changes of what people see, and wakes those who wait for the next.
type changes struct {
	mu   sync.Mutex // guards the fields below
	n    uint64
	next chan struct{} // closed by the next change
}

func (c *changes) init() { c.n, c.next = 1, make(chan struct{}) }

func (c *changes) bump() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	close(c.next)
	c.next = make(chan struct{})
}

func (c *changes) wait(ctx context.Context, since uint64) (uint64, error) {
	for {
		c.mu.Lock()
		n, next := c.n, c.next
		c.mu.Unlock()
		if n > since {
			return n, nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return n, ctx.Err()
		}
	}
}
