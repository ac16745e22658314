//go:build unix

package download

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"porchlight/discovery/calm"
	"porchlight/transfer"
)

// TestTargetHoldsOddThings: pipes, sockets, devices, links and folders that have the names of files are never opened, followed or replaced,
// and nothing waits for them.
func TestTargetHoldsOddThings(t *testing.T) {
	s := newFake()
	data := random("big", 2<<20+1)
	odd := []string{"pipe", "socket", "device", "dangling", "folder"}
	for _, name := range odd {
		s.put("a/"+name, data)
		s.put("a/small "+name, []byte(name))
	}
	w := newWorld(t, s, nil)
	dir := filepath.Join(w.into, "a")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir) // a socket has a short name
	for _, small := range []string{"", "small "} {
		l, err := net.Listen("unix", small+"socket")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for _, err := range []error{
			syscall.Mkfifo(small+"pipe", 0o666), os.Symlink("/dev/zero", small+"device"),
			os.Symlink("nowhere", small+"dangling"), os.Mkdir(small+"folder", 0o777),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	began := time.Now()
	j := w.state(w.pull("a"), transfer.Done)
	took := time.Since(began)
	t.Logf("%d files beside what has their names, in %v", j.Done, took.Round(time.Millisecond))
	if j.Done != 2*len(odd) || j.Adapted != 2*len(odd) || took > calm.Most(10*time.Second) {
		t.Errorf("%v: %+v", took, j)
	}
	for _, name := range odd {
		for file, want := range map[string]string{name + " (2)": string(data), "small " + name + " (2)": name} {
			if got, err := os.ReadFile(file); err != nil || string(got) != want {
				t.Errorf("%s: %d bytes, %v", file, len(got), err)
			}
		}
		if info, err := os.Lstat(name); err != nil || info.Mode().IsRegular() {
			t.Errorf("%s was replaced: %v", name, err)
		}
	}
	if _, err := os.Lstat("nowhere"); err == nil {
		t.Error("a link was followed")
	}
}
