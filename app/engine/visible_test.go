package engine

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"porchlight/app/config"
	"porchlight/app/mesh"
	"porchlight/discovery"
	machine "porchlight/discovery/calm"
	"porchlight/discovery/identity"
	"porchlight/discovery/ledger"
	"porchlight/discovery/mdns"
	"porchlight/discovery/presence"
	"porchlight/discovery/workgroup"
	"porchlight/share/access"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// shelf is the private workgroups of one device, without anything that carries them to others.
type shelf struct {
	*workgroup.Book
	slot func() (int, bool) // of an invitation
}

func (s shelf) Slot() (int, bool) {
	if s.slot == nil {
		return 0, false
	}
	return s.slot()
}

func (shelf) Guest(discovery.DeviceID) bool { return false }

func (s shelf) Called(id discovery.DeviceID) string {
	for _, g := range s.Common(id) {
		if m, err := s.Member(g, id); err == nil {
			return m.Name
		}
	}
	return ""
}

// asleep is an engine that was opened and does not run yet, in no open workgroup unless open is set.
func asleep(t *testing.T, name string, open bool) *Engine {
	t.Helper()
	e, err := Open(t.Context(), Config{Home: t.TempDir(), Version: "test of " + name, Loopback: true, Change: func(s *config.Settings) error {
		s.Name, s.Network, s.Downloads, s.FirstRunDone, s.Private = name, discovery.Home, filepath.Join(t.TempDir(), "downloads"), true, !open
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := shelf{Book: workgroup.New(workgroup.Config{Self: e.ident})}
	e.announced = s
	if err := e.look(s); err != nil {
		t.Fatal(err)
	}
	return e
}

// awake runs an engine.
func awake(t *testing.T, e *Engine) *world {
	t.Helper()
	w := &world{Engine: e, t: t, dir: t.TempDir(), id: e.selfID(), stop: running(t, e)}
	w.until("it listens", func() bool {
		s, err := e.Self(t.Context())
		return err == nil && s.Port != 0
	})
	return w
}

// found makes a private workgroup of engines; what each is called in it is its own name with "in ledger" behind.
func found(t *testing.T, name string, founder *Engine, others ...*Engine) workgroup.ID {
	t.Helper()
	book := founder.announced.(shelf)
	w, err := book.Create(workgroup.Founding{Name: name, Device: founder.settings.Name + " in ledger", PersonName: "Somebody"})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range others {
		welcome, _, err := book.Admit(w.ID, workgroup.Admission{Key: ledger.KeyOf(o.ident.Public()), Name: o.settings.Name + " in ledger", Role: ledger.Member, Via: ledger.ViaCode})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.announced.(shelf).Join(founder.selfID(), welcome); err != nil {
			t.Fatal(err)
		}
	}
	return w.ID
}

// earshot gathers what everybody on the loopback interface sends to the group of multicast DNS.
type earshot struct {
	mu      sync.Mutex // guards the field below
	packets [][]byte
}

func listenIn(t *testing.T) *earshot {
	t.Helper()
	lo, err := net.InterfaceByIndex(1)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenMulticastUDP("udp4", lo, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353})
	if err != nil {
		t.Fatal(err)
	}
	e := &earshot{}
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 9000)
		for {
			n, _, err := conn.ReadFromUDP(buf)
			if err != nil {
				return
			}
			e.mu.Lock()
			e.packets = append(e.packets, bytes.Clone(buf[:n]))
			e.mu.Unlock()
		}
	})
	t.Cleanup(func() { conn.Close(); wg.Wait() })
	return e
}

func (e *earshot) heard() [][]byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.packets)
}

// says reports whether one of the packets has the bytes in it, in capital or small letters.
func (e *earshot) says(what []byte) bool {
	return slices.ContainsFunc(e.heard(), func(p []byte) bool { return bytes.Contains(bytes.ToLower(p), bytes.ToLower(what)) })
}

func (n *network) label() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.face.label
}

// lists reports whether an engine shows a device to people.
func (w *world) lists(id discovery.DeviceID) (discovery.Peer, bool) {
	w.t.Helper()
	all, err := w.Peers(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(p discovery.Peer) bool { return p.ID == id })
	if i < 0 {
		return discovery.Peer{}, false
	}
	return all[i], true
}

// TestMembersMeetInPrivate: two members of a private workgroup that are in no open one find each other, while a stranger in the
// open one is next to them. Nothing that is sent to all names anybody.
func TestMembersMeetInPrivate(t *testing.T) {
	ear := listenIn(t)
	annaIs, boIs, eveIs := asleep(t, "Annalena-Q7", false), asleep(t, "Bodo-Q7", false), asleep(t, "Evelyn-Q7", true)
	id := found(t, "Secret Society Q7", annaIs, boIs)
	eve, anna := awake(t, eveIs), awake(t, annaIs)
	began := time.Now()
	bo := awake(t, boIs)
	anna.until("it sees the other", anna.sees(bo, discovery.Online))
	bo.until("the other sees it", bo.sees(anna, discovery.Online))
	t.Logf("met after %v", time.Since(began))
	p, ok := anna.lists(bo.id)
	if !ok || p.Name != "Bodo-Q7 in ledger" || p.FirstName != p.Name || p.Workgroup != "" || p.Verified || len(p.Groups) != 1 || p.Groups[0] != id {
		t.Errorf("listed as %+v", p)
	}
	if err := bo.SetName(t.Context(), "Bodobert-Q7"); err != nil {
		t.Fatal(err)
	}
	before := bo.network().label()
	bo.announceChanged()
	bo.until("the new label is heard", func() bool { return ear.says([]byte(bo.network().label())) })
	if bo.network().label() == before {
		t.Error("the label is the one before")
	}
	eve.until("it is announced", func() bool { return ear.says([]byte("Evelyn-Q7")) }) // so the ear works
	for _, e := range []*world{anna, bo} {
		shown := e.id.String()
		for what, secret := range map[string][]byte{"name": []byte(strings.TrimSuffix(e.settings.Name, "-Q7")), "device ID": e.id[:], "prefix of it": []byte(mdns.IDPrefix(e.id)), "start of it": []byte(shown[:7]),
			"hexadecimal ID": []byte(e.id.Hex()[:12]), "key": e.ident.Public(), "workgroup ID": id[:], "workgroup ID in hexadecimal": fmt.Appendf(nil, "%x", id[:6]), "workgroup": []byte("Society"), "escaped workgroup": []byte("Secret%20"),
			"name in the ledger": []byte("ledger")} {
			if ear.says(secret) {
				t.Errorf("everybody hears the %s of %s", what, e.settings.Name)
			}
		}
		if _, ok := eve.lists(e.id); ok {
			t.Errorf("a stranger lists %s", e.settings.Name)
		}
		if _, err := eve.roster.Get(e.id); !errors.Is(err, presence.ErrUnknown) {
			t.Errorf("a stranger keeps %s", e.settings.Name)
		}
		if _, ok := e.lists(eve.id); ok {
			t.Errorf("%s lists a stranger", e.settings.Name)
		}
	}
}

// strange says hello to an engine as somebody else, and returns the answer and the connection, and who it was.
func strange(t *testing.T, to *world, h wire.Hello) (link.Greeting, discovery.DeviceID) {
	t.Helper()
	other, err := identity.Load(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	d := link.Dialer{Identity: other, Hello: func(*link.Session, *wire.Hello) wire.Hello { return h }}
	g, err := d.Dial(t.Context(), nil, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(to.network().port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Conn.Close() })
	return g, other.ID()
}

// get asks for a route over a connection.
func get(t *testing.T, c net.Conn, route string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://device"+route, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.SetDeadline(time.Now().Add(machine.Most(15*time.Second))), req.Write(c)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), req)
	if err != nil {
		t.Fatal(route, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(route, err)
	}
	return res.StatusCode, body
}

// TestAStrangerGetsNothing: whoever connects to a device that is in no open workgroup is told no name, and finds no route but
// those for becoming a member.
func TestAStrangerGetsNothing(t *testing.T) {
	w := awake(t, asleep(t, "anna", false))
	w.put("Stuff/note.txt", []byte("hello"))
	o, err := w.AddShare(t.Context(), filepath.Join(w.dir, "Stuff"), "Stuff", access.Open()...)
	if err != nil {
		t.Fatal(err)
	}
	g, id := strange(t, w, wire.Hello{V: wire.Version, Name: "eve", Workgroup: "WORKGROUP", Install: "x"})
	if a := g.Answer; a.Name != "" || a.Workgroup != "" || a.Install != "" || a.App != "" || a.Now != 0 {
		t.Errorf("told %+v", a)
	}
	for _, route := range []string{wire.RouteEvents, wire.RoutePeers, wire.RouteShares, wire.RouteDoctor, wire.RouteShare + fmt.Sprintf("%x", o.ID[:]) + wire.RouteList + "?path=", "/v1/nothing"} {
		if status, _ := get(t, g.Conn, route); status != 404 {
			t.Errorf("%s: %d", route, status)
		}
	}
	all, err := w.Peers(t.Context())
	if err != nil || len(all) != 0 {
		t.Errorf("it is listed: %+v, %v", all, err)
	}
	if p, err := w.roster.Get(id); !errors.Is(err, presence.ErrUnknown) {
		t.Errorf("it is kept: %+v, %v", p, err)
	}
	if err := w.SetOpen(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	g, id = strange(t, w, wire.Hello{V: wire.Version, Name: "eve", Workgroup: "WORKGROUP", Install: "x"})
	if a := g.Answer; a.Name != "anna" || a.Workgroup != "WORKGROUP" {
		t.Errorf("told %+v", a)
	}
	if status, body := get(t, g.Conn, wire.RouteShares); status != 200 || !bytes.Contains(body, []byte("Stuff")) {
		t.Errorf("shares: %d %q", status, body)
	}
	if p, err := w.roster.Get(id); err != nil || p.Name != "eve" {
		t.Errorf("known as %+v, %v", p, err)
	}
}

// TestLeavingTheOpenWorkgroup: two neighbours; one leaves the open workgroup. The other sees it go at once and not by its name any
// more; what it did there ends. It comes back when it is open again.
func TestLeavingTheOpenWorkgroup(t *testing.T) {
	ear := listenIn(t)
	anna, bo := awake(t, asleep(t, "Annabell-Z3", true)), awake(t, asleep(t, "Boris-Z3", true))
	anna.until("it sees the other", anna.sees(bo, discovery.Online))
	bo.until("the other sees it", bo.sees(anna, discovery.Online))
	if self, err := bo.Self(t.Context()); err != nil || !self.Open {
		t.Errorf("%+v, %v", self, err)
	}
	before := bo.network().label()
	began := time.Now()
	if err := bo.SetOpen(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	label := bo.network().label()
	bo.until("it is announced without a name", func() bool { return ear.says([]byte(label)) })
	if label == before {
		t.Error("the label is the one before")
	}
	goodbye := false
	for _, p := range ear.heard() {
		after := bytes.Contains(p, []byte(label))
		goodbye = goodbye || bytes.Contains(p, []byte(before)) && !bytes.Contains(p, []byte("Boris-Z3"))
		if after && (bytes.Contains(p, []byte("Boris")) || bytes.Contains(p, []byte(mdns.IDPrefix(bo.id)))) {
			t.Errorf("named under the new label: %q", p)
		}
	}
	if !goodbye {
		t.Error("the old label was not taken back")
	}
	anna.within(5*time.Second, "it is gone", anna.sees(bo, discovery.Offline))
	t.Logf("gone after %v", time.Since(began))
	if _, ok := bo.lists(anna.id); ok {
		t.Error("a stranger is still listed")
	}
	if self, err := bo.Self(t.Context()); err != nil || self.Open {
		t.Errorf("%+v, %v", self, err)
	}
	if err := bo.AddPeer(t.Context(), fmt.Sprintf("127.0.0.1:%d", anna.network().port)); !errors.Is(err, mesh.ErrStranger) || !errors.Is(err, transfer.ErrAway) {
		t.Errorf("a stranger was added: %v", err)
	}
	if err := anna.AddPeer(t.Context(), fmt.Sprintf("127.0.0.1:%d", bo.network().port)); !errors.Is(err, mesh.ErrStranger) {
		t.Errorf("one that hides was added: %v", err)
	}
	if p, err := anna.roster.Get(bo.id); err != nil || p.Name != "Boris-Z3" || p.Workgroup != "" {
		t.Errorf("%+v, %v", p, err)
	}
	if err := bo.SetOpen(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	anna.until("it is back", anna.sees(bo, discovery.Online))
	bo.until("the other is back", bo.sees(anna, discovery.Online))
}

// TestAFriendWithoutAWorkgroup: a device whose key people verified stays a neighbour when this one leaves the open workgroup.
func TestAFriendWithoutAWorkgroup(t *testing.T) {
	anna, bo := awake(t, asleep(t, "anna", true)), awake(t, asleep(t, "bo", true))
	meet(anna, bo)
	bo.proven(anna.id, ledger.ViaPictures)
	if err := bo.SetOpen(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	anna.until("it knows that it is in no open workgroup", func() bool {
		p, err := anna.roster.Get(bo.id)
		return err == nil && p.Workgroup == ""
	})
	if p, ok := bo.lists(anna.id); !ok || !p.Verified || p.State != discovery.Online {
		t.Errorf("%+v", p)
	}
}

func TestWhatIsAnnounced(t *testing.T) {
	sizes := map[int]bool{}
	for groups := range 9 {
		e := asleep(t, "anna", false)
		defer e.Close()
		for i := range groups {
			found(t, fmt.Sprint("group ", i), e)
		}
		n := &network{e: e, port: 47470}
		n.face = n.newFace()
		r := n.record()
		if err := r.Check(); err != nil || r.Name+r.Workgroup+r.IDPrefix+r.Slot != "" {
			t.Errorf("%d workgroups: %+v, %v", groups, r, err)
		}
		if again := n.record(); again.Tags != r.Tags {
			t.Errorf("%d workgroups: the tags of a label changed", groups)
		}
		size := 0
		for _, s := range r.TXT() {
			size += 1 + len(s)
		}
		if sizes[size] = true; len(sizes) != 1+groups/5 {
			t.Errorf("%d workgroups: %d bytes, others %v", groups, size, sizes)
		}
		ids, err := e.announced.(shelf).Recognise(r.Instance, r.Tags)
		if err != nil || len(ids) != groups {
			t.Errorf("%d workgroups: %d recognised, %v", groups, len(ids), err)
		}
		first := split(t, r.Tags)
		n.face = n.newFace()
		other := n.record()
		if other.Instance == r.Instance || slices.ContainsFunc(split(t, other.Tags), func(s string) bool { return slices.Contains(first, s) }) {
			t.Errorf("%d workgroups: two labels have something in common", groups)
		}
		if ids, err := e.announced.(shelf).Recognise(other.Instance, r.Tags); err != nil || len(ids) != 0 {
			t.Errorf("%d workgroups: tags of another label are recognised: %v, %v", groups, ids, err)
		}
	}
}

// split cuts a list of tags.
func split(t *testing.T, tags string) (out []string) {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(tags)
	if err != nil || len(b)%8 != 0 {
		t.Fatal(tags, err)
	}
	for ; len(b) > 0; b = b[8:] {
		out = append(out, string(b[:8]))
	}
	return out
}

// TestInviters: an announced invitation is found by its slot, and its device is shown as inviting until it ends.
func TestInviters(t *testing.T) {
	anna, boIs := awake(t, asleep(t, "anna", true)), asleep(t, "bo", true)
	var mu sync.Mutex
	open := true
	boIs.announced = shelf{Book: boIs.announced.(shelf).Book, slot: func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		return 7, open
	}}
	bo := awake(t, boIs)
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(bo.network().port))
	anna.until("the invitation is heard of", func() bool { return slices.Contains(anna.inviters(7), at) })
	if !slices.Equal(anna.roster.Slots(), []string{"07"}) || len(anna.inviters(70)) != 0 {
		t.Error("another slot")
	}
	anna.until("it is shown", func() bool { p, ok := anna.lists(bo.id); return ok && p.Inviting })
	mu.Lock()
	open = false
	mu.Unlock()
	bo.announceChanged()
	anna.until("it is over", func() bool { p, _ := anna.lists(bo.id); return len(anna.roster.Slots()) == 0 && !p.Inviting })
}
