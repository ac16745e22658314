package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery"
	"porchlight/discovery/canon"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
)

// keyOf is the key of a seed of 32 bytes that begin with from and count up, as in the vectors of device IDs.
func keyOf(from byte) signer {
	seed := make([]byte, ed25519.SeedSize)
	for i := range seed {
		seed[i] = from + byte(i)
	}
	return signer{ed25519.NewKeyFromSeed(seed)}
}

func idOf(s signer) discovery.DeviceID { return discovery.IDOf(s.Public()) }

var (
	aTime  = time.Unix(1_700_000_000, 1)
	aRoot  = content.Hash(bytes.Repeat([]byte{0xc3}, 32))
	aShare = share.ID(bytes.Repeat([]byte{0xa1}, 16))
)

func aManifest() Manifest {
	return Manifest{Share: aShare, Path: "Films/film.mkv", Size: 1 << 32, MTime: aTime, Root: aRoot, Made: aTime.Add(time.Hour)}
}

func aTicket() Ticket {
	return Ticket{Root: aRoot, Holder: idOf(keyOf(0x20)), Until: time.Unix(1_700_086_400, 0)}
}

// membersManifest and membersTicket are of a private workgroup; the ticket is made when the manifest is, as a source makes them.
func membersManifest() Manifest {
	m := aManifest()
	m.Policy, m.Group = PolicyMembers, [32]byte(bytes.Repeat([]byte{0xd4}, 32))
	return m
}

func membersTicket() Ticket {
	k := aTicket()
	k.Group, k.Until = membersManifest().Group, membersManifest().Made.Truncate(time.Second).Add(TicketTime)
	return k
}

func signed(t *testing.T, s Signed, err error) Signed {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSignedVectors(t *testing.T) {
	by := keyOf(0)
	m, err := SignManifest(aManifest(), by)
	m = signed(t, m, err)
	k, err := SignTicket(aTicket(), by)
	k = signed(t, k, err)
	for name, s := range map[string]Signed{"manifest": m, "ticket": k} {
		specified(t, fmt.Sprintf("| %s | %x | %x |", name, s.Body, s.Sig))
	}
	specified(t, fmt.Sprintf("| `Porchlight-Ticket` of that ticket | %s |", k.Header()))
	got, err := OpenManifest(m)
	want := aManifest()
	want.Origin = idOf(by)
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("the manifest says %s, %v", d, err)
	}
	ticket, err := OpenTicket(k)
	if err != nil || !ticket.Names(aTicket().Holder, idOf(by), aRoot) || !ticket.Until.Equal(aTicket().Until) || ticket.Group != [32]byte{} {
		t.Errorf("%+v, %v", ticket, err)
	}
	back, err := ParseHeader(k.Header())
	if d := cmp.Diff(k, back); d != "" || err != nil {
		t.Errorf("the header became %s, %v", d, err)
	}
}

// TestSignedVectorsOfAWorkgroup: the same with the fields that a private workgroup has.
func TestSignedVectorsOfAWorkgroup(t *testing.T) {
	by := keyOf(0)
	m, err := SignManifest(membersManifest(), by)
	m = signed(t, m, err)
	k, err := SignTicket(membersTicket(), by)
	k = signed(t, k, err)
	for name, s := range map[string]Signed{"manifest for members": m, "ticket of a workgroup": k} {
		specified(t, fmt.Sprintf("| %s | %x | %x |", name, s.Body, s.Sig))
	}
	got, err := OpenManifest(m)
	want := membersManifest()
	want.Origin = idOf(by)
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("the manifest says %s, %v", d, err)
	}
	ticket, err := OpenTicket(k)
	if made := want.Made; err != nil || !ticket.Allows(aTicket().Holder, idOf(by), aRoot, made) || ticket.Group != want.Group || ticket.Allows(aTicket().Holder, idOf(by), aRoot, made.Add(TicketTime)) {
		t.Errorf("%+v, %v", ticket, err)
	}
}

// TestTicketCounts: after its time only while its origin has not been there since, and not for ever.
func TestTicketCounts(t *testing.T) {
	until := aTime.Truncate(time.Second)
	k, sec := Ticket{Until: until}, time.Second
	for _, tt := range []struct {
		name     string
		now, met time.Duration // after it ran out
		want     bool
	}{
		{"fresh", -sec, -sec, true},
		{"fresh, the origin long away", -sec, -time.Hour, true},
		{"over, the origin there", sec, sec, false},
		{"over just now, the origin there until then", 0, 0, true},
		{"over, the origin there a moment longer", sec, 1, false},
		{"over, the origin away before", time.Hour - 1, -sec, true},
		{"over for too long", time.Hour, -sec, false},
		{"not made yet", -TicketTime - TicketSlack, -TicketTime - TicketSlack, false},
	} {
		if got := k.Counts(until.Add(tt.now), until.Add(tt.met), time.Hour); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if a, b := aManifest().Away(), membersManifest().Away(); a != TicketAway || b != TicketMembers || a >= b {
		t.Errorf("away for %v and %v", a, b)
	}
}

// TestChangedByteIsRefused: a manifest or ticket of which any one bit differs is none.
func TestChangedByteIsRefused(t *testing.T) {
	by := keyOf(0)
	m, err := SignManifest(aManifest(), by)
	m = signed(t, m, err)
	k, err := SignTicket(aTicket(), by)
	k = signed(t, k, err)
	flip := func(b []byte, i int) []byte {
		b = bytes.Clone(b)
		b[i/8] ^= 1 << (i % 8)
		return b
	}
	n := 0
	for i := range 8 * len(m.Body) {
		if got, err := OpenManifest(Signed{flip(m.Body, i), m.Sig}); !errors.Is(err, transfer.ErrProtocol) {
			t.Errorf("bit %d of the manifest: %+v, %v", i, got, err)
		}
		n++
	}
	for i := range 8 * len(k.Body) {
		if got, err := OpenTicket(Signed{flip(k.Body, i), k.Sig}); !errors.Is(err, transfer.ErrProtocol) {
			t.Errorf("bit %d of the ticket: %+v, %v", i, got, err)
		}
		n++
	}
	for i := range 8 * len(k.Sig) {
		if _, err := OpenTicket(Signed{k.Body, flip(k.Sig, i)}); !errors.Is(err, transfer.ErrProtocol) {
			t.Errorf("bit %d of the signature: %v", i, err)
		}
		n++
	}
	t.Logf("%d bits", n)
}

// TestSignedRefusals: what is signed by the right key and still is not a manifest or ticket.
func TestSignedRefusals(t *testing.T) {
	by := keyOf(0)
	m, err := SignManifest(aManifest(), by)
	m = signed(t, m, err)
	k, err := SignTicket(aTicket(), by)
	k = signed(t, k, err)
	resign := func(domain string, body []byte) Signed { return Signed{body, by.Sign(append([]byte(domain), body...))} }
	longKey := append([]byte{m.Body[0]}, append([]byte{0x18, 0x01}, m.Body[2:]...)...) // key 1 in two bytes: says the same, not canonical
	for name, s := range map[string]Signed{
		"a ticket":         k,
		"another domain":   resign(ticketDomain, m.Body),
		"no domain":        resign("", m.Body),
		"not canonical":    resign(manifestDomain, longKey),
		"bytes behind it":  resign(manifestDomain, append(bytes.Clone(m.Body), 0)),
		"nothing":          resign(manifestDomain, nil),
		"no signature":     {m.Body, nil},
		"a long signature": {m.Body, append(bytes.Clone(m.Sig), 0)},
		"too large":        resign(manifestDomain, make([]byte, MaxSigned+1)),
	} {
		if got, err := OpenManifest(s); !errors.Is(err, transfer.ErrProtocol) {
			t.Errorf("%s is the manifest %+v, %v", name, got, err)
		}
	}
	if _, err := OpenTicket(m); !errors.Is(err, transfer.ErrProtocol) {
		t.Errorf("a manifest is a ticket: %v", err)
	}
	for name, change := range map[string]func(*Manifest){
		"a path with dots": func(m *Manifest) { m.Path = "../x" },
		"an absolute path": func(m *Manifest) { m.Path = "/etc/passwd" },
		"a negative size":  func(m *Manifest) { m.Size = -1 },
		"another policy":   func(m *Manifest) { m.Policy, m.Group = 2, [32]byte{1} },
		"members of none":  func(m *Manifest) { m.Policy = PolicyMembers },
	} {
		bad := aManifest()
		change(&bad)
		s, err := SignManifest(bad, by)
		if got, oerr := OpenManifest(signed(t, s, err)); !errors.Is(oerr, transfer.ErrProtocol) {
			t.Errorf("%s: %+v, %v", name, got, oerr)
		}
	}
	for _, h := range []string{"", ".", "a", "a.b.c", "AA==.AA==", k.Header() + "A", strings.Repeat("A", MaxTicketHeader) + ".A", "AB.AA", " " + k.Header()} {
		if s, err := ParseHeader(h); err == nil && s.Header() != h {
			t.Errorf("%q is read as %q", h, s.Header())
		} else if err == nil {
			if _, err := OpenTicket(s); err == nil {
				t.Errorf("%q is a ticket", h)
			}
		}
	}
}

func TestTicketAllows(t *testing.T) {
	holder, origin, now := idOf(keyOf(0x20)), idOf(keyOf(0)), aTime
	good := Ticket{Root: aRoot, Holder: holder, Origin: origin, Until: now.Add(TicketTime)}
	for _, tt := range []struct {
		name   string
		change func(*Ticket)
		want   bool
	}{
		{"as made", func(*Ticket) {}, true},
		{"by a clock that is ahead", func(k *Ticket) { k.Until = now.Add(TicketTime + TicketSlack - time.Second) }, true},
		{"other holder", func(k *Ticket) { k.Holder[0]++ }, false},
		{"other origin", func(k *Ticket) { k.Origin[0]++ }, false},
		{"other root", func(k *Ticket) { k.Root[0]++ }, false},
		{"expired", func(k *Ticket) { k.Until = now.Add(-time.Second) }, false},
		{"expired just now", func(k *Ticket) { k.Until = now }, false},
		{"too long-lived", func(k *Ticket) { k.Until = now.Add(TicketTime + TicketSlack) }, false},
		{"for ever", func(k *Ticket) { k.Until = time.Unix(1<<62, 0) }, false},
	} {
		k := good
		tt.change(&k)
		if got := k.Allows(holder, origin, aRoot, now); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// answer is what the origin answers to keyOf(0x20) about aManifest.
func answer(t *testing.T) SwarmAnswer {
	t.Helper()
	m, err := SignManifest(membersManifest(), keyOf(0))
	m = signed(t, m, err)
	k, err := SignTicket(membersTicket(), keyOf(0))
	k = signed(t, k, err)
	other := idOf(keyOf(0x40))
	return SwarmAnswer{Others: 1, Advice: "3-4;open", Manifest: &m, Ticket: &k, Peers: [][]byte{other[:]}}
}

func check(a SwarmAnswer) (Swarm, error) {
	m := aManifest()
	return a.Check(idOf(keyOf(0)), idOf(keyOf(0x20)), m.Share, m.Path, m.Size, aTime)
}

func TestSwarmAnswerIsChecked(t *testing.T) {
	s, err := check(answer(t))
	if err != nil || !s.Known || s.Stated.Root != aRoot || len(s.Peers) != 1 || s.Advice != "3-4;open" || s.Others != 1 || s.Ahead != time.Hour {
		t.Fatalf("%+v, %v", s, err)
	}
	last := answer(t)
	last.Others, last.Peers = 0, nil
	if s, err := check(last); err != nil || !s.Known || s.Others != 0 {
		t.Errorf("a new ticket for the last one: %+v, %v", s, err)
	}
	if s, err := check(SwarmAnswer{Others: 2, Advice: "1-2"}); err != nil || s.Known || s.Advice != "1-2" {
		t.Errorf("before the content is known: %+v, %v", s, err)
	}
	if s, err := check(SwarmAnswer{Advice: "1-2", Peers: [][]byte{{1}}}); err != nil || !cmp.Equal(s, Swarm{}) {
		t.Errorf("alone: %+v, %v", s, err)
	}
	resigned := func(change func(*Manifest), by signer) func(*SwarmAnswer) {
		return func(a *SwarmAnswer) {
			m := membersManifest()
			change(&m)
			s, err := SignManifest(m, by)
			s = signed(t, s, err)
			a.Manifest = &s
		}
	}
	ticket := func(change func(*Ticket), by signer) func(*SwarmAnswer) {
		return func(a *SwarmAnswer) {
			k := membersTicket()
			change(&k)
			s, err := SignTicket(k, by)
			s = signed(t, s, err)
			a.Ticket = &s
		}
	}
	for name, change := range map[string]func(*SwarmAnswer){
		"manifest of another key":     resigned(func(*Manifest) {}, keyOf(1)),
		"manifest of another share":   resigned(func(m *Manifest) { m.Share[0]++ }, keyOf(0)),
		"manifest of another path":    resigned(func(m *Manifest) { m.Path = "Films/other.mkv" }, keyOf(0)),
		"manifest of another size":    resigned(func(m *Manifest) { m.Size++ }, keyOf(0)),
		"manifest of another content": resigned(func(m *Manifest) { m.Root[0]++ }, keyOf(0)),
		"ticket of another key":       ticket(func(*Ticket) {}, keyOf(1)),
		"ticket of another holder":    ticket(func(k *Ticket) { k.Holder[0]++ }, keyOf(0)),
		"ticket for another content":  ticket(func(k *Ticket) { k.Root[0]++ }, keyOf(0)),
		"expired ticket":              ticket(func(k *Ticket) { k.Until = membersManifest().Made.Add(-time.Second) }, keyOf(0)),
		"ticket for a day":            ticket(func(k *Ticket) { k.Until = k.Until.Add(24 * time.Hour) }, keyOf(0)),
		"ticket of another workgroup": ticket(func(k *Ticket) { k.Group[0]++ }, keyOf(0)),
		"ticket of the open one":      ticket(func(k *Ticket) { k.Group = [32]byte{} }, keyOf(0)),
		"manifest of another group":   resigned(func(m *Manifest) { m.Group[0]++ }, keyOf(0)),
		"a manifest without a ticket": func(a *SwarmAnswer) { a.Ticket = nil },
		"a ticket without a manifest": func(a *SwarmAnswer) { a.Manifest = nil },
		"too many others":             func(a *SwarmAnswer) { a.Others = MaxSwarm + 1 },
		"long advice":                 func(a *SwarmAnswer) { a.Advice = strings.Repeat("1", MaxAdvice+1) },
		"too many peers":              func(a *SwarmAnswer) { a.Peers = make([][]byte, MaxSwarm+1) },
		"a peer that is none":         func(a *SwarmAnswer) { a.Peers = [][]byte{{1}} },
	} {
		a := answer(t)
		change(&a)
		if s, err := check(a); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestHaveAndFindAreChecked(t *testing.T) {
	for name, a := range map[string]HaveAnswer{
		"too few bits":    {Bits: []byte{0}},
		"too many bits":   {Bits: []byte{0, 0, 0}},
		"too large count": {Count: 13, Bits: []byte{0, 0}},
		"a bad peer":      {Bits: []byte{0, 0}, Peers: [][]byte{nil}},
	} {
		if _, err := a.Check(12); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := (HaveAnswer{Count: 12, Bits: []byte{255, 240}}).Check(12); err != nil {
		t.Error(err)
	}
	good := FindItem{Share: sixteen(1), Path: "a/b", Size: SwarmSize, Version: sixteen(2)}
	if f, err := good.Check(); err != nil || f.Root != (content.Hash{}) || f.Path != "a/b" {
		t.Errorf("%+v, %v", f, err)
	}
	for name, change := range map[string]func(*FindItem){
		"a small file": func(i *FindItem) { i.Size = SwarmSize - 1 }, "no path": func(i *FindItem) { i.Path = "" }, "dots": func(i *FindItem) { i.Path = "../x" },
		"no version": func(i *FindItem) { i.Version = nil }, "short root": func(i *FindItem) { i.Root = []byte{1} }, "no share": func(i *FindItem) { i.Share = nil },
	} {
		i := good
		change(&i)
		if f, err := i.Check(); err == nil {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestBusyTellsWhen(t *testing.T) {
	for _, tt := range []struct {
		retry int64
		want  time.Duration
	}{{250, 250 * time.Millisecond}, {1 << 62, MaxRetry}} {
		b, err := canon.Marshal(ErrorBody{Kind: KindBusy, Retry: tt.retry})
		if err != nil {
			t.Fatal(err)
		}
		var busy *transfer.Busy
		if err := ErrorOf(429, b); !errors.As(err, &busy) || busy.Retry != tt.want || !errors.Is(err, transfer.ErrBusy) {
			t.Errorf("%d ms became %v", tt.retry, err)
		}
	}
	b, _ := hex.DecodeString("a2646b696e6464627573796572657472792a") // {"kind": "busy", "retry": -11}
	if err := ErrorOf(429, b); !errors.Is(err, transfer.ErrBusy) {
		t.Error(err)
	}
}

func TestSwarmVectors(t *testing.T) {
	for name, m := range map[string]any{
		"SwarmAsk":          &SwarmAsk{Bits: []byte{0xe0, 0}, Wait: true},
		"SwarmAnswer alone": &SwarmAnswer{},
		"SwarmAnswer soon":  &SwarmAnswer{Others: 2, Advice: "12-16,40-44;open"},
		"HaveAnswer":        &HaveAnswer{Count: 3, Bits: []byte{0xe0, 0}, Peers: [][]byte{bytes.Repeat([]byte{7}, 32)}},
		"FindAsk":           &FindAsk{Sizes: []int64{1 << 24}},
		"FindItem":          &FindItem{Share: sixteen(0xa1), Path: "a.iso", Size: 1 << 24, Version: sixteen(0xb2)},
		"error busy":        &ErrorBody{Kind: KindBusy, Retry: 300},
	} {
		b, err := canon.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		specified(t, fmt.Sprintf("| %s | %x |", name, b))
	}
}
