//go:build linux

package server_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"porchlight/discovery/calm"
)

// connectsVar is how many connections TestManyConnects makes; `make release-check` asks for 10,000.
const connectsVar = "PORCHLIGHT_CONNECTS"

// held is what this process holds: goroutines and files, sockets among them.
func held(t *testing.T) (goroutines, files int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return runtime.NumGoroutine(), len(fds)
}

// visit connects, says hello, lists a folder and leaves, in one of four ways.
func (v *victim) visit(n int) error {
	from := &net.TCPAddr{IP: net.IPv4(127, 9, byte(n>>8), byte(n)|1)} // one address may not come so often
	a, err := v.knock(&net.Dialer{LocalAddr: from})
	if err != nil {
		return err
	}
	defer a.Close()
	tcp := a.raw.(*net.TCPConn)
	if n%8 == 7 {
		return nil // shakes hands and leaves
	}
	a.send(helloRequest(a.t, helloOf("visitor"), ""))
	if res, _ := a.answer(); res == nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("hello: %v", res)
	}
	a.send("GET " + listPath("/list?path=many") + " HTTP/1.1\r\nHost: d\r\n\r\n")
	switch n % 4 {
	case 1:
		return tcp.SetLinger(0) // resets it in the middle of the answer
	case 2:
		if err := tcp.CloseWrite(); err != nil { // half open
			return err
		}
		_, err := io.Copy(io.Discard, tcp)
		return err
	}
	if res, _ := a.answer(); res == nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("listing: %v", res)
	}
	if n%4 == 3 {
		return a.Conn.Close() // says goodbye
	}
	return nil
}

// TestManyConnects: after thousands of connections, left in every way, nothing of them is left.
func TestManyConnects(t *testing.T) {
	total := 1000
	if s := os.Getenv(connectsVar); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		total = n
	}
	const each = 200 // a device lets strangers in at a pace; several devices take less time
	var victims []*victim
	for range max(total/each, 1) {
		victims = append(victims, onTCP(t))
	}
	visits := func(from, to int) {
		var wg sync.WaitGroup
		for _, v := range victims {
			wg.Go(func() {
				for n := from; n < to; n++ {
					if err := v.visit(n); err != nil {
						t.Errorf("visit %d: %v", n, err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	visits(0, 8) // what is made once is made now
	time.Sleep(100 * time.Millisecond)
	goroutines, files := held(t)
	began := time.Now()
	visits(8, each)
	took := time.Since(began)
	for end := time.Now().Add(calm.Most(10 * time.Second)); ; time.Sleep(10 * time.Millisecond) {
		g, f := held(t)
		if g <= goroutines+5 && f <= files+5 {
			t.Logf("%d connections to %d devices in %v: goroutines %d, then %d; files %d, then %d", len(victims)*each, len(victims), took, goroutines, g, files, f)
			break
		}
		if time.Now().After(end) {
			t.Fatalf("goroutines %d, then %d; files %d, then %d", goroutines, g, files, f)
		}
	}
	for _, v := range victims {
		v.honest()
	}
}

// knock is attack over a dialler of its own, for many goroutines.
func (v *victim) knock(d *net.Dialer) (*attacker, error) {
	ctx, cancel := context.WithTimeout(v.t.Context(), calm.Most(10*time.Second))
	defer cancel()
	c, err := d.DialContext(ctx, "tcp", v.addr.String())
	if err != nil {
		return nil, err
	}
	a, err := v.shake(ctx, c, someone(v.t))
	if err != nil {
		c.Close()
	}
	return a, err
}
