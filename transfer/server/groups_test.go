package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"testing"
	"time"

	"porchlight/discovery/calm"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
	"porchlight/transfer"
	"porchlight/transfer/client"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// sync makes the ledgers of h and of another equal, over the connections of h.
func (h *household) sync(of *household, id workgroup.ID) error {
	c, _ := h.ask(of)
	ctx, cancel := context.WithTimeout(h.t.Context(), wire.SyncTime)
	defer cancel()
	return h.book.Sync(ctx, id, of.ident.ID(), c, func(workgroup.Change) {})
}

// TestLedgersTravel: members compare, give and take entries over the wire; keys are for those in step.
func TestLedgersTravel(t *testing.T) {
	anna, bo, cy := atHome(t, "anna"), atHome(t, "bo"), atHome(t, "cy")
	id := anna.found(bo, cy)
	for i := range 300 { // more than one message holds
		if _, err := anna.book.Rename(id, fmt.Sprintf("Home %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	c, g := bo.ask(anna)
	proved, err := bo.book.Check([32]byte(g.Conn.Session.Exporter), g.Answer.Proven())
	if err != nil || !slices.Equal(proved, []workgroup.ID{id}) || len(g.Answer.Removed) != 0 {
		t.Fatalf("%v, %v", proved, err)
	}
	if _, err := c.Keys(t.Context(), id); !errors.Is(err, workgroup.ErrSync) {
		t.Errorf("keys before the ledgers were compared: %v", err)
	}
	if err := bo.sync(anna, id); err != nil {
		t.Fatal(err)
	}
	if w, _ := bo.book.Workgroup(id); w.Name != "Home 299" {
		t.Errorf("bo is in %q", w.Name)
	}
	if got := anna.book.Synced(bo.ident.ID()); !slices.Equal(got, []workgroup.ID{id}) {
		t.Errorf("anna serves bo %v", got)
	}
	ring, err := c.Keys(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bo.book.LearnKeys(id, anna.ident.ID(), ring); err != nil {
		t.Error(err)
	}
	change, err := anna.book.Rename(id, "Pushed") // a new entry goes the other way, to the server of the connection
	if err != nil {
		t.Fatal(err)
	}
	push, _ := anna.ask(bo)
	if missing, err := push.Give(t.Context(), id, change.Push); err != nil || len(missing) != 0 {
		t.Errorf("%v, %v", missing, err)
	}
	if w, _ := bo.book.Workgroup(id); w.Name != "Pushed" {
		t.Errorf("bo is in %q", w.Name)
	}
	if missing, err := func() ([]ledger.Prefix, error) { p, _ := anna.ask(cy); return p.Give(t.Context(), id, change.Push) }(); err != nil || len(missing) == 0 {
		t.Errorf("cy, who lacks what it rests on, says %v, %v", missing, err)
	}
	if _, err := push.Give(t.Context(), id, [][]byte{bytes.Repeat([]byte{1}, 100)}); !errors.Is(err, transfer.ErrProtocol) {
		t.Errorf("an entry that is none: %v", err)
	}
}

// TestRemovedIsTold: who was removed gets the entry that says so, and 404 for everything but handing in entries.
func TestRemovedIsTold(t *testing.T) {
	anna, bo, cy := atHome(t, "anna"), atHome(t, "bo"), atHome(t, "cy")
	id := anna.found(bo, cy)
	change, err := anna.book.Remove(id, ledger.Lost, bo.ident.ID())
	if err != nil {
		t.Fatal(err)
	}
	c, g := bo.ask(anna)
	notices := g.Answer.Notices()
	if len(notices) != 1 || notices[0].Workgroup != id || !slices.ContainsFunc(change.Push, func(e []byte) bool { return bytes.Equal(e, notices[0].Entry) }) {
		t.Fatalf("%d notices", len(notices))
	}
	if ids, err := bo.book.Check([32]byte(g.Conn.Session.Exporter), g.Answer.Proven()); err != nil || len(ids) != 0 {
		t.Errorf("proved to who was removed: %v, %v", ids, err)
	}
	have, err := bo.book.Have(id)
	if err != nil {
		t.Fatal(err)
	}
	_, compared := c.Compare(t.Context(), id, have)
	_, taken := c.Take(t.Context(), id, []ledger.Prefix{{1}})
	_, keys := c.Keys(t.Context(), id)
	for what, err := range map[string]error{"compare": compared, "take": taken, "keys": keys} {
		if !errors.Is(err, transfer.ErrGone) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := c.Give(t.Context(), id, change.Push); err != nil {
		t.Errorf("handing in: %v", err)
	}
	told, _, err := bo.book.Told(anna.ident.ID(), notices[0])
	if w, _ := bo.book.Workgroup(id); err != nil || !told.Self || w.Removal == nil || w.Removal.Reason != ledger.Lost || w.Removal.By != anna.ident.ID() {
		t.Errorf("%+v, %v", told, err)
	}
}

// TestUnprovenLearnsNothing: for who proved nothing a workgroup that is here answers like one that is not, and like one whose name is
// none: byte for byte, on every route.
func TestUnprovenLearnsNothing(t *testing.T) {
	anna, eve := atHome(t, "anna", func(h *household) { h.strange = true }), atHome(t, "eve")
	id := anna.found()
	eve.found() // she has a workgroup of her own
	_, g := eve.ask(anna)
	if ids, err := eve.book.Check([32]byte(g.Conn.Session.Exporter), g.Answer.Proven()); err != nil || len(ids) != 0 || len(g.Answer.Removed) != 0 || g.Answer.Name != "" {
		t.Errorf("%v, %v, %+v", ids, err, g.Answer)
	}
	summary, err := anna.book.Have(id)
	if err != nil {
		t.Fatal(err)
	}
	body, err := summary.Encode()
	if err != nil {
		t.Fatal(err)
	}
	a := anna.mallory()
	var first []byte
	for _, route := range []string{"POST %s/sync", "POST %s/entries", "POST %s/fetch", "GET %s/keys", "GET /v1/shares?%s", "GET /v1/events?%s", "GET /v1/peers?%s", "GET /v1/doctor?%s", "POST /v1/move?%s", "GET /v1/nothing?%s"} {
		for _, name := range []string{id.String(), workgroup.ID{1}.String(), "x"} {
			target := fmt.Sprintf(route, "/v1/wg/"+name)
			req := target + " HTTP/1.1\r\nHost: d\r\n\r\n"
			if target[0] == 'P' {
				req = fmt.Sprintf("%s HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n%s", target, len(body), body)
			}
			a.send(req)
			res, err := http.ReadResponse(a.br, nil)
			if err != nil {
				t.Fatalf("%s: %v", target, err)
			}
			data, err := io.ReadAll(res.Body)
			res.Header.Del("Date")
			whole := fmt.Appendf(nil, "%s %v %x", res.Status, res.Header, data)
			if err != nil || res.StatusCode != http.StatusNotFound || first != nil && !bytes.Equal(whole, first) {
				t.Errorf("%s: %s instead of %s, %v", target, whole, first, err)
			}
			first = whole
		}
	}
}

// TestHelloTellsNoNumber: the answer to a hello has the same length whatever the device is in, and takes no less time when there is
// less to check: the most there may be is checked well within the time that each answer takes.
func TestHelloTellsNoNumber(t *testing.T) {
	none, many := atHome(t, "none"), atHome(t, "many")
	for range workgroup.MaxWorkgroups {
		id := many.found()
		for range 5 { // each with older keys
			guest := someone(t)
			if _, _, err := many.book.Admit(id, workgroup.Admission{Key: ledger.KeyOf(guest.Public()), Name: "guest", Role: ledger.Member, Via: ledger.ViaCode}); err != nil {
				t.Fatal(err)
			}
			if _, err := many.book.Remove(id, ledger.Removed, guest.ID()); err != nil {
				t.Fatal(err)
			}
		}
	}
	random, err := wire.Hello{V: wire.Version}.Padded(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	check := time.Hour
	for range 100 { // the machine may be busy
		began := time.Now()
		if _, err := many.book.Answer([32]byte{1}, none.ident.ID(), random.Proven()); err != nil {
			t.Fatal(err)
		}
		check = min(check, time.Since(began))
	}
	if calm.Is() && check > wire.QuietTime/2 {
		t.Errorf("to check the proofs takes %v of %v", check, wire.QuietTime)
	}
	sizes, least := [2]int{}, [2]time.Duration{time.Hour, time.Hour}
	for range 30 { // what one address may open at once
		for i, of := range []*household{none, many} {
			size, took := of.hello(random)
			if sizes[i] = size; sizes[0] != size {
				t.Fatalf("answers of %v bytes", sizes)
			}
			if took < wire.QuietTime {
				t.Fatalf("answered after %v", took)
			}
			least[i] = min(least[i], took)
		}
	}
	t.Logf("%d bytes; at best %v without a workgroup, %v with %d; their check takes %v", sizes[0], least[0], least[1], workgroup.MaxWorkgroups, check)
	if calm.Is() && (least[1]-least[0]).Abs() > time.Millisecond {
		t.Errorf("%v and %v can be told apart", least[0], least[1])
	}
}

// hello says hello on a new connection, and returns the length of the answer and how long it took.
func (h *household) hello(hello wire.Hello) (size int, took time.Duration) {
	h.t.Helper()
	x := h.attacked().attack(nil)
	defer x.Close()
	req := helloRequest(h.t, hello, "")
	began := time.Now()
	x.send(req)
	res, data := x.answer()
	took = time.Since(began)
	if res == nil || res.StatusCode != http.StatusOK {
		h.t.Fatalf("%v", res)
	}
	return len(data), took
}

// TestHelloThatLendsProvesNothing: whoever is lent a connection could send the proofs on it back as its own.
func TestHelloThatLendsProvesNothing(t *testing.T) {
	got := make(chan wire.Hello, 1)
	anna, eve := atHome(t, "anna"), atHome(t, "eve", func(h *household) { h.lent = got })
	anna.found()
	made := make(chan wire.Hello, 1)
	d := *anna.dialer
	d.Hello = func(s *link.Session, to *wire.Hello) wire.Hello { h := anna.dialer.Hello(s, to); made <- h; return h }
	c, _, err := d.Lend(t.Context(), eve.ident.ID(), eve.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	meant, seen := (<-made).Proven(), (<-got).Proven()
	if len(meant) != wire.MaxProofs || len(seen) != wire.MaxProofs {
		t.Errorf("%d and %d proofs", len(meant), len(seen))
	}
	for _, p := range meant {
		if slices.Contains(seen, p) {
			t.Error("a proof went over a connection that was lent")
		}
	}
}

// TestLentConnection: a member that cannot be dialled is compared with over a connection that it lent, proved anew on it.
func TestLentConnection(t *testing.T) {
	anna, bo := atHome(t, "anna"), atHome(t, "bo")
	id := anna.found(bo)
	if _, err := anna.book.Rename(id, "Another name"); err != nil {
		t.Fatal(err)
	}
	p := link.NewPeer(bo.ident.ID(), anna.dialer, func() []netip.AddrPort { return nil }, nil)
	t.Cleanup(p.Close)
	offered := make(chan struct{})
	anna.takes = func(c *link.Conn) { p.Offer(context.WithoutCancel(t.Context()), c); close(offered) }
	c, _, err := bo.dialer.Lend(t.Context(), anna.ident.ID(), anna.addr)
	if err != nil || !bo.in.Push(c) {
		t.Fatal(err)
	}
	<-offered
	if err := anna.book.Sync(t.Context(), id, bo.ident.ID(), client.New(p), func(workgroup.Change) {}); err != nil {
		t.Fatal(err)
	}
	if w, _ := bo.book.Workgroup(id); w.Name != "Another name" || !slices.Equal(bo.book.Synced(anna.ident.ID()), []workgroup.ID{id}) {
		t.Errorf("bo is in %q, and serves anna %v", w.Name, bo.book.Synced(anna.ident.ID()))
	}
}
