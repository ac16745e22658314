package viewmodel

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"porchlight/app/config"
	"porchlight/app/store"
	"porchlight/discovery"
	"porchlight/discovery/identity"
	"porchlight/share/catalogue"
	"porchlight/share/safefs"
	"porchlight/transfer"
)

// Tone says how serious a notice is.
type Tone string

// The tones of notices.
const (
	Good Tone = "good"
	Bad  Tone = "bad"
)

// Notice is one sentence for the bar, with at most one thing to do about it.
type Notice struct {
	Tone   Tone
	Text   string
	Action string // label of the button, "" for none
	Do     func()
}

// Notices is the bar that says what happened. It holds the newest one only: a bar that queues sentences is read by nobody.
type Notices struct {
	core *core

	mu   sync.Mutex // guards the fields below
	now  Notice
	turn int // counts up with every notice
}

// goodTime is how long good news stays; bad news stays until it is closed.
const goodTime = 8 * time.Second

// Now returns what the bar says; no text means no bar.
func (n *Notices) Now() Notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now
}

// Dismiss closes the bar.
func (n *Notices) Dismiss() { n.put(Notice{}) }

func (n *Notices) say(t Tone, text string) { n.put(Notice{Tone: t, Text: text}) }

func (n *Notices) put(x Notice) {
	n.mu.Lock()
	n.now = x
	n.turn++
	turn := n.turn
	n.mu.Unlock()
	n.core.changed()
	if x.Tone == Good {
		n.core.work.do(func(ctx context.Context) {
			if pause(ctx, goodTime) {
				n.expire(turn)
			}
		})
	}
}

// expire closes the bar if it still says the same.
func (n *Notices) expire(turn int) {
	n.mu.Lock()
	if n.turn == turn {
		n.now = Notice{}
	}
	n.mu.Unlock()
	n.core.changed()
}

// diskErrors say that the disk of this computer's own files takes nothing more.
func diskErrors() (out []errorKey) {
	for _, err := range config.DiskFull() {
		out = append(out, errorKey{err, "error.own-full"})
	}
	for _, err := range config.DiskReadOnly() {
		out = append(out, errorKey{err, "error.own-read-only"})
	}
	return out
}

// errorWords says in words what went wrong. What has no words of its own is told as it is, because a person with a helper
// on the phone is better off with it than with "something went wrong".
func (c *core) errorWords(err error) string {
	for _, known := range slices.Concat(groupErrors(), []errorKey{
		{transfer.ErrAway, "error.away"},
		{transfer.ErrGone, "error.gone"},
		{transfer.ErrBusy, "error.busy"},
		{transfer.ErrChanged, "error.changed"},
		{transfer.ErrFull, "error.full"},
		{transfer.ErrBroken, "error.broken"},
		{transfer.ErrUnsupported, "error.unsupported"},
		{transfer.ErrLimit, "error.limit"},
		{transfer.ErrProtocol, "error.protocol"},
		{transfer.ErrNoJob, "error.no-job"},
		{transfer.ErrState, "error.job-state"},
		{transfer.ErrLimits, "error.limits"},
		{discovery.ErrName, "error.name"},
		{catalogue.ErrTaken, "error.share-taken"},
		{catalogue.ErrShared, "error.share-twice"},
		{catalogue.ErrName, "error.name"},
		{catalogue.ErrMany, "error.share-many"},
		{catalogue.ErrUnknown, "error.share-unknown"},
		{safefs.ErrFull, "error.full"},
		{config.ErrLocked, "error.locked"},
		{config.ErrNewer, "error.newer"},
		{store.ErrNewer, "error.newer"},
		{config.ErrDamaged, "error.settings"},
		{store.ErrNoAccess, "error.no-access"},
		{identity.ErrMissing, "error.key"},
		{identity.ErrDamaged, "error.key"},
		{context.DeadlineExceeded, "error.slow"},
	}, diskErrors()) {
		if errors.Is(err, known.err) {
			return c.words.Text(known.key, "Why", err)
		}
	}
	if r := (*safefs.Refusal)(nil); errors.As(err, &r) {
		return c.words.Text("error.not-shareable", "Why", c.words.Text("refusal."+string(r.Why)))
	}
	return c.words.Text("error.other", "Why", err)
}
