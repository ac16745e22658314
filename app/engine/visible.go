package engine

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"porchlight/app/config"
	"porchlight/discovery"
	"porchlight/discovery/keyring"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// Who sees whom.
//
// A device in the open workgroup is seen by everybody nearby. One that is in none is seen by its friends: those with whom it
// shares a private workgroup, and those whose key people verified. To all others, strangers, it is an address where something
// speaks this protocol: it announces a label and tags that say nothing to them, its hello names nobody, and behind that are the
// ways to become a member and nothing else. It does not dial them, list them, or tell others of them.
//
// Between the two is a guest, who proved a key of a private workgroup and is not in the ledger here, yet: connected for as long as it
// takes to compare ledgers, and not told a name. The ways behind the hello are there for it, and what they show is decided by
// membership: nothing.

const (
	guestTime  = 30 * time.Second // for which a guest is looked after
	guestAgain = 10 * time.Minute // before it is one again: time enough was there
)

// errStranger says that nothing came of meeting a device.
var errStranger = fmt.Errorf("%w: the two computers are in no workgroup together", transfer.ErrAway)

// circle is what the private workgroups of this device say of others.
type circle interface {
	Announce(label string) (string, error)
	Recognise(label, tags string) ([]workgroup.ID, error)
	Check(exporter [32]byte, proofs []keyring.Proof) ([]workgroup.ID, error)
	Common(discovery.DeviceID) []workgroup.ID
	Synced(discovery.DeviceID) []workgroup.ID
	Called(discovery.DeviceID) string
}

// visibility is whom this device knows. It is filled in before Run; what is nil knows nobody.
type visibility struct {
	circle circle
	guest  func(discovery.DeviceID) bool // it connected and proved a key, and was not removed
	slot   func() (slot int, open bool)  // of the invitation that is open here
}

// isOpen reports whether this device is in the open workgroup.
func (e *Engine) isOpen() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.settings.Private
}

// common returns the private workgroups that a device and this one are members of.
func (e *Engine) common(id discovery.DeviceID) []workgroup.ID {
	if e.sight.circle == nil || id.IsZero() {
		return nil
	}
	return e.sight.circle.Common(id)
}

func (e *Engine) isFriend(id discovery.DeviceID) bool {
	return len(e.common(id)) > 0 || e.verified.has(id)
}

// memberName is what a device is called in a workgroup that both are in; empty if there is none.
func (e *Engine) memberName(id discovery.DeviceID) string {
	if e.sight.circle == nil {
		return ""
	}
	return e.sight.circle.Called(id)
}

// isStranger reports whether this device does not show itself to another one.
func (e *Engine) isStranger(id discovery.DeviceID) bool {
	return !e.isOpen() && id != e.selfID() && !e.isFriend(id)
}

// isShutOut reports whether the other side of a connection finds nothing behind its hello (server.Config.Stranger).
func (e *Engine) isShutOut(s *link.Session) bool {
	return e.isStranger(s.ID) && (e.sight.guest == nil || !e.sight.guest(s.ID))
}

// isUnseen reports whether another device is none to look after: one that this device hides from, or that hides from this one.
func (e *Engine) isUnseen(id discovery.DeviceID) bool {
	if e.isFriend(id) {
		return false
	}
	p, err := e.roster.Get(id)
	return !e.isOpen() || err == nil && p.Workgroup == ""
}

// isGuest reports whether a device that called, or answered, proves a key of one of the private workgroups of this one.
func (e *Engine) isGuest(s *link.Session, answer wire.Hello) bool {
	if s.ProvedAny() { // it called, and the server looked
		return e.sight.guest != nil && e.sight.guest(s.ID)
	}
	if e.sight.circle == nil || len(s.Exporter) != 32 || len(answer.Proofs) > keyring.MaxProofs {
		return false
	}
	var proofs []keyring.Proof
	for _, p := range answer.Proofs {
		if len(p) == len(keyring.Proof{}) {
			proofs = append(proofs, keyring.Proof(p))
		}
	}
	ids, err := e.sight.circle.Check([32]byte(s.Exporter), proofs)
	return err == nil && len(ids) > 0
}

// isWelcome reports whether a device that said hello may be a neighbour for as long as it likes.
func (e *Engine) isWelcome(s *link.Session, h wire.Hello) bool {
	return e.isOpen() && h.Workgroup != "" || e.isFriend(s.ID)
}

// looksFor reports whether this device wants to meet the device that a hint is of, if it is not known.
func (e *Engine) looksFor(s discovery.Sighting) bool {
	switch open := e.isOpen(); {
	case !s.ID.IsZero():
		return open || e.isFriend(s.ID)
	case open && (s.Name != "" || s.IDPrefix != ""):
		return true
	case e.sight.circle == nil || s.Tags == "":
		return false
	}
	ids, err := e.sight.circle.Recognise(s.Instance, s.Tags)
	return err == nil && len(ids) > 0
}

// introduce returns what this device says of itself to the other side of a connection, without proofs. The port is for guests,
// who are dialled, too.
func (e *Engine) introduce(to discovery.DeviceID, port int) wire.Hello {
	h := wire.Hello{V: wire.Version, Port: uint16(port), Caps: []string{wire.CapSwarm}}
	if e.isStranger(to) {
		return h
	}
	named := len(e.common(to)) == 0 // members have a name from the ledger
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.settings
	h.Install, h.App, h.Now = e.install, e.cfg.Version, time.Now().UnixNano()
	if !s.Private {
		h.Name, h.Workgroup = s.Name, s.Workgroup
	} else if named {
		h.Name = s.Name
	}
	return h
}

// seen completes a list of devices with what is known of them, and leaves out those that are not for people: strangers, and those
// without a name.
func (e *Engine) seen(peers []discovery.Peer) []discovery.Peer {
	open := e.isOpen()
	return slices.DeleteFunc(peers, func(p discovery.Peer) bool { return p.Name == "" || !open && (p.ID.IsZero() || !e.isFriend(p.ID)) })
}

// acquaint notes in a list of devices what they are to this one.
func (e *Engine) acquaint(peers []discovery.Peer) []discovery.Peer {
	for i := range peers {
		p := &peers[i]
		if p.ID.IsZero() {
			continue
		}
		p.Verified = e.verified.has(p.ID)
		for _, id := range e.common(p.ID) {
			p.Groups = append(p.Groups, id)
		}
		if p.Workgroup == "" && len(p.Groups) > 0 {
			p.Name = cmp.Or(e.memberName(p.ID), p.Name)
			p.FirstName = p.Name // an admin gave it
		}
	}
	return peers
}

// together reports whether a device may be told that another one is there: both are in the open workgroup, which then has the same
// name, or in step with this one in a private workgroup that both are members of.
func (e *Engine) together(dev, other discovery.Peer) bool {
	if e.isOpen() && dev.Workgroup != "" && discovery.SameWorkgroup(dev.Workgroup, other.Workgroup) && discovery.SameWorkgroup(dev.Workgroup, e.group()) {
		return true
	}
	if e.sight.circle == nil {
		return false
	}
	theirs := e.common(other.ID)
	return slices.ContainsFunc(e.sight.circle.Synced(dev.ID), func(id workgroup.ID) bool { return slices.Contains(theirs, id) })
}

// SetOpen takes this device into the open workgroup, or out of it: then its name is off the network at once, and strangers are let
// go of.
func (e *Engine) SetOpen(ctx context.Context, open bool) error {
	if err := e.changeQuietly(ctx, func(s *config.Settings) { s.Private = !open }); err != nil {
		return err
	}
	e.mu.Lock()
	n := e.net
	e.mu.Unlock()
	if n == nil {
		return nil
	}
	n.relabel()
	if open {
		for _, id := range n.mesh.likely() {
			n.mesh.start(id)
		}
		n.mdns.Refresh()
	} else {
		for _, x := range n.mesh.all() {
			if e.isStranger(x.id) {
				n.server.TellOne(x.id, wire.Event{Kind: wire.EventBye})
			}
		}
		e.cut(e.isStranger)
		n.mesh.dismiss(0)
	}
	n.tellSelf()
	e.changes.bump()
	return nil
}

// announceChanged is told that other tags, or another slot, are to be announced, or that somebody is a member now or no more.
func (e *Engine) announceChanged() {
	e.mu.Lock()
	n := e.net
	e.mu.Unlock()
	if n == nil {
		return
	}
	n.relabel()
	n.mesh.dismiss(guestTime)
}

// inviters returns where those may be who announce an invitation of this slot: an address of each, then others of them. Whoever
// needs it asks the network first.
func (e *Engine) inviters(slot int) (out []netip.AddrPort) {
	all := e.roster.Inviters(slotText(slot), pairing.MaxInviters)
	for i := 0; ; i++ {
		more := false
		for _, t := range all {
			if i < len(t.Addresses) {
				out, more = append(out, t.Addresses[i]), true
			}
		}
		if !more {
			return out
		}
	}
}

// slotTaken reports whether somebody announces an invitation of this slot.
func (e *Engine) slotTaken(slot int) bool { return slices.Contains(e.roster.Slots(), slotText(slot)) }

// invitationSlot is what is announced of the invitation that is open here; empty if none is.
func (e *Engine) invitationSlot() string {
	if e.sight.slot == nil {
		return ""
	}
	if slot, open := e.sight.slot(); open {
		return slotText(slot)
	}
	return ""
}

func slotText(slot int) string { return fmt.Sprintf("%02d", slot) }
