package app

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"porchlight/transfer"
)

// moving is an engine with one pull.
type moving struct {
	mu    sync.Mutex // guards the fields below
	state transfer.State
	n     uint64
}

func (m *moving) Jobs(context.Context) ([]transfer.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return []transfer.Job{{ID: 1, State: m.state}}, nil
}

func (m *moving) Wait(ctx context.Context, since uint64) (uint64, error) {
	for {
		m.mu.Lock()
		n := m.n
		m.mu.Unlock()
		if n > since {
			return n, nil
		}
		select {
		case <-ctx.Done():
			return since, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (m *moving) become(s transfer.State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = s
	m.n++
}

func TestTheComputerStaysAwakeWhileItPullsOnMains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards the variables below
		mains, kept, times := true, false, 0
		keep := func(ctx context.Context, _ string) error {
			mu.Lock()
			kept, times = true, times+1
			mu.Unlock()
			<-ctx.Done()
			mu.Lock()
			kept = false
			mu.Unlock()
			return nil
		}
		m := &moving{state: transfer.Waiting, n: 1}
		a := &awake{engine: m, keep: keep, log: slog.New(slog.DiscardHandler), onMains: func(context.Context) bool {
			mu.Lock()
			defer mu.Unlock()
			return mains
		}}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { a.run(ctx) })
		after := func(d time.Duration, want bool, wantTimes int) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if kept != want || times != wantTimes {
				t.Errorf("awake: %v, for the %d. time; want %v, %d", kept, times, want, wantTimes)
			}
		}
		after(5*time.Second, false, 0)
		m.become(transfer.Running)
		after(5*time.Second, true, 1)
		m.become(transfer.Running) // progress
		after(5*time.Second, true, 1)
		mu.Lock()
		mains = false
		mu.Unlock()
		after(2*plugTime, false, 1)
		mu.Lock()
		mains = true
		mu.Unlock()
		after(2*plugTime, true, 2)
		m.become(transfer.Done)
		after(5*time.Second, false, 2)
		m.become(transfer.Running)
		after(5*time.Second, true, 3)
		cancel()
		wg.Wait()
		after(0, false, 3)
	})
}
