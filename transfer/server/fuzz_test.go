package server_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"porchlight/transfer/wire"
)

// FuzzRequest sends one arbitrary request after a proper hello. The victim may answer what it likes, or close; it must not
// break (newVictim looks for that), tell where its folder lies, or answer with an error of its own making.
//
// The connection is one the victim lends: those it accepts are counted, and fuzzing is more than a neighbour may do.
func FuzzRequest(f *testing.F) {
	list := "/v1/s/01020300000000000000000000000000/list?path="
	for _, s := range [][3]string{
		{"GET", "/v1/shares", ""}, {"GET", list, ""}, {"GET", list + "%00", ""}, {"GET", list + "many&deep=1&sort=-size", "Range: bytes=0-5"},
		{"PUT", "/v1/watch", "Content-Type: application/cbor"}, {"POST", "/v1/hello", "Upgrade: porchlight-reverse\r\nConnection: Upgrade"},
		{"GET", "/v1/s/01020300000000000000000000000000/file?path=big", "If-Match: \"00\"\r\nRange: bytes=0-1"}, {"OPTIONS", "*", ""}, {"CONNECT", "a:1", ""},
		{"POST", "/v1/s/01020300000000000000000000000000/pack", "Expect: 100-continue"}, {"GET", "/v1/peers", "Transfer-Encoding: chunked"},
	} {
		f.Add(s[0], s[1], s[2], []byte("\xa1\x64dirs\x80"))
	}
	p := &pipes{make(chan net.Conn), make(chan struct{})}
	v := newVictim(f, p, sociable)
	f.Fuzz(func(t *testing.T, method, target, header string, body []byte) {
		a := v.lends(t)
		defer a.Close()
		a.send(helloRequest(t, helloOf("mallory"), ""))
		if res, _ := a.answer(); res == nil || res.StatusCode != http.StatusOK {
			t.Fatalf("a proper hello: %v", res)
		}
		go a.send(method + " " + target + " HTTP/1.1\r\nHost: d\r\n" + header + "\r\n\r\n" + string(body))
		a.SetReadDeadline(time.Now().Add(200 * time.Millisecond)) //nolint:errcheck // no answer is one, too
		res, err := http.ReadResponse(a.br, nil)
		if err != nil {
			return
		}
		defer res.Body.Close()
		io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20)) //nolint:errcheck // an event stream has no end
		if res.StatusCode == http.StatusInternalServerError {
			t.Errorf("%s %q: status %d", method, target, res.StatusCode)
		}
	})
}

// lends returns the other end of a connection the victim lends, before the hello.
func (v *victim) lends(t testing.TB) *attacker {
	t.Helper()
	mallory := someone(t)
	ours, theirs := net.Pipe()
	side := tls.Server(theirs, mallory.TLS(nil))
	br := bufio.NewReader(side)
	ready := make(chan error, 1)
	go func() {
		req, err := http.ReadRequest(br)
		if err == nil {
			_, err = io.Copy(io.Discard, req.Body)
		}
		if err == nil {
			_, err = io.WriteString(side, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+wire.Reverse+"\r\n\r\n")
		}
		ready <- err
	}()
	d := *v.dialer
	d.Net = func(context.Context, netip.AddrPort) (net.Conn, error) { return ours, nil }
	c, _, err := d.Lend(t.Context(), mallory.ID(), netip.AddrPort{})
	if err == nil {
		err = <-ready
	}
	if err != nil {
		t.Fatal(err)
	}
	if !v.in.Push(c) {
		t.Fatal("the lent connection was refused")
	}
	return &attacker{side, t, br, theirs}
}
