package server_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"porchlight/discovery/calm"
	"porchlight/discovery/canon"
	"porchlight/transfer/wire"
)

// bodies is what is no body of any message, or one over a limit.
func bodies() map[string][]byte {
	item := func(b []byte) []byte { return append(binary.AppendUvarint(nil, uint64(len(b))), b...) }
	out := map[string][]byte{
		"nesting": bytes.Repeat([]byte{0x81}, 4000), "huge list": {0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "huge text": {0xa1, 0x64, 'n', 'a', 'm', 'e', 0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"indefinite": {0xbf, 0xff}, "duplicate keys": {0xa2, 0x61, 'v', 1, 0x61, 'v', 1}, "a tag": {0xc0, 0x60}, "a float": {0xa2, 0x61, 'v', 0xfb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0x64, 'd', 'i', 'r', 's', 0xf9, 0, 0}, "not a map": {0x80}, "texts for all": {0xa2, 0x61, 'v', 0x60, 0x64, 'd', 'i', 'r', 's', 0x60},
	}
	for name, b := range out {
		out[name] = b
		out[name+" in an item"] = item(b)
	}
	for name, b := range map[string][]byte{"item of 2^63": binary.AppendUvarint(nil, 1<<63), "item of 0": {0}, "item over the limit": binary.AppendUvarint(nil, canon.MaxItem+1), "endless length": bytes.Repeat([]byte{0xff}, 50),
		"wrong end": item([]byte{0xa1, 0x63, 'e', 'n', 'd', 9})} {
		out[name] = b
	}
	return out
}

// TestBodiesThatAreNone: each closes its connection at once, whatever it was sent to, and costs next to nothing.
func TestBodiesThatAreNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := inMemory(t)
		watch := &wire.Watch{Dirs: make([]wire.WatchDir, wire.MaxWatch+1)}
		for i := range watch.Dirs {
			watch.Dirs[i].Share = shareID[:]
		}
		many, err := canon.Marshal(watch)
		if err != nil {
			t.Fatal(err)
		}
		var items bytes.Buffer
		seq := canon.NewWriter(&items)
		for range wire.MaxPackItems + 1 {
			if err := seq.Write(wire.PackItem{Path: "a"}); err != nil {
				t.Fatal(err)
			}
		}
		all := bodies()
		all["too many folders"], all["too many files"] = many, items.Bytes()
		var worst time.Duration
		for name, b := range all {
			for _, route := range []string{"POST " + wire.RouteHello, "PUT " + wire.RouteWatch, "POST " + listPath("/pack")} {
				if name == "too many folders" && !strings.HasPrefix(route, "PUT") || name == "too many files" && !strings.HasSuffix(route, "pack") {
					continue
				}
				a := v.lends(t) // those it accepts are counted
				if !strings.HasSuffix(route, wire.RouteHello) {
					a.send(helloRequest(t, helloOf("mallory"), ""))
					if res, _ := a.answer(); res == nil || res.StatusCode != http.StatusOK {
						t.Fatalf("a proper hello: %v", res)
					}
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				began := time.Now()
				go a.send(fmt.Sprintf("%s HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n%s", route, len(b), b))
				res, _ := a.answer()
				closed := a.closed(2 * time.Second)
				worst = max(worst, time.Since(began))
				runtime.ReadMemStats(&after)
				refused := res == nil || res.StatusCode == http.StatusConflict || res.StatusCode == http.StatusRequestEntityTooLarge
				if !refused || !closed {
					t.Errorf("%s to %s: answered %v, closed %v", name, route, res, closed)
				}
				// of this much the two ends of TLS and HTTP take the most, and the sequence of packItems its buffer
				if used := after.TotalAlloc - before.TotalAlloc; used > 384<<10+8*uint64(len(b)) {
					t.Errorf("%s to %s: %d bytes allocated", name, route, used)
				}
				a.Close()
			}
		}
		t.Logf("%d bodies, three routes: refused and closed within %v", len(all), worst)
		if worst > time.Second {
			t.Errorf("the slowest took %v", worst)
		}
		v.honest()
	})
}

// TestFloodOfListings: 100,000 listings asked for at once by seven devices: each gets as many as its bucket gives, and who
// asks for one meanwhile has it at once (on a calm computer).
func TestFloodOfListings(t *testing.T) {
	const devices, conns = 7, 4
	each := 3600 // 100,800 in all
	if raced() {
		each /= 10
	}
	v := onTCP(t)
	ask := "GET " + listPath("/list?path=many") + " HTTP/1.1\r\nHost: d\r\n\r\n"
	var all []*attacker
	for range devices {
		m := someone(t)
		for range conns {
			all = append(all, v.hello(m))
		}
	}
	honest := v.hello(nil)
	honest.SetDeadline(time.Now().Add(calm.Most(time.Minute))) //nolint:errcheck // the answers tell
	before := honest.looksAround(ask)                          // the machine may be busy with something else: then this is the measure
	var served, busy, sent atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for _, a := range all {
		wg.Go(func() {
			for range each / 50 {
				if _, err := io.WriteString(a, strings.Repeat(ask, 50)); err != nil {
					return
				}
				sent.Add(50)
			}
		})
		wg.Go(func() {
			for {
				res, _ := a.answer()
				switch {
				case res == nil:
					return
				case res.StatusCode == http.StatusOK:
					served.Add(1)
				case res.StatusCode == http.StatusTooManyRequests:
					busy.Add(1)
				}
			}
		})
	}
	took := honest.looksAround(ask)
	for _, a := range all {
		a.Close()
	}
	wg.Wait()
	length := time.Since(began)
	most := int64(devices * (wire.ListsBurst + int(wire.ListsPerSecond*length.Seconds()) + 1))
	t.Logf("%d asked in %v: %d served, %d busy; an honest neighbour waited %v in the middle, %v at most, and %v before", sent.Load(), length, served.Load(), busy.Load(), took[10], took[20], before[10])
	if served.Load() > most {
		t.Errorf("at most %d may be served", most)
	}
	if calm.Is() && (busy.Load() == 0 || took[10] > max(100*time.Millisecond, 20*before[10])) {
		t.Error("nobody was told that it asks too often, or the honest neighbour waited more than 100 ms")
	}
}

// raced reports whether the race detector runs.
func raced() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// looksAround asks for a listing 21 times, as somebody does who looks around, and returns how long each took, the shortest first.
func (a *attacker) looksAround(ask string) []time.Duration {
	a.t.Helper()
	var took []time.Duration
	for range 21 {
		start := time.Now()
		a.send(ask)
		if res, _ := a.answer(); res == nil || res.StatusCode != http.StatusOK {
			a.t.Fatalf("an honest neighbour: %v", res)
		}
		took = append(took, time.Since(start))
		time.Sleep(100 * time.Millisecond)
	}
	slices.Sort(took)
	return took
}

// TestReadersThatStop: 160 readers ask for parts of a file of 10 GB and read nothing. Each is given up after 30 s, the
// memory stays below what all may take, and when they are gone everything is as before.
func TestReadersThatStop(t *testing.T) {
	const devices, size = 20, 10 << 30
	synctest.Test(t, func(t *testing.T) {
		v := inMemory(t)
		f, err := os.Create(filepath.Join(v.dir, "sparse"))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		f.Close()
		e, err := v.tree.Stat("sparse")
		if err != nil {
			t.Fatal(err)
		}
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before := heap()
		var all []*attacker
		for range devices {
			m := someone(t)
			for range wire.MaxDeviceSends {
				time.Sleep(time.Second / wire.NewAddrPerSecond) // as fast as it accepts
				a := v.hello(m)
				a.SetDeadline(time.Time{}) //nolint:errcheck // the victim's patience is tested
				all = append(all, a)
			}
		}
		began := time.Now()
		for i, a := range all {
			a.send(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: d\r\nIf-Match: \"%s\"\r\nRange: bytes=%d-%d\r\n\r\n", listPath("/file?path=sparse"), e.Version, i<<20, i<<20+wire.MaxRange-1))
		}
		synctest.Wait()
		used := int64(heap()) - int64(before)
		for i, a := range all {
			a.SetReadDeadline(time.Now().Add(wire.Patience + 2*wire.StallTime)) //nolint:errcheck // the end tells
			if !a.gone() {
				t.Errorf("reader %d is served for ever", i)
			}
		}
		took := time.Since(began)
		t.Logf("%d readers: %d MiB, all given up after %v", len(all), used>>20, took)
		if used > wire.AllBuffers || took > wire.Patience+2*wire.StallTime {
			t.Errorf("%d MiB, %v", used>>20, took)
		}
		v.honest()
	})
}

// gone reports whether the victim has closed the connection before the read deadline; what it still sends is not read.
func (a *attacker) gone() bool {
	for {
		if _, err := a.raw.Read(make([]byte, 1)); err != nil {
			return !isTimeout(err)
		}
		time.Sleep(time.Second) // a byte a second is not reading
	}
}

func isTimeout(err error) bool {
	var slow net.Error
	return errors.As(err, &slow) && slow.Timeout()
}
