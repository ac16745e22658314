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

// HeaderTicket carries a ticket (Signed.Header).
const HeaderTicket = "Porchlight-Ticket"

// Limits of content that more than one device gives.
const (
	SwarmSize       = 16 << 20         // bytes; smaller files are not worth a signature
	SwarmTime       = 15 * time.Second // a device that has not asked for so long pulls no more
	MaxSwarm        = 64               // devices that pull one file and are told of one another
	MaxSwarmed      = 256              // files that a server counts the pullers of
	MaxSigned       = 8 << 10          // bytes of a manifest or ticket: a path has up to 4 KiB
	MaxTicketHeader = 1 << 10          // bytes of HeaderTicket
	TicketTime      = 24 * time.Hour   // for which a ticket is made
	TicketSlack     = time.Hour        // by which the clocks of two devices may differ
	MaxSwarmAnswer  = 32 << 10         // bytes
	MaxHaveAnswer   = 256 << 10        // bytes: 1.25 TiB have 160 KiB of bits
	HaveTime        = 2 * time.Second  // a question for more pieces is answered by then
	HaveEvery       = 100 * time.Millisecond
	ContentPieces   = 16              // in one request for content
	MaxFind         = 32              // sizes asked for at a time
	MaxFound        = 4               // files told of each
	FindTime        = 2 * time.Second // looking for files takes no longer; what is not known by then is told the next time
)

// SwarmAsk tells the owner of a file that its asker pulls it, and how many pieces it has.
type SwarmAsk struct {
	Have uint `cbor:"have"`
}

// SwarmAnswer tells who else pulls it. All but Others is missing while nobody does.
type SwarmAnswer struct {
	Others   uint     `cbor:"others"`
	Turn     uint     `cbor:"turn,omitempty"` // the asker's place among Of, by arrival, from 0
	Of       uint     `cbor:"of,omitempty"`
	Manifest *Signed  `cbor:"manifest,omitempty"`
	Ticket   *Signed  `cbor:"ticket,omitempty"`
	Peers    [][]byte `cbor:"peers,omitempty"` // device IDs, at most MaxSwarm
}

// Swarm is a checked SwarmAnswer.
type Swarm struct {
	Others           int
	Turn, Of         int
	Manifest, Ticket Signed // as they came, for passing on
	Stated           Manifest
	Peers            []discovery.DeviceID
}

// Check verifies what origin answered to holder about the file at path of a share.
func (a SwarmAnswer) Check(origin, holder discovery.DeviceID, id share.ID, path share.Path, size int64, now time.Time) (Swarm, error) {
	if a.Others == 0 {
		return Swarm{}, nil
	}
	if a.Others > MaxSwarm || a.Of > MaxSwarm+1 || a.Turn >= a.Of || a.Manifest == nil || a.Ticket == nil {
		return Swarm{}, transfer.ErrProtocol
	}
	m, err := OpenManifest(*a.Manifest)
	if err != nil {
		return Swarm{}, err
	}
	t, err := OpenTicket(*a.Ticket)
	if err != nil {
		return Swarm{}, err
	}
	if m.Origin != origin || m.Share != id || m.Path != path || m.Size != size || !t.Allows(holder, origin, m.Root, now) {
		return Swarm{}, transfer.ErrProtocol
	}
	peers, err := devices(a.Peers)
	if err != nil {
		return Swarm{}, err
	}
	return Swarm{Others: int(a.Others), Turn: int(a.Turn), Of: int(a.Of), Manifest: *a.Manifest, Ticket: *a.Ticket, Stated: m, Peers: peers}, nil
}

// HaveAnswer says which pieces a device has, piece i in bit i&7 of byte i>>3, and who else it knows to have some.
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
