package client

import (
	"context"
	"fmt"
	"io"

	"porchlight/discovery/canon"
	"porchlight/transfer"
	"porchlight/transfer/wire"
)

// Checkup asks the device what it knows of this one. It returns transfer.ErrGone if it knows no such question.
func (c *Client) Checkup(ctx context.Context) (wire.Checkup, error) {
	_, b, err := c.do(ctx, request{path: wire.RouteDoctor})
	if err != nil {
		return wire.Checkup{}, err
	}
	defer b.Close()
	data, err := io.ReadAll(io.LimitReader(b, wire.MaxCheckup))
	if err != nil {
		return wire.Checkup{}, err
	}
	var a wire.Checkup
	if err := canon.UnmarshalOpen(data, &a); err != nil {
		return wire.Checkup{}, fmt.Errorf("%w: %w", transfer.ErrProtocol, err)
	}
	return a, nil
}
