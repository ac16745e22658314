package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"porchlight/app/config"
	"porchlight/app/control"
	"porchlight/discovery"
	"porchlight/share"
	"porchlight/share/catalogue"
	"porchlight/share/safefs"
	"porchlight/transfer"
)

// failure is an error that knows its words and its exit code.
type failure struct {
	code  int
	text  string // empty: everything was said already
	cause error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.cause }

func usage(format string, args ...any) error {
	return &failure{code: exitUsage, text: fmt.Sprintf(format, args...) + "\n" + wordTryHelp}
}

func notFound(format string, args ...any) error {
	return &failure{code: exitNotFound, text: fmt.Sprintf(format, args...)}
}

// explain turns an error into words and an exit code.
func explain(err error) (string, int) {
	var f *failure
	if errors.As(err, &f) {
		return f.text, f.code
	}
	for _, k := range []struct {
		is   error
		code int
		text string
	}{
		{control.ErrNoEngine, exitNoEngine, wordEngineEnded},
		{control.ErrVersion, exitFailed, wordOtherVersion},
		{config.ErrLocked, exitFailed, wordLocked},
		{transfer.ErrNoJob, exitNotFound, wordNoJob},
		{transfer.ErrAway, exitAway, wordAway},
		{catalogue.ErrTaken, exitFailed, wordShareTaken},
		{catalogue.ErrShared, exitFailed, wordSharedAlready},
		{catalogue.ErrMany, exitFailed, wordManyShares},
		{catalogue.ErrUnknown, exitNotFound, wordShareUnknown},
		{catalogue.ErrName, exitFailed, wordBadName},
		{safefs.ErrNotShareable, exitFailed, ""}, // before "gone": it says why
		{transfer.ErrGone, exitNotFound, wordGone},
		{safefs.ErrGone, exitNotFound, wordNotHere},
		{fs.ErrNotExist, exitNotFound, wordNotHere},
		{transfer.ErrBusy, exitFailed, wordBusy},
		{transfer.ErrFull, exitFailed, wordFull},
		{transfer.ErrBroken, exitFailed, wordBroken},
		{transfer.ErrUnsupported, exitFailed, wordUnsupported},
		{discovery.ErrName, exitFailed, wordBadName},
		{share.ErrPath, exitNotFound, wordBadPath},
		{context.Canceled, exitFailed, wordInterrupted},
		{context.DeadlineExceeded, exitFailed, wordTooSlow},
	} {
		if errors.Is(err, k.is) {
			if k.text == "" {
				break
			}
			return k.text, k.code
		}
	}
	return show(err.Error()), exitFailed
}
