package store

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery"
	"porchlight/share"
)

// forBo is a share for one device, until a time, and for all of a workgroup.
func forBo() share.Share {
	s := docs
	s.Audience = []share.Grant{{Who: share.ToDevice, Device: discovery.DeviceID{7}, Level: share.LookOnly, Until: time.Unix(1_900_000_000, 5).UTC()},
		{Who: share.ToPerson, Workgroup: [32]byte{1}, Person: [16]byte{2}, Level: share.Change, Ask: share.AskEach}, {Who: share.ToNobody}}
	return s
}

func blockOf(n byte) Block {
	return Block{Device: discovery.DeviceID{n}, Name: "cleo", Since: time.Unix(1_700_000_000, 0).UTC()}
}

// TestForWhomIsKept: through a restart, through the loss of the database, and without its second copy; and so are the blocked.
func TestForWhomIsKept(t *testing.T) {
	for name, damage := range map[string]func(path string){
		"restart":             func(string) {},
		"database lost":       func(path string) { no(t, os.WriteFile(path, []byte("no database"), 0o600)) },
		"shares damaged":      func(path string) { smash(t, path, "shares") },
		"blocked damaged":     func(path string) { smash(t, path, "blocked") },
		"no second copy":      func(path string) { no(t, os.Remove(path+mirrorSuffix)) },
		"second copy damaged": func(path string) { no(t, os.Truncate(path+mirrorSuffix, 60)) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "p.db")
			d := openTest(t, path, Config{})
			no(t, d.Shares().PutShare(music), d.Shares().PutShare(docs), d.Shares().PutShare(forBo()))
			no(t, d.Blocks().PutBlock(blockOf(1)), d.Blocks().PutBlock(blockOf(2)), d.Blocks().DeleteBlock(discovery.DeviceID{1}))
			closeTest(t, d)
			damage(path)
			d = openTest(t, path, Config{})
			got := must(d.Shares().Shares())(t)
			slices.SortFunc(got, func(a, b share.Share) int { return slices.Compare(a.ID[:], b.ID[:]) })
			want := []share.Share{music, forBo()}
			slices.SortFunc(want, func(a, b share.Share) int { return slices.Compare(a.ID[:], b.ID[:]) })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if got := must(d.Blocks().Blocks())(t); !cmp.Equal(got, []Block{blockOf(2)}) {
				t.Error(got)
			}
		})
	}
}

// TestWhatCannotBeReadIsForNobody: never is a list taken for "anyone nearby", or for another one.
func TestWhatCannotBeReadIsForNobody(t *testing.T) {
	s := forBo()
	kept := must(encodeAudience(s))(t)
	lost := 0
	read := func(b []byte) {
		var got share.Share
		got.ID = s.ID
		decodeAudience(&got, b)
		if !got.Lost || got.Audience != nil {
			t.Errorf("%q is read as %+v", b, got.Audience)
			return
		}
		lost++
	}
	for i := range kept {
		for bit := range 8 {
			b := slices.Clone(kept)
			b[i] ^= 1 << bit
			read(b)
		}
		read(kept[:i])
	}
	other := s
	other.ID = share.ID{99}
	read(must(encodeAudience(other))(t))
	long := s
	long.Audience = slices.Repeat([]share.Grant{{Who: share.ToNobody}}, share.MaxGrants+1)
	read(must(encodeAudience(long))(t))
	t.Logf("%d spoilt lists of %d bytes are for nobody", lost, len(kept))

	path := filepath.Join(t.TempDir(), "p.db")
	d := openTest(t, path, Config{})
	no(t, d.Shares().PutShare(s), os.Remove(path+mirrorSuffix))
	_, err := d.state.Exec("UPDATE shares SET audience=x'00'")
	no(t, err, d.Close())
	for range 2 { // it stays so
		d = openTest(t, path, Config{})
		if got := must(d.Shares().Shares())(t); len(got) != 1 || !got[0].Lost || got[0].Name != s.Name {
			t.Errorf("%+v", got)
		}
		no(t, d.Close())
	}
	d = openTest(t, path, Config{})
	no(t, d.Shares().PutShare(s))
	_, err = d.state.Exec("UPDATE shares SET audience=x'00'")
	no(t, err, d.Close())
	if got := must(openTest(t, path, Config{}).Shares().Shares())(t); !cmp.Equal(got, []share.Share{s}) {
		t.Errorf("the second copy had it: %+v", got)
	}
}

// TestWhatWasTakenStaysTaken: if the second copy can be neither written nor removed, an audience does not change.
func TestWhatWasTakenStaysTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	d := openTest(t, path, Config{})
	no(t, d.Shares().PutShare(docs))
	no(t, os.RemoveAll(path+mirrorSuffix), os.MkdirAll(filepath.Join(path+mirrorSuffix, "x"), 0o700))
	if err := d.Shares().PutShare(forBo()); err == nil {
		t.Error("it may come back as it was")
	}
	if got := must(d.Shares().Shares())(t); !cmp.Equal(got, []share.Share{docs}) {
		t.Error(got)
	}
}

// TestTheOldSecondCopy: of a database without audiences it is good for a rebuilding, and everything in it is for anyone nearby.
func TestTheOldSecondCopy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	old := mirrored{Format: mirrorFormat, Shares: must(json.Marshal([]mirroredShare{{ID: music.ID, Kind: music.Kind, Name: music.Name, Path: []byte(music.Path), Added: nanos(music.Added)}}))(t)}
	old.Digest = old.sum()
	no(t, os.WriteFile(path+mirrorSuffix, must(json.Marshal(old))(t), 0o600))
	d := openTest(t, path, Config{})
	if got := must(d.Shares().Shares())(t); d.Damage() == nil || !cmp.Equal(got, []share.Share{music}) {
		t.Error(got, d.Damage())
	}
	if _, format, err := readMirror(path); err != nil || format != sharesFormat {
		t.Error(format, err)
	}
}
