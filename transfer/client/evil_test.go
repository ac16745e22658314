package client

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"testing"

	"porchlight/discovery"
	"porchlight/transfer/link"
)

// evil is a device that answers with whatever bytes it likes, over connections in memory. TLS and the hello are behind it.
type evil struct {
	*Client
	asked chan *http.Request
}

// newEvil returns a client of a device that answers each request with what answer writes; the connection is closed after it.
func newEvil(t testing.TB, answer func(w io.Writer, r *http.Request)) *evil {
	t.Helper()
	p := link.NewPeer(discovery.DeviceID{1}, &link.Dialer{}, func() []netip.AddrPort { return nil }, nil)
	e := &evil{New(p), make(chan *http.Request, 1000)}
	for _, class := range []link.Class{link.Quick, link.Bulk, link.Slow, link.Stream} {
		tr := p.Client(class).Transport.(*http.Transport)
		tr.DialContext = func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() {
				defer theirs.Close()
				br := bufio.NewReader(theirs)
				r, err := http.ReadRequest(br)
				if err != nil {
					return
				}
				e.asked <- r
				go io.Copy(io.Discard, br) //nolint:errcheck // what else it is sent
				answer(theirs, r)
			}()
			return ours, nil
		}
		t.Cleanup(tr.CloseIdleConnections)
	}
	return e
}

// allocated is how much f allocates, the least of three runs: what else runs in the process allocates too.
func allocated(f func()) uint64 {
	least := ^uint64(0)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}
