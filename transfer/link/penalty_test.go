package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"porchlight/discovery/identity"
	"porchlight/transfer/wire"
)

func TestOffences(t *testing.T) {
	o, now := offences[string]{}, time.Unix(1e9, 0)
	three := func() {
		for range wire.Breaches {
			o.blame("m", now)
		}
	}
	for i := range wire.Breaches {
		if o.blame("clumsy", now) || o.refused("clumsy", now) {
			t.Errorf("refused after %d breaches, a minute apart", i+1)
		}
		now = now.Add(wire.BreachTime/2 + time.Second)
	}
	for want := wire.RefuseFirst; ; want = min(2*want, wire.RefuseMost) {
		three()
		if !o.refused("m", now.Add(want-1)) || o.refused("m", now.Add(want)) {
			t.Fatalf("not refused for %v", want)
		}
		now = now.Add(want)
		if want == wire.RefuseMost {
			break
		}
	}
	now = now.Add(wire.RefuseMost + time.Second)
	three()
	if !o.refused("m", now) || o.refused("m", now.Add(wire.RefuseFirst)) {
		t.Error("good conduct is not rewarded")
	}
	if o.refused("n", now) {
		t.Error("somebody else is refused")
	}
	for i := range 3 * wire.MaxCounted {
		for range wire.Breaches {
			o.blame(fmt.Sprint(i), now.Add(time.Duration(i)))
		}
	}
	if len(o) > wire.MaxCounted || !o.refused(fmt.Sprint(3*wire.MaxCounted-1), now.Add(time.Second)) {
		t.Errorf("%d offenders remembered", len(o))
	}
}

func TestWhatIsABreach(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{io.EOF, false}, {fmt.Errorf("x: %w", io.ErrUnexpectedEOF), false}, {context.DeadlineExceeded, false}, {net.ErrClosed, false},
		{&net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}, false}, // it wants somebody else
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, true},
		{identity.ErrProtocol, true}, {identity.ErrCertificate, true},
		{errors.New("tls: client offered only unsupported versions"), true},
	} {
		if got := isBreach(tt.err); got != tt.want {
			t.Errorf("%v: %v", tt.err, got)
		}
	}
}

// A hello that comes after its time finds the connection closed, one before it keeps it open; there is no second one.
func TestOneHelloInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			after time.Duration
			want  bool
		}{{time.Second, true}, {time.Minute, false}} {
			a, b := net.Pipe()
			defer b.Close()
			s := &Session{gone: make(chan struct{})}
			c := &Conn{cork: &cork{Conn: a}, Session: s}
			greeted := 0
			s.expect(c, 5*time.Second, func() { greeted++ })
			time.Sleep(tt.after)
			if got := s.SetHello(hello("x")); got != tt.want || greeted == 1 != tt.want {
				t.Errorf("after %v: %v, %d", tt.after, got, greeted)
			}
			if s.SetHello(hello("y")) {
				t.Error("a second hello")
			}
			time.Sleep(time.Minute)
			select {
			case <-s.Gone():
				if tt.want {
					t.Error("closed")
				}
			default:
				if !tt.want {
					t.Error("left open")
				}
			}
			c.Close()
		}
	})
}
