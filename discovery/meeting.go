package discovery

import (
	"errors"
	"time"
)

// Why people do not meet.
var (
	ErrNobody       = errors.New("no computer here shows this code")
	ErrDeclined     = errors.New("the other side said no")
	ErrNoInvitation = errors.New("no such invitation")
	ErrDifferent    = errors.New("the pictures were different")
)

// Invite says how somebody is to be let in.
type Invite struct {
	Yes bool // who proves the code becomes a member without a further question
}

// InviteState says how an invitation stands.
//
//	open ──code proved, or pictures the same──► asking ──Approve──► done
//	  └──► burned (too many wrong codes), expired, ended (withdrawn, or the answer was no)
type InviteState string

// The states of an invitation.
const (
	InviteOpen    InviteState = "open"
	InviteAsking  InviteState = "asking" // somebody proved the code and waits for a yes
	InviteDone    InviteState = "done"
	InviteBurned  InviteState = "burned"
	InviteExpired InviteState = "expired"
	InviteEnded   InviteState = "ended"
)

// Invitation is a computer's offer to let another one into a private workgroup. A value; readers may keep it.
type Invitation struct {
	ID        string // among this computer's invitations
	Workgroup [32]byte
	State     InviteState
	Code      string // eight digits
	QR        string // the text for a camera
	Until     time.Time
	Tried     int // wrong codes so far
	Tries     int // and how many it bears
	Yes       bool
	Device    DeviceID // who asks, or was let in; zero before
	Name      string   // what it calls itself: proven with the code, a claim with pictures
}

// CompareState says how a comparison of pictures stands.
type CompareState string

// The states of a comparison.
const (
	CompareShown     CompareState = "shown"     // both sides show pictures; this side was not answered yet
	CompareWaiting   CompareState = "waiting"   // this side said that they are the same
	CompareSame      CompareState = "same"      // both sides did
	CompareDifferent CompareState = "different" // one side said that they are not
	CompareOver      CompareState = "over"      // the connection ended before
)

// Comparison is two people looking whether their screens show the same pictures. A value; readers may keep it.
type Comparison struct {
	ID      string // among this computer's comparisons
	Device  DeviceID
	Name    string // what the device calls itself: a claim
	Join    bool   // to be let into a workgroup; otherwise to know each other's key
	Asked   bool   // the other side began
	SAS     [3]byte
	State   CompareState
	Since   time.Time
	Trouble string // for logs, when it is over
}
