package client_test

import (
	"context"
	"path/filepath"
	"testing"

	"porchlight/discovery"
	"porchlight/transfer/wire"
)

// TestLooksEndWithTheRight: who may not see a folder any more hears nothing of it, and nobody watches it for them; Cut ends the
// streams that are open.
func TestLooksEndWithTheRight(t *testing.T) {
	a, b := newDevice(t, "a"), newDevice(t, "b")
	c := b.ask(a)
	a.put("dir/x", []byte("x"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events, end := stream(ctx, c)
	next(t, events)
	if err := c.SetWatch(soon(t), []wire.WatchDir{{Share: shareID[:], Path: "dir"}}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(a.dir, "dir")
	a.server.Recheck()
	if len(a.watching()) != 1 {
		t.Fatal("nothing is watched")
	}
	a.hidden.Store(true)
	a.server.DirChanged(dir)
	a.server.Tell(wire.Event{Kind: wire.EventShares})
	if e := next(t, events); e.Kind != wire.EventShares {
		t.Errorf("of a folder that is not its to see, it hears %+v", e)
	}
	a.server.Recheck()
	if got := a.watching(); len(got) != 0 {
		t.Errorf("%v is watched", got)
	}
	a.hidden.Store(false)
	a.server.DirChanged(dir)
	a.server.Tell(wire.Event{Kind: wire.EventShares})
	if e := next(t, events); e.Kind != wire.EventShares {
		t.Errorf("the look came back: %+v", e)
	}
	a.in.Cut(func(d discovery.DeviceID) bool { return d != b.ident.ID() })
	a.server.Tell(wire.Event{Kind: wire.EventShares})
	if e := next(t, events); e.Kind != wire.EventShares {
		t.Errorf("%+v", e)
	}
	a.in.Cut(func(d discovery.DeviceID) bool { return d == b.ident.ID() })
	select {
	case err := <-end:
		if err == nil {
			t.Error("the stream was cut, and ended well")
		}
	case <-soon(t).Done():
		t.Error("the stream goes on")
	}
}
