package transfer

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Queue is how all transfers of this computer are steered together.
type Queue struct {
	Held   bool // nothing is brought here until it is let go on; what is asked for meanwhile waits
	Limits Limits
	Now    Limits // of Limits what is in force at this time of day; From and Until are 0
}

// Limits bound the bytes of files, and nothing else: to look at a folder is always quick.
type Limits struct {
	Up    int64 // bytes per second to others, all of them together; 0: no limit
	Down  int64 // bytes per second to here; 0: no limit
	From  int   // minutes after midnight when the limits begin, on this computer's clock; the same as Until: they always hold
	Until int   // minutes after midnight when they end; before From: on the next day
}

// The limits a person may set, in bytes per second. With less than MinLimit the twenty connections of two busy pulls would each be so
// slow that a neighbour takes them for dead ones (wire.StallSend in wire.StallTime).
const (
	MinLimit = 500_000
	MaxLimit = 1_000_000_000_000
)

// dayMinutes is how many minutes a day has.
const dayMinutes = 24 * 60

// ErrLimits says that limits are out of their rules.
var ErrLimits = errors.New("not a limit that can be kept")

// Check returns ErrLimits if a limit is below MinLimit, or a time is none.
func (l Limits) Check() error {
	for _, n := range []int64{l.Up, l.Down} {
		if n != 0 && (n < MinLimit || n > MaxLimit) {
			return fmt.Errorf("%w: %d bytes per second", ErrLimits, n)
		}
	}
	for _, m := range []int{l.From, l.Until} {
		if m < 0 || m >= dayMinutes {
			return fmt.Errorf("%w: minute %d of a day", ErrLimits, m)
		}
	}
	return nil
}

// At returns the limits in force at a time, which is of the clock on the wall.
func (l Limits) At(t time.Time) Limits {
	now := t.Hour()*60 + t.Minute()
	in := true
	switch {
	case l.From < l.Until:
		in = now >= l.From && now < l.Until
	case l.From > l.Until:
		in = now >= l.From || now < l.Until
	}
	if !in {
		return Limits{}
	}
	return Limits{Up: l.Up, Down: l.Down}
}

// Timed reports whether the limits hold only for a part of the day.
func (l Limits) Timed() bool { return l.From != l.Until }

// Move says where in the queue a job is to go.
type Move string

// The moves.
const (
	MoveUp    Move = "up"
	MoveDown  Move = "down"
	MoveFirst Move = "first"
	MoveLast  Move = "last"
	// MoveBack makes a job a background one: it runs only while no other job can. MoveFront makes it one of the others again.
	MoveBack  Move = "background"
	MoveFront Move = "foreground"
)

// Valid reports whether m is one of the moves.
func (m Move) Valid() bool {
	return m == MoveUp || m == MoveDown || m == MoveFirst || m == MoveLast || m == MoveBack || m == MoveFront
}

// InOrder sorts jobs as people look for them: those that run, the queue as it will begin, those that failed, and what is over; of
// the last two the newest first.
func InOrder(jobs []Job) []Job {
	group := func(j Job) int {
		switch {
		case j.State == Running:
			return 0
		case j.State.Queued():
			return 1
		case j.State == Failed:
			return 2
		}
		return 3
	}
	out := slices.Clone(jobs)
	slices.SortStableFunc(out, func(a, b Job) int {
		g := cmp.Compare(group(a), group(b))
		switch {
		case g != 0:
			return g
		case group(a) <= 1:
			return cmp.Or(back(a)-back(b), cmp.Compare(a.Order, b.Order), cmp.Compare(a.ID, b.ID))
		}
		return cmp.Or(b.Ended.Compare(a.Ended), cmp.Compare(b.ID, a.ID))
	})
	return out
}

func back(j Job) int {
	if j.Background {
		return 1
	}
	return 0
}

// ErrState says that a job is not in a state in which that can be done.
var ErrState = errors.New("not possible for a job in this state")

// MaxHistory is how many jobs that have ended are kept.
const MaxHistory = 200

// ParseLimit reads a limit as people type it, in millions of bytes per second: "2", "1.5", "1,5". Nothing, or 0, is no limit.
func ParseLimit(s string) (int64, error) {
	s = strings.Replace(strings.TrimSpace(s), ",", ".", 1)
	if s == "" {
		return 0, nil
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(x) || x < 0 || x > MaxLimit/1e6 {
		return 0, fmt.Errorf("%w: %q", ErrLimits, s)
	}
	l := Limits{Up: int64(math.Round(x * 1e6))}
	return l.Up, l.Check()
}

// LimitText is n as ParseLimit reads it, "" for no limit.
func LimitText(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(n)/1e6, 'f', -1, 64)
}

// ParseClock reads a time of day, "22:00" or "7", as minutes after midnight. Nothing is midnight, and so is "24:00".
func ParseClock(s string) (int, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0, nil
	}
	hours, minutes, _ := strings.Cut(s, ":")
	if minutes == "" {
		minutes = "0"
	}
	h, errHour := strconv.ParseUint(hours, 10, 8)
	m, errMinute := strconv.ParseUint(minutes, 10, 8)
	if errHour != nil || errMinute != nil || h > 24 || m > 59 || h == 24 && m > 0 {
		return 0, fmt.Errorf("%w: time %q", ErrLimits, s)
	}
	return int(h%24*60 + m), nil
}

// ClockText writes minutes after midnight as "22:00".
func ClockText(m int) string { return fmt.Sprintf("%02d:%02d", m/60, m%60) }
