// Package doctor finds out why a neighbour is not seen, and says it in words.
//
// It is pure: whoever knows the facts gathers them, Examine says what follows from them. A finding is a code and what
// belongs into its sentence; the sentences stand in the catalogue of words, under "doctor." and the code, and what to do
// about it under the same key with ".do" behind it.
package doctor

import (
	"net/netip"
	"time"

	"porchlight/discovery"
)

// Level says how bad a finding is.
type Level string

// The levels.
const (
	Good    Level = "good"
	Hint    Level = "hint"    // worth knowing; nobody need be missing because of it
	Trouble Level = "trouble" // somebody may be missing because of it
)

// Code names a finding.
type Code string

// The findings, by the check that makes them.
const (
	NetworkGood   Code = "network-good"
	NetworkPublic Code = "network-public"
	NetworkFirst  Code = "network-first" // nobody has said yet whose network this is
	PartPublic    Code = "part-public"   // one of several networks is public, or nobody has said
	SystemPublic  Code = "system-public" // the system's own firewall thinks so

	AddressGood    Code = "address-good"
	AddressNone    Code = "address-none"
	AddressVirtual Code = "address-virtual" // only tunnels and virtual adapters have one
	VPNTakes       Code = "vpn-takes"       // the way to this computer's own network leads into a tunnel
	VPNWay         Code = "vpn-way"         // the way to everywhere else does

	PortGood  Code = "port-good"
	PortTaken Code = "port-taken"

	ReachGood     Code = "reach-good"
	ReachUnknown  Code = "reach-unknown"  // nobody is there to say
	ReachFirewall Code = "reach-firewall" // likewise, and a firewall is on
	BlockedHere   Code = "blocked-here"

	BlockedThere   Code = "blocked-there"
	BlockedBetween Code = "blocked-between"
	BlockedBoth    Code = "blocked-both"
	NotRunning     Code = "not-running"
	Away           Code = "away"
	AwayBlocked    Code = "away-blocked"
	NeighboursGood Code = "neighbours-good"
	Nobody         Code = "nobody"

	MulticastGood Code = "multicast-good"
	MulticastLost Code = "multicast-lost"
	MulticastDeaf Code = "multicast-deaf" // this computer hears nobody
	MulticastMute Code = "multicast-mute" // nobody hears this computer

	TwinSelf  Code = "twin-self"
	TwinOther Code = "twin-other"
	ClockGood Code = "clock-good"
	ClockHere Code = "clock-here"
	ClockOff  Code = "clock-off" // of two, nobody can say whose
	Newer     Code = "newer"     // somebody runs a newer Porchlight that this one cannot talk to
	NewerToo  Code = "newer-too" // somebody runs a newer one that can talk to this one
	Service   Code = "service"

	MacPrivacy Code = "mac-privacy" // macOS keeps the program from the local network
)

// Finding is the result of one check. A value.
type Finding struct {
	Code   Code
	Level  Level
	Params map[string]string `json:",omitempty"` // what belongs into the sentence, by name. Text of neighbours among it is not safe to print as it is.
	Fix    []string          `json:",omitempty"` // command lines for somebody who may change this computer; never run by the program
	Brief  bool              `json:",omitempty"` // what they do is gone when the computer is started again
}

// Bad reports whether there is trouble among the findings.
func Bad(all []Finding) bool {
	for _, f := range all {
		if f.Level == Trouble {
			return true
		}
	}
	return false
}

// Reach says how dialling ended.
type Reach string

// The ways dialling ends.
const (
	Unknown      Reach = ""            // nobody tried
	Works        Reach = "works"       // it answered, and proved who it is
	Refused      Reach = "refused"     // the computer is there, and nobody listens
	TimedOut     Reach = "timeout"     // nothing came back: what is sent is dropped somewhere
	Rejected     Reach = "rejected"    // a firewall said no
	Unreachable  Reach = "unreachable" // nobody has that address, as far as this network knows
	OtherVersion Reach = "version"     // it speaks another version of the protocol
	Failed       Reach = "failed"      // something else
)

// fails reports whether dialling was tried and did not work because packets are kept away.
func (r Reach) fails() bool {
	return r == TimedOut || r == Rejected || r == Unreachable || r == Failed
}

// shut is fails for a port where somebody listens: a firewall may also say that nobody does.
func (r Reach) shut() bool { return r.fails() || r == Refused }

// Answer is yes, no, or not known.
type Answer int8

// The answers.
const (
	NotKnown Answer = iota
	Yes
	No
)

// Interface is one network interface that is up and has addresses; the loopback interface is none.
type Interface struct {
	Name     string
	Networks []netip.Prefix // address and length of its network
	Used     bool           // for neighbours; what is not is a tunnel or belongs to a virtual machine
	Silent   bool           // its network is public, or nobody has said whose it is
	Default  bool           // the way to everywhere else
	TakenBy  string         // the interface that the way to its own network leads into, if that is another one
	Zone     string         // that firewalld has it in; empty if that is not known
}

// Neighbour is what is known of one other computer.
type Neighbour struct {
	ID       discovery.DeviceID // zero for one that was never reached
	Name     string             // its address if it has none
	Address  string
	Online   bool
	Near     bool           // it has an address of a network this computer is on
	Heard    Answer         // its announcements come in here
	HearsUs  Answer         // the ones of this computer come in there, as it says
	Out      Reach          // this computer dials it
	In       Reach          // it dials this computer, as it says
	ByOthers bool           // another neighbour reaches it by dialling
	Clock    *time.Duration // its clock minus the one of this computer
	Twin     bool           // two computers with this identity are about
}

// Facts is all that Examine works on.
type Facts struct {
	Network      discovery.Network
	Waits        bool // this device waits until its owner has said whose network it is
	Loopback     bool // a laboratory on one machine: there is no network to examine
	Port         int  // 0: nothing listens
	WantedPort   int
	Interfaces   []Interface
	SystemPublic []string // interfaces that the system calls public, where it has such a notion
	Firewall     Firewall // the one that is on; empty if none was found
	Chains       []string // of NFTables, those that keep out what comes in: "inet filter input"; empty if not known
	Program      string   // path of the program
	Home         string
	Neighbours   []Neighbour
	Twin         bool     // another computer uses the identity of this one
	Newer        []string // those who speak a newer protocol only
	NewerToo     []string // those who speak a newer protocol as well
	Health       []discovery.Health
	System       string // as in runtime.GOOS
}
