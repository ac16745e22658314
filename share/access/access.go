// Package access decides what a device or guest may do with a share; it is pure.
//
// A request passes these gates in this order, each time anew, and nothing is remembered from one to the next:
//
//	the key behind the connection ─► blocked? ─► active in a common workgroup, or verified, or nearby? ─► grant ─► ask
//
// Policy.Allows is all of them; path rules, rate limits and the audit trail come after it. Whoever is refused is told the same
// as when there is no such share: that is the caller's part, with one error for both.
//
// # Grants
//
// A share has a list of grants. The first that is about the asker decides, whatever stands below it; if none is, the answer is
// no. A grant that has run out is about nobody. An empty list is that of a share nobody has decided about: anyone nearby may look.
//
//	right                            look   add only             change
//	Look    list, stat, read         yes    its own new files    yes
//	Create  a file or folder         no     yes, never replaces  yes
//	SetTimes                         no     its own new files    yes
//	Replace overwrite, move, delete  no     no                   yes, the old version is kept
//	Use     print, scan              yes    yes                  yes
//
// Who is known by nothing but its key may look where anyone nearby may, or where the owner named it, and offer a file to an inbox whose owner is asked each
// time. Everything else takes a member of the workgroup, or a device that was verified: by a code, or by pictures.
package access

import (
	"slices"
	"time"

	"porchlight/discovery"
	"porchlight/share"
)

// Remember is how long the answer to an AskFirst holds.
const Remember = 30 * 24 * time.Hour

// OwnFor is how long after it was made a file is its maker's own in a share it may only add to.
const OwnFor = 24 * time.Hour

// Right is what somebody wants to do.
type Right uint8

// The rights.
const (
	Look     Right = iota + 1 // list, stat, read, thumbnails
	Create                    // make a new file or folder; hand a file over to an inbox
	Replace                   // overwrite, rename, delete
	SetTimes                  // of a file
	Use                       // print on a printer, take pages from a scanner
)

// Member says in which workgroup a device is active now, and whose it is there.
type Member struct {
	Workgroup [32]byte
	Person    [16]byte
}

// Subject is who asks, as it is at this moment: not as it was when the connection began.
type Subject struct {
	Device   discovery.DeviceID // the key behind the connection; zero for a guest without one
	Blocked  bool               // on this computer, which nothing outweighs
	Members  []Member           // the common workgroups in which it is active and in step (workgroup.Book.Synced)
	Verified bool               // it was verified by a code or by pictures, once
	Nearby   bool               // it is on a network that this device is open to
}

// Answer is what the owner said when asked, of this device and this share.
type Answer struct {
	Yes  bool
	At   time.Time // zero if nobody was asked yet
	This bool      // it was said to this very request
}

// Policy is what the owner decided about one share.
type Policy struct {
	Kind     share.Kind
	Audience []share.Grant // at most share.MaxGrants; empty is Open
}

// Open is the list of a share nobody has decided about.
func Open() []share.Grant { return []share.Grant{{Who: share.ToNearby, Level: share.LookOnly}} }

// Default is the list a new share begins with: for the members of workgroup, or with a zero one for the open workgroup.
func Default(kind share.Kind, workgroup [32]byte) []share.Grant {
	g := share.Grant{Who: share.ToEveryone, Workgroup: workgroup, Level: share.LookOnly}
	if workgroup == [32]byte{} {
		g = share.Grant{Who: share.ToNearby, Level: share.LookOnly}
	}
	switch kind {
	case share.Printer:
		g.Ask = share.AskFirst
	case share.Scanner:
		g.Ask = share.AskEach // somebody has to stand at it anyway
	case share.Inbox:
		g.Level, g.Ask = share.AddOnly, share.AskEach
	}
	return []share.Grant{g}
}

// DefaultIn is the list a new share begins with on a device that is in the open workgroup, or not, and active in some private ones: what
// a device in the open one shares is for anyone nearby, that of a device in nothing but one private workgroup for everyone in it. With
// several to choose from, or none, it is for nobody until its owner says.
func DefaultIn(kind share.Kind, open bool, workgroups [][32]byte) []share.Grant {
	switch {
	case open:
		return Default(kind, [32]byte{})
	case len(workgroups) == 1:
		return Default(kind, workgroups[0])
	}
	return []share.Grant{{Who: share.ToNobody}}
}

// about reports whether g is about s at now.
func about(g share.Grant, s Subject, now time.Time) bool {
	if !g.Whole() || !g.Until.IsZero() && !now.Before(g.Until) {
		return false
	}
	in := slices.ContainsFunc(s.Members, func(m Member) bool {
		return m.Workgroup == g.Workgroup && (g.Who != share.ToPerson || m.Person == g.Person)
	})
	switch g.Who {
	case share.ToEveryone, share.ToPerson:
		return in
	case share.ToDevice:
		if g.Workgroup == [32]byte{} {
			in = s.Verified || s.Nearby // its key is proven by the connection either way, and the owner named it
		}
		return in && s.Device == g.Device
	case share.ToNearby:
		return s.Nearby
	}
	return true // ToNobody
}
