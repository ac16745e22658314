//go:build linux && lab

package labtest

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestLAN checks the LAN itself, so that a red row elsewhere says something about the program.
func TestLAN(t *testing.T) {
	for _, kind := range []Kind{DualStack, IPv6Only, LinkLocal, TwoWires} {
		t.Run(kind.String(), func(t *testing.T) {
			l := NewLAN(t, kind, "anna", "bo")
			anna, bo := l.Hosts[0], l.Hosts[1]
			for _, version := range []string{"-4", "-6"} {
				if out := must(t, "ip", "-n", anna.ns, version, "route", "show", "default"); out != "" {
					t.Errorf("there is a default route: %s", out)
				}
			}
			toAnna, toBo := echo(t, anna), echo(t, bo)
			reach := func() bool { return dial(anna, toBo) }
			eventually(t, 5*time.Second, "anna reaches bo", reach)
			if kind == TwoWires {
				second := netip.AddrPortFrom(netip.MustParsePrefix(bo.addresses(1)[0]).Addr(), toBo.Port())
				eventually(t, 5*time.Second, "anna reaches bo by the other wire", func() bool { return dial(anna, second) })
			}
			bo.Unplug()
			if reach() {
				t.Error("an unplugged host answers")
			}
			bo.Plug()
			eventually(t, 5*time.Second, "anna reaches bo again", reach)
			bo.Isolate()
			if reach() {
				t.Error("an isolated host answers")
			}
			bo.Rejoin()
			eventually(t, 5*time.Second, "anna reaches bo once more", reach)
			bo.Shape("100mbit")
			eventually(t, 5*time.Second, "anna reaches bo when it is slow", reach)
			bo.Shape("")
			bo.DropInbound()
			if reach() {
				t.Error("a host that drops connections took one")
			}
			if !dial(bo, toAnna) {
				t.Error("a host that drops connections cannot begin one")
			}
		})
	}
}

// echo answers connections to h with what they send, until the test ends, and returns where.
func echo(t *testing.T, h *Host) netip.AddrPort {
	t.Helper()
	var l net.Listener
	if err := h.Inside(func() (err error) { l, err = net.Listen("tcp", ":0"); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(2 * time.Second))
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return netip.AddrPortFrom(h.Addr(), uint16(l.Addr().(*net.TCPAddr).Port))
}

// dial reports whether an echo answers from to within half a second.
func dial(from *Host, to netip.AddrPort) bool {
	return from.Inside(func() error {
		c, err := net.DialTimeout("tcp", to.String(), 500*time.Millisecond)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
			return err
		}
		if _, err := c.Write([]byte("x")); err != nil {
			return err
		}
		_, err = io.ReadFull(c, make([]byte, 1))
		return err
	}) == nil
}

// TestCompare checks the judge of the pulls: it sees every kind of difference, and accepts a half-finished pull only
// when asked to.
func TestCompare(t *testing.T) {
	for _, tt := range []struct {
		name   string
		spoil  func(t *testing.T, dir string) error
		whole  bool // compare accepts it
		halfOK bool // compareNamed accepts it
	}{
		{"the same", func(*testing.T, string) error { return nil }, true, true},
		{"a part folder", func(_ *testing.T, dir string) error { return os.Mkdir(filepath.Join(dir, ".porchlight-part"), 0o700) }, true, true},
		{"a file missing", func(_ *testing.T, dir string) error { return os.Remove(filepath.Join(dir, "file 7.bin")) }, false, true},
		{"nothing there", func(_ *testing.T, dir string) error { return os.RemoveAll(dir) }, false, true},
		{"a file too many", func(t *testing.T, dir string) error {
			writeFile(t, filepath.Join(dir, "many", "extra"), 1, 0)
			return nil
		}, false, false},
		{"another time", func(_ *testing.T, dir string) error {
			return os.Chtimes(filepath.Join(dir, "file 3.bin"), time.Time{}, time.Unix(1e9, 0))
		}, false, false},
		{"shorter", func(_ *testing.T, dir string) error { return os.Truncate(filepath.Join(dir, "file 5.bin"), mib/2) }, false, false},
		{"one bit", flip, false, false},
		{"a folder for a file", func(_ *testing.T, dir string) error {
			name := filepath.Join(dir, "file 0.bin")
			return errors.Join(os.Remove(name), os.Mkdir(name, 0o755))
		}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want, got := filepath.Join(t.TempDir(), "want"), filepath.Join(t.TempDir(), "got")
			writeMix(t, want)
			must(t, "cp", "-a", want, got)
			if err := tt.spoil(t, got); err != nil {
				t.Fatal(err)
			}
			if err := compare(want, got); (err == nil) != tt.whole {
				t.Errorf("compare says %v", err)
			}
			if err := compareNamed(want, got); (err == nil) != tt.halfOK {
				t.Errorf("compareNamed says %v", err)
			}
		})
	}
}

// flip changes one bit in the last piece of the largest file, and keeps its time.
func flip(_ *testing.T, dir string) error {
	name := filepath.Join(dir, "file 10.bin")
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, info.Size()-1)
	b[0] ^= 1
	_, errWrite := f.WriteAt(b, info.Size()-1)
	return errors.Join(err, errWrite, f.Close(), os.Chtimes(name, time.Time{}, info.ModTime()))
}
