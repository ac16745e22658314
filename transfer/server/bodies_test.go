package server_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"porchlight/discovery/canon"
	"porchlight/discovery/keyring"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
	"porchlight/transfer/link"
	"porchlight/transfer/server"
	"porchlight/transfer/wire"
)

// groupID is the workgroup that everybody has proved to a sociable victim.
var groupID = workgroup.ID(bytes.Repeat([]byte{0xa1}, 32))

// sociable has a server take everybody for a member, and meet everybody.
func sociable(c *server.Config) {
	c.Groups, c.Meetings, c.Pictures = everybody{}, everybody{}, everybody{}
}

// everybody says yes to everything.
type everybody struct{}

func (everybody) Answer(_ *link.Session, proofs []keyring.Proof) (workgroup.Reply, error) {
	return workgroup.Reply{Common: []workgroup.ID{groupID}, Proofs: proofs}, nil
}
func (everybody) Compare(_ *link.Session, _ workgroup.ID, s workgroup.Summary) (workgroup.Summary, error) {
	return s, nil
}
func (everybody) Receive(_ *link.Session, _ workgroup.ID, entries [][]byte) ([]ledger.Prefix, error) {
	return make([]ledger.Prefix, min(1, len(entries))), nil
}
func (everybody) Fetch(_ *link.Session, _ workgroup.ID, want []ledger.Prefix) ([][]byte, error) {
	return slices.Repeat([][]byte{{1}}, len(want)), nil
}
func (everybody) Keys(*link.Session, workgroup.ID) ([]byte, error)        { return []byte{0xa0}, nil }
func (everybody) Offered(*link.Session, workgroup.Welcome) error          { return nil }
func (everybody) Join(_ *link.Session, msg []byte) ([]byte, error)        { return msg, nil }
func (everybody) JoinConfirm(_ *link.Session, msg []byte) ([]byte, error) { return msg, nil }
func (everybody) Recover(*link.Session, []byte) (w workgroup.Welcome, _ error) {
	return w, workgroup.ErrCode
}
func (everybody) Begin(_ *link.Session, msg []byte) ([]byte, error)  { return msg, nil }
func (everybody) Reveal(_ *link.Session, msg []byte) ([]byte, error) { return msg, nil }
func (everybody) JoinResult(context.Context, *link.Session) (workgroup.Welcome, error) {
	return workgroup.Welcome{Entries: [][]byte{{1}}}, nil
}
func (everybody) Confirm(context.Context, *link.Session, bool) (*workgroup.Welcome, error) {
	return nil, nil //nolint:nilnil // no welcome, and nothing wrong
}

func message(t testing.TB, v any) []byte {
	t.Helper()
	b, err := canon.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sequence(t testing.TB, n int, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	w := canon.NewWriter(&b)
	for range n {
		if err := w.Write(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestGroupBodiesThatAreNone: what is no message of a workgroup or a meeting, or over a limit, closes its connection at once, to
// whatever route it was sent.
func TestGroupBodiesThatAreNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVictim(t, &pipes{make(chan net.Conn), make(chan struct{})}, sociable)
		wg := wire.RouteGroup + groupID.String()
		posts := []string{wg + wire.RouteSync, wg + wire.RouteEntries, wg + wire.RouteFetch, wire.RouteMove, wire.RouteJoin, wire.RouteJoinConfirm, wire.RouteSAS,
			wire.RouteSASReveal, wire.RouteSASConfirm, wire.RouteRecover}
		type bad struct {
			route, name string
			body        []byte
		}
		var all []bad
		for name, b := range bodies() {
			if name == "a float" || name == "texts for all" {
				continue // of the wrong type in fields that no message here has
			}
			for _, route := range posts {
				all = append(all, bad{route, name, b})
			}
		}
		long := make([]byte, 1<<20)
		for _, route := range posts {
			all = append(all, bad{route, "a megabyte", long})
		}
		all = append(all,
			bad{posts[0], "IDs nobody asked for", message(t, map[string]any{"count": 1, "heads": make([]byte, 32), "ids": make([]byte, wire.MaxSyncAsk)})},
			bad{posts[1], "an empty entry", sequence(t, 1, wire.LedgerEntry{})},
			bad{posts[1], "a long entry", sequence(t, 1, wire.LedgerEntry{Entry: make([]byte, ledger.MaxEntry+1)})},
			bad{posts[1], "too many entries", sequence(t, workgroup.MaxBatch+1, wire.LedgerEntry{Entry: []byte{1}})},
			bad{posts[1], "too many bytes", sequence(t, workgroup.MaxBatchBytes/ledger.MaxEntry+1, wire.LedgerEntry{Entry: make([]byte, ledger.MaxEntry)})},
			bad{posts[2], "half an ID", message(t, wire.EntryIDs{IDs: make([]byte, 9)})},
			bad{posts[2], "too many IDs", message(t, wire.EntryIDs{IDs: make([]byte, 8*workgroup.MaxBatch+8)})},
			bad{posts[3], "a welcome without entries", sequence(t, 1, wire.MeetItem{Kind: wire.MeetWelcome, Workgroup: groupID[:], Count: 1})},
			bad{posts[3], "entries without a welcome", sequence(t, 1, wire.MeetItem{Kind: wire.MeetEntry, Entry: []byte{1}})},
			bad{posts[3], "pictures", sequence(t, 1, wire.MeetItem{Kind: wire.MeetSame})},
			bad{posts[3], "nothing but beats", sequence(t, wire.MaxBeats+1, wire.MeetItem{Kind: wire.MeetBeat})},
			bad{posts[4], "a long message", message(t, wire.PairMessage{Msg: make([]byte, pairing.MaxMessage+20)})},
		)
		var worst time.Duration
		for _, b := range all {
			a := v.lends(t) // those it accepts are counted
			a.send(helloRequest(t, helloOf("mallory"), ""))
			if res, _ := a.answer(); res == nil || res.StatusCode != http.StatusOK {
				t.Fatalf("a proper hello: %v", res)
			}
			began := time.Now()
			go a.send(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n%s", b.route, len(b.body), b.body))
			res, _ := a.answer()
			refused := res == nil || res.StatusCode == http.StatusConflict || res.StatusCode == http.StatusRequestEntityTooLarge
			if closed := a.closed(2 * time.Second); !refused || !closed {
				t.Errorf("%s to %s: answered %v, closed %v", b.name, b.route, res, closed)
			}
			worst = max(worst, time.Since(began))
			a.Close()
		}
		t.Logf("%d bodies to %d routes: refused and closed within %v", len(all), len(posts), worst)
		if worst > time.Second {
			t.Errorf("the slowest took %v", worst)
		}
	})
}

// TestFloodOfEntries: one member may hand in so many entries, and then waits, as nobody else has to.
func TestFloodOfEntries(t *testing.T) {
	v := newVictim(t, &pipes{make(chan net.Conn), make(chan struct{})}, sociable)
	a, b := v.lends(t), v.lends(t)
	body := sequence(t, workgroup.MaxBatch, wire.LedgerEntry{Entry: []byte{1}})
	hand := func(a *attacker) int {
		a.send(fmt.Sprintf("POST %s%s%s HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n%s", wire.RouteGroup, groupID, wire.RouteEntries, len(body), body))
		res, _ := a.answer()
		if res == nil {
			t.Fatal("closed")
		}
		return res.StatusCode
	}
	for _, x := range []*attacker{a, b} {
		x.send(helloRequest(t, helloOf("mallory"), ""))
		x.answer()
	}
	taken, began := 0, time.Now()
	for hand(a) == http.StatusOK {
		taken += workgroup.MaxBatch
	}
	most := wire.EntriesBurst + int(time.Since(began).Seconds()+1)*wire.EntriesPerSecond
	if taken > most || taken < wire.EntriesBurst-workgroup.MaxBatch {
		t.Errorf("%d entries taken, of %d", taken, most)
	}
	t.Logf("%d entries taken in %v, then busy", taken, time.Since(began))
	if got := hand(b); got != http.StatusOK {
		t.Errorf("somebody else: %d", got)
	}
}

// TestStalledWelcome: a guest who reads nothing of its welcome is given up, and its place is free again.
func TestStalledWelcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		anna := homeInMemory(t, "anna", func(h *household) { h.meetings = large{} })
		for range wire.MaxWaiting + 1 {
			a := anna.mallory()
			a.SetDeadline(time.Time{}) //nolint:errcheck // only anna's patience is tested
			a.send("GET " + wire.RouteJoinResult + " HTTP/1.1\r\nHost: d\r\n\r\n")
			if res, err := http.ReadResponse(a.br, nil); err != nil || res.StatusCode != http.StatusOK {
				t.Fatalf("%v, %v", res, err)
			}
			time.Sleep(time.Minute)
			if !a.closed(time.Second) {
				t.Error("still open after a minute")
			}
		}
		m, _ := homeInMemory(t, "bo").mustMeet(anna) // who reads gets it
		if w, err := m.JoinResult(t.Context(), func() {}); err != nil || len(w.Entries) != len(whole().Entries) {
			t.Errorf("%d entries, %v", len(w.Entries), err)
		}
	})
}

// large gives everybody a ledger as long as may be.
type large struct{ everybody }

func whole() workgroup.Welcome {
	return workgroup.Welcome{Workgroup: groupID, Keys: []byte{0xa0}, Entries: slices.Repeat([][]byte{make([]byte, wire.MaxWelcome/ledger.MaxEntries)}, ledger.MaxEntries)}
}

func (large) JoinResult(context.Context, *link.Session) (workgroup.Welcome, error) {
	return whole(), nil
}
