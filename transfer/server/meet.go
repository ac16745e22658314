package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// meetRoutes adds what those ask who want to become members.
func (s *Server) meetRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST "+wire.RouteJoin, s.join)
	mux.HandleFunc("POST "+wire.RouteJoinConfirm, s.joinConfirm)
	mux.HandleFunc("GET "+wire.RouteJoinResult, s.joinResult)
	mux.HandleFunc("POST "+wire.RouteSAS, s.sas)
	mux.HandleFunc("POST "+wire.RouteSASReveal, s.sasReveal)
	mux.HandleFunc("GET "+wire.RouteSASConfirm, s.sasWait)
	mux.HandleFunc("POST "+wire.RouteSASConfirm, s.sasConfirm)
	mux.HandleFunc("POST "+wire.RouteRecover, s.recover)
}

// reply is what answers one message of a meeting.
type reply struct {
	from, to stage
	there    bool // whether this device does such a thing at all
	do       func(sess *link.Session, msg []byte) ([]byte, error)
}

// exchange answers one message of package pairing with the next.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request, t reply) {
	var m wire.PairMessage
	if !s.message(w, r, wire.MaxPairMessage, &m) {
		return
	}
	sess := link.SessionOf(r.Context())
	err := transfer.ErrGone
	if t.there {
		err = s.advance(r, sess, t.from, during)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	out, err := t.do(sess, m.Msg)
	if err == nil {
		err = s.advance(r, sess, during, t.to)
	}
	if err != nil {
		s.part(w, r, err)
		return
	}
	s.answer(w, r, wire.PairMessage{Msg: out})
}

// advance takes a meeting a stage further; the first one begins it.
func (s *Server) advance(r *http.Request, sess *link.Session, from, to stage) error {
	if from != none {
		return s.lobby.step(sess, from, to)
	}
	if err := s.arrive(r, sess); err != nil {
		return err
	}
	return s.lobby.enter(sess, to)
}

// arrive reports whether a connection may begin a meeting now.
func (s *Server) arrive(r *http.Request, sess *link.Session) error {
	if s.lobby.has(sess) {
		return transfer.ErrProtocol
	}
	if !s.counted(sess.ID).meets.Allow() || !s.lobby.often.Allow() {
		pause(r, wire.RefusalTime)
		return transfer.ErrBusy
	}
	return nil
}

// part refuses what Meetings or Pictures refused. The connection ends with the meeting.
func (s *Server) part(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, pairing.ErrMessage) {
		s.breach(w, r, errors.Join(transfer.ErrProtocol, err))
		return
	}
	w.Header().Set("Connection", "close")
	s.refuse(w, r, parted(err))
}

// parted says in words of the wire why a meeting ended.
func parted(err error) error {
	switch {
	case errors.Is(err, discovery.ErrNoInvitation):
		return pairing.ErrOver
	case errors.Is(err, pairing.ErrTurn):
		return transfer.ErrProtocol
	case errors.Is(err, workgroup.ErrCode):
		return transfer.ErrGone
	case errors.Is(err, context.DeadlineExceeded):
		return pairing.ErrOver
	}
	return err
}

func (s *Server) join(w http.ResponseWriter, r *http.Request) {
	s.exchange(w, r, reply{none, joined, s.cfg.Meetings != nil, func(sess *link.Session, msg []byte) ([]byte, error) { return s.cfg.Meetings.Join(sess, msg) }})
}

func (s *Server) joinConfirm(w http.ResponseWriter, r *http.Request) {
	s.exchange(w, r, reply{joined, proved, s.cfg.Meetings != nil, func(sess *link.Session, msg []byte) ([]byte, error) { return s.cfg.Meetings.JoinConfirm(sess, msg) }})
}

func (s *Server) sas(w http.ResponseWriter, r *http.Request) {
	s.exchange(w, r, reply{none, begun, s.cfg.Pictures != nil, func(sess *link.Session, msg []byte) ([]byte, error) { return s.cfg.Pictures.Begin(sess, msg) }})
}

func (s *Server) sasReveal(w http.ResponseWriter, r *http.Request) {
	s.exchange(w, r, reply{begun, shown, s.cfg.Pictures != nil, func(sess *link.Session, msg []byte) ([]byte, error) { return s.cfg.Pictures.Reveal(sess, msg) }})
}

// joinResult waits for the person who decides. A device whose connection broke meanwhile may ask on a new one: Meetings knows who
// has proved the code by its key.
func (s *Server) joinResult(w http.ResponseWriter, r *http.Request) {
	sess := link.SessionOf(r.Context())
	err := transfer.ErrGone
	if s.cfg.Meetings != nil {
		if err = s.lobby.step(sess, proved, during); err != nil && !s.lobby.has(sess) {
			if err = s.arrive(r, sess); err == nil {
				err = s.lobby.again(sess)
			}
		}
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.decide(w, r, func(ctx context.Context) (wire.Result, error) {
		wel, err := s.cfg.Meetings.JoinResult(ctx, sess)
		return wire.Result{Welcome: &wel}, err
	})
}

// sasWait keeps the connection while the other side's person looks at the pictures.
func (s *Server) sasWait(w http.ResponseWriter, r *http.Request) {
	if err := s.advance(r, link.SessionOf(r.Context()), shown, shown); err != nil {
		s.refuse(w, r, err)
		return
	}
	extend(w)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) sasConfirm(w http.ResponseWriter, r *http.Request) {
	var m wire.Match
	if !s.message(w, r, wire.MaxPairMessage, &m) {
		return
	}
	sess := link.SessionOf(r.Context())
	if err := s.advance(r, sess, shown, during); err != nil {
		s.refuse(w, r, err)
		return
	}
	s.decide(w, r, func(ctx context.Context) (wire.Result, error) {
		wel, err := s.cfg.Pictures.Confirm(ctx, sess, m.Same)
		return wire.Result{Same: wel == nil, Welcome: wel}, err
	})
}

// decide answers with a beat every now and then until wait returns, and with what it returned.
func (s *Server) decide(w http.ResponseWriter, r *http.Request, wait func(context.Context) (wire.Result, error)) {
	defer s.lobby.leave(link.SessionOf(r.Context()))
	ctx, cancel := context.WithTimeout(r.Context(), wire.DecisionTime)
	type result struct {
		wire.Result
		err error
	}
	done := make(chan result, 1)
	go func() {
		res, err := wait(ctx)
		done <- result{res, err}
	}()
	beat := time.NewTicker(wire.Beat)
	defer beat.Stop()
	seq := s.sequence(w, 4<<10)
	for {
		if seq.Write(wire.MeetItem{Kind: wire.MeetBeat}) != nil || seq.flush() != nil {
			cancel()
			<-done
			panic(http.ErrAbortHandler)
		}
		select {
		case res := <-done:
			cancel()
			if r.Context().Err() != nil { // this device leaves: that is nobody's no
				panic(http.ErrAbortHandler)
			}
			s.decided(seq, res.Result, res.err)
			return
		case <-beat.C:
		}
	}
}

// decided ends the answer of a meeting.
func (s *Server) decided(seq *sequence, res wire.Result, err error) {
	switch {
	case err != nil:
		kind, _ := wire.KindOf(parted(err))
		s.cfg.Log.Debug("a meeting ended", "kind", kind, "err", err)
		err = seq.Write(wire.MeetItem{Kind: wire.MeetNo, Why: kind})
	case res.Welcome != nil:
		err = wire.WriteWelcome(seq.Write, *res.Welcome)
	default:
		err = seq.Write(wire.MeetItem{Kind: wire.MeetSame})
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	seq.end()
}

// recover answers who proves to have a recovery code. A no always takes as long: the time would tell in how many workgroups this
// device looked.
func (s *Server) recover(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	var m wire.RecoveryProof
	if !s.message(w, r, wire.MaxPairMessage, &m) {
		return
	}
	sess := link.SessionOf(r.Context())
	err := transfer.ErrGone
	if s.cfg.Meetings != nil {
		err = s.advance(r, sess, none, during)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer s.lobby.leave(sess)
	wel, err := s.cfg.Meetings.Recover(sess, m.Proof)
	if err != nil {
		pauseUntil(r, began.Add(wire.RefusalTime))
		s.part(w, r, err)
		return
	}
	s.decided(s.sequence(w, 32<<10), wire.Result{Welcome: &wel}, nil)
}
