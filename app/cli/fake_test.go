package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"porchlight/app/doctor"
	"porchlight/discovery"
	"porchlight/discovery/workgroup"
	"porchlight/share"
	"porchlight/share/catalogue"
	"porchlight/share/safefs"
	"porchlight/transfer"
)

// fake is an engine with two neighbours online and some more known. Each Wait plays the next step of what was set up.
type fake struct {
	mu       sync.Mutex // guards the fields below
	self     discovery.Self
	peers    []discovery.Peer
	findings []doctor.Finding
	shares   []share.Share
	jobs     []transfer.Job
	queue    transfer.Queue
	pull     string // what happens to the next pull: see play
	steps    []func()
	version  uint64
	asked    []transfer.Request
	calls    []string
	many     int // entries of the folder "many"

	groups      []workgroup.Workgroup
	invitations []discovery.Invitation
	comparisons []discovery.Comparison
	offers      []workgroup.Offer
	other       discovery.CompareState // what the other side of a comparison says
	answers     string                 // what is typed at the next command of a script
}

func deviceID(n byte) discovery.DeviceID { return discovery.DeviceID{n, 7, n} }

var (
	day     = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	musicID = share.ID{0xaa}
)

func newFake() *fake {
	addr := netip.MustParseAddrPort("192.0.2.7:47470")
	return &fake{
		groups: newGroups(), other: discovery.CompareSame,
		self: discovery.Self{Open: true, ID: deviceID(1), Name: "me", Workgroup: "WORKGROUP", Network: discovery.Home, Port: 47470, Addresses: []netip.AddrPort{addr},
			Interfaces: []discovery.Interface{
				{Name: "eth0", Used: true, Network: discovery.Home, Addresses: []netip.Addr{addr.Addr()}}, {Name: "wg0"}},
			Version: "1.2", Home: "/h", Downloads: "/dl", Since: day, Goroutines: 70, Heap: 5e6, Health: []discovery.Health{{Service: "mdns", Trouble: "no multicast"}}},
		peers: []discovery.Peer{
			{ID: deviceID(9), Name: "twin", State: discovery.Offline, Workgroup: "WORKGROUP"},
			{ID: deviceID(2), Name: "bo", State: discovery.Online, Workgroup: "WORKGROUP", Addresses: []netip.AddrPort{addr}, FirstSeen: day, LastSeen: day},
			{ID: deviceID(3), Name: "anna: work", State: discovery.Online, Workgroup: "HOME"},
			{ID: deviceID(4), Name: "twin", State: discovery.Offline, Workgroup: "WORKGROUP"},
			{ID: deviceID(5), Name: "bo", State: discovery.Candidate},
			{Name: "shy\x1b[2J", State: discovery.Candidate},
			{ID: deviceID(6), Name: "gone", State: discovery.Offline},
		},
	}
}

func (f *fake) note(format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
	return nil
}

func (f *fake) Self(context.Context) (discovery.Self, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.self, nil
}

func (f *fake) Diagnose(context.Context) ([]doctor.Finding, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.findings, nil
}

func (f *fake) SetName(context.Context, string) error { return errors.ErrUnsupported }

func (f *fake) SetWorkgroup(_ context.Context, n string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := discovery.CheckName(n); err != nil {
		return err
	}
	f.self.Workgroup = n
	return nil
}
func (f *fake) SetNetwork(_ context.Context, n discovery.Network) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.self.Network, f.self.Ask = n, false
	f.self.Interfaces[0].Network = n
	return nil
}

func (f *fake) SetInterface(_ context.Context, name string, use bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.self.Interfaces {
		if x := &f.self.Interfaces[i]; x.Name == name {
			x.Used, x.Chosen = use, true
			return nil
		}
	}
	return fs.ErrNotExist
}
func (f *fake) NewIdentity(context.Context) (discovery.DeviceID, error) {
	return deviceID(42), f.note("NewIdentity")
}
func (f *fake) Attend(context.Context, func()) error     { return errors.ErrUnsupported }
func (f *fake) ShowWindow(context.Context) (bool, error) { return false, nil }

func (f *fake) SetDownloads(context.Context, string) error { return errors.ErrUnsupported }
func (f *fake) FinishFirstRun(context.Context) error       { return errors.ErrUnsupported }

func (f *fake) Peers(context.Context) ([]discovery.Peer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.peers), nil
}

func (f *fake) AddPeer(_ context.Context, hp string) error {
	if hp == "nobody" {
		return transfer.ErrAway
	}
	return f.note("AddPeer %s", hp)
}
func (f *fake) ForgetPeer(context.Context, discovery.DeviceID) error { return errors.ErrUnsupported }
func (f *fake) Refresh(context.Context) error                        { return errors.ErrUnsupported }

func (f *fake) Shares(context.Context) ([]share.Share, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.shares), nil
}

func (f *fake) AddShare(_ context.Context, path, name string, to ...share.Grant) (share.Share, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if strings.HasSuffix(path, "secret") {
		return share.Share{}, fmt.Errorf("share: %w", &safefs.Refusal{Place: path, Why: safefs.WhySecrets})
	}
	if name == "" {
		name = share.Path(path).Base()
	}
	for _, s := range f.shares {
		if s.Name == name {
			return share.Share{}, catalogue.ErrTaken
		}
	}
	s := share.Share{ID: share.ID{byte(len(f.shares) + 1)}, Kind: share.Folder, Name: name, Path: path, Added: day, Audience: to}
	f.shares = append(f.shares, s)
	return s, nil
}

func (f *fake) AllowShare(_ context.Context, id share.ID, to []share.Grant) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.shares {
		if f.shares[i].ID == id {
			f.shares[i].Audience, f.shares[i].Lost = to, false
			return nil
		}
	}
	return catalogue.ErrUnknown
}

func (f *fake) Block(_ context.Context, id discovery.DeviceID) error   { return f.block(id, true) }
func (f *fake) Unblock(_ context.Context, id discovery.DeviceID) error { return f.block(id, false) }

func (f *fake) block(id discovery.DeviceID, is bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.peers {
		if f.peers[i].ID == id && f.peers[i].State != discovery.Candidate {
			f.peers[i].Blocked = is
			return nil
		}
	}
	return errors.ErrUnsupported
}
func (f *fake) RenameShare(context.Context, share.ID, string) error { return errors.ErrUnsupported }

func (f *fake) RemoveShare(_ context.Context, id share.ID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shares = slices.DeleteFunc(f.shares, func(s share.Share) bool { return s.ID == id })
	return nil
}

func (f *fake) Offers(_ context.Context, id discovery.DeviceID) ([]share.Offer, error) {
	switch id {
	case deviceID(2):
		return []share.Offer{{ID: musicID, Kind: share.Folder, Name: "Music"}, {ID: share.ID{0xab}, Kind: share.Folder, Name: "Music/old"},
			{ID: share.ID{0xac}, Kind: share.Drive, Name: "Stick", Away: true}}, nil
	case deviceID(3):
		return nil, nil
	}
	return nil, transfer.ErrAway
}

func (f *fake) List(_ context.Context, _ discovery.DeviceID, sh share.ID, p share.Path, _ share.Sort, yield func([]share.Entry) error) error {
	if sh != musicID {
		return yield([]share.Entry{{Path: "of the other share", Kind: share.File}})
	}
	switch p {
	case "":
		return yield([]share.Entry{
			{Path: "many", Kind: share.Dir, MTime: day},
			{Path: "a.mp3", Kind: share.File, Size: 4_200_000, MTime: day, Version: share.Version{1}},
			{Path: "cloudy", Kind: share.File, Size: 7, MTime: day, Cloud: true},
			{Path: "odd", Kind: share.Other, Reason: "link"},
		})
	case "many":
		f.mu.Lock()
		n := f.many
		f.mu.Unlock()
		for i := range n {
			if err := yield([]share.Entry{{Path: share.Path(fmt.Sprintf("many/%06d", i)), Kind: share.File, Size: int64(i)}}); err != nil {
				return err
			}
		}
		return nil
	}
	return transfer.ErrGone
}

func (f *fake) Watch(context.Context, discovery.DeviceID, share.ID, share.Path, func()) error {
	return errors.ErrUnsupported
}

func (f *fake) Raw(_ context.Context, _ discovery.DeviceID, path string) (int, string, []byte, error) {
	switch path {
	case "/v1/hello":
		return 200, "application/cbor", []byte{0xa1, 0x61, 'a', 0x01}, nil
	case "/v1/none":
		return 404, "text/plain", []byte("no\x1b\n"), nil
	}
	return 200, "application/octet-stream", []byte{0, 1, 2}, nil
}

func (f *fake) Pull(_ context.Context, r transfer.Request) (transfer.JobID, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, r)
	id := transfer.JobID(len(f.jobs) + 1)
	title := r.ShareName
	switch {
	case len(r.Paths) > 1:
		title = ""
	case r.Paths[0] != "":
		title = r.Paths[0].Base()
	}
	f.jobs = append(f.jobs, transfer.Job{ID: id, Request: r, From: "bo", Title: title, State: transfer.Waiting, Created: day})
	f.play(int(id)-1, f.pull)
	return id, nil
}

// play sets up what happens to a job, one step with each Wait. The caller holds the lock.
func (f *fake) play(i int, how string) {
	step := func(change func(j *transfer.Job)) { f.steps = append(f.steps, func() { change(&f.jobs[i]) }) }
	running := func(j *transfer.Job) {
		j.State, j.Trouble, j.Bytes, j.Total, j.Files, j.Listed, j.Rate = transfer.Running, "", 400, 1000, 3, true, 100
	}
	done := func(j *transfer.Job) {
		j.State, j.Bytes, j.Done, j.Skipped, j.Rate, j.Result, j.Ended = transfer.Done, 1000, 3, 1, 0, j.Request.Into+"/"+j.Title, day
	}
	switch how {
	case "away":
		step(func(j *transfer.Job) { j.State, j.Trouble = transfer.Away, transfer.SourceAway })
	case "full":
		step(func(j *transfer.Job) { j.State, j.Trouble = transfer.Away, transfer.DiskFull })
	}
	step(running)
	switch how {
	case "hang":
		return
	case "gone":
		step(func(j *transfer.Job) { j.State, j.Trouble, j.Detail = transfer.Failed, transfer.SourceGone, "x\x1b" })
	case "canceled":
		step(func(j *transfer.Job) { j.State = transfer.Canceled })
	case "part":
		step(func(j *transfer.Job) {
			done(j)
			j.Done, j.Failed, j.Adapted = 2, 1, 1
			j.Problems = []transfer.Problem{{Path: "a/b\u202e", Trouble: transfer.BadBytes}, {Path: "con", Trouble: transfer.NameTrouble, As: "con_"}}
		})
	default:
		step(done)
	}
}

func (f *fake) Jobs(context.Context) ([]transfer.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.jobs), nil
}

func (f *fake) steer(id transfer.JobID, what string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id < 1 || int(id) > len(f.jobs) {
		return transfer.ErrNoJob
	}
	f.calls = append(f.calls, fmt.Sprintf("%s %d", what, id))
	return nil
}
func (f *fake) PauseJob(_ context.Context, id transfer.JobID) error  { return f.steer(id, "pause") }
func (f *fake) ResumeJob(_ context.Context, id transfer.JobID) error { return f.steer(id, "resume") }
func (f *fake) CancelJob(_ context.Context, id transfer.JobID) error { return f.steer(id, "cancel") }
func (f *fake) RetryJob(_ context.Context, id transfer.JobID) error  { return f.steer(id, "retry") }
func (f *fake) ForgetJob(_ context.Context, id transfer.JobID) error { return f.steer(id, "forget") }

func (f *fake) Queue(context.Context) (transfer.Queue, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.queue, nil
}

func (f *fake) HoldQueue(_ context.Context, held bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue.Held = held
	return nil
}

func (f *fake) MoveJob(_ context.Context, id transfer.JobID, to transfer.Move) error {
	f.mu.Lock()
	running := id > 0 && int(id) <= len(f.jobs) && !f.jobs[id-1].State.Queued()
	f.mu.Unlock()
	if running {
		return transfer.ErrState
	}
	return f.steer(id, "move "+string(to))
}

func (f *fake) SetLimits(_ context.Context, l transfer.Limits) error {
	if err := l.Check(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue.Limits, f.queue.Now = l, l.At(day)
	return nil
}

func (f *fake) Pieces(_ context.Context, id transfer.JobID) ([]transfer.FileMap, error) {
	if id < 1 || int(id) > len(f.jobs) {
		return nil, transfer.ErrNoJob
	}
	return []transfer.FileMap{{Path: "films/long\x1b.mkv", Size: 4 << 20, Pieces: 4, Have: 1, Parts: []uint8{255, 0, 0, 0}}}, nil
}

func (f *fake) Wait(ctx context.Context, since uint64) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.steps) > 0 {
		f.steps[0]()
		f.steps = f.steps[1:]
		f.version++
		return max(f.version, since+1), nil
	}
	f.calls = append(f.calls, "waiting")
	f.mu.Unlock()
	<-ctx.Done()
	f.mu.Lock()
	return 0, ctx.Err()
}

// queued puts jobs of every state on the list.
func (f *fake) queued() {
	f.mu.Lock()
	defer f.mu.Unlock()
	job := func(id transfer.JobID, state transfer.State, order int64) transfer.Job {
		return transfer.Job{ID: id, Title: fmt.Sprintf("job %d", id), From: "bo", State: state, Order: order, Bytes: 10, Total: 20, Files: 2, Created: day,
			Request: transfer.Request{Source: deviceID(2), ShareName: "Music", Paths: []share.Path{"x"}, Into: "/dl"}}
	}
	f.jobs = []transfer.Job{job(1, transfer.Done, 1), job(2, transfer.Waiting, 9), job(3, transfer.Running, 2), job(4, transfer.Paused, 5), job(5, transfer.Failed, 3), job(6, transfer.Canceled, 4)}
	one, run, bad := &f.jobs[0], &f.jobs[2], &f.jobs[4]
	one.Ended, one.Took, one.Fetched = day.Add(time.Minute), 40*time.Second, 80_000_000
	run.Rate, run.Sources = 3_000_000, []transfer.SourceRate{{Device: deviceID(2), Name: "bo", Bytes: 2_000_000, Rate: 1_000_000}, {Device: deviceID(3), Name: "anna\x1b", Bytes: 4_000_000, Rate: 2_000_000}}
	bad.Trouble, bad.Failed, bad.Problems = transfer.BadBytes, 3, []transfer.Problem{{Path: "a/b", Trouble: transfer.BadBytes}, {Path: "con", Trouble: transfer.NameTrouble, As: "con_"}}
}

// comes puts a third neighbour online with the next Wait.
func (f *fake) comes() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steps = append(f.steps, func() {
		f.peers = append(f.peers, discovery.Peer{ID: deviceID(8), Name: "late", State: discovery.Online})
	})
}

func (f *fake) did(call string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.calls, call)
}
