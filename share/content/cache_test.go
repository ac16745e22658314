package content

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"porchlight/share"
)

// memory is a Store that counts, and fails on demand.
type memory struct {
	mu    sync.Mutex
	m     map[share.Version]Layer
	reads int
	fail  error
}

func (m *memory) Layer(v share.Version) (Layer, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	l, ok := m.m[v]
	return l, ok, m.fail
}

func (m *memory) PutLayer(v share.Version, l Layer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail == nil {
		m.m[v] = l
	}
	return m.fail
}

func version(i int) share.Version { return share.Version{byte(i), byte(i >> 8)} }

func TestCacheBounds(t *testing.T) {
	st := &memory{m: map[share.Version]Layer{}}
	c := NewCache(st, 100)
	small, big := stream(noise(10)), stream(noise(3*PieceSize))
	for i := range 50 {
		if err := c.PutLayer(version(i), small); err != nil {
			t.Fatal(err)
		}
	}
	if c.cost > 100 || len(c.held) != 20 || c.order.Len() != 20 {
		t.Fatalf("holds %d entries at a cost of %d", len(c.held), c.cost)
	}
	if l, ok, err := c.Layer(version(49)); !ok || err != nil || !l.Equal(small) || st.reads != 0 {
		t.Error("the last one was not in memory")
	}
	if _, ok, _ := c.Layer(version(0)); !ok || st.reads != 1 {
		t.Error("the first one was not in the store")
	}
	if _, ok, _ := c.Layer(version(0)); !ok || st.reads != 1 {
		t.Error("what the store gave was not kept")
	}
	if err := c.PutLayer(version(0), big); err != nil || c.cost > 100 {
		t.Error(err, c.cost)
	}
	if l, _, _ := c.Layer(version(0)); !l.Equal(big) {
		t.Error("not replaced")
	}
	tiny := NewCache(nil, 6)
	if err := tiny.PutLayer(version(1), big); err != nil || len(tiny.held) != 0 {
		t.Error("kept more than it may", err)
	}
}

func TestCacheDistrusts(t *testing.T) {
	l := stream(noise(2*PieceSize + 1))
	bad := l
	bad.Root[0] ^= 1
	st := &memory{m: map[share.Version]Layer{version(1): bad}}
	c := NewCache(st, 0)
	if _, ok, err := c.Layer(version(1)); ok || err != nil {
		t.Error("took a spoilt layer from the store", err)
	}
	if err := c.PutLayer(version(2), bad); !errors.Is(err, ErrLayer) {
		t.Error("took a spoilt layer", err)
	}
	st.fail = errors.New("disk on fire")
	if _, _, err := c.Layer(version(3)); !errors.Is(err, st.fail) {
		t.Error(err)
	}
	got, err := c.Fetch(t.Context(), version(3), func(context.Context) (Layer, error) { return l, nil })
	if err != nil || !got.Equal(l) {
		t.Error("a failing store stopped the work:", err)
	}
}

func TestCacheBuildsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewCache(nil, 0)
		l := stream(noise(10))
		var built atomic.Int32
		gate := make(chan struct{})
		build := func(ctx context.Context) (Layer, error) {
			built.Add(1)
			select {
			case <-gate:
				return l, nil
			case <-ctx.Done():
				return Layer{}, ctx.Err()
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan error, 1)
		go func() {
			_, err := c.Fetch(ctx, version(1), build)
			first <- err
		}()
		synctest.Wait()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if got, err := c.Fetch(t.Context(), version(1), build); err != nil || !got.Equal(l) {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		cancel() // the builder goes; one of the others takes over
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		synctest.Wait()
		close(gate)
		wg.Wait()
		if n := built.Load(); n != 2 || len(c.calls) != 0 {
			t.Errorf("built %d times, %d calls left", n, len(c.calls))
		}
		boom := errors.New("boom")
		if _, err := c.Fetch(t.Context(), version(2), func(context.Context) (Layer, error) { return Layer{}, boom }); !errors.Is(err, boom) {
			t.Error(err)
		}
	})
}

func TestCacheTogether(t *testing.T) {
	c := NewCache(&memory{m: map[share.Version]Layer{}}, 60)
	l := stream(noise(100))
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 500 {
				v := version((i*7 + w) % 40)
				if i%3 == 0 {
					_ = c.PutLayer(v, l)
				} else if got, ok, err := c.Layer(v); err != nil || ok && !got.Equal(l) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if c.cost > 60 {
		t.Error(c.cost)
	}
}
