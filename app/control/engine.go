// Package control serves the engine to other processes of this user, and is their client.
//
// It speaks HTTP over a Unix socket that only this user can reach: one POST for each method of the engine, JSON in and out,
// errors as kinds, so that errors.Is says the same at both ends. Listings and hints come as lines of JSON while the call
// lasts. When the caller's context ends, so does the call in the engine.
package control

import (
	"context"

	"porchlight/app/doctor"
	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
	"porchlight/share"
	"porchlight/transfer"
)

// Engine is what one device can be asked. The engine and Client have the same methods; which of the two somebody holds
// does not matter.
type Engine interface {
	Device
	Neighbours
	Doctor
	Shares
	Remote
	Pulls
	Jobs
	Queue
	Changes
	Windows
	Places
	Identity
	Groups
	Members
	Invites
	Comparisons
	Recovery
	Moves
}

// Device is this computer and the user's decisions about it.
type Device interface {
	Self(ctx context.Context) (discovery.Self, error)
	SetName(ctx context.Context, name string) error
	SetWorkgroup(ctx context.Context, name string) error
	SetNetwork(ctx context.Context, network discovery.Network) error
	SetDownloads(ctx context.Context, dir string) error
	FinishFirstRun(ctx context.Context) error
}

// Neighbours is who is there.
type Neighbours interface {
	Peers(ctx context.Context) ([]discovery.Peer, error)
	AddPeer(ctx context.Context, hostport string) error
	ForgetPeer(ctx context.Context, id discovery.DeviceID) error
	// Block has this computer have nothing to do with a device, until Unblock.
	Block(ctx context.Context, id discovery.DeviceID) error
	Unblock(ctx context.Context, id discovery.DeviceID) error
	Refresh(ctx context.Context) error
}

// Doctor finds out why somebody is not seen. It takes some seconds.
type Doctor interface {
	Diagnose(ctx context.Context) ([]doctor.Finding, error)
}

// Shares is what this computer offers.
type Shares interface {
	Shares(ctx context.Context) ([]share.Share, error)
	// AddShare offers a folder, to anyone nearby if to is empty.
	AddShare(ctx context.Context, path, name string, to ...share.Grant) (share.Share, error)
	// AllowShare says anew for whom a share is: to is its whole list, and not empty.
	AllowShare(ctx context.Context, id share.ID, to []share.Grant) error
	RenameShare(ctx context.Context, id share.ID, name string) error
	RemoveShare(ctx context.Context, id share.ID) error
}

// Remote is what a neighbour offers.
type Remote interface {
	Offers(ctx context.Context, device discovery.DeviceID) ([]share.Offer, error)
	// List hands over the entries of one folder in batches, in order. An error of yield ends the listing and is returned.
	List(ctx context.Context, device discovery.DeviceID, sh share.ID, p share.Path, s share.Sort, yield func([]share.Entry) error) error
	// Watch blocks until ctx ends or the folder cannot be watched any more, and calls changed after each change of it.
	Watch(ctx context.Context, device discovery.DeviceID, sh share.ID, p share.Path, changed func()) error
	// Raw asks a neighbour for any route and returns its answer, at most MaxRaw bytes of it.
	Raw(ctx context.Context, device discovery.DeviceID, path string) (status int, contentType string, body []byte, err error)
}

// Pulls starts pulls and lists them.
type Pulls interface {
	Pull(ctx context.Context, r transfer.Request) (transfer.JobID, error)
	Jobs(ctx context.Context) ([]transfer.Job, error)
}

// Jobs steers single pulls. Each returns transfer.ErrNoJob for a number that is not known.
type Jobs interface {
	PauseJob(ctx context.Context, id transfer.JobID) error
	ResumeJob(ctx context.Context, id transfer.JobID) error
	CancelJob(ctx context.Context, id transfer.JobID) error
	RetryJob(ctx context.Context, id transfer.JobID) error
	ForgetJob(ctx context.Context, id transfer.JobID) error
}

// Queue steers all pulls together.
type Queue interface {
	Queue(ctx context.Context) (transfer.Queue, error)
	// HoldQueue keeps everything from being brought here, or lets it go on.
	HoldQueue(ctx context.Context, held bool) error
	// MoveJob gives a pull that does not run another place; transfer.ErrState for one that runs or is over.
	MoveJob(ctx context.Context, id transfer.JobID, to transfer.Move) error
	// SetLimits returns transfer.ErrLimits for what cannot be kept.
	SetLimits(ctx context.Context, l transfer.Limits) error
	// Pieces shows which pieces of the large files under way of a pull are here.
	Pieces(ctx context.Context, id transfer.JobID) ([]transfer.FileMap, error)
}

// Changes lets a caller sleep until there is something new.
type Changes interface {
	// Wait returns the newest version number once it is greater than since. Self, peers, shares and jobs share the number.
	Wait(ctx context.Context, since uint64) (uint64, error)
}

// Windows are those of this user on one engine.
type Windows interface {
	// Attend says that a window is open, until ctx ends. show is called when another start of the program wants it seen.
	Attend(ctx context.Context, show func()) error
	// ShowWindow asks the open windows to be seen; false if there is none.
	ShowWindow(ctx context.Context) (bool, error)
}

// Places is where this computer is.
type Places interface {
	// SetInterface has neighbours looked for behind an interface, or not.
	SetInterface(ctx context.Context, name string, use bool) error
}

// Identity is who this computer is.
type Identity interface {
	// NewIdentity makes this computer a new one, and returns who that is.
	NewIdentity(ctx context.Context) (discovery.DeviceID, error)
}

// Groups are the private workgroups this computer is in, or was.
type Groups interface {
	// Workgroups returns the private ones, the oldest first.
	Workgroups(ctx context.Context) ([]workgroup.Workgroup, error)
	// CreateWorkgroup founds one. Whether this computer stays in the open one beside it is for SetOpen to say.
	CreateWorkgroup(ctx context.Context, f workgroup.Founding) (workgroup.Workgroup, error)
	RenameWorkgroup(ctx context.Context, id workgroup.ID, name string) error
	// LeaveWorkgroup returns workgroup.ErrLastAdmin or ErrUnsaved when something would be lost, unless anyway is true.
	LeaveWorkgroup(ctx context.Context, id workgroup.ID, anyway bool) error
	// ForgetWorkgroup drops what is kept of one that this computer is not in any more.
	ForgetWorkgroup(ctx context.Context, id workgroup.ID) error
	// SetOpen says whether this computer is in the open workgroup.
	SetOpen(ctx context.Context, open bool) error
}

// Members are those of a private workgroup. All but AdmittedBy and Contest is for its admins.
type Members interface {
	// RemoveMembers removes all of the devices, or none.
	RemoveMembers(ctx context.Context, id workgroup.ID, why ledger.Reason, devices []discovery.DeviceID) error
	SetRole(ctx context.Context, id workgroup.ID, device discovery.DeviceID, role ledger.Role) error
	RenameMember(ctx context.Context, id workgroup.ID, device discovery.DeviceID, name string) error
	// AdmittedBy returns the members a device let in, and those that these let in, and so on.
	AdmittedBy(ctx context.Context, id workgroup.ID, device discovery.DeviceID) ([]workgroup.Member, error)
	// Contest takes back the removal of this computer by one junior to it.
	Contest(ctx context.Context, id workgroup.ID) error
}

// Invites lets computers into a private workgroup, on both sides.
type Invites interface {
	// Invite opens an invitation and returns at once.
	Invite(ctx context.Context, id workgroup.ID, how discovery.Invite) (discovery.Invitation, error)
	// Invitations returns those of this computer, over or not, the oldest first.
	Invitations(ctx context.Context) ([]discovery.Invitation, error)
	// Approve lets in who asks. Key and Via are the engine's to fill in.
	Approve(ctx context.Context, invitation string, as workgroup.Admission) error
	// EndInvitation withdraws one, and says no to who asks.
	EndInvitation(ctx context.Context, invitation string) error
	// Join takes eight digits, or the text of a QR code, and blocks until this computer is let in, or refused, or ctx ends.
	Join(ctx context.Context, code string) (workgroup.Workgroup, error)
}

// Comparisons let two people look whether their screens show the same pictures.
type Comparisons interface {
	// Compare asks a device for a comparison, and returns its ID when the pictures can be shown.
	Compare(ctx context.Context, device discovery.DeviceID, why pairing.Purpose) (string, error)
	// Comparisons returns those that are under way or were over a short while ago, whoever began them.
	Comparisons(ctx context.Context) ([]discovery.Comparison, error)
	AnswerComparison(ctx context.Context, id string, same bool) error
	// Unverify forgets that a device was verified.
	Unverify(ctx context.Context, device discovery.DeviceID) error
}

// Recovery is the code on paper that outranks every device of a private workgroup.
type Recovery interface {
	// RecoveryCode returns the code of a workgroup that was founded here; workgroup.ErrErased once it was saved.
	RecoveryCode(ctx context.Context, id workgroup.ID) (string, error)
	// RecoverySaved erases it from this computer.
	RecoverySaved(ctx context.Context, id workgroup.ID) error
	// RemindLater puts the reminder to save it off by a week.
	RemindLater(ctx context.Context, id workgroup.ID) error
	// Moments returns the states of the code's workgroup to go back to, the newest first; neighbours are asked if need be.
	Moments(ctx context.Context, code string) ([]workgroup.Moment, error)
	// Recover uses the code.
	Recover(ctx context.Context, code string, c workgroup.Choice) (workgroup.Workgroup, error)
}

// Moves are new workgroups that take the place of old ones.
type Moves interface {
	// PastMembers returns everybody who ever was in a workgroup: of whom StartOver can keep some.
	PastMembers(ctx context.Context, id workgroup.ID) ([]workgroup.Member, error)
	// StartOver founds a workgroup in the place of another one, and offers the devices of keep to move there.
	StartOver(ctx context.Context, old workgroup.ID, f workgroup.Founding, keep []discovery.DeviceID) (workgroup.Workgroup, error)
	// Moves returns the offers to move that wait for an answer here.
	Moves(ctx context.Context) ([]workgroup.Offer, error)
	// MoveOver joins the new workgroup of that ID and leaves the old one.
	MoveOver(ctx context.Context, id workgroup.ID) error
	DeclineMove(ctx context.Context, id workgroup.ID) error
}

// Limits of the protocol between two processes of one user.
const (
	MaxRaw     = 64 << 20 // bytes of the answer of Raw
	maxRequest = 16 << 20 // bytes of any request: a selection of some thousand long paths
	maxAnswer  = 64 << 20 // bytes of any answer that is not a stream
	batch      = 1000     // entries in one line of a listing: some 100 KB
)
