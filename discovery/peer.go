package discovery

import (
	"errors"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// State says what is known of a peer right now.
//
//	candidate ──TLS + hello──► online ──12 s silent, stream closed──► suspect ──18 s, or 2 failed dials──► offline
//	                             ▲──────────── heard again ────────────┘                                     │
//	                             └───────────────────────────── dialled again ───────────────────────────────┘
type State string

// The states of a peer.
const (
	Candidate State = "candidate" // announced, never proven: nothing it says is trusted
	Online    State = "online"    // proven by its key, and its event stream is alive
	Suspect   State = "suspect"   // was online, has gone quiet
	Offline   State = "offline"   // known, and not there
)

// DefaultWorkgroup is the open workgroup of a computer nobody has set up.
const DefaultWorkgroup = "WORKGROUP"

// DefaultPort is the TCP port a device listens on when it is free; a taken one falls back to any, announced in SRV.
const DefaultPort = 47470

// MaxName is the greatest length of a device or workgroup name, in bytes of UTF-8.
const MaxName = 64

// Peer is what this device knows of another one. A value; readers may keep it.
type Peer struct {
	ID        DeviceID
	Name      string // what it calls itself, as last proven inside TLS (for a candidate: as announced)
	FirstName string // the name at first contact, pinned (open workgroups trust on first use)
	Workgroup string // the open workgroup it names
	State     State
	Addresses []netip.AddrPort // best first; link-local ones carry a zone and are never stored or gossiped
	Install   string           // random value of the installation; two live ones with one ID are copies
	Caps      []string         // capabilities from its hello
	FirstSeen time.Time
	LastSeen  time.Time
	Manual    bool // added by hand: `host` or `host:port`
	Version   string
	DialBack  bool       // it can dial us (its hello answer said so)
	Newer     bool       // it speaks a newer protocol, too, or, if it is not online, nothing else
	Blocked   bool       // this computer has nothing to do with it, by its owner's decision; known where peers are listed for people
	Groups    [][32]byte // the private workgroups that this device and it are both active members of
	Verified  bool       // people compared pictures or gave a code once, so its key is known to be its own
	Inviting  bool       // it announces an open invitation to a private workgroup: a hint, as long as nobody proved it
}

// Source says how a sighting came about.
type Source uint8

// The sources of sightings, best first.
const (
	FromInbound Source = iota + 1 // it connected to us
	FromMDNS
	FromManual
	FromMemory // an address that was good before
	FromGossip
)

// Sighting is a hint that a device may be reachable. It comes from unauthenticated packets (but for FromInbound),
// so it may make this device dial, and show a candidate, and nothing else: never change stored trust.
type Sighting struct {
	ID        DeviceID // wanted identity when the source knows it whole (memory, gossip, inbound); zero otherwise
	IDPrefix  string   // first 14 letters of the shown ID (mDNS d=); empty if it does not say
	Tags      string   // of its private workgroups (mDNS t=): only members tell them from random ones
	Slot      string   // two digits of the code that it shows (mDNS j=); empty if it announces no invitation
	Instance  string   // mDNS instance label: 16 letters
	Name      string
	Workgroup string
	Addresses []netip.AddrPort // best first
	Source    Source
	From      netip.Addr // who sent the packet; zero if that is not known
	Interface string     // name of the interface that received it
	Gone      bool       // a goodbye (TTL 0)
	Newer     bool       // it announces a newer protocol, and none that this device speaks
	At        time.Time
	Stranger  bool // this device does not look for whoever it is: it may be shown, and is dialled only if it is known
}

// ErrName says that a name of a device, workgroup or share cannot be used.
var ErrName = errors.New("name must have 1 to 64 bytes and no control characters")

// CheckName reports whether s may name a device, workgroup or share: 1 to 64 bytes of UTF-8, not blank,
// no control, no bidirectional override.
func CheckName(s string) error {
	if s == "" || len(s) > MaxName || !utf8.ValidString(s) || strings.TrimSpace(s) != s {
		return ErrName
	}
	for _, r := range s {
		if unicode.IsControl(r) || IsBidi(r) {
			return ErrName
		}
	}
	return nil
}

// IsBidi reports whether r can reorder or hide the text around it.
func IsBidi(r rune) bool {
	return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 || r == 0xFEFF || r == 0x200E || r == 0x200F || r == 0x2028 || r == 0x2029
}

// SameWorkgroup compares the names of open workgroups as people do: without regard to case.
func SameWorkgroup(a, b string) bool { return strings.EqualFold(a, b) }
