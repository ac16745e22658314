package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"porchlight/app/config"
	"porchlight/app/store"
	"porchlight/discovery"
	"porchlight/discovery/identity"
	"porchlight/share"
	"porchlight/share/access"
	"porchlight/transfer"
)

// homes lists the homes that each release left behind (testdata/homes/README.md).
func homes(t *testing.T) (versions []string) {
	t.Helper()
	entries, err := os.ReadDir("testdata/homes")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			versions = append(versions, e.Name())
		}
	}
	if len(versions) == 0 {
		t.Fatal("there is no home of any release")
	}
	return versions
}

// TestEveryReleaseHasAHome: whoever releases a version leaves one of its homes here.
func TestEveryReleaseHasAHome(t *testing.T) {
	changes, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	known, released := homes(t), 0
	for line := range strings.Lines(string(changes)) {
		version, ok := strings.CutPrefix(strings.TrimSpace(line), "## ")
		if !ok || version == "Next" {
			continue
		}
		if released++; !slices.Contains(known, version) {
			t.Errorf("there is no home of %s; testdata/homes/README.md says how to make it", version)
		}
	}
	if released == 0 {
		t.Error("the list of changes names no release")
	}
}

// homeOf returns a copy of the home of a release.
func homeOf(t *testing.T, version string) string {
	t.Helper()
	home := filepath.Join(t.TempDir(), "home")
	if err := os.CopyFS(home, os.DirFS(filepath.Join("testdata", "homes", version))); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "windows" { // its key would be wrapped for the user who made it
		if err := os.Remove(filepath.Join(home, "device.key")); err != nil {
			t.Fatal(err)
		}
		if _, err := identity.Renew(home); err != nil {
			t.Fatal(err)
		}
	}
	return home
}

func openHome(t *testing.T, home string) *Engine {
	t.Helper()
	e, err := Open(t.Context(), Config{Home: home, Version: "test", Loopback: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// ofAnna checks that everything is there that the homes of the releases have.
func ofAnna(t *testing.T, e *Engine) {
	t.Helper()
	ctx := t.Context()
	self, err := e.Self(ctx)
	if err != nil || self.Name != "Anna's computer" || self.Workgroup != discovery.DefaultWorkgroup || self.Downloads != "/tmp/anna/Got" && runtime.GOOS != "windows" {
		t.Errorf("%+v %v", self, err)
	}
	if want := "QKFFQU6-YYQOUH5-DO23TZ7-RTASLAV-4FKJTLH-7GIKPTI-633H3XU-5KPEMA7"; self.ID.String() != want && runtime.GOOS != "windows" {
		t.Errorf("it is %s, not %s", self.ID, want)
	}
	e.mu.Lock()
	s := e.settings
	e.mu.Unlock()
	if k := s.Networks["range 10.83.0.0/24"]; s.Network != discovery.Home || k.Network != discovery.Office || k.Said.IsZero() {
		t.Errorf("networks %+v, others count as %s", s.Networks, s.Network)
	}
	shares, err := e.Shares(ctx)
	if err != nil || len(shares) != 1 || shares[0].Name != "Müsik" || shares[0].Path != "/tmp/anna/Music" || shares[0].Kind != share.Folder || shares[0].Added.IsZero() {
		t.Errorf("shares %+v %v", shares, err)
	}
	peers, err := e.Peers(ctx)
	if err != nil || len(peers) != 1 || peers[0].Name != "bo" || peers[0].State != discovery.Offline || len(peers[0].Addresses) == 0 || peers[0].FirstSeen.IsZero() {
		t.Errorf("peers %+v %v", peers, err)
	}
	jobs, err := e.Jobs(ctx)
	if err != nil || len(jobs) != 2 {
		t.Fatalf("jobs %+v %v", jobs, err)
	}
	paused, done := jobs[0], jobs[1]
	if done.State != transfer.Done || done.Title != "small.txt" || done.Bytes != 5 || done.From != "bo" || done.Ended.IsZero() || !slices.Equal(done.Request.Paths, []share.Path{"small.txt"}) {
		t.Errorf("done: %+v", done)
	}
	if paused.State != transfer.Paused || paused.Title != "large.bin" || paused.Total != 8<<30 || paused.Bytes == 0 || paused.Request.ShareName != "Files" || paused.Request.Source != peers[0].ID {
		t.Errorf("paused: %+v", paused)
	}
}

// TestHomesOfEveryRelease: the present program opens them, finds everything, and goes on with it.
func TestHomesOfEveryRelease(t *testing.T) {
	for _, version := range homes(t) {
		t.Run(version, func(t *testing.T) {
			home := homeOf(t, version)
			e := openHome(t, home)
			ofAnna(t, e)
			if h := health(t, e); len(h) > 0 {
				t.Errorf("something is said to be wrong: %v", h)
			}
			if s := e.catalogue.List()[0]; s.Lost || !mayLook(access.Subject{Device: discovery.DeviceID{9}, Nearby: true}, s, time.Now()) {
				t.Errorf("what was for everyone nearby is not: %+v", s)
			}
			if version == "0.1.0" {
				restricts(t, e)
			}
			if err := e.SetWorkgroup(t.Context(), discovery.DefaultWorkgroup); err != nil { // the settings are written anew
				t.Error(err)
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
			ofAnna(t, openHome(t, home))
		})
	}
}

// restricts has the one share be for one device, and another device blocked, in a home from before there was either; both is kept.
func restricts(t *testing.T, e *Engine) {
	t.Helper()
	bo, s := e.roster.Snapshot()[0], e.catalogue.List()[0]
	to := []share.Grant{{Who: share.ToDevice, Device: bo.ID, Level: share.LookOnly}}
	if err := errors.Join(e.AllowShare(t.Context(), s.ID, to), e.Block(t.Context(), bo.ID)); err != nil {
		t.Fatal(err)
	}
	all, err := e.db.Shares().Shares()
	if err != nil || len(all) != 1 || !slices.Equal(all[0].Audience, to) {
		t.Errorf("%+v %v", all, err)
	}
	if blocked, err := e.db.Blocks().Blocks(); err != nil || len(blocked) != 1 || blocked[0].Device != bo.ID || blocked[0].Name != "bo" {
		t.Errorf("%+v %v", blocked, err)
	}
	if err := errors.Join(e.AllowShare(t.Context(), s.ID, access.Open()), e.Unblock(t.Context(), bo.ID)); err != nil {
		t.Error(err)
	}
}

func health(t *testing.T, e *Engine) (services []string) {
	t.Helper()
	self, err := e.Self(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range self.Health {
		services = append(services, h.Service)
	}
	return services
}

// TestDamagedHomes: of each home of a release something is damaged. Who this computer is, and what it shares, is there
// whatever it was, and what was lost is told.
func TestDamagedHomes(t *testing.T) {
	garbage := bytes.Repeat([]byte{0xA5, 0}, 3000)
	for _, tt := range []struct {
		name   string
		damage func(home string) error
		told   []string
		all    bool // nothing is lost
	}{
		{"the database is garbage", func(h string) error { return os.WriteFile(config.DatabasePath(h), garbage, 0o600) }, []string{"store", "store-jobs", "store-peers"}, false},
		{"the database is empty", func(h string) error { return os.Truncate(config.DatabasePath(h), 0) }, []string{"store", "store-jobs", "store-peers"}, false},
		{"the database is gone", func(h string) error { return os.Remove(config.DatabasePath(h)) }, []string{"store", "store-jobs", "store-peers"}, false},
		{"the settings are empty", func(h string) error { return os.Truncate(config.SettingsPath(h), 0) }, []string{"settings"}, true},
		{"the settings are garbage", func(h string) error { return os.WriteFile(config.SettingsPath(h), garbage, 0o600) }, []string{"settings"}, true},
		{"the settings are gone", func(h string) error { return os.Remove(config.SettingsPath(h)) }, []string{"settings"}, true},
		{"the key is empty", func(h string) error { return os.Truncate(filepath.Join(h, "device.key"), 0) }, []string{"key"}, true},
		{"the key is gone", func(h string) error { return os.Remove(filepath.Join(h, "device.key")) }, []string{"key"}, true},
		{"key and database are gone", func(h string) error {
			return errors.Join(os.Remove(filepath.Join(h, "device.key")), os.Remove(config.DatabasePath(h)))
		}, []string{"key", "store", "store-jobs", "store-peers"}, false},
		{"all is damaged", func(h string) error {
			return errors.Join(os.Truncate(filepath.Join(h, "device.key"), 9), os.Truncate(config.DatabasePath(h), 5000), os.Truncate(config.SettingsPath(h), 9))
		}, []string{"key", "settings", "store", "store-jobs", "store-peers"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, version := range homes(t) {
				home := homeOf(t, version)
				e := openHome(t, home)
				want, err := e.Self(t.Context())
				if err == nil {
					err = errors.Join(e.SetWorkgroup(t.Context(), "OTHER"), e.SetWorkgroup(t.Context(), discovery.DefaultWorkgroup)) // so that there are settings before these
				}
				if err = errors.Join(err, e.Close(), tt.damage(home)); err != nil {
					t.Fatal(err)
				}
				e = openHome(t, home)
				got, err := e.Self(t.Context())
				if err != nil || got.ID != want.ID || got.Name != want.Name || got.Downloads != want.Downloads {
					t.Errorf("it is %s %q, and was %s %q: %v", got.ID, got.Name, want.ID, want.Name, err)
				}
				if shares, err := e.Shares(t.Context()); err != nil || len(shares) != 1 || shares[0].Name != "Müsik" {
					t.Errorf("shares %+v %v", shares, err)
				}
				if told := health(t, e); !slices.Equal(told, tt.told) {
					t.Errorf("told: %q, want %q", told, tt.told)
				}
				if jobs, err := e.Jobs(t.Context()); err != nil || (len(jobs) == 2) != tt.all {
					t.Errorf("%d jobs %v", len(jobs), err)
				}
				if err := e.Close(); err != nil {
					t.Error(err)
				}
				if told := health(t, openHome(t, home)); len(told) > 0 {
					t.Errorf("told again: %q", told)
				}
			}
		})
	}
}

// TestHomesOfTheFutureAreLeftAlone: not a byte of them changes, and it is said why.
func TestHomesOfTheFutureAreLeftAlone(t *testing.T) {
	for _, tt := range []struct {
		name string
		age  func(home string) error
		want error
	}{
		{"settings", func(h string) error {
			data, err := os.ReadFile(config.SettingsPath(h))
			if err != nil {
				return err
			}
			var all map[string]any
			if err := json.Unmarshal(data, &all); err != nil {
				return err
			}
			all["format"], all["name"] = 2, []string{"Anna's", "computer"}
			if data, err = json.Marshal(all); err != nil {
				return err
			}
			return os.WriteFile(config.SettingsPath(h), data, 0o600)
		}, config.ErrNewer},
		{"database", func(h string) error {
			f, err := os.OpenFile(config.DatabasePath(h), os.O_RDWR, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte{0, 0, 0, 99}, 60) // user_version: https://sqlite.org/fileformat2.html
			return errors.Join(err, f.Close())
		}, store.ErrNewer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, version := range homes(t) {
				home := homeOf(t, version)
				if err := errors.Join(openHome(t, home).Close(), tt.age(home)); err != nil {
					t.Fatal(err)
				}
				before := filesOf(t, home)
				if e, err := Open(t.Context(), Config{Home: home, Version: "test", Loopback: true}); !errors.Is(err, tt.want) {
					if err == nil {
						err = e.Close()
					}
					t.Fatalf("opened: %v", err)
				}
				for name, data := range filesOf(t, home) {
					if before[name] != data {
						t.Errorf("%s has changed", name)
					}
				}
			}
		})
	}
}

func filesOf(t *testing.T, home string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(os.DirFS(home), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "-shm") || strings.HasSuffix(path, ".lock") {
			return err
		}
		data, err := os.ReadFile(filepath.Join(home, path))
		out[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestACopyBecomesANewComputer: while both run. Afterwards each sees the other as another one, and shares and pulls are there.
func TestACopyBecomesANewComputer(t *testing.T) {
	a := start(t, "anna", "")
	a.put("music/song.txt", []byte("la la"))
	offer := a.offer("music")
	a.stop()
	copied := filepath.Join(t.TempDir(), "home")
	if err := os.CopyFS(copied, os.DirFS(a.home)); err != nil {
		t.Fatal(err)
	}
	a, b := start(t, "anna", a.home), start(t, "copy", copied)
	b.until("the copy is noticed", func() bool { return slices.Contains(health(t, b.Engine), "twin") })
	id, err := b.NewIdentity(t.Context())
	if err != nil || id == a.id || id.IsZero() {
		t.Fatal(id, err)
	}
	self, err := b.Self(t.Context())
	if err != nil || self.ID != id || self.Port == 0 || slices.Contains(health(t, b.Engine), "twin") {
		t.Errorf("%+v %v", self, err)
	}
	b.id = id
	meet(a, b)
	for _, w := range []*world{a, b} {
		shares, err := w.Shares(t.Context())
		if err != nil || len(shares) != 1 || shares[0].ID != offer.ID {
			t.Errorf("shares %+v %v", shares, err)
		}
	}
	if offers, err := a.Offers(t.Context(), id); err != nil || len(offers) != 1 || offers[0].ID != offer.ID {
		t.Errorf("the new one offers %+v %v", offers, err)
	}
	if again, err := b.NewIdentity(t.Context()); err != nil || again == id {
		t.Errorf("once more: %v %v", again, err)
	}
	b.stop()
	kept := openHome(t, copied)
	if self, err := kept.Self(t.Context()); err != nil || self.ID == a.id || self.ID == id {
		t.Errorf("after a restart it is %s %v", self.ID, err)
	}
	if _, err := identity.Load(a.home, false); err != nil {
		t.Error(err)
	}
}

// TestManyNewIdentitiesAtOnce: one after another, and the last one stays.
func TestManyNewIdentitiesAtOnce(t *testing.T) {
	w := start(t, "anna", "")
	got := make(chan discovery.DeviceID, 3)
	for range cap(got) {
		go func() {
			id, err := w.NewIdentity(t.Context())
			if err != nil {
				t.Error(err)
			}
			got <- id
		}()
	}
	seen := map[discovery.DeviceID]bool{w.id: true}
	for range cap(got) {
		seen[<-got] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d identities of 4", len(seen))
	}
	key, err := identity.Load(w.home, false)
	if err != nil {
		t.Fatal(err)
	}
	w.within(5*time.Second, "it listens as the one that was kept", func() bool {
		s, err := w.Self(t.Context())
		return err == nil && s.ID == key.ID() && s.Port != 0
	})
}
