package catalogue

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery"
	"porchlight/discovery/calm"
	"porchlight/share"
	"porchlight/share/access"
	"porchlight/share/safefs"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func folder(t *testing.T, parts ...string) string {
	t.Helper()
	dir := filepath.Join(append([]string{t.TempDir()}, parts...)...)
	must(t, os.MkdirAll(dir, 0o755))
	return dir
}

func added(t *testing.T, c *Catalogue, path, name string) share.Share {
	t.Helper()
	s, err := c.Add(path, name)
	must(t, err)
	return s
}

func names(c *Catalogue) []string {
	var all []string
	for _, s := range c.List() {
		all = append(all, s.Name)
	}
	return all
}

func TestAddRenameRemove(t *testing.T) {
	changes := 0
	store := NewMemory()
	c := New(Config{Store: store, OnChange: func() { changes++ }})
	must(t, c.Load())
	defer c.Close()
	a := added(t, c, folder(t, "Photos"), "")
	b := added(t, c, folder(t, "photos"), "")
	if a.Name != "Photos" || b.Name != "photos 2" || a.ID == b.ID || a.Kind != share.Folder {
		t.Errorf("added %+v, %+v", a, b)
	}
	if _, err := c.Add(folder(t, "x"), "PHOTOS"); !errors.Is(err, ErrTaken) {
		t.Errorf("a taken name: %v", err)
	}
	if _, err := c.Add(a.Path+"/.", "again"); !errors.Is(err, ErrShared) {
		t.Errorf("the same folder: %v", err)
	}
	if err := c.Rename(b.ID, "pho\u0302tos"); err != nil {
		t.Error(err)
	}
	if err := c.Rename(b.ID, "PH\u00d4TOS"); err != nil {
		t.Errorf("its own name in capitals: %v", err)
	}
	for name, want := range map[string]error{"photos": ErrTaken, "": ErrName, "a\nb": ErrName, "\u202eevil": ErrName, strings.Repeat("x", 65): ErrName} {
		if err := c.Rename(b.ID, name); !errors.Is(err, want) {
			t.Errorf("rename to %q: %v", name, err)
		}
	}
	if diff := cmp.Diff([]string{"Photos", "PHÔTOS"}, names(c)); diff != "" {
		t.Error(diff)
	}
	if changes != 4 {
		t.Errorf("%d changes were told", changes)
	}
	again := New(Config{Store: store})
	must(t, again.Load())
	if diff := cmp.Diff(c.List(), again.List()); diff != "" {
		t.Error("after loading:", diff)
	}
	must(t, c.Remove(a.ID))
	if err := c.Remove(a.ID); !errors.Is(err, ErrUnknown) {
		t.Errorf("removed twice: %v", err)
	}
	if _, err := c.Get(a.ID); !errors.Is(err, ErrUnknown) {
		t.Errorf("get: %v", err)
	}
	if _, err := c.Tree(a.ID); !errors.Is(err, ErrUnknown) {
		t.Errorf("tree: %v", err)
	}
}

func TestNotShareable(t *testing.T) {
	home := folder(t, "home")
	c := New(Config{Own: []string{home}})
	for _, p := range []string{home, filepath.Dir(home), filepath.Join(home, "nothing")} {
		if _, err := c.Add(p, ""); !errors.Is(err, safefs.ErrNotShareable) {
			t.Errorf("%s: %v", p, err)
		}
	}
	if len(c.List()) != 0 {
		t.Error("something was added")
	}
}

func TestBecameUnshareable(t *testing.T) {
	store, dir := NewMemory(), folder(t, "x")
	s := added(t, New(Config{Store: store}), dir, "")
	c := New(Config{Store: store, Own: []string{filepath.Join(dir, "porchlight")}})
	must(t, os.Mkdir(filepath.Join(dir, "porchlight"), 0o755))
	must(t, c.Load())
	if _, err := c.Tree(s.ID); !errors.Is(err, safefs.ErrNotShareable) || !c.Offers(everyone)[0].Away {
		t.Errorf("tree: %v", err)
	}
}

// TestExchanged: the shared folder is exchanged for others while it is served, at last for a link to what may not be shared.
func TestExchanged(t *testing.T) {
	own := folder(t, "config")
	must(t, os.WriteFile(filepath.Join(own, "key"), []byte("secret"), 0o600))
	dir := folder(t, "music")
	must(t, os.WriteFile(filepath.Join(dir, "key"), []byte("first"), 0o644))
	c := New(Config{Own: []string{own}})
	s := added(t, c, dir, "")
	tree, err := c.Tree(s.ID)
	must(t, err)
	read := func() string {
		f, err := tree.Open("key")
		if err != nil {
			if !errors.Is(err, safefs.ErrGone) {
				t.Error(err)
			}
			return "gone"
		}
		defer f.Close()
		b, err := io.ReadAll(io.NewSectionReader(f, 0, 16))
		must(t, err)
		return string(b)
	}
	reads := func(want string) {
		t.Helper()
		for end := time.Now().Add(calm.Most(5 * time.Second)); ; time.Sleep(time.Millisecond) {
			got, away := read(), c.Offers(everyone)[0].Away
			if got == "secret" {
				t.Fatal("what may not be shared was read")
			}
			if got == want && away == (want == "gone") {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("reads %q, away is %v; want %q", got, away, want)
			}
		}
	}
	reads("first")
	must(t, os.Rename(dir, dir+"1"))
	reads("gone")
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "key"), []byte("second"), 0o644))
	reads("second")
	must(t, os.RemoveAll(dir))
	must(t, os.Symlink(own, dir))
	reads("gone")
	if _, err := tree.Open("key"); !errors.Is(err, safefs.ErrNotShareable) {
		t.Errorf("a link to what may not be shared: %v", err)
	}
	must(t, os.Remove(dir))
	must(t, os.Symlink(dir+"1", dir))
	reads("first")
	must(t, c.Close())
}

func TestAwayAndBack(t *testing.T) {
	store := NewMemory()
	dir := folder(t, "music")
	must(t, os.WriteFile(filepath.Join(dir, "song"), []byte("la"), 0o644))
	c := New(Config{Store: store})
	s := added(t, c, dir, "")
	away := func() bool { return c.Offers(everyone)[0].Away }
	tree, err := c.Tree(s.ID)
	must(t, err)
	if again, err := c.Tree(s.ID); err != nil || again != tree {
		t.Error("the tree was not kept")
	}
	if away() {
		t.Error("away though it is there")
	}
	must(t, os.Rename(dir, dir+"2"))
	late := New(Config{Store: store})
	must(t, late.Load())
	if !late.Offers(everyone)[0].Away {
		t.Error("offered though it is not there")
	}
	if _, err := late.Tree(s.ID); !errors.Is(err, safefs.ErrGone) {
		t.Errorf("tree of what is not there: %v", err)
	}
	must(t, os.Rename(dir+"2", dir))
	if late.Offers(everyone)[0].Away || away() {
		t.Error("away though it is back")
	}
	f, err := tree.Open("song")
	must(t, err)
	defer f.Close()
	must(t, c.Close())
	if b, err := io.ReadAll(io.NewSectionReader(f, 0, 2)); err != nil || string(b) != "la" {
		t.Errorf("an open file after close: %q, %v", b, err)
	}
	if _, err := c.Tree(s.ID); err == nil {
		t.Error("a tree after close")
	}
	must(t, late.Close())
}

func TestNamesOfFolders(t *testing.T) {
	long := strings.Repeat("ü", 60)
	for base, want := range map[string]string{"a": "a", " b ": "b", "x\u202ey\n": "xy", "\u202e": "Folder", long: strings.Repeat("ü", 32), "e\u0301": "\u00e9"} {
		if got := suggest("/d/" + base); got != want || discovery.CheckName(got) != nil {
			t.Errorf("%q: %q", base, got)
		}
	}
	all := []share.Share{{Name: strings.Repeat("ü", 32)}}
	if got := free(all, all[0].Name); got != strings.Repeat("ü", 31)+" 2" {
		t.Errorf("numbered: %q", got)
	}
}

func TestLimit(t *testing.T) {
	store, base := NewMemory(), t.TempDir()
	for i := range share.MaxShares {
		must(t, store.PutShare(share.Share{ID: share.ID{byte(i), byte(i >> 8), 1}, Name: fmt.Sprint(i), Path: filepath.Join(base, fmt.Sprint(i))}))
	}
	c := New(Config{Store: store})
	must(t, c.Load())
	if _, err := c.Add(folder(t, "x"), ""); !errors.Is(err, ErrMany) {
		t.Errorf("one too many: %v", err)
	}
}

// broken fails every change.
type broken struct{ *Memory }

var errBroken = errors.New("disk broken")

func (broken) PutShare(share.Share) error { return errBroken }
func (broken) DeleteShare(share.ID) error { return errBroken }

func TestStoreFails(t *testing.T) {
	store := NewMemory()
	kept := share.Share{ID: share.ID{1}, Name: "kept", Path: folder(t, "kept")}
	must(t, store.PutShare(kept))
	c := New(Config{Store: broken{store}, OnChange: func() { t.Error("a change was told") }})
	must(t, c.Load())
	_, err := c.Add(folder(t, "x"), "")
	for what, err := range map[string]error{"add": err, "rename": c.Rename(kept.ID, "y"), "remove": c.Remove(kept.ID)} {
		if !errors.Is(err, errBroken) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if diff := cmp.Diff([]string{"kept"}, names(c)); diff != "" {
		t.Error(diff)
	}
}

func TestConcurrentUse(t *testing.T) {
	c := New(Config{})
	base := t.TempDir()
	var wg sync.WaitGroup
	for i := range 16 {
		dir := filepath.Join(base, fmt.Sprint(i), "same")
		must(t, os.MkdirAll(dir, 0o755))
		wg.Go(func() {
			s, err := c.Add(dir, "")
			if err != nil {
				t.Error(err)
				return
			}
			c.Offers(everyone)
			if _, err := c.Tree(s.ID); err != nil {
				t.Error(err)
			}
			if i%2 == 0 {
				if err := c.Remove(s.ID); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, n := range names(c) {
		seen[n] = true
	}
	if len(seen) != 8 {
		t.Errorf("names are %q", names(c))
	}
	must(t, c.Close())
}

func everyone(share.Share) bool { return true }

// TestAllow: for whom a share is, is kept, and never becomes a list that cannot be kept.
func TestAllow(t *testing.T) {
	changes := 0
	kept := NewMemory()
	c := New(Config{Store: kept, OnChange: func() { changes++ }})
	defer c.Close() //nolint:errcheck // of a test
	toBo := share.Grant{Who: share.ToDevice, Device: discovery.DeviceID{2}, Level: share.LookOnly}
	open, err := c.Add(t.TempDir(), "open")
	if err != nil || !slices.Equal(open.Audience, access.Default(share.Folder, [32]byte{})) {
		t.Fatal(open, err)
	}
	own, err := c.Add(t.TempDir(), "own", toBo)
	if err != nil || !slices.Equal(own.Audience, []share.Grant{toBo}) {
		t.Fatal(own, err)
	}
	if _, err := c.Add(t.TempDir(), "bad", share.Grant{}); !errors.Is(err, share.ErrGrant) {
		t.Error(err)
	}
	for _, bad := range [][]share.Grant{nil, {}, {{}}, slices.Repeat([]share.Grant{toBo}, share.MaxGrants+1)} {
		if err := c.Allow(own.ID, bad); !errors.Is(err, share.ErrGrant) {
			t.Errorf("%d rows: %v", len(bad), err)
		}
	}
	if err := c.Allow(share.ID{9}, []share.Grant{toBo}); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if changes != 2 {
		t.Errorf("%d changes", changes)
	}
	if err := c.Allow(open.ID, []share.Grant{{Who: share.ToNobody}}); err != nil || changes != 3 {
		t.Error(err, changes)
	}
	all, err := kept.Shares()
	for _, s := range all {
		if want := map[string]share.Who{"open": share.ToNobody, "own": share.ToDevice}[s.Name]; len(s.Audience) != 1 || s.Audience[0].Who != want {
			t.Errorf("%+v", s)
		}
	}
	if err != nil || len(all) != 2 {
		t.Error(all, err)
	}
	if got := c.Offers(func(s share.Share) bool { return s.Name == "own" }); len(got) != 1 || got[0].ID != own.ID {
		t.Error(got)
	}
}
