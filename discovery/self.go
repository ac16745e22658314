package discovery

import (
	"net/netip"
	"time"
)

// Network says how far this device trusts the network it is on.
type Network string

// The kinds of networks. On a public one nothing is announced and nothing listens.
const (
	Unsaid Network = "" // its owner has not said yet; not Valid
	Home   Network = "home"
	Office Network = "office"
	Public Network = "public"
)

// Valid reports whether n is one of the kinds.
func (n Network) Valid() bool { return n == Home || n == Office || n == Public }

// Self is this device as its owner sees it. A value; readers may keep it.
type Self struct {
	ID         DeviceID
	Name       string
	Workgroup  string           // the open workgroup
	Open       bool             // this computer is in it; otherwise it is seen by members of its private workgroups only
	Network    Network          // of where this computer is now; Unsaid on a new network whose owner was not asked yet
	Ask        bool             // there is a new network, and on it this device is silent until SetNetwork
	Port       int              // TCP; 0 while nothing listens
	Addresses  []netip.AddrPort // where neighbours reach it, best first
	Version    string           // of the program
	Home       string           // folder of settings, key and database
	Downloads  string           // where pulls go unless told otherwise
	Health     []Health
	Interfaces []Interface // those that are up, the used ones first
	FirstRun   bool        // nobody has gone through the first steps yet
	Since      time.Time   // the engine is open
	Goroutines int         // of the process
	Heap       int64       // bytes of the process that were in use at its last collection of garbage
}

// Health names a service of the engine that does not work here, and why. The rest of the engine goes on.
type Health struct {
	Service string // "mdns", "listen", "watch", …
	Trouble string // short, for logs and reports
}

// Interface is one way of this computer to a network, with what was decided about it.
type Interface struct {
	Name      string
	Addresses []netip.Addr // best first; may be none
	Used      bool         // neighbours are looked for behind it, if its network is trusted
	Chosen    bool         // by the owner; otherwise by rule
	Network   Network      // of the network behind it; Unsaid while it is not used, or new
}
