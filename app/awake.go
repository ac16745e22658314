package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"porchlight/transfer"
)

// mover is what moves files, and tells of changes.
type mover interface {
	Jobs(ctx context.Context) ([]transfer.Job, error)
	Wait(ctx context.Context, since uint64) (uint64, error)
}

// awake keeps the computer from falling asleep while something is pulled and it runs from the wall.
type awake struct {
	engine  mover
	keep    func(ctx context.Context, why string) error // blocks until ctx ends, or it does not work
	onMains func(context.Context) bool
	rest    time.Duration // between two looks; 2s if zero: progress is told many times a second
	log     *slog.Logger
}

// plugTime is how long it takes at most to notice that the plug was pulled.
const plugTime = time.Minute

// run works until ctx ends, and has let the computer sleep again when it returns.
func (a *awake) run(ctx context.Context) {
	if a.rest == 0 {
		a.rest = 2 * time.Second
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	var let context.CancelFunc // nil while the computer may sleep
	defer func() {
		if let != nil {
			let()
		}
	}()
	for since := uint64(0); ctx.Err() == nil; {
		jobs, err := a.engine.Jobs(ctx)
		busy := err == nil && slices.ContainsFunc(jobs, func(j transfer.Job) bool { return j.State == transfer.Running })
		switch on := busy && a.onMains(ctx); {
		case on && let == nil:
			kctx, end := context.WithCancel(ctx)
			let = end
			wg.Go(func() {
				if err := a.keep(kctx, "files are being copied"); err != nil && kctx.Err() == nil {
					a.log.Debug("the computer may fall asleep", "err", err, "unsupported", errors.Is(err, errors.ErrUnsupported))
				}
			})
		case !on && let != nil:
			let()
			let = nil
		}
		wait, cancel := ctx, context.CancelFunc(func() {})
		if busy {
			wait, cancel = context.WithTimeout(ctx, plugTime)
		}
		next, err := a.engine.Wait(wait, since)
		cancel()
		if err == nil {
			since = next
		}
		select {
		case <-ctx.Done():
		case <-time.After(a.rest):
		}
	}
}
