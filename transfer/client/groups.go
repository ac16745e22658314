package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"porchlight/discovery/canon"
	"porchlight/discovery/keyring"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

var _ workgroup.Remote = (*Client)(nil)

// groupPath is where the other side answers about a workgroup.
func groupPath(id workgroup.ID, what string) string { return wire.RouteGroup + id.String() + what }

// Compare tells the device what ledger this one has of a workgroup, and returns what it has. transfer.ErrGone says that it knows no
// such workgroup, or does not take this device for a member.
func (c *Client) Compare(ctx context.Context, id workgroup.ID, have workgroup.Summary) (workgroup.Summary, error) {
	b, err := have.Encode()
	if err != nil {
		return workgroup.Summary{}, err
	}
	data, err := c.whole(ctx, request{class: link.Slow, method: http.MethodPost, path: groupPath(id, wire.RouteSync), body: bytesReader(b)}, wire.MaxSyncAnswer)
	if err != nil {
		return workgroup.Summary{}, err
	}
	s, err := workgroup.ParseSummary(data)
	if err != nil {
		return workgroup.Summary{}, fmt.Errorf("%w: %w", transfer.ErrProtocol, err)
	}
	return s, nil
}

// Give hands entries over, parents first, and returns what is missing there.
func (c *Client) Give(ctx context.Context, id workgroup.ID, entries [][]byte) ([]ledger.Prefix, error) {
	body, err := sequenceOf(func(write func(any) error) error { return wire.WriteEntries(write, entries) })
	if err != nil {
		return nil, err
	}
	var a wire.EntryIDs
	if err := c.ask(ctx, request{class: link.Slow, method: http.MethodPost, path: groupPath(id, wire.RouteEntries), body: body}, wire.MaxEntryIDs, &a); err != nil {
		return nil, err
	}
	return a.List()
}

// Take asks for entries, at most workgroup.MaxBatch.
func (c *Client) Take(ctx context.Context, id workgroup.ID, want []ledger.Prefix) ([][]byte, error) {
	b, err := canon.Marshal(wire.IDsOf(want))
	if err != nil {
		return nil, err
	}
	_, body, err := c.do(ctx, request{class: link.Slow, method: http.MethodPost, path: groupPath(id, wire.RouteFetch), body: bytesReader(b)})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	out, err := wire.ReadEntries(canon.NewReader(io.LimitReader(body, wire.MaxEntriesBody)))
	return out, broken(err)
}

// Keys asks for the ring of a workgroup, as keyring.Encode writes it. It returns workgroup.ErrSync before the ledgers were compared.
func (c *Client) Keys(ctx context.Context, id workgroup.ID) ([]byte, error) {
	ring, err := c.whole(ctx, request{class: link.Quick, path: groupPath(id, wire.RouteKeys)}, wire.MaxKeyRing)
	if err != nil {
		return nil, err
	}
	if _, err := keyring.Decode(ring); err != nil {
		return nil, fmt.Errorf("%w: %w", transfer.ErrProtocol, err)
	}
	return ring, nil
}

// Offer hands the device the welcome to a workgroup that continues one it is in, for its people to decide.
func (c *Client) Offer(ctx context.Context, w workgroup.Welcome) error {
	body, err := sequenceOf(func(write func(any) error) error { return wire.WriteWelcome(write, w) })
	if err != nil {
		return err
	}
	res, b, err := c.do(ctx, request{class: link.Slow, method: http.MethodPost, path: wire.RouteMove, body: body})
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusNoContent {
		err = transfer.ErrProtocol
	}
	return errors.Join(err, b.Close())
}

// whole reads an answer of at most most bytes as it is.
func (c *Client) whole(ctx context.Context, q request, most int64) ([]byte, error) {
	_, b, err := c.do(ctx, q)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	data, err := io.ReadAll(io.LimitReader(b, most+1))
	if err == nil && int64(len(data)) > most {
		err = transfer.ErrProtocol
	}
	return data, err
}
