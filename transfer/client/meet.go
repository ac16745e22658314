package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"porchlight/discovery/canon"
	"porchlight/discovery/workgroup"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// Meeting is a conversation with a device that is no neighbour yet, on one connection and no other: what is proved in it is proved
// on that connection. Its calls come in the order of package pairing; after an error it is over. Not for use by several goroutines at
// once, but for Close.
type Meeting struct {
	conn  *link.Conn
	http  *http.Client
	ctx   context.Context //nolint:containedctx // of the whole conversation
	stop  func() bool
	every time.Duration // between two signs that the other side's people are still wanted

	mu   sync.Mutex    // guards the fields below
	quit chan struct{} // closed to end keep; nil when it does not run
	kept chan struct{} // closed when it has ended
}

// Meet begins a conversation on the connection of g, which it closes when ctx ends or Close is called.
func Meet(ctx context.Context, g link.Greeting) *Meeting {
	m := &Meeting{conn: g.Conn, ctx: ctx, every: wire.ClientIdle / 2}
	var taken atomic.Bool
	m.http = &http.Client{
		Transport: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				if taken.Swap(true) {
					return nil, transfer.ErrAway // a second one would be another connection, on which nothing was proved
				}
				return g.Conn, nil
			},
			DisableCompression:     true,
			MaxConnsPerHost:        1,
			MaxResponseHeaderBytes: wire.MaxHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	m.stop = context.AfterFunc(ctx, func() { g.Conn.Close() })
	return m
}

// Close ends the conversation and its connection.
func (m *Meeting) Close() error {
	m.stop()
	err := m.conn.Close()
	m.rest()
	m.http.CloseIdleConnections()
	return err
}

// Join sends message 1 of a join by code and returns message 2.
func (m *Meeting) Join(ctx context.Context, msg []byte) ([]byte, error) {
	return m.exchange(ctx, wire.RouteJoin, msg)
}

// JoinConfirm sends message 3 and returns message 4. pairing.ErrProof says that the code is another one.
func (m *Meeting) JoinConfirm(ctx context.Context, msg []byte) ([]byte, error) {
	return m.exchange(ctx, wire.RouteJoinConfirm, msg)
}

// JoinResult waits until a person over there decided; beat is called while they have not. discovery.ErrDeclined is their no.
func (m *Meeting) JoinResult(ctx context.Context, beat func()) (workgroup.Welcome, error) {
	return welcomed(m.result(ctx, http.MethodGet, wire.RouteJoinResult, nil, beat))
}

// Begin sends message 0 of a comparison and returns message 1.
func (m *Meeting) Begin(ctx context.Context, msg []byte) ([]byte, error) {
	return m.exchange(ctx, wire.RouteSAS, msg)
}

// Reveal sends message 2 and returns message 3.
func (m *Meeting) Reveal(ctx context.Context, msg []byte) ([]byte, error) {
	out, err := m.exchange(ctx, wire.RouteSASReveal, msg)
	if err == nil {
		m.mu.Lock()
		m.quit, m.kept = make(chan struct{}), make(chan struct{})
		go m.keep(m.quit, m.kept)
		m.mu.Unlock()
	}
	return out, err
}

// keep keeps the connection while a person looks at pictures: an idle one would be closed.
func (m *Meeting) keep(quit <-chan struct{}, kept chan<- struct{}) {
	defer close(kept)
	tick := time.NewTicker(m.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-quit:
			return
		case <-m.conn.Session.Gone():
			return
		}
		if err := m.sign(); err != nil {
			m.conn.Close() //nolint:errcheck // nobody is there any more
			return
		}
	}
}

// sign tells the other side that this one is still here. It is over soon, whatever happens.
func (m *Meeting) sign() error {
	ctx, cancel := context.WithTimeout(m.ctx, wire.OfflineAfter)
	defer cancel()
	body, err := m.ask(ctx, http.MethodGet, wire.RouteSASConfirm, nil)
	if err != nil {
		return err
	}
	return body.Close()
}

// rest ends keep, if it runs. A sign that is under way comes to its end: to break it off would break the connection.
func (m *Meeting) rest() {
	m.mu.Lock()
	quit, kept := m.quit, m.kept
	m.quit = nil
	m.mu.Unlock()
	if quit != nil {
		close(quit)
	}
	if kept != nil {
		<-kept
	}
}

// Confirm says what the person here said, and waits for the one over there; beat is called meanwhile. It returns a welcome if the
// meeting was for that. discovery.ErrDifferent says that one of them said no; discovery.ErrDeclined, that the pictures are the same
// and this device is not let in.
func (m *Meeting) Confirm(ctx context.Context, same bool, beat func()) (*workgroup.Welcome, error) {
	m.rest()
	r, err := m.result(ctx, http.MethodPost, wire.RouteSASConfirm, wire.Match{Same: same}, beat)
	return r.Welcome, err
}

// Recover shows that this device has a recovery code (ledger.RecoveryKey.Prove), and returns the ledger of its workgroup.
// transfer.ErrGone says that the device is in no workgroup of that code.
func (m *Meeting) Recover(ctx context.Context, proof []byte) (workgroup.Welcome, error) {
	return welcomed(m.result(ctx, http.MethodPost, wire.RouteRecover, wire.RecoveryProof{Proof: proof}, func() {}))
}

// welcomed takes a result that has to be a welcome.
func welcomed(r wire.Result, err error) (workgroup.Welcome, error) {
	if err == nil && r.Welcome == nil {
		err = transfer.ErrProtocol
	}
	if err != nil {
		return workgroup.Welcome{}, err
	}
	return *r.Welcome, nil
}

// exchange sends one message of package pairing and returns the one that answers it.
func (m *Meeting) exchange(ctx context.Context, route string, msg []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, wire.StallTime, transfer.ErrAway)
	defer cancel()
	body, err := m.ask(ctx, http.MethodPost, route, wire.PairMessage{Msg: msg})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, wire.MaxPairMessage+1))
	if err != nil {
		return nil, away(ctx, err)
	}
	var a wire.PairMessage
	if err := canon.UnmarshalOpen(data, &a); err != nil || len(data) > wire.MaxPairMessage {
		return nil, errors.Join(transfer.ErrProtocol, err)
	}
	return a.Msg, nil
}

// result asks and reads what a meeting ends with. Silence for wire.OfflineAfter ends it, and so does an answer that takes longer than a
// person may.
func (m *Meeting) result(ctx context.Context, method, route string, msg any, beat func()) (wire.Result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, wire.DecisionTime+wire.StallTime, transfer.ErrAway)
	defer cancel()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	silent := time.AfterFunc(wire.OfflineAfter, func() { giveUp(transfer.ErrAway) })
	defer silent.Stop()
	body, err := m.ask(ctx, method, route, msg)
	if err != nil {
		return wire.Result{}, err
	}
	defer body.Close()
	r, err := wire.ReadResult(canon.NewReader(patient{ctx, body}), func() {
		silent.Reset(wire.OfflineAfter)
		beat()
	})
	return r, broken(err)
}

// patient is a body without a watchdog of its own.
type patient struct {
	ctx context.Context //nolint:containedctx // of this one answer
	r   io.Reader
}

func (p patient) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = away(p.ctx, err)
	}
	return n, err
}

// ask sends a request, with a message unless that is nil, and returns the body of a success.
func (m *Meeting) ask(ctx context.Context, method, route string, msg any) (io.ReadCloser, error) {
	var body io.Reader
	if msg != nil {
		b, err := canon.Marshal(msg)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://device"+route, body)
	if err != nil {
		return nil, err
	}
	res, err := m.http.Do(req)
	if err != nil {
		return nil, away(ctx, err)
	}
	if res.StatusCode == http.StatusOK || res.StatusCode == http.StatusNoContent {
		return res.Body, nil
	}
	defer res.Body.Close()
	data, _ := io.ReadAll(io.LimitReader(res.Body, wire.MaxErrorBody)) //nolint:errcheck // the status alone says enough
	return nil, wire.ErrorOf(res.StatusCode, data)
}

// broken says of a sequence that could not be read what it means.
func broken(err error) error {
	switch {
	case errors.Is(err, canon.ErrCut):
		return fmt.Errorf("%w: %w", transfer.ErrAway, err)
	case errors.Is(err, canon.ErrMessage):
		return fmt.Errorf("%w: %w", transfer.ErrProtocol, err)
	}
	return err
}

// sequenceOf is a body made of items.
func sequenceOf(items func(write func(any) error) error) (io.Reader, error) {
	var b bytes.Buffer
	w := canon.NewWriter(&b)
	if err := items(w.Write); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return bytes.NewReader(b.Bytes()), nil
}
