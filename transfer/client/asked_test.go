package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"porchlight/transfer"
	"porchlight/transfer/wire"
)

// TestRedirectsAreNotFollowed: what another place would answer is never asked for.
func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		e := newEvil(t, func(w io.Writer, _ *http.Request) {
			fmt.Fprintf(w, "HTTP/1.1 %d X\r\nLocation: http://other/v1/shares\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status)
		})
		for name, ask := range asks() {
			if _, err := ask(t.Context(), e.Client); !errors.Is(err, transfer.ErrProtocol) {
				t.Errorf("%d to %s: %v", status, name, err)
			}
			<-e.asked
		}
		if len(e.asked) > 0 {
			t.Errorf("%d: another request was made: %v", status, (<-e.asked).URL)
		}
	}
}

// TestNothingIsKeptOfAnswers: cookies, hints of other protocols and wishes about the connection are no part of the protocol.
func TestNothingIsKeptOfAnswers(t *testing.T) {
	e := newEvil(t, func(w io.Writer, _ *http.Request) {
		body := items()
		fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nSet-Cookie: id=4711; Path=/\r\nAlt-Svc: h3=\":443\"\r\nStrict-Transport-Security: max-age=9\r\nLink: </v1/x>; rel=preload\r\nRefresh: 0; url=http://10.0.0.1/\r\nContent-Location: /v1/x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	})
	for range 3 {
		if _, err := e.Shares(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := <-e.asked
		if r.URL.Path != wire.RouteShares || r.Host != "device" || r.Proto != "HTTP/1.1" {
			t.Errorf("asked %s of %s with %s", r.URL, r.Host, r.Proto)
		}
		for _, name := range []string{"Cookie", "Referer", "Accept-Encoding", "Authorization", "Upgrade"} {
			if v := r.Header.Get(name); v != "" {
				t.Errorf("%s: %s", name, v)
			}
		}
	}
	if len(e.asked) > 0 {
		t.Errorf("another request was made: %v", (<-e.asked).URL)
	}
}
