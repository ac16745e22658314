package store

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery/identity"
	"porchlight/discovery/workgroup"
	"porchlight/discovery/workgroup/storetest"
)

var _ workgroup.Store = Workgroups{}

func TestWorkgroupStores(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		m := workgroup.NewMemory()
		storetest.Run(t, func() workgroup.Store { return m })
	})
	t.Run("one database", func(t *testing.T) {
		d := openTest(t, filepath.Join(t.TempDir(), "p.db"), Config{})
		storetest.Run(t, func() workgroup.Store { return d.Workgroups() })
	})
	t.Run("opened anew each time", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "p.db")
		var d *DB
		storetest.Run(t, func() workgroup.Store {
			if d != nil {
				no(t, d.Close())
			}
			var err error
			d, err = Open(t.Context(), path, Config{Log: logTo(t)})
			no(t, err)
			return d.Workgroups()
		})
		no(t, d.Close())
	})
	t.Run("damaged each time", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "p.db")
		var d *DB
		storetest.Run(t, func() workgroup.Store {
			if d != nil {
				no(t, d.Close(), os.WriteFile(path, bytes.Repeat([]byte("x"), 5000), 0o600))
			}
			var err error
			d, err = Open(t.Context(), path, Config{Log: logTo(t)})
			no(t, err)
			return d.Workgroups()
		})
		no(t, d.Close())
	})
}

// grouped makes a database with two workgroups and returns its path.
func grouped(t *testing.T) string {
	t.Helper()
	path := filled(t)
	d, err := Open(t.Context(), path, Config{})
	no(t, err)
	no(t, d.Workgroups().PutWorkgroup(storetest.Home(1)), d.Workgroups().PutWorkgroup(storetest.Home(2)), d.Close())
	return path
}

func TestWorkgroupsSurviveDamage(t *testing.T) {
	one, two := storetest.Home(1), storetest.Home(2)
	cut := two
	cut.Entries = two.Entries[:1]
	all := []workgroup.Kept{one, two}
	for _, tt := range []struct {
		name         string
		damage       func(t *testing.T, path string)
		whole, alone []workgroup.Kept // with the second copy, and without
	}{
		{"not a database", func(t *testing.T, p string) { no(t, os.WriteFile(p, bytes.Repeat([]byte("x"), 5000), 0o600)) }, all, nil},
		{"gone", func(t *testing.T, p string) { no(t, os.Remove(p)) }, all, nil},
		{"the table", func(t *testing.T, p string) { smash(t, p, "workgroups") }, all, nil},
		{"the ledgers", func(t *testing.T, p string) { smash(t, p, "entries") }, all, nil},
		{"one bit of a key", func(t *testing.T, p string) {
			run(t, p, "UPDATE workgroups SET body=CAST(replace(CAST(body AS TEXT), 'keys', 'kezs') AS BLOB) WHERE id=?", two.ID[:])
		}, all, []workgroup.Kept{one}},
		{"one bit of an entry", func(t *testing.T, p string) { run(t, p, "UPDATE entries SET raw=x'00' WHERE raw=?", two.Entries[1]) }, all, []workgroup.Kept{one, cut}},
		{"a key of another length", func(t *testing.T, p string) { run(t, p, "UPDATE workgroups SET id=x'00' WHERE id=?", two.ID[:]) }, all, []workgroup.Kept{one}},
		{"another table", func(t *testing.T, p string) { smash(t, p, "peers") }, all, all},
	} {
		for _, second := range []string{"whole", "gone", "damaged", "cut"} {
			t.Run(tt.name+", second copy "+second, func(t *testing.T) {
				path, want := grouped(t), tt.alone
				tt.damage(t, path)
				data := must(os.ReadFile(path + groupsSuffix))(t)
				switch second {
				case "whole":
					want = tt.whole
				case "gone":
					no(t, os.Remove(path+groupsSuffix))
				case "damaged":
					data[len(data)/2] ^= 1
					no(t, os.WriteFile(path+groupsSuffix, data, 0o600))
				case "cut":
					no(t, os.Truncate(path+groupsSuffix, int64(len(data)-2)))
				}
				d := openTest(t, path, Config{})
				got := must(d.Workgroups().Workgroups())(t)
				if diff := cmp.Diff(want, got, storetest.Equal()); diff != "" {
					t.Error(diff)
				}
				if d.Damage() == nil || slices.Contains(d.Damage().Lost, "workgroups") != (len(want) < 2 || len(want[1].Entries) < 3) {
					t.Errorf("told %+v", d.Damage())
				}
				no(t, d.Workgroups().PutWorkgroup(storetest.Home(3)))
				closeTest(t, d)
				if again := openTest(t, path, Config{}); again.Damage() != nil || len(must(again.Workgroups().Workgroups())(t)) != len(want)+1 {
					t.Error("damaged again:", again.Damage())
				}
			})
		}
	}
}

// run changes a database as SQLite would never notice.
func run(t *testing.T, path, query string, args ...any) {
	t.Helper()
	d, err := Open(t.Context(), path, Config{})
	no(t, err)
	res, err := d.state.Exec(query, args...)
	no(t, err)
	if n, err := res.RowsAffected(); n != 1 || err != nil {
		t.Fatal("nothing was damaged", n, err)
	}
	no(t, d.Close())
}

// TestABookSurvivesDamage: the founder of a workgroup is still one, with its key and its recovery code, after the loss of the file.
func TestABookSurvivesDamage(t *testing.T) {
	self := must(identity.FromSeed(bytes.Repeat([]byte{7}, 32)))(t)
	path := filepath.Join(t.TempDir(), "p.db")
	open := func() (*DB, *workgroup.Book) {
		d := openTest(t, path, Config{})
		b := workgroup.New(workgroup.Config{Self: self, Store: d.Workgroups()})
		no(t, b.Load())
		return d, b
	}
	d, b := open()
	id := must(b.Create(workgroup.Founding{Name: "Home", Device: "anna", PersonName: "Anna"}))(t).ID
	must(b.Rename(id, "Villa"))(t)
	want, code, tags := must(b.Workgroup(id))(t), must(b.RecoveryCode(id))(t), must(b.Announce("abcdefghijklmnop"))(t)
	for _, damage := range []func(){
		func() {},
		func() { no(t, os.Remove(path)) },
		func() { smash(t, path, "entries") },
		func() { no(t, os.Truncate(path, 4096)) },
	} {
		no(t, d.Close())
		damage()
		d, b = open()
		if diff := cmp.Diff(want, must(b.Workgroup(id))(t)); diff != "" || must(b.RecoveryCode(id))(t) != code {
			t.Error(diff)
		}
		if got := must(b.Recognise("abcdefghijklmnop", tags))(t); !slices.Equal(got, []workgroup.ID{id}) {
			t.Error("the key is another one")
		}
	}
}

// TestSecretsAreErased: neither a recovery code that was saved elsewhere nor the keys of a workgroup that was left are in any file.
func TestSecretsAreErased(t *testing.T) {
	path := grouped(t)
	one, two := storetest.Home(1), storetest.Home(2)
	code, key := secretText(one.Recovery[:]), secretText(must(bodyOf(two))(t).Keys)
	if found(t, path, code) < 2 || found(t, path, key) < 2 {
		t.Fatal("the secrets are not where they are looked for:", found(t, path, code), found(t, path, key))
	}
	d := openTest(t, path, Config{})
	one.Recovery, one.Entries = nil, nil
	no(t, d.Workgroups().PutWorkgroup(one))
	if n := found(t, path, code); n != 0 {
		t.Errorf("the recovery code is in %d files", n)
	}
	if n := found(t, path, secretText(must(bodyOf(one))(t).Keys)); n < 2 {
		t.Errorf("keys that are in use are in %d files", n)
	}
	no(t, d.Workgroups().DeleteWorkgroup(two.ID))
	if n := found(t, path, key); n != 0 {
		t.Errorf("keys are in %d files", n)
	}
}

// TestLeftKeysAreErased: those of a workgroup whose ledger stays.
func TestLeftKeysAreErased(t *testing.T) {
	path := grouped(t)
	one := storetest.Home(1)
	key := secretText(must(bodyOf(one))(t).Keys)
	d := openTest(t, path, Config{})
	one.Keys, one.Entries, one.Left = nil, nil, true
	no(t, d.Workgroups().PutWorkgroup(one))
	if n := found(t, path, key); n != 0 {
		t.Errorf("keys are in %d files", n)
	}
}

// secretText is how the bytes stand in JSON.
func secretText(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// found counts the files of a home with a text in them, and looks at their rights.
func found(t *testing.T, path, text string) (n int) {
	t.Helper()
	no(t, filepath.WalkDir(filepath.Dir(path), func(file string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(file)
		if bytes.Contains(data, []byte(text)) {
			n++
			if fi, err := e.Info(); err != nil || fi.Mode().Perm() != 0o600 && runtime.GOOS != "windows" { // there it is the folder that counts
				t.Error("others may read", file)
			}
		}
		return err
	}))
	return n
}

// TestTheOldSchemaHasNoWorkgroups: neither the step nor the loss of a table that never was takes anything with it.
func TestTheOldSchemaHasNoWorkgroups(t *testing.T) {
	for _, damaged := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "p.db")
		d, err := open(t.Context(), path, Config{}, migrations())
		no(t, err)
		no(t, d.Shares().PutShare(music))
		for _, step := range []string{"DROP TABLE workgroups", "DROP TABLE entries", "DROP TABLE blocked", "DROP TABLE verified", "ALTER TABLE shares DROP COLUMN audience"} {
			_, err := d.state.Exec(step)
			no(t, err)
		}
		_, err = d.state.Exec(fmt.Sprintf("PRAGMA user_version=%d", groupsSince-1))
		no(t, err, d.Close(), os.Remove(path+groupsSuffix))
		if damaged {
			smash(t, path, "peers")
		}
		d = openTest(t, path, Config{})
		if damaged != (d.Damage() != nil) || damaged && (slices.Contains(d.Damage().Lost, "workgroups") || slices.Contains(d.Damage().Lost, "blocked") || slices.Contains(d.Damage().Lost, "verified")) {
			t.Errorf("damaged %v: %+v", damaged, d.Damage())
		}
		no(t, d.Workgroups().PutWorkgroup(storetest.Home(1)))
		if got := must(d.Workgroups().Workgroups())(t); len(got) != 1 || len(must(d.Shares().Shares())(t)) != 1 {
			t.Error(got)
		}
	}
}

// TestTheSecondCopyIsBounded: of a ledger beyond all measure it has the older entries.
func TestTheSecondCopyIsBounded(t *testing.T) {
	k := storetest.Home(1)
	for range 2 * maxGroupEntries / 2000 {
		k.Entries = append(k.Entries, bytes.Repeat([]byte{7}, 2000))
	}
	path := filepath.Join(t.TempDir(), "p.db")
	d := openTest(t, path, Config{})
	no(t, d.Workgroups().PutWorkgroup(k))
	fi, err := os.Stat(path + groupsSuffix)
	no(t, err)
	t.Logf("%d entries, second copy of %d bytes", len(k.Entries), fi.Size())
	if fi.Size() > 2*maxGroupEntries || fi.Size()*workgroup.MaxWorkgroups > maxGroups {
		t.Errorf("second copy of %d bytes", fi.Size())
	}
	got := must(readGroups(path))(t)
	if len(got) != 1 || len(got[0].Entries) < 1000 || len(got[0].Entries) >= len(k.Entries) || !slices.EqualFunc(got[0].Entries, k.Entries[:len(got[0].Entries)], bytes.Equal) {
		t.Error("not the older entries")
	}
}
