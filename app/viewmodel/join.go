package viewmodel

import (
	"context"
	"slices"
	"sync"

	"porchlight/discovery"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
)

// NearRow is a computer that invites right now.
type NearRow struct {
	ID   discovery.DeviceID
	Name string
	Busy bool // its pictures are being fetched
}

// JoinPage is what the page for joining shows.
type JoinPage struct {
	Digits  string // typed so far
	Ready   bool   // they are all there
	Busy    bool   // asking; it waits for a person at the other side
	Text    string // what to do, or what it waits for
	Trouble string
	Near    []NearRow
	NearTip string // what the rows are for, or that there are none
}

// Joining brings this computer into a workgroup of somebody else.
type Joining struct {
	core    *core
	nav     *Navigation
	compare *Comparing

	mu      sync.Mutex // guards the fields below
	typed   string
	trouble string
	busy    bool               // a try goes on
	cancel  context.CancelFunc // ends it; nil before it began
	turn    int                // counts the tries
}

// Page returns what the page shows.
func (j *Joining) Page() JoinPage {
	j.mu.Lock()
	p := JoinPage{Digits: j.typed, Ready: len(j.typed) == codeDigits && !j.busy, Busy: j.busy, Trouble: j.trouble}
	j.mu.Unlock()
	w := j.core.words
	p.Text = w.Text("join.text")
	if p.Busy {
		p.Text = w.Text("join.busy")
	}
	now := j.core.now()
	for _, x := range now.peers {
		if x.Inviting && !x.Blocked && !x.ID.IsZero() {
			p.Near = append(p.Near, NearRow{x.ID, j.core.nameOf(x.ID, now.peers), x.ID == j.compare.Busy()})
		}
	}
	slices.SortStableFunc(p.Near, func(a, b NearRow) int { return byName(a.Name, b.Name) })
	p.NearTip = w.Text("join.near")
	if len(p.Near) == 0 {
		p.NearTip = w.Text("join.near.none")
	}
	return p
}

// Type takes what was typed or pasted into the boxes: the digits of it count, and more than eight are dropped.
func (j *Joining) Type(text string) {
	d := digitsOf(text)
	j.mu.Lock()
	if !j.busy {
		j.typed, j.trouble = d[:min(len(d), codeDigits)], ""
	}
	j.mu.Unlock()
	j.core.changed()
}

// Paste takes the clipboard: digits go into the boxes, the whole text of a picture code is used at once.
func (j *Joining) Paste(text string) {
	code, _, err := pairing.ParseCode(text)
	switch {
	case err != nil:
		j.fail(j.core.words.Text("join.not-a-code"))
	case code.Secret != "":
		j.try(text)
	default:
		j.Type(code.Digits)
	}
}

// Join asks with the digits.
func (j *Joining) Join() {
	j.mu.Lock()
	code := j.typed
	j.mu.Unlock()
	if len(code) == codeDigits {
		j.try(code)
	}
}

// try asks to be let in. It waits for a person, no longer than a code lives.
func (j *Joining) try(code string) {
	j.mu.Lock()
	if j.busy {
		j.mu.Unlock()
		return
	}
	j.busy, j.trouble = true, ""
	j.turn++
	turn := j.turn
	j.mu.Unlock()
	j.core.changed()
	j.core.work.do(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, pairing.CodeLife)
		defer cancel()
		if !j.began(turn, cancel) {
			return
		}
		w, err := j.core.eng().Join(ctx, code)
		j.ended(turn, w, err)
	})
}

// began reports whether nobody stopped the try before it began.
func (j *Joining) began(turn int, cancel context.CancelFunc) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.busy || j.turn != turn {
		return false
	}
	j.cancel = cancel
	return true
}

func (j *Joining) ended(turn int, w workgroup.Workgroup, err error) {
	j.mu.Lock()
	mine := j.busy && j.turn == turn // nobody stopped it
	if mine {
		j.busy, j.cancel = false, nil
	}
	j.mu.Unlock()
	switch {
	case !mine:
	case err != nil:
		j.fail(j.core.errorWords(err))
	default:
		j.joined(w.ID)
	}
	j.core.changed()
}

// joined leads from the page for joining to the workgroup this computer came into.
func (j *Joining) joined(id workgroup.ID) {
	if j.nav.Place().Page == PageJoin {
		j.clear()
		j.nav.Go(Place{Page: PageWorkgroup, Group: id})
	}
}

func (j *Joining) clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.typed, j.trouble = "", ""
}

func (j *Joining) fail(why string) {
	j.mu.Lock()
	j.trouble, j.typed = why, ""
	j.mu.Unlock()
	j.core.changed()
}

// Stop gives up a try that waits.
func (j *Joining) Stop() {
	j.mu.Lock()
	if j.cancel != nil {
		j.cancel()
	}
	j.busy, j.cancel = false, nil
	j.mu.Unlock()
	j.core.changed()
}

// Compare asks a computer that invites to show pictures, instead of digits.
func (j *Joining) Compare(d discovery.DeviceID) { j.compare.begin(d, pairing.ToJoin) }

// Title returns the head of the page and what it is for.
func (j *Joining) Title() (title, text string) {
	return j.core.words.Text("page.join"), j.core.words.Text("join.about")
}
