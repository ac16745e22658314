package mdns

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	slept  = 30 * time.Second      // a wall clock this far ahead of us means that the computer was asleep
	settle = 50 * time.Millisecond // one plug pulled makes several messages
)

// network is what can be used at one moment.
type network struct {
	links []link
	woke  bool
	hold  bool // nothing else is said here: these links may be gone, and others come
}

// Watch calls changed whenever interfaces or addresses may have changed, and now and then anyway, until ctx ends.
func Watch(ctx context.Context, changed func()) {
	hint := make(chan struct{}, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { hints(ctx, func() { nudge(hint) }) })
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-hint:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		changed()
	}
}

// watch sends the network at once, after each change of it or hint that there is one, and after the computer woke, until
// ctx ends.
func (c Config) watch(ctx context.Context, hint chan struct{}, out chan<- network) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { hints(ctx, func() { nudge(hint) }) })
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var have []link
	known := false
	for last := time.Now(); ; {
		now := time.Now()
		woke := asleep(last, now)
		last = now
		ls, err := c.links()
		if err != nil {
			c.Log.Debug("interfaces unreadable", "error", err)
		} else if !known || woke || !slices.EqualFunc(have, ls, func(a, b link) bool { return a.key() == b.key() }) {
			have, known = ls, true
			select {
			case out <- network{links: ls, woke: woke}:
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-hint:
			rest(ctx, settle)
		case <-tick.C:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// rest waits for d, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// asleep compares two looks at the wall clock that should lie no more than one poll apart. Monotonic readings are of
// no use here: on some systems they stop during sleep, on others they go on.
func asleep(last, now time.Time) bool { return now.Round(0).Sub(last.Round(0)) > pollEvery+slept }

// keep closes what belongs to links that are gone or have changed, and opens what is missing. It goes on after an error.
func keep[T any](have map[string]T, ls []link, open func(link) (T, error), shut func(T)) error {
	want := map[string]bool{}
	for _, l := range ls {
		want[l.key()] = true
	}
	for k, v := range have {
		if !want[k] {
			shut(v)
			delete(have, k)
		}
	}
	var errs []error
	for _, l := range ls {
		if _, ok := have[l.key()]; ok {
			continue
		}
		v, err := open(l)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		have[l.key()] = v
	}
	return errors.Join(errs...)
}
