package control

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/share"
	"porchlight/transfer"
)

// methods is every call the socket knows, and some it does not.
func methods() []string {
	return []string{"hello", "self", "set-name", "set-workgroup", "set-network", "set-downloads", "finish-first-run", "peers", "add-peer", "forget-peer", "refresh", "diagnose", "shares", "add-share",
		"rename-share", "remove-share", "offers", "list", "watch", "attend", "show-window", "set-interface", "raw", "pull", "jobs", "pause-job", "resume-job", "cancel-job", "retry-job", "forget-job", "queue", "hold-queue", "move-job", "set-limits", "pieces", "wait",
		"workgroups", "create-workgroup", "rename-workgroup", "leave-workgroup", "forget-workgroup", "set-open", "remove-members", "set-role", "rename-member", "admitted-by", "contest",
		"invite", "invitations", "approve", "end-invitation", "join", "compare", "comparisons", "answer-comparison", "unverify",
		"recovery-code", "recovery-saved", "remind-later", "moments", "recover", "past-members", "start-over", "moves", "move-over", "decline-move",
		"nothing", "../hello", ""}
}

// modest fails if f allocates more than perByte for each byte of its input, and fixed. JSON makes a value of a word or
// more out of two bytes ("0,"), and only processes of the same user get as far as this.
func modest(t testing.TB, input, perByte, fixed int, f func()) {
	t.Helper()
	least := ^uint64(0)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		if least = min(least, after.TotalAlloc-before.TotalAlloc); least <= uint64(perByte*input+fixed) {
			return
		}
	}
	t.Errorf("%d bytes allocated for %d", least, input)
}

// FuzzCall sends a body to every method. What is answered is JSON and says how it ended, and the engine is asked once at most.
func FuzzCall(f *testing.F) {
	f.Add(uint8(0), []byte(`{}`))
	f.Fuzz(func(t *testing.T, method uint8, body []byte) {
		all := methods()
		name := all[int(method)%len(all)]
		e := &fake{
			list:  func(context.Context, func([]share.Entry) error) error { return nil },
			watch: func(context.Context, func()) error { return nil },
			wait:  func(_ context.Context, since uint64) (uint64, error) { return since + 1, nil },
			raw:   func() (int, string, []byte, error) { return 200, "text/\x00plain", body, nil },
		}
		mux := New(Config{Engine: brief{e}}).routes(t.Context())
		w := httptest.NewRecorder()
		modest(t, len(body), 64, 192<<10, func() {
			w = httptest.NewRecorder()
			mux.ServeHTTP(plain{w}, httptest.NewRequest(http.MethodPost, "/v1/hello", nil).WithContext(t.Context()))
			w = httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodPost, "http://engine/v1/x", bytes.NewReader(body)).WithContext(t.Context())
			r.URL.Path = "/v1/" + name
			mux.ServeHTTP(plain{w}, r)
		})
		switch {
		case w.Code == http.StatusOK && name == "raw":
			if !bytes.Equal(w.Body.Bytes(), body) {
				t.Error("another answer")
			}
		case w.Code == http.StatusOK, w.Code == http.StatusUnprocessableEntity:
			for d := json.NewDecoder(w.Body); ; {
				var v any
				if err := d.Decode(&v); err == io.EOF {
					return
				} else if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
		case slices.Index(all, name) < len(all)-3:
			t.Errorf("%s: status %d", name, w.Code)
		}
	})
}

// brief is a fake whose windows close at once: a fuzzing process waits for every call.
type brief struct{ *fake }

func (brief) Attend(_ context.Context, show func()) error {
	show()
	return nil
}

// plain is a ResponseWriter whose deadlines can be set.
type plain struct{ *httptest.ResponseRecorder }

func (plain) SetReadDeadline(time.Time) error  { return nil }
func (plain) SetWriteDeadline(time.Time) error { return nil }

// FuzzEngineAnswer gives a client any answer. It ends, and what it takes for a value can be sent on.
func FuzzEngineAnswer(f *testing.F) {
	f.Add(uint16(200), []byte(`{}`))
	f.Fuzz(func(t *testing.T, status uint16, body []byte) {
		c := &Client{http: &http.Client{Transport: answers(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: int(status), Header: http.Header{headerStatus: {"200"}, headerType: {`"x"`}}, Body: io.NopCloser(bytes.NewReader(body))}, nil
		})}, pool: &http.Transport{}}
		ctx := t.Context()
		modest(t, len(body), 200, 192<<10, func() {
			if p, err := c.Peers(ctx); err == nil {
				if _, err := json.Marshal(p); err != nil {
					t.Error(err)
				}
			}
			_, _ = c.Self(ctx)
			_, _ = c.Jobs(ctx)
			_, _ = c.Diagnose(ctx)
		})
		modest(t, len(body), 200, 192<<10, func() {
			_, _ = c.Workgroups(ctx)
			_, _ = c.Invitations(ctx)
			_, _ = c.Comparisons(ctx)
			_, _ = c.Moves(ctx)
		})
		modest(t, len(body), 200, 192<<10, func() {
			_, _ = c.Pull(ctx, transfer.Request{})
			_, _ = c.Wait(ctx, 0)
			_, _, _, _ = c.Raw(ctx, discovery.DeviceID{}, "/")
			_ = c.Watch(ctx, discovery.DeviceID{}, share.ID{}, "", func() {})
			_ = c.List(ctx, discovery.DeviceID{}, share.ID{}, "", share.ByName, func(entries []share.Entry) error {
				_, err := json.Marshal(each(entries, fromEntry))
				return err
			})
		})
	})
}

type answers func(*http.Request) (*http.Response, error)

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
