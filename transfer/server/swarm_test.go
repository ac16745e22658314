package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/calm"
	"porchlight/discovery/identity"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/share/safefs"
	"porchlight/transfer"
	"porchlight/transfer/client"
	"porchlight/transfer/link"
	"porchlight/transfer/server"
	"porchlight/transfer/swarm"
	"porchlight/transfer/wire"
)

// sharer is a device that shares a folder and gives on what it holds of others.
type sharer struct {
	t     *testing.T
	ident *identity.Identity
	addr  netip.AddrPort
	dir   string
	tree  *safefs.Tree
	holds map[content.Hash]*held1
	*circle
}

func (s *sharer) Offers(discovery.DeviceID) []share.Offer {
	return []share.Offer{{ID: shareID, Kind: share.Folder, Name: "Films"}}
}

func (s *sharer) Tree(dev discovery.DeviceID, id share.ID) (*safefs.Tree, error) {
	if id != shareID || dev == (discovery.DeviceID{}) {
		return nil, transfer.ErrGone
	}
	return s.tree, nil
}
func (s *sharer) Greeted(*link.Session, wire.Hello) bool   { return true }
func (s *sharer) Hints(discovery.DeviceID) []wire.PeerHint { return nil }
func (s *sharer) Lent(c *link.Conn)                        { c.Close() }
func (s *sharer) Holding(root content.Hash) (server.Holding, bool) {
	h, ok := s.holds[root]
	return h, ok
}

// held1 is a content of somebody else, of which the pieces in bits are there.
type held1 struct {
	origin discovery.DeviceID
	stated wire.Manifest
	ahead  time.Duration // of the origin's clock
	data   []byte
	mu     sync.Mutex // guards the fields below
	bits   []byte
	count  int
	more   chan struct{}
}

func (h *held1) Origin() discovery.DeviceID { return h.origin }
func (h *held1) Stated(now time.Time) (wire.Manifest, time.Time) {
	m := h.stated
	m.Origin = h.origin
	return m, now.Add(h.ahead)
}
func (h *held1) Size() int64                 { return int64(len(h.data)) }
func (h *held1) Peers() []discovery.DeviceID { return []discovery.DeviceID{{7}} }
func (h *held1) Have() (int, []byte, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count, bytes.Clone(h.bits), h.more
}
func (h *held1) ReadAt(p []byte, off int64) (int, error) { return copy(p, h.data[off:]), nil }
func (h *held1) add(i int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bits[i>>3] |= 0x80 >> (i & 7)
	h.count++
	close(h.more)
	h.more = make(chan struct{})
}

func newSharer(t *testing.T) *sharer {
	t.Helper()
	s := &sharer{t: t, ident: someone(t), dir: t.TempDir(), holds: map[content.Hash]*held1{}, circle: &circle{}}
	var err error
	if s.tree, err = safefs.OpenTree(s.dir); err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = tcp.Addr().(*net.TCPAddr).AddrPort()
	log := slog.New(slog.DiscardHandler)
	in := link.NewListener(tcp, s.ident, log)
	srv := server.New(server.Config{Hello: func(*link.Session, *wire.Hello) wire.Hello { return helloOf("sharer") }, Shares: s, Neighbours: s, Layers: content.NewCache(noStore{}, 1000),
		Holdings: s, Signer: s.ident, Circle: s.circle, Blocked: s.circle.isBlocked, Log: log})
	whole := context.WithoutCancel(t.Context())
	ctx, cancel := context.WithCancel(whole)
	var wg sync.WaitGroup
	wg.Go(func() { srv.Serve(ctx, in) }) //nolint:errcheck // ends with ctx
	wg.Go(func() { in.Run(whole) })      //nolint:errcheck // ends with the listener
	t.Cleanup(func() { cancel(); in.Close(); wg.Wait(); s.tree.Close() })
	return s
}

// asker is a device that asks a sharer.
type asker struct {
	*client.Client
	ident *identity.Identity
	http  *http.Client
}

func (a *asker) id() discovery.DeviceID { return a.ident.ID() }

func (s *sharer) asker(ident *identity.Identity) *asker {
	if ident == nil {
		ident = someone(s.t)
	}
	d := &link.Dialer{Identity: ident, Hello: func(*link.Session, *wire.Hello) wire.Hello { return helloOf("asker") }}
	p := link.NewPeer(s.ident.ID(), d, func() []netip.AddrPort { return []netip.AddrPort{s.addr} }, nil)
	s.t.Cleanup(p.Close)
	return &asker{client.New(p), ident, p.Client(link.Quick)}
}

func film(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b) //nolint:errcheck // never fails
	return b
}

// put shares a file.
func (s *sharer) put(name string, data []byte) share.Entry {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), data, 0o600); err != nil {
		s.t.Fatal(err)
	}
	e, err := s.tree.Stat(share.Path(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return e
}

// hold has a sharer hold pieces of a content of somebody else.
func (s *sharer) hold(origin discovery.DeviceID, data []byte, pieces ...int) (content.Layer, *held1) {
	s.t.Helper()
	l, err := content.Build(s.t.Context(), bytes.NewReader(data), int64(len(data)), 1)
	if err != nil {
		s.t.Fatal(err)
	}
	h := &held1{origin: origin, data: data, bits: make([]byte, (len(l.Pieces)+7)/8), more: make(chan struct{})}
	for _, i := range pieces {
		h.add(i)
	}
	s.holds[l.Root] = h
	return l, h
}

func ticketOf(t *testing.T, by *identity.Identity, holder discovery.DeviceID, root content.Hash, until time.Time) wire.Signed {
	t.Helper()
	s, err := wire.SignTicket(wire.Ticket{Root: root, Holder: holder, Until: until}, by)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), calm.Most(20*time.Second))
	t.Cleanup(cancel)
	return ctx
}

// TestPullersAreIntroduced: the second who pulls a file is told of the first and the other way round, at once, with all that it takes to help each other.
func TestPullersAreIntroduced(t *testing.T) {
	s := newSharer(t)
	data := film(wire.SwarmSize + 5)
	e := s.put("film", data)
	n := content.Parts(e.Size)
	empty := make([]byte, (n+7)/8)
	a, b := s.asker(nil), s.asker(nil)
	got, err := a.Swarm(within(t), a.id(), shareID, e, empty, false)
	if err != nil || got.Others != 0 || got.Known {
		t.Fatalf("alone: %+v, %v", got, err)
	}
	type result struct {
		wire.Swarm
		err  error
		took time.Duration
	}
	waiting := make(chan result, 1)
	go func() {
		began := time.Now()
		for {
			got, err := a.Swarm(within(t), a.id(), shareID, e, empty, true)
			if err != nil || got.Others > 0 || time.Since(began) > calm.Most(10*time.Second) {
				waiting <- result{got, err, time.Since(began)}
				return
			}
		}
	}()
	half := bytes.Clone(empty)
	half[0] = 0xf0
	got, err = b.Swarm(within(t), b.id(), shareID, e, half, false)
	l, berr := content.Build(t.Context(), bytes.NewReader(data), e.Size, 1)
	if err != nil || berr != nil || got.Others != 1 || !got.Known || got.Stated.Root != l.Root || len(got.Peers) != 1 || got.Peers[0] != a.id() {
		t.Fatalf("the second is told %+v, %v, %v", got, err, berr)
	}
	if ticket, err := wire.OpenTicket(got.Ticket); err != nil || !ticket.Allows(b.id(), s.ident.ID(), l.Root, time.Now()) || ticket.Allows(a.id(), s.ident.ID(), l.Root, time.Now()) {
		t.Errorf("the ticket says %+v, %v", ticket, err)
	}
	advice, err := swarm.ParseAdvice(got.Advice)
	if err != nil || len(advice.Runs) == 0 || advice.Open || advice.Alone || advice.Runs[0].From < 4 {
		t.Errorf("who has four pieces is advised %+v, %v", advice, err)
	}
	r := <-waiting
	if r.err != nil || !r.Known || len(r.Peers) != 1 || r.Peers[0] != b.id() {
		t.Errorf("the first is told %+v, %v", r.Swarm, r.err)
	}
	t.Logf("the first learned of it after %v", r.took)
}

// advised is a writer that hears advice.
type advised struct {
	bytes.Buffer
	text string
}

func (a *advised) Advised(text string) { a.text = text }

// TestAdviceComesWithBytes: whoever pulls a file among others is advised with each answer, strangers to the crowd are not; when all was given, anything may be asked for.
func TestAdviceComesWithBytes(t *testing.T) {
	s := newSharer(t)
	e := s.put("film", film(wire.SwarmSize+5))
	n := content.Parts(e.Size)
	a, b, c := s.asker(nil), s.asker(nil), s.asker(nil)
	read := func(who *asker, i int) *advised {
		t.Helper()
		var w advised
		rg := transfer.Range{Off: int64(i) * content.PieceSize, Len: int64(content.PieceLen(e.Size, i))}
		if err := who.Read(within(t), shareID, e.Path, e.Version, rg, &w); err != nil {
			t.Fatal(err)
		}
		return &w
	}
	if w := read(a, 0); w.text != "" {
		t.Errorf("nobody else is there, and yet %q", w.text)
	}
	for _, who := range []*asker{a, b} {
		if _, err := who.Swarm(within(t), who.id(), shareID, e, make([]byte, (n+7)/8), false); err != nil {
			t.Fatal(err)
		}
	}
	if w := read(c, 1); w.text != "" {
		t.Errorf("who does not pull is advised %q", w.text)
	}
	seen := map[int]string{}
	for round := 0; ; round++ {
		who, name := a, "a"
		if round%2 == 1 {
			who, name = b, "b"
		}
		w := read(who, round%n)
		advice, err := swarm.ParseAdvice(w.text)
		if err != nil || w.text == "" {
			t.Fatalf("advice %q: %v", w.text, err)
		}
		if advice.Open {
			t.Logf("open after %d pieces", round)
			break
		}
		if round > 2*n {
			t.Fatalf("never open: %q", w.text)
		}
		for _, r := range advice.Runs {
			for i := r.From; i < r.To; i++ {
				if was := seen[i]; was != "" && was != name {
					t.Errorf("piece %d is advised to both", i)
				}
				seen[i] = name
			}
		}
	}
}

func TestSwarmRefusals(t *testing.T) {
	s := newSharer(t)
	small, e := s.put("small", film(1000)), s.put("film", film(wire.SwarmSize))
	a := s.asker(nil)
	bits := make([]byte, 2)
	for _, tt := range []struct {
		name string
		id   share.ID
		e    share.Entry
		bits []byte
		want error
	}{
		{"a small file", shareID, small, make([]byte, 1), transfer.ErrUnsupported},
		{"another version", shareID, share.Entry{Path: e.Path, Version: share.Version{1}, Size: e.Size}, bits, transfer.ErrChanged},
		{"no such file", shareID, share.Entry{Path: "nothing", Version: e.Version, Size: e.Size}, bits, transfer.ErrGone},
		{"another share", share.ID{9}, e, bits, transfer.ErrGone},
		{"a map of another file", shareID, e, make([]byte, 3), transfer.ErrProtocol},
		{"no map", shareID, e, nil, transfer.ErrProtocol},
		{"a huge map", shareID, e, make([]byte, wire.MaxSwarmAsk), transfer.ErrLimit},
	} {
		if got, err := a.Swarm(within(t), a.id(), tt.id, tt.e, tt.bits, false); !errors.Is(err, tt.want) {
			t.Errorf("%s: %+v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
}

// TestTicketsOpenDoors: with a ticket of the owner pieces are given that are there, and the news of more.
func TestTicketsOpenDoors(t *testing.T) {
	s, owner := newSharer(t), someone(t)
	data := film(20<<20 + 77)
	l, h := s.hold(owner.ID(), data, 0, 1, 2, 9, 20)
	a := s.asker(nil)
	ticket := ticketOf(t, owner, a.id(), l.Root, time.Now().Add(wire.TicketTime))
	have, err := a.Have(within(t), l.Root, l.Size, ticket, 0)
	if err != nil || have.Count != 5 || !bytes.Equal(have.Bits, []byte{0xe0, 0x40, 0x08}) || len(have.Peers) != 1 {
		t.Fatalf("%+v, %v", have, err)
	}
	for _, r := range []swarm.Run{{From: 0, To: 1}, {From: 1, To: 3}, {From: 20, To: 21}, {From: 9, To: 10}} {
		rg := swarm.Ask{Run: r}.Range(l.Size)
		var w bytes.Buffer
		if err := a.Content(within(t), l.Root, ticket, rg, &w); err != nil || !bytes.Equal(w.Bytes(), data[rg.Off:rg.Off+rg.Len]) {
			t.Errorf("pieces %v: %d bytes, %v", r, w.Len(), err)
		}
	}
	news := make(chan client.Have, 1)
	go func() {
		have, _ := a.Have(within(t), l.Root, l.Size, ticket, 5)
		news <- have
	}()
	h.add(3)
	if have := <-news; have.Count != 6 || have.Bits[0] != 0xf0 {
		t.Errorf("after one more: %+v", have)
	}
	began := time.Now()
	if have, err := a.Have(within(t), l.Root, l.Size, ticket, 6); err != nil || have.Count != 6 || time.Since(began) < wire.HaveTime-100*time.Millisecond {
		t.Errorf("without news %+v, %v after %v", have, err, time.Since(began))
	}
}

// TestNoTicketNoAnswer: whatever is wrong with a request for content of others, the answer is the same as if it were not there.
func TestNoTicketNoAnswer(t *testing.T) {
	s, owner, other := newSharer(t), someone(t), someone(t)
	data := film(20 << 20)
	l, _ := s.hold(owner.ID(), data, 0, 1, 2)
	a := s.asker(nil)
	good := ticketOf(t, owner, a.id(), l.Root, time.Now().Add(wire.TicketTime)).Header()
	manifest, err := wire.SignManifest(wire.Manifest{Share: shareID, Path: "film", Size: l.Size, Root: l.Root}, owner)
	if err != nil {
		t.Fatal(err)
	}
	spoilt := []byte(good)
	spoilt[10] ^= 1
	later := time.Now().Add(wire.TicketTime)
	ask := func(path, ticket, rg string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(within(t), http.MethodGet, "http://device"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if ticket != "" {
			req.Header.Set(wire.HeaderTicket, ticket)
		}
		if rg != "" {
			req.Header.Set("Range", rg)
		}
		res, err := a.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var b bytes.Buffer
		if _, err := b.ReadFrom(res.Body); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, fmt.Sprint(b.Bytes(), res.Header.Get("Content-Type"), len(res.Header))
	}
	path, piece := wire.RouteContent+l.Root.String(), "bytes=0-1048575"
	if status, _ := ask(path, good, piece); status != 206 {
		t.Fatalf("with a ticket: %d", status)
	}
	_, nothing := ask(wire.RouteContent+content.Hash{1}.String(), good, piece)
	for _, tt := range []struct{ name, path, ticket, rg string }{
		{"no ticket", path, "", piece},
		{"no ticket for the map", path + wire.RouteHave + "?since=0", "", ""},
		{"nonsense for a ticket", path, "AAAA.BBBB", piece},
		{"a spoilt ticket", path, string(spoilt), piece},
		{"a manifest for a ticket", path, manifest.Header(), piece},
		{"ticket of another holder", path, ticketOf(t, owner, other.ID(), l.Root, later).Header(), piece},
		{"ticket of another owner", path, ticketOf(t, other, a.id(), l.Root, later).Header(), piece},
		{"ticket of the asker's own", path, ticketOf(t, a.ident, a.id(), l.Root, later).Header(), piece},
		{"ticket of the server's own", path, ticketOf(t, s.ident, a.id(), l.Root, later).Header(), piece},
		{"ticket for another content", path, ticketOf(t, owner, a.id(), content.Hash{1}, later).Header(), piece},
		{"expired ticket", path, ticketOf(t, owner, a.id(), l.Root, time.Now().Add(-time.Second)).Header(), piece},
		{"expired ticket for the map", path + wire.RouteHave + "?since=0", ticketOf(t, owner, a.id(), l.Root, time.Now().Add(-time.Second)).Header(), ""},
		{"ticket for too long", path, ticketOf(t, owner, a.id(), l.Root, time.Now().Add(wire.TicketTime+wire.TicketSlack+time.Minute)).Header(), piece},
		{"a root that is none", wire.RouteContent + "zz", good, piece},
		{"no range", path, good, ""},
		{"half a piece", path, good, "bytes=0-524287"},
		{"not from a border", path, good, "bytes=1-1048576"},
		{"beyond the end", path, good, "bytes=20971520-22020095"},
		{"too many pieces", path, good, "bytes=0-17825791"},
		{"a piece that is not there", path, good, "bytes=3145728-4194303"},
		{"pieces of which one is not there", path, good, "bytes=2097152-4194303"},
		{"the map since nonsense", path + wire.RouteHave + "?since=-1", good, ""},
	} {
		if status, body := ask(tt.path, tt.ticket, tt.rg); status != 404 || body != nothing {
			t.Errorf("%s: %d %s, want 404 %s", tt.name, status, body, nothing)
		}
	}
}

// TestFind: files of a size are found in shares that the asker may see, only large ones, and few of a size.
func TestFind(t *testing.T) {
	s := newSharer(t)
	one := s.put("one", film(wire.SwarmSize+1))
	s.put("small", film(1000))
	for i := range wire.MaxFound + 2 {
		s.put(fmt.Sprint("twin ", i), film(wire.SwarmSize))
	}
	a := s.asker(nil)
	found, err := a.Find(within(t), []int64{wire.SwarmSize + 1, 1000, 5 << 30, -1})
	if err != nil || len(found) != 1 || found[0].Path != "one" || found[0].Version != one.Version || found[0].Share != shareID {
		t.Fatalf("%+v, %v", found, err)
	}
	if found, err := a.Find(within(t), []int64{wire.SwarmSize, wire.SwarmSize}); err != nil || len(found) != wire.MaxFound {
		t.Errorf("%d of many, %v", len(found), err)
	}
	if _, err := a.Find(within(t), make([]int64, wire.MaxFind+1)); !errors.Is(err, transfer.ErrLimit) {
		t.Errorf("too many sizes: %v", err)
	}
	if _, err := a.Layer(within(t), shareID, one.Path, one.Version); err != nil {
		t.Fatal(err)
	}
	if found, err := a.Find(within(t), []int64{one.Size}); err != nil || len(found) != 1 || found[0].Root == (content.Hash{}) {
		t.Errorf("once it is hashed: %+v, %v", found, err)
	}
}
