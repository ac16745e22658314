package server_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"

	"porchlight/share"
	"porchlight/transfer"
	"porchlight/transfer/client"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// asking is a neighbour that asks v for one thing after another, over loopback and TLS.
func asking(b *testing.B, v *victim) *client.Client {
	b.Helper()
	d := &link.Dialer{Identity: someone(b), Hello: func(*link.Session, *wire.Hello) wire.Hello { return helloOf("anna") },
		Net: func(ctx context.Context, _ netip.AddrPort) (net.Conn, error) { return v.dial(ctx) }}
	p := link.NewPeer(v.ident.ID(), d, func() []netip.AddrPort { return []netip.AddrPort{v.addr} }, nil)
	b.Cleanup(func() { p.Close() })
	return client.New(p)
}

// entries is how many the folders have that are listed.
const entries = 5000

// BenchmarkListing is one folder, sorted, from the disk of one device to the checked entries of another.
func BenchmarkListing(b *testing.B) {
	v := onTCP(b)
	for i := range entries {
		v.put(fmt.Sprintf("folder/IMG %05d.jpg", i), nil)
	}
	benchListing(b, asking(b, v), func(c *client.Client, yield func(share.Entry) error) error {
		return c.List(b.Context(), shareID, "folder", share.ByName, yield)
	})
}

// BenchmarkManifest is everything below a folder of 50, as a pull asks for it.
func BenchmarkManifest(b *testing.B) {
	v := onTCP(b)
	for i := range entries - 50 {
		v.put(fmt.Sprintf("folder/%d/IMG %05d.jpg", i%50, i), nil)
	}
	benchListing(b, asking(b, v), func(c *client.Client, yield func(share.Entry) error) error {
		return c.Manifest(b.Context(), shareID, "folder", yield)
	})
}

func benchListing(b *testing.B, c *client.Client, list func(*client.Client, func(share.Entry) error) error) {
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if err := list(c, func(share.Entry) error { n++; return nil }); err != nil {
			b.Fatal(err)
		}
		if n < entries || n > entries+1 { // a manifest begins with the folder itself
			b.Fatalf("%d of %d entries", n, entries)
		}
	}
	b.ReportMetric(float64(entries)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkRead is one file, over one connection.
func BenchmarkRead(b *testing.B) {
	v := onTCP(b)
	const size = 32 << 20
	v.put("large", make([]byte, size))
	e, err := v.tree.Stat("large")
	if err != nil {
		b.Fatal(err)
	}
	c := asking(b, v)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Read(b.Context(), shareID, "large", e.Version, transfer.Range{Len: size}, io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
