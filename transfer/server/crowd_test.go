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

func newCrowds() *crowds { return &crowds{files: map[crowdKey]*crowd{}} }

// openTo is the crowd of the open workgroup that pulls a file.
func openTo(e share.Entry) crowdKey { return crowdKey{version: e.Version} }

func dev(b byte) discovery.DeviceID { return discovery.DeviceID{b} }

func fileOf(v byte) share.Entry {
	return share.Entry{Path: "f", Version: share.Version{v}, Size: 32 * content.PieceSize}
}

var t0 = time.Unix(1_700_000_000, 0)

func TestCrowdsExpire(t *testing.T) {
	c, e := newCrowds(), fileOf(1)
	none, all := make([]byte, 4), []byte{255, 255, 255, 255}
	c.join(openTo(e), e.Size, dev(1), none, t0)
	c.join(openTo(e), e.Size, dev(2), all, t0)
	c.join(openTo(e), e.Size, dev(3), none, t0)
	if got := c.members(openTo(e)); len(got) != 3 {
		t.Fatalf("%d pull", len(got))
	}
	late := t0.Add(wire.SwarmTime + time.Second)
	if others, _ := c.join(openTo(e), e.Size, dev(3), none, late); others != 1 {
		t.Errorf("%d others: who has everything stays, who is silent does not", others)
	}
	if got := c.members(openTo(e)); !slices.Equal(got, []discovery.DeviceID{dev(2), dev(3)}) {
		t.Errorf("%v", got)
	}
	if told := c.tell(openTo(e), dev(3), late); told.others != 1 || len(told.peers) != 1 {
		t.Errorf("%+v", told)
	}
	if others, _ := c.join(openTo(e), e.Size, dev(3), none, t0.Add(wire.OfferTime+time.Second)); others != 0 {
		t.Errorf("%d others after so long", others)
	}
}

// TestTheLastOneIsStillRenewed: who had a ticket gets a new one also when nobody else pulls any more, as who has it all may be of use to it yet.
func TestTheLastOneIsStillRenewed(t *testing.T) {
	c, e := newCrowds(), fileOf(1)
	none := make([]byte, 4)
	c.join(openTo(e), e.Size, dev(1), none, t0)
	c.join(openTo(e), e.Size, dev(2), none, t0)
	c.invited(openTo(e), dev(1))
	c.invited(openTo(e), dev(9))
	late := t0.Add(wire.SwarmTime + time.Second)
	if told := c.tell(openTo(e), dev(2), t0); told.invited {
		t.Errorf("who had none: %+v", told)
	}
	c.join(openTo(e), e.Size, dev(1), none, t0.Add(wire.SwarmTime))
	c.join(openTo(e), e.Size, dev(1), none, late)
	if told := c.tell(openTo(e), dev(1), late); told.others != 0 || !told.invited {
		t.Errorf("who is the last: %+v", told)
	}
}

// TestCrowdsOfTwoWorkgroups: the same file, two crowds; pieces and advice are of that of the device.
func TestCrowdsOfTwoWorkgroups(t *testing.T) {
	c, e := newCrowds(), fileOf(1)
	none, of := make([]byte, 4), crowdKey{version: fileOf(1).Version, group: [32]byte{1}}
	for _, d := range []byte{1, 2} {
		c.join(openTo(e), e.Size, dev(d), none, t0)
		c.join(of, e.Size, dev(d+2), none, t0)
	}
	for i := range 32 {
		c.gave(e.Version, dev(3), i, t0)
	}
	open := func(d byte) bool {
		t.Helper()
		a, err := swarm.ParseAdvice(c.advise(e.Version, dev(d), t0))
		if err != nil {
			t.Fatal(err)
		}
		return a.Open
	}
	if !open(3) || !open(4) || open(1) || open(2) {
		t.Errorf("everything is out in one crowd only, and yet open: %v %v, %v %v", open(3), open(4), open(1), open(2))
	}
	if told := c.tell(of, dev(3), t0); !slices.Equal(told.peers, []discovery.DeviceID{dev(4)}) {
		t.Errorf("%+v", told)
	}
}

func TestCrowdsAreBounded(t *testing.T) {
	c := newCrowds()
	for i := range wire.MaxSwarm + 10 {
		_, ok := c.join(openTo(fileOf(1)), fileOf(1).Size, discovery.DeviceID{byte(i), 1}, make([]byte, 4), t0)
		if ok != (i <= wire.MaxSwarm) {
			t.Errorf("puller %d: %v", i, ok)
		}
	}
	for i := range wire.MaxSwarmed + 20 {
		c.join(crowdKey{version: share.Version{2, byte(i), byte(i >> 8)}}, 32*content.PieceSize, dev(1), make([]byte, 4), t0.Add(time.Duration(i+1)*time.Second))
	}
	if len(c.files) > wire.MaxSwarmed {
		t.Errorf("%d files are counted", len(c.files))
	}
	if c.members(openTo(fileOf(1))) != nil {
		t.Error("the file asked for longest ago is still counted")
	}
}

// TestEachPieceOnceBeforeAnyTwice: those who follow the advice of a source are sent every piece once, to one of them.
func TestEachPieceOnceBeforeAnyTwice(t *testing.T) {
	c, e, now := newCrowds(), fileOf(1), t0
	have := map[discovery.DeviceID][]byte{dev(1): make([]byte, 4), dev(2): make([]byte, 4), dev(3): make([]byte, 4)}
	for _, id := range []discovery.DeviceID{dev(1), dev(2), dev(3)} {
		c.join(openTo(e), e.Size, id, have[id], now)
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
			c.gave(e.Version, id, piece, now)
			c.join(openTo(e), e.Size, id, slices.Clone(have[id]), now)
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
	c.join(openTo(e), e.Size, dev(1), []byte{255, 255, 255, 0}, t0)
	c.join(openTo(e), e.Size, dev(2), make([]byte, 4), t0)
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
		c.join(openTo(e), e.Size, dev(i+1), all, t0)
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
	c.join(openTo(e), e.Size, dev(1), none, now)
	if !open(now) {
		t.Error("the others have everything, and nothing may be asked for")
	}
	for i := range byte(2) {
		now = now.Add(reseedAfter)
		c.join(openTo(e), e.Size, dev(i+2), none, now)
	}
	if open(now) {
		t.Error("nobody has anything, and all counts as given")
	}
}
