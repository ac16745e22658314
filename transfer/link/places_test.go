package link

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"porchlight/discovery"
	"porchlight/transfer/wire"
)

// proven is a connection of a device from an address, in memory.
func proven(dev byte, n int, addr string) *Conn {
	s := &Session{ID: discovery.DeviceID{dev, byte(n), byte(n >> 8)}, Remote: netip.AddrPortFrom(netip.MustParseAddr(addr), 4), Began: time.Now(), gone: make(chan struct{})}
	ours, _ := net.Pipe()
	return &Conn{Session: s, began: s.Began, cork: &cork{Conn: ours}}
}

// door is a listener that nobody listens on, with one kind of friends.
func door(t *testing.T, friend byte) *Listener {
	t.Helper()
	l := newNode(t, "n").in
	l.Friend = func(id discovery.DeviceID) bool { return id[0] == friend }
	return l
}

// take has a connection enter, and closes what gives way for it.
func (l *Listener) take(c *Conn) bool {
	c.Session.friend = l.Friend
	ok, old := l.enter(c, func() { l.exit(c) })
	if old != nil {
		old.Close()
	}
	return ok
}

const theStranger, theFriend = 1, 2

// TestPlacesOfFriends: strangers, each a device of its own, take all they may from as many addresses as they like; a friend gets all the
// connections it may have, and they get none of its.
func TestPlacesOfFriends(t *testing.T) {
	l := door(t, theFriend)
	let := 0
	for n := range 2 * wire.MaxConns {
		if l.take(proven(theStranger, n, fmt.Sprintf("10.0.%d.%d", n>>8, n&255))) {
			let++
		}
	}
	if let != wire.MaxStrangerConns || l.others != wire.MaxStrangerConns || l.conns != wire.MaxStrangerConns {
		t.Errorf("%d strangers were let in, %d of %d connections are theirs", let, l.others, l.conns)
	}
	friends := 0
	for n := 0; l.conns < wire.MaxConns; n++ {
		for i := 0; i < wire.MaxDeviceConns && l.conns < wire.MaxConns; i++ {
			if !l.take(proven(theFriend, n, "10.0.0.1")) {
				t.Fatalf("friend %d is kept out of its connection %d", n, i)
			}
		}
		friends = n
	}
	if l.take(proven(theFriend, 0, "10.0.0.1")) || l.take(proven(theFriend, friends+1, "10.0.0.1")) || l.conns != wire.MaxConns {
		t.Errorf("%d connections", l.conns)
	}
	t.Logf("of %d strangers %d are let in, and %d friends with %d connections each", 2*wire.MaxConns, let, friends, wire.MaxDeviceConns)
}

// TestStrangersShareByAddress: in a home without a private workgroup all are strangers. Thirty computers with fourteen connections each
// have room; one that takes all the rest by inventing devices at sixteen addresses gives way to one that comes later, up to an equal share.
func TestStrangersShareByAddress(t *testing.T) {
	l := door(t, theFriend)
	for n := range 30 {
		for range wire.MaxDeviceConns {
			if !l.take(proven(theStranger, n, fmt.Sprintf("10.0.1.%d", n))) {
				t.Fatalf("computer %d of thirty is kept out", n)
			}
		}
	}
	let := 0
	for n := range 2000 {
		if l.take(proven(theStranger, 1000+n, fmt.Sprintf("10.0.2.%d", n%16))) {
			let++
		}
	}
	if l.others != wire.MaxStrangerConns {
		t.Fatalf("%d connections of strangers", l.others)
	}
	for range wire.MaxDeviceConns {
		if !l.take(proven(theStranger, 40, "10.0.1.40")) {
			t.Fatal("one more computer is kept out by who invents devices")
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := range 30 {
		if id := (discovery.DeviceID{theStranger, byte(n)}); len(l.devices[id]) != wire.MaxDeviceConns {
			t.Errorf("computer %d has lost connections: %d are left", n, len(l.devices[id]))
		}
	}
	if l.others != wire.MaxStrangerConns || len(l.strange) != 30+1+16 {
		t.Errorf("%d connections of strangers from %d addresses", l.others, len(l.strange))
	}
	t.Logf("%d of 2,000 invented devices were let in, and gave %d places back", let, wire.MaxDeviceConns)
}

// TestOneAddressHasItsLimit: it holds for strangers of one address, and neither for friends nor for this computer itself.
func TestOneAddressHasItsLimit(t *testing.T) {
	for _, tt := range []struct {
		who  byte
		addr string
		most int
	}{
		{theStranger, "10.0.0.1", wire.MaxAddrConns}, {theStranger, "fe80::1%eth0", wire.MaxAddrConns}, {theFriend, "10.0.0.1", 100}, {theStranger, "127.0.0.1", 100},
	} {
		l := door(t, theFriend)
		let := 0
		for n := range 100 {
			if l.take(proven(tt.who, n, tt.addr)) {
				let++
			}
		}
		if let != tt.most {
			t.Errorf("kind %d from %s: %d of 100 let in, want %d", tt.who, tt.addr, let, tt.most)
		}
	}
}

// firstWords is the first message of a handshake, whole.
func firstWords(t *testing.T, n *node) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go tls.Client(ours, n.ident.TLS(nil)).Handshake() //nolint:errcheck // it is never answered
	head := make([]byte, 5)
	if _, err := io.ReadFull(theirs, head); err != nil {
		t.Fatal(err)
	}
	words := append(head, make([]byte, int(head[3])<<8|int(head[4]))...)
	if _, err := io.ReadFull(theirs, words[5:]); err != nil {
		t.Fatal(err)
	}
	return words
}

// TestHandshakesGoByMerit: whoever waits for a handshake gets it before those whose address came more often, and an address of a friend
// before all.
func TestHandshakesGoByMerit(t *testing.T) {
	l := door(t, theFriend)
	l.armed = true // it looks when it is told to
	now := time.Now()
	wait := func(addr string, came int) *stranger {
		t.Helper()
		ours, theirs := net.Pipe()
		t.Cleanup(func() { ours.Close(); theirs.Close() })
		a := netip.MustParseAddr(addr)
		st := &stranger{Conn: ours, addr: a, since: now, turn: make(chan struct{}), out: make(chan struct{})}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.addrs[a] == nil {
			l.addrs[a] = &source{limit: newSource()}
		}
		l.addrs[a].limit.AllowN(now, came)
		l.pending, l.queue = append(l.pending, st), append(l.queue, st)
		l.addrs[a].pending++
		st.spoke.Store(true)
		return st
	}
	often, seldom := wait("10.0.0.1", wire.NewAddrBurst), wait("10.0.0.2", 1)
	l.welcome(netip.MustParseAddr("10.0.0.3"), now)
	home := wait("10.0.0.3", wire.NewAddrBurst)
	for i, want := range []*stranger{home, seldom, often} {
		l.mu.Lock()
		l.all = rate.NewLimiter(0, 1) // one handshake, and no more
		l.serve()
		l.mu.Unlock()
		for _, st := range []*stranger{often, seldom, home} {
			select {
			case <-st.turn:
				if st != want {
					t.Errorf("handshake %d was that of %v", i, st.addr)
				}
				st.turn = nil
			default:
				if st == want {
					t.Errorf("handshake %d was not that of %v", i, want.addr)
				}
			}
		}
	}
	for range wire.MaxPending - 3 {
		wait("10.0.0.1", 0)
	}
	newcomer := &stranger{addr: netip.MustParseAddr("10.0.0.4"), since: now}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addrs[newcomer.addr] = &source{limit: newSource()}
	if !l.room(newcomer) {
		t.Fatal("who comes for the first time finds no place")
	}
	select {
	case <-often.out:
	default:
		t.Error("not the one who came most often gave way")
	}
	poor := &stranger{addr: netip.MustParseAddr("10.0.0.1"), since: now}
	for len(l.pending) < wire.MaxPending {
		l.pending = append(l.pending, home)
	}
	if l.room(poor) {
		t.Error("who came most often took somebody's place")
	}
}

// TestFriendsAreAskedSeldom: whether somebody is a friend is asked once a second at most, and asked again then.
func TestFriendsAreAskedSeldom(t *testing.T) {
	asked, is := 0, true
	s := &Session{Began: time.Now(), friend: func(discovery.DeviceID) bool { asked++; return is }}
	for range 1000 {
		if !s.Friend() {
			t.Fatal("a friend is none")
		}
	}
	if most := 1 + int(time.Since(s.Began)/friendFor); asked > most {
		t.Errorf("asked %d times in %v", asked, time.Since(s.Began))
	}
	is, s.Began = false, s.Began.Add(-2*friendFor)
	if s.Friend() {
		t.Error("who was a friend two seconds ago still is one")
	}
}
