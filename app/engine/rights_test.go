package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery"
	machine "porchlight/discovery/calm"
	"porchlight/discovery/canon"
	"porchlight/discovery/presence"
	"porchlight/share"
	"porchlight/share/access"
	"porchlight/share/catalogue"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

func only(devs ...*world) (to []share.Grant) {
	for _, d := range devs {
		to = append(to, share.Grant{Who: share.ToDevice, Device: d.id, Level: share.LookOnly})
	}
	return to
}

// TestMayLook: who is shown a share at all.
func TestMayLook(t *testing.T) {
	bo, cleo := discovery.DeviceID{2}, discovery.DeviceID{3}
	now := time.Unix(1_800_000_000, 0)
	nearby := share.Grant{Who: share.ToNearby, Level: share.LookOnly}
	nobody := share.Grant{Who: share.ToNobody}
	toBo := share.Grant{Who: share.ToDevice, Device: bo, Level: share.LookOnly}
	toBoUntil := toBo
	toBoUntil.Until = now
	for _, tt := range []struct {
		name     string
		s        share.Share
		bo, cleo bool
	}{
		{"nobody decided", share.Share{Kind: share.Folder}, true, true},
		{"everyone nearby", share.Share{Kind: share.Folder, Audience: []share.Grant{nearby}}, true, true},
		{"a drive", share.Share{Kind: share.Drive, Audience: []share.Grant{nearby}}, true, true},
		{"nobody", share.Share{Kind: share.Folder, Audience: []share.Grant{nobody}}, false, false},
		{"bo", share.Share{Kind: share.Folder, Audience: []share.Grant{toBo}}, true, false},
		{"bo, and then nobody", share.Share{Kind: share.Folder, Audience: []share.Grant{toBo, nobody, nearby}}, true, false},
		{"bo until now", share.Share{Kind: share.Folder, Audience: []share.Grant{toBoUntil}}, false, false},
		{"bo may only add", share.Share{Kind: share.Folder, Audience: []share.Grant{{Who: share.ToDevice, Device: bo, Level: share.AddOnly}}}, false, false},
		{"bo has to ask", share.Share{Kind: share.Folder, Audience: []share.Grant{{Who: share.ToDevice, Device: bo, Level: share.LookOnly, Ask: share.AskEach}}}, false, false},
		{"a row that is not whole", share.Share{Kind: share.Folder, Audience: []share.Grant{{Who: share.ToDevice, Level: share.LookOnly}}}, false, false},
		{"the list is lost", share.Share{Kind: share.Folder, Lost: true}, false, false},
		{"the list is lost, whatever is left of it", share.Share{Kind: share.Folder, Audience: []share.Grant{nearby}, Lost: true}, false, false},
		{"an inbox", share.Share{Kind: share.Inbox, Audience: access.Default(share.Inbox, [32]byte{})}, false, false},
	} {
		for dev, want := range map[discovery.DeviceID]bool{bo: tt.bo, cleo: tt.cleo} {
			if got := mayLook(access.Subject{Device: dev, Nearby: true}, tt.s, now); got != want {
				t.Errorf("%s: device %d: %v", tt.name, dev[0], got)
			}
			if mayLook(access.Subject{Device: dev, Nearby: true, Blocked: true}, tt.s, now) || mayLook(access.Subject{Device: dev}, tt.s, now) {
				t.Errorf("%s: device %d looks though it is blocked, or nowhere near", tt.name, dev[0])
			}
		}
	}
}

// answerOf is what w is answered by another device, all of it.
func (w *world) answerOf(other *world, method, route, match string, body any) string {
	w.t.Helper()
	n, err := w.neighbour(other.id)
	if err != nil {
		return err.Error()
	}
	var data []byte
	switch b := body.(type) {
	case nil:
	case wire.PackItem: // one of a sequence
		var buf bytes.Buffer
		seq := canon.NewWriter(&buf)
		if err := errors.Join(seq.Write(b), seq.Close()); err != nil {
			w.t.Fatal(err)
		}
		data = buf.Bytes()
	default:
		if data, err = canon.Marshal(body); err != nil {
			w.t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, "http://peer"+route, bytes.NewReader(data))
	if err != nil {
		w.t.Fatal(err)
	}
	if match != "" {
		r.Header.Set("If-Match", `"`+match+`"`)
		r.Header.Set("Range", "bytes=0-0")
	}
	if body == nil {
		r.Body, r.ContentLength = nil, 0
	}
	res, err := n.Peer.Client(link.Quick).Do(r)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, route, err)
	}
	defer res.Body.Close() //nolint:errcheck // of a test
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	res.Header.Del("Date")
	return fmt.Sprintf("%d %v %x", res.StatusCode, res.Header, b)
}

// routesOf are all ways to ask for something of a share.
func (w *world) routesOf(other *world, id share.ID, path string, v share.Version, size int64) map[string]string {
	base, q := wire.RouteShare+id.String(), "?path="+path
	pack := wire.PackItem{Path: path, Version: v[:]}
	swarm := wire.SwarmAsk{Bits: make([]byte, (size>>20+7)/8)}
	return map[string]string{
		"list":    w.answerOf(other, "GET", base+wire.RouteList, "", nil),
		"deep":    w.answerOf(other, "GET", base+wire.RouteList+"?deep=1", "", nil),
		"subpath": w.answerOf(other, "GET", base+wire.RouteList+"?path=nowhere", "", nil),
		"file":    w.answerOf(other, "GET", base+wire.RouteFile+q, v.String(), nil),
		"stale":   w.answerOf(other, "GET", base+wire.RouteFile+q, share.Version{9}.String(), nil),
		"pack":    w.answerOf(other, "POST", base+wire.RoutePack, "", pack),
		"layer":   w.answerOf(other, "GET", base+wire.RouteLayer+q, v.String(), nil),
		"swarm":   w.answerOf(other, "POST", base+wire.RouteSwarm+q, v.String(), swarm),
		"watch":   w.answerOf(other, "PUT", wire.RouteWatch, "", wire.Watch{Dirs: []wire.WatchDir{{Share: id[:]}}}),
		"find":    w.answerOf(other, "POST", wire.RouteFind, "", wire.FindAsk{Sizes: []int64{size}}),
	}
}

// TestSharedWithOne: what is for bo is for bo, and cleo is told nothing that she would not be told of a share that never was.
func TestSharedWithOne(t *testing.T) {
	anna, bo, cleo := start(t, "anna", ""), start(t, "bo", ""), start(t, "cleo", "")
	meet(anna, bo)
	meet(anna, cleo)
	const size = wire.SwarmSize + 5<<20
	data := noise("film", size)
	anna.put("Films/film.bin", data)
	anna.put("Open/note.txt", []byte("hello"))
	s, err := anna.AddShare(t.Context(), filepath.Join(anna.dir, "Films"), "Films", only(bo)...)
	if err != nil {
		t.Fatal(err)
	}
	o := share.Offer{ID: s.ID, Kind: s.Kind, Name: s.Name}
	open := anna.offer("Open")
	if got, err := bo.Offers(t.Context(), anna.id); err != nil || !cmp.Equal(got, []share.Offer{o, open}) {
		t.Errorf("bo is offered %v, %v", got, err)
	}
	if got, err := cleo.Offers(t.Context(), anna.id); err != nil || !cmp.Equal(got, []share.Offer{open}) {
		t.Errorf("cleo is offered %v, %v", got, err)
	}
	id := bo.fetch(anna, o, "film.bin")
	bo.within(time.Minute, "bo has it", func() bool { return bo.job(id).State == transfer.Done })
	bo.same("film.bin", data)

	tree, err := anna.catalogue.Tree(o.ID)
	if err != nil {
		t.Fatal(err)
	}
	e, err := tree.Stat("film.bin")
	if err != nil {
		t.Fatal(err)
	}
	here := cleo.routesOf(anna, o.ID, "film.bin", e.Version, size)
	never := cleo.routesOf(anna, share.ID{0xEE}, "film.bin", e.Version, size)
	if diff := cmp.Diff(never, here); diff != "" {
		t.Errorf("cleo can tell it from a share that is not there:\n%s", diff)
	}
	his := bo.routesOf(anna, o.ID, "film.bin", e.Version, size)
	for route := range his {
		if same := his[route] == here[route]; same != slices.Contains([]string{"watch", "subpath"}, route) {
			t.Errorf("%s: bo is answered %.80s, cleo %.80s", route, his[route], here[route])
		}
	}
	t.Logf("%d routes answer cleo as if there were nothing", len(here))
	job := cleo.fetch(anna, o, "film.bin")
	cleo.until("cleo gets nothing", func() bool { return cleo.job(job).State == transfer.Failed })
	if _, err := os.Stat(filepath.Join(cleo.dir, "downloads", "film.bin")); err == nil || cleo.job(job).Bytes > 0 {
		t.Error("cleo has something of it")
	}
}

// slowly begins a pull by w that would take some minutes, and waits until it runs.
func slowly(t *testing.T, from, w *world) (share.Offer, transfer.JobID) {
	t.Helper()
	from.put("Films/film.bin", noise("film", 96<<20))
	o := from.offer("Films")
	from.up.Set(1 << 20)
	id := w.fetch(from, o, "film.bin")
	w.until("bytes come", func() bool { return w.job(id).Bytes > 0 })
	return o, id
}

// reading asks from for 64 MiB in one range, which would take a minute, and returns once the first bytes are there. ended gets
// when the answer broke off; nothing of it is asked for again.
func (w *world) reading(from *world, o share.Offer) (ended <-chan time.Time) {
	w.t.Helper()
	tree, err := from.catalogue.Tree(o.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := tree.Stat("film.bin")
	if err != nil {
		w.t.Fatal(err)
	}
	n, err := w.neighbour(from.id)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(w.t.Context(), "GET", "http://peer"+wire.RouteShare+o.ID.String()+wire.RouteFile+"?path=film.bin", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("If-Match", `"`+e.Version.String()+`"`)
	r.Header.Set("Range", "bytes=0-67108863")
	res, err := n.Peer.Client(link.Bulk).Do(r)
	if err != nil || res.StatusCode != http.StatusPartialContent {
		w.t.Fatal(res, err)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, 1000)); err != nil {
		w.t.Fatal(err)
	}
	out := make(chan time.Time, 1)
	go func() {
		defer res.Body.Close() //nolint:errcheck // of a test
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			out <- time.Now()
		}
	}()
	return out
}

// cutWithin checks that what was being read broke off soon after begin.
func cutWithin(t *testing.T, most time.Duration, begin time.Time, ended <-chan time.Time) {
	t.Helper()
	select {
	case at := <-ended:
		t.Logf("a range on its way broke off after %v", at.Sub(begin).Round(time.Millisecond))
		if at.Sub(begin) > most {
			t.Errorf("it was to break off within %v", most)
		}
	case <-time.After(machine.Most(10 * time.Second)):
		t.Error("it goes on")
	}
}

// TestBlock: it cuts off what runs, shows, survives a restart, and can be taken back.
func TestBlock(t *testing.T) {
	anna, bo, cleo := start(t, "anna", ""), start(t, "bo", ""), start(t, "cleo", "")
	meet(anna, bo)
	meet(anna, cleo)
	o, id := slowly(t, anna, bo)
	if err := anna.Block(t.Context(), discovery.DeviceID{9}); !errors.Is(err, presence.ErrUnknown) {
		t.Error(err)
	}
	ended, begin := bo.reading(anna, o), time.Now()
	if err := anna.Block(t.Context(), bo.id); err != nil {
		t.Fatal(err)
	}
	cutWithin(t, time.Second, begin, ended)
	bo.until("anna is not there for bo", bo.sees(anna, discovery.Offline))
	anna.until("nor bo for anna", anna.sees(bo, discovery.Offline))
	if _, err := bo.Offers(t.Context(), anna.id); err == nil {
		t.Error("bo is offered something")
	}
	if _, err := anna.Offers(t.Context(), bo.id); err == nil {
		t.Error("anna asks bo")
	}
	if got, err := cleo.Offers(t.Context(), anna.id); err != nil || len(got) != 1 {
		t.Errorf("cleo is offered %v, %v", got, err)
	}
	isBlocked := func(w *world) bool {
		all, err := w.Peers(t.Context())
		return err == nil && slices.ContainsFunc(all, func(p discovery.Peer) bool { return p.ID == bo.id && p.Blocked && p.Name == "bo" })
	}
	if !isBlocked(anna) {
		t.Error("bo is not shown as blocked")
	}
	anna.stop()
	anna = start(t, "anna", anna.home)
	if !isBlocked(anna) || !anna.sight.Blocked(bo.id) {
		t.Error("the block is gone after a restart")
	}
	if err := anna.ForgetPeer(t.Context(), bo.id); err != nil || !isBlocked(anna) {
		t.Error("who was blocked is not on the list any more:", err)
	}
	if err := anna.Unblock(t.Context(), bo.id); err != nil || isBlocked(anna) {
		t.Fatal(err)
	}
	meet(anna, bo)
	if got, err := bo.Offers(t.Context(), anna.id); err != nil || len(got) != 1 || got[0].ID != o.ID {
		t.Errorf("bo is offered %v, %v", got, err)
	}
	bo.within(time.Minute, "bo has it all", func() bool { return bo.job(id).State == transfer.Done })
}

// TestUnblockWhileRunning: bo is back by itself.
func TestUnblockWhileRunning(t *testing.T) {
	anna, bo := start(t, "anna", ""), start(t, "bo", "")
	meet(anna, bo)
	if err := anna.Block(t.Context(), bo.id); err != nil {
		t.Fatal(err)
	}
	bo.until("anna is not there for bo", bo.sees(anna, discovery.Offline))
	if err := anna.Unblock(t.Context(), bo.id); err != nil {
		t.Fatal(err)
	}
	anna.until("bo is back", anna.sees(bo, discovery.Online))
	bo.until("anna is back", bo.sees(anna, discovery.Online))
}

// TestTakenAway: who may not look any more is cut off, and the others are not.
func TestTakenAway(t *testing.T) {
	anna, bo, cleo := start(t, "anna", ""), start(t, "bo", ""), start(t, "cleo", "")
	meet(anna, bo)
	meet(anna, cleo)
	o, id := slowly(t, anna, bo)
	if err := anna.AllowShare(t.Context(), o.ID, nil); !errors.Is(err, share.ErrGrant) {
		t.Error(err)
	}
	if err := anna.AllowShare(t.Context(), share.ID{9}, only(bo)); !errors.Is(err, catalogue.ErrUnknown) {
		t.Error(err)
	}
	ended, begin := bo.reading(anna, o), time.Now()
	if err := anna.AllowShare(t.Context(), o.ID, only(cleo)); err != nil {
		t.Fatal(err)
	}
	cutWithin(t, time.Second, begin, ended)
	bo.until("bo's pull says so", func() bool { return bo.job(id).State == transfer.Failed })
	offered := func(w *world, n int) func() bool { // over a connection of its own: the ones before were cut
		return func() bool { got, err := w.Offers(t.Context(), anna.id); return err == nil && len(got) == n }
	}
	bo.until("bo is offered nothing", offered(bo, 0))
	cleo.until("cleo is offered the share", offered(cleo, 1))
	anna.up.Set(0)
	if err := anna.AllowShare(t.Context(), o.ID, access.Open()); err != nil {
		t.Fatal(err)
	}
	bo.until("it is offered again", func() bool {
		got, err := bo.Offers(t.Context(), anna.id)
		return err == nil && len(got) == 1
	})
	if err := bo.RetryJob(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	bo.within(time.Minute, "bo has it all", func() bool { return bo.job(id).State == transfer.Done })
}
