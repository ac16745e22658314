package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/canon"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// Swarm tells the owner of version v of a file that this device, self, pulls it and has the pieces of a map (wire.SwarmAsk), and
// returns who else does. With wait the answer comes when there is something new, or after some seconds. A device that knows no
// such question returns transfer.ErrGone, of a file too small for it transfer.ErrUnsupported.
func (c *Client) Swarm(ctx context.Context, self discovery.DeviceID, id share.ID, e share.Entry, bits []byte, wait bool) (wire.Swarm, error) {
	b, err := canon.Marshal(wire.SwarmAsk{Bits: bits, Wait: wait})
	if err != nil {
		return wire.Swarm{}, err
	}
	var a wire.SwarmAnswer
	err = c.ask(ctx, request{
		class: link.Slow, method: http.MethodPost, path: wire.RouteShare + id.String() + wire.RouteSwarm, query: url.Values{"path": {string(e.Path)}},
		header: http.Header{"If-Match": {`"` + e.Version.String() + `"`}}, body: bytesReader(b),
	}, wire.MaxSwarmAnswer, &a)
	if err != nil {
		return wire.Swarm{}, err
	}
	return a.Check(c.ID(), self, id, e.Path, e.Size, time.Now())
}

// Find asks for files of given sizes, at most wire.MaxFind, that this device may see.
func (c *Client) Find(ctx context.Context, sizes []int64) (out []wire.Found, err error) {
	b, err := canon.Marshal(wire.FindAsk{Sizes: sizes})
	if err != nil {
		return nil, err
	}
	err = sequence(ctx, c, request{class: link.Slow, method: http.MethodPost, path: wire.RouteFind, body: bytesReader(b)}, func(i wire.FindItem) error {
		if len(out) == wire.MaxFind*wire.MaxFound {
			return transfer.ErrLimit
		}
		f, err := i.Check()
		if err != nil {
			return err
		}
		out = append(out, f)
		return nil
	})
	return out, err
}

// Have is which pieces of a content a device has: piece i in bit 0x80>>(i&7) of byte i>>3.
type Have struct {
	Count int
	Bits  []byte
	Peers []discovery.DeviceID // who else has some, as that device says
}

// Have asks a device that gets the content of a root, or has got it, which pieces it has. The answer comes when there are
// more than since, or after some seconds. transfer.ErrGone says that it has nothing of it, or that the ticket is not good there.
func (c *Client) Have(ctx context.Context, root content.Hash, size int64, ticket wire.Signed, since int) (Have, error) {
	var a wire.HaveAnswer
	err := c.ask(ctx, request{
		class: link.Slow, path: wire.RouteContent + root.String() + wire.RouteHave, query: url.Values{"since": {strconv.Itoa(since)}},
		header: http.Header{wire.HeaderTicket: {ticket.Header()}},
	}, wire.MaxHaveAnswer, &a)
	if err != nil {
		return Have{}, err
	}
	peers, err := a.Check(content.Parts(size))
	return Have{Count: int(a.Count), Bits: a.Bits, Peers: peers}, err
}

// Content copies whole pieces of a content, at most wire.ContentPieces, into w, in order. It returns nil only when w got
// exactly rg.Len bytes; whether they are right only the layer tells.
func (c *Client) Content(ctx context.Context, root content.Hash, ticket wire.Signed, rg transfer.Range, w io.Writer) error {
	res, b, err := c.do(ctx, request{
		class: link.Bulk, path: wire.RouteContent + root.String(),
		header: http.Header{wire.HeaderTicket: {ticket.Header()}, "Range": {fmt.Sprintf("bytes=%d-%d", rg.Off, rg.Off+rg.Len-1)}},
	})
	if err != nil {
		return err
	}
	defer b.Close()
	return copyRange(w, res, b, rg.Len)
}
