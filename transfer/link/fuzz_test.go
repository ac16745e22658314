package link

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/transfer/wire"
)

// FuzzGreeting answers a hello with any bytes, and a connection that is lent as well. Whoever dialled gets a hello within
// the limits, or an error, and waits for nobody.
func FuzzGreeting(f *testing.F) {
	f.Add(false, []byte("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\xa0"))
	us, them := newNode(f, "us"), newNode(f, "them")
	id := them.ident.ID()
	f.Fuzz(func(t *testing.T, lend bool, answer []byte) {
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer theirs.Close()
			s := tls.Server(theirs, config(them.ident, nil))
			if s.Handshake() == nil {
				go io.Copy(io.Discard, s) //nolint:errcheck // the hello
				s.Write(answer)           //nolint:errcheck // the dialler may hang up
				theirs.Close()
			}
		}()
		d := &Dialer{Identity: us.ident, Hello: us.dialer.Hello}
		began := time.Now()
		c, err := d.connectOver(t.Context(), &id, ours)
		if err != nil {
			t.Fatal(err)
		}
		var h wire.Hello
		h, err = d.greet(t.Context(), c, lend)
		if err == nil && !lend && (h.Check() != nil || discovery.CheckName(h.Name) != nil) {
			t.Errorf("%+v passed", h)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("%v", took)
		}
		if len(c.left) > len(answer) {
			t.Error("more is left than came")
		}
		c.Close()
		<-done
	})
}
