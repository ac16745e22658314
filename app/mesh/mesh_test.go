package mesh

import (
	"net/netip"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"porchlight/app/config"
	"porchlight/app/sight"
	"porchlight/app/store"
	"porchlight/discovery"
	"porchlight/discovery/keyring"
	"porchlight/discovery/presence"
	"porchlight/discovery/workgroup"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestHintsHaveAPace: what anybody can send makes a neighbour try a few times at once, and then seldom.
func TestHintsHaveAPace(t *testing.T) {
	n := newNeighbour(&Mesh{}, discovery.DeviceID{1})
	tries := 0
	for range 1000 {
		n.hinted()
		select {
		case <-n.kick:
			tries++
		default:
		}
	}
	if tries != hintsBurst {
		t.Errorf("%d tries", tries)
	}
	n.Try() // the device itself
	if len(n.kick) != 1 {
		t.Error("its own connection does not make it try")
	}
}

// TestHintsStayInTheWorkgroup: a device is told only of those that are in a workgroup with it.
func TestHintsStayInTheWorkgroup(t *testing.T) {
	member, fellow, neighbour, guest := discovery.DeviceID{1}, discovery.DeviceID{2}, discovery.DeviceID{3}, discovery.DeviceID{4}
	group := workgroup.ID{9}
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "porchlight.db"), store.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	self := &settled{config.Settings{Workgroup: "WORKGROUP"}}
	roster := presence.New(presence.Config{Self: self.ID(), Store: db.Peers()})
	seen, err := sight.New(sight.Config{Self: self, Circle: ties{member: {group}, fellow: {group}}, Roster: roster, Blocks: db.Blocks(), Verified: db.Verified()})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range []presence.Proof{{ID: member, Name: "member"}, {ID: fellow, Name: "fellow", Workgroup: "workgroup"}, {ID: neighbour, Name: "neighbour", Workgroup: "WORKGROUP"}, {ID: guest, Name: "guest"}} {
		p.Reached, p.Address = true, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 47470)
		roster.Prove(p)
		roster.SetState(p.ID, discovery.Online)
	}
	m := &Mesh{cfg: Config{Sight: seen, Roster: roster}}
	for _, tt := range []struct {
		name string
		open bool
		to   discovery.DeviceID
		want []discovery.DeviceID
	}{
		{"a member in no open workgroup", true, member, []discovery.DeviceID{fellow}},
		{"a member in the open workgroup", true, fellow, []discovery.DeviceID{member, neighbour}},
		{"somebody in the open workgroup", true, neighbour, []discovery.DeviceID{fellow}},
		{"somebody in none", true, guest, nil},
		{"somebody unknown", true, discovery.DeviceID{7}, nil},
		{"a member, this device being in no open workgroup", false, fellow, []discovery.DeviceID{member}},
		{"a stranger", false, neighbour, nil},
	} {
		self.s.Private = !tt.open
		var got []discovery.DeviceID
		for _, h := range m.Hints(tt.to) {
			got = append(got, discovery.DeviceID(h.ID))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s is told of %v", tt.name, got)
		}
	}
}

// settled is a device with settings.
type settled struct{ s config.Settings }

func (*settled) ID() discovery.DeviceID { return discovery.DeviceID{0xA} }

func (s *settled) Settings() config.Settings { return s.s }

// ties is a circle of devices that are all in step.
type ties map[discovery.DeviceID][]workgroup.ID

func (ties) Recognise(string, string) ([]workgroup.ID, error)          { return nil, nil }
func (c ties) Common(id discovery.DeviceID) []workgroup.ID             { return c[id] }
func (c ties) Synced(id discovery.DeviceID) []workgroup.ID             { return c[id] }
func (ties) Called(discovery.DeviceID) string                          { return "" }
func (c ties) Check([32]byte, []keyring.Proof) ([]workgroup.ID, error) { return nil, nil }
func (ties) Guest(discovery.DeviceID) bool                             { return false }
