package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"porchlight/app/config"
	"porchlight/discovery"
	"porchlight/share"
	"porchlight/transfer"
)

var _ Engine = (*Client)(nil)

// Client is an engine in another process. Safe for concurrent use. Close it when done.
type Client struct {
	http *http.Client
	pool *http.Transport
}

// Connect finds the engine that runs on a home; ErrNoEngine if there is none.
func Connect(ctx context.Context, home string) (*Client, error) {
	paths, err := config.FindSockets(home)
	if err != nil {
		return nil, err
	}
	why := []error{ErrNoEngine}
	for _, path := range paths {
		c, err := Dial(ctx, path)
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, ErrNoEngine) {
			return nil, err
		}
		why = append(why, err)
	}
	return nil, errors.Join(why...)
}

// Dial connects to the engine behind a socket. It returns ErrNoEngine when nobody listens there, and ErrVersion when that
// engine speaks another protocol. It waits five seconds at most.
func Dial(ctx context.Context, socketPath string) (*Client, error) {
	const most = 5 * time.Second // a computer that swaps answers late
	var d net.Dialer
	pool := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, most)
			defer cancel()
			return d.DialContext(ctx, "unix", socketPath)
		},
		MaxIdleConns:       4,
		IdleConnTimeout:    30 * time.Second, // less than the server's
		DisableCompression: true,
	}
	c := &Client{http: &http.Client{Transport: pool}, pool: pool}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	h, err := ask[hello](ctx, c, "hello", hello{Protocol: protocol})
	if err == nil && h.Protocol != protocol {
		err = ErrVersion
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect to %s: %w", socketPath, err), c.Close())
	}
	return c, nil
}

// Close gives up connections that are not in use.
func (c *Client) Close() error {
	c.pool.CloseIdleConnections()
	return nil
}

// post sends a call and returns the answer if it is one of success.
func (c *Client) post(ctx context.Context, name string, in any) (*http.Response, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", name, err)
	}
	if len(body) > maxRequest {
		return nil, fmt.Errorf("%w: request of more than %d bytes", transfer.ErrLimit, maxRequest)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://engine/v1/"+name, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(r)
	if err != nil {
		return nil, lost(ctx, err)
	}
	switch res.StatusCode {
	case http.StatusOK:
		return res, nil
	case http.StatusUnprocessableEntity:
		defer res.Body.Close()
		var f failure
		if err := json.NewDecoder(io.LimitReader(res.Body, maxRequest)).Decode(&f); err != nil {
			return nil, lost(ctx, err)
		}
		return nil, f.err()
	}
	return nil, errors.Join(fmt.Errorf("%w: %s: %s", ErrVersion, name, res.Status), res.Body.Close())
}

// ask makes a call that answers with one value.
func ask[Out any](ctx context.Context, c *Client, name string, in any) (out Out, err error) {
	res, err := c.post(ctx, name, in)
	if err != nil {
		return out, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return out, lost(ctx, err)
	case len(data) > maxAnswer:
		return out, fmt.Errorf("%w: answer of more than %d bytes", transfer.ErrLimit, maxAnswer)
	}
	if err := json.Unmarshal(data, &out); err != nil {
		return out, fmt.Errorf("%w: answer of %s: %w", ErrVersion, name, err)
	}
	return out, nil
}

func (c *Client) tell(ctx context.Context, name string, in any) error {
	_, err := ask[nothing](ctx, c, name, in)
	return err
}

// stream makes a call that answers with lines and hands them over until the last one.
func (c *Client) stream(ctx context.Context, name string, in any, each func(line) error) error {
	ctx, cancel := context.WithCancel(ctx) // closes the connection when each gives up
	defer cancel()
	res, err := c.post(ctx, name, in)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	for d := json.NewDecoder(res.Body); ; {
		var l line
		if err := d.Decode(&l); err != nil {
			return lost(ctx, err)
		}
		if l.Error != nil {
			return l.Error.err()
		}
		if l.End {
			_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1)) // to the end, so that the connection is used again
			return nil
		}
		if err := each(l); err != nil {
			return err
		}
	}
}

// List is Remote's.
func (c *Client) List(ctx context.Context, device discovery.DeviceID, sh share.ID, p share.Path, s share.Sort, yield func([]share.Entry) error) error {
	return c.stream(ctx, "list", folderMsg{device, sh, p, s}, func(l line) error {
		if len(l.Entries) == 0 {
			return nil
		}
		return yield(each(l.Entries, entryMsg.value))
	})
}

// Watch is Remote's.
func (c *Client) Watch(ctx context.Context, device discovery.DeviceID, sh share.ID, p share.Path, changed func()) error {
	return c.stream(ctx, "watch", folderMsg{Device: device, Share: sh, Path: p}, func(l line) error {
		if l.Changed {
			changed()
		}
		return nil
	})
}

// Raw is Remote's.
func (c *Client) Raw(ctx context.Context, device discovery.DeviceID, path string) (int, string, []byte, error) {
	res, err := c.post(ctx, "raw", rawMsg{device, path})
	if err != nil {
		return 0, "", nil, err
	}
	defer res.Body.Close()
	status, errStatus := strconv.Atoi(res.Header.Get(headerStatus))
	kind, errKind := strconv.Unquote(res.Header.Get(headerType))
	if err := errors.Join(errStatus, errKind); err != nil {
		return 0, "", nil, fmt.Errorf("%w: answer of raw: %w", ErrVersion, err)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, MaxRaw+1))
	switch {
	case err != nil:
		return 0, "", nil, lost(ctx, err)
	case len(body) > MaxRaw:
		return 0, "", nil, fmt.Errorf("%w: an answer of more than %d bytes", transfer.ErrLimit, MaxRaw)
	}
	return status, kind, body, nil
}
