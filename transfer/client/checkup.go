package client

import (
	"context"

	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// Checkup asks the device what it knows of this one. It returns transfer.ErrGone if it knows no such question.
func (c *Client) Checkup(ctx context.Context) (wire.Checkup, error) {
	var a wire.Checkup
	err := c.ask(ctx, request{class: link.Slow, path: wire.RouteDoctor}, wire.MaxCheckup, &a)
	return a, err
}
