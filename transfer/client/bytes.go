package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"porchlight/discovery/canon"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

func bytesReader(b []byte) io.Reader { return bytes.NewReader(b) }

// Read copies one range of version v of a file into w, in order. It returns nil only when w got exactly rg.Len bytes.
// rg.Len is at most wire.MaxRange.
func (c *Client) Read(ctx context.Context, id share.ID, p share.Path, v share.Version, rg transfer.Range, w io.Writer) error {
	if rg.Len == 0 {
		return nil
	}
	res, b, err := c.do(ctx, request{
		class: link.Bulk, path: wire.RouteShare + id.String() + wire.RouteFile, query: url.Values{"path": {string(p)}},
		header: http.Header{"If-Match": {`"` + v.String() + `"`}, "Range": {fmt.Sprintf("bytes=%d-%d", rg.Off, rg.Off+rg.Len-1)}},
	})
	if err != nil {
		return err
	}
	defer b.Close()
	if a, ok := w.(Advised); ok {
		if text := res.Header.Get(wire.HeaderAdvice); text != "" && len(text) <= wire.MaxAdvice {
			a.Advised(text)
		}
	}
	return copyRange(w, res, b, rg.Len)
}

// Advised is a writer that wants to know what the owner of a file would like to be asked for next (swarm.ParseAdvice).
type Advised interface{ Advised(text string) }

// copyRange copies the answer about a range of n bytes, all of it or fails.
func copyRange(w io.Writer, res *http.Response, b io.Reader, n int64) error {
	if res.StatusCode != http.StatusPartialContent || res.ContentLength != n {
		return transfer.ErrProtocol
	}
	got, err := copyLarge(w, b, n)
	if err != nil {
		return err
	}
	if got != n {
		return fmt.Errorf("%w: %d of %d bytes", transfer.ErrAway, got, n)
	}
	return nil
}

// copyLarge copies n bytes. A writer that reads for itself (io.ReaderFrom) chooses its own buffers.
func copyLarge(w io.Writer, r io.Reader, n int64) (int64, error) {
	if rf, ok := w.(io.ReaderFrom); ok {
		return rf.ReadFrom(io.LimitReader(r, n))
	}
	return io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(r, n), make([]byte, 256<<10))
}

// Packed is the head of one small file of a pack.
type Packed struct {
	Index int   // into the question
	Size  int64 // −1: gone or changed, no bytes follow
	Root  content.Hash
}

// Pack fetches small files, at most wire.MaxPackItems, in one answer, in the order asked. yield must read all of body.
func (c *Client) Pack(ctx context.Context, id share.ID, want []share.Entry, yield func(Packed, io.Reader) error) error {
	var q bytes.Buffer
	enc := canon.NewWriter(&q)
	for _, e := range want {
		if err := enc.Write(wire.PackItem{Path: string(e.Path), Version: e.Version[:]}); err != nil {
			return err
		}
	}
	if err := enc.Close(); err != nil {
		return err
	}
	_, b, err := c.do(ctx, request{class: link.Bulk, method: http.MethodPost, path: wire.RouteShare + id.String() + wire.RoutePack, body: &q})
	if err != nil {
		return err
	}
	defer b.Close()
	r := canon.NewReader(bufio.NewReaderSize(b, 256<<10))
	for i := 0; ; i++ {
		var h wire.PackHead
		err := r.Read(&h)
		if errors.Is(err, io.EOF) {
			if i != len(want) {
				return transfer.ErrProtocol
			}
			ended(r.Body())
			return nil
		}
		if errors.Is(err, canon.ErrCut) {
			return fmt.Errorf("%w: %w", transfer.ErrAway, err)
		}
		if errors.Is(err, canon.ErrMessage) {
			return fmt.Errorf("%w: %w", transfer.ErrProtocol, err)
		}
		if err != nil {
			return err
		}
		if err := packed(r, h, i, want, yield); err != nil {
			return err
		}
	}
}

// ended reads the end of an answer that said all it had to say. Only then net/http uses its connection again: the next request would dial, and who dials
// often is made to wait by the other side.
func ended(r io.Reader) {
	var more [1]byte
	r.Read(more[:]) //nolint:errcheck // closing the answer closes the connection if anything but the end comes
}

// packed checks one head and hands out its bytes.
func packed(r *canon.Reader, h wire.PackHead, i int, want []share.Entry, yield func(Packed, io.Reader) error) error {
	if h.I != i || i >= len(want) || h.Size < -1 || h.Size > wire.MaxPackFile || h.Size >= 0 && (len(h.Root) != 32 || h.Size != want[i].Size) {
		return transfer.ErrProtocol
	}
	p := Packed{Index: i, Size: h.Size}
	if h.Size < 0 {
		return yield(p, bytes.NewReader(nil))
	}
	p.Root = content.Hash(h.Root)
	lr := &io.LimitedReader{R: r.Body(), N: h.Size}
	if err := yield(p, lr); err != nil {
		return err
	}
	if lr.N > 0 {
		if _, err := io.Copy(io.Discard, lr); err != nil {
			return err
		}
	}
	return nil
}

// Layer asks for the content description of version v of a file.
func (c *Client) Layer(ctx context.Context, id share.ID, p share.Path, v share.Version) (content.Layer, error) {
	var a wire.LayerAnswer
	err := c.ask(ctx, request{
		class: link.Slow, path: wire.RouteShare + id.String() + wire.RouteLayer, query: url.Values{"path": {string(p)}},
		header: http.Header{"If-Match": {`"` + v.String() + `"`}},
	}, wire.MaxLayer, &a)
	if err != nil {
		return content.Layer{}, err
	}
	if len(a.Version) != len(v) || share.Version(a.Version) != v {
		return content.Layer{}, transfer.ErrChanged
	}
	return a.Content()
}
