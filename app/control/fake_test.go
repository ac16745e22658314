package control

import (
	"context"
	"fmt"
	"sync"

	"porchlight/app/doctor"
	"porchlight/discovery"
	"porchlight/share"
	"porchlight/transfer"
)

// fake is an engine that notes its calls and answers what it was told to.
type fake struct {
	self     discovery.Self
	peers    []discovery.Peer
	findings []doctor.Finding
	shares   []share.Share
	offers   []share.Offer
	jobs     []transfer.Job
	queue    transfer.Queue
	maps     []transfer.FileMap
	to       []share.Grant // of the last AllowShare
	groups   groups
	err      error // returned by every call but Wait and Watch

	list  func(ctx context.Context, yield func([]share.Entry) error) error
	watch func(ctx context.Context, changed func()) error
	wait  func(ctx context.Context, since uint64) (uint64, error)
	raw   func() (int, string, []byte, error)

	mu    sync.Mutex // guards the field below
	calls []string
}

func (f *fake) note(name string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, name+fmt.Sprintf("%q", args))
}

func (f *fake) last() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.calls) == 0 {
		return ""
	}
	return f.calls[len(f.calls)-1]
}

func (f *fake) did(name string, args ...any) error {
	f.note(name, args...)
	return f.err
}

func (f *fake) Self(context.Context) (discovery.Self, error)   { return f.self, f.did("Self") }
func (f *fake) SetName(_ context.Context, n string) error      { return f.did("SetName", n) }
func (f *fake) SetWorkgroup(_ context.Context, n string) error { return f.did("SetWorkgroup", n) }
func (f *fake) SetNetwork(_ context.Context, n discovery.Network) error {
	return f.did("SetNetwork", n)
}
func (f *fake) NewIdentity(context.Context) (discovery.DeviceID, error) {
	return bo, f.did("NewIdentity")
}

func (f *fake) SetInterface(_ context.Context, n string, use bool) error {
	return f.did("SetInterface", n, fmt.Sprint(use))
}
func (f *fake) ShowWindow(context.Context) (bool, error) { return true, f.did("ShowWindow") }
func (f *fake) Attend(ctx context.Context, show func()) error {
	show()
	<-ctx.Done()
	return ctx.Err()
}
func (f *fake) SetDownloads(_ context.Context, d string) error  { return f.did("SetDownloads", d) }
func (f *fake) FinishFirstRun(context.Context) error            { return f.did("FinishFirstRun") }
func (f *fake) Peers(context.Context) ([]discovery.Peer, error) { return f.peers, f.did("Peers") }
func (f *fake) AddPeer(_ context.Context, hp string) error      { return f.did("AddPeer", hp) }
func (f *fake) ForgetPeer(_ context.Context, id discovery.DeviceID) error {
	return f.did("ForgetPeer", id.Short())
}
func (f *fake) Diagnose(context.Context) ([]doctor.Finding, error) {
	return f.findings, f.did("Diagnose")
}
func (f *fake) Refresh(context.Context) error                 { return f.did("Refresh") }
func (f *fake) Shares(context.Context) ([]share.Share, error) { return f.shares, f.did("Shares") }
func (f *fake) AddShare(_ context.Context, path, name string, to ...share.Grant) (share.Share, error) {
	return share.Share{Path: path, Name: name, Audience: to}, f.did("AddShare", path, name, fmt.Sprint(len(to)))
}
func (f *fake) AllowShare(_ context.Context, id share.ID, to []share.Grant) error {
	f.to = to
	return f.did("AllowShare", id.String()[:2], fmt.Sprint(len(to)))
}
func (f *fake) Block(_ context.Context, id discovery.DeviceID) error {
	return f.did("Block", id.Short())
}
func (f *fake) Unblock(_ context.Context, id discovery.DeviceID) error {
	return f.did("Unblock", id.Short())
}
func (f *fake) RenameShare(_ context.Context, id share.ID, n string) error {
	return f.did("RenameShare", id.String()[:2], n)
}
func (f *fake) RemoveShare(_ context.Context, id share.ID) error {
	return f.did("RemoveShare", id.String()[:2])
}
func (f *fake) Offers(_ context.Context, id discovery.DeviceID) ([]share.Offer, error) {
	return f.offers, f.did("Offers", id.Short())
}

func (f *fake) List(ctx context.Context, id discovery.DeviceID, sh share.ID, p share.Path, s share.Sort, yield func([]share.Entry) error) error {
	f.note("List", id.Short(), sh.String()[:2], p, s)
	if f.list == nil {
		return f.err
	}
	return f.list(ctx, yield)
}

func (f *fake) Watch(ctx context.Context, id discovery.DeviceID, sh share.ID, p share.Path, changed func()) error {
	f.note("Watch", id.Short(), sh.String()[:2], p)
	return f.watch(ctx, changed)
}

func (f *fake) Raw(_ context.Context, id discovery.DeviceID, path string) (int, string, []byte, error) {
	f.note("Raw", id.Short(), path)
	if f.raw == nil {
		return 0, "", nil, f.err
	}
	return f.raw()
}

func (f *fake) Pull(_ context.Context, r transfer.Request) (transfer.JobID, error) {
	return 7, f.did("Pull", r.Into, r.Paths)
}
func (f *fake) Jobs(context.Context) ([]transfer.Job, error)         { return f.jobs, f.did("Jobs") }
func (f *fake) PauseJob(_ context.Context, id transfer.JobID) error  { return f.did("PauseJob", id) }
func (f *fake) ResumeJob(_ context.Context, id transfer.JobID) error { return f.did("ResumeJob", id) }
func (f *fake) CancelJob(_ context.Context, id transfer.JobID) error { return f.did("CancelJob", id) }
func (f *fake) RetryJob(_ context.Context, id transfer.JobID) error  { return f.did("RetryJob", id) }
func (f *fake) ForgetJob(_ context.Context, id transfer.JobID) error { return f.did("ForgetJob", id) }

func (f *fake) Queue(context.Context) (transfer.Queue, error) { return f.queue, f.did("Queue") }
func (f *fake) HoldQueue(_ context.Context, held bool) error {
	return f.did("HoldQueue", fmt.Sprint(held))
}
func (f *fake) MoveJob(_ context.Context, id transfer.JobID, to transfer.Move) error {
	return f.did("MoveJob", id, to)
}
func (f *fake) SetLimits(_ context.Context, l transfer.Limits) error {
	return f.did("SetLimits", l.Up, l.Down, l.From, l.Until)
}
func (f *fake) Pieces(_ context.Context, id transfer.JobID) ([]transfer.FileMap, error) {
	return f.maps, f.did("Pieces", id)
}

func (f *fake) Wait(ctx context.Context, since uint64) (uint64, error) {
	f.note("Wait", since)
	return f.wait(ctx, since)
}
