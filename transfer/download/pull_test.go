package download

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"porchlight/discovery"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("PORCHLIGHT_DOWNLOAD_CHILD"); dir != "" {
		child(dir)
		return
	}
	if dir := os.Getenv("PORCHLIGHT_CRASH_CHILD"); dir != "" {
		crashChild(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// mixed is a source with files of all sorts of sizes.
func mixed(s *fakeSource) map[string]string {
	want := map[string]string{}
	for i, size := range []int{0, 1, 4096, content.PieceSize - 1, content.PieceSize, content.PieceSize + 1, 3 * content.PieceSize, 40*content.PieceSize + 7} {
		name := "a/s" + strconv.Itoa(i)
		data := random(name, size)
		s.put(name, data)
		want[name] = string(data)
	}
	for i := range 300 {
		name := "a/b/c" + strconv.Itoa(i%7) + "/f" + strconv.Itoa(i)
		data := random(name, i*3)
		s.put(name, data)
		want[name] = string(data)
		want["a/b/c"+strconv.Itoa(i%7)+"/"] = ""
	}
	s.mu.Lock()
	s.dirs["a/empty"] = true
	s.mu.Unlock()
	want["a/"], want["a/b/"], want["a/empty/"] = "", "", ""
	return want
}

func TestPullFolder(t *testing.T) {
	s := newFake()
	want := mixed(s)
	w := newWorld(t, s, nil)
	j := w.state(w.pull("a"), transfer.Done)
	if d := cmp.Diff(want, tree(t, w.into)); d != "" {
		t.Errorf("tree differs:\n%.2000s", d)
	}
	clean(t, w.into)
	if j.Files != 308 || j.Done != 308 || j.Failed != 0 || j.Skipped != 0 || j.Adapted != 0 || j.Bytes != j.Total || !j.Listed || j.Total == 0 {
		t.Errorf("counts: %+v", j)
	}
	if j.Title != "a" || j.From != "bo" || j.Result != filepath.Join(w.into, "a") {
		t.Errorf("texts: %+v", j)
	}
	info, err := os.Stat(filepath.Join(w.into, "a/s7"))
	if err != nil || !info.ModTime().Equal(s.files["a/s7"].mtime) {
		t.Errorf("time is %v, want %v (%v)", info.ModTime(), s.files["a/s7"].mtime, err)
	}

	read := s.read.Load()
	again := w.state(w.pull("a"), transfer.Done)
	if again.Skipped != 308 || again.Done != 308 || again.Bytes != again.Total || s.read.Load() != read {
		t.Errorf("second pull: %+v", again)
	}
	r := transfer.Request{Paths: []share.Path{"a"}, Into: w.into, Check: true}
	checked := w.state(w.request(r), transfer.Done)
	if checked.Skipped != 308 || s.read.Load() != read {
		t.Errorf("checked pull: %+v", checked)
	}
	if d := cmp.Diff(want, tree(t, w.into)); d != "" {
		t.Errorf("tree differs:\n%.2000s", d)
	}
}

func TestPullShareAndSelection(t *testing.T) {
	s := newFake()
	s.put("x/one.txt", []byte("1"))
	s.put("y/one.txt", []byte("2"))
	s.put("y/big", random("big", 5<<20))
	w := newWorld(t, s, nil)
	j := w.state(w.pull(""), transfer.Done)
	if j.Title != "Photos" || j.Result != filepath.Join(w.into, "Photos") {
		t.Errorf("%+v", j)
	}
	if got := tree(t, w.into); got["Photos/x/one.txt"] != "1" || got["Photos/y/one.txt"] != "2" || len(got) != 6 {
		t.Errorf("tree has %d entries", len(got))
	}
	w.into = filepath.Join(t.TempDir(), "other")
	j = w.state(w.pull("x/one.txt", "y/one.txt", "y/big", "gone"), transfer.Done)
	got := tree(t, w.into)
	if got["one.txt"] != "1" || got["one (2).txt"] != "2" || got["big"] != string(random("big", 5<<20)) || len(got) != 3 {
		t.Errorf("selection: %d entries", len(got))
	}
	if j.Adapted != 1 || j.Failed != 1 || j.Done != 3 || j.Title != "" || j.Result != w.into {
		t.Errorf("%+v", j)
	}
	want := []transfer.Problem{{Path: "y/one.txt", Trouble: transfer.NameTrouble, As: "one (2).txt"}, {Path: "gone", Trouble: transfer.SourceGone}}
	if d := cmp.Diff(want, j.Problems); d != "" {
		t.Error(d)
	}
	j = w.until(w.pull("nothing"), "failed", func(j transfer.Job) bool { return j.State == transfer.Failed })
	if j.Trouble != transfer.SourceGone {
		t.Errorf("%+v", j)
	}
}

func TestPullSingleFileKeepsDifferentOne(t *testing.T) {
	s := newFake()
	s.put("d/f.txt", []byte("theirs"))
	w := newWorld(t, s, nil)
	os.MkdirAll(w.into, 0o777)
	os.WriteFile(filepath.Join(w.into, "f.txt"), []byte("mine"), 0o666)
	for range 2 { // the second time it is found under its number
		j := w.state(w.pull("d/f.txt"), transfer.Done)
		if d := cmp.Diff(map[string]string{"f.txt": "mine", "f (2).txt": "theirs"}, tree(t, w.into)); d != "" {
			t.Error(d)
		}
		if j.Adapted != 1 {
			t.Errorf("%+v", j)
		}
	}
	// equal by size and time, different inside: only a check sees it
	p := filepath.Join(w.into, "f (2).txt")
	os.Remove(filepath.Join(w.into, "f.txt"))
	os.Remove(p)
	os.WriteFile(filepath.Join(w.into, "f.txt"), []byte("theirz"), 0o666)
	os.Chtimes(filepath.Join(w.into, "f.txt"), time.Time{}, s.files["d/f.txt"].mtime)
	if j := w.state(w.pull("d/f.txt"), transfer.Done); j.Skipped != 1 {
		t.Errorf("%+v", j)
	}
	w.state(w.request(transfer.Request{Paths: []share.Path{"d/f.txt"}, Into: w.into, Check: true}), transfer.Done)
	if d := cmp.Diff(map[string]string{"f.txt": "theirz", "f (2).txt": "theirs"}, tree(t, w.into)); d != "" {
		t.Error(d)
	}
}

func TestPullChangingSource(t *testing.T) {
	s := newFake()
	s.put("a/big", random("old", 20<<20))
	s.put("a/small", []byte("old"))
	s.put("a/grows", []byte("tiny"))
	s.put("a/never", random("never", 2<<20))
	var once, twice sync.Once
	s.onBytes = func(p share.Path, off int64, b []byte) error {
		if p == "a/big" && off > 10<<20 {
			once.Do(func() { s.put("a/big", random("new", 20<<20)) })
		}
		if p == "a/never" && off > 1<<20 {
			s.put("a/never", random(time.Now().String(), 2<<20))
		}
		return nil
	}
	s.onManifest = func(share.Path, share.Entry) error { // after the listing was made, and before a pack of it can be asked for
		twice.Do(func() {
			s.put("a/small", []byte("newer"))
			s.put("a/grows", random("grown", 3<<20))
		})
		return nil
	}
	s.put("a/0", []byte("first of the pack"))
	w := newWorld(t, s, nil)
	j := w.state(w.pull("a"), transfer.Done)
	want := map[string]string{"a/": "", "a/big": string(random("new", 20<<20)), "a/small": "newer", "a/grows": string(random("grown", 3<<20)), "a/0": "first of the pack"}
	if d := cmp.Diff(want, tree(t, w.into)); d != "" {
		t.Errorf("%.1000s", d)
	}
	if j.Failed != 1 || j.Done != 4 || j.Problems[0] != (transfer.Problem{Path: "a/never", Trouble: transfer.SourceChanged}) {
		t.Errorf("%+v", j)
	}
	clean(t, w.into)
}

func TestPullLyingSource(t *testing.T) {
	s := newFake()
	s.put("a/flipped", random("f", 5<<20))
	s.put("a/healed", random("h", 5<<20))
	s.put("a/small", []byte("honest"))
	s.put("a/good", []byte("good"))
	s.put("a/layer", random("l", 3<<20))
	var healed atomic.Int32
	s.onBytes = func(p share.Path, off int64, b []byte) error {
		if p == "a/flipped" && off <= 3<<20 && off+int64(len(b)) > 3<<20 || p == "a/healed" && off == 0 && healed.Add(1) == 1 {
			b[len(b)-1] ^= 1
		}
		return nil
	}
	s.onPack = func(p share.Path, b []byte) ([]byte, error) {
		if p == "a/small" {
			return []byte("liar!!"), nil
		}
		return b, nil
	}
	s.onLayer = func(p share.Path, l content.Layer) (content.Layer, error) {
		if p == "a/layer" {
			l.Pieces = l.Pieces[1:]
		}
		return l, nil
	}
	w := newWorld(t, s, nil)
	j := w.state(w.pull("a"), transfer.Done)
	if d := cmp.Diff(map[string]string{"a/": "", "a/healed": string(random("h", 5<<20)), "a/good": "good"}, tree(t, w.into)); d != "" {
		t.Errorf("%.1000s", d)
	}
	if j.Failed != 3 || j.Done != 2 {
		t.Errorf("%+v", j)
	}
	for _, p := range j.Problems {
		if p.Trouble != transfer.BadBytes {
			t.Errorf("%+v", p)
		}
	}
}

func TestPullHostileListing(t *testing.T) {
	for name, e := range map[string]share.Entry{
		"outside":      {Path: "b/x", Kind: share.File, Size: 1},
		"traversal":    {Path: "a/../../x", Kind: share.File, Size: 1},
		"private":      {Path: "a/.porchlight-part/x", Kind: share.File, Size: 1},
		"out of order": {Path: "a/c/x", Kind: share.File, Size: 1},
		"negative":     {Path: "a/x", Kind: share.File, Size: -1},
		"twice":        {Path: "a", Kind: share.Dir},
	} {
		t.Run(name, func(t *testing.T) {
			s := newFake()
			s.put("a/ok", []byte("ok"))
			w := newWorld(t, s, func(c *Config) { c.Sources = hostile{s, e} })
			j := w.until(w.pull("a"), "failed", func(j transfer.Job) bool { return j.State == transfer.Failed })
			if j.Trouble != transfer.SourceBroken {
				t.Errorf("%+v", j)
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(w.into), "x")); err == nil {
				t.Error("it wrote outside")
			}
		})
	}
}

// hostile adds an entry to every listing.
type hostile struct {
	*fakeSource
	e share.Entry
}

func (h hostile) Source(discovery.DeviceID) (Source, error) { return h, nil }

func (h hostile) Manifest(ctx context.Context, id share.ID, p share.Path, yield func(share.Entry) error) error {
	if err := h.fakeSource.Manifest(ctx, id, p, yield); err != nil {
		return err
	}
	return yield(h.e)
}

func TestPullBrokenFile(t *testing.T) {
	s := newFake()
	s.put("a/big", random("b", 3<<20))
	s.put("a/s1", []byte("1"))
	s.put("a/s2", []byte("2"))
	s.put("a/s3", []byte("3"))
	s.onBytes = func(p share.Path, off int64, b []byte) error {
		if off >= 1<<20 {
			return transfer.ErrAway // how a failure after the first byte looks from here
		}
		return nil
	}
	s.onPack = func(p share.Path, b []byte) ([]byte, error) {
		if p == "a/s2" {
			return nil, transfer.ErrAway
		}
		return b, nil
	}
	w := newWorld(t, s, nil)
	j := w.state(w.pull("a"), transfer.Done)
	if d := cmp.Diff(map[string]string{"a/": "", "a/s1": "1", "a/s3": "3"}, tree(t, w.into)); d != "" {
		t.Errorf("%.1000s", d)
	}
	if j.Failed != 2 || j.Problems[0].Trouble != transfer.SourceBroken {
		t.Errorf("%+v", j)
	}
	s.onBytes, s.onPack = nil, nil
	if err := w.m.Retry(j.ID); err != nil {
		t.Fatal(err)
	}
	j = w.until(j.ID, "all there", func(j transfer.Job) bool { return j.State == transfer.Done && j.Done == 4 })
	if len(tree(t, w.into)) != 5 || j.Failed != 0 || len(j.Problems) != 0 {
		t.Errorf("%+v", j)
	}
}

func TestNamesAreToldAndStayApart(t *testing.T) {
	s := newFake()
	s.put("a/Caf\u00e9.txt", []byte("composed"))
	s.put("a/Cafe\u0301.txt", []byte("decomposed"))
	s.put("a/"+strings.Repeat("\u0958", 85), []byte("longer when normalised"))
	w := newWorld(t, s, nil)
	for range 2 {
		j := w.state(w.pull("a"), transfer.Done)
		got := tree(t, w.into)
		if got["a/Caf\u00e9.txt"] == "" || got["a/Caf\u00e9 (2).txt"] == "" || len(got) != 4 || j.Adapted != 3 || len(j.Problems) != 3 || j.Done != 3 {
			t.Errorf("%d %+v", len(got), j)
		}
	}
}
