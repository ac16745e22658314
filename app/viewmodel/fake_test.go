package viewmodel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"porchlight/app/doctor"
	"porchlight/assets"
	"porchlight/discovery"
	machine "porchlight/discovery/calm"
	"porchlight/share"
	"porchlight/transfer"
)

// fake is an engine a test writes the answers of.
type fake struct {
	mu       sync.Mutex // guards the fields below
	self     discovery.Self
	peers    []discovery.Peer
	findings []doctor.Finding
	shares   []share.Share
	jobs     []transfer.Job
	queue    transfer.Queue
	maps     []transfer.FileMap
	offers   []share.Offer
	entries  []share.Entry
	fails    error // of everything that does something
	listErr  error
	calls    []string
	pulls    []transfer.Request
	version  uint64
	bump     chan struct{}
	changed  func() // of the newest watch
	hold     chan struct{}
	fakePrivate
}

var errDisk = errors.New("disk trouble")

func device(n byte) (d discovery.DeviceID) { d[0], d[31] = n, n; return d }

func newFake() *fake {
	return &fake{bump: make(chan struct{}), version: 1, self: discovery.Self{ID: device(1), Name: "anna", Workgroup: "WORKGROUP", Open: true, Network: discovery.Home, Downloads: "/home/anna/Downloads"}}
}

// change alters the state as the engine would.
func (f *fake) change(alter func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	alter()
	f.version++
	close(f.bump)
	f.bump = make(chan struct{})
}

func (f *fake) did(format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
	return f.fails
}

func (f *fake) called(s string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.calls, s)
}

func (f *fake) Self(context.Context) (discovery.Self, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.self, nil
}
func (f *fake) SetName(_ context.Context, s string) error      { return f.did("name %s", s) }
func (f *fake) SetWorkgroup(_ context.Context, s string) error { return f.did("workgroup %s", s) }
func (f *fake) SetNetwork(_ context.Context, n discovery.Network) error {
	return f.did("network %s", n)
}
func (f *fake) NewIdentity(context.Context) (discovery.DeviceID, error) {
	return device(77), f.did("new identity")
}
func (f *fake) SetInterface(_ context.Context, n string, use bool) error {
	return f.did("interface %s %v", n, use)
}
func (f *fake) Attend(ctx context.Context, _ func()) error {
	<-ctx.Done()
	return ctx.Err()
}
func (f *fake) SetDownloads(_ context.Context, s string) error { return f.did("downloads %s", s) }
func (f *fake) FinishFirstRun(context.Context) error {
	f.change(func() { f.self.FirstRun = false })
	return f.did("finish")
}
func (f *fake) Peers(context.Context) ([]discovery.Peer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.peers), nil
}
func (f *fake) AddPeer(_ context.Context, s string) error { return f.did("add %s", s) }
func (f *fake) ForgetPeer(_ context.Context, d discovery.DeviceID) error {
	return f.did("forget peer %d", d[0])
}
func (f *fake) Refresh(context.Context) error { return f.did("refresh") }
func (f *fake) Shares(context.Context) ([]share.Share, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.shares), nil
}
func (f *fake) AddShare(_ context.Context, path, _ string, _ ...share.Grant) (share.Share, error) {
	return share.Share{Name: "Music", Path: path}, f.did("share %s", path)
}
func (f *fake) AllowShare(_ context.Context, id share.ID, to []share.Grant) error {
	text := fmt.Sprintf("allow %d", id[0])
	for _, g := range to {
		text += fmt.Sprintf(" %d:%d:%d", g.Who, g.Device[0], g.Level)
	}
	return f.did("%s", text)
}
func (f *fake) Block(_ context.Context, d discovery.DeviceID) error { return f.did("block %d", d[0]) }
func (f *fake) Unblock(_ context.Context, d discovery.DeviceID) error {
	return f.did("unblock %d", d[0])
}
func (f *fake) RenameShare(_ context.Context, id share.ID, name string) error {
	return f.did("rename %d %s", id[0], name)
}
func (f *fake) RemoveShare(_ context.Context, id share.ID) error { return f.did("unshare %d", id[0]) }
func (f *fake) Offers(context.Context, discovery.DeviceID) ([]share.Offer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.offers), f.fails
}

func (f *fake) List(ctx context.Context, _ discovery.DeviceID, _ share.ID, p share.Path, s share.Sort, yield func([]share.Entry) error) error {
	err := f.did("list %s %s", p, s)
	f.mu.Lock()
	entries, hold := f.entries, f.hold
	if f.listErr != nil {
		err = f.listErr
	}
	f.mu.Unlock()
	for batch := range slices.Chunk(entries, 256) {
		if err := yield(batch); err != nil {
			return err
		}
		if hold != nil {
			select {
			case <-hold:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return err
}

func (f *fake) Watch(ctx context.Context, _ discovery.DeviceID, _ share.ID, _ share.Path, changed func()) error {
	f.mu.Lock()
	f.changed = changed
	f.mu.Unlock()
	<-ctx.Done()
	return ctx.Err()
}

func (f *fake) Pull(_ context.Context, r transfer.Request) (transfer.JobID, error) {
	err := f.did("pull")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pulls = append(f.pulls, r)
	return 1, err
}
func (f *fake) Jobs(context.Context) ([]transfer.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.jobs), nil
}
func (f *fake) PauseJob(_ context.Context, id transfer.JobID) error  { return f.did("pause %d", id) }
func (f *fake) ResumeJob(_ context.Context, id transfer.JobID) error { return f.did("resume %d", id) }
func (f *fake) CancelJob(_ context.Context, id transfer.JobID) error { return f.did("cancel %d", id) }
func (f *fake) RetryJob(_ context.Context, id transfer.JobID) error  { return f.did("retry %d", id) }
func (f *fake) ForgetJob(_ context.Context, id transfer.JobID) error { return f.did("forget %d", id) }

func (f *fake) Queue(context.Context) (transfer.Queue, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.queue, nil
}
func (f *fake) HoldQueue(_ context.Context, held bool) error {
	f.change(func() { f.queue.Held = held })
	return f.did("hold %v", held)
}
func (f *fake) MoveJob(_ context.Context, id transfer.JobID, to transfer.Move) error {
	return f.did("move %d %s", id, to)
}
func (f *fake) SetLimits(_ context.Context, l transfer.Limits) error {
	f.change(func() { f.queue.Limits, f.queue.Now = l, l })
	return f.did("limits %d %d %d %d", l.Up, l.Down, l.From, l.Until)
}
func (f *fake) Pieces(_ context.Context, id transfer.JobID) ([]transfer.FileMap, error) {
	err := f.did("pieces %d", id)
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.maps), err
}

func (f *fake) Wait(ctx context.Context, since uint64) (uint64, error) {
	for {
		f.mu.Lock()
		v, bump := f.version, f.bump
		f.mu.Unlock()
		if v > since {
			return v, nil
		}
		select {
		case <-ctx.Done():
			return since, ctx.Err()
		case <-bump:
		}
	}
}

// noon is the now of every test.
func noon() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

// run starts a Set before a fake, and ends it with the test.
func run(t *testing.T, f *fake, lang string) *Set {
	t.Helper()
	return runWith(t, Config{Connect: func(context.Context) (Engine, error) { return f, nil }, Open: func(_ context.Context, path string) error { return f.did("open %s", path) }}, lang)
}

func runWith(t *testing.T, cfg Config, lang string) *Set {
	t.Helper()
	words, err := assets.Load(lang)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Words, cfg.Now = words, noon
	s := New(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(machine.Most(10 * time.Second)):
			t.Error("Run did not end")
		}
	})
	until(t, "the engine has answered", func() bool { return s.Ready() || s.Failure() != "" })
	return s
}

func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(machine.Most(10 * time.Second)); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still waiting until %s", what)
		}
	}
}

func (f *fake) Diagnose(context.Context) ([]doctor.Finding, error) {
	err := f.did("Diagnose")
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.findings, err
}
