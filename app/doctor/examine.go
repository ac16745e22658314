package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"porchlight/discovery"
)

// ClockLimit is how far two clocks may differ before it is said: people and file times go by minutes.
const ClockLimit = 2 * time.Minute

// maxSaid bounds the findings about single neighbours: a page is to be read.
const maxSaid = 12

// Examine says what follows from the facts: what is worst first, otherwise in the order of the checks.
func Examine(f Facts) []Finding {
	e := &examination{facts: f}
	e.network()
	if f.Network != discovery.Public && !f.Waits {
		if !f.Loopback {
			e.addresses()
			e.privacy()
			e.port()
		}
		e.inbound()
		e.neighbours()
		if !f.Loopback {
			e.multicast()
		}
		e.clocks()
		e.newer()
	}
	e.twins()
	e.services()
	slices.SortStableFunc(e.found, func(a, b Finding) int { return rank(a.Level) - rank(b.Level) })
	return e.found
}

func rank(l Level) int { return slices.Index([]Level{Trouble, Hint, Good}, l) }

type examination struct {
	facts Facts
	found []Finding
}

// say notes a finding; params are pairs of name and value.
func (e *examination) say(l Level, c Code, params ...string) *Finding {
	f := Finding{Code: c, Level: l}
	for i := 0; i+1 < len(params); i += 2 {
		if f.Params == nil {
			f.Params = map[string]string{}
		}
		f.Params[params[i]] = params[i+1]
	}
	e.found = append(e.found, f)
	return &e.found[len(e.found)-1]
}

// powerQuoted doubles what PowerShell takes for the end of a text in single quotes, curled ones too
// (about_Quoting_Rules).
var powerQuoted = strings.NewReplacer("'", "''", "‘", "‘‘", "’", "’’", "‚", "‚‚", "‛", "‛‛")

func (e *examination) network() {
	f := e.facts
	switch {
	case f.Waits:
		e.say(Trouble, NetworkFirst)
	case f.Network == discovery.Public:
		e.say(Trouble, NetworkPublic)
	default:
		e.say(Good, NetworkGood)
	}
	for _, name := range f.SystemPublic {
		if !slices.ContainsFunc(f.Interfaces, func(i Interface) bool { return i.Used && i.Name == name }) {
			continue // a virtual adapter: Windows calls all of those public
		}
		level := Trouble
		if slices.ContainsFunc(f.Neighbours, func(n Neighbour) bool { return n.In == Works }) {
			level = Hint
		}
		e.say(level, SystemPublic, "Interface", name).Fix = []string{
			fmt.Sprintf(`powershell -Command "Set-NetConnectionProfile -InterfaceAlias '%s' -NetworkCategory Private"`, powerQuoted.Replace(name))}
	}
}

func (e *examination) addresses() {
	var used, other []string
	for _, i := range e.facts.Interfaces {
		if i.Silent {
			e.say(Hint, PartPublic, "Interface", i.Name)
			continue
		}
		if !i.Used {
			other = append(other, i.Name)
			continue
		}
		for _, p := range i.Networks {
			used = append(used, p.Addr().String())
		}
	}
	switch {
	case len(used) == 0 && len(other) == 0:
		e.say(Trouble, AddressNone)
		return
	case len(used) == 0:
		e.say(Trouble, AddressVirtual, "Interface", strings.Join(other, ", "))
		return
	}
	taken := false
	for _, i := range e.facts.Interfaces {
		switch {
		case i.Used && i.TakenBy != "":
			taken = true
			e.say(Trouble, VPNTakes, "Interface", i.TakenBy, "Network", i.Networks[0].Masked().String())
		case !i.Used && !i.Silent && i.Default && !taken && !e.somebody(): // whom it keeps nobody away from is nobody's trouble
			e.say(Hint, VPNWay, "Interface", i.Name)
		}
	}
	if !taken {
		e.say(Good, AddressGood, "Addresses", strings.Join(used[:min(len(used), 4)], ", "))
	}
}

// privacy tells whether macOS keeps this program from the local network: it may be called and may not call. Since macOS 15 people
// are asked once for each program (Apple, Technote TN3179), and what it sends ends at once as if there were no way.
func (e *examination) privacy() {
	f := e.facts
	if f.System != "darwin" || slices.ContainsFunc(f.Neighbours, func(n Neighbour) bool { return n.Near && n.Out == Works }) {
		return
	}
	if slices.ContainsFunc(f.Neighbours, func(n Neighbour) bool { return n.Near && n.Out == Rejected }) ||
		slices.ContainsFunc(f.Health, func(h discovery.Health) bool {
			return h.Service == "mdns" && strings.Contains(h.Trouble, "no route to host")
		}) {
		e.say(Trouble, MacPrivacy)
	}
}

// alone reports whether this computer was found to be on no network with neighbours: then it need not be said that there are none.
func (e *examination) alone() bool {
	return slices.ContainsFunc(e.found, func(f Finding) bool { return f.Code == AddressNone || f.Code == AddressVirtual })
}

// somebody reports whether any neighbour of the same network is there.
func (e *examination) somebody() bool {
	return slices.ContainsFunc(e.facts.Neighbours, func(n Neighbour) bool { return n.Online && n.Near })
}

func (e *examination) port() {
	f := e.facts
	switch {
	case f.Port == 0: // the health says why
	case f.Port != f.WantedPort:
		e.say(Hint, PortTaken, "Wanted", strconv.Itoa(f.WantedPort), "Port", strconv.Itoa(f.Port))
	default:
		e.say(Good, PortGood, "Port", strconv.Itoa(f.Port))
	}
}

// inbound asks the neighbours whether they reach this computer. If none does, it is this computer that keeps them away;
// if some do, it is what lies between it and the others.
func (e *examination) inbound() {
	f := e.facts
	if f.Port == 0 {
		return
	}
	var works, fails []string
	for _, n := range f.Neighbours {
		switch {
		case n.In == Works:
			works = append(works, n.Name)
		case n.In.shut():
			fails = append(fails, n.Name)
		}
	}
	fix := f.open()
	switch {
	case len(fails) > 0 && len(works) == 0:
		e.say(Trouble, BlockedHere, "Name", some(fails), "Firewall", string(f.Firewall), "Port", strconv.Itoa(f.Port)).opened(f, fix)
	case len(works) > 0:
		for _, name := range fails[:min(len(fails), maxSaid)] {
			e.say(Hint, BlockedBetween, "Name", name)
		}
		e.say(Good, ReachGood, "Name", some(works))
	case f.Firewall != NoFirewall:
		e.say(Hint, ReachFirewall, "Firewall", string(f.Firewall), "Port", strconv.Itoa(f.Port)).opened(f, fix)
	default:
		e.say(Good, ReachUnknown)
	}
}

// neighbours says why each is missing that is.
func (e *examination) neighbours() {
	f := e.facts
	online, said := 0, 0
	reached := slices.ContainsFunc(f.Neighbours, func(n Neighbour) bool { return n.In == Works })
	for _, n := range f.Neighbours {
		if n.Online {
			online++
		}
		if n.Online && (!n.Out.shut() || n.In.shut()) || said == maxSaid {
			continue
		}
		if code, level := missing(n, reached); code != "" {
			said++
			x := e.say(level, code, "Name", n.Name, "Address", n.Address)
			if code == BlockedBoth {
				x.opened(f, f.open())
			}
		}
	}
	switch {
	case online > 0:
		e.say(Good, NeighboursGood, "Count", strconv.Itoa(online))
	case said == 0 && len(f.Newer) == 0 && !e.alone():
		e.say(Hint, Nobody)
	}
}

// missing tells apart why one neighbour cannot be dialled. reached: somebody else can dial this computer.
//
//	                        others dial it          nobody else can say
//	it dials us             between us and it       firewall there
//	neither dials           between us and it       firewalls at both ends, unless others dial us
//	and it has no address on the wire, though it is heard: something keeps computers apart
func missing(n Neighbour, reached bool) (Code, Level) {
	alive := n.Heard == Yes || n.ByOthers
	switch {
	case n.Online && n.ByOthers:
		return BlockedBetween, Hint
	case n.Online:
		return BlockedThere, Hint
	case n.Out == Works || n.Out == Unknown || n.Out == OtherVersion:
		return "", Good
	case n.Out == Refused && n.Heard != Yes && n.ByOthers:
		return BlockedBetween, Trouble
	case n.Out == Refused && (n.Heard != Yes || !n.ID.IsZero()):
		return NotRunning, Hint
	case n.ByOthers, alive && n.Out == Unreachable:
		return BlockedBetween, Trouble
	case alive && reached:
		return BlockedThere, Trouble
	case alive:
		return BlockedBoth, Trouble
	case n.ID.IsZero():
		return "", Good
	case n.Out == TimedOut && n.Near, n.Out == Rejected:
		return AwayBlocked, Hint
	}
	return Away, Hint
}

// multicast compares who is heard with who is there. What lies beyond a router is not heard, rightly.
func (e *examination) multicast() {
	var lost, deaf, mute, well []string
	for _, n := range e.facts.Neighbours {
		switch {
		case !n.Online || !n.Near:
		case n.Heard == No && n.HearsUs == No:
			lost = append(lost, n.Name)
		case n.Heard == No && n.HearsUs == Yes:
			deaf = append(deaf, n.Name)
		case n.Heard == Yes && n.HearsUs == No:
			mute = append(mute, n.Name)
		case n.Heard == Yes:
			well = append(well, n.Name)
		}
	}
	f := e.facts
	fix := f.open()
	if slices.ContainsFunc(e.found, func(x Finding) bool { return len(x.Fix) > 0 && slices.Equal(x.Fix, fix) }) {
		fix = nil // they were shown
	}
	if len(lost) > 0 {
		x := e.say(Trouble, MulticastLost, "Name", some(lost))
		if len(well) == 0 {
			x.opened(f, fix)
		}
	}
	if len(deaf) > 0 {
		e.say(Trouble, MulticastDeaf, "Name", some(deaf)).opened(f, fix)
	}
	if len(mute) > 0 {
		e.say(Trouble, MulticastMute, "Name", some(mute))
	}
	if len(well) > 0 {
		e.say(Good, MulticastGood, "Name", some(well))
	}
}

func (e *examination) twins() {
	if e.facts.Twin {
		f := e.facts
		quote := quoted
		if f.System == "windows" {
			quote = func(s string) string { return `"` + s + `"` }
		}
		e.say(Trouble, TwinSelf).Fix = []string{quote(f.Program) + " --home " + quote(f.Home) + " identity new --yes"}
	}
	for _, n := range e.facts.Neighbours {
		if n.Twin {
			e.say(Trouble, TwinOther, "Name", n.Name)
		}
	}
}

// clocks compares clocks. If most of several neighbours differ by the same, the clock here is the one that is off.
func (e *examination) clocks() {
	var all []time.Duration
	var off []Neighbour
	for _, n := range e.facts.Neighbours {
		if n.Clock == nil {
			continue
		}
		all = append(all, *n.Clock)
		if n.Clock.Abs() > ClockLimit {
			off = append(off, n)
		}
	}
	if len(off) == 0 {
		if len(all) > 0 {
			e.say(Good, ClockGood)
		}
		return
	}
	slices.Sort(all)
	middle := all[len(all)/2]
	alike := 0
	for _, d := range all {
		if (d - middle).Abs() <= ClockLimit {
			alike++
		}
	}
	if len(all) > 1 && middle.Abs() > ClockLimit && 2*alike > len(all) {
		e.say(Hint, ClockHere, "By", span(middle))
		return
	}
	for _, n := range off[:min(len(off), maxSaid)] {
		e.say(Hint, ClockOff, "Name", n.Name, "By", span(*n.Clock))
	}
}

func (e *examination) newer() {
	if len(e.facts.Newer) > 0 {
		e.say(Hint, Newer, "Name", some(e.facts.Newer))
	}
	if len(e.facts.NewerToo) > 0 {
		e.say(Hint, NewerToo, "Name", some(e.facts.NewerToo))
	}
}

// services says what else does not work, unless a finding has said it already.
func (e *examination) services() {
	for _, h := range e.facts.Health {
		if h.Service == "mdns" && e.alone() || h.Service == "twin" {
			continue
		}
		e.say(Trouble, Service, "Service", h.Service, "Why", h.Trouble)
	}
}

// some joins the first few of several names.
func some(names []string) string {
	const few = 4
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:few], ", ") + " …"
}

// span writes a difference of clocks with units that every language reads.
func span(d time.Duration) string {
	d = d.Abs()
	days, hours, minutes := int(d/(24*time.Hour)), int(d/time.Hour)%24, int(d/time.Minute)%60
	switch {
	case days > 0:
		return fmt.Sprintf("%d d %d h", days, hours)
	case hours > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	}
	return fmt.Sprintf("%d min", minutes)
}

// Near reports whether an address is of one of the networks of these interfaces that lead to neighbours.
func Near(ifs []Interface, a netip.Addr) bool {
	for _, i := range ifs {
		if i.Used && a.Zone() == i.Name {
			return true
		}
		if i.Used && slices.ContainsFunc(i.Networks, func(p netip.Prefix) bool { return p.Contains(a.WithZone("")) }) {
			return true
		}
	}
	return false
}
