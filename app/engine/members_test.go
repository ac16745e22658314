package engine

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"porchlight/app/config"
	"porchlight/discovery"
	machine "porchlight/discovery/calm"
	"porchlight/discovery/workgroup"
	"porchlight/share"
	"porchlight/share/access"
	"porchlight/share/content"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/server"
	"porchlight/transfer/wire"
)

var (
	homeGroup = workgroup.ID{0x40}
	workGroup = workgroup.ID{0x41}
	personBo  = [16]byte{2}
	personCle = [16]byte{3}
)

// book is memberships that a test writes.
type book struct {
	self discovery.DeviceID

	mu     sync.Mutex // guards the fields below
	in     map[discovery.DeviceID][]access.Member
	behind map[discovery.DeviceID]bool // active, and not in step
}

func (b *book) Members(dev discovery.DeviceID) []access.Member {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.behind[dev] {
		return nil
	}
	return b.common(dev)
}

func (b *book) Common(dev discovery.DeviceID) (out []workgroup.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.common(dev) {
		out = append(out, m.Workgroup)
	}
	return out
}

func (b *book) common(dev discovery.DeviceID) []access.Member {
	return slices.DeleteFunc(slices.Clone(b.in[dev]), func(m access.Member) bool {
		return !slices.ContainsFunc(b.in[b.self], func(mine access.Member) bool { return mine.Workgroup == m.Workgroup })
	})
}

func (b *book) set(dev discovery.DeviceID, in ...access.Member) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.in[dev] = in
}

func of(person [16]byte) access.Member { return access.Member{Workgroup: homeGroup, Person: person} }

// startWith starts an engine that takes its memberships from a book.
func startWith(t *testing.T, name, home string) (*world, *book) {
	t.Helper()
	dir := t.TempDir()
	if home == "" {
		home = t.TempDir()
	}
	e, err := Open(t.Context(), Config{Home: home, Version: "test", Loopback: true, Change: func(s *config.Settings) error {
		s.Name, s.Network, s.Downloads, s.FirstRunDone = name, discovery.Home, filepath.Join(dir, "downloads"), true
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	b := &book{self: e.selfID(), in: map[discovery.DeviceID][]access.Member{}, behind: map[discovery.DeviceID]bool{}}
	e.members = b
	w := &world{Engine: e, t: t, home: home, dir: dir, id: e.selfID(), stop: running(t, e)}
	w.until("it listens", func() bool {
		s, err := e.Self(t.Context())
		return err == nil && s.Port != 0
	})
	return w, b
}

func toPerson(person [16]byte) share.Grant {
	return share.Grant{Who: share.ToPerson, Workgroup: homeGroup, Person: person, Level: share.LookOnly}
}

func toMembers() share.Grant {
	return share.Grant{Who: share.ToEveryone, Workgroup: homeGroup, Level: share.LookOnly}
}

// TestSharedWithOnePerson: what is for bo's devices is for them; cleo, of the same workgroup, is told nothing that she would not be told of a share
// that never was, in the same time.
func TestSharedWithOnePerson(t *testing.T) {
	anna, in := startWith(t, "anna", "")
	bo, cleo := start(t, "bo", ""), start(t, "cleo", "")
	meet(anna, bo)
	meet(anna, cleo)
	in.set(anna.id, of([16]byte{1}))
	in.set(bo.id, of(personBo))
	in.set(cleo.id, of(personCle))
	const size = wire.SwarmSize + 5<<20
	data := noise("film", size)
	anna.put("Films/film.bin", data)
	s, err := anna.AddShare(t.Context(), filepath.Join(anna.dir, "Films"), "Films", toPerson(personBo))
	if err != nil {
		t.Fatal(err)
	}
	o := share.Offer{ID: s.ID, Kind: s.Kind, Name: s.Name}
	if got, err := bo.Offers(t.Context(), anna.id); err != nil || !cmp.Equal(got, []share.Offer{o}) {
		t.Errorf("bo is offered %v, %v", got, err)
	}
	if got, err := cleo.Offers(t.Context(), anna.id); err != nil || len(got) != 0 {
		t.Errorf("cleo is offered %v, %v", got, err)
	}
	id := bo.fetch(anna, o, "film.bin")
	bo.within(time.Minute, "bo has it", func() bool { return bo.job(id).State == transfer.Done })
	bo.same("film.bin", data)
	tree, err := anna.catalogue.Tree(o.ID)
	if err != nil {
		t.Fatal(err)
	}
	e, err := tree.Stat("film.bin")
	if err != nil {
		t.Fatal(err)
	}
	here, never := cleo.routesOf(anna, o.ID, "film.bin", e.Version, size), cleo.routesOf(anna, share.ID{0xEE}, "film.bin", e.Version, size)
	if diff := cmp.Diff(never, here); diff != "" {
		t.Errorf("cleo can tell it from a share that is not there:\n%s", diff)
	}
	t.Logf("%d routes answer cleo as if there were nothing", len(here))
	anna.sameTime(cleo, o.ID)
}

// sameTime checks that what w decides about a share another device may not see takes as long as about one that never was: by the
// median of many, one kind and the other in turn.
func (w *world) sameTime(other *world, id share.ID) {
	w.t.Helper()
	const rounds = 20_000
	most := 2 * time.Microsecond // less than a hundredth of a round trip of the quickest network
	if !machine.Is() {
		most *= 10
	}
	took := map[share.ID][]time.Duration{}
	for i := range 2 * rounds {
		ask := id
		if i%2 == 1 {
			ask = share.ID{0xEE}
		}
		began := time.Now()
		_, err := rights{w.Engine}.Tree(other.id, ask)
		took[ask] = append(took[ask], time.Since(began))
		if !errors.Is(err, transfer.ErrGone) {
			w.t.Fatal(err)
		}
	}
	median := func(id share.ID) time.Duration { slices.Sort(took[id]); return took[id][rounds/2] }
	here, never := median(id), median(share.ID{0xEE})
	w.t.Logf("refused after %v, and after %v if there is nothing", here, never)
	if (here - never).Abs() > most {
		w.t.Errorf("%v apart, %v are allowed", (here - never).Abs(), most)
	}
}

// TestRightsFollowMembership: each request is held against the membership of that moment, block wins, and nobody is let in by less.
func TestRightsFollowMembership(t *testing.T) {
	anna, in := startWith(t, "anna", "")
	bo := start(t, "bo", "")
	meet(anna, bo)
	in.set(anna.id, of([16]byte{1}))
	dir := filepath.Join(anna.dir, "Films")
	anna.put("Films/note.txt", []byte("hello"))
	s, err := anna.AddShare(t.Context(), dir, "Films", toMembers())
	if err != nil {
		t.Fatal(err)
	}
	sees := func(what string, want bool) {
		t.Helper()
		got, err := bo.Offers(t.Context(), anna.id)
		ground, ok := rights{anna.Engine}.Ground(bo.id, s.ID)
		if err != nil || (len(got) == 1) != want || ok != want || ok && ground != (server.Ground{Group: homeGroup, Policy: wire.PolicyMembers}) {
			t.Errorf("%s: bo is offered %v, %v; on the ground %+v, %v", what, got, err, ground, ok)
		}
	}
	sees("no member", false)
	in.set(bo.id, of(personBo))
	sees("a member", true)
	in.mu.Lock()
	in.behind[bo.id] = true
	in.mu.Unlock()
	sees("not in step", false)
	in.mu.Lock()
	in.behind[bo.id] = false
	in.mu.Unlock()
	in.set(bo.id, access.Member{Workgroup: workGroup, Person: personBo})
	sees("in another workgroup", false)
	in.set(bo.id, of(personBo))
	sees("a member again", true)
	if err := anna.Block(t.Context(), bo.id); err != nil {
		t.Fatal(err)
	}
	if _, ok := (rights{anna.Engine}).Ground(bo.id, s.ID); ok {
		t.Error("a blocked member has a right")
	}
	if err := anna.Unblock(t.Context(), bo.id); err != nil {
		t.Fatal(err)
	}
	meet(anna, bo)
	sees("not blocked any more", true)
	in.set(anna.id) // anna leaves
	sees("anna left", false)
	all, err := anna.Shares(t.Context())
	if err != nil || len(all) != 1 || !all[0].Left || !cmp.Equal(all[0].Audience, []share.Grant{toMembers()}) {
		t.Errorf("the share does not say that its workgroup is gone: %+v, %v", all, err)
	}
	in.set(anna.id, of([16]byte{1}))
	if all, err := anna.Shares(t.Context()); err != nil || all[0].Left {
		t.Errorf("%+v, %v", all, err)
	}
	sees("anna is in again", true)
}

// TestForWhomANewShareIs: what was not said is never for more people than see this device anyhow.
func TestForWhomANewShareIs(t *testing.T) {
	nearby, nobody := []share.Grant{{Who: share.ToNearby, Level: share.LookOnly}}, []share.Grant{{Who: share.ToNobody}}
	for name, tt := range map[string]struct {
		private bool
		in      []access.Member
		want    []share.Grant
	}{
		"open":            {want: nearby},
		"open and in one": {in: []access.Member{of(personBo)}, want: nearby},
		"only in one":     {private: true, in: []access.Member{of(personBo)}, want: []share.Grant{toMembers()}},
		"only in two":     {private: true, in: []access.Member{of(personBo), {Workgroup: workGroup}}, want: nobody},
		"in nothing":      {private: true, want: nobody},
	} {
		anna, in := startWith(t, "anna", "")
		in.set(anna.id, tt.in...)
		if err := anna.SetOpen(t.Context(), !tt.private); err != nil {
			t.Fatal(err)
		}
		anna.put("Films/note.txt", nil)
		s, err := anna.AddShare(t.Context(), filepath.Join(anna.dir, "Films"), "")
		if err != nil || !cmp.Equal(s.Audience, tt.want) {
			t.Errorf("%s: for %+v, %v", name, s.Audience, err)
		}
		in.set(anna.id)
		if err := anna.SetOpen(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		if all, err := anna.Shares(t.Context()); err != nil || !cmp.Equal(all[0].Audience, tt.want) || all[0].Left != (tt.want[0].Who == share.ToEveryone) {
			t.Errorf("%s: after everything was left it is for %+v, %v", name, all, err)
		}
		if sees := (rights{anna.Engine}).sees(discovery.DeviceID{9}, s); sees != (tt.want[0].Who == share.ToNearby) {
			t.Errorf("%s: then a stranger sees it: %v", name, sees)
		}
		anna.stop()
	}
}

// TestHelpAmongMembers: receivers of a private workgroup give pieces to one another; a removal stops it at once with every one that has heard of it,
// and what is shown to the others is what a stranger is shown.
func TestHelpAmongMembers(t *testing.T) {
	const size = 48<<20 + 12345
	names := []string{"anna", "bert", "carl", "dora"}
	var all []*world
	books := map[*world]*book{}
	for _, name := range names {
		w, b := startWith(t, name, "")
		for _, other := range all {
			meet(other, w)
		}
		all, books[w] = append(all, w), b
	}
	for _, b := range books {
		for i, w := range all {
			b.set(w.id, of([16]byte{byte(i + 1)}))
		}
	}
	source, bert, carl, dora := all[0], all[1], all[2], all[3]
	data := noise("film", size)
	source.put("Films/film.bin", data)
	source.up.Set(12 << 20)
	s, err := source.AddShare(t.Context(), filepath.Join(source.dir, "Films"), "", toMembers())
	if err != nil {
		t.Fatal(err)
	}
	o := share.Offer{ID: s.ID, Kind: s.Kind, Name: s.Name}
	ids := map[*world]transfer.JobID{}
	for _, w := range all[1:] {
		ids[w] = w.fetch(source, o, "film.bin")
	}
	var fromSource, fromOthers int64
	for _, w := range all[1:] {
		w.within(time.Minute, "the pull is done", func() bool { return w.job(ids[w]).State == transfer.Done })
		w.same("film.bin", data)
		for _, from := range w.job(ids[w]).Sources {
			if from.Device == source.id {
				fromSource += from.Bytes
			} else {
				fromOthers += from.Bytes
			}
		}
	}
	t.Logf("the source gave %.2f copies, the members %.2f", float64(fromSource)/size, float64(fromOthers)/size)
	if fromOthers < size {
		t.Errorf("the members gave one another %d bytes", fromOthers)
	}
	l, err := content.Build(t.Context(), bytes.NewReader(data), size, 1)
	if err != nil {
		t.Fatal(err)
	}
	h, ok := carl.pulls.Holding(l.Root)
	if !ok {
		t.Fatal("carl gives nothing on")
	}
	m, _ := h.Stated(time.Now())
	if m.Group != homeGroup || m.Policy != wire.PolicyMembers || m.Origin != source.id {
		t.Fatalf("it is stated to be %+v", m)
	}
	ticket, err := wire.SignTicket(wire.Ticket{Root: l.Root, Holder: bert.id, Group: homeGroup, Until: time.Now().Add(wire.TicketTime)}, source.me())
	if err != nil {
		t.Fatal(err)
	}
	helps := func(what string, helper *world, want int) {
		t.Helper()
		n, err := bert.neighbour(helper.id)
		if err != nil {
			t.Fatal(what, err)
		}
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://peer"+wire.RouteContent+l.Root.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(wire.HeaderTicket, ticket.Header())
		r.Header.Set("Range", "bytes=0-1048575")
		res, err := n.Peer.Client(link.Quick).Do(r)
		if err != nil {
			t.Fatal(what, err)
		}
		defer res.Body.Close() //nolint:errcheck // of a test
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != want {
			t.Errorf("%s: %d, %v, want %d", what, res.StatusCode, err, want)
		}
	}
	helps("carl", carl, 206)
	books[carl].set(bert.id)
	helps("carl, who has heard that bert was removed", carl, 404)
	helps("dora, who has not", dora, 206)
	books[carl].set(bert.id, of([16]byte{2}))
	helps("carl, bert admitted anew", carl, 206)
	books[carl].set(source.id)
	helps("carl, who has heard that the source was removed", carl, 404)
	books[carl].set(source.id, of([16]byte{1}))
	books[carl].mu.Lock()
	books[carl].behind[source.id] = true // away, or not heard from: what it signed still counts
	books[carl].mu.Unlock()
	helps("carl, the source not in step", carl, 206)
	if err := carl.Block(t.Context(), source.id); err != nil {
		t.Fatal(err)
	}
	helps("carl, who blocked the source", carl, 404)
	books[dora].set(dora.id)
	helps("dora, who left", dora, 404)
}

// TestTheRightEndsWithTheTicket: who lost the right is sent to nobody any more, and no ticket of it lasts.
func TestTheRightEndsWithTheTicket(t *testing.T) {
	const size = wire.SwarmSize
	source, o, receivers, _ := crowd(t, size)
	tree, err := source.catalogue.Tree(o.ID)
	if err != nil {
		t.Fatal(err)
	}
	e, err := tree.Stat("film.bin")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(w *world) (wire.Swarm, error) {
		n, err := w.neighbour(source.id)
		if err != nil {
			t.Fatal(err)
		}
		return n.Client.Swarm(t.Context(), w.id, o.ID, e, make([]byte, size>>20/8), false)
	}
	bert, carl, dora := receivers[0], receivers[1], receivers[2]
	for _, w := range receivers {
		if _, err := ask(w); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ask(bert)
	k, kerr := wire.OpenTicket(got.Ticket)
	if err != nil || kerr != nil || len(got.Peers) != 2 || time.Until(k.Until) > wire.TicketTime {
		t.Fatalf("%+v, %v, %v", got, err, kerr)
	}
	if err := source.AllowShare(t.Context(), o.ID, only(bert, carl)); err != nil {
		t.Fatal(err)
	}
	dora.until("dora, who was cut off, gets nothing", func() bool {
		if n, err := dora.neighbour(source.id); err != nil || n == nil {
			return false
		}
		got, err := ask(dora)
		if err == nil {
			t.Fatalf("dora gets %+v", got)
		}
		return errors.Is(err, transfer.ErrGone)
	})
	if got, err := ask(bert); err != nil || !slices.Equal(got.Peers, []discovery.DeviceID{carl.id}) {
		t.Errorf("bert is sent to %v, %v", got.Peers, err)
	}
	now := time.Now()
	if met := (rights{carl.Engine}).Met(source.id); now.Sub(met).Abs() > time.Minute || k.Counts(k.Until.Add(time.Second), k.Until.Add(time.Second), wire.TicketAway) {
		t.Errorf("a ticket counts on while its source is there (%v)", met)
	}
	source.stop()
	carl.until("the source left", carl.sees(source, discovery.Offline))
	met := (rights{carl.Engine}).Met(source.id)
	if met.Before(now.Add(-time.Minute)) || met.After(time.Now()) || !met.Equal((rights{carl.Engine}).Met(source.id)) {
		t.Errorf("it was there last at %v", met)
	}
	if at := (rights{carl.Engine}).Met(discovery.DeviceID{9}); !at.IsZero() {
		t.Errorf("somebody who never was was there at %v", at)
	}
}
