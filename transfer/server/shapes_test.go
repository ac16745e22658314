package server_test

import (
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"porchlight/discovery/calm"
	"porchlight/transfer/wire"
)

// The marks of requests that must never be answered.
const smuggled = "GET /v1/smuggled HTTP/1.1\r\nHost: d\r\n\r\n"

// TestSmuggling: requests whose end can be read in two ways. Nothing stands between two devices that could read it the other way; all the
// same none is taken for two: it is refused and the connection closed, or it is one request, and what follows is read from where it ends.
func TestSmuggling(t *testing.T) {
	v := onTCP(t)
	watch := func(header, body string) string {
		return "PUT /v1/watch HTTP/1.1\r\nHost: d\r\n" + header + "\r\n" + body
	}
	const empty = "7\r\n\xa1\x64dirs\x80\r\n0\r\n\r\n" // a watch of nothing, in one chunk
	for name, send := range map[string]string{         // no more than wire.NewAddrBurst: each has a connection of its own
		"length and chunks":          watch("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+smuggled),
		"chunks and length":          watch("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n", "0\r\n\r\n"+smuggled),
		"chunks of another name":     watch("Transfer-Encoding: xchunked\r\n", empty+smuggled),
		"chunks twice":               watch("Transfer-Encoding: chunked, chunked\r\n", empty+smuggled),
		"chunks and identity":        watch("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", empty+smuggled),
		"identity":                   watch("Transfer-Encoding: identity\r\n", smuggled),
		"gzip":                       watch("Transfer-Encoding: gzip, chunked\r\n", empty+smuggled),
		"chunks with a tab":          watch("Transfer-Encoding:\tchunked\x0b\r\n", empty+smuggled),
		"a space before the colon":   watch("Content-Length : 40\r\n", smuggled),
		"two lengths":                watch("Content-Length: 0\r\nContent-Length: 40\r\n", smuggled),
		"a list of lengths":          watch("Content-Length: 0, 40\r\n", smuggled),
		"a signed length":            watch("Content-Length: +0\r\n", smuggled),
		"a negative length":          watch("Content-Length: -1\r\n", smuggled),
		"a length in hex":            watch("Content-Length: 0x28\r\n", smuggled),
		"a folded line":              watch("X: y\r\n Content-Length: 40\r\n", smuggled),
		"a NUL in a header":          watch("X: a\x00b\r\n", smuggled),
		"a bare return":              watch("X: a\rContent-Length: 40\r\n", smuggled),
		"a chunk size that wraps":    watch("Transfer-Encoding: chunked\r\n", "10000000000000000\r\n"+smuggled),
		"a negative chunk":           watch("Transfer-Encoding: chunked\r\n", "-1\r\n"+smuggled),
		"no colon":                   watch("Content-Length\r\n", smuggled),
		"another protocol's preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + smuggled,
		"another host's address":     "GET http://10.0.0.1/v1/smuggled HTTP/1.1\r\nHost: d\r\n\r\n",
		"two hosts":                  "GET /v1/smuggled HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"no host":                    "GET /v1/smuggled HTTP/1.1\r\n\r\n",
		"of long ago":                "GET /v1/smuggled\r\n\r\n",
		"a version of its own":       "GET /v1/smuggled HTTP/1.7\r\nHost: d\r\n\r\n",
		"too many headers":           "GET /v1/smuggled HTTP/1.1\r\nHost: d\r\n" + strings.Repeat("a: b\r\n", 10_000) + "\r\n",
		"a header without end":       "GET /v1/smuggled HTTP/1.1\r\n" + strings.Repeat("x", 64<<10),
		"expects to be asked":        watch("Expect: 100-continue\r\nContent-Length: 2\r\n", "\xff\xff"+smuggled),
		"an upgrade to HTTP/2":       "GET /v1/smuggled HTTP/1.1\r\nHost: d\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
	} {
		if answers, good := v.answers(name, send); answers > 1 || good > 0 {
			t.Errorf("%s: %d answers, %d of them good", name, answers, good)
		}
	}
	if answers, good := v.answers("two requests", "GET /v1/shares HTTP/1.1\r\nHost: d\r\n\r\n"+smuggled); answers != 2 || good != 1 { // else the rest would say nothing
		t.Errorf("two requests: %d answers, %d of them good", answers, good)
	}
}

// answers says something on a connection of its own, all that it will ever say, and returns how many answers come, and how many are good.
func (v *victim) answers(name, send string) (all, good int) {
	v.t.Helper()
	a := v.hello(nil)
	defer a.Close()
	a.send(send)
	if err := a.raw.(*net.TCPConn).CloseWrite(); err != nil {
		v.t.Fatal(err)
	}
	a.SetReadDeadline(time.Now().Add(calm.Most(3 * time.Second))) //nolint:errcheck // the answers tell
	for res, _ := a.answer(); res != nil; res, _ = a.answer() {
		if res.StatusCode == http.StatusContinue {
			continue
		}
		if all++; res.StatusCode < 300 {
			good++
		}
	}
	if !a.closed(calm.Most(3 * time.Second)) {
		v.t.Errorf("%s: the connection stays open", name)
	}
	return all, good
}

// TestManyRanges: a request for thousands of ranges, overlapping or not, costs no more than being refused.
func TestManyRanges(t *testing.T) {
	v := onTCP(t)
	e, err := v.tree.Stat("big")
	if err != nil {
		t.Fatal(err)
	}
	a := v.hello(nil)
	for name, rg := range map[string]string{
		"overlapping": "bytes=" + strings.TrimSuffix(strings.Repeat("0-,", 4000), ","), "of one byte": "bytes=" + strings.TrimSuffix(strings.Repeat("5-5,", 3000), ","),
		"the whole file, and again": "bytes=0-3999999,0-3999999", "and one more, empty": "bytes=0-5,",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		a.send(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: d\r\nIf-Match: \"%s\"\r\nRange: %s\r\n\r\n", listPath("/file?path=big"), e.Version, rg))
		res, body := a.answer()
		runtime.ReadMemStats(&after)
		if res == nil || res.StatusCode != http.StatusConflict || len(body) > wire.MaxErrorBody {
			t.Fatalf("%s: %v, %d bytes", name, res, len(body))
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
			t.Errorf("%s: %d bytes allocated", name, used)
		}
	}
	a.send(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: d\r\nIf-Match: \"%s\"\r\nRange: bytes=0-5\r\nRange: bytes=7-9\r\n\r\n", listPath("/file?path=big"), e.Version))
	if res, body := a.answer(); res == nil || res.StatusCode == http.StatusPartialContent && len(body) != 6 {
		t.Errorf("two headers: %v, %d bytes", res, len(body))
	}
}

// TestAThousandStreams: a device asks for its event stream a thousand times, over all its connections at once. It has two at any time, and
// others are served.
func TestAThousandStreams(t *testing.T) {
	const times = 1000
	v := onTCP(t)
	mallory := someone(t)
	var all []*attacker
	for range wire.MaxDeviceConns {
		all = append(all, v.hello(mallory))
	}
	before := runtime.NumGoroutine()
	for _, a := range all {
		go a.send(strings.Repeat("GET /v1/events HTTP/1.1\r\nHost: d\r\n\r\n", 1+times/len(all)))
	}
	began, most := make(chan int, len(all)), 0
	for _, a := range all {
		go func() {
			n := 0
			defer func() { began <- n }()
			a.SetReadDeadline(time.Now().Add(3 * time.Second)) //nolint:errcheck // the answers tell, and this ends them
			for res, _, err := a.rest(); err == nil; res, _, err = a.rest() {
				if res.StatusCode == http.StatusOK {
					n++
				}
			}
		}()
	}
	v.honest()
	sum := 0
	for range all {
		sum += <-began
		most = max(most, runtime.NumGoroutine()-before)
	}
	t.Logf("%d times asked, %d streams came to their end; at most %d goroutines more", times, sum, most)
	if sum < wire.MaxDeviceConns || most > 6*wire.MaxDeviceConns {
		t.Errorf("%d streams ended, %d goroutines more", sum, most)
	}
	v.honest()
}

// TestHalfClosed: whoever closes its side and reads on is answered what it asked for, and then let go of.
func TestHalfClosed(t *testing.T) {
	v := onTCP(t)
	for name, ask := range map[string]string{"a listing": "GET " + listPath("/list?path=many") + " HTTP/1.1\r\nHost: d\r\n\r\n", "an endless answer": "GET /v1/events HTTP/1.1\r\nHost: d\r\n\r\n", "half a request": "GET /v1/sha"} {
		a := v.hello(nil)
		a.send(ask)
		if err := a.raw.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if !a.closed(calm.Most(3 * time.Second)) {
			t.Errorf("%s: the connection stays open", name)
		}
	}
	v.honest()
}
