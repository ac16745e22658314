package server

import (
	"slices"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer/swarm"
	"porchlight/transfer/wire"
)

func newCrowds() *crowds { return &crowds{files: map[share.Version]*crowd{}} }

func dev(b byte) discovery.DeviceID { return discovery.DeviceID{b} }

func fileOf(v byte) share.Entry {
	return share.Entry{Path: "f", Version: share.Version{v}, Size: 32 * content.PieceSize}
}

var t0 = time.Unix(1_700_000_000, 0)

func TestCrowdsExpire(t *testing.T) {
	c, e := newCrowds(), fileOf(1)
	none, all := make([]byte, 4), []byte{255, 255, 255, 255}
	c.join(e, dev(1), none, t0)
	c.join(e, dev(2), all, t0)
	c.join(e, dev(3), none, t0)
	if got := c.members(e.Version); len(got) != 3 {
		t.Fatalf("%d pull", len(got))
	}
	late := t0.Add(wire.SwarmTime + time.Second)
	if others, _ := c.join(e, dev(3), none, late); others != 1 {
		t.Errorf("%d others: who has everything stays, who is silent does not", others)
	}
	if got := c.members(e.Version); !slices.Equal(got, []discovery.DeviceID{dev(2), dev(3)}) {
		t.Errorf("%v", got)
	}
	if told := c.tell(e.Version, dev(3), late); told.others != 1 || len(told.peers) != 1 {
		t.Errorf("%+v", told)
	}
	if others, _ := c.join(e, dev(3), none, t0.Add(wire.OfferTime+time.Second)); others != 0 {
		t.Errorf("%d others after so long", others)
	}
}

func TestCrowdsAreBounded(t *testing.T) {
	c := newCrowds()
	for i := range wire.MaxSwarm + 10 {
		_, ok := c.join(fileOf(1), discovery.DeviceID{byte(i), 1}, make([]byte, 4), t0)
		if ok != (i <= wire.MaxSwarm) {
			t.Errorf("puller %d: %v", i, ok)
		}
	}
	for i := range wire.MaxSwarmed + 20 {
		c.join(share.Entry{Version: share.Version{2, byte(i), byte(i >> 8)}, Size: 32 * content.PieceSize}, dev(1), make([]byte, 4), t0.Add(time.Duration(i+1)*time.Second))
	}
	if len(c.files) > wire.MaxSwarmed {
		t.Errorf("%d files are counted", len(c.files))
	}
	if c.members(share.Version{1}) != nil {
		t.Error("the file asked for longest ago is still counted")
	}
}

// TestEachPieceOnceBeforeAnyTwice: those who follow the advice of a source are sent every piece once, to one of them.
func TestEachPieceOnceBeforeAnyTwice(t *testing.T) {
	c, e, now := newCrowds(), fileOf(1), t0
	have := map[discovery.DeviceID][]byte{dev(1): make([]byte, 4), dev(2): make([]byte, 4), dev(3): make([]byte, 4)}
	for _, id := range []discovery.DeviceID{dev(1), dev(2), dev(3)} {
		c.join(e, id, have[id], now)
	}
	sent := map[int]int{}
	for round := 0; round < 100; round++ {
		open := false
		for _, id := range []discovery.DeviceID{dev(1), dev(2), dev(3)} {
			now = now.Add(10 * time.Millisecond)
			a, err := swarm.ParseAdvice(c.advise(e.Version, id, now))
			if err != nil {
				t.Fatal(err)
			}
			if open = a.Open; open || len(a.Runs) == 0 {
				continue
			}
			piece := a.Runs[0].From
			sent[piece]++
			have[id][piece>>3] |= 0x80 >> (piece & 7)
			c.gave(e.Version, piece, now)
			c.join(e, id, slices.Clone(have[id]), now)
		}
		if open {
			break
		}
	}
	for i := range 32 {
		if sent[i] != 1 {
			t.Errorf("piece %d was sent %d times", i, sent[i])
		}
	}
	if a := c.advise(e.Version, dev(9), now); a != "" {
		t.Errorf("a stranger is advised %q", a)
	}
}

// TestPiecesOfBeforeCount: what the first puller had before a second came need not be sent again.
func TestPiecesOfBeforeCount(t *testing.T) {
	c, e := newCrowds(), fileOf(1)
	c.join(e, dev(1), []byte{255, 255, 255, 0}, t0)
	c.join(e, dev(2), make([]byte, 4), t0)
	for _, id := range []discovery.DeviceID{dev(1), dev(2)} {
		a, err := swarm.ParseAdvice(c.advise(e.Version, id, t0))
		if err != nil || len(a.Runs) == 0 {
			t.Fatalf("%+v, %v", a, err)
		}
		for _, r := range a.Runs {
			if r.From < 24 {
				t.Errorf("%v is advised", r)
			}
		}
	}
}

// TestCrowdBeginsAgain: those who had everything pull the same file anew, as after it was deleted. Each piece goes out once again before any twice.
func TestCrowdBeginsAgain(t *testing.T) {
	c, e := newCrowds(), fileOf(1)
	none, all := make([]byte, 4), []byte{255, 255, 255, 255}
	for i := range byte(3) {
		c.join(e, dev(i+1), all, t0)
	}
	open := func(now time.Time) bool {
		t.Helper()
		a, err := swarm.ParseAdvice(c.advise(e.Version, dev(1), now))
		if err != nil {
			t.Fatal(err)
		}
		return a.Open
	}
	now := t0.Add(time.Second)
	c.join(e, dev(1), none, now)
	if !open(now) {
		t.Error("the others have everything, and nothing may be asked for")
	}
	for i := range byte(2) {
		now = now.Add(reseedAfter)
		c.join(e, dev(i+2), none, now)
	}
	if open(now) {
		t.Error("nobody has anything, and all counts as given")
	}
}
