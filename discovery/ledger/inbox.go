package ledger

import (
	"errors"
	"slices"
	"time"
)

// Inbox takes the entries of one peer into a graph. What comes before its parents waits: at most MaxPending entries, each for
// PendingFor. It has the graph's rules for goroutines; the zero value is ready.
type Inbox struct {
	waiting []pending
}

type pending struct {
	*Entry
	since time.Time
}

// Add inserts e, and what waited for it. kept is as in Graph.Insert. An entry that has to wait is no error: its missing parents
// are returned, to be asked for, but for those that wait themselves. ErrPending says that e was dropped for want of room.
// Whoever was waiting and is refused in the end is forgotten without a word.
func (b *Inbox) Add(g *Graph, e *Entry, now time.Time) (kept []*Entry, missing []Hash, err error) {
	b.waiting = slices.DeleteFunc(b.waiting, func(p pending) bool { return now.Sub(p.since) >= PendingFor })
	kept, err = g.Insert(e)
	if errors.Is(err, ErrParent) {
		return nil, b.missing(g, e), b.wait(e, now)
	}
	if err != nil {
		return nil, nil, err
	}
	for again := true; again; {
		again = false
		b.waiting = slices.DeleteFunc(b.waiting, func(p pending) bool {
			more, err := g.Insert(p.Entry)
			kept = append(kept, more...)
			again = again || err == nil
			return !errors.Is(err, ErrParent)
		})
	}
	return kept, nil, nil
}

// Waiting returns how many entries wait for a parent.
func (b *Inbox) Waiting() int { return len(b.waiting) }

func (b *Inbox) find(id Hash) bool {
	return slices.ContainsFunc(b.waiting, func(p pending) bool { return p.id == id })
}

func (b *Inbox) wait(e *Entry, now time.Time) error {
	if b.find(e.id) {
		return nil
	}
	if len(b.waiting) >= MaxPending {
		return ErrPending
	}
	b.waiting = append(b.waiting, pending{e, now})
	return nil
}

func (b *Inbox) missing(g *Graph, e *Entry) (ids []Hash) {
	for _, p := range e.Prev {
		if !g.Has(p) && !b.find(p) {
			ids = append(ids, p)
		}
	}
	return ids
}
