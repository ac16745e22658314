package engine

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/share/content"
	"porchlight/transfer"
)

// spoil changes a byte in every piece of the file that a device is getting, behind its back, as a disk does that fails.
func spoil(w *world, size int64) {
	w.t.Helper()
	spoilt := 0
	err := filepath.WalkDir(filepath.Join(w.dir, "downloads"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		fi, err := d.Info()
		if err != nil || fi.Size() != size {
			return err
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		for off := int64(77); off < size; off += content.PieceSize {
			if _, err := f.WriteAt([]byte("spoilt"), off); err != nil {
				return err
			}
		}
		spoilt++
		return nil
	})
	if err != nil || spoilt != 1 {
		w.t.Fatalf("%d files spoilt, %v", spoilt, err)
	}
}

// befriend is meet for many: so many connections from one address have to wait for each other.
func befriend(a, b *world) {
	a.t.Helper()
	self, err := b.Self(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	a.within(20*time.Second, "it knows the other", func() bool {
		return a.AddPeer(a.t.Context(), fmt.Sprintf("127.0.0.1:%d", self.Port)) == nil
	})
	a.within(20*time.Second, "it sees the other", a.sees(b, discovery.Online))
	b.within(20*time.Second, "the other sees it", b.sees(a, discovery.Online))
}

// TestDamagedHelper: of four helpers one sends what is not the file, one is slow, one says nothing, and one leaves in the middle. The file is right, hardly
// anything comes twice, the damaged one is named, not asked again for it, and known after a restart.
func TestDamagedHelper(t *testing.T) {
	const size = 96 << 20
	source := start(t, "anna", "")
	data := noise("film", size)
	source.put("Films/film.bin", data)
	o := source.offer("Films")
	helpers := map[string]*world{}
	var all []*world
	for _, name := range []string{"bad", "slow", "silent", "leaving", "good"} {
		h := start(t, name, "")
		befriend(source, h)
		helpers[name], all = h, append(all, h)
		if name != "bad" {
			id := h.fetch(source, o, "film.bin")
			h.within(time.Minute, "a helper has the file", func() bool { return h.job(id).State == transfer.Done })
		}
	}
	bad := helpers["bad"]
	bad.down.Set(48 << 20)
	half := bad.fetch(source, o, "film.bin")
	bad.within(time.Minute, "it has a part of the file", func() bool { return bad.job(half).Bytes > 16<<20 })
	bad.down.Set(64 << 10)
	l, err := content.Build(t.Context(), bytes.NewReader(data), size, 1)
	if err != nil {
		t.Fatal(err)
	}
	bad.within(time.Minute, "it gives that on", func() bool { _, ok := bad.pulls.Holding(l.Root); return ok })
	spoil(bad, size)
	source.up.Set(4 << 20)
	for name, rate := range map[string]int64{"bad": 16 << 20, "good": 16 << 20, "leaving": 16 << 20, "slow": 1 << 20, "silent": 1} {
		helpers[name].up.Set(rate)
	}
	r := start(t, "dora", "")
	befriend(source, r)
	for _, h := range all {
		befriend(h, r)
	}
	id := r.fetch(source, o, "film.bin")
	given := func(h *world) (s transfer.SourceRate) {
		for _, s = range r.job(id).Sources {
			if s.Device == h.id {
				return s
			}
		}
		return transfer.SourceRate{}
	}
	r.within(time.Minute, "one helper gives", func() bool { return given(helpers["leaving"]).Bytes > 0 || r.job(id).State.Ended() })
	helpers["leaving"].stop()
	r.within(2*time.Minute, "the pull is over", func() bool { return r.job(id).State.Ended() })
	j := r.job(id)
	t.Logf("%v for %d MiB", j.Took, size>>20)
	for name, h := range helpers {
		s := given(h)
		t.Logf("%s gave %d pieces, %d bad", name, s.Bytes>>20, s.Bad)
		if (name == "bad") != (s.Bad > 0) || name == "bad" && s.Bytes > 0 {
			t.Errorf("%s gave %d bytes, %d bad pieces", name, s.Bytes, s.Bad)
		}
	}
	if j.State != transfer.Done || j.Failed > 0 || len(j.Problems) > 0 {
		t.Errorf("%+v", j)
	}
	r.same("film.bin", data)
	if s := given(helpers["bad"]); int64(s.Bad)*content.PieceSize > size*2/100+content.PieceSize {
		t.Errorf("%d of %d pieces were fetched again", s.Bad, size>>20)
	}
	r.stop()
	again := openHome(t, r.home)
	var kept map[discovery.DeviceID]int
	records, err := again.db.Standings().Standing()
	if err != nil {
		t.Fatal(err)
	}
	kept = map[discovery.DeviceID]int{}
	for _, rec := range records {
		kept[rec.Device] = rec.BadCount
	}
	if kept[helpers["bad"].id] == 0 || kept[helpers["good"].id] != 0 || len(kept) < 3 {
		t.Errorf("kept of %d devices, of the damaged one %d bad pieces", len(kept), kept[helpers["bad"].id])
	}
}

// TestACopyElsewhere: a large file that comes slowly from its only source is found with neighbours who share it under other names. What only has its size is not used.
func TestACopyElsewhere(t *testing.T) {
	const size = 128<<20 + 77
	source, copied, other, r := start(t, "anna", ""), start(t, "bert", ""), start(t, "carl", ""), start(t, "dora", "")
	data := noise("film", size)
	source.put("Films/film.bin", data)
	copied.put("Kino/Der Film.mkv", data)
	other.put("Stuff/same size.bin", noise("other", size))
	o := source.offer("Films")
	copied.offer("Kino")
	other.offer("Stuff")
	source.up.Set(4 << 20)
	for _, w := range []*world{source, copied, other} {
		befriend(w, r)
	}
	id := r.fetch(source, o, "film.bin")
	r.within(2*time.Minute, "the pull is over", func() bool { return r.job(id).State.Ended() })
	j := r.job(id)
	got := map[discovery.DeviceID]int64{}
	for _, s := range j.Sources {
		got[s.Device] = s.Bytes
	}
	t.Logf("%v; %d MiB of the source, %d of the copy", j.Took, got[source.id]>>20, got[copied.id]>>20)
	r.same("film.bin", data)
	if j.State != transfer.Done || got[source.id] == 0 || got[copied.id] < size/4 || got[other.id] != 0 || got[source.id]+got[copied.id] != size {
		t.Errorf("%s, %d bytes of the source, %d of the copy, %d of another file", j.State, got[source.id], got[copied.id], got[other.id])
	}
}
