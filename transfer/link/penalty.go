package link

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"porchlight/transfer/wire"
)

// offender is somebody who broke the protocol: each breach closes its connection, and many are answered with a refusal (wire.Breaches).
type offender struct {
	at    [wire.Breaches]time.Time // the last breaches, the oldest first
	term  time.Duration            // of the last refusal
	until time.Time                // refused until then
}

// offences remembers those who broke the protocol: devices, and addresses that never became one. Not for several
// goroutines at once.
type offences[K comparable] map[K]*offender

// blame notes a breach; it reports whether k is refused from now on.
func (o offences[K]) blame(k K, now time.Time) bool {
	f := o[k]
	if f == nil {
		o.makeRoom(now)
		f = &offender{}
		o[k] = f
	}
	if now.Before(f.until) {
		return false // it pays for that already
	}
	copy(f.at[:], f.at[1:])
	f.at[wire.Breaches-1] = now
	if f.at[0].IsZero() || now.Sub(f.at[0]) > wire.BreachTime {
		return false
	}
	if now.Sub(f.until) > wire.RefuseMost {
		f.term = 0
	}
	f.term = min(max(2*f.term, wire.RefuseFirst), wire.RefuseMost)
	f.until, f.at = now.Add(f.term), [wire.Breaches]time.Time{}
	return true
}

// refused reports whether k pays for what it did.
func (o offences[K]) refused(k K, now time.Time) bool {
	f := o[k]
	return f != nil && now.Before(f.until)
}

// makeRoom forgets whose account is settled, or, in a flood, whoever would be let in first.
func (o offences[K]) makeRoom(now time.Time) {
	if len(o) < wire.MaxCounted {
		return
	}
	var first K
	var at time.Time
	for k, f := range o {
		if now.Sub(f.until) > wire.RefuseMost && now.Sub(f.at[wire.Breaches-1]) > wire.BreachTime {
			delete(o, k)
		} else if at.IsZero() || f.until.Before(at) {
			first, at = k, f.until
		}
	}
	if len(o) >= wire.MaxCounted {
		delete(o, first)
	}
}

// isBreach reports whether a handshake failed because the other side does not speak the protocol. That it went away, was
// slow, or did not want this device, is none: a neighbour whose address book is old does all three.
func isBreach(err error) bool {
	var op *net.OpError // the connection broke, or the other side sent an alert
	var slow net.Error
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return false
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.As(err, &op):
		return false
	case errors.As(err, &slow) && slow.Timeout():
		return false
	}
	return true
}
