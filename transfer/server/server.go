// Package server answers peers, asking access before every answer.
//
// Every request passes one gate (gate.go): the device that the connection proved, whether it said hello, how much it asks.
// What a device may see is asked of Config.Tree and Config.Offers for every single request; "no right" and "not there" look the same.
// Who pulls the same large file at once is told of each other (crowd.go), and content of others is given on to holders of a ticket (swarm.go),
// as long as they and its origin have the right (circle.go).
package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/canon"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/share/safefs"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/pace"
	"porchlight/transfer/wire"
)

// Shares is what the server may show. Both methods decide about rights: a share a device may not see is not there.
type Shares interface {
	Offers(dev discovery.DeviceID) []share.Offer
	Tree(dev discovery.DeviceID, id share.ID) (*safefs.Tree, error)
}

// Neighbours is told of those who call, and knows the others.
type Neighbours interface {
	// Greeted is called with each checked hello; it reports whether this device can reach the caller by dialling.
	Greeted(s *link.Session, h wire.Hello) bool
	// Lent takes over a connection the other side lends.
	Lent(c *link.Conn)
	// Hints are for the caller's gossip.
	Hints(dev discovery.DeviceID) []wire.PeerHint
}

// Watcher watches folders of this computer for those who look at them.
type Watcher interface {
	Add(dir string) error
	Remove(dir string)
}

// Config says what a server works with. Fields that say what happens if they are nil may be.
type Config struct {
	// Hello is what this device answers to the hello to of the other side of s; proofs and removals are added by Groups.
	Hello      func(s *link.Session, to *wire.Hello) wire.Hello
	Blocked    func(discovery.DeviceID) bool // who is not spoken with at all; nobody if nil
	Shares     Shares
	Neighbours Neighbours
	Watcher    Watcher // nobody hears of changes if nil
	Layers     *content.Cache
	Uploads    *pace.Limit // of the bytes of files that leave; none if nil
	Holdings   Holdings    // nothing of others is given on if nil
	Signer     wire.Signer // this device's key; nobody is sent to others for a file if nil
	Circle     Circle      // there are no private workgroups, and everybody is there, if nil
	Groups     Groups      // no private workgroup is spoken of if nil
	Meetings   Meetings    // nobody is let in, by code or recovery code, if nil
	Pictures   Pictures    // nobody compares pictures if nil
	// Stranger says who may only say hello, meet, and speak of workgroups it proved: nothing else is there for it. Nobody if nil.
	Stranger func(s *link.Session) bool
	// Checkup says what is known of a device that asks; it may take seconds. Nobody is told anything if nil.
	Checkup func(ctx context.Context, dev discovery.DeviceID) wire.Checkup
	Log     *slog.Logger // nothing is logged if nil
}

// Server answers the requests of other devices.
type Server struct {
	cfg     Config
	hub     hub
	hashing *hashing
	crowds  crowds
	surveys surveys
	buffers sync.Pool // *[]byte of content.PieceSize
	sends   slots     // answers with bytes of files
	reads   slots     // of them reading the disk
	turns   turns
	memory  pool // for bytes of files and layers
	lists   pool // for listings, and ledgers
	lobby   *lobby
	checks  checks
	life    context.Context //nolint:containedctx // of Serve, for what outlives one request
	running sync.WaitGroup

	looking sync.Mutex // one change of the folders looked at after another

	mu      sync.Mutex // guards the field below
	devices map[discovery.DeviceID]*device
}

// New makes a server. It starts nothing.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Circle == nil {
		cfg.Circle = noCircle{}
	}
	s := &Server{cfg: cfg, devices: map[discovery.DeviceID]*device{}, hashing: newHashing(cfg.Layers), sends: newSlots(wire.MaxSends, wire.MaxStrangerSends),
		reads: newSlots(wire.MaxReads, wire.MaxStrangerReads), memory: newPool(wire.MaxBuffers, wire.MaxStrangerBuffers), lists: newPool(wire.MaxListBuffers, wire.MaxStrangerListBuffers),
		lobby: newLobby(), checks: make(checks, wire.MaxChecks)}
	s.crowds.files, s.surveys.shares = map[crowdKey]*crowd{}, map[share.ID]*survey{}
	s.turns.devices = map[discovery.DeviceID]*sender{}
	s.hub.watchers = map[dirKey]*looked{}
	s.hub.readers = map[*reader]bool{}
	s.buffers.New = func() any { b := make([]byte, content.PieceSize); return &b }
	return s
}

// Serve answers what arrives at l until ctx ends, then says goodbye and returns when the last handler has. It is called once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	life, end := context.WithCancel(ctx)
	s.life = life
	defer s.rest()
	defer end()
	hs := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: wire.HeaderTime,
		IdleTimeout:       wire.ServerIdle,
		MaxHeaderBytes:    wire.MaxHeader,
		ConnContext:       link.WithSession,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),

		DisableGeneralOptionsHandler: true, // it would answer before a hello
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		s.Bye()
		sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if hs.Shutdown(sctx) != nil {
			hs.Close()
		}
	})
	err := hs.Serve(l)
	if stop() { // broke by itself
		return errors.Join(err, hs.Close())
	}
	<-done
	return ctx.Err()
}

// Handler is the table of routes behind the gate.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+wire.RouteEvents, s.events)
	mux.HandleFunc("PUT "+wire.RouteWatch, s.watch)
	mux.HandleFunc("GET "+wire.RoutePeers, s.peers)
	mux.HandleFunc("GET "+wire.RouteShares, s.shares)
	mux.HandleFunc("GET "+wire.RouteDoctor, s.checkup)
	mux.HandleFunc("GET "+wire.RouteShare+"{share}"+wire.RouteList, s.list)
	mux.HandleFunc("GET "+wire.RouteShare+"{share}"+wire.RouteFile, s.file)
	mux.HandleFunc("POST "+wire.RouteShare+"{share}"+wire.RoutePack, s.pack)
	mux.HandleFunc("GET "+wire.RouteShare+"{share}"+wire.RouteLayer, s.layer)
	mux.HandleFunc("POST "+wire.RouteShare+"{share}"+wire.RouteSwarm, s.swarm)
	mux.HandleFunc("POST "+wire.RouteFind, s.find)
	mux.HandleFunc("GET "+wire.RouteContent+"{root}"+wire.RouteHave, s.have)
	mux.HandleFunc("GET "+wire.RouteContent+"{root}", s.content)
	s.groupRoutes(mux)
	s.meetRoutes(mux)
	return s.gate(mux)
}

// hello answers the first request of a connection; with the Upgrade header the caller lends the connection. A second one,
// which could tell another name each time, is none.
func (s *Server) hello(w http.ResponseWriter, r *http.Request, sess *link.Session) {
	var h wire.Hello
	if !s.message(w, r, wire.MaxHello, &h) {
		return
	}
	if err := h.Check(); err != nil { // of another version, perhaps
		w.Header().Set("Connection", "close")
		s.refuse(w, r, err)
		return
	}
	if !sess.SetHello(h) {
		err := transfer.ErrAway // too late, and being closed
		if _, second := sess.Hello(); second {
			err = transfer.ErrProtocol
		}
		s.breach(w, r, err)
		return
	}
	if r.Header.Get("Upgrade") == wire.Reverse {
		s.takeOver(w, r)
		return
	}
	answer, err := s.greet(r, sess, h)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.answer(w, r, answer)
}

// takeOver gives a lent connection to whoever dials.
func (s *Server) takeOver(w http.ResponseWriter, r *http.Request) {
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.refuse(w, r, transfer.ErrUnsupported)
		return
	}
	conn, ok := c.(*link.Conn)
	if !ok || rw.Reader.Buffered() > 0 {
		c.Close()
		return
	}
	c.SetDeadline(time.Now().Add(wire.HelloTime)) //nolint:errcheck // the write tells
	const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + wire.Reverse + "\r\n\r\n"
	if _, err := c.Write([]byte(switching)); err != nil {
		c.Close()
		return
	}
	c.SetDeadline(time.Time{}) //nolint:errcheck // likewise
	s.cfg.Neighbours.Lent(conn)
}

func (s *Server) peers(w http.ResponseWriter, r *http.Request) {
	seq := s.sequence(w, 4<<10)
	for _, h := range s.cfg.Neighbours.Hints(link.SessionOf(r.Context()).ID) {
		if err := seq.Write(h); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	seq.end()
}

func (s *Server) shares(w http.ResponseWriter, r *http.Request) {
	seq := s.sequence(w, 4<<10)
	for _, o := range s.cfg.Shares.Offers(link.SessionOf(r.Context()).ID) {
		if err := seq.Write(wire.ShareItem{ID: o.ID[:], Kind: uint8(o.Kind), Name: o.Name, Away: o.Away}); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	seq.end()
}

// checkup tells a device what only this one knows of it.
func (s *Server) checkup(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Checkup == nil {
		s.refuse(w, r, transfer.ErrGone)
		return
	}
	s.answer(w, r, s.cfg.Checkup(r.Context(), link.SessionOf(r.Context()).ID))
}

// answer writes one message.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, v any) {
	b, err := canon.Marshal(v)
	if err != nil {
		s.refuse(w, r, errors.Join(transfer.ErrBroken, err))
		return
	}
	w.Header().Set("Content-Type", wire.TypeCBOR)
	deadlined{w}.Write(b) //nolint:errcheck // the caller is gone then
}

// refuse answers with a kind. Nothing of the error's text leaves the computer.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	kind, status := wire.KindOf(err)
	s.cfg.Log.Debug("refused", "route", r.URL.Path, "kind", kind, "err", err)
	body := wire.ErrorBody{Kind: kind}
	var busy *transfer.Busy
	if errors.As(err, &busy) {
		body.Retry = busy.Retry.Milliseconds()
	}
	b, merr := canon.Marshal(body)
	if merr != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", wire.TypeCBOR)
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	extend(w)
	w.WriteHeader(status)
	w.Write(b) //nolint:errcheck // the caller is gone then
}

// extend gives the next write the time that a body may stall.
func extend(w http.ResponseWriter) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(wire.StallTime)) //nolint:errcheck // not a network connection: in tests only
}

// kindOf turns what safefs says into what the wire says.
func kindOf(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, safefs.ErrChanged):
		return transfer.ErrChanged
	case errors.Is(err, safefs.ErrGone), errors.Is(err, share.ErrPath):
		return transfer.ErrGone
	case errors.Is(err, transfer.ErrGone), errors.Is(err, transfer.ErrLimit), errors.Is(err, transfer.ErrBusy), errors.Is(err, transfer.ErrProtocol), errors.Is(err, transfer.ErrUnsupported):
		return err
	}
	return errors.Join(transfer.ErrBroken, err)
}
