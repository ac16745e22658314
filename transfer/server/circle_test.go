package server_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/calm"
	"porchlight/discovery/identity"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
	"porchlight/transfer/server"
	"porchlight/transfer/wire"
)

// circle is what a sharer knows of others. The zero value has no private workgroup, and is in touch with everybody.
type circle struct {
	mu      sync.Mutex // guards the fields below
	blocked map[discovery.DeviceID]bool
	ground  map[discovery.DeviceID]server.Ground // of all if nil: the open workgroup
	member  map[discovery.DeviceID]bool          // of home, and in step
	away    map[discovery.DeviceID]time.Time     // since when a device is, which belongs to home if it is no member by that
	belongs map[discovery.DeviceID]bool          // to home
}

var home = [32]byte{0x40}

func (c *circle) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *circle) isBlocked(dev discovery.DeviceID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.blocked[dev]
}

func (c *circle) Ground(dev discovery.DeviceID, _ share.ID) (server.Ground, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g, ok := c.ground[dev]
	return g, ok || c.ground == nil
}

func (c *circle) Member(group [32]byte, dev discovery.DeviceID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return group == home && c.member[dev]
}

func (c *circle) Belongs(group [32]byte, dev discovery.DeviceID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return group == home && (c.belongs[dev] || c.member[dev])
}

func (c *circle) Met(dev discovery.DeviceID) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.away[dev]; ok {
		return at
	}
	return time.Now()
}

func groupTicket(t *testing.T, by *identity.Identity, holder discovery.DeviceID, root content.Hash, group [32]byte, until time.Time) wire.Signed {
	t.Helper()
	s, err := wire.SignTicket(wire.Ticket{Root: root, Holder: holder, Group: group, Until: until}, by)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestWhoIsGivenContentOfOthers: a ticket, the membership of both ends, and what is left of an old ticket when its origin is away.
func TestWhoIsGivenContentOfOthers(t *testing.T) {
	s, owner := newSharer(t), someone(t)
	l, h := s.hold(owner.ID(), film(20<<20), 0, 1, 2)
	a := s.asker(nil)
	type world struct {
		until   time.Duration // of the ticket, from now on, by the owner's clock
		ticket  [32]byte
		group   [32]byte // of the manifest
		policy  wire.Policy
		member  bool
		belongs bool
		met     time.Duration // the owner left so long ago; 0 if it is there
		ahead   time.Duration
		blocked discovery.DeviceID
	}
	const fresh, old = wire.TicketTime - time.Second, -time.Minute
	of := func(change func(*world)) world {
		w := world{until: fresh, ticket: home, group: home, policy: wire.PolicyMembers, member: true, belongs: true}
		change(&w)
		return w
	}
	open := func(change func(*world)) world {
		w := world{until: fresh}
		change(&w)
		return w
	}
	for _, tt := range []struct {
		name string
		w    world
		want bool
	}{
		{"open workgroup", open(func(*world) {}), true},
		{"open, over", open(func(w *world) { w.until = old }), false},
		{"open, over since the owner left", open(func(w *world) { w.until, w.met = old, 2*time.Minute }), true},
		{"open, over before the owner left", open(func(w *world) { w.until, w.met = old, 30*time.Second }), false},
		{"open, over for too long", open(func(w *world) { w.until, w.met = -wire.TicketAway-time.Minute, wire.TicketAway+2*time.Minute }), false},
		{"open, just not too long", open(func(w *world) { w.until, w.met = -wire.TicketAway+time.Minute, wire.TicketAway+2*time.Minute }), true},
		{"open, good for longer than any is made", open(func(w *world) { w.until = wire.TicketTime + wire.TicketSlack + time.Minute }), false},
		{"open, a clock that is far ahead", open(func(w *world) { w.ahead = 72 * time.Hour }), true},
		{"open, a clock that is far behind", open(func(w *world) { w.ahead = -72 * time.Hour }), true},
		{"open, a clock far behind, over", open(func(w *world) { w.ahead, w.until = -72*time.Hour, old }), false},
		{"open, a clock far ahead, over since the owner left", open(func(w *world) { w.ahead, w.until, w.met = 72*time.Hour, old, 2*time.Minute }), true},
		{"open, the owner is blocked here", open(func(w *world) { w.blocked = owner.ID() }), false},
		{"members", of(func(*world) {}), true},
		{"the asker is no member any more", of(func(w *world) { w.member = false }), false},
		{"the owner is none any more", of(func(w *world) { w.belongs = false }), false},
		{"members, the owner blocked", of(func(w *world) { w.blocked = owner.ID() }), false},
		{"members, over", of(func(w *world) { w.until = old }), false},
		{"members, over since the owner left, long ago", of(func(w *world) { w.until, w.met = -wire.TicketAway-time.Hour, wire.TicketAway+2*time.Hour }), true},
		{"for one person, over as long", of(func(w *world) {
			w.policy, w.until, w.met = wire.PolicyTicket, -wire.TicketAway-time.Hour, wire.TicketAway+2*time.Hour
		}), false},
		{"members, over for a day", of(func(w *world) { w.until, w.met = -wire.TicketMembers-time.Minute, wire.TicketMembers+time.Hour }), false},
		{"members, over since the owner left, the asker removed meanwhile", of(func(w *world) { w.until, w.met, w.member = old, time.Hour, false }), false},
		{"members, over since the owner left, the owner removed meanwhile", of(func(w *world) { w.until, w.met, w.belongs = old, time.Hour, false }), false},
		{"a ticket of the open workgroup for what is private", of(func(w *world) { w.ticket = [32]byte{} }), false},
		{"a ticket of a workgroup for what is open", open(func(w *world) { w.ticket, w.member, w.belongs = home, true, true }), false},
		{"a ticket of another workgroup", of(func(w *world) { w.ticket = [32]byte{0x41} }), false},
	} {
		now := time.Now()
		h.stated, h.ahead = wire.Manifest{Group: tt.w.group, Policy: tt.w.policy}, tt.w.ahead
		s.change(func() {
			s.member = map[discovery.DeviceID]bool{a.id(): tt.w.member}
			s.belongs = map[discovery.DeviceID]bool{owner.ID(): tt.w.belongs}
			s.blocked = map[discovery.DeviceID]bool{tt.w.blocked: true}
			s.away = map[discovery.DeviceID]time.Time{}
			if tt.w.met > 0 {
				s.away[owner.ID()] = now.Add(-tt.w.met)
			}
		})
		ticket := groupTicket(t, owner, a.id(), l.Root, tt.w.ticket, now.Add(tt.w.ahead+tt.w.until))
		have, err := a.Have(within(t), l.Root, l.Size, ticket, 0)
		var got bytes.Buffer
		cerr := a.Content(within(t), l.Root, ticket, transfer.Range{Len: content.PieceSize}, &got)
		if ok := err == nil && have.Count == 3; ok != tt.want || (cerr == nil) != tt.want || !tt.want && !(errors.Is(err, transfer.ErrGone) && errors.Is(cerr, transfer.ErrGone)) {
			t.Errorf("%s: %+v, %v; %d bytes, %v; want %v", tt.name, have, err, got.Len(), cerr, tt.want)
		}
	}
}

// stopper loses its right once a byte has come.
type stopper struct {
	n    int
	lose func()
}

func (w *stopper) Write(p []byte) (int, error) {
	if w.n += len(p); w.lose != nil {
		w.lose()
		w.lose = nil
	}
	return len(p), nil
}

// TestRemovalStopsWhatRuns: a helper that learns of a removal sends not one piece more, though it was asked for many, and its answer
// to who waits for news is that there is nothing.
func TestRemovalStopsWhatRuns(t *testing.T) {
	for _, who := range []string{"the asker", "the owner"} {
		s, owner := newSharer(t), someone(t)
		l, h := s.hold(owner.ID(), film(20<<20), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
		h.stated = wire.Manifest{Group: home, Policy: wire.PolicyMembers}
		a := s.asker(nil)
		s.change(func() {
			s.member, s.belongs = map[discovery.DeviceID]bool{a.id(): true}, map[discovery.DeviceID]bool{owner.ID(): true}
		})
		ticket := groupTicket(t, owner, a.id(), l.Root, home, time.Now().Add(wire.TicketTime))
		remove := func() {
			s.change(func() {
				if who == "the asker" {
					delete(s.member, a.id())
				} else {
					delete(s.belongs, owner.ID())
				}
			})
		}
		news := make(chan error, 1)
		go func() {
			_, err := a.Have(within(t), l.Root, l.Size, ticket, 16)
			news <- err
		}()
		w := &stopper{lose: remove}
		err := a.Content(within(t), l.Root, ticket, transfer.Range{Len: 16 * content.PieceSize}, w)
		t.Logf("%s is removed: %d of 16 pieces came, %v", who, w.n>>20, err)
		if err == nil || w.n >= 12<<20 { // some are in the buffers of the connection
			t.Errorf("%s is removed: %d bytes came", who, w.n)
		}
		if err := <-news; !errors.Is(err, transfer.ErrGone) {
			t.Errorf("%s is removed: the news are %v", who, err)
		}
		if err := a.Content(within(t), l.Root, ticket, transfer.Range{Len: content.PieceSize}, io.Discard); !errors.Is(err, transfer.ErrGone) {
			t.Errorf("%s is removed: %v", who, err)
		}
	}
}

// TestCrowdsOfWorkgroups: those who pull by one right are told of one another, and by another right of nobody; who lost it is named no more,
// and told nothing.
func TestCrowdsOfWorkgroups(t *testing.T) {
	s := newSharer(t)
	e := s.put("film", film(wire.SwarmSize+5))
	none := make([]byte, (content.Parts(e.Size)+7)/8)
	a, b, c, open1, open2 := s.asker(nil), s.asker(nil), s.asker(nil), s.asker(nil), s.asker(nil)
	inHome := server.Ground{Group: home, Policy: wire.PolicyMembers}
	s.change(func() {
		s.ground = map[discovery.DeviceID]server.Ground{a.id(): inHome, b.id(): inHome, c.id(): inHome, open1.id(): {}, open2.id(): {}}
	})
	tell := func(who *asker) wire.Swarm {
		t.Helper()
		got, err := who.Swarm(within(t), who.id(), shareID, e, none, false)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, who := range []*asker{a, open1, b, open2, c} {
		tell(who)
	}
	for name, want := range map[string]struct {
		who    *asker
		others []*asker
		ground server.Ground
	}{"a": {a, []*asker{b, c}, inHome}, "b": {b, []*asker{a, c}, inHome}, "in the open one": {open1, []*asker{open2}, server.Ground{}}} {
		got := tell(want.who)
		if len(got.Peers) != len(want.others) || got.Others != len(want.others) || got.Stated.Group != want.ground.Group || got.Stated.Policy != want.ground.Policy {
			t.Errorf("%s is told %+v", name, got)
		}
		for _, o := range want.others {
			if !slices.Contains(got.Peers, o.id()) {
				t.Errorf("%s is not told of %v", name, o.id().Short())
			}
		}
		k, err := wire.OpenTicket(got.Ticket)
		if left := k.Until.Sub(got.Stated.Made); err != nil || k.Group != want.ground.Group || left > wire.TicketTime || left < wire.TicketTime-time.Second {
			t.Errorf("%s has a ticket %+v, good for %v, %v", name, k, left, err)
		}
	}
	waits := make(chan error, 1)
	go func() {
		_, err := c.Swarm(within(t), c.id(), shareID, e, none, true)
		waits <- err
	}()
	s.change(func() { delete(s.ground, c.id()) })
	if err := <-waits; !errors.Is(err, transfer.ErrGone) {
		t.Errorf("who lost the right while it waited is told %v", err)
	}
	if got := tell(a); len(got.Peers) != 1 || got.Peers[0] != b.id() {
		t.Errorf("who lost the right is still named: %+v", got.Peers)
	}
	if _, err := c.Swarm(within(t), c.id(), shareID, e, none, false); !errors.Is(err, transfer.ErrGone) {
		t.Errorf("who lost the right is told %v", err)
	}
}

// TestTicketsAreRenewed: every answer has a new one, and costs little.
func TestTicketsAreRenewed(t *testing.T) {
	s := newSharer(t)
	e := s.put("film", film(wire.SwarmSize+5))
	none := make([]byte, (content.Parts(e.Size)+7)/8)
	a, b := s.asker(nil), s.asker(nil)
	tell := func(who *asker) wire.Swarm {
		t.Helper()
		got, err := who.Swarm(within(t), who.id(), shareID, e, none, false)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	tell(b)
	first := tell(a)
	const rounds = 50
	began := time.Now()
	for range rounds {
		tell(a)
	}
	each := time.Since(began) / rounds
	t.Logf("a renewal takes %v", each.Round(time.Microsecond))
	if again := tell(a); !first.Known || !again.Known || !again.Stated.Made.After(first.Stated.Made) || bytes.Equal(again.Manifest.Sig, first.Manifest.Sig) {
		t.Errorf("not renewed: %+v", again)
	}
	if each > calm.Most(50*time.Millisecond) {
		t.Errorf("a renewal takes %v", each)
	}
}
