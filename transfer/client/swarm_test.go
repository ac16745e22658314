package client

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
	"porchlight/transfer/wire"
)

// signer is a device's key.
type signer struct{ ed25519.PrivateKey }

func (s signer) Public() ed25519.PublicKey { return s.PrivateKey.Public().(ed25519.PublicKey) }
func (s signer) Sign(msg []byte) []byte    { return ed25519.Sign(s.PrivateKey, msg) }

// TestForgedSwarmAnswers: what a source says of others counts only if it is about this file, for this device, and signed by the very source. The device behind
// the client is one whose key nobody has, so whatever is signed here is signed by somebody else.
func TestForgedSwarmAnswers(t *testing.T) {
	me, by := discovery.DeviceID{2}, signer{ed25519.NewKeyFromSeed(make([]byte, 32))}
	e := share.Entry{Path: "f", Size: wire.SwarmSize, Version: share.Version{1}}
	m, err := wire.SignManifest(wire.Manifest{Path: "f", Size: e.Size, Root: content.Hash{3}, Made: time.Now()}, by)
	k, kerr := wire.SignTicket(wire.Ticket{Root: content.Hash{3}, Holder: me, Until: time.Now().Add(time.Hour)}, by)
	if err != nil || kerr != nil {
		t.Fatal(err, kerr)
	}
	peer := bytes.Repeat([]byte{7}, 32)
	for name, a := range map[string]wire.SwarmAnswer{
		"another signer":     {Others: 1, Manifest: &m, Ticket: &k, Peers: [][]byte{peer}},
		"no signature":       {Others: 1, Manifest: &wire.Signed{Body: m.Body}, Ticket: &k, Peers: [][]byte{peer}},
		"only half":          {Others: 1, Manifest: &m, Peers: [][]byte{peer}},
		"more than there be": {Others: 1 << 40},
	} {
		c := newEvil(t, func(w io.Writer, _ *http.Request) { io.WriteString(w, whole(message(a))) }) //nolint:errcheck // the client may hang up
		if got, err := c.Swarm(t.Context(), me, share.ID{}, e, make([]byte, 2), false); !errors.Is(err, transfer.ErrProtocol) || got.Known {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	c := newEvil(t, func(w io.Writer, _ *http.Request) {
		io.WriteString(w, whole(message(wire.SwarmAnswer{Others: 1, Advice: ";open", Peers: [][]byte{peer}}))) //nolint:errcheck // likewise
	})
	if got, err := c.Swarm(t.Context(), me, share.ID{}, e, make([]byte, 2), false); err != nil || len(got.Peers) != 0 || got.Advice != ";open" {
		t.Errorf("peers of a content that nobody states: %+v, %v", got, err)
	}
}

// TestHostileHelpers: maps and bytes that cannot be are refused.
func TestHostileHelpers(t *testing.T) {
	const size = 20 * content.PieceSize
	for name, a := range map[string]wire.HaveAnswer{
		"a short map":         {Count: 1, Bits: []byte{1}},
		"a long map":          {Count: 1, Bits: make([]byte, 1000)},
		"more than there are": {Count: 21, Bits: make([]byte, 3)},
		"a peer that is none": {Bits: make([]byte, 3), Peers: [][]byte{{1}}},
		"too many peers":      {Bits: make([]byte, 3), Peers: make([][]byte, wire.MaxSwarm+1)},
	} {
		c := newEvil(t, func(w io.Writer, _ *http.Request) { io.WriteString(w, whole(message(a))) }) //nolint:errcheck // the client may hang up
		if h, err := c.Have(t.Context(), content.Hash{1}, size, wire.Signed{}, 0); err == nil {
			t.Errorf("%s: %+v", name, h)
		}
	}
	for name, answer := range map[string]string{
		"whole instead of a part": ok(8) + "12345678",
		"too few bytes":           "HTTP/1.1 206 X\r\nContent-Length: 4\r\n\r\n1234",
		"too many":                "HTTP/1.1 206 X\r\nContent-Length: 9\r\n\r\n123456789",
		"cut off":                 "HTTP/1.1 206 X\r\nContent-Length: 8\r\n\r\n123",
		"no length":               "HTTP/1.1 206 X\r\nConnection: close\r\n\r\n12345678",
	} {
		c := newEvil(t, func(w io.Writer, _ *http.Request) { io.WriteString(w, answer) }) //nolint:errcheck // likewise
		var b bytes.Buffer
		if err := c.Content(t.Context(), content.Hash{1}, wire.Signed{}, transfer.Range{Len: 8}, &b); err == nil || b.Len() > 8 {
			t.Errorf("%s: %d bytes, %v", name, b.Len(), err)
		}
	}
	c := newEvil(t, func(w io.Writer, _ *http.Request) {
		body := message(wire.ErrorBody{Kind: wire.KindBusy, Retry: 1 << 60})
		fmt.Fprintf(w, "HTTP/1.1 429 X\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	})
	var busy *transfer.Busy
	if err := c.Content(t.Context(), content.Hash{1}, wire.Signed{}, transfer.Range{Len: 8}, io.Discard); !errors.As(err, &busy) || busy.Retry != wire.MaxRetry {
		t.Errorf("busy for ages: %v", err)
	}
}

// heard is a writer that hears advice.
type heard struct {
	bytes.Buffer
	text []string
}

func (h *heard) Advised(text string) { h.text = append(h.text, text) }

func TestAdviceIsBounded(t *testing.T) {
	for _, tt := range []struct {
		advice string
		heard  int
	}{{"1-2;open", 1}, {"", 0}, {string(bytes.Repeat([]byte("1-2,"), wire.MaxAdvice)), 0}} {
		c := newEvil(t, func(w io.Writer, _ *http.Request) {
			fmt.Fprintf(w, "HTTP/1.1 206 X\r\nContent-Length: 4\r\n%s: %s\r\n\r\n1234", wire.HeaderAdvice, tt.advice)
		})
		var w heard
		if err := c.Read(t.Context(), share.ID{}, "f", share.Version{}, transfer.Range{Len: 4}, &w); err != nil || len(w.text) != tt.heard {
			t.Errorf("%.20q: heard %q, %v", tt.advice, w.text, err)
		}
	}
}
