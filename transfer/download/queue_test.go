package download

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
)

// ofNames puts files that fit into a pack, and holds what is asked of them back until it is let go.
func ofNames(names ...string) (s *fakeSource, begun func() []string, release func()) {
	s = newFake()
	var mu sync.Mutex
	var order []string
	gate := make(chan struct{})
	for _, n := range names {
		s.put(n, random(n, 100))
	}
	s.onPack = func(p share.Path, b []byte) ([]byte, error) {
		mu.Lock()
		order = append(order, string(p))
		mu.Unlock()
		<-gate
		return b, nil
	}
	begun = func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(order)
	}
	return s, begun, sync.OnceFunc(func() { close(gate) })
}

func TestOrderIsWhatBeginsNext(t *testing.T) {
	s, begun, release := ofNames("a", "b", "c", "d", "e")
	defer release()
	st := NewMemory()
	w := openWorld(t, s, st, t.TempDir(), func(c *Config) { c.MaxJobs = 1 })
	ids := map[string]transfer.JobID{}
	for _, n := range []string{"a", "b", "c", "d", "e"} {
		ids[n] = w.pull(share.Path(n))
	}
	w.until(ids["a"], "begun", func(transfer.Job) bool { return len(begun()) == 1 })
	for _, m := range []struct {
		name string
		to   transfer.Move
		want string // of those that wait
	}{
		{"e", transfer.MoveFirst, "e b c d"}, {"e", transfer.MoveUp, "e b c d"}, {"e", transfer.MoveFirst, "e b c d"}, {"b", transfer.MoveDown, "e c b d"},
		{"d", transfer.MoveUp, "e c d b"}, {"e", transfer.MoveLast, "c d b e"}, {"e", transfer.MoveDown, "c d b e"}, {"b", transfer.MoveFirst, "b c d e"}, {"d", transfer.MoveFirst, "d b c e"},
	} {
		if err := w.m.Move(ids[m.name], m.to); err != nil {
			t.Fatal(err)
		}
		if got := waiting(w.m.Jobs()); got != m.want {
			t.Fatalf("%s %s: %s, want %s", m.name, m.to, got, m.want)
		}
		kept, err := st.Jobs()
		if got := waiting(kept); err != nil || got != m.want {
			t.Fatalf("%s %s: kept as %s, %v", m.name, m.to, got, err)
		}
	}
	if err := w.m.Move(ids["a"], transfer.MoveLast); !errors.Is(err, ErrState) {
		t.Errorf("a running one is moved: %v", err)
	}
	if err := w.m.Move(ids["b"], "sideways"); !errors.Is(err, ErrState) {
		t.Errorf("sideways: %v", err)
	}
	if err := w.m.Move(99, transfer.MoveUp); !errors.Is(err, transfer.ErrNoJob) {
		t.Errorf("one that is not there: %v", err)
	}
	release()
	for _, id := range ids {
		w.state(id, transfer.Done)
	}
	if d := cmp.Diff([]string{"a", "d", "b", "c", "e"}, begun()); d != "" {
		t.Errorf("they began otherwise: %s", d)
	}
}

// waiting are the titles of the jobs that wait, in the order of the queue.
func waiting(jobs []transfer.Job) string {
	var out []string
	for _, j := range transfer.InOrder(jobs) {
		if j.State == transfer.Waiting {
			out = append(out, j.Title)
		}
	}
	return strings.Join(out, " ")
}

// A job of the background stops for one that somebody waits for, and goes on after it with what it has.
func TestBackgroundGivesWay(t *testing.T) {
	s := newFake()
	s.put("back/big", random("big", 40<<20))
	s.put("back2", random("back2", 100))
	s.put("front", random("front", 100))
	gate, frontGate := make(chan struct{}), make(chan struct{})
	release, releaseFront := sync.OnceFunc(func() { close(gate) }), sync.OnceFunc(func() { close(frontGate) })
	defer release()
	defer releaseFront()
	s.onWait = func(ctx context.Context, _ share.Path, off int64) {
		if off < 20<<20 {
			return
		}
		select {
		case <-gate:
		case <-ctx.Done():
		}
	}
	s.onPack = func(p share.Path, b []byte) ([]byte, error) {
		if p == "front" {
			<-frontGate
		}
		return b, nil
	}
	w := openWorld(t, s, NewMemory(), t.TempDir(), func(c *Config) { c.MaxJobs = 2 })
	back := w.pull("back")
	if err := w.m.Move(back, transfer.MoveBack); err != nil {
		t.Fatal(err)
	}
	w.until(back, "under way", func(j transfer.Job) bool { return j.State == transfer.Running && j.Bytes > 0 })
	front := w.pull("front")
	w.until(front, "begun, though both places may be taken", func(j transfer.Job) bool { return j.State == transfer.Running })
	w.until(back, "stopped for it", func(j transfer.Job) bool { return j.State == transfer.Waiting })
	had := w.job(back).Bytes
	second := w.pull("back2")
	if err := w.m.Move(second, transfer.MoveBack); err != nil {
		t.Fatal(err)
	}
	release()
	releaseFront()
	w.state(front, transfer.Done)
	w.state(second, transfer.Done)
	j := w.state(back, transfer.Done)
	if had == 0 || j.Fetched > 40<<20+16<<20 {
		t.Errorf("it had %d bytes when it stopped, and fetched %d in all", had, j.Fetched)
	}
	if err := w.m.Move(back, transfer.MoveFront); !errors.Is(err, ErrState) {
		t.Errorf("one that is done was moved: %v", err)
	}
}

func TestJobsOfOldKeepTheirOrder(t *testing.T) {
	st := NewMemory()
	for i, n := range []string{"a", "b", "c"} { // of a version without places
		if err := st.PutJob(transfer.Job{ID: transfer.JobID(i + 1), Title: n, State: transfer.Waiting, Request: transfer.Request{Paths: []share.Path{share.Path(n)}}}); err != nil {
			t.Fatal(err)
		}
	}
	m, err := New(Config{Store: st, Sources: newFake()})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Move(3, transfer.MoveUp); err != nil {
		t.Fatal(err)
	}
	if got := waiting(m.Jobs()); got != "a c b" {
		t.Error(got)
	}
}

func TestHeldQueueWaitsAndGoesOn(t *testing.T) {
	s := newFake()
	s.put("large", random("large", 30*content.PieceSize))
	s.put("note", random("note", 10))
	var once sync.Once
	moving := make(chan struct{})
	closed, open := gate()
	defer open()
	s.onBytes = func(_ share.Path, off int64, _ []byte) error {
		if off > 5*content.PieceSize {
			once.Do(func() { close(moving); <-closed })
		}
		return nil
	}
	w := newWorld(t, s, nil)
	large := w.pull("large")
	w.until(large, "moving", func(transfer.Job) bool { return isClosed(moving) })
	w.until(large, "some pieces are there", func(j transfer.Job) bool { return j.Bytes >= 3*content.PieceSize })
	w.m.Hold(true)
	open()
	j := w.state(large, transfer.Waiting)
	if !w.m.Held() || j.Bytes == 0 || j.Rate != 0 || j.Took <= 0 {
		t.Errorf("held: %+v", j)
	}
	note := w.pull("note")
	if err := w.m.Resume(note); err != nil { // by itself it may go on, but all are held
		t.Fatal(err)
	}
	s.cut() // whoever asks now would be away, not waiting
	for range 20 {
		w.m.poke()
		if a, b := w.job(large).State, w.job(note).State; a != transfer.Waiting || b != transfer.Waiting {
			t.Fatalf("held and yet %s, %s", a, b)
		}
	}
	s.back()
	before := s.read.Load()
	w.m.Hold(false)
	w.state(note, transfer.Done)
	j = w.state(large, transfer.Done)
	if again := s.read.Load() - before; again >= 30*content.PieceSize {
		t.Errorf("%d bytes were asked for again: what was there did not count", again)
	}
	if j.Fetched < 30*content.PieceSize || j.Average() <= 0 {
		t.Errorf("fetched %d in %v", j.Fetched, j.Took)
	}
}

func TestPiecesOfAFileUnderWay(t *testing.T) {
	s := newFake()
	const pieces = 20
	s.put("film", random("film", pieces*content.PieceSize-5))
	closed, open := gate()
	defer open()
	var once sync.Once
	reached := make(chan struct{})
	s.onBytes = func(_ share.Path, off int64, _ []byte) error {
		if off >= 10*content.PieceSize {
			once.Do(func() { close(reached) })
			<-closed
		}
		return nil
	}
	w := newWorld(t, s, nil)
	id := w.pull("film")
	w.until(id, "half way", func(transfer.Job) bool { return isClosed(reached) })
	var got transfer.FileMap
	w.until(id, "ten pieces are there", func(transfer.Job) bool {
		maps, err := w.m.Pieces(id)
		if err != nil {
			t.Fatal(err)
		}
		if len(maps) == 1 {
			got = maps[0]
		}
		return got.Have == 10
	})
	want := transfer.FileMap{Path: "film", Size: pieces*content.PieceSize - 5, Pieces: pieces, Have: 10, Parts: append(slices.Repeat([]uint8{255}, 10), make([]uint8, 10)...)}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	open()
	w.state(id, transfer.Done)
	if maps, err := w.m.Pieces(id); err != nil || len(maps) != 0 {
		t.Errorf("of a file that is there: %v, %v", maps, err)
	}
	if _, err := w.m.Pieces(99); !errors.Is(err, transfer.ErrNoJob) {
		t.Errorf("of no job: %v", err)
	}
}

func TestMapsAreBounded(t *testing.T) {
	s := newPartials()
	for i := range 3 * transfer.MaxMaps {
		b := &partial{src: share.Path(fmt.Sprintf("f%03d", i)), size: 5000 * content.PieceSize, have: make([]bool, 5000), cvs: make([]content.Hash, 5000)}
		for k := range 2500 {
			b.have[k] = true
		}
		s.byPath[b.src] = b
	}
	s.byPath["empty"] = &partial{src: "empty", have: make([]bool, 1)}
	maps := s.maps()
	if len(maps) != transfer.MaxMaps || maps[0].Path != "empty" || maps[0].Parts[0] != 0 {
		t.Fatalf("%d maps, the first %+v", len(maps), maps[0])
	}
	m := maps[1]
	if len(m.Parts) != transfer.MaxMapParts || m.Have != 2500 || m.Pieces != 5000 || m.Parts[0] != 255 || m.Parts[254] != 255 || m.Parts[257] != 0 || m.Parts[511] != 0 {
		t.Errorf("map: %+v", m)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	st := NewMemory()
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range transfer.MaxHistory + 50 {
		j := transfer.Job{ID: transfer.JobID(i + 1), State: transfer.Done, Ended: base.Add(time.Duration(i) * time.Minute), Request: transfer.Request{Paths: []share.Path{"x"}, Into: t.TempDir()}}
		if i < 3 {
			j.State = transfer.Failed
		}
		if err := st.PutJob(j); err != nil {
			t.Fatal(err)
		}
		if _, err := st.NextJob(); err != nil {
			t.Fatal(err)
		}
	}
	s := newFake()
	s.put("x", []byte("x"))
	w := openWorld(t, s, st, t.TempDir(), nil)
	w.state(w.pull("x"), transfer.Done)
	w.state(w.pull("x"), transfer.Done)
	var ended, failed int
	oldest := base.AddDate(1, 0, 0)
	for _, j := range w.m.Jobs() {
		switch {
		case j.State == transfer.Failed:
			failed++
		case j.State.Ended():
			ended++
			if j.Ended.Before(oldest) {
				oldest = j.Ended
			}
		}
	}
	kept, err := st.Jobs()
	if failed != 3 || ended+failed > transfer.MaxHistory+1 || ended+failed < transfer.MaxHistory || err != nil || len(kept) != ended+failed {
		t.Errorf("%d ended, %d failed, %d kept, %v", ended, failed, len(kept), err)
	}
	if want := base.Add(53 * time.Minute); oldest.Before(want) {
		t.Errorf("one that ended at %v is still there", oldest)
	}
}
