package link

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"sync"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/calm"
	"porchlight/transfer/wire"
)

// TestEachConnectionProvesItself: every hello is made for the connection it goes over, and carries as many proofs whether there is
// something to prove or not; both ends know each other's key and the same exporter value, which no other connection has.
func TestEachConnectionProvesItself(t *testing.T) {
	a, b := newNode(t, "a"), newNode(t, "b")
	var mu sync.Mutex
	var made []*Session
	a.dialer.Hello = func(s *Session, to *wire.Hello) wire.Hello {
		mu.Lock()
		defer mu.Unlock()
		made = append(made, s)
		if to != nil {
			t.Error("a hello that answers nothing knows what it answers")
		}
		h := hello("a")
		if len(made)%2 == 0 {
			h.Proofs = slices.Repeat([][]byte{bytes.Clone(s.Exporter[:wire.ProofSize])}, wire.MaxProofs)
		}
		return h
	}
	p := a.to(t, b, b.addr)
	for _, c := range []Class{Quick, Bulk, Slow, Stream} {
		if err := echo(t, p, c, nil); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(made) != 4 || len(b.hellos) != 4 {
		t.Fatalf("%d hellos made, %d came", len(made), len(b.hellos))
	}
	seen := map[string]bool{}
	for i, s := range made {
		h, there := b.hellos[i], b.sessions[i]
		switch {
		case !ed25519.PublicKey.Equal(s.Key, b.ident.Public()) || !there.Key.Equal(a.ident.Public()) || discovery.IDOf(s.Key) != s.ID:
			t.Error("another key")
		case !bytes.Equal(s.Exporter, there.Exporter) || seen[string(s.Exporter)]:
			t.Error("another exporter value, or one twice")
		case len(h.Proofs) != wire.MaxProofs || (i%2 == 1) != bytes.Equal(h.Proofs[0], s.Exporter[:wire.ProofSize]):
			t.Errorf("%d proofs, or other ones", len(h.Proofs))
		}
		seen[string(s.Exporter)] = true
	}
}

// TestEnd closes a connection, for who has only its session: when it was dialled, and when it was accepted.
func TestEnd(t *testing.T) {
	a, b := newNode(t, "a"), newNode(t, "b")
	for _, here := range []bool{true, false} {
		g, err := a.dialer.Dial(t.Context(), nil, b.addr)
		if err != nil {
			t.Fatal(err)
		}
		b.mu.Lock()
		there := b.sessions[len(b.sessions)-1]
		b.mu.Unlock()
		if here {
			g.Conn.Session.End()
		} else {
			there.End()
			g.Conn.Read(make([]byte, 1)) //nolint:errcheck // until it is closed
			g.Conn.Close()               //nolint:errcheck // likewise
		}
		for _, s := range []*Session{g.Conn.Session, there} {
			select {
			case <-s.Gone():
			case <-time.After(calm.Most(5 * time.Second)):
				t.Errorf("ended here %v: not gone", here)
			}
		}
		if there.ProvedAny() || there.Proved([32]byte{1}) {
			t.Error("something is proved")
		}
		there.SetProved([][32]byte{{1}})
		if !there.ProvedAny() || !there.Proved([32]byte{1}) || there.Proved([32]byte{2}) {
			t.Error("something else is proved")
		}
	}
}
