package download

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
	"porchlight/transfer/client"
	"porchlight/transfer/wire"
)

// key signs as one device.
type key struct{ ed25519.PrivateKey }

func keyOf(b byte) key {
	return key{ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))}
}
func (k key) Public() ed25519.PublicKey { return k.PrivateKey.Public().(ed25519.PublicKey) }
func (k key) Sign(msg []byte) []byte    { return ed25519.Sign(k.PrivateKey, msg) }
func (k key) id() discovery.DeviceID    { return discovery.IDOf(k.Public()) }

// crowdSource is a fakeSource that tells of others.
type crowdSource struct {
	*fakeSource
	key    key
	asks   atomic.Int64
	clock  func() time.Time            // time.Now if nil
	others func() []discovery.DeviceID // none if nil
}

func newCrowdSource(others ...*fakeHelper) *crowdSource {
	s := &crowdSource{fakeSource: newFake(), key: keyOf(1)}
	if len(others) > 0 {
		s.others = func() (ids []discovery.DeviceID) {
			for _, h := range others {
				ids = append(ids, h.id)
			}
			return ids
		}
	}
	return s
}

func (s *crowdSource) Source(discovery.DeviceID) (Source, error) {
	if s.isDown() {
		return nil, transfer.ErrAway
	}
	return s, nil
}

func (s *crowdSource) Swarm(ctx context.Context, self discovery.DeviceID, sh share.ID, e share.Entry, bits []byte, wait bool) (wire.Swarm, error) {
	s.asks.Add(1)
	f, err := s.look(ctx, e.Path, e.Version)
	if err != nil {
		return wire.Swarm{}, err
	}
	if len(bits) != (content.Parts(e.Size)+7)/8 {
		return wire.Swarm{}, transfer.ErrProtocol
	}
	if wait && !sleep(ctx, 100*time.Millisecond) {
		return wire.Swarm{}, ctx.Err()
	}
	if s.others == nil {
		return wire.Swarm{}, nil
	}
	l, err := content.Build(ctx, bytes.NewReader(f.data), int64(len(f.data)), 1)
	if err != nil {
		return wire.Swarm{}, err
	}
	now := time.Now()
	if s.clock != nil {
		now = s.clock()
	}
	m, err := wire.SignManifest(wire.Manifest{Share: sh, Path: e.Path, Size: e.Size, MTime: f.mtime, Root: l.Root, Made: now}, s.key)
	if err != nil {
		return wire.Swarm{}, err
	}
	t, err := wire.SignTicket(wire.Ticket{Root: l.Root, Holder: self, Until: now.Add(wire.TicketTime)}, s.key)
	if err != nil {
		return wire.Swarm{}, err
	}
	a := wire.SwarmAnswer{Others: 1, Advice: ";open", Manifest: &m, Ticket: &t}
	for _, id := range s.others() {
		a.Peers = append(a.Peers, id[:])
	}
	return a.Check(s.key.id(), self, sh, e.Path, e.Size, time.Now())
}

// fakeHelper is a device that has content of others, as it says.
type fakeHelper struct {
	id   discovery.DeviceID
	data []byte
	has  []byte // all pieces if nil
	down atomic.Bool

	gave    atomic.Int64 // pieces
	last    atomic.Int64 // until when the ticket was that it saw last, s
	refuse  func() bool  // whether it takes the ticket no more; it does if nil
	content func(i int, p []byte) ([]byte, error)
	own     *fakeSource // what it shares itself
}

func newHelper(b byte, data []byte) *fakeHelper { return &fakeHelper{id: keyOf(b).id(), data: data} }

func (h *fakeHelper) Have(ctx context.Context, root content.Hash, size int64, ticket wire.Signed, since int) (client.Have, error) {
	if h.down.Load() {
		return client.Have{}, transfer.ErrAway
	}
	n := content.Parts(size)
	t, err := wire.OpenTicket(ticket)
	if err != nil || h.data == nil || int64(len(h.data)) != size || !t.Names(keyOf(9).id(), keyOf(1).id(), root) || h.refuse != nil && h.refuse() {
		return client.Have{}, transfer.ErrGone
	}
	h.last.Store(t.Until.Unix())
	bits := h.has
	if bits == nil {
		bits = make([]byte, (n+7)/8)
		for i := range n {
			bits[i>>3] |= 0x80 >> (i & 7)
		}
	}
	if since > 0 && !sleep(ctx, 100*time.Millisecond) {
		return client.Have{}, ctx.Err()
	}
	return client.Have{Count: n, Bits: bits}, nil
}

func (h *fakeHelper) Content(ctx context.Context, _ content.Hash, _ wire.Signed, rg transfer.Range, w io.Writer) error {
	for off := rg.Off; off < rg.Off+rg.Len; {
		if h.down.Load() || ctx.Err() != nil {
			return transfer.ErrAway
		}
		if h.refuse != nil && h.refuse() {
			return transfer.ErrGone
		}
		i := int(off / content.PieceSize)
		n := int64(content.PieceLen(int64(len(h.data)), i))
		p, err := h.data[off:off+n], error(nil)
		if h.content != nil {
			if p, err = h.content(i, bytes.Clone(p)); err != nil {
				return err
			}
		}
		if _, err := w.Write(p); err != nil {
			return err
		}
		h.gave.Add(1)
		off += n
	}
	return nil
}

func (h *fakeHelper) Find(_ context.Context, sizes []int64) (out []wire.Found, err error) {
	if h.own == nil {
		return nil, nil
	}
	entries, err := h.own.entries("")
	for _, e := range entries {
		if e.Kind == share.File && e.Size == sizes[0] {
			out = append(out, wire.Found{Share: share.ID{5}, Path: e.Path, Size: e.Size, Version: e.Version})
		}
	}
	return out, err
}

func (h *fakeHelper) Read(ctx context.Context, sh share.ID, p share.Path, v share.Version, r transfer.Range, w io.Writer) error {
	return h.own.Read(ctx, sh, p, v, r, w)
}

func (h *fakeHelper) Layer(ctx context.Context, sh share.ID, p share.Path, v share.Version) (content.Layer, error) {
	return h.own.Layer(ctx, sh, p, v)
}

// helpers is who can be reached.
type helpers []*fakeHelper

func (hs helpers) Helper(id discovery.DeviceID) (Helper, error) {
	for _, h := range hs {
		if h.id == id && !h.down.Load() {
			return h, nil
		}
	}
	return nil, transfer.ErrAway
}

func (hs helpers) HelperUp(discovery.DeviceID) <-chan struct{} { return nil }

func (hs helpers) Online() (ids []discovery.DeviceID) {
	for _, h := range hs {
		ids = append(ids, h.id)
	}
	return ids
}

const filmSize = 24<<20 + 5

// crowded is a world whose source is a crowdSource; its request names it.
func crowded(t *testing.T, s *crowdSource, hs helpers, st Store, into string) *world {
	t.Helper()
	if into == "" {
		into = filepath.Join(t.TempDir(), "into")
	}
	return openWorld(t, s.fakeSource, st, into, func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
		c.Sources, c.Helpers, c.Self = s, hs, func() discovery.DeviceID { return keyOf(9).id() }
	})
}

func (w *world) film(s *crowdSource) transfer.JobID {
	w.t.Helper()
	return w.request(transfer.Request{Source: s.key.id(), ShareName: "Films", Paths: []share.Path{"film"}, Into: w.into})
}

func (w *world) isFilm(data []byte) {
	w.t.Helper()
	if got := tree(w.t, w.into); len(got) != 1 || got["film"] != string(data) {
		w.t.Errorf("%d files, film has %d bytes of %d", len(got), len(got["film"]), len(data))
	}
}

// from is what each device gave of a job.
func from(j transfer.Job) map[discovery.DeviceID]int64 {
	out := map[discovery.DeviceID]int64{}
	for _, s := range j.Sources {
		out[s.Device] += s.Bytes
	}
	return out
}

// slow makes a source send each block of 256 KiB after a while.
func slow(s *crowdSource, d time.Duration) {
	s.onBytes = func(share.Path, int64, []byte) error { time.Sleep(d); return nil }
}
