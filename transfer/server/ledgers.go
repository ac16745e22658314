package server

import (
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"time"

	"porchlight/discovery/canon"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// What a request about a workgroup may hold in memory, in bytes.
const (
	summaryCost = 2 * wire.MaxSyncAnswer
	entriesCost = 4 * workgroup.MaxBatchBytes // received, parsed, kept
	moveCost    = wire.MaxWelcome
)

// groupRoutes adds what is asked about private workgroups.
func (s *Server) groupRoutes(mux *http.ServeMux) {
	const wg = wire.RouteGroup + "{id}"
	mux.HandleFunc("POST "+wg+wire.RouteSync, s.grouped(s.compare))
	mux.HandleFunc("POST "+wg+wire.RouteEntries, s.grouped(s.receive))
	mux.HandleFunc("POST "+wg+wire.RouteFetch, s.grouped(s.fetch))
	mux.HandleFunc("GET "+wg+wire.RouteKeys, s.grouped(s.keys))
	mux.HandleFunc("POST "+wire.RouteMove, s.move)
}

// greet is the answer to a hello. It has as many proofs whatever they are of, and does not come sooner when there are fewer to check.
func (s *Server) greet(r *http.Request, sess *link.Session, h wire.Hello) (wire.Hello, error) {
	if s.cfg.Groups != nil {
		defer pauseUntil(r, time.Now().Add(wire.QuietTime))
	}
	answer := s.cfg.Hello(sess, &h)
	answer.Proofs, answer.Removed = nil, nil
	if s.cfg.Groups != nil {
		reply, err := s.cfg.Groups.Answer(sess, h.Proven())
		if err != nil {
			return wire.Hello{}, errors.Join(transfer.ErrBroken, err)
		}
		answer = answer.With(reply.Proofs)
		proved := make([][32]byte, 0, len(reply.Common)+len(reply.Removed))
		for _, id := range reply.Common {
			proved = append(proved, id)
		}
		for _, n := range reply.Removed {
			proved = append(proved, n.Workgroup)
			answer.Removed = append(answer.Removed, wire.Notice{Workgroup: n.Workgroup[:], Entry: n.Entry})
		}
		for _, n := range reply.Left {
			answer.Removed = append(answer.Removed, wire.Notice{Workgroup: n.Workgroup[:], Entry: n.Entry})
		}
		sess.SetProved(proved)
	}
	answer.DialBack = s.cfg.Neighbours.Greeted(sess, h)
	return answer.Padded(rand.Reader)
}

func pauseUntil(r *http.Request, at time.Time) { pause(r, time.Until(at)) }

// grouped hands a request to the handler of a workgroup, if the other side proved that one on this connection. If not, nothing is
// looked up: the answer is the same, and takes as long, for a workgroup that is here and for one that is not.
func (s *Server) grouped(h func(http.ResponseWriter, *http.Request, workgroup.ID)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := wire.ParseGroup(r.PathValue("id"))
		if err != nil || s.cfg.Groups == nil || !link.SessionOf(r.Context()).Proved(id) {
			s.refuse(w, r, transfer.ErrGone)
			return
		}
		h(w, r, id)
	}
}

// refuseGroup refuses what Groups refused. Whoever is no member learns nothing else than who asks for what is not there.
func (s *Server) refuseGroup(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, workgroup.ErrUnknown), errors.Is(err, workgroup.ErrNotMember), errors.Is(err, workgroup.ErrRemoved):
		err = transfer.ErrGone
	case errors.Is(err, workgroup.ErrEntry):
		s.breach(w, r, errors.Join(transfer.ErrProtocol, err))
		return
	}
	s.refuse(w, r, err)
}

// compare answers the ledger of the other side with this one's.
func (s *Server) compare(w http.ResponseWriter, r *http.Request, id workgroup.ID) {
	give, err := s.lists.take(r.Context(), summaryCost)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer give()
	data, err := body(w, r, wire.MaxSyncAsk)
	var theirs workgroup.Summary
	if err == nil {
		if theirs, err = workgroup.ParseSummary(data); err != nil {
			err = errors.Join(transfer.ErrProtocol, err)
		}
	}
	if err != nil {
		s.breach(w, r, err)
		return
	}
	ours, err := s.cfg.Groups.Compare(link.SessionOf(r.Context()), id, theirs)
	if err == nil {
		data, err = ours.Encode()
	}
	if err != nil {
		s.refuseGroup(w, r, err)
		return
	}
	s.raw(w, data)
}

// receive takes entries. Checking their signatures is what costs: each device has its rate, and all share few turns.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, id workgroup.ID) {
	give, err := s.lists.take(r.Context(), entriesCost)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer give()
	entries, err := wire.ReadEntries(canon.NewReader(http.MaxBytesReader(nil, r.Body, wire.MaxEntriesBody)))
	if err != nil {
		s.breach(w, r, unread(r, err))
		return
	}
	calm(w)
	sess := link.SessionOf(r.Context())
	var missing []ledger.Prefix
	err = s.checks.entries(r, s.counted(sess.ID), len(entries), func() (err error) {
		missing, err = s.cfg.Groups.Receive(sess, id, entries)
		return err
	})
	if err != nil {
		s.refuseGroup(w, r, err)
		return
	}
	s.answer(w, r, wire.IDsOf(missing))
}

// fetch gives entries.
func (s *Server) fetch(w http.ResponseWriter, r *http.Request, id workgroup.ID) {
	give, err := s.lists.take(r.Context(), entriesCost)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer give()
	var ask wire.EntryIDs
	if !s.message(w, r, wire.MaxEntryIDs, &ask) {
		return
	}
	want, err := ask.List()
	if err != nil {
		s.breach(w, r, err)
		return
	}
	entries, err := s.cfg.Groups.Fetch(link.SessionOf(r.Context()), id, want)
	if err != nil {
		s.refuseGroup(w, r, err)
		return
	}
	seq := s.sequence(w, 32<<10)
	if err := wire.WriteEntries(seq.Write, entries); err != nil {
		panic(http.ErrAbortHandler)
	}
	seq.end()
}

// keys gives the discovery keys of a workgroup.
func (s *Server) keys(w http.ResponseWriter, r *http.Request, id workgroup.ID) {
	ring, err := s.cfg.Groups.Keys(link.SessionOf(r.Context()), id)
	if err != nil {
		s.refuseGroup(w, r, err)
		return
	}
	s.raw(w, ring)
}

// move takes the offer to move over. Only who proved some workgroup may make one: whoever starts over was in the old one, though
// it may have been removed there.
func (s *Server) move(w http.ResponseWriter, r *http.Request) {
	sess := link.SessionOf(r.Context())
	if s.cfg.Groups == nil || !sess.ProvedAny() {
		s.refuse(w, r, transfer.ErrGone)
		return
	}
	if !s.counted(sess.ID).moves.Allow() {
		pause(r, wire.RefusalTime)
		s.refuse(w, r, transfer.ErrBusy)
		return
	}
	give, err := s.lists.take(r.Context(), moveCost)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer give()
	res, err := wire.ReadResult(canon.NewReader(http.MaxBytesReader(nil, r.Body, wire.MaxWelcomeBody)), func() {})
	if err == nil && res.Welcome == nil {
		err = transfer.ErrProtocol
	}
	if err != nil {
		s.breach(w, r, unread(r, err))
		return
	}
	calm(w)
	err = s.checks.do(r, func() error { return s.cfg.Groups.Offered(sess, *res.Welcome) })
	switch {
	case errors.Is(err, workgroup.ErrOffer), errors.Is(err, workgroup.ErrMember), errors.Is(err, workgroup.ErrMany):
		s.refuse(w, r, transfer.ErrGone)
	case err != nil:
		s.refuseGroup(w, r, err)
	default:
		extend(w)
		w.WriteHeader(http.StatusNoContent)
	}
}

// raw answers one message that is encoded already.
func (s *Server) raw(w http.ResponseWriter, b []byte) {
	w.Header().Set("Content-Type", wire.TypeCBOR)
	deadlined{w}.Write(b) //nolint:errcheck // the caller is gone then
}

// unread says what it means that the sequence of a request could not be read. One that ends too soon is a breach, unless the
// caller has left in the middle of it.
func unread(r *http.Request, err error) error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large), errors.Is(err, transfer.ErrLimit):
		return errors.Join(transfer.ErrLimit, err)
	case errors.Is(err, canon.ErrMessage), errors.Is(err, transfer.ErrProtocol):
		return errors.Join(transfer.ErrProtocol, err)
	case errors.Is(err, canon.ErrCut):
		if _, end := r.Body.Read(make([]byte, 1)); errors.Is(end, io.EOF) {
			return errors.Join(transfer.ErrProtocol, err)
		}
	}
	return errors.Join(transfer.ErrAway, err)
}
