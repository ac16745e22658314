package server

import (
	"errors"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"porchlight/discovery"
	"porchlight/discovery/canon"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// device is what is counted for one device. All but the limiters is guarded by Server.mu.
type device struct {
	all, lists *rate.Limiter
	entries    *rate.Limiter // of ledgers
	meets      *rate.Limiter
	moves      *rate.Limiter
	inFlight   int
	listing    int
	sending    int
	seen       time.Time
}

// gate lets a request pass if the connection is proven, hello was said, the request has the form of this protocol and the
// device keeps within its limits.
func (s *Server) gate(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sess := link.SessionOf(r.Context())
		if sess == nil {
			panic(http.ErrAbortHandler) // not over a link: nobody is there to answer
		}
		if s.cfg.Blocked != nil && s.cfg.Blocked(sess.ID) {
			panic(http.ErrAbortHandler) // closes the connection: to who is blocked nobody is here
		}
		sess.Request()
		extend(w) // net/http keeps the deadline of the answer before
		if !wellFormed(r) {
			s.breach(w, r, transfer.ErrProtocol)
			return
		}
		if r.Method != http.MethodGet {
			hurry(w)
		}
		if r.URL.Path == wire.RouteHello && r.Method == http.MethodPost {
			s.hello(w, r, sess)
			return
		}
		if _, ok := sess.Hello(); !ok {
			s.breach(w, r, transfer.ErrProtocol)
			return
		}
		d, ok := s.enter(sess.ID)
		if !ok {
			pause(r, wire.RefusalTime)
			s.refuse(w, r, transfer.ErrBusy)
			return
		}
		defer s.exit(d)
		if _, pattern := mux.Handler(r); pattern == "" || r.URL.Path != path.Clean(r.URL.Path) || !s.open(sess, r.URL.Path) {
			s.refuse(w, r, transfer.ErrGone) // no such route, in the form of every other refusal
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// open reports whether a route is there for the other side: a stranger may only meet, and speak of workgroups that it proved.
func (s *Server) open(sess *link.Session, route string) bool {
	if s.cfg.Stranger == nil || !s.cfg.Stranger(sess) {
		return true
	}
	for _, p := range []string{wire.RouteJoin, wire.RouteSAS, wire.RouteRecover, wire.RouteMove} {
		if route == p || strings.HasPrefix(route, p+"/") {
			return true
		}
	}
	return strings.HasPrefix(route, wire.RouteGroup)
}

// wellFormed reports whether a request has one of the forms of this protocol, whatever its route: GET without a body, POST
// or PUT. An unread body would keep net/http from noticing that the other side has gone; HEAD would read files for nothing.
func wellFormed(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet:
		return r.ContentLength == 0 // −1: chunked
	case http.MethodPost, http.MethodPut:
		return true
	}
	return false
}

// breach answers what no honest program sends, and closes the connection. Somebody who left is only let go: a neighbour
// that dials several addresses breaks off with all but one.
func (s *Server) breach(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, transfer.ErrAway) {
		panic(http.ErrAbortHandler)
	}
	link.SessionOf(r.Context()).Breach()
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Second)) //nolint:errcheck // for the rest of the body; as in hurry
	w.Header().Set("Connection", "close")
	s.refuse(w, r, err)
}

// hurry gives the body of a request its time. Without it net/http waits for the rest of a body for ever.
func hurry(w http.ResponseWriter) {
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(wire.BodyTime)) //nolint:errcheck // not a network connection: in tests only
}

// calm takes back hurry once the body was read: a deadline that passes later would look like a reader who has gone.
func calm(w http.ResponseWriter) {
	http.NewResponseController(w).SetReadDeadline(time.Time{}) //nolint:errcheck // likewise
}

// body reads a whole body of at most most bytes. transfer.ErrAway says that the caller left in the middle, or was too slow.
func body(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r.Body, most+1))
	if err != nil {
		return nil, errors.Join(transfer.ErrAway, err)
	}
	if int64(len(data)) > most {
		return nil, transfer.ErrLimit
	}
	calm(w)
	return data, nil
}

// message reads a body of one message, at most most bytes, into v. What is none is a breach, and answered: then it reports false.
func (s *Server) message(w http.ResponseWriter, r *http.Request, most int64, v any) bool {
	data, err := body(w, r, most)
	if err == nil {
		if err = canon.UnmarshalOpen(data, v); err != nil {
			err = errors.Join(transfer.ErrProtocol, err)
		}
	}
	if err != nil {
		s.breach(w, r, err)
		return false
	}
	return true
}

// pause waits, or until the caller has gone.
func pause(r *http.Request, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
	}
}

func (s *Server) enter(id discovery.DeviceID) (*device, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.devices[id]
	if d == nil {
		if len(s.devices) >= wire.MaxCounted {
			s.forgetOldest()
		}
		d = &device{all: rate.NewLimiter(wire.RequestsPerSecond, wire.RequestsBurst), lists: rate.NewLimiter(wire.ListsPerSecond, wire.ListsBurst),
			entries: rate.NewLimiter(wire.EntriesPerSecond, wire.EntriesBurst), meets: rate.NewLimiter(rate.Every(wire.MeetEvery), wire.MeetBurst),
			moves: rate.NewLimiter(rate.Every(wire.MoveEvery), 1)}
		s.devices[id] = d
	}
	d.seen = time.Now()
	if d.inFlight >= wire.MaxInFlight || !d.all.Allow() {
		return nil, false
	}
	d.inFlight++
	return d, true
}

// counted returns what is counted of a device that has a request in flight.
func (s *Server) counted(id discovery.DeviceID) *device {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.devices[id]
}

func (s *Server) exit(d *device) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.inFlight--
}

// forgetOldest drops the counts of the device heard longest ago that has nothing running. The caller holds mu.
func (s *Server) forgetOldest() {
	var oldest discovery.DeviceID
	var at time.Time
	for id, d := range s.devices {
		if d.inFlight == 0 && (at.IsZero() || d.seen.Before(at)) {
			oldest, at = id, d.seen
		}
	}
	delete(s.devices, oldest)
}

// beginList reports whether the device may ask for another listing now; done ends it.
func (s *Server) beginList(id discovery.DeviceID) (done func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.devices[id] // it is in flight, and so counted
	if d == nil || d.listing >= wire.MaxLists || !d.lists.Allow() {
		return nil, false
	}
	d.listing++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		d.listing--
	}, true
}

// sendsAgain is when a device should come again that has as many answers under way as it may: one of them ends soon.
const sendsAgain = 100 * time.Millisecond

// beginSend waits for a turn to send bytes of files, and for memory to do it: few for one device, so that nobody takes
// all; done ends it.
func (s *Server) beginSend(r *http.Request, cost int64) (done func(), err error) {
	s.mu.Lock()
	d := s.devices[link.SessionOf(r.Context()).ID]
	if d == nil || d.sending >= wire.MaxDeviceSends {
		s.mu.Unlock()
		return nil, &transfer.Busy{Retry: sendsAgain}
	}
	d.sending++
	s.mu.Unlock()
	end := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		d.sending--
	}
	patience := time.NewTimer(wire.Patience)
	defer patience.Stop()
	leave, err := s.sends.take(r.Context(), patience.C)
	if err != nil {
		end()
		return nil, err
	}
	give, err := s.memory.take(r.Context(), cost)
	if err != nil {
		leave()
		end()
		return nil, err
	}
	return func() { give(); leave(); end() }, nil
}
