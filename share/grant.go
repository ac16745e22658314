package share

import (
	"errors"
	"fmt"
	"time"

	"porchlight/discovery"
)

// ErrGrant says that a list of grants cannot be used.
var ErrGrant = errors.New("not a usable list of grants")

// Who says whom a grant is about.
type Who uint8

// The numbers are kept on disk.
const (
	ToEveryone Who = 1 // every active member of Workgroup
	ToPerson   Who = 2 // every active device of Person in Workgroup
	ToDevice   Who = 3 // Device, while it is active in Workgroup; if that is zero, while it is verified or nearby
	ToNearby   Who = 4 // anyone nearby, whoever it is
	ToNobody   Who = 5 // everyone, to do nothing: the one row of a list that is to be empty
)

// Level is what a grant gives.
type Level uint8

// The numbers are kept on disk.
const (
	LookOnly Level = 1
	AddOnly  Level = 2 // make new files, see no others
	Change   Level = 3
)

// Ask says how often the owner is asked.
type Ask uint8

// The numbers are kept on disk.
const (
	AskNever Ask = 0
	AskFirst Ask = 1 // the answer holds for access.Remember
	AskEach  Ask = 2
)

// Grant is one row of a share's list. A value; readers may keep it.
type Grant struct {
	Who       Who
	Workgroup [32]byte // of ToEveryone and ToPerson; of ToDevice if its membership is what counts
	Person    [16]byte
	Device    discovery.DeviceID
	Level     Level
	Ask       Ask
	Until     time.Time // it is good before that; zero for ever
}

// CheckGrants reports whether a list may be kept: not too long, and each row whole.
func CheckGrants(list []Grant) error {
	if len(list) > MaxGrants {
		return fmt.Errorf("%w: %d are the most", ErrGrant, MaxGrants)
	}
	for i, g := range list {
		if !g.Whole() {
			return fmt.Errorf("%w: row %d", ErrGrant, i+1)
		}
	}
	return nil
}

// Whole reports whether g has what its Who needs, and nothing that would make it look like another.
func (g Grant) Whole() bool {
	group, person, device := g.Workgroup != [32]byte{}, g.Person != [16]byte{}, !g.Device.IsZero()
	if g.Who == ToNobody {
		return g == Grant{Who: ToNobody}
	}
	if g.Level < LookOnly || g.Level > Change || g.Ask > AskEach {
		return false
	}
	switch g.Who {
	case ToEveryone:
		return group && !person && !device
	case ToPerson:
		return group && person && !device
	case ToDevice:
		return device && !person
	case ToNearby:
		return !group && !person && !device
	}
	return false
}
