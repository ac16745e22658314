// Package client asks a peer for listings and content.
//
// Every answer is checked before it is passed on: sizes, names, versions, counts. Every wait has an end: an answer that makes
// no progress for 30 s is given up with transfer.ErrAway.
package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/canon"
	"porchlight/share"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/pace"
	"porchlight/transfer/wire"
)

// Client asks one device. Safe for concurrent use.
type Client struct {
	// Downloads limits the bytes of files that arrive; nil, as New leaves it, does not. It is set before the first question.
	Downloads *pace.Limit
	peer      *link.Peer
}

// New returns a client over the connections of peer.
func New(peer *link.Peer) *Client { return &Client{peer: peer} }

// ID is the device asked.
func (c *Client) ID() discovery.DeviceID { return c.peer.ID }

// request is one question.
type request struct {
	class  link.Class
	method string
	path   string
	query  url.Values
	header http.Header
	body   io.Reader
	stall  time.Duration // wire.StallTime if zero
}

// do asks and returns the body of a success. The caller closes it. The body ends with transfer.ErrAway when it stalls.
func (c *Client) do(ctx context.Context, q request) (*http.Response, io.ReadCloser, error) {
	if q.method == "" {
		q.method = http.MethodGet
	}
	if q.stall == 0 {
		q.stall = wire.StallTime
	}
	ctx, cancel := context.WithCancelCause(ctx)
	u := "http://device" + q.path
	if len(q.query) > 0 {
		u += "?" + q.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, q.method, u, q.body)
	if err != nil {
		cancel(nil)
		return nil, nil, err
	}
	for k, v := range q.header {
		req.Header[k] = v
	}
	dog := newWatchdog(q.stall, func() { cancel(transfer.ErrAway) })
	res, err := c.peer.Client(q.class).Do(req)
	if err != nil {
		dog.stop()
		err = away(ctx, err)
		cancel(nil)
		return nil, nil, err
	}
	b := &body{ReadCloser: res.Body, ctx: ctx, cancel: cancel, dog: dog, who: c.peer.ID}
	if q.class == link.Bulk {
		b.limit = c.Downloads
	}
	switch res.StatusCode {
	case http.StatusOK, http.StatusNoContent, http.StatusPartialContent:
	default: // an error, or what no server of this protocol answers: redirects, or taking over the connection
		data, _ := io.ReadAll(io.LimitReader(b, wire.MaxErrorBody)) //nolint:errcheck // the status alone says enough
		b.Close()
		return nil, nil, wire.ErrorOf(res.StatusCode, data)
	}
	return res, b, nil
}

// away turns a failed connection into transfer.ErrAway, and leaves the caller's own cancellation as it is.
func away(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil { // asked first: the watchdog may bark while this runs
		if errors.Is(context.Cause(ctx), transfer.ErrAway) {
			return fmt.Errorf("%w: no progress", transfer.ErrAway)
		}
		return ended
	}
	for _, known := range []error{transfer.ErrAway, transfer.ErrProtocol, transfer.ErrUnsupported, transfer.ErrBusy} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", transfer.ErrAway, err)
}

// body is an answer being read under a watchdog.
type body struct {
	io.ReadCloser
	ctx    context.Context //nolint:containedctx // of this one answer
	cancel context.CancelCauseFunc
	dog    *watchdog
	limit  *pace.Limit // of what is read; may be nil
	who    discovery.DeviceID
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.dog.fed(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = away(b.ctx, err)
	}
	if b.limit != nil && n > 0 {
		if wait := b.limit.Take(b.ctx, b.who, n); wait != nil && err == nil {
			err = away(b.ctx, wait)
		}
	}
	return n, err
}

func (b *body) Close() error {
	b.dog.stop()
	b.cancel(nil)
	return b.ReadCloser.Close()
}

// watchdog barks when fewer than wire.StallBytes came within its time.
type watchdog struct {
	timer *time.Timer
	every time.Duration
	n     atomic.Int64
}

func newWatchdog(every time.Duration, bark func()) *watchdog {
	d := &watchdog{every: every}
	d.timer = time.AfterFunc(every, bark)
	return d
}

func (d *watchdog) fed(n int) {
	if d.n.Add(int64(n)) >= wire.StallBytes {
		d.n.Store(0)
		d.timer.Reset(d.every)
	}
}

func (d *watchdog) stop() { d.timer.Stop() }

// ask reads an answer of one message.
func (c *Client) ask(ctx context.Context, q request, most int64, a any) error {
	_, b, err := c.do(ctx, q)
	if err != nil {
		return err
	}
	defer b.Close()
	data, err := io.ReadAll(io.LimitReader(b, most))
	if err != nil {
		return err
	}
	if err := canon.UnmarshalOpen(data, a); err != nil {
		return fmt.Errorf("%w: %w", transfer.ErrProtocol, err)
	}
	return nil
}

// Shares lists what the device offers to this one.
func (c *Client) Shares(ctx context.Context) ([]share.Offer, error) {
	var out []share.Offer
	err := sequence(ctx, c, request{path: wire.RouteShares}, func(i wire.ShareItem) error {
		o, err := i.Offer()
		if err != nil {
			return err
		}
		if len(out) == share.MaxShares {
			return transfer.ErrLimit
		}
		out = append(out, o)
		return nil
	})
	return out, err
}

// Hints are the neighbours the device knows of.
func (c *Client) Hints(ctx context.Context) ([]wire.PeerHint, error) {
	var out []wire.PeerHint
	err := sequence(ctx, c, request{path: wire.RoutePeers}, func(h wire.PeerHint) error {
		if len(out) == wire.MaxPeers {
			return transfer.ErrLimit
		}
		if err := h.Check(); err != nil {
			return err
		}
		out = append(out, h)
		return nil
	})
	return out, err
}

// sequence reads an answer item by item.
func sequence[T any](ctx context.Context, c *Client, q request, each func(T) error) error {
	_, b, err := c.do(ctx, q)
	if err != nil {
		return err
	}
	defer b.Close()
	for r := canon.NewReader(b); ; {
		var item T
		switch err := r.Read(&item); {
		case errors.Is(err, io.EOF):
			ended(r.Body())
			return nil
		case errors.Is(err, canon.ErrCut):
			return fmt.Errorf("%w: %w", transfer.ErrAway, err)
		case errors.Is(err, canon.ErrMessage):
			return fmt.Errorf("%w: %w", transfer.ErrProtocol, err)
		case err != nil:
			return err
		}
		if err := each(item); err != nil {
			return err
		}
	}
}

// List reads one folder, sorted by the other side, entry by entry as it arrives.
func (c *Client) List(ctx context.Context, id share.ID, p share.Path, s share.Sort, yield func(share.Entry) error) error {
	return c.list(ctx, id, p, url.Values{"path": {string(p)}, "sort": {string(s)}}, true, yield)
}

// Manifest reads everything at and below p: a folder before its content.
func (c *Client) Manifest(ctx context.Context, id share.ID, p share.Path, yield func(share.Entry) error) error {
	return c.list(ctx, id, p, url.Values{"path": {string(p)}, "deep": {"1"}}, false, yield)
}

func (c *Client) list(ctx context.Context, id share.ID, p share.Path, q url.Values, plain bool, yield func(share.Entry) error) error {
	n, most := 0, wire.MaxDeep
	if plain {
		most = wire.MaxListed
	}
	return sequence(ctx, c, request{path: wire.RouteShare + id.String() + wire.RouteList, query: q}, func(i wire.EntryItem) error {
		e, err := i.Entry(p)
		if err != nil {
			return fmt.Errorf("%w: %w", transfer.ErrProtocol, err)
		}
		if plain && e.Kind != share.Other && (e.Path.Dir() != p || e.Path == p) {
			return transfer.ErrProtocol // a plain listing has names, not paths
		}
		if n++; n > most {
			return transfer.ErrLimit // it never ends
		}
		return yield(e)
	})
}

// SetWatch names the folders whose changes are wanted as events.
func (c *Client) SetWatch(ctx context.Context, dirs []wire.WatchDir) error {
	b, err := canon.Marshal(wire.Watch{Dirs: dirs})
	if err != nil {
		return err
	}
	_, body, err := c.do(ctx, request{method: http.MethodPut, path: wire.RouteWatch, body: bytesReader(b)})
	if err != nil {
		return err
	}
	return body.Close()
}

// Events reads the device's event stream until it ends or ctx does. quiet is called when nothing came for wire.SuspectAfter, and
// heard again with the next item; after wire.OfflineAfter of silence it returns transfer.ErrAway.
func (c *Client) Events(ctx context.Context, heard func(wire.Event), quiet func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	suspect := time.AfterFunc(wire.SuspectAfter, quiet)
	defer suspect.Stop()
	dead := time.AfterFunc(wire.OfflineAfter, func() { cancel(transfer.ErrAway) })
	defer dead.Stop()
	err := sequence(ctx, c, request{class: link.Stream, path: wire.RouteEvents, stall: 1 << 62}, func(e wire.Event) error {
		suspect.Reset(wire.SuspectAfter)
		dead.Reset(wire.OfflineAfter)
		heard(e)
		return nil
	})
	if context.Cause(ctx) != nil && errors.Is(context.Cause(ctx), transfer.ErrAway) {
		return transfer.ErrAway
	}
	return err
}

// rawIdle is how long Raw waits for more of an answer that never ends.
const rawIdle = time.Second

// Raw asks for any route and returns the answer as it is, at most 1 MiB of it, and of an endless one what came until it paused.
func (c *Client) Raw(ctx context.Context, path string) (status int, contentType string, data []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, wire.StallTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://device"+path, nil)
	if err != nil {
		return 0, "", nil, err
	}
	res, err := c.peer.Client(link.Quick).Do(req)
	if err != nil {
		return 0, "", nil, away(ctx, err)
	}
	defer res.Body.Close()
	idle := time.AfterFunc(rawIdle, cancel)
	defer idle.Stop()
	body, buf := io.LimitReader(res.Body, 1<<20), make([]byte, 32<<10)
	for err == nil {
		var n int
		n, err = body.Read(buf)
		data = append(data, buf[:n]...)
		idle.Reset(rawIdle)
	}
	if errors.Is(err, io.EOF) || ctx.Err() != nil && len(data) > 0 {
		err = nil
	}
	return res.StatusCode, res.Header.Get("Content-Type"), data, err
}
