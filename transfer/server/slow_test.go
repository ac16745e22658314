package server_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"porchlight/share"
	"porchlight/transfer/wire"
)

// pipes is a listener in memory, so that slowness can be tested in no time.
type pipes struct {
	in   chan net.Conn
	done chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.in:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

func inMemory(t *testing.T) *victim {
	p := &pipes{make(chan net.Conn), make(chan struct{})}
	v := newVictim(t, p)
	v.dial = p.dial
	return v
}

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	a, b := net.Pipe()
	select {
	case p.in <- b:
		return a, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestSlowness: whoever sends or reads too slowly is given up in time, and holds up nobody meanwhile.
func TestSlowness(t *testing.T) {
	for _, tt := range []struct {
		name  string
		hello bool
		send  string // at once
		drip  string // one byte a second after it
		most  time.Duration
	}{
		{"silence", false, "", "", 6 * time.Second},
		{"slow hello headers", false, "POST /v1/hello HTTP/1.1\r\nX: ", strings.Repeat("x", 100), 6 * time.Second},
		{"slow hello body", false, "POST /v1/hello HTTP/1.1\r\nHost: d\r\nContent-Length: 200\r\n\r\n", strings.Repeat("x", 100), 6 * time.Second},
		{"slow headers", true, "GET /v1/shares HTTP/1.1\r\nX: ", strings.Repeat("x", 100), 11 * time.Second},
		{"slow watch", true, "PUT /v1/watch HTTP/1.1\r\nHost: d\r\nContent-Length: 200\r\n\r\n", strings.Repeat("x", 100), 31 * time.Second},
		{"slow pack", true, "POST " + listPath("/pack") + " HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n", strings.Repeat("x", 100), 31 * time.Second},
		{"the rest never comes", true, "POST /nowhere HTTP/1.1\r\nHost: d\r\nContent-Length: 200\r\n\r\n", "", 31 * time.Second},
		{"slow item length", true, "POST " + listPath("/pack") + " HTTP/1.1\r\nHost: d\r\nContent-Length: 5000\r\n\r\n\xff", strings.Repeat("\x80", 100), 31 * time.Second},
		{"slow item", true, "POST " + listPath("/pack") + " HTTP/1.1\r\nHost: d\r\nContent-Length: 5000\r\n\r\n\x88\x27\xa2\x64path\x79\x26\xff", strings.Repeat("x", 100), 31 * time.Second},
		{"slow chunk header", true, "PUT /v1/watch HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n1;", strings.Repeat("x", 100), 31 * time.Second},
		{"slow trailer", true, "PUT /v1/watch HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\xa0\r\n0\r\nX: ", strings.Repeat("x", 100), 31 * time.Second},
		{"idle", true, "", "", 91 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := inMemory(t)
				open := v.attack
				if tt.hello {
					open = v.hello
				}
				a := open(nil)
				a.SetDeadline(time.Time{}) //nolint:errcheck // only the victim's patience is tested
				began := time.Now()
				go func() {
					a.send(tt.send)
					for i := range tt.drip {
						time.Sleep(time.Second)
						a.send(tt.drip[i : i+1])
					}
				}()
				go v.honest()
				io.Copy(io.Discard, a.br) //nolint:errcheck // until it is closed
				if d := time.Since(began); d > tt.most {
					t.Errorf("closed after %v", d)
				}
				time.Sleep(2 * time.Minute) // the sender ends
			})
		})
	}
}

// TestSlowHandshake: a handshake that does not come, or comes byte by byte, is given up after 5 s.
func TestSlowHandshake(t *testing.T) {
	hello := "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
	for _, drip := range []string{"", hello + strings.Repeat("x", 100)} {
		synctest.Test(t, func(t *testing.T) {
			v := inMemory(t)
			c, err := v.dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			began := time.Now()
			go func() {
				for i := range drip {
					if _, err := io.WriteString(c, drip[i:i+1]); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			}()
			go v.honest()
			io.Copy(io.Discard, c) //nolint:errcheck // until it is closed
			if took := time.Since(began); took > wire.HandshakeTime+time.Second {
				t.Errorf("closed after %v", took)
			}
			time.Sleep(2 * time.Minute) // the sender ends
		})
	}
}

// TestReaderThatStops asks for much and reads nothing: the answer is given up, and its place is free again.
func TestReaderThatStops(t *testing.T) {
	for _, path := range []string{"/v1/events", listPath("/list?path=many&deep=1")} {
		synctest.Test(t, func(t *testing.T) {
			v := inMemory(t)
			a := v.hello(nil)
			a.SetDeadline(time.Time{}) //nolint:errcheck // likewise
			a.send("GET " + path + " HTTP/1.1\r\nHost: d\r\n\r\n")
			v.honest()
			time.Sleep(time.Minute)
			if !a.closed(time.Second) {
				t.Errorf("%s: still open after a minute", path)
			}
		})
	}
}

// TestPatience: what is slow for good reasons goes on. A connection may rest between two requests, a stream lives for ever.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := inMemory(t)
		mallory := someone(t)
		a, b := v.hello(mallory), v.hello(mallory)
		a.SetDeadline(time.Time{}) //nolint:errcheck // likewise
		b.SetDeadline(time.Time{}) //nolint:errcheck // likewise
		a.send("GET /v1/events HTTP/1.1\r\nHost: d\r\n\r\n")
		beats := make(chan int, 1)
		go func() {
			n := 0
			for buf := make([]byte, 1<<10); ; n++ {
				if _, err := a.br.Read(buf); err != nil {
					beats <- n
					return
				}
			}
		}()
		body := "\xa1\x64dirs\x80"
		for range 4 { // longer apart than any deadline of the request before
			time.Sleep(80 * time.Second)
			b.send("PUT /v1/watch HTTP/1.1\r\nHost: d\r\nContent-Length: 7\r\n\r\n" + body)
			if res, _ := b.answer(); res == nil || res.StatusCode != http.StatusNoContent {
				t.Fatalf("after a pause: %v", res)
			}
		}
		a.Close()
		if n := <-beats; n < 320/5 {
			t.Errorf("%d beats in 320 s", n)
		}
	})
}

// TestManyLayers: one device asks for more layers at once than are built at once, and gets them all.
func TestManyLayers(t *testing.T) {
	v := onTCP(t)
	mallory := someone(t)
	var wg sync.WaitGroup
	for i := range 7 {
		name := fmt.Sprintf("layer%d", i%5) // two of them twice
		v.put(name, bytes.Repeat([]byte{byte(i % 5)}, 3<<20))
		e, err := v.tree.Stat(share.Path(name))
		if err != nil {
			t.Fatal(err)
		}
		a := v.hello(mallory)
		wg.Go(func() {
			a.send("GET " + listPath("/layer?path="+name) + " HTTP/1.1\r\nHost: d\r\nIf-Match: \"" + e.Version.String() + "\"\r\n\r\n")
			if res, data := a.answer(); res == nil || (res.StatusCode != http.StatusOK || len(data) < 3*32) && res.StatusCode != http.StatusPreconditionFailed {
				t.Errorf("%s: %v", name, res)
			}
		})
	}
	v.honest()
	wg.Wait()
}
