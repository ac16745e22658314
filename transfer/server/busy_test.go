package server

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"porchlight/discovery"
	"porchlight/share/content"
	"porchlight/share/safefs"
	"porchlight/transfer"
	"porchlight/transfer/wire"
)

// waiting is a server with one file whose layer nobody knows, and the open file.
func waiting(t *testing.T) (*Server, *safefs.Tree, *safefs.File, []byte) {
	t.Helper()
	dir, data := t.TempDir(), bytes.Repeat([]byte("layer"), 1<<20)
	if err := os.WriteFile(filepath.Join(dir, "f"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	tree, err := safefs.OpenTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := tree.Open("f")
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{Layers: content.NewCache(nil, 0)})
	life, cancel := context.WithCancel(t.Context())
	s.life = life
	t.Cleanup(func() {
		cancel()
		s.running.Wait()
		f.Close()
		tree.Close()
	})
	return s, tree, f, data
}

// TestLayerThatTakesLong: nobody waits longer than wire.Patience for a layer; the reading goes on while it is asked for,
// whoever asks again gets it, and it ends when nobody does.
func TestLayerThatTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, tree, f, data := waiting(t)
		v, me := f.Entry().Version, discovery.DeviceID{1}
		given, ended := make(chan struct{}), atomic.Bool{}
		slow := &build{dev: me, done: given, idle: time.AfterFunc(wire.ClientIdle, func() { ended.Store(true) })}
		s.hashing.builds[v] = slow // a file so large that reading it takes minutes
		for range 10 {
			began := time.Now()
			if _, err := s.layerOf(t.Context(), me, tree, f); !errors.Is(err, transfer.ErrBusy) {
				t.Fatalf("the layer: %v", err)
			}
			if took := time.Since(began); took != wire.Patience {
				t.Fatalf("busy after %v", took)
			}
			time.Sleep(wire.ClientIdle - wire.Patience - time.Second) // asked again just in time
		}
		if ended.Load() {
			t.Error("the reading was given up although it was asked for")
		}
		var err error
		if slow.layer, err = content.Build(t.Context(), bytes.NewReader(data), int64(len(data)), 1); err != nil {
			t.Fatal(err)
		}
		close(given)
		if l, err := s.layerOf(t.Context(), me, tree, f); err != nil || l.Root != content.Sum(data) {
			t.Errorf("the layer is %v, %v", l.Root, err)
		}
		time.Sleep(wire.ClientIdle + time.Second)
		if !ended.Load() {
			t.Error("the reading goes on for nobody")
		}
	})
}

// TestLayersOfOthersFirst: when as many files are read as may be, a neighbour waits for its turn, and no longer than
// wire.Patience; what one device has begun does not count against another.
func TestLayersOfOthersFirst(t *testing.T) {
	for _, tt := range []struct {
		name   string
		others int // files being read for another device
		mine   int // and for the one that asks
		busy   bool
	}{
		{"nobody else", 0, 0, false}, {"another device's two", wire.DeviceBuilds, 0, false}, {"its own two", 0, wire.DeviceBuilds, true},
		{"all of them", wire.MaxBuilds, 0, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, tree, f, data := waiting(t)
			me := discovery.DeviceID{1}
			for i := range tt.others + tt.mine {
				b := &build{dev: discovery.DeviceID{2}, done: make(chan struct{}), idle: time.AfterFunc(time.Hour, func() {})}
				if i < tt.mine {
					b.dev = me
				}
				s.hashing.builds[[16]byte{9, byte(i)}] = b
			}
			began := time.Now()
			l, err := s.layerOf(t.Context(), me, tree, f)
			switch took := time.Since(began); {
			case tt.busy && (!errors.Is(err, transfer.ErrBusy) || took != wire.Patience):
				t.Errorf("%s: %v after %v", tt.name, err, took)
			case !tt.busy && (err != nil || l.Root != content.Sum(data)):
				t.Errorf("%s: %v", tt.name, err)
			}
			if !tt.busy {
				return
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				if l, err := s.layerOf(t.Context(), me, tree, f); err != nil || l.Root != content.Sum(data) {
					t.Errorf("%s: %v when its turn came", tt.name, err)
				}
			})
			time.Sleep(time.Second)
			s.hashing.mu.Lock()
			delete(s.hashing.builds, [16]byte{9, 0})
			close(s.hashing.freed)
			s.hashing.freed = make(chan struct{})
			s.hashing.mu.Unlock()
			wg.Wait()
		})
	}
}

// TestMemoryIsShared: who finds no memory waits for it, for wire.Patience and no longer, and what is given back is there again.
func TestMemoryIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100)
		one, err := b.take(t.Context(), 60)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := b.take(t.Context(), 50); !errors.Is(err, transfer.ErrBusy) || time.Since(began) != wire.Patience {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := b.take(ctx, 50); !errors.Is(err, transfer.ErrAway) {
			t.Errorf("after the caller left: %v", err)
		}
		time.AfterFunc(time.Second, one)
		two, err := b.take(t.Context(), 100)
		if err != nil || b.free != 0 {
			t.Errorf("%v, %d free", err, b.free)
		}
		two()
		if b.free != 100 {
			t.Errorf("%d free", b.free)
		}
	})
	if most := layerCost(wire.MaxLayer / 32); most > wire.MaxBuffers || packCost > wire.MaxBuffers/wire.MaxDeviceSends {
		t.Errorf("one request takes %d bytes", most)
	}
}
