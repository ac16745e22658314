package link

import (
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
)

// TestNoProxyIsAsked: what the environment says of proxies is for the web, and never for neighbours: a proxy would see who talks to whom,
// and could keep them apart.
func TestNoProxyIsAsked(t *testing.T) {
	trap, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	var came atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := trap.Accept()
			if err != nil {
				return
			}
			came.Add(1)
			c.Close()
		}
	}()
	proxy := "http://" + trap.Addr().String()
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"} {
		t.Setenv(name, proxy)
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		t.Setenv(name, "")
	}
	a, b := newNode(t, "a"), newNode(t, "b")
	p := a.to(t, b, b.addr)
	for _, c := range []Class{Quick, Bulk, Slow, Stream} {
		if err := echo(t, p, c, []byte("x")); err != nil {
			t.Errorf("class %d: %v", c, err)
		}
		if tr := p.Client(c).Transport.(*http.Transport); tr.Proxy != nil || p.Client(c).Jar != nil || !tr.DisableCompression || tr.ForceAttemptHTTP2 {
			t.Errorf("class %d: a proxy, cookies, compression or another protocol is used", c)
		}
	}
	away := NewPeer(b.ident.ID(), a.dialer, func() []netip.AddrPort { return []netip.AddrPort{nowhere(t)} }, nil)
	defer away.Close()
	if echo(t, away, Quick, nil) == nil {
		t.Error("somebody answers where nobody is")
	}
	trap.Close()
	<-done
	if n := came.Load(); n > 0 {
		t.Errorf("the proxy was asked %d times", n)
	}
}
