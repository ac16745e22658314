package server

import (
	"context"
	"net/http"

	"porchlight/discovery"
	"porchlight/transfer/link"
	"porchlight/transfer/pace"
)

// paced holds the bytes of files back as the limit for uploads says, and until it is the answer's turn. Everything that answers with such
// bytes writes through one; listings and the like do not.
type paced struct {
	http.ResponseWriter
	ctx    context.Context //nolint:containedctx // of this one answer
	limit  *pace.Limit     // none if nil
	who    discovery.DeviceID
	turn   *turn
	shared bool // bytes go to others as well
}

// paced returns a writer for bytes of files that answer r; its turn must be left.
func (s *Server) paced(w http.ResponseWriter, r *http.Request) *paced {
	sess := link.SessionOf(r.Context())
	who := sharer(sess.ID, sess.Friend(), sess.Remote.Addr())
	return &paced{ResponseWriter: w, ctx: r.Context(), limit: s.cfg.Uploads, who: who, turn: s.turns.enter(who), shared: true}
}

// Unwrap is for http.ResponseController.
func (p *paced) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// Write sends part by part. The time that a body may stall begins after the waiting, which is not the reader's fault.
func (p *paced) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		part := b
		if p.shared {
			part = b[:min(len(b), turnPart)]
		}
		if most := p.most(); most > 0 {
			part = part[:min(len(part), most)]
			if err := p.limit.Take(p.ctx, p.who, len(part)); err != nil {
				return n, err
			}
			extend(p.ResponseWriter)
		}
		m, err := p.ResponseWriter.Write(part)
		n += m
		if err != nil {
			return n, err
		}
		p.shared = p.turn.moved(m)
		b = b[m:]
	}
	return n, nil
}

// most is how many bytes are best sent at once under the limit; 0 without one.
func (p *paced) most() int {
	if p.limit == nil {
		return 0
	}
	return p.limit.Turn()
}
