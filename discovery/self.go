package discovery

import "net/netip"

// Network says how far this device trusts the network it is on.
type Network string

// The kinds of networks. On a public one nothing is announced and nothing listens.
const (
	Home   Network = "home"
	Office Network = "office"
	Public Network = "public"
)

// Valid reports whether n is one of the kinds.
func (n Network) Valid() bool { return n == Home || n == Office || n == Public }

// Self is this device as its owner sees it. A value; readers may keep it.
type Self struct {
	ID        DeviceID
	Name      string
	Workgroup string // the open workgroup
	Network   Network
	Port      int              // TCP; 0 while nothing listens
	Addresses []netip.AddrPort // where neighbours reach it, best first
	Version   string           // of the program
	Home      string           // folder of settings, key and database
	Downloads string           // where pulls go unless told otherwise
	Health    []Health
	FirstRun  bool // nobody has gone through the first steps yet
}

// Health names a service of the engine that does not work here, and why. The rest of the engine goes on.
type Health struct {
	Service string // "mdns", "listen", "watch", …
	Trouble string // short, for logs and reports
}
