package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/workgroup"
	"porchlight/share"
	"porchlight/share/access"
	"porchlight/share/catalogue"
	"porchlight/share/safefs"
	"porchlight/transfer"
	"porchlight/transfer/server"
	"porchlight/transfer/wire"
)

// rights decides what a device may see, each time anew (server.Shares, server.Circle). Everything a neighbour asks for passes here.
type rights struct{ e *Engine }

var (
	_ server.Shares = rights{}
	_ server.Circle = rights{}
)

// memberships is who belongs to the private workgroups of this device, now. *membership.Membership is one.
type memberships interface {
	// Members names the workgroups in which a device and this one are active, and in step.
	Members(discovery.DeviceID) []access.Member
	// Common names those in which both are active, the other being there or not; of this device itself, those in which it is.
	Common(discovery.DeviceID) []workgroup.ID
}

// subject is a device as it is at this moment.
func (e *Engine) subject(dev discovery.DeviceID) access.Subject {
	return access.Subject{Device: dev, Blocked: e.sight.Blocked(dev), Members: e.members.Members(dev), Verified: e.sight.Verified(dev), Nearby: e.nearby()}
}

// nearby reports whether this device is in the open workgroup. It is on networks only that its owner is open to: whoever has connected
// is nearby then.
func (e *Engine) nearby() bool { return e.sight.Open() }

// Offers returns the shares that are there for a device.
func (r rights) Offers(dev discovery.DeviceID) []share.Offer {
	who := r.e.subject(dev)
	return r.e.catalogue.Offers(func(s share.Share) bool { return mayLook(who, s, time.Now()) })
}

// Tree returns the folder of a share. One that a device may not see is not there, in the same words.
func (r rights) Tree(dev discovery.DeviceID, id share.ID) (*safefs.Tree, error) {
	if _, err := r.look(dev, id); err != nil {
		return nil, err
	}
	t, err := r.e.catalogue.Tree(id)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", transfer.ErrGone, err)
	}
	return t, nil
}

// look returns the grant by which a device may look at a share. It does the same for a share that is not there: nobody learns by the
// time an answer takes which it is.
func (r rights) look(dev discovery.DeviceID, id share.ID) (share.Grant, error) {
	who := r.e.subject(dev)
	s, err := r.e.catalogue.Get(id)
	if err != nil {
		s = share.Share{ID: id, Kind: share.Folder, Audience: []share.Grant{{Who: share.ToNobody}}}
	}
	g, ok := mayLookBy(who, s, time.Now())
	if err != nil || !ok {
		return share.Grant{}, fmt.Errorf("%w: %w", transfer.ErrGone, catalogue.ErrUnknown)
	}
	return g, nil
}

// sees reports whether a device may look at a share now.
func (r rights) sees(dev discovery.DeviceID, s share.Share) bool {
	return mayLook(r.e.subject(dev), s, time.Now())
}

// mayLook reports whether somebody may look at a share, all of it and unasked.
func mayLook(who access.Subject, s share.Share, now time.Time) bool {
	_, ok := mayLookBy(who, s, now)
	return ok
}

// mayLookBy is mayLook with the grant that says so.
func mayLookBy(who access.Subject, s share.Share, now time.Time) (share.Grant, bool) {
	d := access.Policy{Kind: s.Kind, Audience: s.Audience}.Allows(who, access.Look, access.Answer{}, now)
	if s.Lost || !d.Allowed || d.Own {
		return share.Grant{}, false
	}
	if len(s.Audience) == 0 {
		return access.Open()[d.Row], true
	}
	return s.Audience[d.Row], true
}

// Ground is what the right of a device to look at a share rests on; false if it has none.
func (r rights) Ground(dev discovery.DeviceID, id share.ID) (server.Ground, bool) {
	g, err := r.look(dev, id)
	if err != nil {
		return server.Ground{}, false
	}
	by := server.Ground{Group: g.Workgroup}
	if g.Who == share.ToEveryone {
		by.Policy = wire.PolicyMembers
	}
	return by, true
}

// Member reports whether a device and this one are active members of a private workgroup, and in step.
func (r rights) Member(group [32]byte, dev discovery.DeviceID) bool {
	return slices.ContainsFunc(r.e.members.Members(dev), func(m access.Member) bool { return m.Workgroup == group })
}

// Belongs reports whether both are active members, the other being there or not.
func (r rights) Belongs(group [32]byte, dev discovery.DeviceID) bool {
	return slices.Contains(r.e.members.Common(dev), workgroup.ID(group))
}

// Met is when this device was in touch with another last.
func (r rights) Met(dev discovery.DeviceID) time.Time {
	p, err := r.e.roster.Get(dev)
	switch {
	case err != nil:
		return time.Time{}
	case p.State == discovery.Online || p.State == discovery.Suspect:
		return time.Now()
	}
	return p.LastSeen
}

// newAudience is for whom a new share is that nobody said it for.
func (e *Engine) newAudience(kind share.Kind) []share.Grant {
	return access.DefaultIn(kind, e.nearby(), e.mine())
}

// mine names the private workgroups this device is active in.
func (e *Engine) mine() (out [][32]byte) {
	for _, id := range e.members.Common(e.selfID()) {
		out = append(out, id)
	}
	return out
}

// left notes which shares have rows for a workgroup that this device is not in any more: they are about nobody. What is for the open
// workgroup is never for more than was said.
func (e *Engine) left(all []share.Share) []share.Share {
	mine := e.mine()
	for i, s := range all {
		all[i].Left = slices.ContainsFunc(s.Audience, func(g share.Grant) bool {
			return g.Workgroup != [32]byte{} && !slices.Contains(mine, g.Workgroup)
		})
	}
	return all
}

// AllowShare says anew for whom a share is: to is its whole list, and not empty. Who may not look any more is cut off at once. It
// returns catalogue.ErrUnknown for a share that is not there, and share.ErrGrant for a list that cannot be kept.
func (e *Engine) AllowShare(_ context.Context, id share.ID, to []share.Grant) error {
	was, err := e.catalogue.Get(id)
	if err != nil {
		return err
	}
	if err := e.catalogue.Allow(id, to); err != nil {
		return err
	}
	now, err := e.catalogue.Get(id)
	if err != nil {
		return nil //nolint:nilerr // removed meanwhile
	}
	r := rights{e}
	e.cut(func(dev discovery.DeviceID) bool { return r.sees(dev, was) && !r.sees(dev, now) })
	return nil
}

// cut ends everything that devices are doing here, and their looks at folders that are not theirs to see any more.
func (e *Engine) cut(which func(discovery.DeviceID) bool) {
	n := e.network()
	if n == nil {
		return
	}
	n.listener.Cut(which)
	n.server.Recheck()
}
