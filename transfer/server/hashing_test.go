package server

import (
	"testing"

	"porchlight/share"
	"porchlight/share/content"
)

// What was hashed once is not hashed again for whoever comes next: that would cost a third of what sending costs.
func TestHashedOnce(t *testing.T) {
	h := newHashing(content.NewCache(nil, 0))
	e := share.Entry{Kind: share.File, Size: 5, Version: share.Version{1}}
	g := h.of(e)
	if _, ok := h.ready(t.Context(), e.Version); ok || g.known.Load() {
		t.Error("a layer of nothing")
	}
	g.put(0, []byte("12345"))
	l, ok := h.ready(t.Context(), e.Version)
	if !ok || l.Root != content.Sum([]byte("12345")) {
		t.Errorf("layer %v, %v", l, ok)
	}
	if !h.of(e).known.Load() {
		t.Error("hashed again")
	}
}
