package pace

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"porchlight/discovery"
)

func device(n byte) discovery.DeviceID { return discovery.DeviceID{n} }

// flood takes bytes for a device over some connections until ctx ends, and counts them.
func flood(ctx context.Context, wg *sync.WaitGroup, l *Limit, who discovery.DeviceID, connections, size int) *atomic.Int64 {
	n := &atomic.Int64{}
	for range connections {
		wg.Go(func() {
			for l.Take(ctx, who, size) == nil {
				n.Add(int64(size))
			}
		})
	}
	return n
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	t.Logf("%s: %.3f of %.3f", what, got, want)
	if math.Abs(got-want) > want*tolerance {
		t.Errorf("%s: %.3f, want %.3f ± %.0f %%", what, got, want, tolerance*100)
	}
}

// TestRateIsKept runs in fake time, as all that measures here does: what else this computer does is no part of it.
func TestRateIsKept(t *testing.T) {
	for _, perSecond := range []int64{500_000, 5_000_000, 200_000_000} {
		synctest.Test(t, func(t *testing.T) {
			l := New()
			l.Set(perSecond)
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			n := flood(ctx, &wg, l, device(1), 3, l.Turn())
			time.Sleep(300 * time.Millisecond) // what may go at once after a pause is over then
			before := n.Load()
			time.Sleep(2 * time.Second)
			got := float64(n.Load()-before) / 2
			cancel()
			wg.Wait()
			near(t, "bytes per second", got, float64(perSecond), .02)
		})
	}
}

// TestLateTimersCostNoSpeed: who comes back late by less than a burst is worth gets as much as one who is in time.
func TestLateTimersCostNoSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond, late = 5_000_000, time.Second / burst * 3 / 4
		l := New()
		l.Set(perSecond)
		start, sent := time.Now(), 0
		for i := 0; time.Since(start) < 4*time.Second; i++ {
			if err := l.Take(t.Context(), device(1), l.Turn()); err != nil {
				t.Fatal(err)
			}
			if sent += l.Turn(); i%4 == 3 {
				time.Sleep(late)
			}
		}
		near(t, "bytes per second", float64(sent)/time.Since(start).Seconds(), perSecond, .03)
	})
}

func TestDevicesShareAlike(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New()
		l.Set(4_000_000)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		all := []*atomic.Int64{flood(ctx, &wg, l, device(1), 1, 16<<10), flood(ctx, &wg, l, device(2), 8, 1<<20), flood(ctx, &wg, l, device(3), 3, 4<<10)}
		time.Sleep(30 * time.Second)
		sum := 0.
		counts := make([]float64, len(all))
		for i, n := range all {
			counts[i] = float64(n.Load())
		}
		cancel()
		wg.Wait()
		counts[1] += 4 << 20 // of the eight that wait for a MiB each, on average half was taken and is not counted
		for _, c := range counts {
			sum += c
		}
		for i, c := range counts {
			near(t, "share of device "+string(rune('1'+i)), c/sum, 1./3, .1)
		}
	})
}

func TestNoLimitWaitsForNobody(t *testing.T) {
	l := New()
	if err := l.Take(t.Context(), device(1), math.MaxInt); err != nil || l.Turn() != 0 {
		t.Fatalf("%v, turn %d", err, l.Turn())
	}
}

func TestLimitTakenAwayFreesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New()
		l.Set(1000) // a turn of 4 KiB takes four seconds
		ended := make(chan error, 3)
		for i := range 3 {
			go func() { ended <- l.Take(t.Context(), device(byte(i)), 1<<30) }()
		}
		synctest.Wait()
		l.mu.Lock()
		if len(l.waiting) != 2 {
			t.Errorf("%d wait", len(l.waiting))
		}
		l.mu.Unlock()
		began := time.Now()
		l.Set(0)
		for range 3 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("they waited on for %v", took)
		}
	})
}

func TestWhoLeavesBlocksNobody(t *testing.T) {
	l := New()
	l.Set(200_000)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			if err := l.Take(ctx, device(byte(i)), 1<<30); !errors.Is(err, context.Canceled) {
				t.Errorf("left with %v", err)
			}
		})
	}
	until(t, func() bool { l.mu.Lock(); defer l.mu.Unlock(); return len(l.waiting) == 3 })
	cancel()
	wg.Wait()
	if err := l.Take(t.Context(), device(9), 1000); err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy || len(l.waiting) != 0 || len(l.had) > 5 {
		t.Errorf("left behind: busy %v, %d waiting, %d known", l.busy, len(l.waiting), len(l.had))
	}
}

func until(t *testing.T, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("still waiting")
		}
	}
}
