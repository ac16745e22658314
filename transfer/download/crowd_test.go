package download

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"porchlight/discovery/calm"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
)

func TestOneSourceAlone(t *testing.T) {
	data := random("film", filmSize)
	s := newCrowdSource()
	s.put("film", data)
	w := crowded(t, s, nil, NewMemory(), "")
	j := w.state(w.film(s), transfer.Done)
	w.isFilm(data)
	clean(t, w.into)
	if s.read.Load() != filmSize || from(j)[s.key.id()] != filmSize || s.asks.Load() == 0 {
		t.Errorf("%d bytes asked for, %v counted, %d questions", s.read.Load(), from(j), s.asks.Load())
	}
}

// TestHelpersGive: with a slow source most comes from those it names, and every byte is counted for who gave it.
func TestHelpersGive(t *testing.T) {
	data := random("film", filmSize)
	a, b := newHelper(2, data), newHelper(3, data)
	both, open := gate()
	defer open()
	var begun [2]atomic.Bool
	for i, h := range []*fakeHelper{a, b} {
		h.content = func(_ int, p []byte) ([]byte, error) {
			if begun[i].Store(true); begun[1-i].Load() {
				open()
			}
			<-both // however late the other is known
			return p, nil
		}
	}
	s := newCrowdSource(a, b)
	s.put("film", data)
	slow(s, 50*time.Millisecond)
	s.onWait = func(ctx context.Context, _ share.Path, off int64) { // or all of it may be here before they are known
		if off >= 2<<20 {
			select {
			case <-both:
			case <-ctx.Done():
			}
		}
	}
	w := crowded(t, s, helpers{a, b}, NewMemory(), "")
	j := w.state(w.film(s), transfer.Done)
	w.isFilm(data)
	got := from(j)
	if sum := got[s.key.id()] + got[a.id] + got[b.id]; sum != filmSize || got[a.id] == 0 || got[b.id] == 0 || got[s.key.id()] > filmSize/2 {
		t.Errorf("%v", got)
	}
}

// TestBadHelpers: whatever one of two helpers does, the file is right, and comes without waiting long for it.
func TestBadHelpers(t *testing.T) {
	data := random("film", filmSize)
	other := random("other", filmSize)
	for _, tt := range []struct {
		name   string
		change func(h *fakeHelper)
		gives  bool // some of its pieces may be used
	}{
		{"lies once", func(h *fakeHelper) {
			var once sync.Once
			h.content = func(_ int, p []byte) ([]byte, error) { once.Do(func() { p[77] ^= 1 }); return p, nil }
		}, true},
		{"lies always", func(h *fakeHelper) { h.content = func(_ int, p []byte) ([]byte, error) { p[0]++; return p, nil } }, false},
		{"sends pieces of another file", func(h *fakeHelper) { h.data = other }, false},
		{"sends the neighbour of each piece", func(h *fakeHelper) {
			h.content = func(i int, _ []byte) ([]byte, error) { i = (i + 1) % 24; return data[i<<20 : (i+1)<<20], nil }
		}, false},
		{"sends too much", func(h *fakeHelper) { h.content = func(_ int, p []byte) ([]byte, error) { return append(p, p...), nil } }, true},
		{"makes no sense", func(h *fakeHelper) {
			h.content = func(int, []byte) ([]byte, error) { return nil, transfer.ErrProtocol }
		}, false},
		{"has nothing after all", func(h *fakeHelper) { h.content = func(int, []byte) ([]byte, error) { return nil, transfer.ErrGone } }, false},
		{"is always busy", func(h *fakeHelper) {
			h.content = func(int, []byte) ([]byte, error) { return nil, &transfer.Busy{Retry: 30 * time.Millisecond} }
		}, false},
		{"leaves at once", func(h *fakeHelper) { h.content = func(int, []byte) ([]byte, error) { return nil, transfer.ErrAway } }, false},
		{"leaves later", func(h *fakeHelper) {
			h.content = func(_ int, p []byte) ([]byte, error) { h.down.Store(h.gave.Load() > 3); return p, nil }
		}, true},
		{"has a map of something else", func(h *fakeHelper) { h.has = []byte{255} }, false},
		{"claims more pieces than there are", func(h *fakeHelper) { h.has = []byte{255, 255, 255, 255} }, false},
		{"knows nothing of it", func(h *fakeHelper) { h.data = nil }, false},
		{"is not there", func(h *fakeHelper) { h.down.Store(true) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			good, bad := newHelper(2, data), newHelper(3, data)
			tt.change(bad)
			s := newCrowdSource(good, bad)
			s.put("film", data)
			slow(s, 20*time.Millisecond)
			w := crowded(t, s, helpers{good, bad}, NewMemory(), "")
			j := w.state(w.film(s), transfer.Done)
			w.isFilm(data)
			if got := from(j); !tt.gives && got[bad.id] != 0 || got[good.id] == 0 || j.Failed != 0 {
				t.Errorf("%v, %d failed", got, j.Failed)
			}
			clean(t, w.into)
		})
	}
}

// TestStallingHelper: who takes requests and says nothing holds the file up for seconds at most.
func TestStallingHelper(t *testing.T) {
	data := random("film", filmSize)
	h := newHelper(2, data)
	done, open := gate()
	defer open()
	h.content = func(int, []byte) ([]byte, error) { <-done; return nil, transfer.ErrAway }
	s := newCrowdSource(h)
	s.put("film", data)
	slow(s, 5*time.Millisecond)
	w := crowded(t, s, helpers{h}, NewMemory(), "")
	began := time.Now()
	id := w.film(s)
	go func() { // a request that is broken off ends
		for w.job(id).Bytes < filmSize && time.Since(began) < calm.Most(15*time.Second) && !isClosed(done) {
			time.Sleep(2 * time.Millisecond)
		}
		open()
	}()
	w.state(id, transfer.Done)
	w.isFilm(data)
	if took := time.Since(began); took > calm.Most(15*time.Second) {
		t.Errorf("it took %v", took)
	}
}

// TestBadPieceBeforeTheLayer: a piece that came wrong before anybody could tell is fetched again when the layer comes.
func TestBadPieceBeforeTheLayer(t *testing.T) {
	data := random("film", filmSize)
	h := newHelper(2, data)
	s := newCrowdSource(h)
	s.put("film", data)
	var spoilt atomic.Bool
	s.onBytes = func(_ share.Path, _ int64, b []byte) error {
		if spoilt.CompareAndSwap(false, true) {
			b[len(b)/2] ^= 4
		}
		time.Sleep(20 * time.Millisecond)
		return nil
	}
	layer, open := gate()
	defer open()
	s.onLayer = func(_ share.Path, l content.Layer) (content.Layer, error) { <-layer; return l, nil }
	w := crowded(t, s, helpers{h}, NewMemory(), "")
	id := w.film(s)
	w.until(id, "begun", func(j transfer.Job) bool { return j.Bytes > 2<<20 })
	open()
	j := w.state(id, transfer.Done)
	w.isFilm(data)
	if !spoilt.Load() || j.Bytes != filmSize {
		t.Errorf("%d bytes", j.Bytes)
	}
}

// TestLayerThatIsNot: a source whose layer is not the one it signed is not helped by anybody.
func TestLayerThatIsNot(t *testing.T) {
	data := random("film", filmSize)
	h := newHelper(2, data)
	s := newCrowdSource(h)
	s.put("film", data)
	wrong, err := content.Build(t.Context(), bytes.NewReader(random("other", filmSize)), filmSize, 1)
	if err != nil {
		t.Fatal(err)
	}
	s.onLayer = func(share.Path, content.Layer) (content.Layer, error) { return wrong, nil }
	w := crowded(t, s, helpers{h}, NewMemory(), "")
	id := w.film(s)
	j := w.until(id, "ended", func(j transfer.Job) bool { return j.State.Ended() })
	if j.State != transfer.Failed || h.gave.Load() != 0 || len(tree(t, w.into)) != 0 {
		t.Errorf("%s, the helper gave %d pieces, %d files", j.State, h.gave.Load(), len(tree(t, w.into)))
	}
}

// TestSourceLeaves: what others have comes from them; the file is published though its source is gone.
func TestSourceLeaves(t *testing.T) {
	data := random("film", filmSize)
	h := newHelper(2, data)
	s := newCrowdSource(h)
	s.put("film", data)
	slow(s, 20*time.Millisecond)
	h.content = func(_ int, p []byte) ([]byte, error) {
		if h.gave.Load() >= 2 {
			s.cut()
		}
		return p, nil
	}
	w := crowded(t, s, helpers{h}, NewMemory(), "")
	id := w.film(s)
	w.state(id, transfer.Done)
	if !s.isDown() {
		t.Fatal("the source is still there")
	}
	w.isFilm(data)
}

// TestGoesOnWithoutItsSource: a process that was stopped in the middle finishes the file with others, while the source is away.
func TestGoesOnWithoutItsSource(t *testing.T) {
	data := random("film", filmSize)
	h := newHelper(2, data)
	s := newCrowdSource(h)
	s.put("film", data)
	var given atomic.Int64
	s.onBytes = func(_ share.Path, _ int64, b []byte) error {
		time.Sleep(20 * time.Millisecond)
		if given.Add(int64(len(b))) > filmSize/3 { // the rest is the helper's
			return transfer.ErrAway
		}
		return nil
	}
	var most atomic.Int64
	most.Store(6)
	h.content = func(_ int, p []byte) ([]byte, error) {
		if h.gave.Load() >= most.Load() {
			return nil, &transfer.Busy{Retry: 20 * time.Millisecond}
		}
		return p, nil
	}
	st, into := NewMemory(), filepath.Join(t.TempDir(), "into")
	w := crowded(t, s, helpers{h}, st, into)
	id := w.film(s)
	w.until(id, "begun with the helper", func(j transfer.Job) bool { return from(j)[h.id] >= 4<<20 })
	w.stop()
	s.cut()
	had := w.job(id).Bytes
	if had >= filmSize {
		t.Fatal("too late")
	}
	most.Store(1 << 40)
	before := h.gave.Load()
	w = crowded(t, s, helpers{h}, st, into)
	w.until(id, "whole", func(j transfer.Job) bool { return j.Bytes == filmSize })
	w.until(id, "named", func(transfer.Job) bool { return len(tree(t, into)) == 1 })
	w.isFilm(data)
	if again := h.gave.Load() - before; again > (filmSize-had)>>20+3 {
		t.Errorf("%d pieces fetched though %d bytes were there", again, had)
	}
	j := w.until(id, "left", func(j transfer.Job) bool { return j.State != transfer.Running && j.State != transfer.Waiting })
	if j.State == transfer.Away { // it was stopped before it was known that there is nothing else
		s.back()
	}
	j = w.state(id, transfer.Done)
	if j.Bytes != filmSize || j.Total != filmSize || j.Files != 1 || j.Done != 1 {
		t.Errorf("%+v", j)
	}
	w.isFilm(data)
	clean(t, into)
}

// TestTheSourceStumbles: a source that is there and says nothing more, and then goes, takes nothing back of what it listed: others finish the file.
func TestTheSourceStumbles(t *testing.T) {
	data := random("film", filmSize)
	h := newHelper(2, data)
	h.down.Store(true)
	s := newCrowdSource(h)
	s.put("film", data)
	var mute atomic.Bool
	var vain atomic.Int64 // listings begun after that
	silent := func() error {
		if mute.Load() {
			return transfer.ErrAway
		}
		return nil
	}
	s.onManifest = func(share.Path, share.Entry) error {
		if mute.Load() {
			vain.Add(1)
		}
		return silent()
	}
	s.onBytes = func(share.Path, int64, []byte) error { time.Sleep(20 * time.Millisecond); return silent() }
	w := crowded(t, s, helpers{h}, NewMemory(), "")
	l, err := content.Build(t.Context(), bytes.NewReader(data), filmSize, 1)
	if err != nil {
		t.Fatal(err)
	}
	id := w.film(s)
	w.until(id, "given on", func(transfer.Job) bool { _, ok := w.m.Holding(l.Root); return ok })
	mute.Store(true)
	w.until(id, "tried again in vain", func(transfer.Job) bool { return vain.Load() > 3 })
	s.cut()
	h.down.Store(false)
	if j := w.state(id, transfer.Done); j.Files != 1 || j.Done != 1 || j.Bytes != filmSize || j.Total != filmSize {
		t.Errorf("%+v", j)
	}
	w.isFilm(data)
	clean(t, w.into)
}

// TestNobodyHasTheRest: without its source and with helpers that have not got everything, a job waits.
func TestNobodyHasTheRest(t *testing.T) {
	data := random("film", filmSize)
	h := newHelper(2, data)
	h.has = []byte{0xff, 0, 0, 0}
	s := newCrowdSource(h)
	s.put("film", data)
	slow(s, 100*time.Millisecond)
	h.content = func(_ int, p []byte) ([]byte, error) {
		s.cut()
		return p, nil
	}
	w := crowded(t, s, helpers{h}, NewMemory(), "")
	id := w.film(s)
	w.state(id, transfer.Away)
	if len(tree(t, w.into)) != 0 {
		t.Error("a file that is not whole has its name")
	}
	s.back()
	w.state(id, transfer.Done)
	w.isFilm(data)
}

// TestAnotherCopyHelps: a device that shares the same content gives of it; one that shares something else of that size does not.
func TestAnotherCopyHelps(t *testing.T) {
	data := random("film", filmSize)
	crowd, twin, liar := newHelper(2, nil), newHelper(3, nil), newHelper(4, nil)
	twin.own, liar.own = newFake(), newFake()
	twin.own.put("x/copy of film", data)
	liar.own.put("film", random("other", filmSize))
	s := newCrowdSource(crowd)
	s.put("film", data)
	slow(s, 30*time.Millisecond)
	w := crowded(t, s, helpers{crowd, twin, liar}, NewMemory(), "")
	j := w.state(w.film(s), transfer.Done)
	w.isFilm(data)
	if got := from(j); got[twin.id] == 0 || got[liar.id] != 0 {
		t.Errorf("%v", got)
	}
}

// TestGivenOn: what is verified is given on while the rest comes, and after it has its name; nothing else is.
func TestGivenOn(t *testing.T) {
	data := random("film", filmSize)
	h := newHelper(2, data)
	h.has = []byte{0xf0, 0, 0, 0}
	s := newCrowdSource(h)
	s.put("film", data)
	slow(s, 30*time.Millisecond)
	w := crowded(t, s, helpers{h}, NewMemory(), "")
	l, err := content.Build(t.Context(), bytes.NewReader(data), filmSize, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := w.m.Holding(l.Root); ok {
		t.Fatal("given on before it was asked for")
	}
	id := w.film(s)
	w.until(id, "given on", func(transfer.Job) bool {
		o, ok := w.m.Holding(l.Root)
		if !ok {
			return false
		}
		count, _, _ := o.Have()
		return count >= 3
	})
	o, _ := w.m.Holding(l.Root)
	if o.Origin() != s.key.id() || o.Size() != filmSize {
		t.Errorf("of %v, %d bytes", o.Origin(), o.Size())
	}
	whole := func() {
		t.Helper()
		count, bits, _ := o.Have()
		n := 0
		p := make([]byte, content.PieceSize)
		for i := range content.Parts(filmSize) {
			if bits[i>>3]&(0x80>>(i&7)) == 0 {
				continue
			}
			n++
			p := p[:content.PieceLen(filmSize, i)]
			if k, err := o.ReadAt(p, int64(i)<<20); k != len(p) || err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(p, data[i<<20:i<<20+k]) {
				t.Errorf("piece %d: %d bytes, %v", i, k, err)
			}
		}
		if n != count {
			t.Errorf("%d pieces in the map, %d counted", n, count)
		}
	}
	whole()
	if peers := o.Peers(); len(peers) != 1 || peers[0] != h.id {
		t.Errorf("peers %v", peers)
	}
	w.state(id, transfer.Done)
	if o, _ = w.m.Holding(l.Root); o == nil {
		t.Fatal("not given on once it has its name")
	}
	if count, _, _ := o.Have(); count != content.Parts(filmSize) {
		t.Errorf("%d pieces", count)
	}
	whole()
	if err := w.m.Forget(id); err != nil {
		t.Fatal(err)
	}
	if _, ok := w.m.Holding(l.Root); ok {
		t.Error("given on after the job was forgotten")
	}
	if k, err := o.ReadAt(make([]byte, 10), 0); err == nil {
		t.Errorf("%d bytes read of what is not given on", k)
	}
}

// TestGivenOnNoLonger: what somebody deleted after it had come is not given on.
func TestGivenOnNoLonger(t *testing.T) {
	data := random("film", filmSize)
	h := newHelper(2, data)
	s := newCrowdSource(h)
	s.put("film", data)
	slow(s, 30*time.Millisecond)
	w := crowded(t, s, helpers{h}, NewMemory(), "")
	l, err := content.Build(t.Context(), bytes.NewReader(data), filmSize, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.state(w.film(s), transfer.Done)
	if _, ok := w.m.Holding(l.Root); !ok {
		t.Fatal("not given on")
	}
	if err := os.Remove(filepath.Join(w.into, "film")); err != nil {
		t.Fatal(err)
	}
	if _, ok := w.m.Holding(l.Root); ok {
		t.Error("given on though it was deleted")
	}
}

// TestSeveralFilesShareMemory: files of many sources together hold no more pieces than the pool has, and give all back.
func TestSeveralFilesShareMemory(t *testing.T) {
	want := map[string]string{}
	hs := helpers{newHelper(2, nil), newHelper(3, nil)}
	s := newCrowdSource(hs...)
	for i := range 4 {
		data := random(fmt.Sprint("film", i), 17<<20)
		s.put(fmt.Sprintf("films/%d", i), data)
		want[fmt.Sprintf("films/%d", i)] = string(data)
	}
	want["films/"] = ""
	w := crowded(t, s, hs, NewMemory(), "")
	id := w.request(transfer.Request{Source: s.key.id(), ShareName: "Films", Paths: []share.Path{"films"}, Into: w.into})
	w.state(id, transfer.Done)
	got := tree(t, w.into)
	for name, data := range want {
		if got[name] != data {
			t.Errorf("%s is not as it was", name)
		}
	}
	if n := len(w.m.pool); n != 0 {
		t.Errorf("%d pieces of memory are not given back", n)
	}
}
