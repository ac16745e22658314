package client_test

import (
	"fmt"
	"io"
	"net/netip"
	"sync/atomic"
	"testing"

	"porchlight/share"
	"porchlight/transfer"
	"porchlight/transfer/client"
	"porchlight/transfer/link"
)

// TestConnectionsAreUsedAgain asks for the same things many times, one after another: each kind of answer leaves its connection to the next. Who dials often
// is made to wait.
func TestConnectionsAreUsedAgain(t *testing.T) {
	a, b := newDevice(t, "a"), newDevice(t, "b")
	for i := range 1000 { // so many that the end of an answer comes after the last of its bytes, now and then
		a.put(fmt.Sprintf("d/%03d", i), noise(100))
	}
	var dialled atomic.Int64
	p := link.NewPeer(a.ident.ID(), b.dialer, func() []netip.AddrPort { return []netip.AddrPort{a.addr} }, func(link.Greeting) { dialled.Add(1) })
	t.Cleanup(p.Close)
	c := client.New(p)
	var files []share.Entry
	for _, e := range manifest(t, c, "") {
		if e.Kind == share.File {
			files = append(files, e)
		}
	}
	ctx := soon(t)
	for range 12 {
		manifest(t, c, "")
		if err := c.List(ctx, shareID, "d", share.ByName, func(share.Entry) error { return nil }); err != nil {
			t.Fatal(err)
		}
		err := c.Pack(ctx, shareID, files, func(p client.Packed, r io.Reader) error {
			_, err := io.Copy(io.Discard, r)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Read(ctx, shareID, files[1].Path, files[1].Version, transfer.Range{Len: files[1].Size}, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d connections for 49 answers", dialled.Load())
	if n := dialled.Load(); n > 4 {
		t.Error("one for each class of requests, and one in reserve, are enough")
	}
}
