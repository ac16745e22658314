package download

import (
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
)

// asked is how many pieces of large files a source was asked for since it was last set to zero.
func asked(s *fakeSource) int64 { return (s.read.Load() + content.PieceSize - 1) / content.PieceSize }

// changed is data with one byte changed in a piece.
func changed(data []byte, piece int) []byte {
	out := append([]byte(nil), data...)
	out[piece<<20+4711] ^= 1
	return out
}

// TestPullAgainFetchesWhatChanged: of a folder that was pulled before, only what is new or different travels.
func TestPullAgainFetchesWhatChanged(t *testing.T) {
	s := newFake()
	for i := range 200 {
		s.put("a/d"+strconv.Itoa(i%5)+"/f"+strconv.Itoa(i), random(strconv.Itoa(i), 2000+i))
	}
	big := random("big", 20<<20+5)
	s.put("a/big", big)
	s.put("a/other", random("other", 8<<20))
	w := newWorld(t, s, nil)
	w.state(w.pull("a"), transfer.Done)
	s.put("a/d1/f1", []byte("changed"))
	s.put("a/d2/new", []byte("new"))
	s.put("a/big", changed(big, 7))
	s.read.Store(0)
	var packed atomic.Int64
	s.onPack = func(_ share.Path, b []byte) ([]byte, error) { packed.Add(1); return b, nil }
	j := w.state(w.pull("a"), transfer.Done)
	t.Logf("asked for again: %d small files, %d pieces; %d files skipped", packed.Load(), asked(s), j.Skipped)
	if packed.Load() != 2 || asked(s) > 2 || j.Skipped != 200 || j.Done != 203 || j.Bytes != j.Total {
		t.Errorf("%d small files, %d pieces: %+v", packed.Load(), asked(s), j)
	}
	got := tree(t, w.into)
	if got["a/big (2)"] != string(changed(big, 7)) || got["a/big"] != string(big) || got["a/d2/new"] != "new" || got["a/d1/f1 (2)"] != "changed" {
		t.Error("wrong bytes")
	}
	clean(t, w.into)
}

// TestChangedFileTakesItsOldPieces: what lies here of a former version, whole or under way, is not fetched again.
func TestChangedFileTakesItsOldPieces(t *testing.T) {
	old := random("old", 64<<20+77)
	less := old[:16<<20+77]
	for _, tt := range []struct {
		name     string
		old, now []byte
		most     int64 // pieces that may travel
	}{
		{"one byte", old, changed(old, 30), 2},
		{"one byte at the end", less, changed(less, 15), 2},
		{"longer", less, append(append([]byte(nil), less...), random("tail", 3<<20)...), 4},
		{"shorter", less, less[:8<<20+5], 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, whole := range []bool{true, false} {
				s := newFake()
				s.put("big", tt.old)
				w := newWorld(t, s, nil)
				had := int64(len(tt.old))
				if whole {
					w.state(w.pull("big"), transfer.Done)
				} else {
					had = underWay(t, w, s, had/2)
				}
				s.put("big", tt.now)
				s.read.Store(0)
				var id transfer.JobID = 1
				if whole {
					id = w.pull("big")
				} else if err := w.m.Resume(id); err != nil {
					t.Fatal(err)
				}
				j := w.state(id, transfer.Done)
				most := tt.most
				if rest := int64(len(tt.now)) - had; !whole && rest > 0 { // what had not come yet does
					most += rest/content.PieceSize + 1
				}
				t.Logf("whole %v: %d of %d pieces asked for; at most %d", whole, asked(s), content.PieceCount(int64(len(tt.now))), most)
				name := "big"
				if whole {
					name = "big (2)"
				}
				if got := tree(t, w.into); got[name] != string(tt.now) || whole && got["big"] != string(tt.old) {
					t.Error("wrong bytes")
				}
				if asked(s) > most || j.Bytes != j.Total || j.Failed != 0 {
					t.Errorf("%d pieces: %+v", asked(s), j)
				}
				w.stop()
				clean(t, w.into)
			}
		})
	}
}

// underWay pulls the file big, pauses when so many bytes are here, and returns how many are.
func underWay(t *testing.T, w *world, s *fakeSource, n int64) int64 {
	t.Helper()
	var given atomic.Int64
	paused, open := gate()
	defer open()
	s.onBytes = func(_ share.Path, _ int64, b []byte) error {
		switch all := given.Add(int64(len(b))); {
		case all > n+3<<20: // the rest does not come before the pause, however long that takes
			<-paused
		case all > n:
			time.Sleep(2 * time.Millisecond)
		}
		return nil
	}
	id := w.pull("big")
	w.until(id, "under way", func(j transfer.Job) bool { return j.Bytes >= n })
	if err := w.m.Pause(id); err != nil {
		t.Fatal(err)
	}
	open()
	had := w.state(id, transfer.Paused).Bytes
	s.onBytes = nil
	return had
}

// TestRenamedFileIsCopied: a large file that only got another name or folder at its source does not travel.
func TestRenamedFileIsCopied(t *testing.T) {
	s := newFake()
	a, b := random("a", 12<<20+3), random("b", 9<<20)
	s.put("a/x/one", a)
	s.put("a/x/two", b)
	w := newWorld(t, s, nil)
	w.state(w.pull("a"), transfer.Done)
	s.mu.Lock()
	s.files["a/y/three"], s.files["a/x/four"] = s.files["a/x/one"], s.files["a/x/two"]
	s.dirs["a/y"] = true
	delete(s.files, "a/x/one")
	delete(s.files, "a/x/two")
	s.mu.Unlock()
	s.read.Store(0)
	j := w.state(w.pull("a"), transfer.Done)
	t.Logf("%d pieces asked for", asked(s))
	got := tree(t, w.into)
	if got["a/y/three"] != string(a) || got["a/x/four"] != string(b) {
		t.Error("wrong bytes")
	}
	if asked(s) != 0 || j.Bytes != j.Total || j.Done != 2 {
		t.Errorf("%d pieces: %+v", asked(s), j)
	}
}

// TestReuseBelievesNothing: a file that looks like the one wanted and is another gives nothing, and one that lies about a few pieces not these.
func TestReuseBelievesNothing(t *testing.T) {
	s := newFake()
	data := random("x", 10<<20)
	s.put("a/x", data)
	w := newWorld(t, s, nil)
	w.state(w.pull("a"), transfer.Done)
	path := filepath.Join(w.into, "a", "x")
	bad := changed(changed(data, 2), 5)
	if err := os.WriteFile(path, bad, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, s.files["a/x"].mtime); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.files["a/y"] = s.files["a/x"]
	delete(s.files, "a/x")
	s.mu.Unlock()
	s.read.Store(0)
	w.state(w.pull("a"), transfer.Done)
	t.Logf("%d pieces asked for", asked(s))
	if got := tree(t, w.into); got["a/y"] != string(data) || got["a/x"] != string(bad) {
		t.Error("wrong bytes")
	}
	if asked(s) != 2 {
		t.Errorf("%d pieces", asked(s))
	}
}

// TestRevisedAcrossARestart: a process that ended between an old and a new version finds the old pieces again, whatever it had got done of that.
func TestRevisedAcrossARestart(t *testing.T) {
	s := newFake()
	old := random("old", 32<<20+9)
	s.put("big", old)
	st, into := NewMemory(), filepath.Join(t.TempDir(), "into")
	w := openWorld(t, s, st, into, nil)
	had := underWay(t, w, s, 16<<20)
	w.stop()
	now := append(changed(old, 3), 1, 2, 3)
	s.put("big", now)
	s.onLayer = func(share.Path, content.Layer) (content.Layer, error) { // after the record, before any comparison
		s.cut()
		return content.Layer{}, transfer.ErrAway
	}
	w = openWorld(t, s, st, into, nil)
	if err := w.m.Resume(1); err != nil {
		t.Fatal(err)
	}
	w.state(1, transfer.Away)
	w.stop()
	parts, _ := filepath.Glob(filepath.Join(into, ".porchlight-part", "*", "f*"))
	if len(parts) != 1 {
		t.Fatal(parts)
	}
	if err := os.Truncate(parts[0], int64(len(old))); err != nil { // as if the record had come to the disk and the size not
		t.Fatal(err)
	}
	s.onLayer = nil
	s.back()
	s.read.Store(0)
	w = openWorld(t, s, st, into, nil)
	j := w.state(1, transfer.Done)
	rest := (int64(len(now))-had)/content.PieceSize + 3
	t.Logf("%d pieces asked for, at most %d", asked(s), rest)
	if tree(t, into)["big"] != string(now) || asked(s) > rest || j.Bytes != j.Total {
		t.Errorf("%d pieces: %+v", asked(s), j)
	}
}

// TestRevisedAfterItsName: a crash came after an old version got its name and before that was written down.
func TestRevisedAfterItsName(t *testing.T) {
	s := newFake()
	s.put("big", random("old", 8<<20))
	st, into := NewMemory(), filepath.Join(t.TempDir(), "into")
	w := openWorld(t, s, st, into, nil)
	underWay(t, w, s, 4<<20)
	w.stop()
	parts, _ := filepath.Glob(filepath.Join(into, ".porchlight-part", "*", "f*"))
	if len(parts) != 1 {
		t.Fatal(parts)
	}
	if err := os.Rename(parts[0], filepath.Join(into, "big")); err != nil {
		t.Fatal(err)
	}
	now := random("new", 7<<20)
	s.put("big", now)
	w = openWorld(t, s, st, into, nil)
	if err := w.m.Resume(1); err != nil {
		t.Fatal(err)
	}
	w.state(1, transfer.Done)
	if got := tree(t, into); got["big (2)"] != string(now) {
		t.Error("wrong bytes")
	}
	w.stop()
	clean(t, into)
}
