package place

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAttributesOfBrokenRowsAreLeftOut(t *testing.T) {
	for _, b := range [][]byte{nil, {1}, {0, 0, 0, 0}, {255, 255, 1, 0, 9}, {3, 0, 1, 0}, {5, 0, 1, 0, 9}, {5, 0, 1, 0, 9, 0, 0, 0, 4}} {
		for k, v := range attributes(b) {
			if len(v) > len(b) {
				t.Errorf("%v: %d is %v", b, k, v)
			}
		}
	}
}

// In a network namespace of its own the test has a gateway as it needs it. It needs root.
func TestANetworkIsKnownByItsGateway(t *testing.T) {
	if _, err := exec.LookPath("ip"); err != nil || os.Geteuid() != 0 {
		t.Skip("making a network namespace needs root and ip (iproute2)")
	}
	type answer struct {
		id    string
		sure  bool
		gates []netip.Addr
		err   error
	}
	done := make(chan []answer)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		var out []answer
		defer func() { done <- out }()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			out = append(out, answer{err: err})
			return
		}
		for _, args := range [][]string{
			{"link", "add", "eth7", "type", "veth", "peer", "name", "far7"},
			{"link", "set", "eth7", "up"}, {"link", "set", "far7", "up"},
			{"addr", "add", "192.168.7.2/24", "dev", "eth7"},
			{"route", "add", "default", "via", "192.168.7.1", "dev", "eth7"},
			{"neigh", "add", "192.168.7.1", "lladdr", "02:00:00:00:00:07", "dev", "eth7", "nud", "permanent"},
		} {
			if text, err := exec.Command("ip", args...).CombinedOutput(); err != nil { // a child begins on this thread's network
				t.Logf("ip %v: %s", args, bytes.TrimSpace(text))
				out = append(out, answer{err: err})
				return
			}
		}
		ifi, err := net.InterfaceByName("eth7")
		if err != nil {
			out = append(out, answer{err: err})
			return
		}
		all := prefixes("192.168.7.2/24")
		a := answer{}
		a.gates, a.err = gateways(ifi.Index)
		a.id, a.sure = Name(ifi.Index, "eth7", all)
		out = append(out, a)
		if err := exec.Command("ip", "neigh", "del", "192.168.7.1", "dev", "eth7").Run(); err != nil {
			out = append(out, answer{err: err})
			return
		}
		a.id, a.sure = Name(ifi.Index, "eth7", all)
		out = append(out, a)
	}()
	got := <-done
	for _, a := range got {
		if a.err != nil {
			t.Skip("no network namespace can be made here:", a.err)
		}
	}
	if want := []netip.Addr{netip.MustParseAddr("192.168.7.1")}; !slices.Equal(got[0].gates, want) {
		t.Errorf("gateways %v", got[0].gates)
	}
	if got[0].id != "gateway 02:00:00:00:00:07" || !got[0].sure {
		t.Errorf("%+v", got[0])
	}
	if got[1].id != "range 192.168.7.0/24" || got[1].sure {
		t.Errorf("a gateway that has not answered yet: %+v", got[1])
	}
}
