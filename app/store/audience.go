package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"time"

	"porchlight/discovery"
	"porchlight/share"
)

// nearby is the audience of the shares of a database, or of a second copy, from before there were audiences: anyone nearby.
// It is the default of the column.
const nearby = "nearby"

// audienceSum is the length of the digest before an audience. Without it, one bit could make a list another one.
const audienceSum = 16

type grantRow struct {
	Who       share.Who   `json:"who"`
	Workgroup []byte      `json:"workgroup,omitempty"`
	Person    []byte      `json:"person,omitempty"`
	Device    []byte      `json:"device,omitempty"`
	Level     share.Level `json:"level,omitempty"`
	Ask       share.Ask   `json:"ask,omitempty"`
	Until     int64       `json:"until,omitempty"`
}

// encodeAudience makes the audience of a share what is kept of it. What was lost stays so.
func encodeAudience(s share.Share) ([]byte, error) {
	if s.Lost {
		return []byte{}, nil
	}
	rows := make([]grantRow, len(s.Audience))
	for i, g := range s.Audience {
		r := grantRow{Who: g.Who, Level: g.Level, Ask: g.Ask, Until: nanos(g.Until)}
		if g.Workgroup != [32]byte{} {
			r.Workgroup = g.Workgroup[:]
		}
		if g.Person != [16]byte{} {
			r.Person = g.Person[:]
		}
		if !g.Device.IsZero() {
			r.Device = g.Device[:]
		}
		rows[i] = r
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return nil, err
	}
	return append(sumAudience(s.ID, text), text...), nil
}

// decodeAudience puts into s what was kept. What cannot be read is no list at all: s is for nobody then.
func decodeAudience(s *share.Share, kept []byte) {
	s.Audience, s.Lost = nil, false
	if string(kept) == nearby {
		return
	}
	s.Lost = true
	var rows []grantRow
	if len(kept) < audienceSum || !bytes.Equal(kept[:audienceSum], sumAudience(s.ID, kept[audienceSum:])) || json.Unmarshal(kept[audienceSum:], &rows) != nil {
		return
	}
	var list []share.Grant
	for _, r := range rows {
		g := share.Grant{Who: r.Who, Level: r.Level, Ask: r.Ask, Until: fromNanos(r.Until)}
		if !fill(g.Workgroup[:], r.Workgroup) || !fill(g.Person[:], r.Person) || !fill(g.Device[:], r.Device) {
			return
		}
		list = append(list, g)
	}
	if share.CheckGrants(list) == nil {
		s.Audience, s.Lost = list, false
	}
}

// fill copies what is there into its place; false if it does not fit. Nothing fits everywhere.
func fill(to, from []byte) bool {
	return len(from) == 0 || copy(to, from) == len(from) && len(to) == len(from)
}

// sumAudience binds a list to its share.
func sumAudience(id share.ID, text []byte) []byte {
	h := sha256.New()
	h.Write([]byte("porchlight audience v1\x00")) //nolint:errcheck // never fails, nor do these
	h.Write(id[:])                                //nolint:errcheck
	h.Write(text)                                 //nolint:errcheck
	return h.Sum(nil)[:audienceSum]
}

// Block is one device that this computer has nothing to do with, by its owner's decision.
type Block struct {
	Device discovery.DeviceID
	Name   string // when it was blocked
	Since  time.Time
}
