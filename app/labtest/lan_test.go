//go:build linux && lab

// Package labtest runs the real program on real networks: computers that are network namespaces on a bridge of their
// own, with cables that can be pulled. It needs root, and runs by `make lab-test` only.
package labtest

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Kind says which addresses the computers of a LAN have. No kind has a default route: a switch and nothing else.
type Kind int

// The kinds of LAN.
const (
	DualStack Kind = iota // IPv4, global and link-local IPv6
	IPv6Only              // global and link-local IPv6
	LinkLocal             // fe80 addresses only
	TwoWires              // as DualStack, on two switches at once
)

func (k Kind) String() string {
	return [...]string{"IPv4 and IPv6", "IPv6 only", "link-local only", "two interfaces"}[k]
}

// LAN is one or two switches in a namespace of their own, with Hosts plugged in.
type LAN struct {
	t      testing.TB
	kind   Kind
	sw     string // namespace of the switches
	prefix string // of all namespaces of this LAN
	Hosts  []*Host
}

// Host is one computer: a network namespace.
type Host struct {
	t     testing.TB
	lan   *LAN
	Name  string
	ns    string
	index int // from 1: the last number of its addresses
}

// prefix begins the name of every namespace; the number of the process follows, so that what a killed run left
// behind is known as such.
const prefix = "plt"

// NewLAN builds a LAN with a host of each name. Everything is removed when the test ends.
func NewLAN(t testing.TB, kind Kind, names ...string) *LAN {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, name := range []string{"ip", "tc"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("%v (package iproute2)", err)
		}
	}
	l := &LAN{t: t, kind: kind, prefix: fmt.Sprintf("%s%d-", prefix, os.Getpid())}
	l.sw = l.prefix + "switch"
	t.Cleanup(func() { removeNamespaces(l.prefix) })
	must(t, "ip", "netns", "add", l.sw)
	for wire := range l.wires() {
		br := bridge(wire)
		must(t, "ip", "-n", l.sw, "link", "add", br, "type", "bridge", "mcast_snooping", "0", "forward_delay", "0")
		must(t, "ip", "-n", l.sw, "link", "set", br, "addrgenmode", "none", "up")
	}
	for i, name := range names {
		l.Hosts = append(l.Hosts, l.plugIn(name, i+1))
	}
	for _, h := range l.Hosts {
		h.settle()
	}
	return l
}

func (l *LAN) wires() int {
	if l.kind == TwoWires {
		return 2
	}
	return 1
}

func bridge(wire int) string { return fmt.Sprintf("br%d", wire) }
func iface(wire int) string  { return fmt.Sprintf("eth%d", wire) }

func (h *Host) port(wire int) string { return fmt.Sprintf("p%d-%d", h.index, wire) }

func (l *LAN) plugIn(name string, index int) *Host {
	h := &Host{t: l.t, lan: l, Name: name, ns: l.prefix + name, index: index}
	must(l.t, "ip", "netns", "add", h.ns)
	must(l.t, "ip", "-n", h.ns, "link", "set", "lo", "up")
	// Without this a fresh IPv6 address is unusable for a second or two, which is no matter of ours.
	h.write("/proc/sys/net/ipv6/conf/default/accept_dad", "0")
	for wire := range l.wires() {
		must(l.t, "ip", "-n", l.sw, "link", "add", h.port(wire), "type", "veth", "peer", "name", iface(wire), "netns", h.ns)
		must(l.t, "ip", "-n", l.sw, "link", "set", h.port(wire), "master", bridge(wire), "up")
		for _, a := range h.addresses(wire) {
			must(l.t, "ip", "-n", h.ns, "addr", "add", a, "dev", iface(wire))
		}
		must(l.t, "ip", "-n", h.ns, "link", "set", iface(wire), "up")
	}
	return h
}

// addresses lists what is configured on a wire, link-local addresses aside: the kernel makes those.
func (h *Host) addresses(wire int) []string {
	four, six := fmt.Sprintf("10.83.%d.%d/24", wire, h.index), fmt.Sprintf("fd83:%d::%d/64", wire, h.index)
	switch h.lan.kind {
	case LinkLocal:
		return nil
	case IPv6Only:
		return []string{six}
	default:
		return []string{four, six}
	}
}

// settle waits until the link-local addresses can be used.
func (h *Host) settle() {
	h.t.Helper()
	eventually(h.t, 10*time.Second, h.Name+" has link-local addresses", func() bool {
		for wire := range h.lan.wires() {
			out := must(h.t, "ip", "-n", h.ns, "-6", "addr", "show", "dev", iface(wire), "scope", "link")
			if !strings.Contains(out, "fe80") || strings.Contains(out, "tentative") {
				return false
			}
		}
		return true
	})
}

// Addr returns the address others reach h by, its zone being that of the asking host's first wire.
func (h *Host) Addr() netip.Addr {
	h.t.Helper()
	if a := h.addresses(0); len(a) > 0 {
		return netip.MustParsePrefix(a[0]).Addr()
	}
	out := must(h.t, "ip", "-n", h.ns, "-o", "-6", "addr", "show", "dev", iface(0), "scope", "link")
	for _, word := range strings.Fields(out) {
		if p, err := netip.ParsePrefix(word); err == nil {
			return p.Addr().WithZone(iface(0))
		}
	}
	h.t.Fatalf("%s has no link-local address", h.Name)
	return netip.Addr{}
}

// Command prepares a command that runs on h. The process becomes the command itself: signals reach it.
func (h *Host) Command(name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", h.ns, name}, args...)...)
}

// Unplug pulls the cable out of h: the host sees its link go.
func (h *Host) Unplug() {
	h.t.Helper()
	for wire := range h.lan.wires() {
		must(h.t, "ip", "-n", h.lan.sw, "link", "set", h.port(wire), "down")
	}
}

// Plug puts it back.
func (h *Host) Plug() {
	h.t.Helper()
	for wire := range h.lan.wires() {
		must(h.t, "ip", "-n", h.lan.sw, "link", "set", h.port(wire), "up")
	}
}

// Isolate pulls a cable further away: the host's own link stays, and nothing comes through.
func (h *Host) Isolate() {
	h.t.Helper()
	for wire := range h.lan.wires() {
		must(h.t, "ip", "-n", h.lan.sw, "link", "set", h.port(wire), "nomaster")
	}
}

// Rejoin undoes Isolate.
func (h *Host) Rejoin() {
	h.t.Helper()
	for wire := range h.lan.wires() {
		must(h.t, "ip", "-n", h.lan.sw, "link", "set", h.port(wire), "master", bridge(wire))
	}
}

// DropInbound makes h drop every TCP connection that others begin, as a firewall nobody has opened does.
func (h *Host) DropInbound() {
	h.t.Helper()
	if _, err := exec.LookPath("nft"); err == nil {
		must(h.t, "ip", "netns", "exec", h.ns, "nft", `add table inet plt;
			add chain inet plt in { type filter hook input priority 0; };
			add rule inet plt in iifname "eth*" tcp flags & (syn|ack) == syn drop`)
		return
	}
	if _, err := exec.LookPath("iptables"); err != nil {
		h.t.Skip("neither nft nor iptables is here to drop connections with")
	}
	for _, cmd := range []string{"iptables", "ip6tables"} {
		must(h.t, "ip", "netns", "exec", h.ns, cmd, "-A", "INPUT", "-i", "eth+", "-p", "tcp", "--syn", "-j", "DROP")
	}
}

// Shape limits what h sends to rate (as tc writes it: 200mbit); "" lifts the limit.
func (h *Host) Shape(rate string) {
	h.t.Helper()
	for wire := range h.lan.wires() {
		if rate == "" {
			must(h.t, "tc", "-n", h.ns, "qdisc", "del", "dev", iface(wire), "root")
			continue
		}
		must(h.t, "tc", "-n", h.ns, "qdisc", "replace", "dev", iface(wire), "root", "tbf", "rate", rate, "burst", "256kb", "latency", "20ms")
	}
}

// Inside runs f on a thread that is on h: sockets which f opens are h's, and stay so.
func (h *Host) Inside(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()            // and never unlocked: the thread ends with this goroutine, it must not come back elsewhere
		if unix.Gettid() == os.Getpid() { // but for the first one, which never ends: the process would count as one of h, and end with it
			defer runtime.UnlockOSThread()
			done <- h.Inside(f)
			return
		}
		ns, err := os.Open(filepath.Join("/run/netns", h.ns))
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

func (h *Host) write(file, value string) {
	h.t.Helper()
	must(h.t, "ip", "netns", "exec", h.ns, "sh", "-c", "echo "+value+" > "+file)
}

// removeNamespaces ends what runs in the namespaces of this prefix, and removes them.
func removeNamespaces(prefix string) {
	out, err := exec.Command("ip", "netns", "list").Output()
	if err != nil {
		return
	}
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		pids, _ := exec.Command("ip", "netns", "pids", name).Output()
		for _, pid := range strings.Fields(string(pids)) {
			_ = exec.Command("kill", "-KILL", pid).Run() // it may have ended by itself
		}
		if err := exec.Command("ip", "netns", "del", name).Run(); err != nil {
			fmt.Fprintln(os.Stderr, "namespace", name, "stays behind:", err)
		}
	}
}

// removeLeftovers removes the namespaces of earlier runs that were killed.
func removeLeftovers() {
	entries, err := os.ReadDir("/run/netns")
	if err != nil {
		return
	}
	for _, e := range entries {
		pid, _, ok := strings.Cut(strings.TrimPrefix(e.Name(), prefix), "-")
		if !ok || !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		if _, err := os.Stat(filepath.Join("/proc", pid)); os.IsNotExist(err) {
			removeNamespaces(prefix + pid + "-")
		}
	}
}

// must runs a command and returns what it printed.
func must(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out)
}

// eventually asks ok again and again, and fails when it has not said yes within limit. It returns how long it took.
func eventually(t testing.TB, limit time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for {
		if ok() {
			return time.Since(start)
		}
		if time.Since(start) > limit {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
