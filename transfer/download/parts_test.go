package download

import (
	"hash/maphash"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"porchlight/share"
	"porchlight/share/content"
	"porchlight/share/safefs"
	"porchlight/transfer"
)

func TestSpoolKeepsOrderBeyondMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	s := newSpool(func() (scratch, error) { return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) })
	defer s.discard()
	const n = 40_000
	in := func(i int) item {
		return item{src: share.Path("dir/source name " + strconv.Itoa(i)), dir: "dir", name: "n" + strconv.Itoa(i), size: int64(i) << 20, mtime: fakeTime, version: share.Version{byte(i)}, look: i%2 == 0}
	}
	next := 0
	drain := func(to int) {
		for next < to {
			var it item
			ok, _, _, err := s.take(&it)
			want := in(next)
			if !ok || err != nil || it.src != want.src || it.dir != want.dir || it.name != want.name || it.size != want.size || !it.mtime.Equal(want.mtime) || it.version != want.version || it.look != want.look {
				t.Fatalf("item %d: %+v %v %v", next, it, ok, err)
			}
			next++
		}
	}
	for i := range n {
		it := in(i)
		if err := s.push(&it); err != nil {
			t.Fatal(err)
		}
		if i%1000 == 0 {
			drain(i / 2)
		}
		if len(s.tail) > spoolChunk+256 || len(s.head) > spoolChunk+256 {
			t.Fatal("it holds too much in memory")
		}
	}
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		t.Error("nothing was spilled")
	}
	drain(n)
	var it item
	ok, more, wake, err := s.take(&it)
	if ok || !more || err != nil {
		t.Error("not waiting for more")
	}
	s.close()
	<-wake
	if ok, more, _, _ = s.take(&it); ok || more {
		t.Error("not at the end")
	}
}

// TestNamesOnDisksThatFoldCase stands in for a disk that few test machines have.
func TestNamesOnDisksThatFoldCase(t *testing.T) {
	l := &lister{pull: &pull{tally: &tally{}}, names: safefs.NewNames(true, true, 0), seed: maphash.MakeSeed()}
	up := &level{used: map[uint64]int{}}
	for _, tt := range [][2]string{{"A.txt", "A.txt"}, {"a.txt", "a (2).txt"}, {"A (2).TXT", "A (2) (2).TXT"}, {"a.TXT", "a (3).TXT"}, {"x?", "x_"}, {"x_", "x_ (2)"}, {"NUL", "_NUL"}, {"straße", "straße"}, {"STRASSE", "STRASSE (2)"}} {
		if got, _, err := l.pick(up, tt[0], 1); err != nil || got != tt[1] {
			t.Errorf("%q became %q, want %q (%v)", tt[0], got, tt[1], err)
		}
	}
}

func TestLayersAreKept(t *testing.T) {
	s := newFake()
	s.put("a/big", random("big", 3<<20))
	cache := content.NewCache(nil, 0)
	w := newWorld(t, s, func(c *Config) { c.Layers = cache })
	w.state(w.pull("a"), transfer.Done)
	tree, err := safefs.OpenTree(w.into)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	e, err := tree.Stat("a/big")
	if err != nil {
		t.Fatal(err)
	}
	if l, ok, err := cache.Layer(e.Version); !ok || err != nil || l.Size != 3<<20 {
		t.Error("the layer of what arrived is not known")
	}
}

func FuzzReplay(f *testing.F) {
	f.Add([]byte("f\x01versionversionve\x05a/b"), []byte("p\x01\x00"))
	f.Add([]byte("f\x01versionversionve\x80\x80\x80\x80\x80\x80\x80\x80\x7fa"), []byte("d\x01"))
	f.Add([]byte("k12345678"), []byte("l\x01\xff\xff\x03"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		s := newPartials()
		ids := map[uint64]*partial{}
		for _, rec := range [][]byte{a, b, a} {
			if len(rec) > 0 {
				s.replay(ids, rec)
			}
		}
		s.helpers()
		for p, part := range s.byPath {
			if _, err := share.ParsePath(string(p)); err != nil || len(part.have) != len(part.cvs) || len(part.have) != content.Parts(part.size) {
				t.Errorf("%q: %+v", p, part)
			}
		}
	})
}
