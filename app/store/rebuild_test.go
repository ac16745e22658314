package store

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery"
	"porchlight/share"
	"porchlight/transfer"
)

// plant makes a folder with the files of a home's database.
func plant(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "")
	no(t, err)
	for name, data := range files {
		no(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	return filepath.Join(dir, "p.db")
}

// pick reads the files of the folder of a database.
func pick(t *testing.T, path string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	entries, err := os.ReadDir(filepath.Dir(path))
	no(t, err)
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(filepath.Dir(path), e.Name()))
		no(t, err)
		files[e.Name()] = data
	}
	return files
}

// survives opens a damaged database of filled's. Nothing may be missing without being told, the shares must be there, and the
// next opening must find it in order.
func survives(t *testing.T, path, what string) (told bool) {
	t.Helper()
	d, err := Open(t.Context(), path, Config{})
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return false
	}
	defer closeTest(t, d)
	lost := fmt.Sprint(d.Health())
	shares, peers, jobs := must(d.Shares().Shares())(t), must(d.Peers().Peers())(t), must(d.Jobs().Jobs())(t)
	if d.Damage() != nil && !cmp.Equal(shares, []share.Share{music}) || len(shares) != 1 {
		t.Errorf("%s: shares %v", what, shares)
	}
	if len(peers) != 1 && !bytes.Contains([]byte(lost), []byte("store-peers")) {
		t.Errorf("%s: %d peers and health %s", what, len(peers), lost)
	}
	if len(jobs) != 1 && !bytes.Contains([]byte(lost), []byte("store-jobs")) {
		t.Errorf("%s: %d jobs and health %s", what, len(jobs), lost)
	}
	if id, err := d.Jobs().NextJob(); err != nil || id < 6 && d.Damage() != nil {
		t.Errorf("%s: number %d given out twice, or %v", what, id, err)
	}
	no(t, d.Shares().PutShare(docs), d.Jobs().PutJob(transfer.Job{ID: 2000}))
	return d.Damage() != nil
}

// TestEveryBitOfTheHeaderMayFlip: each byte of the header and of the schema, and every so many of the rest.
func TestEveryBitOfTheHeaderMayFlip(t *testing.T) {
	files := pick(t, filled(t))
	whole := files["p.db"]
	places := []int{}
	for at := range 108 {
		if at < 72 || at >= 92 { // the bytes between mean nothing: https://sqlite.org/fileformat2.html#the_database_header
			places = append(places, at)
		}
	}
	for at := 108; at < 4096; at += 293 {
		places = append(places, at)
	}
	for at := 4096; at < min(len(whole), 7*4096); at += 1823 {
		places = append(places, at)
	}
	told, newer := 0, 0
	for _, at := range places {
		bent := bytes.Clone(whole)
		bent[at] ^= 0x42
		files["p.db"] = bent
		path := plant(t, files)
		if at >= 60 && at < 64 { // its version: one of the next years' is not to be touched
			d, err := Open(t.Context(), path, Config{})
			if errors.Is(err, ErrNewer) {
				newer++
				continue
			}
			if err == nil {
				no(t, d.Close())
			}
		}
		if survives(t, path, fmt.Sprint("byte ", at)) {
			told++
		}
		no(t, os.RemoveAll(filepath.Dir(path)))
	}
	t.Logf("%d places: %d made it anew, %d look like a newer version, the others did not matter", len(places), told, newer)
	if told < 30 || newer > 1 {
		t.Errorf("%d of %d places were noticed, %d taken for a newer version", told, len(places), newer)
	}
}

func TestCutOffAnywhere(t *testing.T) {
	files := pick(t, filled(t))
	whole := files["p.db"]
	for at := 0; at < len(whole); at += len(whole)/17 + 1 {
		files["p.db"] = whole[:at]
		if path := plant(t, files); !survives(t, path, fmt.Sprint("cut at ", at)) {
			t.Errorf("cut at %d of %d and nothing is told", at, len(whole))
		}
	}
}

func TestSomethingElseInItsPlace(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, path string)
		told bool
	}{
		{"an empty file", func(t *testing.T, p string) { no(t, os.Truncate(p, 0)) }, true},
		{"nothing", func(t *testing.T, p string) { no(t, os.Remove(p)) }, true},
		{"a folder", func(t *testing.T, p string) { no(t, os.Remove(p), os.MkdirAll(filepath.Join(p, "in it"), 0o700)) }, true},
		{"a stale -shm", func(t *testing.T, p string) { no(t, os.WriteFile(p+"-shm", bytes.Repeat([]byte{7}, 32<<10), 0o600)) }, false},
		{"a -wal of something else", func(t *testing.T, p string) { no(t, os.WriteFile(p+"-wal", bytes.Repeat([]byte{7}, 9000), 0o600)) }, false},
		{"a journal of something else", func(t *testing.T, p string) { no(t, os.WriteFile(p+"-journal", bytes.Repeat([]byte{7}, 9000), 0o600)) }, false},
		{"a folder named -wal", func(t *testing.T, p string) { no(t, os.Mkdir(p+"-wal", 0o700)) }, true},
		{"a folder named -shm", func(t *testing.T, p string) { no(t, os.Mkdir(p+"-shm", 0o700)) }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filled(t)
			tt.do(t, path)
			if told := survives(t, path, tt.name); told != tt.told {
				t.Errorf("told: %v", told)
			}
			d := openTest(t, path, Config{})
			if d.Damage() != nil {
				t.Error("damaged again:", d.Damage().Cause)
			}
		})
	}
}

// TestAPowerCutInARebuild: the next start goes on with what was set aside.
func TestAPowerCutInARebuild(t *testing.T) {
	for _, kept := range []bool{true, false} {
		path := filled(t)
		smash(t, path, "peers")
		if !kept {
			no(t, os.Remove(path+mirrorSuffix))
		}
		must(setAside(path))(t)
		no(t, os.WriteFile(path+".new", []byte("half of it"), 0o600))
		d := openTest(t, path, Config{})
		rebuilt(t, d, []string{"peers"})
		if _, err := os.Stat(path + ".new"); err == nil {
			t.Error("the half is still there")
		}
	}
}

func TestUsed(t *testing.T) {
	path := filled(t)
	if !Used(path) || Used(filepath.Join(t.TempDir(), "p.db")) {
		t.Error("a database is there or not")
	}
	no(t, os.Remove(path))
	if !Used(path) {
		t.Error("the second copy of the shares is there")
	}
	no(t, os.Rename(path+mirrorSuffix, path+asideMark+"20260501-120000.000"))
	if !Used(path) {
		t.Error("a damaged one is there")
	}
}

// TestWhatWasRemovedStaysRemoved: the second copy does not bring back what somebody stopped sharing.
func TestWhatWasRemovedStaysRemoved(t *testing.T) {
	path := filled(t)
	d := openTest(t, path, Config{})
	no(t, d.Shares().PutShare(docs), d.Shares().DeleteShare(music.ID))
	closeTest(t, d)
	smash(t, path, "shares")
	d = openTest(t, path, Config{})
	if got := must(d.Shares().Shares())(t); !cmp.Equal(got, []share.Share{docs}) || d.Damage() == nil {
		t.Error(got, d.Damage())
	}
	no(t, os.RemoveAll(path+mirrorSuffix), os.MkdirAll(filepath.Join(path+mirrorSuffix, "x"), 0o700)) // it can be neither written nor removed
	if err := d.Shares().DeleteShare(docs.ID); err == nil {
		t.Error("a share was removed, and may come back")
	}
	no(t, d.Shares().PutShare(music)) // the first copy is enough for that
}

// TestALostTailOfTheLog: a power cut takes the end of the write-ahead log. What is left is what some earlier moment was.
func TestALostTailOfTheLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	d := openTest(t, path, Config{})
	const n = 12
	for i := range n {
		no(t, d.Peers().PutPeer(discovery.Peer{ID: discovery.DeviceID{byte(i + 1)}, Name: fmt.Sprint(i), FirstSeen: day.AddDate(0, 0, i)}))
	}
	files := pick(t, path)
	delete(files, "p.db-shm")
	log := files["p.db-wal"]
	if len(log) == 0 {
		t.Fatal("there is no log")
	}
	most, cuts := 0, 0
	for at := 0; at <= len(log); at += len(log)/25 + 1 {
		for _, torn := range []bool{false, true} {
			files["p.db-wal"] = bytes.Clone(log[:at])
			if torn { // the file has its length, and not its content
				files["p.db-wal"] = append(files["p.db-wal"], make([]byte, len(log)-at)...)
			}
			cut := plant(t, files)
			got, err := Open(t.Context(), cut, Config{})
			no(t, err)
			peers := must(got.Peers().Peers())(t)
			for i, p := range peers {
				if p.Name != fmt.Sprint(i) {
					t.Errorf("cut at %d: peer %d is %q", at, i, p.Name)
				}
			}
			if got.Damage() != nil || len(peers) < most {
				t.Errorf("cut at %d: %d peers after %d before, %v", at, len(peers), most, got.Damage())
			}
			most = len(peers)
			cuts++
			closeTest(t, got)
			no(t, os.RemoveAll(filepath.Dir(cut)))
		}
	}
	files["p.db-wal"] = log
	got := openTest(t, plant(t, files), Config{})
	if peers := must(got.Peers().Peers())(t); len(peers) != n {
		t.Errorf("%d of %d peers in the whole log", len(peers), n)
	}
	t.Logf("%d cuts of a log of %d bytes, up to %d of %d peers", cuts, len(log), most, n)
}

// TestEachStepIsATransaction: a step that fails takes back itself, and not those before it.
func TestEachStepIsATransaction(t *testing.T) {
	path := filled(t)
	const second, third = "ALTER TABLE shares ADD COLUMN note TEXT NOT NULL DEFAULT 'x'", "CREATE TABLE more (a INTEGER) STRICT"
	if _, err := open(t.Context(), path, Config{}, append(migrations(), second, third+"; SELECT nonsense FROM nowhere")); err == nil || errors.Is(err, ErrDamaged) {
		t.Fatal("a step that fails:", err)
	}
	known := len(migrations())
	if v := userVersion(t, path); v != known+1 {
		t.Errorf("schema %d, and the second step was good", v)
	}
	if v := userVersion(t, fmt.Sprintf("%s.before-v%d", path, known+1)); v != known {
		t.Errorf("the copy has schema %d", v)
	}
	d, err := open(t.Context(), path, Config{}, append(migrations(), second, third))
	no(t, err)
	defer closeTest(t, d)
	if got := must(d.Shares().Shares())(t); !cmp.Equal(got, []share.Share{music}) || d.Damage() != nil {
		t.Error(got, d.Damage())
	}
	if v := userVersion(t, path); v != known+2 {
		t.Error("schema", v)
	}
	var rows int
	db, err := sql.Open("sqlite", dsn(fmt.Sprintf("%s.before-v%d", path, known+2), "query_only(1)"))
	no(t, err)
	defer db.Close()
	no(t, db.QueryRow("SELECT count(*) FROM jobs").Scan(&rows))
	if rows != 1 {
		t.Error("the copy has", rows, "jobs")
	}
}

// TestANewerOneIsNotTouched: not a byte of it changes, though much of it is unknown here.
func TestANewerOneIsNotTouched(t *testing.T) {
	path := filled(t)
	d, err := open(t.Context(), path, Config{}, append(migrations(), "ALTER TABLE jobs ADD COLUMN colour TEXT; CREATE TABLE pulls (id TEXT PRIMARY KEY) STRICT"))
	no(t, err)
	closeTest(t, d)
	before := pick(t, path)
	if _, err := Open(t.Context(), path, Config{}); !errors.Is(err, ErrNewer) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, pick(t, path)); diff != "" {
		t.Error("it was touched")
	}
}
