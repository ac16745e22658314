package server

import (
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"porchlight/discovery"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// Limits of one device, whatever the number of its connections.
const (
	maxInFlight    = 16  // requests at once
	perSecond      = 200 // requests, burst perSecondBurst
	perSecondBurst = 400
	listsPerSecond = 20 // listings, burst listsBurst: each may read a whole folder
	listsBurst     = 60
	maxDevices     = 1024 // devices counted
)

// device is what is counted for one device.
type device struct {
	all, lists *rate.Limiter
	inFlight   int // guarded by Server.mu
	seen       time.Time
}

// gate lets a request pass if the connection is proven, hello was said and the device keeps within its limits.
func (s *Server) gate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sess := link.SessionOf(r.Context())
		if sess == nil {
			panic(http.ErrAbortHandler) // not over a link: nobody is there to answer
		}
		sess.Request()
		if r.URL.Path == wire.RouteHello && r.Method == http.MethodPost {
			s.hello(w, r, sess)
			return
		}
		if _, ok := sess.Hello(); !ok {
			s.refuse(w, r, transfer.ErrProtocol)
			return
		}
		d, ok := s.enter(sess.ID)
		if !ok {
			s.refuse(w, r, transfer.ErrBusy)
			return
		}
		defer s.exit(d)
		next.ServeHTTP(w, r)
	})
}

func (s *Server) enter(id discovery.DeviceID) (*device, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.devices[id]
	if d == nil {
		if len(s.devices) >= maxDevices {
			s.forgetOldest()
		}
		d = &device{all: rate.NewLimiter(perSecond, perSecondBurst), lists: rate.NewLimiter(listsPerSecond, listsBurst)}
		s.devices[id] = d
	}
	d.seen = time.Now()
	if d.inFlight >= maxInFlight || !d.all.Allow() {
		return nil, false
	}
	d.inFlight++
	return d, true
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

// mayList reports whether the device may ask for another listing now.
func (s *Server) mayList(id discovery.DeviceID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.devices[id]
	return d != nil && d.lists.Allow()
}
