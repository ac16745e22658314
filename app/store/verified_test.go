package store

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery"
	"porchlight/share"
)

func verifiedOf(n byte, how How) Verification {
	return Verification{Device: discovery.DeviceID{n}, How: how, Since: time.Unix(1_700_000_000, int64(n)).UTC()}
}

// TestWhoWasVerifiedIsKept: through a restart, through the loss of the database, and without its second copy; and who is not any more stays so.
func TestWhoWasVerifiedIsKept(t *testing.T) {
	for name, damage := range map[string]func(path string){
		"restart":             func(string) {},
		"database lost":       func(path string) { no(t, os.WriteFile(path, []byte("no database"), 0o600)) },
		"table damaged":       func(path string) { smash(t, path, "verified") },
		"no second copy":      func(path string) { no(t, os.Remove(path+mirrorSuffix)) },
		"second copy damaged": func(path string) { no(t, os.Truncate(path+mirrorSuffix, 60)) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "p.db")
			d := openTest(t, path, Config{})
			v := d.Verified()
			no(t, v.PutVerified(verifiedOf(1, ByCode)), v.PutVerified(verifiedOf(2, ByCode)), v.PutVerified(verifiedOf(2, ByPictures)),
				v.PutVerified(verifiedOf(3, ByCode)), v.DeleteVerified(discovery.DeviceID{1}), v.DeleteVerified(discovery.DeviceID{9}))
			closeTest(t, d)
			damage(path)
			want := []Verification{verifiedOf(2, ByPictures), verifiedOf(3, ByCode)}
			if got := must(openTest(t, path, Config{}).Verified().Verified())(t); !cmp.Equal(got, want) {
				t.Error(cmp.Diff(want, got))
			}
		})
	}
}

// TestUnverifiedStaysSo: if the second copy can be neither written nor removed, nobody is told that a device is verified no more.
func TestUnverifiedStaysSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	d := openTest(t, path, Config{})
	no(t, d.Verified().PutVerified(verifiedOf(1, ByCode)))
	no(t, os.RemoveAll(path+mirrorSuffix), os.MkdirAll(filepath.Join(path+mirrorSuffix, "x"), 0o700))
	if err := d.Verified().DeleteVerified(discovery.DeviceID{1}); err == nil {
		t.Error("it may come back")
	}
	if got := must(d.Verified().Verified())(t); len(got) != 1 {
		t.Error(got)
	}
}

// TestASecondCopyFromBefore: one without verified devices is whole as far as it goes, and one that names some and should have none is not.
func TestASecondCopyFromBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	raw := func(v any) json.RawMessage { return must(json.Marshal(v))(t) }
	s := forBo()
	old := mirrored{Format: blocksFormat, Blocked: raw([]mirroredBlock{{ID: make([]byte, 32), Name: "cleo"}}),
		Shares: raw([]mirroredShare{{ID: s.ID, Kind: s.Kind, Name: s.Name, Path: []byte(s.Path), Added: nanos(s.Added), Audience: must(encodeAudience(s))(t)}})}
	wrong := old
	wrong.Verified = raw([]mirroredVerification{{ID: make([]byte, 32), How: ByCode}})
	wrong.Digest = wrong.sum()
	if got, err := wrong.read(); err == nil {
		t.Errorf("%+v", got)
	}
	old.Digest = old.sum()
	no(t, os.WriteFile(path+mirrorSuffix, raw(old), 0o600))
	d := openTest(t, path, Config{})
	if got := must(d.Shares().Shares())(t); d.Damage() == nil || len(d.Damage().Lost) > 0 && d.Damage().Lost[0] == "shares" || !cmp.Equal(got, []share.Share{s}) {
		t.Error(got, d.Damage())
	}
	if got := must(d.Blocks().Blocks())(t); len(got) != 1 {
		t.Error(got)
	}
	if _, format, err := readMirror(path); err != nil || format != sharesFormat {
		t.Error(format, err)
	}
}

// TestTheOldSchemaVerifiedNobody: neither the step nor the loss of a table that never was takes anything with it.
func TestTheOldSchemaVerifiedNobody(t *testing.T) {
	for _, damaged := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "p.db")
		d := must(open(t.Context(), path, Config{}, migrations()))(t)
		no(t, d.Blocks().PutBlock(blockOf(1)))
		_, err := d.state.Exec("DROP TABLE verified")
		no(t, err)
		_, err = d.state.Exec(fmt.Sprintf("PRAGMA user_version=%d", verifiedSince-1))
		no(t, err, d.Close(), os.Remove(path+mirrorSuffix))
		if damaged {
			smash(t, path, "peers")
		}
		d = openTest(t, path, Config{})
		if damaged != (d.Damage() != nil) || damaged && !cmp.Equal(d.Damage().Lost, []string{"peers"}) {
			t.Errorf("damaged %v: %+v", damaged, d.Damage())
		}
		no(t, d.Verified().PutVerified(verifiedOf(1, ByCode)))
		if len(must(d.Blocks().Blocks())(t)) != 1 || len(must(d.Verified().Verified())(t)) != 1 {
			t.Error("something is gone")
		}
	}
}
