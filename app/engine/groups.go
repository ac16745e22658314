package engine

import (
	"context"
	"fmt"
	"net/netip"

	"porchlight/app/membership"
	"porchlight/app/sight"
	"porchlight/discovery"
	"porchlight/discovery/pairing"
)

// announcer is what is announced of the private workgroups of this device. *membership.Membership is one.
type announcer interface {
	// Announce returns the tags for a label; empty if this device is in no workgroup.
	Announce(label string) (string, error)
	// Slot is of the invitation that is open here.
	Slot() (slot int, open bool)
}

// openGroups takes the private workgroups into use. What cannot be read of them is told in Self.Health.
func (e *Engine) openGroups() error {
	m := membership.New(membership.Config{Self: e.ident, Store: e.db.Workgroups(), Network: meetings{e}, Name: e.ownName, Addresses: e.ownAddresses,
		OnChange: e.changes.bump, Announce: e.announceChanged, Refresh: e.askNetwork, Verified: e.proven, Doubted: e.doubted, Called: e.nameOf,
		Blocked: func(id discovery.DeviceID) bool { return e.sight.Blocked(id) }, Log: e.log})
	e.private, e.Surface = m, m.Surface()
	e.members, e.announced = m, m
	if err := e.look(m); err != nil {
		return err
	}
	e.groupsHealth(m.Load())
	return nil
}

// look has this device see others by what its private workgroups say.
func (e *Engine) look(c sight.Circle) (err error) {
	e.sight, err = sight.New(sight.Config{Self: owner{e}, Circle: c, Roster: e.roster, Blocks: e.db.Blocks(), Verified: e.db.Verified()})
	return err
}

func (e *Engine) groupsHealth(err error) {
	if err != nil {
		e.log.Error("private workgroups are missing", "err", err)
		e.setHealth("store-workgroups", err.Error())
	}
}

func (e *Engine) ownName() string {
	return e.current().Name
}

func (e *Engine) ownAddresses() []netip.AddrPort {
	n := e.network()
	if n == nil {
		return nil
	}
	return n.addresses()
}

func (e *Engine) askNetwork() {
	if n := e.network(); n != nil {
		n.mdns.Refresh()
	}
}

func (e *Engine) nameOf(id discovery.DeviceID) string {
	if p, err := e.roster.Get(id); err == nil && p.Name != "" {
		return p.Name
	}
	return e.sight.Called(id)
}

// meetings is the network as private workgroups need it (membership.Network).
type meetings struct{ e *Engine }

// Meet connects anew to a device, or to whoever has an address.
func (x meetings) Meet(ctx context.Context, id discovery.DeviceID, at netip.AddrPort) (membership.Meeting, membership.Session, error) {
	m, err := x.e.mesh()
	if err != nil {
		return nil, membership.Session{}, err
	}
	return m.Meet(ctx, id, at)
}

// Renew makes the connections to a device anew.
func (x meetings) Renew(id discovery.DeviceID) {
	if m, err := x.e.mesh(); err == nil {
		m.Renew(id)
	}
}

// Keep makes a neighbour of a device that was met at an address.
func (x meetings) Keep(id discovery.DeviceID, at netip.AddrPort) {
	if m, err := x.e.mesh(); err == nil {
		m.Keep(id, at)
	}
}

// Cut ends what devices are doing here.
func (x meetings) Cut(which func(discovery.DeviceID) bool) { x.e.cut(which) }

// Inviters returns where invitations with this slot are announced.
func (x meetings) Inviters(slot int) []netip.AddrPort { return x.e.inviters(slot) }

// maxNameless is how many of those who do not say who they are may be asked.
const maxNameless = 24

// Around returns who may be here: the neighbours, then those who are announced and not known, with a name and without.
func (x meetings) Around() (out []membership.Spot) {
	var later []membership.Spot
	for _, p := range x.e.roster.Snapshot() {
		switch {
		case p.State == discovery.Online && !p.ID.IsZero():
			out = append(out, membership.Spot{Device: p.ID})
		case p.State != discovery.Offline && len(p.Addresses) > 0:
			later = append(later, membership.Spot{Device: p.ID, At: p.Addresses[0]})
		}
	}
	for _, a := range x.e.roster.Nameless(maxNameless) {
		later = append(later, membership.Spot{At: a})
	}
	return append(out, later...)
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

// invitationSlot is what is announced of the invitation that is open here; empty if none is.
func (e *Engine) invitationSlot() string {
	if slot, open := e.announced.Slot(); open {
		return slotText(slot)
	}
	return ""
}

func slotText(slot int) string { return fmt.Sprintf("%02d", slot) }
