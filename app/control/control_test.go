package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"porchlight/app/config"
	"porchlight/discovery"
	"porchlight/discovery/calm"
	"porchlight/share"
	"porchlight/share/catalogue"
	"porchlight/share/safefs"
	"porchlight/transfer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	bo    = discovery.DeviceID{1, 2, 3}
	music = share.ID{0xaa}
	now   = time.Date(2026, 5, 1, 12, 0, 0, 123456789, time.UTC)
)

// runtimeDir gives the test a runtime folder of its own, short enough for a socket.
func runtimeDir(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "pl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, name := range []string{"XDG_RUNTIME_DIR", "TMPDIR", "LocalAppData"} {
		t.Setenv(name, dir)
	}
}

// start serves e on a new home and returns a client, and a function that ends the server.
func start(t *testing.T, e Engine) (*Client, func()) {
	t.Helper()
	runtimeDir(t)
	home := t.TempDir()
	lock, err := config.Lock(home)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(t.Context(), lock)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- New(Config{Engine: e, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}).Serve(ctx, l)
	}()
	stop := func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(calm.Most(10 * time.Second)):
			t.Fatal("the server does not end")
		}
		ended <- nil
	}
	c, err := Connect(t.Context(), home)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if err := errors.Join(c.Close(), lock.Release()); err != nil {
			t.Error(err)
		}
	})
	return c, stop
}

func TestEveryCallArrivesAsItWasMade(t *testing.T) {
	f := &fake{queue: transfer.Queue{Held: true, Limits: transfer.Limits{Up: 9, From: 1}, Now: transfer.Limits{Up: 9}},
		maps: []transfer.FileMap{{Path: "a/ü", Size: 1 << 40, Pieces: 1 << 20, Have: 3, Parts: []uint8{0, 255, 7}}}}
	f.wait = func(context.Context, uint64) (uint64, error) { return 9, nil }
	f.raw = func() (int, string, []byte, error) { return 418, "a\r\nb: \xff", []byte("tea\x00"), nil }
	c, _ := start(t, f)
	ctx := t.Context()
	for _, tt := range []struct {
		want string
		call func() error
	}{
		{`SetName["bö"]`, func() error { return c.SetName(ctx, "bö") }},
		{`SetWorkgroup["HOME"]`, func() error { return c.SetWorkgroup(ctx, "HOME") }},
		{`SetNetwork["public"]`, func() error { return c.SetNetwork(ctx, discovery.Public) }},
		{`SetDownloads["/a\xffb"]`, func() error { return c.SetDownloads(ctx, "/a\xffb") }},
		{`SetInterface["wg0" "true"]`, func() error { return c.SetInterface(ctx, "wg0", true) }},
		{`NewIdentity[]`, func() error {
			id, err := c.NewIdentity(ctx)
			if id != bo {
				t.Error("device", id)
			}
			return err
		}},
		{`FinishFirstRun[]`, func() error { return c.FinishFirstRun(ctx) }},
		{`AddPeer["[::1]:5"]`, func() error { return c.AddPeer(ctx, "[::1]:5") }},
		{`ForgetPeer["` + bo.Short() + `"]`, func() error { return c.ForgetPeer(ctx, bo) }},
		{`Diagnose[]`, func() error { _, err := c.Diagnose(ctx); return err }},
		{`Refresh[]`, func() error { return c.Refresh(ctx) }},
		{`RenameShare["aa" "x"]`, func() error { return c.RenameShare(ctx, music, "x") }},
		{`RemoveShare["aa"]`, func() error { return c.RemoveShare(ctx, music) }},
		{`PauseJob['\x01']`, func() error { return c.PauseJob(ctx, 1) }},
		{`ResumeJob['\x02']`, func() error { return c.ResumeJob(ctx, 2) }},
		{`CancelJob['\x03']`, func() error { return c.CancelJob(ctx, 3) }},
		{`RetryJob['\x04']`, func() error { return c.RetryJob(ctx, 4) }},
		{`ForgetJob['\x05']`, func() error { return c.ForgetJob(ctx, 5) }},
		{`Queue[]`, func() error {
			q, err := c.Queue(ctx)
			if q != f.queue {
				t.Errorf("%+v", q)
			}
			return err
		}},
		{`HoldQueue["true"]`, func() error { return c.HoldQueue(ctx, true) }},
		{`MoveJob['\x06' "first"]`, func() error { return c.MoveJob(ctx, 6, transfer.MoveFirst) }},
		{`SetLimits['\x01' '\x02' '\x03' '\x04']`, func() error { return c.SetLimits(ctx, transfer.Limits{Up: 1, Down: 2, From: 3, Until: 4}) }},
		{`Pieces['\a']`, func() error {
			maps, err := c.Pieces(ctx, 7)
			if d := cmp.Diff(f.maps, maps); d != "" {
				t.Error(d)
			}
			return err
		}},
		{`Block["` + bo.Short() + `"]`, func() error { return c.Block(ctx, bo) }},
		{`Unblock["` + bo.Short() + `"]`, func() error { return c.Unblock(ctx, bo) }},
		{`AllowShare["aa" "3"]`, func() error {
			to := []share.Grant{{Who: share.ToDevice, Device: bo, Level: share.LookOnly, Until: time.Unix(1_800_000_000, 0).UTC()},
				{Who: share.ToPerson, Workgroup: [32]byte{1}, Person: [16]byte{2}, Level: share.Change, Ask: share.AskEach}, {Who: share.ToNobody}}
			err := c.AllowShare(ctx, music, to)
			if diff := cmp.Diff(to, f.to); diff != "" {
				t.Error(diff)
			}
			return err
		}},
		{`AddShare["/m\xff" "Music" "1"]`, func() error {
			sh, err := c.AddShare(ctx, "/m\xff", "Music", share.Grant{Who: share.ToDevice, Device: bo, Level: share.LookOnly})
			if len(sh.Audience) != 1 || sh.Audience[0].Device != bo {
				t.Errorf("%+v", sh)
			}
			return err
		}},
		{`AddShare["/m\xff" "Music" "0"]`, func() error {
			sh, err := c.AddShare(ctx, "/m\xff", "Music")
			if sh.Path != "/m\xff" || sh.Name != "Music" {
				t.Errorf("%+v", sh)
			}
			return err
		}},
		{`Pull["/in\xff" ["" "a/b"]]`, func() error {
			id, err := c.Pull(ctx, transfer.Request{Source: bo, Share: music, Paths: []share.Path{"", "a/b"}, Into: "/in\xff"})
			if id != 7 {
				t.Error("job", id)
			}
			return err
		}},
		{`Wait['\b']`, func() error {
			v, err := c.Wait(ctx, 8)
			if v != 9 {
				t.Error("version", v)
			}
			return err
		}},
		{`Raw["` + bo.Short() + `" "/v1/x?y"]`, func() error {
			status, kind, body, err := c.Raw(ctx, bo, "/v1/x?y")
			if status != 418 || kind != "a\r\nb: \xff" || string(body) != "tea\x00" {
				t.Errorf("%d %q %q", status, kind, body)
			}
			return err
		}},
	} {
		if err := tt.call(); err != nil || f.last() != tt.want {
			t.Errorf("%s %v, want %s", f.last(), err, tt.want)
		}
	}
}

func TestEveryAnswerArrivesAsItWasGiven(t *testing.T) {
	f := &fake{
		self: discovery.Self{ID: bo, Name: "bo", Workgroup: "HOME", Network: discovery.Home, Port: 5, Addresses: []netip.AddrPort{netip.MustParseAddrPort("[fe80::1%eth0]:5")},
			Home: "/h\xff", Downloads: "/d\xfe", Health: []discovery.Health{{Service: "mdns", Trouble: "no"}}, FirstRun: true,
			Since: now, Goroutines: 70, Heap: 1 << 40},
		peers:  []discovery.Peer{{ID: bo, Name: "bo", State: discovery.Online, Addresses: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:5")}, Caps: []string{"x"}, LastSeen: now, Manual: true}, {}},
		shares: []share.Share{{ID: music, Kind: share.Folder, Name: "Music", Path: "/m\xff", Added: now}},
		offers: []share.Offer{{ID: music, Kind: share.Drive, Name: "Music", Away: true}},
		jobs: []transfer.Job{{ID: 3, From: "bo", State: transfer.Running, Bytes: 1 << 60, Created: now, Result: "/in/\xff",
			Request:  transfer.Request{Source: bo, Share: music, ShareName: "Music", Paths: []share.Path{"", "a"}, Into: "/in\xff", Check: true},
			Problems: []transfer.Problem{{Path: "a", Trouble: transfer.BadBytes, As: "b"}}}},
	}
	c, _ := start(t, f)
	same := func(got, want any, err error) {
		t.Helper()
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" || err != nil {
			t.Error(err, diff)
		}
	}
	ctx := t.Context()
	self, err := c.Self(ctx)
	same(self, f.self, err)
	peers, err := c.Peers(ctx)
	same(peers, f.peers, err)
	shares, err := c.Shares(ctx)
	same(shares, f.shares, err)
	offers, err := c.Offers(ctx, bo)
	same(offers, f.offers, err)
	jobs, err := c.Jobs(ctx)
	same(jobs, f.jobs, err)
}

func TestErrorsKeepTheirMeaning(t *testing.T) {
	f := &fake{}
	c, _ := start(t, f)
	for _, want := range []error{
		transfer.ErrAway, transfer.ErrGone, transfer.ErrBusy, transfer.ErrFull, transfer.ErrNoJob, transfer.ErrUnsupported, transfer.ErrLimit,
		safefs.ErrNotShareable, catalogue.ErrTaken, catalogue.ErrUnknown, discovery.ErrName, share.ErrPath, fs.ErrNotExist, context.DeadlineExceeded,
	} {
		f.err = fmt.Errorf("open <the> thing: %w", want)
		err := c.Refresh(t.Context())
		if !errors.Is(err, want) || err.Error() != f.err.Error() {
			t.Errorf("%v, want %v", err, f.err)
		}
		if errors.Is(err, ErrNoEngine) {
			t.Error("an answer was taken for none:", err)
		}
	}
	f.err = errors.Join(transfer.ErrBroken, fs.ErrPermission)
	if err := c.Refresh(t.Context()); !errors.Is(err, transfer.ErrBroken) || !errors.Is(err, fs.ErrPermission) || errors.Is(err, transfer.ErrGone) {
		t.Error(err)
	}
	f.err = fmt.Errorf("share: %w", &safefs.Refusal{Place: "/etc", Why: safefs.WhySystem})
	var refusal *safefs.Refusal
	if err := c.Refresh(t.Context()); !errors.As(err, &refusal) || refusal.Place != "/etc" || refusal.Why != safefs.WhySystem || !errors.Is(err, safefs.ErrNotShareable) {
		t.Error(err)
	}
	f.err = nil
	if err := c.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for _, k := range kinds() {
		if seen[k.name] || k.err == nil {
			t.Error("kind twice or of nothing:", k.name)
		}
		seen[k.name] = true
	}
}

func entries(n int) []share.Entry {
	out := make([]share.Entry, n)
	for i := range out {
		out[i] = share.Entry{Path: share.Path(fmt.Sprintf("dir/file %06d.txt", i)), Kind: share.File, Size: int64(i), MTime: now.Local(), Version: share.Version{byte(i), 1}}
	}
	return out
}

func TestListStreams(t *testing.T) {
	all := entries(2500)
	all[1] = share.Entry{Path: "dir/odd", Kind: share.Other, Reason: "link", Cloud: true}
	all[2].MTime = time.Unix(1<<50, 7) // a year far from any clock
	f := &fake{}
	first := make(chan struct{})
	f.list = func(ctx context.Context, yield func([]share.Entry) error) error {
		if err := yield(all[:10]); err != nil {
			return err
		}
		select { // nothing more before the first rows have arrived
		case <-first:
		case <-ctx.Done():
			return ctx.Err()
		}
		return errors.Join(yield(all[10:]), yield(nil))
	}
	c, _ := start(t, f)
	var got []share.Entry
	err := c.List(t.Context(), bo, music, "dir", share.BySizeRev, func(e []share.Entry) error {
		if got == nil {
			close(first)
		}
		got = append(got, e...)
		return nil
	})
	if err != nil || !cmp.Equal(got, all) {
		t.Error(err, cmp.Diff(all, got))
	}
	if want := fmt.Sprintf(`List[%q "aa" "dir" "-size"]`, bo.Short()); f.last() != want {
		t.Error(f.last(), want)
	}
	if err := c.List(t.Context(), bo, music, "", "upside-down", func([]share.Entry) error { return nil }); err == nil {
		t.Error("an unknown order was taken")
	}
}

func TestListEndsWithTheError(t *testing.T) {
	f := &fake{}
	f.list = func(_ context.Context, yield func([]share.Entry) error) error {
		return errors.Join(yield(entries(3)), transfer.ErrAway)
	}
	c, _ := start(t, f)
	n := 0
	err := c.List(t.Context(), bo, music, "", "", func(e []share.Entry) error { n += len(e); return nil })
	if !errors.Is(err, transfer.ErrAway) || n != 3 {
		t.Error(n, err)
	}
}

func TestEndingAListingEndsItInTheEngine(t *testing.T) {
	f := &fake{}
	ended := make(chan error, 1)
	f.list = func(ctx context.Context, yield func([]share.Entry) error) error {
		err := yield(entries(1))
		<-ctx.Done()
		ended <- ctx.Err()
		return errors.Join(err, ctx.Err())
	}
	c, _ := start(t, f)
	enough := errors.New("enough")
	if err := c.List(t.Context(), bo, music, "", "", func([]share.Entry) error { return enough }); !errors.Is(err, enough) {
		t.Error(err)
	}
	select {
	case <-ended:
	case <-time.After(calm.Most(10 * time.Second)):
		t.Error("the engine goes on listing for nobody")
	}
}

func TestWatch(t *testing.T) {
	f := &fake{}
	fire, ended := make(chan struct{}), make(chan struct{})
	f.watch = func(ctx context.Context, changed func()) error {
		defer close(ended)
		for {
			select {
			case <-fire:
				changed()
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	c, _ := start(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	hints, over := make(chan struct{}, 9), make(chan error, 1)
	go func() { over <- c.Watch(ctx, bo, music, "a/b", func() { hints <- struct{}{} }) }()
	for range 3 {
		fire <- struct{}{}
		<-hints
	}
	cancel()
	if err := <-over; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	<-ended
}

func TestWatchEndsWithTheErrorAfterTheLastChange(t *testing.T) {
	f := &fake{}
	f.watch = func(_ context.Context, changed func()) error { changed(); return transfer.ErrUnsupported }
	c, _ := start(t, f)
	n := 0
	if err := c.Watch(t.Context(), bo, music, "", func() { n++ }); !errors.Is(err, transfer.ErrUnsupported) || n != 1 {
		t.Error(n, err)
	}
}

func TestCancelAndStopReachAWaitingCall(t *testing.T) {
	f := &fake{}
	in, out := make(chan struct{}, 2), make(chan struct{}, 2)
	f.wait = func(ctx context.Context, _ uint64) (uint64, error) {
		in <- struct{}{}
		<-ctx.Done()
		out <- struct{}{}
		return 0, ctx.Err()
	}
	c, stop := start(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	call := func(ctx context.Context) {
		_, err := c.Wait(ctx, 0)
		over <- err
	}
	go call(ctx)
	<-in
	cancel()
	if err := <-over; !errors.Is(err, context.Canceled) || errors.Is(err, ErrNoEngine) {
		t.Error("canceled:", err)
	}
	<-out
	go call(t.Context())
	<-in
	stop()
	if err := <-over; !errors.Is(err, ErrNoEngine) {
		t.Error("stopped:", err)
	}
	if err := c.Refresh(t.Context()); !errors.Is(err, ErrNoEngine) {
		t.Error("after the end:", err)
	}
}

func TestLimits(t *testing.T) {
	f := &fake{}
	c, _ := start(t, f)
	if err := c.SetName(t.Context(), strings.Repeat("x", maxRequest)); !errors.Is(err, transfer.ErrLimit) || f.last() != "" {
		t.Error("by the client:", err)
	}
	res, err := c.http.Post("http://engine/v1/set-name", "application/json", bytes.NewReader(make([]byte, maxRequest+1))) //nolint:noctx // a test
	if err == nil {
		_ = res.Body.Close()
	}
	if err == nil && res.StatusCode == 200 || f.last() != "" {
		t.Error("by the server:", res, err)
	}
	body := make([]byte, MaxRaw)
	f.raw = func() (int, string, []byte, error) { return 200, "", body, nil }
	if _, _, got, err := c.Raw(t.Context(), bo, "/"); err != nil || len(got) != MaxRaw {
		t.Error(len(got), err)
	}
	body = append(body, 0)
	if _, _, _, err := c.Raw(t.Context(), bo, "/"); !errors.Is(err, transfer.ErrLimit) {
		t.Error("too long an answer:", err)
	}
}
