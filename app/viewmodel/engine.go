// Package viewmodel holds what each screen shows and what each button does, without drawing.
//
// A Set is the whole of it. Its Run asks the engine and does what buttons asked for; every other method may be called from
// any goroutine, returns at once and never waits for the engine. After a change Config.OnChange is called, and the view
// asks again for what it shows.
package viewmodel

import (
	"context"

	"porchlight/app/doctor"
	"porchlight/discovery"
	"porchlight/share"
	"porchlight/transfer"
)

// Owner is what the engine knows of this computer.
type Owner interface {
	Self(ctx context.Context) (discovery.Self, error)
	SetName(ctx context.Context, name string) error
	SetWorkgroup(ctx context.Context, name string) error
	SetNetwork(ctx context.Context, n discovery.Network) error
	SetDownloads(ctx context.Context, dir string) error
	FinishFirstRun(ctx context.Context) error
}

// Neighbours is what the engine knows of other computers.
type Neighbours interface {
	Peers(ctx context.Context) ([]discovery.Peer, error)
	AddPeer(ctx context.Context, hostport string) error
	ForgetPeer(ctx context.Context, id discovery.DeviceID) error
	Block(ctx context.Context, id discovery.DeviceID) error
	Unblock(ctx context.Context, id discovery.DeviceID) error
	Refresh(ctx context.Context) error
}

// Diagnosis finds out why somebody is not seen. It takes some seconds.
type Diagnosis interface {
	Diagnose(ctx context.Context) ([]doctor.Finding, error)
	NewIdentity(ctx context.Context) (discovery.DeviceID, error) // makes this computer a new one
}

// Sharing is what this computer offers.
type Sharing interface {
	Shares(ctx context.Context) ([]share.Share, error)
	AddShare(ctx context.Context, path, name string, to ...share.Grant) (share.Share, error)
	AllowShare(ctx context.Context, id share.ID, to []share.Grant) error
	RenameShare(ctx context.Context, id share.ID, name string) error
	RemoveShare(ctx context.Context, id share.ID) error
}

// Remote is what neighbours offer. List yields batches in order; Watch blocks and calls changed after each change of the folder.
type Remote interface {
	Offers(ctx context.Context, d discovery.DeviceID) ([]share.Offer, error)
	List(ctx context.Context, d discovery.DeviceID, sh share.ID, p share.Path, s share.Sort, yield func([]share.Entry) error) error
	Watch(ctx context.Context, d discovery.DeviceID, sh share.ID, p share.Path, changed func()) error
}

// Pulls starts and lists pulls.
type Pulls interface {
	Pull(ctx context.Context, r transfer.Request) (transfer.JobID, error)
	Jobs(ctx context.Context) ([]transfer.Job, error)
}

// JobControl steers pulls.
type JobControl interface {
	PauseJob(ctx context.Context, id transfer.JobID) error
	ResumeJob(ctx context.Context, id transfer.JobID) error
	CancelJob(ctx context.Context, id transfer.JobID) error
	RetryJob(ctx context.Context, id transfer.JobID) error
	ForgetJob(ctx context.Context, id transfer.JobID) error
}

// QueueControl steers all pulls together.
type QueueControl interface {
	Queue(ctx context.Context) (transfer.Queue, error)
	HoldQueue(ctx context.Context, held bool) error
	MoveJob(ctx context.Context, id transfer.JobID, to transfer.Move) error
	SetLimits(ctx context.Context, l transfer.Limits) error
	Pieces(ctx context.Context, id transfer.JobID) ([]transfer.FileMap, error)
}

// Changes numbers the states of the engine. Wait returns the newest number once it is greater than since.
type Changes interface {
	Wait(ctx context.Context, since uint64) (uint64, error)
}

// Windows lets another start of the program find this one. Attend blocks, and calls show when the window is wanted.
type Windows interface {
	Attend(ctx context.Context, show func()) error
}

// Places is where this computer is.
type Places interface {
	SetInterface(ctx context.Context, name string, use bool) error
}

// Engine is all a window needs of the engine, in this process or another.
type Engine interface {
	Owner
	Neighbours
	Diagnosis
	Sharing
	Remote
	Pulls
	JobControl
	QueueControl
	Changes
	Windows
	Places
	Groups
	Members
	Invites
	Comparisons
	Recovery
	Moves
}

// Look is how the window looks. It belongs to the window, not to the engine.
type Look struct {
	Theme    string // "" as the system, "light" or "dark"
	Language string // "" as the system, else one of assets.Languages
}
