package engine

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// windows are those that are open. Safe for concurrent use.
type windows struct {
	mu   sync.Mutex // guards the field below
	open map[chan struct{}]bool
}

func (w *windows) add(wants chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == nil {
		w.open = map[chan struct{}]bool{}
	}
	w.open[wants] = true
}

func (w *windows) remove(wants chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, wants)
}

func (w *windows) all() []chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.open))
}

// Attend says that a window is open, until ctx ends. show is called when another start of the program wants it seen.
func (e *Engine) Attend(ctx context.Context, show func()) error {
	wants := make(chan struct{}, 1)
	e.windows.add(wants)
	defer e.windows.remove(wants)
	for {
		select {
		case <-wants:
			show()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ShowWindow asks the windows that are open to be seen; false if there is none.
func (e *Engine) ShowWindow(context.Context) (bool, error) {
	all := e.windows.all()
	for _, w := range all {
		select {
		case w <- struct{}{}:
		default: // it was asked already
		}
	}
	return len(all) > 0, nil
}
