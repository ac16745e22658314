package transfer

import (
	"errors"
	"time"
)

// What can go wrong with the far side. The wire carries these as kinds; words for people are made where they are shown.
var (
	ErrAway        = errors.New("the other computer cannot be reached")
	ErrGone        = errors.New("not there, or not allowed") // the two look the same on purpose
	ErrBusy        = errors.New("the other computer is busy")
	ErrChanged     = errors.New("the file changed")
	ErrFull        = errors.New("no space left")
	ErrBroken      = errors.New("the other computer could not read its own data")
	ErrUnsupported = errors.New("the other computer cannot do that")
	ErrLimit       = errors.New("over a limit")
	ErrProtocol    = errors.New("the other computer answered in an unexpected way")
)

// Busy is ErrBusy of a device that says when to come again.
type Busy struct{ Retry time.Duration }

func (b *Busy) Error() string { return ErrBusy.Error() + ", for " + b.Retry.String() }

// Is makes it ErrBusy.
func (b *Busy) Is(target error) bool { return target == ErrBusy }
