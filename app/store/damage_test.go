package store

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery"
	"porchlight/discovery/workgroup"
	"porchlight/discovery/workgroup/storetest"
	"porchlight/share"
)

// damagesVar is how many damages TestDamagedAnywhere makes; `make release-check` asks for many more.
const damagesVar = "PORCHLIGHT_DAMAGES"

// spoil damages a file as disks do: a bit turns, a sector is lost or comes from elsewhere, the end is missing. It says what it did.
func spoil(dice *rand.Rand, b []byte) ([]byte, string) {
	b = bytes.Clone(b)
	at := dice.IntN(len(b))
	sector := at &^ 511
	room := b[sector:min(sector+512, len(b))]
	switch dice.IntN(6) {
	case 0:
		return b[:at], "cut at " + strconv.Itoa(at)
	case 1:
		clear(room)
		return b, "a sector of zeros at " + strconv.Itoa(sector)
	case 2:
		for i := range room {
			room[i] = byte(dice.Uint32())
		}
		return b, "a sector of nothing at " + strconv.Itoa(sector)
	case 3:
		from := dice.IntN(len(b)) &^ 511
		copy(room, slices.Clone(b[from:min(from+512, len(b))]))
		return b, "the sector of " + strconv.Itoa(from) + " at " + strconv.Itoa(sector)
	default:
		b[at] ^= 1 << dice.IntN(8)
		return b, "a bit at " + strconv.Itoa(at)
	}
}

// TestDamagedAnywhere: wherever a disk damages the database, it opens, with every share, block and verified device as they were and the keys of
// every workgroup. Where it damages the log, too, what was decided last may be as it was at some earlier moment.
func TestDamagedAnywhere(t *testing.T) {
	n := 100
	if v := os.Getenv(damagesVar); v != "" {
		n = must(strconv.Atoi(v))(t)
	}
	path := grouped(t)
	d := openTest(t, path, Config{})
	no(t, d.Blocks().PutBlock(Block{Device: discovery.DeviceID{8}, Name: "mallory", Since: day}),
		d.Verified().PutVerified(Verification{Device: discovery.DeviceID{9}, Since: day}))
	closed := func() map[string][]byte { closeTest(t, d); return pick(t, path) }
	open := pick(t, path)
	delete(open, "p.db-shm") // as after a power cut
	homes := []map[string][]byte{open, closed()}
	want := must(func() (decided, error) { d := openTest(t, plant(t, homes[1]), Config{}); return d.both() }())(t)
	groups := []workgroup.Kept{storetest.Home(1), storetest.Home(2)}
	told, newer := 0, 0
	dice := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		files := map[string][]byte{}
		for name, data := range homes[i%2] {
			files[name] = data
		}
		var what string
		earlier := false
		files["p.db"], what = spoil(dice, files["p.db"])
		if wal := files["p.db-wal"]; len(wal) > 0 && dice.IntN(2) == 0 {
			var more string
			files["p.db-wal"], more = spoil(dice, wal)
			what, earlier = what+", of the log "+more, true
		}
		bad := plant(t, files)
		d, err := Open(t.Context(), bad, Config{})
		if errors.Is(err, ErrNewer) { // the bit of the version
			newer++
			continue
		}
		if err != nil {
			t.Errorf("%d: %s: %v", i, what, err)
			continue
		}
		got, err := d.both()
		if earlier && len(got.blocks) == 0 {
			got.blocks = want.blocks
		}
		if earlier && len(got.verified) == 0 {
			got.verified = want.verified
		}
		if err != nil || !cmp.Equal(got, want, cmp.AllowUnexported(decided{})) {
			t.Errorf("%d: %s: %v\n%s", i, what, err, cmp.Diff(want, got, cmp.AllowUnexported(decided{})))
		}
		kept, err := d.Workgroups().Workgroups()
		if err != nil || !cmp.Equal(kept, groups) {
			t.Errorf("%d: %s: workgroups %v %v", i, what, len(kept), err)
		}
		if d.Damage() != nil {
			told++
		}
		no(t, d.Close(), os.RemoveAll(filepath.Dir(bad)))
	}
	t.Logf("%d damages: %d made the database anew, %d look like a newer version, the others did not matter", n, told, newer)
	if told < n/10 || newer > n/50 {
		t.Errorf("%d of %d were noticed, %d taken for a newer version", told, n, newer)
	}
}

// TestEveryBitOfADecisionCounts: each byte of a share and of a block in the database is turned; none comes back as another one.
func TestEveryBitOfADecisionCounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	d := openTest(t, path, Config{})
	secret := share.Share{ID: share.ID{1, 2, 3}, Kind: share.Folder, Name: "Lighthouse", Path: "/srv/lighthouse/only", Added: day,
		Audience: []share.Grant{{Who: share.ToDevice, Device: discovery.DeviceID{0xEE, 0xEE, 0xEE}, Level: share.LookOnly}}}
	no(t, d.Shares().PutShare(secret), d.Blocks().PutBlock(Block{Device: discovery.DeviceID{0xDD, 0xDD}, Name: "mallory", Since: day}))
	want := must(d.both())(t)
	closeTest(t, d)
	files := pick(t, path)
	whole := files["p.db"]
	places := 0
	for _, needle := range []string{secret.Name, secret.Path, "mallory", string(secret.ID[:]), "\xdd\xdd\x00"} {
		from := bytes.Index(whole, []byte(needle))
		if from < 0 {
			t.Fatalf("%q is not in the file", needle)
		}
		for at := from; at < from+len(needle); at++ {
			places++
			bent := bytes.Clone(whole)
			bent[at] ^= 0x01
			files["p.db"] = bent
			bad := plant(t, files)
			d := openTest(t, bad, Config{})
			if got := must(d.both())(t); !cmp.Equal(got, want, cmp.AllowUnexported(decided{})) {
				t.Errorf("byte %d of %q: told %v\n%s", at-from, needle, d.Damage() != nil, cmp.Diff(want, got, cmp.AllowUnexported(decided{})))
			}
			closeTest(t, d)
			no(t, os.RemoveAll(filepath.Dir(bad)))
		}
	}
	t.Logf("%d bytes", places)
}
