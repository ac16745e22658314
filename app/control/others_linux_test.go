package control

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// callerVar makes this test binary, as another user, a caller of the socket it names.
const callerVar = "PORCHLIGHT_TEST_CALLER"

// nobody is a user without any rights.
const nobody = 65534

// TestCalledByAnotherUser: a process of another user is hung up on before a byte of it is read, also where the rights of files would let
// it connect. In a process of its own it is the caller.
func TestCalledByAnotherUser(t *testing.T) {
	if socket := os.Getenv(callerVar); socket != "" {
		c, err := net.DialTimeout("unix", socket, 5*time.Second)
		if err != nil {
			fmt.Println("kept out:", err)
			return
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = c.Write([]byte("POST /v1/set-name HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n{\"text\":\"Evil\"}\n"))
		n, err := c.Read(make([]byte, 100))
		fmt.Printf("hung up: %d bytes, %v\n", n, err)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
	}
	dir, err := os.MkdirTemp("", "pl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	binary, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	exe, socket := filepath.Join(dir, "caller"), filepath.Join(dir, "s")
	if err := os.WriteFile(exe, binary, 0o755); err != nil { //nolint:gosec // another user has to run it
		t.Fatal(err)
	}
	f := &fake{}
	l, err := net.Listen("unix", socket) //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- New(Config{Engine: f}).Serve(ctx, l) }()
	call := func(uid uint32, mode os.FileMode) string {
		t.Helper()
		if err := os.Chmod(dir, mode|0o111); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(socket, mode); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), exe, "-test.run", "^TestCalledByAnotherUser$")
		cmd.Env = append(os.Environ(), callerVar+"="+socket, "TMPDIR="+dir)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid, NoSetGroups: true}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	if out := call(nobody, 0o600); !strings.Contains(out, "kept out") {
		t.Errorf("another user reaches a private socket: %s", out)
	}
	if out := call(nobody, 0o777); !strings.Contains(out, "hung up: 0 bytes") || f.last() != "" {
		t.Errorf("another user is answered: %s; the engine was asked %q", out, f.last())
	}
	if out := call(0, 0o777); strings.Contains(out, "hung up: 0 bytes") || f.last() == "" {
		t.Errorf("this user is not answered: %s", out)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestAThousandFollowers: a program of this user that follows a folder a thousand times, and then goes away, leaves nothing behind.
func TestAThousandFollowers(t *testing.T) {
	const times = 1000
	var following, most atomic.Int32
	c, _ := start(t, &fake{watch: func(ctx context.Context, _ func()) error {
		most.Store(max(most.Load(), following.Add(1)))
		defer following.Add(-1)
		<-ctx.Done()
		return ctx.Err()
	}})
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, times)
	for range times {
		go func() { ended <- c.Watch(ctx, bo, music, "", func() {}) }()
	}
	if _, err := c.Peers(t.Context()); err != nil { // another one is answered meanwhile
		t.Error(err)
	}
	for end := time.Now().Add(20 * time.Second); following.Load() < times; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of %d are followed", following.Load(), times)
		}
	}
	cancel()
	for range times {
		<-ended
	}
	for end := time.Now().Add(10 * time.Second); following.Load() > 0 || runtime.NumGoroutine() > before+10; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines before, %d after; %d are followed still", before, runtime.NumGoroutine(), following.Load())
		}
	}
	t.Logf("%d followers at once; when they had gone, %d goroutines more than before", most.Load(), runtime.NumGoroutine()-before)
}
