package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"porchlight/app/doctor"
	"porchlight/discovery"
	"porchlight/share"
	"porchlight/transfer"
)

// Config of a Server.
type Config struct {
	Engine Engine       // who answers
	Log    *slog.Logger // nothing is logged if nil
}

// Server answers other processes of this user. Make one with New.
type Server struct {
	engine Engine
	log    *slog.Logger
}

// New starts nothing.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{engine: cfg.Engine, log: cfg.Log}
}

// Serve answers on l, which must be a Unix socket, until ctx ends; then it ends the calls under way, closes l (which
// removes the socket) and returns nil. Processes of other users are turned away.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var calls sync.WaitGroup
	mux := s.routes(ctx)
	h := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			defer calls.Done()
			mux.ServeHTTP(w, r)
		}),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute, // of a request whole; answers may take as long as they take
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(guard{l, s.log}) }()
	var err error
	select {
	case err = <-ended:
		cancel()
	case <-ctx.Done():
		const grace = 2 * time.Second // for the last answers to be read; the contexts of their calls have ended already
		stop, done := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer done()
		_ = h.Shutdown(stop) // what is still open after that is closed below
		err = <-ended
	}
	_ = h.Close()
	calls.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("control socket: %w", err)
}

// guard turns away the processes of other users.
type guard struct {
	net.Listener
	log *slog.Logger
}

func (g guard) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		u, ok := c.(*net.UnixConn)
		if !ok {
			err = errors.New("not a Unix socket")
		} else {
			err = checkCaller(u)
		}
		if err == nil {
			return c, nil
		}
		g.log.Warn("caller turned away from the control socket", "error", err)
		_ = c.Close()
	}
}

// routes lists the methods. life is the context of Serve: calls that end with it end because the engine stops.
func (s *Server) routes(life context.Context) *http.ServeMux {
	e, m := s.engine, http.NewServeMux()
	add := func(name string, h handler) { m.Handle("POST /v1/"+name, h.answer(life)) }
	add("hello", call(func(context.Context, nothing) (hello, error) { return hello{Protocol: protocol}, nil }))
	add("self", call(func(ctx context.Context, _ nothing) (selfMsg, error) {
		v, err := e.Self(ctx)
		return fromSelf(v), err
	}))
	add("set-name", do(func(ctx context.Context, in textMsg) error { return e.SetName(ctx, string(in.Text)) }))
	add("set-workgroup", do(func(ctx context.Context, in textMsg) error { return e.SetWorkgroup(ctx, string(in.Text)) }))
	add("set-network", do(func(ctx context.Context, in textMsg) error { return e.SetNetwork(ctx, discovery.Network(in.Text)) }))
	add("set-downloads", do(func(ctx context.Context, in textMsg) error { return e.SetDownloads(ctx, string(in.Text)) }))
	add("finish-first-run", do(func(ctx context.Context, _ nothing) error { return e.FinishFirstRun(ctx) }))

	add("peers", call(func(ctx context.Context, _ nothing) ([]discovery.Peer, error) { return e.Peers(ctx) }))
	add("add-peer", do(func(ctx context.Context, in textMsg) error { return e.AddPeer(ctx, string(in.Text)) }))
	add("forget-peer", do(func(ctx context.Context, in deviceMsg) error { return e.ForgetPeer(ctx, in.Device) }))
	add("block", do(func(ctx context.Context, in deviceMsg) error { return e.Block(ctx, in.Device) }))
	add("unblock", do(func(ctx context.Context, in deviceMsg) error { return e.Unblock(ctx, in.Device) }))
	add("refresh", do(func(ctx context.Context, _ nothing) error { return e.Refresh(ctx) }))
	add("diagnose", call(func(ctx context.Context, _ nothing) ([]doctor.Finding, error) { return e.Diagnose(ctx) }))

	add("shares", call(func(ctx context.Context, _ nothing) ([]shareMsg, error) {
		v, err := e.Shares(ctx)
		return each(v, fromShare), err
	}))
	for _, name := range []string{"add-share", "add-share-to"} {
		add(name, call(func(ctx context.Context, in addShareMsg) (shareMsg, error) {
			v, err := e.AddShare(ctx, string(in.Path), in.Name, in.To...)
			return fromShare(v), err
		}))
	}
	add("rename-share", do(func(ctx context.Context, in renameMsg) error { return e.RenameShare(ctx, in.ID, in.Name) }))
	add("allow-share", do(func(ctx context.Context, in allowMsg) error { return e.AllowShare(ctx, in.ID, in.To) }))
	add("remove-share", do(func(ctx context.Context, in shareIDMsg) error { return e.RemoveShare(ctx, in.ID) }))

	add("offers", call(func(ctx context.Context, in deviceMsg) ([]share.Offer, error) { return e.Offers(ctx, in.Device) }))
	add("list", s.list)
	add("watch", s.watch)
	add("attend", s.attend)
	add("show-window", call(func(ctx context.Context, _ nothing) (yesMsg, error) {
		yes, err := e.ShowWindow(ctx)
		return yesMsg{yes}, err
	}))
	add("set-interface", do(func(ctx context.Context, in interfaceMsg) error { return e.SetInterface(ctx, in.Name, in.Use) }))
	add("new-identity", call(func(ctx context.Context, _ nothing) (deviceMsg, error) {
		id, err := e.NewIdentity(ctx)
		return deviceMsg{id}, err
	}))
	add("raw", s.raw)
	s.addJobs(add)
	s.addGroups(add)
	return m
}

func (s *Server) addJobs(add func(string, handler)) {
	e := s.engine
	add("pull", call(func(ctx context.Context, in requestMsg) (jobIDMsg, error) {
		id, err := e.Pull(ctx, in.value())
		return jobIDMsg{id}, err
	}))
	add("jobs", call(func(ctx context.Context, _ nothing) ([]jobMsg, error) {
		v, err := e.Jobs(ctx)
		return each(v, fromJob), err
	}))
	add("pause-job", do(func(ctx context.Context, in jobIDMsg) error { return e.PauseJob(ctx, in.ID) }))
	add("resume-job", do(func(ctx context.Context, in jobIDMsg) error { return e.ResumeJob(ctx, in.ID) }))
	add("cancel-job", do(func(ctx context.Context, in jobIDMsg) error { return e.CancelJob(ctx, in.ID) }))
	add("retry-job", do(func(ctx context.Context, in jobIDMsg) error { return e.RetryJob(ctx, in.ID) }))
	add("forget-job", do(func(ctx context.Context, in jobIDMsg) error { return e.ForgetJob(ctx, in.ID) }))
	add("queue", call(func(ctx context.Context, _ nothing) (transfer.Queue, error) { return e.Queue(ctx) }))
	add("hold-queue", do(func(ctx context.Context, in yesMsg) error { return e.HoldQueue(ctx, in.Yes) }))
	add("move-job", do(func(ctx context.Context, in moveMsg) error { return e.MoveJob(ctx, in.ID, in.To) }))
	add("set-limits", do(func(ctx context.Context, in transfer.Limits) error { return e.SetLimits(ctx, in) }))
	add("pieces", call(func(ctx context.Context, in jobIDMsg) ([]transfer.FileMap, error) { return e.Pieces(ctx, in.ID) }))
	add("wait", call(func(ctx context.Context, in versionMsg) (versionMsg, error) {
		v, err := e.Wait(ctx, in.Version)
		return versionMsg{v}, err
	}))
}

// handler answers one call: body is the request whole. It returns an error only before it wrote anything.
type handler func(ctx context.Context, body []byte, w http.ResponseWriter) error

// answer reads the request, whole, so that the HTTP server notices a caller who goes away, and writes the error if there is one.
func (h handler) answer(life context.Context) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
		var long *http.MaxBytesError
		switch {
		case errors.As(err, &long):
			err = fmt.Errorf("%w: request of more than %d bytes", transfer.ErrLimit, long.Limit)
		case err != nil:
			return // the caller is gone
		default:
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // the limit is for requests; left on, it would end long calls
			err = h(r.Context(), body, w)
		}
		if err == nil {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(failureOf(stopped(life, err))) // a caller who is gone needs no answer
	})
}

// stopped turns the end of the engine into what it means for the caller.
func stopped(life context.Context, err error) error {
	if life.Err() != nil && errors.Is(err, context.Canceled) {
		return ErrNoEngine
	}
	return err
}

// call answers with a value.
func call[In, Out any](f func(context.Context, In) (Out, error)) handler {
	return func(ctx context.Context, body []byte, w http.ResponseWriter) error {
		in, err := decode[In](body)
		if err != nil {
			return err
		}
		out, err := f(ctx, in)
		if err != nil {
			return err
		}
		data, err := json.Marshal(out)
		if err != nil {
			return fmt.Errorf("encode the answer: %w", err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data)
		return nil
	}
}

// do answers that something was done.
func do[In any](f func(context.Context, In) error) handler {
	return call(func(ctx context.Context, in In) (nothing, error) { return nothing{}, f(ctx, in) })
}

func decode[In any](body []byte) (in In, err error) {
	if err := json.Unmarshal(body, &in); err != nil {
		return in, fmt.Errorf("%w: request: %w", ErrVersion, err)
	}
	return in, nil
}
