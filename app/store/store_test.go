package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"porchlight/discovery"
	"porchlight/discovery/presence"
	"porchlight/share"
	"porchlight/share/catalogue"
	"porchlight/share/content"
	"porchlight/transfer"
	"porchlight/transfer/download"
)

var (
	_ content.Store   = Layers{}
	_ presence.Store  = Peers{}
	_ catalogue.Store = Shares{}
	_ download.Store  = Jobs{}
)

func logTo(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

func openTest(t *testing.T, path string, cfg Config) *DB {
	t.Helper()
	cfg.Log = logTo(t)
	d, err := Open(t.Context(), path, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeTest(t, d) })
	return d
}

func closeTest(t *testing.T, d *DB) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// must returns the value, or ends the test.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func no(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

var (
	day   = time.Date(2026, 5, 1, 12, 0, 0, 123456789, time.UTC)
	music = share.Share{ID: share.ID{1}, Kind: share.Folder, Name: "Müsik", Path: "/home/\xff/mu?sic", Added: day}
	docs  = share.Share{ID: share.ID{2}, Kind: share.Drive, Name: "Docs", Path: "/docs", Added: day.Add(time.Hour)}
)

func TestSharesRound(t *testing.T) {
	odd := "a?b#c%20" // what a URI of SQLite would take for more than a name
	if runtime.GOOS == "windows" {
		odd = "a b#c%20"
	}
	path := filepath.Join(t.TempDir(), odd, "porchlight.db")
	no(t, os.Mkdir(filepath.Dir(path), 0o700))
	d := openTest(t, path, Config{})
	s := d.Shares()
	no(t, s.PutShare(docs), s.PutShare(music), s.PutShare(music))
	if got := must(s.Shares())(t); !cmp.Equal(got, []share.Share{music, docs}) {
		t.Error(cmp.Diff(got, []share.Share{music, docs}))
	}
	named := music
	named.Name = "Songs"
	no(t, s.PutShare(named), s.DeleteShare(docs.ID), s.DeleteShare(share.ID{9}))
	closeTest(t, d)
	again := openTest(t, path, Config{})
	if got := must(again.Shares().Shares())(t); !cmp.Equal(got, []share.Share{named}) {
		t.Error("after opening again:", got)
	}
	if again.Health() != nil || again.Damage() != nil {
		t.Error(again.Health())
	}
	if fi, err := os.Stat(path); err != nil || os.PathSeparator == '/' && fi.Mode().Perm() != 0o600 {
		t.Error("open to others:", fi.Mode(), err)
	}
}

func TestPeersRound(t *testing.T) {
	d := openTest(t, filepath.Join(t.TempDir(), "p.db"), Config{})
	p := discovery.Peer{
		ID: discovery.DeviceID{7}, Name: "bo", FirstName: "bob", Workgroup: "HOME", State: discovery.Online,
		Addresses: []netip.AddrPort{netip.MustParseAddrPort("[fe80::1%eth0]:47470"), netip.MustParseAddrPort("192.0.2.4:47470"), netip.MustParseAddrPort("169.254.1.1:1")},
		Install:   "abc", Caps: []string{"pack"}, FirstSeen: day, LastSeen: day.Add(time.Second), Manual: true, Version: "1", DialBack: true,
	}
	bare := discovery.Peer{ID: discovery.DeviceID{8}, FirstSeen: day.Add(time.Hour)}
	no(t, d.Peers().PutPeer(bare), d.Peers().PutPeer(p))
	want := p
	want.State, want.Addresses = discovery.Offline, p.Addresses[1:2]
	bare.State = discovery.Offline
	got := must(d.Peers().Peers())(t)
	if diff := cmp.Diff([]discovery.Peer{want, bare}, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	no(t, d.Peers().DeletePeer(p.ID))
	if got := must(d.Peers().Peers())(t); len(got) != 1 {
		t.Error(got)
	}
}

func TestJobsRound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	d := openTest(t, path, Config{})
	j := d.Jobs()
	for want := transfer.JobID(1); want < 4; want++ {
		if id := must(j.NextJob())(t); id != want {
			t.Errorf("number %d, want %d", id, want)
		}
	}
	job := transfer.Job{
		ID: 3, From: "bo", Title: "a", State: transfer.Running, Total: 10, Created: day, Result: "/in/\xfe",
		Request:  transfer.Request{Source: discovery.DeviceID{1}, Share: share.ID{2}, ShareName: "Music", Paths: []share.Path{"", "a/b"}, Into: "/in/\xff", Check: true},
		Problems: []transfer.Problem{{Path: "a/b", Trouble: transfer.NameTrouble, As: "b_"}},
	}
	no(t, j.PutJob(job))
	job.Bytes, job.Rate = 5, 100 // progress
	no(t, j.PutJob(job))
	job.Order, job.Sources = 7, []transfer.SourceRate{{Device: discovery.DeviceID{2}, Bytes: 4}}
	no(t, j.PutJob(job))
	job.State, job.Bytes, job.Ended, job.Took, job.Fetched = transfer.Done, 10, day.Add(time.Minute), time.Second, 9
	no(t, j.PutJob(job))
	closeTest(t, d)
	d = openTest(t, path, Config{})
	if got := must(d.Jobs().Jobs())(t); !cmp.Equal(got, []transfer.Job{job}) {
		t.Error(cmp.Diff(got, []transfer.Job{job}))
	}
	no(t, d.Jobs().DeleteJob(3))
	if id := must(d.Jobs().NextJob())(t); id != 4 {
		t.Error("number given out twice:", id)
	}
	no(t, d.Jobs().PutJob(job)) // after a deletion, whole again
	if got := must(d.Jobs().Jobs())(t); len(got) != 1 || got[0].Request.Into != job.Request.Into {
		t.Error(got)
	}
}

func TestUnreadableJobIsLeftOut(t *testing.T) {
	d := openTest(t, filepath.Join(t.TempDir(), "p.db"), Config{})
	no(t, d.Jobs().PutJob(transfer.Job{ID: 1}), d.Jobs().PutJob(transfer.Job{ID: 2}))
	if _, err := d.state.Exec("UPDATE jobs SET body='{' WHERE id=1"); err != nil {
		t.Fatal(err)
	}
	if got := must(d.Jobs().Jobs())(t); len(got) != 1 || got[0].ID != 2 {
		t.Error(got)
	}
}

func TestLayersAreBounded(t *testing.T) {
	d := openTest(t, filepath.Join(t.TempDir(), "p.db"), Config{MaxLayers: 20})
	l := d.Layers()
	two := content.Layer{Size: 2 << 20, Root: content.Hash{1}, Pieces: []content.Hash{{2}, {3}}}
	for i := range 50 {
		no(t, l.PutLayer(share.Version{byte(i)}, two))
	}
	one := content.Layer{Size: 5, Root: content.Hash{9}}
	no(t, l.PutLayer(share.Version{99}, one))
	var rows int
	no(t, d.cache.QueryRow("SELECT count(*) FROM layers").Scan(&rows))
	if rows > 20 || rows < 15 {
		t.Errorf("%d rows of at most 20", rows)
	}
	for v, want := range map[byte]*content.Layer{49: &two, 99: &one, 0: nil} {
		got, ok, err := l.Layer(share.Version{v})
		if err != nil || ok != (want != nil) || ok && !cmp.Equal(got, *want) {
			t.Errorf("layer %d: %v %v %v", v, got, ok, err)
		}
	}
}

func TestLayersAreBoundedByBytes(t *testing.T) {
	d := openTest(t, filepath.Join(t.TempDir(), "p.db"), Config{MaxPieces: 32 * 100})
	for i := range 30 {
		no(t, d.Layers().PutLayer(share.Version{byte(i)}, content.Layer{Pieces: make([]content.Hash, 10)}))
	}
	var n int64
	no(t, d.cache.QueryRow("SELECT sum(length(pieces)) FROM layers").Scan(&n))
	if n > 32*100 || n < 32*50 {
		t.Errorf("%d bytes", n)
	}
}

func TestManyWritersAtOnce(t *testing.T) {
	d := openTest(t, filepath.Join(t.TempDir(), "p.db"), Config{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 10 {
				if err := errors.Join(
					d.Jobs().PutJob(transfer.Job{ID: transfer.JobID(i + 1), State: transfer.Running, Bytes: int64(n)}),
					d.Layers().PutLayer(share.Version{byte(i), byte(n)}, content.Layer{Size: 1}),
				); err != nil {
					t.Error(err)
				}
				if _, err := d.Jobs().Jobs(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := must(d.Jobs().Jobs())(t); len(got) != 4 || got[0].Bytes != 9 {
		t.Error(got)
	}
}

func TestMigrationKeepsACopy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	d := openTest(t, path, Config{})
	no(t, d.Shares().PutShare(music))
	closeTest(t, d)

	bad := append(migrations(), "ALTER TABLE shares ADD COLUMN note TEXT; SELECT nonsense FROM nowhere")
	if _, err := open(t.Context(), path, Config{}, bad); err == nil {
		t.Fatal("a step that fails was taken")
	}
	d = openTest(t, path, Config{}) // nothing of the failed step is there
	closeTest(t, d)

	const step = "ALTER TABLE shares ADD COLUMN note TEXT NOT NULL DEFAULT 'x'"
	good := append(migrations(), step)
	d, err := open(t.Context(), path, Config{Log: logTo(t)}, good)
	no(t, err)
	if got := must(d.Shares().Shares())(t); !cmp.Equal(got, []share.Share{music}) {
		t.Error(got)
	}
	closeTest(t, d)

	known := len(migrations())
	copy := fmt.Sprintf("%s.before-v%d", path, known+1)
	var newer error
	if _, newer = Open(t.Context(), path, Config{}); !errors.Is(newer, ErrNewer) || !strings.Contains(newer.Error(), fmt.Sprintf("schema %d, known up to %d", known+1, known)) {
		t.Error("a newer file:", newer)
	}
	if v := userVersion(t, path); v != known+1 {
		t.Error("a newer file was touched:", v)
	}
	if v := userVersion(t, copy); v != known {
		t.Error("the copy has schema", v)
	}
	copied := openTest(t, copy, Config{})
	if got := must(copied.Shares().Shares())(t); !cmp.Equal(got, []share.Share{music}) {
		t.Error("in the copy:", got)
	}
}

func userVersion(t *testing.T, path string) (v int) {
	t.Helper()
	db, err := sql.Open("sqlite", dsn(path, "query_only(1)"))
	no(t, err)
	defer db.Close()
	no(t, db.QueryRow("PRAGMA user_version").Scan(&v))
	return v
}

// filled makes a database with something in every table and returns its path.
func filled(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range must(filledOnce())(t) {
		no(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	return filepath.Join(dir, "p.db")
}

// filledOnce returns the files of such a database: each of its hundreds of commits waits for the disk, and once is enough.
var filledOnce = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "filled")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	d, err := Open(context.Background(), filepath.Join(dir, "p.db"), Config{})
	if err != nil {
		return nil, err
	}
	err = errors.Join(d.Shares().PutShare(music), d.Peers().PutPeer(discovery.Peer{ID: discovery.DeviceID{1}, Name: "bo"}))
	for range 5 {
		_, jerr := d.Jobs().NextJob()
		err = errors.Join(err, jerr)
	}
	err = errors.Join(err, d.Jobs().PutJob(transfer.Job{ID: 5, Title: "five"}))
	for i := range 200 {
		err = errors.Join(err, d.Layers().PutLayer(share.Version{byte(i)}, content.Layer{Size: 1, Root: content.Hash{byte(i)}, Pieces: make([]content.Hash, 20)}))
	}
	if err = errors.Join(err, d.Close()); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	files := map[string][]byte{}
	for _, e := range entries {
		data, rerr := os.ReadFile(filepath.Join(dir, e.Name()))
		files[e.Name()], err = data, errors.Join(err, rerr)
	}
	return files, err
})

// smash overwrites the root page of a table with zeros.
func smash(t *testing.T, path, table string) {
	t.Helper()
	db, err := sql.Open("sqlite", dsn(path, "query_only(1)"))
	no(t, err)
	var page, size int64
	no(t, db.QueryRow("SELECT rootpage FROM sqlite_schema WHERE name=?", table).Scan(&page), db.QueryRow("PRAGMA page_size").Scan(&size), db.Close())
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	no(t, err)
	_, err = f.WriteAt(bytes.Repeat([]byte{0xA5}, int(size)), (page-1)*size)
	no(t, err, f.Close())
}

func TestDamage(t *testing.T) {
	for _, tt := range []struct {
		name   string
		damage func(*testing.T, string)
		lost   []string
		next   transfer.JobID
	}{
		{"not a database", func(t *testing.T, p string) { no(t, os.WriteFile(p, bytes.Repeat([]byte("x"), 5000), 0o600)) }, []string{"shares", "blocked", "verified", "peers", "jobs"}, 1001},
		{"shares", func(t *testing.T, p string) { smash(t, p, "shares") }, []string{"shares"}, 6},
		{"jobs", func(t *testing.T, p string) { smash(t, p, "jobs") }, []string{"jobs"}, 6},
		{"piece hashes", func(t *testing.T, p string) { smash(t, p, "layers") }, nil, 6},
		{"cut off", func(t *testing.T, p string) { no(t, os.Truncate(p, 4096)) }, []string{"shares", "blocked", "verified", "peers", "jobs"}, 1001},
	} {
		for _, second := range []string{"whole", "damaged", "gone"} {
			t.Run(tt.name+", second copy "+second, func(t *testing.T) {
				path, lost := filled(t), tt.lost
				tt.damage(t, path)
				switch second {
				case "whole":
					lost = slices.DeleteFunc(slices.Clone(lost), func(s string) bool { return s == "shares" || s == "blocked" || s == "verified" })
				case "damaged":
					no(t, os.Truncate(path+mirrorSuffix, 100))
				case "gone":
					no(t, os.Remove(path+mirrorSuffix))
				}
				d := openTest(t, path, Config{})
				rebuilt(t, d, lost)
				if id := must(d.Jobs().NextJob())(t); id != tt.next {
					t.Errorf("next job %d, want %d", id, tt.next)
				}
				no(t, d.Shares().PutShare(docs))
				closeTest(t, d)
				if again := openTest(t, path, Config{}); again.Damage() != nil {
					t.Error("damaged again:", again.Damage())
				}
			})
		}
	}
}

// rebuilt checks what is there of a database that filled made, and what is told.
func rebuilt(t *testing.T, d *DB, lost []string) {
	t.Helper()
	if d.Damage() == nil || !cmp.Equal(d.Damage().Lost, lost, cmpopts.EquateEmpty()) {
		t.Fatalf("lost %+v, want %q", d.Damage(), lost)
	}
	want := []string{"store"}
	for _, table := range lost {
		want = append(want, "store-"+table)
	}
	var told []string
	for _, h := range d.Health() {
		told = append(told, h.Service)
		if h.Trouble == "" {
			t.Error("no reason:", h)
		}
	}
	if !cmp.Equal(told, want) {
		t.Errorf("it tells of %q, want %q", told, want)
	}
	if aside := d.Damage().Aside; aside != "" {
		if _, err := os.Stat(aside); err != nil {
			t.Error("the damaged file is gone:", err)
		}
	}
	if got := must(d.Shares().Shares())(t); slices.Contains(lost, "shares") != (len(got) == 0) || len(got) > 0 && !cmp.Equal(got, []share.Share{music}) {
		t.Error("shares:", got)
	}
	if got := must(d.Peers().Peers())(t); slices.Contains(lost, "peers") != (len(got) == 0) {
		t.Error("peers:", got)
	}
	if got := must(d.Jobs().Jobs())(t); slices.Contains(lost, "jobs") != (len(got) == 0) {
		t.Error("jobs:", got)
	}
}

func TestOpenObeysItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, filepath.Join(t.TempDir(), "p.db"), Config{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func BenchmarkProgress(b *testing.B) {
	d, err := Open(b.Context(), filepath.Join(b.TempDir(), "p.db"), Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close() //nolint:errcheck // the directory goes with it
	job := transfer.Job{ID: 1, State: transfer.Running, Request: transfer.Request{Paths: make([]share.Path, 10_000)}}
	for b.Loop() {
		job.Bytes++
		if err := d.Jobs().PutJob(job); err != nil {
			b.Fatal(err)
		}
	}
}

func peerOf(n byte) discovery.Peer { return discovery.Peer{ID: discovery.DeviceID{n}, Name: "bo"} }
