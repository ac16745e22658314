package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
	"porchlight/share"
	"porchlight/share/catalogue"
	"porchlight/share/safefs"
	"porchlight/transfer"
)

var (
	// ErrNoEngine says that no engine runs on this home, or that it ended during the call.
	ErrNoEngine = errors.New("no engine is running")
	// ErrVersion says that the engine was started by a version of the program this one cannot talk to.
	ErrVersion = errors.New("the running engine is of another version")
)

// kind names a sentinel on the wire. A name is never given to another one.
type kind struct {
	name string
	err  error
}

// kinds returns the errors callers decide on.
func kinds() []kind {
	return append(groupKinds(), []kind{
		{"away", transfer.ErrAway},
		{"gone", transfer.ErrGone},
		{"busy", transfer.ErrBusy},
		{"changed", transfer.ErrChanged},
		{"full", transfer.ErrFull},
		{"broken", transfer.ErrBroken},
		{"unsupported", transfer.ErrUnsupported},
		{"limit", transfer.ErrLimit},
		{"protocol", transfer.ErrProtocol},
		{"no-job", transfer.ErrNoJob},
		{"job-state", transfer.ErrState},
		{"limits", transfer.ErrLimits},
		{"share-taken", catalogue.ErrTaken},
		{"share-twice", catalogue.ErrShared},
		{"share-name", catalogue.ErrName},
		{"share-many", catalogue.ErrMany},
		{"no-share", catalogue.ErrUnknown},
		{"not-shareable", safefs.ErrNotShareable},
		{"not-there", safefs.ErrGone},
		{"disk-full", safefs.ErrFull},
		{"name", discovery.ErrName},
		{"device-id", discovery.ErrDeviceID},
		{"share-id", share.ErrID},
		{"grant", share.ErrGrant},
		{"path", share.ErrPath},
		{"not-exist", fs.ErrNotExist},
		{"exist", fs.ErrExist},
		{"permission", fs.ErrPermission},
		{"deadline", context.DeadlineExceeded},
		{"canceled", context.Canceled},
		{"no-engine", ErrNoEngine},
		{"version", ErrVersion},
	}...)
}

// groupKinds are those of private workgroups.
func groupKinds() []kind {
	return []kind{
		{"wg-unknown", workgroup.ErrUnknown},
		{"wg-not-member", workgroup.ErrNotMember},
		{"wg-not-admin", workgroup.ErrNotAdmin},
		{"wg-many", workgroup.ErrMany},
		{"wg-member", workgroup.ErrMember},
		{"wg-self", workgroup.ErrSelf},
		{"wg-last-admin", workgroup.ErrLastAdmin},
		{"wg-unsaved", workgroup.ErrUnsaved},
		{"wg-erased", workgroup.ErrErased},
		{"wg-person", workgroup.ErrPerson},
		{"wg-role", workgroup.ErrRole},
		{"wg-reason", workgroup.ErrReason},
		{"wg-code", workgroup.ErrCode},
		{"wg-moment", workgroup.ErrMoment},
		{"wg-no-contest", workgroup.ErrNoContest},
		{"wg-offer", workgroup.ErrOffer},
		{"wg-sync", workgroup.ErrSync},
		{"wg-key", workgroup.ErrKey},
		{"wg-entry", workgroup.ErrEntry},
		{"wg-removed", workgroup.ErrRemoved},
		{"ledger-full", ledger.ErrFull},
		{"ledger-welcome", ledger.ErrWelcome},
		{"recovery-text", ledger.ErrRecovery},
		{"pair-message", pairing.ErrMessage},
		{"pair-turn", pairing.ErrTurn},
		{"pair-proof", pairing.ErrProof},
		{"pair-over", pairing.ErrOver},
		{"pair-often", pairing.ErrOften},
		{"pair-blocked", pairing.ErrBlocked},
		{"pair-code", pairing.ErrCode},
		{"meet-nobody", discovery.ErrNobody},
		{"meet-declined", discovery.ErrDeclined},
		{"meet-no-invitation", discovery.ErrNoInvitation},
		{"meet-different", discovery.ErrDifferent},
	}
}

// failure is an error on its way: every sentinel it is, and its words for the log.
type failure struct {
	Kinds   []string        `json:"kinds,omitempty"`
	Refusal *safefs.Refusal `json:"refusal,omitempty"` // why a folder is not shared
	Message string          `json:"message"`
}

func failureOf(err error) *failure {
	f := &failure{Message: err.Error()}
	for _, k := range kinds() {
		if errors.Is(err, k.err) {
			f.Kinds = append(f.Kinds, k.name)
		}
	}
	errors.As(err, &f.Refusal)
	return f
}

// err makes the error the engine returned, as far as errors.Is, the refusal in it and its text go.
func (f *failure) err() error {
	e := &remoteError{message: f.Message}
	for _, k := range kinds() {
		for _, name := range f.Kinds {
			if name == k.name {
				e.are = append(e.are, k.err)
			}
		}
	}
	if f.Refusal != nil {
		e.are = append(e.are, f.Refusal)
	}
	return e
}

type remoteError struct {
	message string
	are     []error
}

func (e *remoteError) Error() string   { return e.message }
func (e *remoteError) Unwrap() []error { return e.are }

// lost explains a call that broke off: the caller gave up, or the engine went.
func lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", ErrNoEngine, err)
}
