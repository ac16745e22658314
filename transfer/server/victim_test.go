package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/calm"
	"porchlight/discovery/canon"
	"porchlight/discovery/identity"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/share/safefs"
	"porchlight/transfer"
	"porchlight/transfer/client"
	"porchlight/transfer/link"
	"porchlight/transfer/server"
	"porchlight/transfer/wire"
)

// shareID is the one share of the victim.
var shareID = share.ID{1, 2, 3}

// victim is a device that serves one folder.
type victim struct {
	t      testing.TB
	dir    string
	ident  *identity.Identity
	in     *link.Listener
	dialer *link.Dialer
	server *server.Server
	tree   *safefs.Tree
	addr   netip.AddrPort
	dial   func(ctx context.Context) (net.Conn, error)

	mu      sync.Mutex
	greeted []string
	lent    int
	friends map[discovery.DeviceID]bool // everybody if nil
	watched []string
	log     bytes.Buffer
}

type noStore struct{}

func (noStore) Layer(share.Version) (content.Layer, bool, error) { return content.Layer{}, false, nil }
func (noStore) PutLayer(share.Version, content.Layer) error      { return nil }

func someone(t testing.TB) *identity.Identity {
	t.Helper()
	seed := make([]byte, 32)
	rand.Read(seed) //nolint:errcheck // never fails
	id, err := identity.FromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// newVictim serves what arrives at tcp.
func newVictim(t testing.TB, tcp net.Listener, change ...func(*server.Config)) *victim {
	t.Helper()
	v := &victim{t: t, dir: t.TempDir(), ident: someone(t)}
	for i := range 200 {
		v.put(fmt.Sprintf("many/file %d", i), []byte("x"))
	}
	v.put("big", bytes.Repeat([]byte("porchlight"), 400_000))
	var err error
	if v.tree, err = safefs.OpenTree(v.dir); err != nil {
		t.Fatal(err)
	}
	if a, ok := tcp.Addr().(*net.TCPAddr); ok {
		v.addr = a.AddrPort()
	}
	v.dial = func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", v.addr.String())
	}
	log := slog.New(slog.NewTextHandler(v, &slog.HandlerOptions{Level: slog.LevelDebug}))
	v.in = link.NewListener(tcp, v.ident, log)
	v.in.Friend = v.befriended
	hello := func(*link.Session, *wire.Hello) wire.Hello { return helloOf("victim") }
	v.dialer = &link.Dialer{Identity: v.ident, Hello: hello}
	cfg := server.Config{Hello: hello, Shares: v, Neighbours: v, Watcher: v, Layers: content.NewCache(noStore{}, 1000), Log: log}
	for _, c := range change {
		c(&cfg)
	}
	v.server = server.New(cfg)
	whole := context.WithoutCancel(t.Context())
	ctx, cancel := context.WithCancel(whole)
	var wg sync.WaitGroup
	wg.Go(func() { v.server.Serve(ctx, v.in) }) //nolint:errcheck // ends with ctx
	wg.Go(func() { v.in.Run(whole) })           //nolint:errcheck // ends with the listener
	t.Cleanup(func() {
		cancel()
		v.in.Close()
		wg.Wait()
		v.tree.Close()
		v.mu.Lock()
		defer v.mu.Unlock()
		if i := strings.Index(v.log.String(), "panic serving"); i >= 0 {
			t.Errorf("a handler broke: %s", v.log.String()[i:min(v.log.Len(), i+2000)])
		}
	})
	return v
}

func onTCP(t testing.TB) *victim {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return newVictim(t, tcp)
}

func helloOf(name string) wire.Hello {
	return wire.Hello{V: wire.Version, Name: name, Workgroup: "WORKGROUP", Port: 4747}
}

func (v *victim) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.log.Write(p)
}

func (v *victim) befriended(id discovery.DeviceID) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.friends == nil || v.friends[id]
}

// logged reports whether a text was logged.
func (v *victim) logged(text string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.Contains(v.log.String(), text)
}

func (v *victim) Offers(discovery.DeviceID) []share.Offer {
	return []share.Offer{{ID: shareID, Kind: share.Folder, Name: "Stuff"}}
}
func (v *victim) Tree(_ discovery.DeviceID, id share.ID) (*safefs.Tree, error) {
	if id != shareID {
		return nil, transfer.ErrGone
	}
	return v.tree, nil
}
func (v *victim) Greeted(_ *link.Session, h wire.Hello) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.greeted = append(v.greeted, h.Name)
	return true
}
func (v *victim) Hints(discovery.DeviceID) []wire.PeerHint { return nil }
func (v *victim) Lent(c *link.Conn) {
	v.mu.Lock()
	v.lent++
	v.mu.Unlock()
	c.Close()
}
func (v *victim) Add(dir string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.watched = append(v.watched, dir)
	return nil
}
func (v *victim) Remove(dir string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if i := slices.Index(v.watched, dir); i >= 0 {
		v.watched = slices.Delete(v.watched, i, i+1)
	}
}
func (v *victim) watches() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.watched)
}

func (v *victim) put(name string, data []byte) {
	v.t.Helper()
	file := filepath.Join(v.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		v.t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		v.t.Fatal(err)
	}
}

// attacker is one connection with a proven device behind it that sends what it likes.
type attacker struct {
	net.Conn
	t   testing.TB
	br  *bufio.Reader
	raw net.Conn
}

// Close breaks the connection; a TLS one would say goodbye first, and wait for a victim that does not listen.
func (a *attacker) Close() error { return a.raw.Close() }

// attack connects as ident (somebody new if nil) and says nothing.
func (v *victim) attack(ident *identity.Identity) *attacker {
	v.t.Helper()
	if ident == nil {
		ident = someone(v.t)
	}
	c, err := v.dial(v.t.Context())
	if err != nil {
		v.t.Fatal(err)
	}
	a, err := v.shake(v.t.Context(), c, ident)
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { c.Close() })
	return a
}

// shake proves ident over a new connection.
func (v *victim) shake(ctx context.Context, c net.Conn, ident *identity.Identity) (*attacker, error) {
	want := v.ident.ID()
	t := tls.Client(c, ident.TLS(&want))
	t.SetDeadline(time.Now().Add(calm.Most(10 * time.Second))) //nolint:errcheck // the handshake tells
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return &attacker{t, v.t, bufio.NewReader(t), c}, nil
}

func helloRequest(t testing.TB, h wire.Hello, header string) string {
	b, err := canon.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("POST /v1/hello HTTP/1.1\r\nHost: d\r\n%sContent-Length: %d\r\n\r\n%s", header, len(b), b)
}

// hello makes the attacker a proper neighbour.
func (v *victim) hello(ident *identity.Identity) *attacker {
	v.t.Helper()
	a := v.attack(ident)
	a.send(helloRequest(v.t, helloOf("mallory"), ""))
	if res, _ := a.answer(); res == nil || res.StatusCode != http.StatusOK {
		v.t.Fatalf("a proper hello: %v", res)
	}
	return a
}

func (a *attacker) send(s string) { io.WriteString(a, s) } //nolint:errcheck // the victim may have closed; the answer tells

// answer reads one answer and its body; nil if the connection is closed.
func (a *attacker) answer() (*http.Response, []byte) {
	res, err := http.ReadResponse(a.br, nil)
	if err != nil {
		return nil, nil
	}
	defer res.Body.Close()
	data, _ := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	return res, data
}

// closed reports whether the victim closes the connection within d, whatever it still sends.
func (a *attacker) closed(d time.Duration) bool {
	a.SetReadDeadline(time.Now().Add(d)) //nolint:errcheck // the copy tells
	_, err := io.Copy(io.Discard, a.br)
	var slow net.Error
	return !errors.As(err, &slow) || !slow.Timeout()
}

// honest is served, however the victim is being attacked.
func (v *victim) honest() {
	v.t.Helper()
	if d := v.serves(someone(v.t)); d > calm.Most(3*time.Second) {
		v.t.Errorf("an honest neighbour waited %v", d)
	}
}

// serves returns how long it took a device to get in, and to be given a listing and a file.
func (v *victim) serves(who *identity.Identity) time.Duration {
	v.t.Helper()
	d := &link.Dialer{Identity: who, Hello: func(*link.Session, *wire.Hello) wire.Hello { return helloOf("anna") },
		Net: func(ctx context.Context, _ netip.AddrPort) (net.Conn, error) { return v.dial(ctx) }}
	p := link.NewPeer(v.ident.ID(), d, func() []netip.AddrPort { return []netip.AddrPort{v.addr} }, nil)
	defer p.Close()
	c := client.New(p)
	ctx, cancel := context.WithTimeout(v.t.Context(), calm.Most(5*time.Second))
	defer cancel()
	began := time.Now()
	if offers, err := c.Shares(ctx); err != nil || len(offers) != 1 {
		v.t.Errorf("an honest neighbour: shares %v, %v", offers, err)
	}
	var big share.Entry
	err := c.List(ctx, shareID, "", share.ByName, func(e share.Entry) error {
		if e.Path == "big" {
			big = e
		}
		return nil
	})
	if err != nil {
		v.t.Errorf("an honest neighbour: listing %v", err)
		return time.Since(began)
	}
	if err := c.Read(ctx, shareID, "big", big.Version, transfer.Range{Len: big.Size}, io.Discard); err != nil {
		v.t.Errorf("an honest neighbour: bytes %v", err)
	}
	return time.Since(began)
}
