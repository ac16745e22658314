package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	machine "porchlight/discovery/calm"
	"porchlight/share"
	"porchlight/transfer"
)

// pull begins to bring one path of a share here.
func (w *world) pull(from *world, o share.Offer, p share.Path) transfer.JobID {
	w.t.Helper()
	id, err := w.Pull(w.t.Context(), transfer.Request{Source: from.id, Share: o.ID, ShareName: o.Name, Paths: []share.Path{p}})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// near fails if got is more than a tenth above want, or below half of it: a busy machine may be slower than a limit, and never faster.
func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	t.Logf("%s: %.2f MB/s of %.2f", what, got/1e6, want/1e6)
	if got > want*1.1 || machine.Is() && got < want/2 {
		t.Errorf("%s: %.2f MB/s, want %.2f", what, got/1e6, want/1e6)
	}
}

// TestUploadLimit has two computers pull from one that sends 6 MB/s at most: together they get that, each half of it, and a listing
// is answered at once all the while.
func TestUploadLimit(t *testing.T) {
	const limit, size = 6_000_000, 10_000_000
	a, b, c := start(t, "anna", ""), start(t, "bert", ""), start(t, "clara", "")
	meet(a, b)
	meet(a, c)
	a.put("Stuff/b.bin", noise("1", size))
	a.put("Stuff/c.bin", noise("2", size))
	for i := range 100 {
		a.put(fmt.Sprintf("Stuff/many/%d.txt", i), []byte("x"))
	}
	o := a.offer("Stuff")
	if err := a.SetLimits(t.Context(), transfer.Limits{Up: limit}); err != nil {
		t.Fatal(err)
	}
	browse := func() time.Duration {
		asked := time.Now()
		if err := b.List(t.Context(), a.id, o.ID, "many", share.ByName, func([]share.Entry) error { return nil }); err != nil {
			t.Fatal(err)
		}
		return time.Since(asked)
	}
	calm := min(browse(), browse(), browse())
	begun := time.Now()
	one, two := b.pull(a, o, "b.bin"), c.pull(a, o, "c.bin")
	var listings []time.Duration
	var first time.Duration // when the first of the two was done
	b.until("both are there", func() bool {
		listings = append(listings, browse())
		time.Sleep(100 * time.Millisecond) // a person looks around; listings come at a rate that is allowed
		jb, jc := b.job(one).State, c.job(two).State
		if first == 0 && (jb == transfer.Done || jc == transfer.Done) {
			first = time.Since(begun)
		}
		return jb == transfer.Done && jc == transfer.Done
	})
	took := time.Since(begun)
	near(t, "sent to both", 2*size/took.Seconds(), limit)
	slices.Sort(listings)
	n := len(listings)
	usual, most := listings[n*3/4], max(100*time.Millisecond, 20*calm) // whatever else this computer does delays some
	t.Logf("first done after %v of %v; three of four of %d listings within %v, all within %v, at most %v", first, took, n, usual, listings[n-1], most)
	if machine.Is() && first < took*3/4 {
		t.Errorf("one was done after %v of %v: the two had no fair parts", first, took)
	}
	if machine.Is() && (usual > most || n < 10) {
		t.Errorf("three of four of %d listings took %v, at most %v", n, usual, most)
	}
	const small, count = 20_000, 600
	for i := range count {
		a.put(fmt.Sprintf("Stuff/small/%03d.bin", i), noise(fmt.Sprint("packed ", i), small))
	}
	begun = time.Now()
	id := b.pull(a, o, "small")
	b.until("the small ones are there", func() bool { return b.job(id).State == transfer.Done })
	near(t, "sent in packs", small*count/time.Since(begun).Seconds(), limit)
}

// TestDownloadLimit brings a large file and many small ones here at 5 MB/s, then without a limit.
func TestDownloadLimit(t *testing.T) {
	const limit, large, small, count = 5_000_000, 10_000_000, 20_000, 250
	a, b := start(t, "anna", ""), start(t, "bert", "")
	meet(a, b)
	a.put("Stuff/large.bin", noise("3", large))
	for i := range count {
		a.put(fmt.Sprintf("Stuff/small/%03d.bin", i), noise(fmt.Sprint("small ", i), small))
	}
	o := a.offer("Stuff")
	if err := b.SetLimits(t.Context(), transfer.Limits{Down: limit}); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	id := b.pull(a, o, "")
	b.until("all is there", func() bool { return b.job(id).State == transfer.Done })
	took := time.Since(begun)
	near(t, "received", (large+small*count)/took.Seconds(), limit)
	j := b.job(id)
	if machine.Is() && j.Took < took*8/10 || j.Took > took || j.Fetched < large+small*count {
		t.Errorf("it says it took %v of %v for %d bytes", j.Took, took, j.Fetched)
	}
	if err := b.SetLimits(t.Context(), transfer.Limits{Down: limit, From: 60, Until: 60}); err != nil {
		t.Fatal(err)
	}
	if err := b.SetLimits(t.Context(), transfer.Limits{Down: 1}); !errors.Is(err, transfer.ErrLimits) {
		t.Errorf("a limit of one byte: %v", err)
	}
	if err := b.SetLimits(t.Context(), transfer.Limits{}); err != nil {
		t.Fatal(err)
	}
	again, err := b.Pull(t.Context(), transfer.Request{Source: a.id, Share: o.ID, ShareName: o.Name, Paths: []share.Path{""}, Into: filepath.Join(b.dir, "again")})
	if err != nil {
		t.Fatal(err)
	}
	begun = time.Now()
	b.until("it is there without a limit", func() bool { return b.job(again).State == transfer.Done })
	t.Logf("without a limit: %.0f MB/s", (large+small*count)/time.Since(begun).Seconds()/1e6)
	if free := time.Since(begun); machine.Is() && free > took*3/4 {
		t.Errorf("without a limit it took %v, with one %v", free, took)
	}
}

// TestLimitsFollowTheClock looks at what is in force, as the time of day goes on.
func TestLimitsFollowTheClock(t *testing.T) {
	a := start(t, "anna", "")
	l := transfer.Limits{Up: 2_000_000, Down: 3_000_000, From: 8 * 60, Until: 18 * 60}
	if err := a.SetLimits(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	at := func(h int) time.Time { return time.Date(2026, 5, 1, h, 0, 0, 0, time.Local) }
	a.setLimits(at(9))
	if a.up.Turn() == 0 || a.down.Turn() == 0 {
		t.Error("no limit at nine")
	}
	a.setLimits(at(19))
	if a.up.Turn() != 0 || a.down.Turn() != 0 {
		t.Error("a limit at seven in the evening")
	}
	q, err := a.Queue(t.Context())
	if err != nil || q.Limits != l {
		t.Errorf("%+v, %v", q, err)
	}
	a.stop()
	again := start(t, "anna", a.home)
	if q, err = again.Queue(t.Context()); err != nil || q.Limits != l {
		t.Errorf("after a restart: %+v, %v", q, err)
	}
}

// TestHeldQueue keeps everything from moving, over a restart too, and lets it go on.
func TestHeldQueue(t *testing.T) {
	a, b := start(t, "anna", ""), start(t, "bert", "")
	meet(a, b)
	a.put("Stuff/large.bin", noise("4", 12_000_000))
	a.put("Stuff/note.txt", []byte("hello"))
	o := a.offer("Stuff")
	if err := b.SetLimits(t.Context(), transfer.Limits{Down: 1_000_000}); err != nil {
		t.Fatal(err)
	}
	large := b.pull(a, o, "large.bin")
	b.until("it moves", func() bool { j := b.job(large); return j.State == transfer.Running && j.Bytes > 0 })
	maps, err := b.Pieces(t.Context(), large)
	if err != nil || len(maps) != 1 || maps[0].Path != "large.bin" || maps[0].Pieces != 12 || len(maps[0].Parts) != 12 || maps[0].Have == 0 {
		t.Errorf("pieces: %+v, %v", maps, err)
	}
	if err := b.HoldQueue(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	b.until("it waits", func() bool { return b.job(large).State == transfer.Waiting })
	note := b.pull(a, o, "note.txt")
	if err := b.MoveJob(t.Context(), note, transfer.MoveFirst); err != nil {
		t.Fatal(err)
	}
	b.stop()
	b = start(t, "bert", b.home)
	meet(b, a)
	q, err := b.Queue(t.Context())
	if err != nil || !q.Held {
		t.Fatalf("after a restart: %+v, %v", q, err)
	}
	jobs, err := b.Jobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var order []transfer.JobID
	for _, j := range transfer.InOrder(jobs) {
		if j.State != transfer.Waiting {
			t.Errorf("job %d is %s", j.ID, j.State)
		}
		order = append(order, j.ID)
	}
	if !slices.Equal(order, []transfer.JobID{note, large}) {
		t.Errorf("order after a restart: %v", order)
	}
	if err := b.SetLimits(t.Context(), transfer.Limits{}); err != nil {
		t.Fatal(err)
	}
	if err := b.HoldQueue(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	b.until("both are there", func() bool { return b.job(large).State == transfer.Done && b.job(note).State == transfer.Done })
}
