package mesh

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"porchlight/share"
	"porchlight/transfer"
	"porchlight/transfer/wire"
)

// looks are the folders of one neighbour that somebody here looks at.
type looks struct {
	n     *Neighbour
	count atomic.Int32 // of dirs, for those who must not take mu

	mu     sync.Mutex // guards the fields below
	dirs   map[place]map[*look]bool
	dirty  bool
	saying bool
}

type place struct {
	share share.ID
	path  share.Path
}

type look struct{ changed func() }

// add begins a look; the returned function ends it. transfer.ErrLimit when too many folders are being looked at.
func (l *looks) add(p place, changed func()) (end func(), err error) {
	me := &look{changed}
	l.mu.Lock()
	if l.dirs == nil {
		l.dirs = map[place]map[*look]bool{}
	}
	if l.dirs[p] == nil {
		if len(l.dirs) >= wire.MaxWatch {
			l.mu.Unlock()
			return nil, transfer.ErrLimit
		}
		l.dirs[p] = map[*look]bool{}
		l.count.Add(1)
	}
	l.dirs[p][me] = true
	l.mu.Unlock()
	l.say()
	return func() {
		l.mu.Lock()
		if delete(l.dirs[p], me); len(l.dirs[p]) == 0 && l.dirs[p] != nil {
			delete(l.dirs, p)
			l.count.Add(-1)
		}
		l.mu.Unlock()
		l.say()
	}, nil
}

// watchPause is the least time between two calls of changed: a folder being written to changes many times a second.
const watchPause = 50 * time.Millisecond

// Watch calls changed after each change of one folder of the device, until ctx ends. It outlives the device's absence. It returns
// transfer.ErrLimit when too many folders are being looked at.
func (n *Neighbour) Watch(ctx context.Context, s share.ID, p share.Path, changed func()) error {
	news := make(chan struct{}, 1)
	end, err := n.looks.add(place{s, p}, func() {
		select {
		case news <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return err
	}
	defer end()
	for {
		select {
		case <-news:
			changed()
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-time.After(watchPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// changed tells those who look at a folder.
func (l *looks) changed(s share.ID, p share.Path) {
	for _, me := range l.at(place{s, p}) {
		me.changed()
	}
}

func (l *looks) at(p place) (out []*look) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for me := range l.dirs[p] {
		out = append(out, me)
	}
	return out
}

// renew names the folders again on a new stream. What changed meanwhile was not told, so everybody is.
func (l *looks) renew() {
	var all []*look
	l.mu.Lock()
	for _, d := range l.dirs {
		for me := range d {
			all = append(all, me)
		}
	}
	l.mu.Unlock()
	if len(all) > 0 {
		l.say()
	}
	for _, me := range all {
		me.changed()
	}
}

// say tells the neighbour which folders are being looked at, one message at a time, the last one always with the newest state.
func (l *looks) say() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dirty = true
	if l.saying {
		return
	}
	l.saying = l.n.m.spawn(func(ctx context.Context) {
		for {
			l.mu.Lock()
			if !l.dirty || ctx.Err() != nil {
				l.saying = false
				l.mu.Unlock()
				return
			}
			l.dirty = false
			dirs := make([]wire.WatchDir, 0, len(l.dirs))
			for p := range l.dirs {
				dirs = append(dirs, wire.WatchDir{Share: p.share[:], Path: string(p.path)})
			}
			l.mu.Unlock()
			if !l.n.Up() {
				continue // renewed with the next stream
			}
			sctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			err := l.n.Client.SetWatch(sctx, dirs)
			cancel()
			if err != nil {
				l.n.m.cfg.Log.Debug("folders not watched", "peer", l.n.ID.Short(), "err", err)
				l.again(ctx)
			}
		}
	})
}

// sayAgain is how long after a message that was not taken it is sent again, while the stream it belongs to is there.
const sayAgain = 3 * time.Second

// again makes say send once more, after a while.
func (l *looks) again(ctx context.Context) {
	select {
	case <-time.After(sayAgain):
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dirty = true
}
