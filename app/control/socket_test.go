package control

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"porchlight/app/config"
	"porchlight/discovery/calm"
	"porchlight/share"
)

func TestSocketOfAHome(t *testing.T) {
	runtimeDir(t)
	home := t.TempDir()
	if _, err := Connect(t.Context(), home); !errors.Is(err, ErrNoEngine) {
		t.Error("nobody there:", err)
	}
	path, err := config.SocketPath(home)
	if err != nil {
		t.Fatal(err)
	}
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	if err := old.Close(); err != nil { // as a killed engine leaves it
		t.Fatal(err)
	}
	if _, err := Connect(t.Context(), home); !errors.Is(err, ErrNoEngine) {
		t.Error("a dead socket:", err)
	}
	lock, err := config.Lock(home)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(t.Context(), lock)
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(path); err != nil || os.PathSeparator == '/' && fi.Mode().Perm() != 0o600 {
		t.Error("socket is open to others:", fi.Mode(), err)
	}
	if err := errors.Join(l.Close(), lock.Release()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the socket stays:", err)
	}
}

func TestOnlyUnixSocketsAreAnswered(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- New(Config{Engine: &fake{}}).Serve(ctx, l) }()
	c, err := net.DialTimeout("tcp", l.Addr().String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(calm.Most(10 * time.Second)))
	_, _ = c.Write([]byte("POST /v1/hello HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"))
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("anybody on this computer could ask")
	}
	_ = c.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestServeReportsABrokenListener(t *testing.T) {
	runtimeDir(t)
	l, err := net.Listen("unix", filepath.Join(os.Getenv("TMPDIR"), "s")) //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- New(Config{Engine: &fake{}}).Serve(t.Context(), l) }()
	_ = l.Close()
	if err := <-ended; err == nil {
		t.Error("nobody would know that the socket is gone")
	}
}

func BenchmarkList100000(b *testing.B) {
	all := entries(100_000)
	dir, err := os.MkdirTemp("", "pl")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "s")) //nolint:noctx // a test
	if err != nil {
		b.Fatal(err)
	}
	f := &fake{list: func(_ context.Context, yield func([]share.Entry) error) error { return yield(all) }}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- New(Config{Engine: f}).Serve(ctx, l) }()
	c, err := Dial(ctx, filepath.Join(dir, "s"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := c.List(ctx, bo, music, "", "", func([]share.Entry) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	cancel()
	<-ended
	_ = c.Close()
}
