package link

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/canon"
	"porchlight/discovery/identity"
	"porchlight/transfer"
	"porchlight/transfer/wire"
)

// dialTime bounds the TCP connection: on one LAN an answer takes milliseconds, and a firewall that drops takes for ever.
const dialTime = 3 * time.Second

// Dialer makes connections to other devices.
type Dialer struct {
	Identity *identity.Identity
	// Hello is what this device says of itself on the connection of s, with the proofs for that one. to is the other side's hello
	// when this is the answer to it, which a Dialer never asks for: nil.
	Hello func(s *Session, to *wire.Hello) wire.Hello
	// Net dials TCP; the system's if nil. Tests put a network in memory here.
	Net func(ctx context.Context, addr netip.AddrPort) (net.Conn, error)
	// Tried is told how each attempt ended, but for those that were given up; may be nil.
	Tried func(want *discovery.DeviceID, addr netip.AddrPort, err error)
}

// Greeting is a new connection and what the other side said on it.
type Greeting struct {
	Conn   *Conn
	Answer wire.Hello
	Addr   netip.AddrPort
}

// Dial connects to addr, proves that the device is want (any device if nil), says hello and returns the connection ready
// for HTTP requests. It returns transfer.ErrAway (wrapped) when nobody answers there.
func (d *Dialer) Dial(ctx context.Context, want *discovery.DeviceID, addr netip.AddrPort) (Greeting, error) {
	c, err := d.connect(ctx, want, addr)
	if err != nil {
		return Greeting{}, err
	}
	answer, err := d.greet(ctx, c, false)
	if err != nil {
		c.Close()
		return Greeting{}, err
	}
	return Greeting{c, answer, addr}, nil
}

// Lend connects to addr and offers the connection to the other side to make its requests on. The caller pushes it to its
// own Listener. used is closed when the other side has taken it into use.
func (d *Dialer) Lend(ctx context.Context, want discovery.DeviceID, addr netip.AddrPort) (c *Conn, used <-chan struct{}, err error) {
	c, err = d.connect(ctx, &want, addr)
	if err != nil {
		return nil, nil, err
	}
	if _, err = d.greet(ctx, c, true); err != nil {
		c.Close()
		return nil, nil, err
	}
	c.again()
	return c, c.Session.used, nil
}

func (d *Dialer) connect(ctx context.Context, want *discovery.DeviceID, addr netip.AddrPort) (_ *Conn, err error) {
	defer func() {
		if d.Tried != nil && (err == nil || ctx.Err() == nil) {
			d.Tried(want, addr, err)
		}
	}()
	tctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	dial := d.Net
	if dial == nil {
		dial = func(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
			return (&net.Dialer{KeepAlive: -1}).DialContext(ctx, "tcp", addr.String())
		}
	}
	raw, err := dial(tctx, addr)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", transfer.ErrAway, err)
	}
	return d.connectOver(ctx, want, raw)
}

// connectOver shakes hands over a connection, and closes it if that fails.
func (d *Dialer) connectOver(ctx context.Context, want *discovery.DeviceID, raw net.Conn) (*Conn, error) {
	k := &cork{Conn: raw}
	k.stranger()
	t := tls.Client(k, config(d.Identity, want))
	hctx, cancel := context.WithTimeout(ctx, wire.HandshakeTime)
	defer cancel()
	if err := t.HandshakeContext(hctx); err != nil {
		raw.Close()
		if errors.Is(err, identity.ErrOtherDevice) || errors.Is(err, identity.ErrProtocol) || errors.Is(err, identity.ErrCertificate) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", transfer.ErrAway, err)
	}
	k.friend() // from here on each answer has its own limit
	c, err := newConn(t, k)
	if err != nil {
		raw.Close()
		return nil, err
	}
	return c, nil
}

// Adopt says hello on a connection the other side has lent, and makes it usable like a dialled one.
func (d *Dialer) Adopt(ctx context.Context, c *Conn) (wire.Hello, error) {
	c.again()
	return d.greet(ctx, c, false)
}

// greet sends the hello and reads its answer. With lend it asks the other side to take the connection over (101).
func (d *Dialer) greet(ctx context.Context, c *Conn, lend bool) (wire.Hello, error) {
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) }) //nolint:errcheck // the connection is dead then
	defer stop()
	if err := c.SetDeadline(time.Now().Add(wire.HelloTime)); err != nil {
		return wire.Hello{}, fmt.Errorf("%w: %w", transfer.ErrAway, err)
	}
	h := d.Hello(c.Session, nil)
	if lend { // whoever takes the connection could send these proofs back as its own
		h.Proofs = nil
	}
	h, err := h.Padded(rand.Reader)
	if err != nil {
		return wire.Hello{}, err
	}
	body, err := canon.Marshal(h)
	if err != nil {
		return wire.Hello{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://device"+wire.RouteHello, bytes.NewReader(body))
	if err != nil {
		return wire.Hello{}, err
	}
	req.Header.Set("Content-Type", wire.TypeCBOR)
	if lend {
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", wire.Reverse)
	}
	if err := req.Write(c); err != nil {
		return wire.Hello{}, fmt.Errorf("%w: %w", transfer.ErrAway, err)
	}
	answer, err := d.answer(c, req, lend)
	if err != nil {
		return wire.Hello{}, err
	}
	c.Session.SetHello(answer)
	return answer, c.SetDeadline(time.Time{})
}

func (d *Dialer) answer(c *Conn, req *http.Request, lend bool) (wire.Hello, error) {
	br := bufio.NewReaderSize(io.LimitReader(c, wire.MaxHelloAnswer+wire.MaxHeader), 4<<10)
	res, err := http.ReadResponse(br, req)
	if err != nil {
		return wire.Hello{}, fmt.Errorf("%w: %w", transfer.ErrAway, err)
	}
	defer res.Body.Close()
	if lend {
		if res.StatusCode != http.StatusSwitchingProtocols {
			return wire.Hello{}, transfer.ErrUnsupported
		}
		c.left, err = br.Peek(br.Buffered()) // the other side may have begun to ask already
		return wire.Hello{}, err
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, wire.MaxHelloAnswer))
	if err != nil {
		return wire.Hello{}, fmt.Errorf("%w: %w", transfer.ErrAway, err)
	}
	if res.StatusCode != http.StatusOK {
		return wire.Hello{}, wire.ErrorOf(res.StatusCode, data)
	}
	var answer wire.Hello
	if err := canon.UnmarshalOpen(data, &answer); err != nil {
		return wire.Hello{}, fmt.Errorf("%w: %w", transfer.ErrProtocol, err)
	}
	if err := answer.Check(); err != nil {
		return wire.Hello{}, err
	}
	if br.Buffered() > 0 {
		return wire.Hello{}, transfer.ErrProtocol
	}
	return answer, nil
}
