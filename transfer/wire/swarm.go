package wire

import (
	"time"

	"porchlight/discovery"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
)

// CapSwarm in Hello.Caps says that a device answers the routes below.
const CapSwarm = "swarm"

// Routes of content that more than one device gives.
const (
	RouteSwarm   = "/swarm" // behind RouteShare + share ID
	RouteFind    = "/v1/find"
	RouteContent = "/v1/c/" // + root, and RouteHave behind it
	RouteHave    = "/have"
)

// Headers of content that more than one device gives: HeaderTicket of requests (Signed.Header), HeaderAdvice of answers with
// bytes of a file, to a device that pulls it among others.
const (
	HeaderTicket = "Porchlight-Ticket"
	HeaderAdvice = "Porchlight-Advice"
)

// SwarmAsk tells the owner of a file that its asker pulls it, and which pieces it has: piece i in bit 0x80>>(i&7) of byte i>>3.
// With Wait the answer comes when there is something new.
type SwarmAsk struct {
	Bits []byte `cbor:"bits"`
	Wait bool   `cbor:"wait,omitempty"`
}

// SwarmAnswer tells who else pulls it. All but Others is missing while nobody does; Manifest and Ticket come when the content is known,
// and for who had some once also when nobody else pulls any more.
type SwarmAnswer struct {
	Others   uint     `cbor:"others"`
	Advice   string   `cbor:"advice,omitempty"`
	Manifest *Signed  `cbor:"manifest,omitempty"`
	Ticket   *Signed  `cbor:"ticket,omitempty"`
	Peers    [][]byte `cbor:"peers,omitempty"` // device IDs, at most MaxSwarm
}

// Swarm is a checked SwarmAnswer.
type Swarm struct {
	Others           int
	Advice           string
	Known            bool   // the content is known, and the rest is set
	Manifest, Ticket Signed // as they came, for passing on
	Stated           Manifest
	Ahead            time.Duration // by which the origin's clock is ahead of this device's
	Peers            []discovery.DeviceID
}

// Check verifies what origin answered to holder, at now, about the file at path of a share. The clocks of the two may differ by any
// amount: the ticket is good by the one that signed it.
func (a SwarmAnswer) Check(origin, holder discovery.DeviceID, id share.ID, path share.Path, size int64, now time.Time) (Swarm, error) {
	if a.Others == 0 && a.Manifest == nil && a.Ticket == nil {
		return Swarm{}, nil
	}
	s := Swarm{Others: int(a.Others), Advice: a.Advice}
	if a.Others > MaxSwarm || len(a.Advice) > MaxAdvice || (a.Manifest == nil) != (a.Ticket == nil) {
		return Swarm{}, transfer.ErrProtocol
	}
	if a.Manifest == nil {
		return s, nil
	}
	m, err := OpenManifest(*a.Manifest)
	if err != nil {
		return Swarm{}, err
	}
	t, err := OpenTicket(*a.Ticket)
	if err != nil {
		return Swarm{}, err
	}
	if m.Origin != origin || m.Share != id || m.Path != path || m.Size != size || m.Group != t.Group || !t.Allows(holder, origin, m.Root, m.Made) {
		return Swarm{}, transfer.ErrProtocol
	}
	if s.Peers, err = devices(a.Peers); err != nil {
		return Swarm{}, err
	}
	s.Known, s.Manifest, s.Ticket, s.Stated, s.Ahead = true, *a.Manifest, *a.Ticket, m, m.Made.Sub(now)
	return s, nil
}

// HaveAnswer says which pieces a device has, piece i in bit 0x80>>(i&7) of byte i>>3, and who else it knows to have some.
type HaveAnswer struct {
	Count uint     `cbor:"count"`
	Bits  []byte   `cbor:"bits"`
	Peers [][]byte `cbor:"peers,omitempty"`
}

// Check checks it for a file of a number of pieces.
func (a HaveAnswer) Check(pieces int) ([]discovery.DeviceID, error) {
	if len(a.Bits) != (pieces+7)/8 || a.Count > uint(pieces) {
		return nil, transfer.ErrProtocol
	}
	return devices(a.Peers)
}

func devices(raw [][]byte) ([]discovery.DeviceID, error) {
	if len(raw) > MaxSwarm {
		return nil, transfer.ErrLimit
	}
	var out []discovery.DeviceID
	for _, b := range raw {
		if len(b) != len(discovery.DeviceID{}) {
			return nil, transfer.ErrProtocol
		}
		out = append(out, discovery.DeviceID(b))
	}
	return out, nil
}

// FindAsk asks for files of sizes that the asker may see.
type FindAsk struct {
	Sizes []int64 `cbor:"sizes"`
}

// FindItem is a file of one of the sizes. Root is its content where that is known already.
type FindItem struct {
	Share   []byte `cbor:"share"`
	Path    string `cbor:"path"`
	Size    int64  `cbor:"size"`
	Version []byte `cbor:"version"`
	Root    []byte `cbor:"root,omitempty"`
}

// Found is a checked FindItem.
type Found struct {
	Share   share.ID
	Path    share.Path
	Size    int64
	Version share.Version
	Root    content.Hash // zero if it is not known yet
}

// Check checks it.
func (i FindItem) Check() (Found, error) {
	f := Found{Size: i.Size}
	if len(i.Share) != len(f.Share) || len(i.Version) != len(f.Version) || i.Size < SwarmSize || len(i.Root) != 0 && len(i.Root) != len(f.Root) {
		return Found{}, transfer.ErrProtocol
	}
	path, err := share.ParsePath(i.Path)
	if err != nil || path == "" {
		return Found{}, transfer.ErrProtocol
	}
	f.Share, f.Path, f.Version = share.ID(i.Share), path, share.Version(i.Version)
	if len(i.Root) > 0 {
		f.Root = content.Hash(i.Root)
	}
	return f, nil
}
