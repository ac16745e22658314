package server

import (
	"net/http"
	"time"

	"porchlight/discovery"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// Ground is what the right of a device to look at a share rests on.
type Ground struct {
	Group  [32]byte    // the private workgroup whose member it is; zero if it is no matter of one
	Policy wire.Policy // wire.PolicyMembers if everyone of Group has the right
}

// Circle says who may be sent to others for content, and to whom content of others is given on. It is asked each time anew.
type Circle interface {
	// Ground is that of a device that may look at a share of this one; false if it may not.
	Ground(dev discovery.DeviceID, id share.ID) (Ground, bool)
	// Member reports whether a device and this one are active members of a private workgroup, and in step.
	Member(group [32]byte, dev discovery.DeviceID) bool
	// Belongs reports whether both are active members, as far as this one knows, the other being there or not.
	Belongs(group [32]byte, dev discovery.DeviceID) bool
	// Met is when this device was in touch with another last: now if it is; zero if it never was.
	Met(dev discovery.DeviceID) time.Time
}

// noCircle is that of a device without private workgroups, in touch with everybody.
type noCircle struct{}

func (noCircle) Ground(discovery.DeviceID, share.ID) (Ground, bool) { return Ground{}, true }
func (noCircle) Member([32]byte, discovery.DeviceID) bool           { return false }
func (noCircle) Belongs([32]byte, discovery.DeviceID) bool          { return false }
func (noCircle) Met(discovery.DeviceID) time.Time                   { return time.Now() }

// pass is what a device showed to be given content of another one, and was found to be right.
type pass struct {
	server *Server
	ticket wire.Ticket
	asker  discovery.DeviceID
}

// passOf reads the ticket of a request. Nothing is looked for before: a refusal takes as long whether the content is there or not.
func (s *Server) passOf(r *http.Request) (pass, error) {
	root, err := content.ParseHash(r.PathValue("root"))
	if err != nil {
		return pass{}, transfer.ErrGone
	}
	signed, err := wire.ParseHeader(r.Header.Get(wire.HeaderTicket))
	if err != nil {
		return pass{}, transfer.ErrGone
	}
	t, err := wire.OpenTicket(signed)
	p := pass{server: s, ticket: t, asker: link.SessionOf(r.Context()).ID}
	if err != nil || !t.Names(p.asker, t.Origin, root) || !p.stands() {
		return pass{}, transfer.ErrGone
	}
	return p, nil
}

// stands reports whether neither the asker nor the origin of the content has lost what the ticket rests on: it is asked again
// before every piece that leaves.
func (p pass) stands() bool {
	s, t := p.server, p.ticket
	blocked := s.cfg.Blocked != nil && (s.cfg.Blocked(t.Origin) || s.cfg.Blocked(p.asker))
	return !blocked && (t.Group == [32]byte{} || s.cfg.Circle.Member(t.Group, p.asker) && s.cfg.Circle.Belongs(t.Group, t.Origin))
}

// opens reports whether the ticket is one for what is held, and good now.
func (p pass) opens(h Holding, now time.Time) bool {
	m, there := h.Stated(now)
	met := p.server.cfg.Circle.Met(p.ticket.Origin).Add(there.Sub(now))
	return m.Origin == p.ticket.Origin && m.Group == p.ticket.Group && p.ticket.Counts(there, met, m.Away())
}
