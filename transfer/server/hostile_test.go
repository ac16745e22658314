package server_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"porchlight/discovery/calm"
	"porchlight/discovery/canon"
	"porchlight/share"
	"porchlight/transfer/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listPath(rest string) string { return "/v1/s/" + shareID.String() + rest }

func TestBadRequestsCloseTheConnection(t *testing.T) {
	v := onTCP(t)
	garbage := "POST /v1/hello HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\n\r\n\xff\xff\xff"
	for _, tt := range []struct {
		name  string
		hello bool
		send  string
		want  int // 0: no answer is needed
	}{
		{"before hello", false, "GET /v1/shares HTTP/1.1\r\nHost: d\r\n\r\n", 409},
		{"server options before hello", false, "OPTIONS * HTTP/1.1\r\nHost: d\r\n\r\n", 409},
		{"connect before hello", false, "CONNECT example.com:80 HTTP/1.1\r\nHost: d\r\n\r\n", 409},
		{"upgrade of another route", false, "GET /v1/events HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: porchlight-reverse\r\n\r\n", 409},
		{"garbage for a hello", false, garbage, 409},
		{"a hello without end", false, "POST /v1/hello HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n2000\r\n" + strings.Repeat("x", 0x2000) + "\r\n", 413},
		{"a hello of another version", false, helloRequest(t, wire.Hello{V: 9, Name: "m", Workgroup: "W"}, ""), 501},
		{"huge headers", false, "GET / HTTP/1.1\r\nHost: d\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", 431},
		{"another name", true, helloRequest(t, helloOf("bert"), ""), 409},
		{"lent after hello", true, helloRequest(t, helloOf("mallory"), "Connection: Upgrade\r\nUpgrade: porchlight-reverse\r\n"), 409},
		{"head", true, "HEAD " + listPath("/file?path=big") + " HTTP/1.1\r\nHost: d\r\n\r\n", 0},
		{"endless head", true, "HEAD /v1/events HTTP/1.1\r\nHost: d\r\n\r\n", 0},
		{"options", true, "OPTIONS /v1/shares HTTP/1.1\r\nHost: d\r\n\r\n", 409},
		{"a body nobody asked for", true, "GET /v1/shares HTTP/1.1\r\nHost: d\r\nContent-Length: 100\r\n\r\n", 409},
		{"a chunked one", true, "GET /v1/events HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 409},
		{"garbage to watch", true, "PUT /v1/watch HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\n\r\n\xff\xff", 409},
		{"no HTTP", true, "\x00\x01\x02\x03\r\n\r\n", 400},
	} {
		open := v.attack
		if tt.hello {
			open = v.hello
		}
		a := open(nil)
		a.send(tt.send)
		if tt.want != 0 {
			if res, _ := a.answer(); res == nil || res.StatusCode != tt.want {
				t.Errorf("%s: answered %v, want %d", tt.name, res, tt.want)
			}
		}
		if !a.closed(calm.Most(3 * time.Second)) {
			t.Errorf("%s: the connection stays open", tt.name)
		}
	}
	v.honest()
	v.mu.Lock()
	defer v.mu.Unlock()
	if slices.Contains(v.greeted, "bert") || v.lent > 0 {
		t.Errorf("greeted %v, lent %d", v.greeted, v.lent)
	}
}

func TestOddRequestsAreRefused(t *testing.T) {
	v := onTCP(t)
	e, err := v.tree.Stat("big")
	if err != nil {
		t.Fatal(err)
	}
	version := `"` + e.Version.String() + `"`
	file := func(match, rg string) string {
		return "GET " + listPath("/file?path=big") + " HTTP/1.1\r\nHost: d\r\nIf-Match: " + match + "\r\nRange: " + rg + "\r\n\r\n"
	}
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: d\r\n\r\n" }
	a := v.hello(nil)
	for _, tt := range []struct {
		name, send string
		want       int
	}{
		{"no such route", get("/nowhere"), 404},
		{"an unclean path", get("/v1//shares"), 404},
		{"a path with dots", get("/v1/x/../shares"), 404},
		{"a wrong method", "POST /v1/shares HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\n\r\nxx", 404},
		{"a share that is none", get("/v1/s/zz/list"), 404},
		{"out of the share", get(listPath("/list?path=../..")), 404},
		{"an order that is none", get(listPath("/list?path=&sort=evil")), 409},
		{"watch without events", "PUT /v1/watch HTTP/1.1\r\nHost: d\r\nContent-Length: 7\r\n\r\n\xa1\x64dirs\x80", 409},
		{"no range", file(version, ""), 409},
		{"open range", file(version, "bytes=0-"), 409},
		{"suffix range", file(version, "bytes=-5"), 409},
		{"two ranges", file(version, "bytes=0-0,2-3"), 409},
		{"other unit", file(version, "lines=0-5"), 409},
		{"no unit", file(version, "0-5"), 409},
		{"backwards", file(version, "bytes=5-1"), 409},
		{"beyond", file(version, fmt.Sprintf("bytes=0-%d", e.Size)), 409},
		{"overflow", file(version, "bytes=0-99999999999999999999"), 409},
		{"any version", file("*", "bytes=0-5"), 409},
		{"weak version", file("W/"+version, "bytes=0-5"), 409},
		{"two versions", file(version+", "+version, "bytes=0-5"), 409},
		{"other version", file(`"`+strings.Repeat("0", 32)+`"`, "bytes=0-5"), 412},
		{"the right one", file(version, "bytes=0-5"), 206},
	} {
		a.send(tt.send)
		res, body := a.answer()
		if res == nil || res.StatusCode != tt.want {
			t.Fatalf("%s: answered %v, want %d", tt.name, res, tt.want)
		}
		if res.StatusCode >= 300 && (res.Header.Get("Content-Type") != wire.TypeCBOR || len(body) > wire.MaxErrorBody || bytes.Contains(body, []byte(v.dir))) {
			t.Errorf("%s: %q", tt.name, body)
		}
	}
	if n := v.watches(); n != 0 {
		t.Errorf("%d folders watched", n)
	}
}

func TestBreachesAreRemembered(t *testing.T) {
	v := onTCP(t)
	mallory := someone(t)
	for range 3 {
		a := v.attack(mallory)
		a.send("GET /v1/shares HTTP/1.1\r\nHost: d\r\n\r\n")
		if !a.closed(calm.Most(3 * time.Second)) {
			t.Error("stays open")
		}
	}
	if a := v.attack(mallory); !a.closed(calm.Most(3 * time.Second)) {
		t.Error("who broke the protocol three times is let in again at once")
	}
	v.honest()
	hasty := someone(t)
	for range 5 { // breaks off in the middle of its hello, as one does who reached another address first
		a := v.attack(hasty)
		a.send("POST /v1/hello HTTP/1.1\r\nHost: d\r\nContent-Length: 100\r\n\r\nxx")
		a.Close()
	}
	for range 50 {
		if v.logged("peer=" + hasty.ID().Short()) {
			t.Fatal("who only broke off is refused")
		}
		time.Sleep(2 * time.Millisecond)
	}
	v.hello(hasty)
}

func TestFloods(t *testing.T) {
	v := onTCP(t)
	mallory := someone(t)
	pipelined, streams, lists := v.hello(mallory), v.hello(mallory), v.hello(mallory)
	began := time.Now()
	go pipelined.send(strings.Repeat("GET /v1/shares HTTP/1.1\r\nHost: d\r\n\r\n", 3000))
	go lists.send(strings.Repeat("GET "+listPath("/list?path=&deep=1")+" HTTP/1.1\r\nHost: d\r\n\r\n", 300))
	streams.send("GET /v1/events HTTP/1.1\r\nHost: d\r\n\r\n") // and never reads
	for range 5000 {
		v.server.Tell(wire.Event{Kind: wire.EventDir, Path: strings.Repeat("x", 1000)})
	}
	v.honest()
	seen := map[int]int{}
	for range 2000 {
		res, _ := pipelined.answer()
		if res == nil {
			break
		}
		seen[res.StatusCode]++
		if seen[429] > 3 {
			break
		}
	}
	// A computer that is busy with something else may answer no faster than a device may ask: then nothing need be refused.
	may := wire.RequestsBurst + int(wire.RequestsPerSecond*time.Since(began).Seconds()) + 10
	if seen[200] == 0 || seen[200] > may {
		t.Errorf("a flood of requests was answered with %v; %d may be", seen, may)
	}
}

func TestOneDeviceHasItsShare(t *testing.T) {
	v := onTCP(t)
	mallory := someone(t)
	var all []*attacker
	for range wire.MaxDeviceConns {
		all = append(all, v.hello(mallory))
	}
	if a := v.attack(mallory); !a.closed(calm.Most(3 * time.Second)) {
		t.Error("one connection too many")
	}
	for _, a := range all[:4] {
		a.events()
	}
	for i, a := range all[:2] {
		a.SetReadDeadline(time.Now().Add(calm.Most(3 * time.Second))) //nolint:errcheck // the answer tells
		if _, _, err := a.rest(); err != nil {
			t.Errorf("event stream %d of four goes on: %v", i, err)
		}
	}
	for i := range 12 { // as many transfers as it has connections left, and nobody reads them
		if i >= 4 {
			e, err := v.tree.Stat("big")
			if err != nil {
				t.Fatal(err)
			}
			all[i].send("GET " + listPath("/file?path=big") + " HTTP/1.1\r\nHost: d\r\nIf-Match: \"" + e.Version.String() + "\"\r\nRange: bytes=0-3999999\r\n\r\n")
		}
	}
	v.honest()
}

// events asks for the event stream and waits until it has begun.
func (a *attacker) events() {
	a.t.Helper()
	a.send("GET /v1/events HTTP/1.1\r\nHost: d\r\n\r\n")
	if _, err := a.br.Peek(1); err != nil {
		a.t.Fatal(err)
	}
}

// rest reads an answer to its end.
func (a *attacker) rest() (*http.Response, []byte, error) {
	res, err := http.ReadResponse(a.br, nil)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return res, data, err
}

func TestLooksEndWithTheStream(t *testing.T) {
	v := onTCP(t)
	mallory := someone(t)
	a, b := v.hello(mallory), v.hello(mallory)
	a.events()
	w := wire.Watch{}
	for range wire.MaxWatch {
		w.Dirs = append(w.Dirs, wire.WatchDir{Share: shareID[:], Path: "many"})
	}
	body, err := canon.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	put := fmt.Sprintf("PUT /v1/watch HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	for range 50 {
		b.send(put)
		if res, _ := b.answer(); res == nil || res.StatusCode != http.StatusNoContent {
			t.Fatalf("watch: %v", res)
		}
	}
	if n := v.watches(); n != 1 {
		t.Errorf("%d folders watched", n)
	}
	a.Close()
	for began := time.Now(); v.watches() > 0; time.Sleep(time.Millisecond) {
		if time.Since(began) > calm.Most(3*time.Second) {
			t.Fatal("the folder is watched for nobody")
		}
	}
	b.send(put)
	if res, _ := b.answer(); res == nil || res.StatusCode != http.StatusConflict || v.watches() != 0 {
		t.Errorf("watch without a stream: %v", res)
	}
}

// A file that becomes shorter while it is sent must not be filled up with what was in the buffer before.
func TestShorterFileSendsNothingOfOthers(t *testing.T) {
	v := onTCP(t)
	secret := bytes.Repeat([]byte("SECRET!!"), 8<<20/8)
	v.put("secret", secret)
	v.put("shrinks", make([]byte, 64<<20))
	ask := func(a *attacker, name string, n int) {
		e, err := v.tree.Stat(share.Path(name))
		if err != nil {
			t.Fatal(err)
		}
		a.send(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: d\r\nIf-Match: \"%s\"\r\nRange: bytes=0-%d\r\n\r\n", listPath("/file?path="+name), e.Version, n-1))
	}
	a := v.hello(nil)
	ask(a, "secret", len(secret))
	if res, data := a.answer(); res == nil || !bytes.Equal(data, secret) {
		t.Fatal("the first file did not come")
	}
	ask(a, "shrinks", 64<<20)
	if _, err := a.br.Peek(1); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(v.dir, "shrinks"), 1<<20); err != nil {
		t.Fatal(err)
	}
	_, data, err := a.rest()
	if err == nil || bytes.Contains(data, []byte("SECRET")) {
		t.Errorf("%d bytes, %v, of another file: %v", len(data), err, bytes.Contains(data, []byte("SECRET")))
	}
}
