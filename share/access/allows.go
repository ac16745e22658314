package access

import (
	"time"

	"porchlight/share"
)

// Reason says why something is refused. It is for the owner's audit trail, and never for who asked.
type Reason string

// The reasons.
const (
	Granted    Reason = ""
	IsBlocked  Reason = "blocked"
	IsStranger Reason = "stranger"   // neither a member, nor verified, nor nearby
	NoGrant    Reason = "no grant"   // none is about it
	NotEnough  Reason = "level"      // the grant does not give this right
	Unverified Reason = "unverified" // nothing is known of it but its key
	Refused    Reason = "refused"    // the owner was asked and said no
)

// Decision is what Allows says.
type Decision struct {
	Allowed bool
	Ask     bool // the owner has to be asked first; then Allows again, with the Answer. Allowed is false
	Own     bool // with Allowed: only of what the asker made itself, in the last OwnFor
	Apart   bool // with Allowed: a new file never takes the place of another, it is numbered
	Why     Reason
	Row     int // of the grant that decided, from 0; -1 if none did
}

// Allows reports whether s may use right r at now. The answer is the owner's last one, zero if there was none.
// With Own set, the caller holds what is asked for against what s made; a share of which s sees nothing else is there for it.
func (p Policy) Allows(s Subject, r Right, answer Answer, now time.Time) Decision {
	no := func(why Reason, row int) Decision { return Decision{Why: why, Row: row} }
	if s.Blocked {
		return no(IsBlocked, -1)
	}
	if len(s.Members) == 0 && !s.Verified && !s.Nearby {
		return no(IsStranger, -1)
	}
	list := p.Audience
	if len(list) == 0 {
		list = Open()
	}
	for row, g := range list[:min(len(list), share.MaxGrants)] {
		if !about(g, s, now) {
			continue
		}
		d := gives(g, r)
		d.Row = row
		switch {
		case d.Why != Granted:
			return d
		case len(s.Members) == 0 && !s.Verified && !p.forStrangers(g, r):
			return no(Unverified, row)
		}
		return asked(g, d, answer, now)
	}
	return no(NoGrant, -1)
}

// Sees reports whether the share is there for s at all: whether it may do anything with it, asked or not.
func (p Policy) Sees(s Subject, now time.Time) bool {
	for _, r := range []Right{Look, Create, Use} {
		if d := p.Allows(s, r, Answer{}, now); (d.Allowed || d.Ask) && p.has(r) {
			return true
		}
	}
	return false
}

// has reports whether a share of this kind knows the right at all.
func (p Policy) has(r Right) bool {
	device := p.Kind == share.Printer || p.Kind == share.Scanner
	return device == (r == Use) && (p.Kind != share.Inbox || r == Create)
}

// gives is the table of the package comment.
func gives(g share.Grant, r Right) Decision {
	yes := Decision{Allowed: true}
	switch {
	case g.Level < share.LookOnly || g.Level > share.Change || r < Look || r > Use:
	case g.Level == share.Change, r == Use, r == Look && g.Level == share.LookOnly:
		return yes
	case g.Level == share.AddOnly && r == Create:
		yes.Apart = true
		return yes
	case g.Level == share.AddOnly && (r == Look || r == SetTimes):
		yes.Own = true
		return yes
	}
	return Decision{Why: NotEnough}
}

// forStrangers reports whether who is neither a member nor verified may use r by g.
func (p Policy) forStrangers(g share.Grant, r Right) bool {
	if p.Kind == share.Inbox {
		return r == Create && g.Ask == share.AskEach
	}
	return r == Look && g.Level != share.AddOnly
}

// asked is d after the owner's answer.
func asked(g share.Grant, d Decision, answer Answer, now time.Time) Decision {
	if g.Ask == share.AskNever {
		return d
	}
	age := now.Sub(answer.At)
	valid := !answer.At.IsZero() && (answer.This || g.Ask == share.AskFirst && age >= 0 && age < Remember)
	switch {
	case !valid:
		return Decision{Ask: true, Row: d.Row}
	case !answer.Yes:
		return Decision{Why: Refused, Row: d.Row}
	}
	return d
}
