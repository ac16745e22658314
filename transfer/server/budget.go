package server

import (
	"context"
	"sync"
	"time"

	"porchlight/transfer"
	"porchlight/transfer/wire"
)

// What one request may hold in memory, in bytes: its own buffers, and those its connection joins records in.
const (
	listCost = 256 << 10
	sendCost = wire.MaxPackFile + 256<<10
	packCost = sendCost + wire.MaxPackRequest
)

// layerCost is what the answer about a file of n pieces holds: the values once in a message, once encoded.
func layerCost(n int) int64 { return listCost + 2*32*int64(n) }

// budget is memory that many requests share. For several goroutines.
type budget struct {
	mu    sync.Mutex // guards the fields below
	free  int64
	freed chan struct{} // closed and replaced when some is given back
}

func newBudget(n int64) *budget { return &budget{free: n, freed: make(chan struct{})} }

// take waits for n bytes until ctx ends (transfer.ErrAway) or wire.Patience does (transfer.ErrBusy); give returns them.
func (b *budget) take(ctx context.Context, n int64) (give func(), err error) {
	patience := time.NewTimer(wire.Patience)
	defer patience.Stop()
	for {
		freed, ok := b.try(n)
		if ok {
			return func() { b.give(n) }, nil
		}
		select {
		case <-freed:
		case <-patience.C:
			return nil, transfer.ErrBusy
		case <-ctx.Done():
			return nil, transfer.ErrAway
		}
	}
}

func (b *budget) try(n int64) (freed <-chan struct{}, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.free < n {
		return b.freed, false
	}
	b.free -= n
	return nil, true
}

func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
	close(b.freed)
	b.freed = make(chan struct{})
}
