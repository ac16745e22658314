package server

import (
	"context"
	"net/http"

	"porchlight/discovery"
	"porchlight/transfer/link"
	"porchlight/transfer/pace"
)

// paced holds the bytes of files back as the limit for uploads says. Everything that answers with such bytes writes through one;
// listings and the like do not.
type paced struct {
	http.ResponseWriter
	ctx   context.Context //nolint:containedctx // of this one answer
	limit *pace.Limit
	who   discovery.DeviceID
}

// paced returns a writer for bytes of files that answer r.
func (s *Server) paced(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	if s.cfg.Uploads == nil {
		return w
	}
	return &paced{w, r.Context(), s.cfg.Uploads, link.SessionOf(r.Context()).ID}
}

// Unwrap is for http.ResponseController.
func (p *paced) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// Write sends turn by turn. The time that a body may stall begins after the waiting, which is not the reader's fault.
func (p *paced) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		part := b
		if turn := p.limit.Turn(); turn > 0 {
			part = b[:min(len(b), turn)]
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
		b = b[m:]
	}
	return n, nil
}
