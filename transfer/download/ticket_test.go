package download

import (
	"bytes"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"porchlight/share/content"
	"porchlight/transfer"
	"porchlight/transfer/wire"
)

// TestTicketsAreKeptFresh: a receiver shows the newest ticket, holds what it gives on against the newest manifest by the clock of its source, which is
// days off, and has a ticket on its disk after a restart without its source that is at most half a life older.
func TestTicketsAreKeptFresh(t *testing.T) {
	data := random("film", filmSize)
	h := newHelper(2, data)
	s := newCrowdSource(h)
	s.put("film", data)
	slow(s, 100*time.Millisecond)
	const off = 72 * time.Hour
	var step atomic.Int64 // a minute passes for the source with every question
	s.clock = func() time.Time { return time.Now().Add(off + time.Duration(step.Add(1))*time.Minute) }
	h.content = func(int, []byte) ([]byte, error) { return nil, &transfer.Busy{Retry: 20 * time.Millisecond} }
	l, err := content.Build(t.Context(), bytes.NewReader(data), filmSize, 1)
	if err != nil {
		t.Fatal(err)
	}
	st, into := NewMemory(), filepath.Join(t.TempDir(), "into")
	w := crowded(t, s, helpers{h}, st, into)
	id := w.film(s)
	made := func() time.Time {
		o, ok := w.m.Holding(l.Root)
		if !ok {
			return time.Time{}
		}
		m, there := o.Stated(time.Now())
		if ahead := time.Until(there); ahead < off || ahead > off+time.Hour {
			t.Errorf("its source's clock is taken to be %v ahead", ahead)
		}
		return m.Made
	}
	w.until(id, "the ticket was renewed", func(transfer.Job) bool { return step.Load() >= 8 && !made().IsZero() && h.last.Load() > 0 })
	first := made()
	at := step.Load()
	w.until(id, "and again", func(transfer.Job) bool { return step.Load() >= at+4 && made().After(first) })
	w.until(id, "the helper sees the newest", func(transfer.Job) bool { return time.Unix(h.last.Load(), 0).After(first.Add(wire.TicketTime)) })
	w.stop()
	s.cut()
	newest := time.Now().Add(off + time.Duration(step.Load())*time.Minute + wire.TicketTime)
	h.last.Store(0)
	h.content = nil
	w = crowded(t, s, helpers{h}, st, into)
	w.until(id, "the helper is asked without the source", func(transfer.Job) bool { return h.last.Load() > 0 })
	older := newest.Sub(time.Unix(h.last.Load(), 0))
	t.Logf("the ticket on the disk was %v older than the newest", older.Round(time.Second))
	if older > wire.TicketTime/2+2*time.Minute { // a question in flight, and the minute that each takes
		t.Errorf("it is %v older", older)
	}
	w.until(id, "whole", func(j transfer.Job) bool { return j.Bytes == filmSize })
}

// TestARefusalIsNotTheEnd: a helper that takes a ticket no more is asked again with the next one.
func TestARefusalIsNotTheEnd(t *testing.T) {
	data := random("film", filmSize)
	h := newHelper(2, data)
	s := newCrowdSource(h)
	s.put("film", data)
	slow(s, 100*time.Millisecond)
	var refused atomic.Int64
	h.refuse = func() bool { return h.gave.Load() >= 2 && refused.Add(1) <= 2 }
	w := crowded(t, s, helpers{h}, NewMemory(), "")
	j := w.state(w.film(s), transfer.Done)
	w.isFilm(data)
	t.Logf("refused %d times, gave %d pieces", min(refused.Load(), 2), h.gave.Load())
	if refused.Load() < 2 || h.gave.Load() < 4 || from(j)[h.id] == 0 {
		t.Errorf("refused %d times, gave %d pieces", refused.Load(), h.gave.Load())
	}
}

// TestStaleTickets: by the clock of the source, whatever that is.
func TestStaleTickets(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name      string
		age, fast time.Duration
		want      bool
	}{
		{"new", 0, 0, false},
		{"nearly over", wire.TicketTime - time.Second, 0, false},
		{"over", wire.TicketTime, 0, true},
		{"new, of a fast clock", 0, 72 * time.Hour, false},
		{"over, of a fast clock", wire.TicketTime, 72 * time.Hour, true},
		{"new, of a slow clock", 0, -72 * time.Hour, false},
	} {
		m := &memo{manifest: wire.Signed{Body: []byte{1}}, ahead: tt.fast, stated: wire.Manifest{Made: now.Add(tt.fast - tt.age)}}
		if got := m.stale(now); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if (*memo)(nil).stale(now) || (&memo{}).stale(now) {
		t.Error("no ticket is a stale one")
	}
}
