package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"porchlight/app/config"
	"porchlight/app/mesh"
	"porchlight/discovery"
	machine "porchlight/discovery/calm"
	"porchlight/share"
	"porchlight/transfer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is one engine at work on the loopback interface.
type world struct {
	*Engine
	t    *testing.T
	home string
	dir  string
	id   discovery.DeviceID
	stop func()
}

func start(t *testing.T, name, home string) *world {
	t.Helper()
	dir := t.TempDir()
	if home == "" {
		home = t.TempDir()
	}
	e, err := Open(t.Context(), Config{Home: home, Version: "test", Loopback: true, Change: func(s *config.Settings) error {
		s.Name, s.Network, s.Downloads, s.FirstRunDone = name, discovery.Home, filepath.Join(dir, "downloads"), true
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Engine: e, t: t, home: home, dir: dir, id: e.ident.ID(), stop: running(t, e)}
	w.until("it listens", func() bool {
		s, err := e.Self(t.Context())
		return err == nil && s.Port != 0
	})
	return w
}

// running runs an engine until stop is called, or the test ends.
func running(t *testing.T, e *Engine) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := e.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(stop)
	return stop
}

// until waits for a condition; every change of the engine looks again.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	w.within(15*time.Second, what, ok)
}

func (w *world) within(most time.Duration, what string, ok func() bool) {
	w.t.Helper()
	most = machine.Most(most)
	deadline := time.Now().Add(most)
	for !ok() {
		if time.Now().After(deadline) {
			peers, _ := w.Peers(w.t.Context())
			jobs, _ := w.Jobs(w.t.Context())
			w.t.Fatalf("after %v not yet so that %s\npeers %+v\njobs %+v", most, what, peers, jobs)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (w *world) sees(other *world, state discovery.State) func() bool {
	return func() bool {
		p, err := w.roster.Get(other.id)
		return err == nil && p.State == state
	}
}

// meet makes a and b neighbours, both ways, without announcements.
func meet(a, b *world) {
	a.t.Helper()
	self, err := b.Self(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	if err := a.AddPeer(a.t.Context(), fmt.Sprintf("127.0.0.1:%d", self.Port)); err != nil {
		a.t.Fatal(err)
	}
	a.until("it sees the other", a.sees(b, discovery.Online))
	b.until("the other sees it", b.sees(a, discovery.Online))
}

func (w *world) put(name string, data []byte) {
	w.t.Helper()
	file := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// offer shares a folder of w and returns it as others see it.
func (w *world) offer(name string) share.Offer {
	w.t.Helper()
	s, err := w.AddShare(w.t.Context(), filepath.Join(w.dir, name), name)
	if err != nil {
		w.t.Fatal(err)
	}
	return share.Offer{ID: s.ID, Kind: s.Kind, Name: s.Name}
}

func (w *world) job(id transfer.JobID) transfer.Job {
	jobs, err := w.Jobs(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, j := range jobs {
		if j.ID == id {
			return j
		}
	}
	w.t.Fatalf("no job %d", id)
	return transfer.Job{}
}

func TestFoundByAnnouncement(t *testing.T) {
	a, b := start(t, "anna", ""), start(t, "bert", "")
	a.until("it sees the other", a.sees(b, discovery.Online))
	b.until("the other sees it", b.sees(a, discovery.Online))
}

func TestShareBrowsePull(t *testing.T) {
	a, b := start(t, "anna", ""), start(t, "bert", "")
	meet(a, b)
	data := bytes.Repeat([]byte("porchlight "), 300_000)
	a.put("Stuff/big.bin", data)
	a.put("Stuff/sub/note.txt", []byte("hello"))
	if offers, err := b.Offers(t.Context(), a.id); err != nil || len(offers) != 0 {
		t.Fatalf("before anything is shared: %v, %v", offers, err)
	}
	o := a.offer("Stuff")
	offers, err := b.Offers(t.Context(), a.id)
	if err != nil || len(offers) != 1 || offers[0].Name != "Stuff" {
		t.Fatalf("%v, %v", offers, err)
	}
	var names []string
	err = b.List(t.Context(), a.id, o.ID, "", share.ByName, func(es []share.Entry) error {
		for _, e := range es {
			names = append(names, e.Name())
		}
		return nil
	})
	if err != nil || fmt.Sprint(names) != "[sub big.bin]" {
		t.Errorf("%v, %v", names, err)
	}
	id, err := b.Pull(t.Context(), transfer.Request{Source: a.id, Share: o.ID, ShareName: o.Name, Paths: []share.Path{""}})
	if err != nil {
		t.Fatal(err)
	}
	b.until("all is there", func() bool { return b.job(id).State.Ended() })
	j := b.job(id)
	if j.State != transfer.Done || j.Failed != 0 || j.Done != 2 {
		t.Fatalf("%+v", j)
	}
	got, err := os.ReadFile(filepath.Join(b.dir, "downloads", "Stuff", "big.bin"))
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := a.RemoveShare(t.Context(), o.ID); err != nil {
		t.Fatal(err)
	}
	if err := b.List(t.Context(), a.id, o.ID, "", share.ByName, func([]share.Entry) error { return nil }); !errors.Is(err, transfer.ErrGone) {
		t.Errorf("a removed share: %v", err)
	}
}

func TestChangesAreSeenAtOnce(t *testing.T) {
	a, b := start(t, "anna", ""), start(t, "bert", "")
	meet(a, b)
	a.put("Stuff/x", nil)
	o := a.offer("Stuff")
	ctx, cancel := context.WithCancel(t.Context())
	news := make(chan struct{}, 100)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := b.Watch(ctx, a.id, o.ID, "", func() { news <- struct{}{} }); !errors.Is(err, context.Canceled) {
			t.Errorf("the watch ended with %v", err)
		}
	})
	defer wg.Wait()
	defer cancel()
	first := 0
	for seen := false; !seen; first++ { // the watch takes effect a moment after Watch was called
		if first == 300 {
			t.Fatal("a new file is not seen")
		}
		a.put(fmt.Sprintf("Stuff/first %d", first), nil)
		select {
		case <-news:
			seen = true
		case <-time.After(200 * time.Millisecond):
		}
	}
	for n := range 2*first + 2 { // one after another, and more than the first ones can account for: each was made and written
		began := time.Now()
		a.put(fmt.Sprintf("Stuff/second %d", n), []byte("new"))
		select {
		case <-news:
			t.Logf("seen after %v", time.Since(began))
		case <-time.After(machine.Most(5 * time.Second)):
			t.Fatalf("file %d after that is not seen", n)
		}
	}
}

func TestGoodbyeCrashAndReturn(t *testing.T) {
	a, b := start(t, "anna", ""), start(t, "bert", "")
	meet(a, b)
	b.stop()
	a.within(time.Second, "the goodbye was heard", a.sees(b, discovery.Offline))
	again := start(t, "bert", b.home)
	if again.id != b.id {
		t.Fatal("the same home is another device")
	}
	a.within(10*time.Second, "it is back", a.sees(again, discovery.Online))
}

func TestNamesTravel(t *testing.T) {
	a, b := start(t, "anna", ""), start(t, "bert", "")
	meet(a, b)
	if err := b.SetName(t.Context(), "berta"); err != nil {
		t.Fatal(err)
	}
	if err := b.SetWorkgroup(t.Context(), "HOME"); err != nil {
		t.Fatal(err)
	}
	a.until("the new names are known", func() bool {
		p, err := a.roster.Get(b.id)
		return err == nil && p.Name == "berta" && p.Workgroup == "HOME" && p.FirstName == "bert"
	})
	if err := b.SetName(t.Context(), "a\u202eb"); !errors.Is(err, discovery.ErrName) {
		t.Errorf("a name that hides itself: %v", err)
	}
}

func TestPublicNetworkHidesAndReturns(t *testing.T) {
	a, b := start(t, "anna", ""), start(t, "bert", "")
	meet(a, b)
	if err := b.SetNetwork(t.Context(), discovery.Public); err != nil {
		t.Fatal(err)
	}
	a.until("the other has left", a.sees(b, discovery.Offline))
	b.until("it listens no more", func() bool {
		s, err := b.Self(t.Context())
		return err == nil && s.Port == 0
	})
	if err := b.AddPeer(t.Context(), "127.0.0.1:1"); !errors.Is(err, transfer.ErrAway) {
		t.Errorf("on a public network: %v", err)
	}
	if err := b.SetNetwork(t.Context(), discovery.Home); err != nil {
		t.Fatal(err)
	}
	b.until("it listens again", func() bool {
		s, err := b.Self(t.Context())
		return err == nil && s.Port != 0
	})
	a.until("it is back", a.sees(b, discovery.Online))
}

func TestNobodyThere(t *testing.T) {
	a := start(t, "anna", "")
	if err := a.AddPeer(t.Context(), "127.0.0.1:9"); !errors.Is(err, transfer.ErrAway) {
		t.Errorf("a closed port: %v", err)
	}
	self, err := a.Self(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.AddPeer(t.Context(), fmt.Sprintf("127.0.0.1:%d", self.Port)); !errors.Is(err, mesh.ErrSelf) {
		t.Errorf("itself: %v", err)
	}
	if _, err := a.Offers(t.Context(), discovery.DeviceID{1}); err == nil {
		t.Error("an unknown device answers")
	}
}

func TestANewHomeWaitsToBeAsked(t *testing.T) {
	e, err := Open(t.Context(), Config{Home: t.TempDir(), Version: "test", Loopback: true, AskFirst: true})
	if err != nil {
		t.Fatal(err)
	}
	running(t, e)
	if trusted, _, _ := e.trusted(); trusted { // which is all it goes by
		t.Error("it goes on the network by itself")
	}
	if s, err := e.Self(t.Context()); err != nil || s.Port != 0 || !s.FirstRun {
		t.Errorf("before anybody was asked: %+v, %v", s, err)
	} else if s.Goroutines < 2 || time.Since(s.Since) > time.Minute {
		t.Errorf("since %v with %d goroutines", s.Since, s.Goroutines)
	}
	if err := e.FinishFirstRun(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := &world{Engine: e, t: t}
	w.until("it listens", func() bool {
		s, err := e.Self(t.Context())
		return err == nil && s.Port != 0 && !s.FirstRun
	})
}

func TestRawEndsWithEndlessAnswers(t *testing.T) {
	a, b := start(t, "anna", ""), start(t, "bert", "")
	meet(a, b)
	began := time.Now()
	status, kind, body, err := a.Raw(t.Context(), b.id, "/v1/events")
	if err != nil || status != 200 || len(body) == 0 || kind == "" || time.Since(began) > machine.Most(4*time.Second) {
		t.Errorf("%d %q %d bytes, %v after %v", status, kind, len(body), err, time.Since(began))
	}
	if status, _, _, err := a.Raw(t.Context(), b.id, "/v1/nothing"); err != nil || status != 404 {
		t.Errorf("no such route: %d, %v", status, err)
	}
}

// TestPullThatWaitedBeforeTheNetwork: a job of the last run asks for its source before this device is on any network.
func TestPullThatWaitedBeforeTheNetwork(t *testing.T) {
	a, b := start(t, "anna", ""), start(t, "bert", "")
	meet(a, b)
	a.put("Stuff/note.txt", []byte("hello"))
	o := a.offer("Stuff")
	b.stop()
	again, err := Open(t.Context(), Config{Home: b.home, Version: "test", Loopback: true})
	if err != nil {
		t.Fatal(err)
	}
	up := sources{again}.Up(a.id)
	id, err := again.Pull(t.Context(), transfer.Request{Source: a.id, Share: o.ID, ShareName: o.Name, Paths: []share.Path{""}, Into: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	running(t, again)
	select {
	case <-up:
	case <-time.After(machine.Most(15 * time.Second)):
		t.Fatal("who waited from before the network on is never told")
	}
	w := &world{Engine: again, t: t}
	w.until("the pull is done", func() bool { return w.job(id).State == transfer.Done })
}
