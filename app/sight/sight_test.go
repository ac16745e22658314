package sight

import (
	"path/filepath"
	"slices"
	"testing"

	"porchlight/app/config"
	"porchlight/app/store"
	"porchlight/discovery"
	"porchlight/discovery/keyring"
	"porchlight/discovery/presence"
	"porchlight/discovery/workgroup"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// device is this one, with settings, and in one private workgroup with another.
type device struct {
	s      config.Settings
	member discovery.DeviceID
}

func (*device) ID() discovery.DeviceID { return discovery.DeviceID{1} }

func (d *device) Settings() config.Settings { return d.s }

func (*device) Recognise(_, tags string) ([]workgroup.ID, error) {
	if tags != "ours" {
		return nil, nil
	}
	return []workgroup.ID{{9}}, nil
}

func (d *device) Common(id discovery.DeviceID) []workgroup.ID {
	if id != d.member {
		return nil
	}
	return []workgroup.ID{{9}}
}

func (d *device) Synced(id discovery.DeviceID) []workgroup.ID { return d.Common(id) }

func (d *device) Called(id discovery.DeviceID) string {
	if id != d.member {
		return ""
	}
	return "in ledger"
}

func (*device) Check([32]byte, []keyring.Proof) ([]workgroup.ID, error) { return nil, nil }

func (*device) Guest(discovery.DeviceID) bool { return false }

// known opens a sight that knows some devices, each called by the number it has.
func known(t *testing.T, d *device, workgroups ...string) (*Sight, *presence.Roster) {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "porchlight.db"), store.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	r := presence.New(presence.Config{Self: d.ID(), Store: db.Peers()})
	for i, w := range workgroups {
		r.Prove(presence.Proof{ID: discovery.DeviceID{byte(i + 2)}, Name: string(rune('2' + i)), Workgroup: w})
	}
	s, err := New(Config{Self: d, Circle: d, Roster: r, Blocks: db.Blocks(), Verified: db.Verified()})
	if err != nil {
		t.Fatal(err)
	}
	return s, r
}

func TestWhoSeesWhom(t *testing.T) {
	member, verified, neighbour, hidden := discovery.DeviceID{2}, discovery.DeviceID{3}, discovery.DeviceID{4}, discovery.DeviceID{5}
	d := &device{member: member}
	s, _ := known(t, d, "", "", "WORKGROUP", "")
	if err := s.Verify(verified, store.ByCode); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name             string
		id               discovery.DeviceID
		private          bool
		group            string // in its hello
		stranger, unseen bool
		welcome, sought  bool // a hint of it is followed
	}{
		{"a member", member, false, "", false, false, true, true},
		{"a member, this device in none", member, true, "", false, false, true, true},
		{"verified", verified, true, "", false, false, true, true},
		{"a neighbour", neighbour, false, "WORKGROUP", false, false, true, true},
		{"a neighbour, this device in none", neighbour, true, "WORKGROUP", true, true, false, false},
		{"one that hides", hidden, false, "", false, true, false, true},
		{"one that hides, this device in none", hidden, true, "", true, true, false, false},
		{"this device itself", d.ID(), true, "", false, true, false, false},
	} {
		d.s.Private = tt.private
		session := &link.Session{ID: tt.id}
		if got := s.Stranger(tt.id); got != tt.stranger || s.ShutOut(session) != tt.stranger {
			t.Errorf("%s: stranger %v", tt.name, got)
		}
		if got := s.Unseen(tt.id); got != tt.unseen {
			t.Errorf("%s: unseen %v", tt.name, got)
		}
		if got := s.Welcome(session, wire.Hello{Workgroup: tt.group}); got != tt.welcome {
			t.Errorf("%s: welcome %v", tt.name, got)
		}
		if got := s.LooksFor(discovery.Sighting{ID: tt.id}); got != tt.sought {
			t.Errorf("%s: looked for %v", tt.name, got)
		}
	}
	d.s.Private = true
	if s.LooksFor(discovery.Sighting{Name: "eve", Tags: "theirs"}) || !s.LooksFor(discovery.Sighting{Tags: "ours"}) {
		t.Error("of those without an ID only members are looked for")
	}
}

// TestWhatIsListed: a device that is in no open workgroup lists its friends only, by what they are to it, and whom it blocked.
func TestWhatIsListed(t *testing.T) {
	d := &device{member: discovery.DeviceID{2}, s: config.Settings{Private: true}}
	s, r := known(t, d, "", "", "WORKGROUP")
	if err := s.Verify(discovery.DeviceID{3}, store.ByQR); err != nil {
		t.Fatal(err)
	}
	if was, err := s.Block(discovery.DeviceID{4}); was || err != nil || !s.Blocked(discovery.DeviceID{4}) {
		t.Fatal(was, err)
	}
	if was, err := s.Block(discovery.DeviceID{4}); !was || err != nil {
		t.Error("blocked twice:", was, err)
	}
	listed := func() (out []string) {
		for _, p := range s.Complete(r.Snapshot()) {
			text := p.Name
			if p.Verified {
				text += ", verified"
			}
			if p.Blocked {
				text += ", blocked"
			}
			out = append(out, text)
		}
		slices.Sort(out)
		return out
	}
	if got := listed(); !slices.Equal(got, []string{"3, verified", "4, blocked", "in ledger"}) {
		t.Errorf("%q", got)
	}
	if was, err := s.Unblock(discovery.DeviceID{4}); !was || err != nil {
		t.Error(was, err)
	}
	if was, err := s.Unverify(discovery.DeviceID{3}); !was || err != nil {
		t.Error(was, err)
	}
	if got := listed(); !slices.Equal(got, []string{"in ledger"}) {
		t.Errorf("%q", got)
	}
}
