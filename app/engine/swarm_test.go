package engine

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
)

// noise makes n bytes that belong to seed.
func noise(seed string, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8(sha256.Sum256([]byte(seed))).Read(b) //nolint:errcheck // never fails
	return b
}

// crowd is a source that gives 12 MiB a second at most, with one shared file, and receivers that all know each other.
func crowd(t *testing.T, size int) (source *world, o share.Offer, receivers []*world, data []byte) {
	t.Helper()
	source = start(t, "anna", "")
	data = noise("film", size)
	source.put("Films/film.bin", data)
	o = source.offer("Films")
	source.up.Set(12 << 20)
	for _, name := range []string{"bert", "carl", "dora"} {
		r := start(t, name, "")
		meet(source, r)
		for _, other := range receivers {
			meet(other, r)
		}
		receivers = append(receivers, r)
	}
	return source, o, receivers, data
}

func (w *world) fetch(from *world, o share.Offer, path share.Path) transfer.JobID {
	w.t.Helper()
	id, err := w.Pull(w.t.Context(), transfer.Request{Source: from.id, Share: o.ID, ShareName: o.Name, Paths: []share.Path{path}})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) same(name string, data []byte) {
	w.t.Helper()
	got, err := os.ReadFile(filepath.Join(w.dir, "downloads", name))
	if err != nil || !bytes.Equal(got, data) {
		w.t.Errorf("%s: %d bytes, %v", name, len(got), err)
	}
}

// TestReceiversHelpEachOther: of three that pull the same file, each gets a good part of it from the others.
func TestReceiversHelpEachOther(t *testing.T) {
	const size = 48<<20 + 12345
	source, o, receivers, data := crowd(t, size)
	ids := map[*world]transfer.JobID{}
	for _, r := range receivers {
		ids[r] = r.fetch(source, o, "film.bin")
	}
	var fromSource int64
	for _, r := range receivers {
		r.within(time.Minute, "the pull is done", func() bool { return r.job(ids[r]).State.Ended() })
		j := r.job(ids[r])
		if j.State != transfer.Done || j.Bytes != size || j.Failed != 0 {
			t.Fatalf("%+v", j)
		}
		r.same("film.bin", data)
		var sum int64
		for _, s := range j.Sources {
			sum += s.Bytes
			if s.Device == source.id {
				fromSource += s.Bytes
			}
		}
		t.Logf("took %v from %d devices: %+v", j.Ended.Sub(j.Created), len(j.Sources), j.Sources)
		if sum != size || len(j.Sources) < 2 {
			t.Errorf("%d bytes of %d devices", sum, len(j.Sources))
		}
	}
	t.Logf("the source gave %.2f copies", float64(fromSource)/size)
	if fromSource > size*14/10 {
		t.Errorf("the source gave %d bytes to three receivers of %d", fromSource, size)
	}
}

// TestTheSourceLeaves: the receivers finish among themselves when the source has given every piece once, and a newcomer without a ticket gets nothing.
func TestTheSourceLeaves(t *testing.T) {
	const size = 48 << 20
	source, o, receivers, data := crowd(t, size)
	ids := map[*world]transfer.JobID{}
	for _, r := range receivers {
		ids[r] = r.fetch(source, o, "film.bin")
	}
	l, err := content.Build(t.Context(), bytes.NewReader(data), size, 1)
	if err != nil {
		t.Fatal(err)
	}
	receivers[0].within(time.Minute, "every piece is with somebody", func() bool {
		all := make([]byte, size>>20/8)
		for _, r := range receivers {
			if h, ok := r.pulls.Holding(l.Root); ok {
				_, bits, _ := h.Have()
				for i := range all {
					all[i] |= bits[i]
				}
			}
		}
		return bytes.Count(all, []byte{0xff}) == len(all)
	})
	source.stop()
	for _, r := range receivers {
		r.within(time.Minute, "the pull is done without the source", func() bool { return r.job(ids[r]).State == transfer.Done })
		r.same("film.bin", data)
		if n, ok := r.pulls.Holding(l.Root); !ok || n.Origin() != source.id {
			t.Error("who has it all does not give it on")
		}
	}
	stranger := start(t, "eve", "")
	meet(receivers[0], stranger)
	status, _, _, err := stranger.Raw(t.Context(), receivers[0].id, "/v1/c/"+l.Root.String()+"/have?since=0")
	if err != nil || status != 404 {
		t.Errorf("who has no ticket is answered %d, %v", status, err)
	}
}
