package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery/calm"
)

// FuzzAnswer answers each question with any bytes after a good head, or with nothing else. The question ends at once; an
// error is a clear one; what is passed on lies where it was asked for.
func FuzzAnswer(f *testing.F) {
	f.Add(uint8(0), true, []byte("\x06\xa1\x63end\x00"))
	questions := asks()
	// The seeds name a question by its place here: new ones come last.
	names := []string{"doctor", "events", "hints", "layer", "list", "manifest", "pack", "read", "shares", "watch", "content", "find", "have", "swarm",
		"compare", "give", "take", "keys", "offer", "join", "result", "confirm", "recover"}
	if d := cmp.Diff(slices.Sorted(maps.Keys(questions)), slices.Sorted(slices.Values(names))); d != "" {
		f.Fatal(d)
	}
	f.Fuzz(func(t *testing.T, which uint8, head bool, body []byte) {
		name := names[int(which)%len(names)]
		answer := body
		if head {
			answer = append([]byte(ok(len(body))), body...)
			if name == "read" {
				answer = bytes.Replace(answer, []byte("200 OK"), []byte("206 OK"), 1)
			}
		}
		e := newEvil(t, func(w io.Writer, _ *http.Request) { w.Write(answer) }) //nolint:errcheck // the client may hang up
		ctx, cancel := context.WithTimeout(t.Context(), calm.Most(10*time.Second))
		defer cancel()
		var err error
		used := allocated(func() { _, err = questions[name](ctx, e.Client) })
		if ctx.Err() != nil {
			t.Fatalf("%s: no end", name)
		}
		if err != nil && !isClear(err) && !isKind(err) && !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
		if used > uint64(512<<10+4*len(answer)) { // the buffers of two ends of HTTP, and 64 KiB
			t.Errorf("%s: %d bytes allocated for %d", name, used, len(answer))
		}
	})
}
