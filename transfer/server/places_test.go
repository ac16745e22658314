//go:build linux

package server_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/calm"
	"porchlight/transfer/wire"
)

// inTime is how long a member, or a verified device, may wait while strangers take all they may.
const inTime = 2 * time.Second

// TestFriendsAmongStrangers: two dozen strangers ask for more bytes, and hold more memory, than all strangers may have, and read nothing
// of it. A friend gets in, lists and reads a file at once; another stranger waits, as it should, until some of them leave.
func TestFriendsAmongStrangers(t *testing.T) {
	v := onTCP(t)
	friend, newcomer := someone(t), someone(t)
	v.mu.Lock()
	v.friends = map[discovery.DeviceID]bool{friend.ID(): true}
	v.mu.Unlock()
	huge := filepath.Join(v.dir, "huge")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, wire.MaxRange); err != nil {
		t.Fatal(err)
	}
	e, err := v.tree.Stat("huge")
	if err != nil {
		t.Fatal(err)
	}
	bytesOf := func(n int) string {
		return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: d\r\nIf-Match: \"%s\"\r\nRange: bytes=0-%d\r\n\r\n", listPath("/file?path=huge"), e.Version, n-1)
	}
	const each = 4 // connections of a device for bytes, and as many for memory: eight is all one address may have pending
	devices := wire.MaxStrangerSends / each
	var held []*attacker
	for n := range devices {
		who := someone(t)
		for range each {
			for _, ask := range []string{bytesOf(wire.MaxRange), "PUT /v1/watch HTTP/1.1\r\nHost: d\r\nContent-Length: 1000\r\n\r\n"} {
				c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 7, 0, byte(1+n))}}).DialContext(t.Context(), "tcp", v.addr.String())
				if err != nil {
					t.Fatal(err)
				}
				c.(*net.TCPConn).SetReadBuffer(8 << 10) //nolint:errcheck // it reads nothing anyhow
				a, err := v.shake(t.Context(), c, who)
				if err != nil {
					t.Fatal(err)
				}
				defer a.Close()
				a.send(helloRequest(t, helloOf("stranger"), ""))
				if res, _ := a.answer(); res == nil || res.StatusCode != http.StatusOK {
					t.Fatalf("hello: %v", res)
				}
				a.send(ask)
				held = append(held, a)
			}
		}
	}
	// Whether it is full a stranger knows: it waits for its turn.
	late := v.hello(newcomer)
	late.send(bytesOf(100))
	late.SetReadDeadline(time.Now().Add(500 * time.Millisecond)) //nolint:errcheck // the read tells
	if _, err := late.br.Peek(1); err == nil {
		t.Error("there is room for one more stranger: nothing was tested")
	}
	slowest := time.Duration(0)
	for range 3 {
		slowest = max(slowest, v.serves(friend))
	}
	t.Logf("%d connections of %d strangers hold all they may; a friend is let in, lists and reads 4 MB in %v", len(held), devices, slowest.Round(time.Millisecond))
	if slowest > calm.Most(inTime) {
		t.Errorf("a friend waits %v", slowest)
	}
	for _, a := range held {
		a.Close()
	}
	if d := v.serves(newcomer); d > calm.Most(wire.Patience/3) {
		t.Errorf("after the others left a stranger waits %v", d)
	}
}
