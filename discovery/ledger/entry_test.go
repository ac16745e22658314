package ledger

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"porchlight/discovery/canon"
)

// signed puts any bytes that claim to be a body into an entry that by signs.
func signed(t testing.TB, by signer, body []byte) []byte {
	t.Helper()
	return must[[]byte](t)(canon.Marshal(wireEntry{Body: body, Sig: by.Sign(append([]byte(sigDomain), body...))}))
}

// bent returns the entry that e would be if its wire form were changed by f.
func bent(t testing.TB, by signer, e *Entry, f func(*wireBody)) []byte {
	t.Helper()
	w := e.Body.wire()
	f(&w)
	return signed(t, by, must[[]byte](t)(canon.Marshal(w)))
}

// refusals are entries that must not pass, with the error of each. Those without prev would pass Parse if not for what they try.
func refusals(t testing.TB) (w *group, list []refusal) {
	w = newGroup(t)
	good := w.say(w.anna, Admit, w.bo, Member, nil)
	body := must[[]byte](t)(canon.Marshal(good.Body.wire()))
	add := func(name string, why error, raw []byte) { list = append(list, refusal{name, why, raw}) }
	change := func(name string, why error, f func(*wireBody)) { add(name, why, bent(t, w.anna, good, f)) }
	many := func(n int) (p [][]byte) {
		for i := range n {
			p = append(p, bytes.Repeat([]byte{byte(i + 1)}, 32))
		}
		return p
	}
	change("unknown critical kind", ErrUpdate, func(b *wireBody) { b.Kind = 7 })
	change("wrong workgroup", ErrWorkgroup, func(b *wireBody) { b.Workgroup = many(1)[0] })
	change("wrong depth", ErrDepth, func(b *wireBody) { b.Depth = 2 })
	change("unsorted prev", ErrOrder, func(b *wireBody) { b.Prev = [][]byte{many(2)[1], many(2)[0]} })
	change("a parent twice", ErrOrder, func(b *wireBody) { b.Prev = [][]byte{b.Prev[0], b.Prev[0]} })
	change("17 parents", ErrParents, func(b *wireBody) { b.Prev = many(17) })
	change("no parent", ErrParents, func(b *wireBody) { b.Prev = nil })
	change("unknown parent", ErrParent, func(b *wireBody) { b.Prev = many(1) })
	change("no kind", ErrKind, func(b *wireBody) { b.Kind = 64 })
	change("kind 0", ErrKind, func(b *wireBody) { b.Kind = 0 })
	change("version 2", ErrVersion, func(b *wireBody) { b.V = 2 })
	change("short target", ErrForm, func(b *wireBody) { b.Target = b.Target[:31] })
	change("target of zeros", ErrForm, func(b *wireBody) { b.Target = make([]byte, 32) })
	change("role 3", ErrFields, func(b *wireBody) { b.Role = 3 })
	change("no role", ErrFields, func(b *wireBody) { b.Role = 0 })
	change("a field of another kind", ErrFields, func(b *wireBody) { b.Recovery = many(1)[0] })
	change("second genesis", ErrFields, func(b *wireBody) { b.Kind = 1 })
	change("ext over 1024 bytes", ErrFields, func(b *wireBody) { b.Ext = make([]byte, MaxExt+1) })
	change("control character", ErrName, func(b *wireBody) { b.Name = "a\nb" })
	change("text direction mark", ErrName, func(b *wireBody) { b.PersonName = "a\u202eb" })
	change("name over 64 bytes", ErrName, func(b *wireBody) { b.Name = strings.Repeat("n", 65) })
	change("over 2048 bytes", ErrSize, func(b *wireBody) { b.Ext, b.Prev = make([]byte, MaxExt), many(30) })

	add("duplicate key", ErrForm, signed(t, w.anna, append([]byte{body[0] + 1, 0x01, 0x01}, body[1:]...)))
	add("unknown key", ErrForm, signed(t, w.anna, append(slices.Concat([]byte{body[0] + 1}, body[1:]), 0x15, 0x01)))
	add("tag", ErrForm, signed(t, w.anna, append([]byte{0xc1}, body...)))
	add("indefinite length", ErrForm, signed(t, w.anna, append(append([]byte{0xbf}, body[1:]...), 0xff)))
	add("trailing bytes in the body", ErrForm, signed(t, w.anna, append(slices.Clone(body), 0)))
	add("trailing bytes", ErrForm, append(slices.Clone(good.raw), 0))
	add("not CBOR", ErrForm, []byte("hello"))
	add("empty", ErrForm, nil)
	add("non-canonical integer", ErrCanonical, signed(t, w.anna, slices.Concat(body[:1], []byte{0x01, 0x18, 0x01}, body[3:])))
	add("keys out of order", ErrCanonical, signed(t, w.anna, slices.Concat(body[:1], body[3:38], body[1:3], body[38:])))
	add("non-canonical outside", ErrCanonical, slices.Concat([]byte{0x98, 0x02}, good.raw[1:]))
	add("signed by another", ErrSignature, signed(t, w.bo, body))
	damaged := slices.Clone(good.raw)
	damaged[len(damaged)-1] ^= 1
	add("damaged signature", ErrSignature, damaged)
	short := must[[]byte](t)(canon.Marshal(wireEntry{Body: body, Sig: make([]byte, 63)}))
	add("short signature", ErrSignature, short)
	return w, list
}

type refusal struct {
	name string
	why  error
	raw  []byte
}

func TestRefused(t *testing.T) {
	w, list := refusals(t)
	for _, tt := range list {
		t.Run(tt.name, func(t *testing.T) {
			e, err := Parse(tt.raw)
			if err == nil {
				_, err = w.g.Insert(e)
			}
			if !errors.Is(err, tt.why) {
				t.Errorf("%v instead of %v", err, tt.why)
			}
			if n := len(w.g.nodes); n != 1 {
				t.Errorf("%d entries", n)
			}
		})
	}
	distinct := map[string]error{}
	for _, tt := range list {
		switch tt.name {
		case "unknown critical kind", "wrong workgroup", "wrong depth", "unsorted prev", "17 parents", "duplicate key", "non-canonical integer":
			distinct[tt.why.Error()] = tt.why
		}
	}
	if len(distinct) != 7 {
		t.Errorf("%d different errors for 7 refusals", len(distinct))
	}
}

func TestCriticalKindOfAStrangerSaysNothing(t *testing.T) {
	w := newGroup(t)
	w.do(w.anna, Admit, w.bo, Member, nil)
	at := w.g.Heads()
	newer := func(by signer) *Entry {
		e := w.say(by, Rename, w.bo, 0, at)
		body := must[[]byte](t)(canon.Marshal(e.Body.wire()))
		body = append(slices.Concat([]byte{body[0] + 1}, body[1:]), 0x15, 0x01) // a field of the future, too
		body[bytes.Index(body, []byte{0x03, 0x05})+1] = 9
		return must[*Entry](t)(Parse(signed(t, by, body)))
	}
	for _, by := range []signer{w.bo, w.cy} {
		if _, err := w.g.Insert(newer(by)); !errors.Is(err, ErrRight) || w.g.NeedsUpdate() {
			t.Errorf("by one without a say: %v, needs update %v", err, w.g.NeedsUpdate())
		}
	}
	before := print(w.g.State())
	e := newer(w.anna)
	if _, err := w.g.Insert(e); !errors.Is(err, ErrUpdate) || !w.g.NeedsUpdate() || w.g.Has(e.ID()) {
		t.Errorf("by an admin: %v, needs update %v", err, w.g.NeedsUpdate())
	}
	if print(w.g.State()) != before {
		t.Error("the state changed")
	}
	b := Body{Workgroup: w.g.Workgroup(), Kind: Remove, Prev: []Hash{e.ID()}, Depth: 3, Target: w.bo.Key()}
	if _, err := w.g.Insert(must[*Entry](t)(Sign(b, w.anna))); !errors.Is(err, ErrParent) {
		t.Errorf("what builds on it: %v", err)
	}
	w.do(w.anna, Remove, w.bo, 0, at)
	w.want(w.bo, false, "removed beside it")
	raw := [][]byte{}
	for e := range w.g.Entries() {
		raw = append(raw, e.Raw())
	}
	g, err := Read(w.g.Workgroup(), append(raw, e.Raw()))
	if err != nil || !g.NeedsUpdate() || print(g.State()) != print(w.g.State()) {
		t.Errorf("read back: %v", err)
	}
}

func TestGenesisOnly(t *testing.T) {
	w := newGroup(t)
	e := w.say(w.anna, Admit, w.bo, Member, nil)
	if _, err := New(e); !errors.Is(err, ErrWorkgroup) {
		t.Errorf("a graph begun with an Admit: %v", err)
	}
	other := must[*Entry](t)(Sign(genesisBody(w.code), w.bo))
	if _, err := w.g.Insert(other); !errors.Is(err, ErrWorkgroup) {
		t.Errorf("another genesis: %v", err)
	}
	own := genesisBody(w.anna)
	if _, err := Sign(own, w.anna); !errors.Is(err, ErrFields) {
		t.Errorf("founder with the recovery key: %v", err)
	}
}

func TestInbox(t *testing.T) {
	w := newGroup(t)
	src := must[*Graph](t)(New(w.g.Genesis()))
	var chain []*Entry
	for n := range 400 {
		b := src.Draft(Rename)
		b.Target, b.Name = w.anna.Key(), "n"+strings.Repeat("x", n%50)
		e := must[*Entry](t)(Sign(b, w.anna))
		must[[]*Entry](t)(src.Insert(e))
		chain = append(chain, e)
	}
	now := time.Unix(1000, 0)
	var box Inbox
	for n := 20; n >= 1; n-- {
		kept, missing, err := box.Add(w.g, chain[n], now)
		want := []Hash{chain[n-1].ID()}
		if n < 20 && len(kept) != 0 || err != nil || !slices.Equal(missing, want) {
			t.Fatalf("entry %d: kept %d, missing %v, %v", n, len(kept), missing, err)
		}
	}
	if _, missing, err := box.Add(w.g, chain[5], now); err != nil || len(missing) != 0 || box.Waiting() != 20 {
		t.Errorf("the same again: missing %v, %v, %d wait", missing, err, box.Waiting())
	}
	kept, _, err := box.Add(w.g, chain[0], now)
	if err != nil || len(kept) != 21 || box.Waiting() != 0 || kept[0] != chain[0] {
		t.Errorf("kept %d, %v, %d wait", len(kept), err, box.Waiting())
	}
	for n := range MaxPending + 1 {
		if _, _, err := box.Add(w.g, chain[22+n], now); (n < MaxPending) != (err == nil) {
			t.Fatalf("entry %d waiting: %v", n, err)
		}
	}
	if _, _, err := box.Add(w.g, chain[300], now.Add(PendingFor)); err != nil || box.Waiting() != 1 {
		t.Errorf("after a minute: %v, %d wait", err, box.Waiting())
	}
}

func TestWelcome(t *testing.T) {
	w := newGroup(t)
	w.do(w.anna, Admit, w.bo, Admin, nil)
	w.do(w.bo, Admit, w.cy, Member, nil)
	var raw [][]byte
	for e := range w.g.Entries() {
		raw = append(raw, e.Raw())
	}
	wg := w.g.Workgroup()
	anna, bo, cy, dora := w.anna.Key().ID(), w.bo.Key().ID(), w.cy.Key().ID(), w.dora.Key().ID()
	g, err := Welcome(wg, raw, bo, cy)
	if err != nil || print(g.State()) != print(w.g.State()) || g.Len() != w.g.Len() {
		t.Fatalf("%v", err)
	}
	damaged := slices.Clone(raw)
	damaged[1] = slices.Clone(raw[1])
	damaged[1][40] ^= 1
	for _, tt := range []struct {
		name string
		err  error
		call func() (*Graph, error)
	}{
		{"inviter is a member only", ErrWelcome, func() (*Graph, error) { return Welcome(wg, raw, cy, bo) }},
		{"inviter is nobody", ErrWelcome, func() (*Graph, error) { return Welcome(wg, raw, dora, cy) }},
		{"self is nobody", ErrWelcome, func() (*Graph, error) { return Welcome(wg, raw, anna, dora) }},
		{"invited by itself", ErrWelcome, func() (*Graph, error) { return Welcome(wg, raw, anna, anna) }},
		{"another workgroup", ErrWorkgroup, func() (*Graph, error) { return Welcome(Hash{1}, raw, bo, cy) }},
		{"self not admitted yet", ErrWelcome, func() (*Graph, error) { return Welcome(wg, raw[:2], bo, cy) }},
		{"an entry is missing", ErrParent, func() (*Graph, error) { return Welcome(wg, [][]byte{raw[0], raw[2]}, bo, cy) }},
		{"nothing", ErrForm, func() (*Graph, error) { return Welcome(wg, nil, bo, cy) }},
		{"no genesis", ErrWorkgroup, func() (*Graph, error) { return Welcome(must[*Entry](t)(Parse(raw[1])).ID(), raw[1:], bo, cy) }},
		{"damaged", nil, func() (*Graph, error) { return Welcome(wg, damaged, bo, cy) }},
	} {
		if _, err := tt.call(); err == nil || tt.err != nil && !errors.Is(err, tt.err) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestDiff(t *testing.T) {
	w := newGroup(t)
	w.do(w.anna, Admit, w.bo, Admin, nil)
	other := must[*Graph](t)(New(w.g.Genesis()))
	var box Inbox
	for range 2 {
		want, give := w.g.Diff(other.Prefixes())
		if len(want) != 0 {
			t.Errorf("wants %v", want)
		}
		for _, e := range give {
			if _, missing, err := box.Add(other, e, time.Unix(0, 0)); err != nil || missing != nil {
				t.Fatalf("%v %v", missing, err)
			}
		}
		if !slices.Equal(other.Heads(), w.g.Heads()) || other.Len() != w.g.Len() {
			t.Error("not equal after an exchange")
		}
		w.do(w.bo, Admit, w.cy, Member, nil)
		if want, _ := other.Diff(w.g.Prefixes()); len(want) != 1 || want[0] != w.g.Heads()[0].Prefix() {
			t.Errorf("wants %v", want)
		}
		w.do(w.bo, Remove, w.cy, 0, nil)
	}
}

func TestManyHeads(t *testing.T) {
	w := newGroup(t)
	at := w.g.Heads()
	for n := range 20 {
		w.do(w.anna, Rename, dev(n), 0, at)
	}
	if n := len(w.g.Heads()); n != MaxParents {
		t.Errorf("%d heads", n)
	}
	for range 2 {
		w.do(w.anna, Rename, w.anna, 0, nil)
	}
	if n := len(w.g.Heads()); n != 1 {
		t.Errorf("%d heads in the end", n)
	}
}

func TestRecoveryCode(t *testing.T) {
	c := must[RecoveryCode](t)(NewRecoveryCode(bytes.NewReader([]byte("sixteen bytes...and more"))))
	again, err := ParseRecoveryCode(" " + strings.ToLower(c.String()))
	if err != nil || again != c {
		t.Errorf("%v %v", again, err)
	}
	wrong := 0
	s := strings.ReplaceAll(c.String(), "-", "")
	for i := range s {
		for _, l := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" {
			if typed := s[:i] + string(l) + s[i+1:]; typed != s {
				if _, err := ParseRecoveryCode(typed); !errors.Is(err, ErrRecovery) {
					t.Errorf("%s passes for %s", typed, s)
				}
				wrong++
			}
		}
	}
	if wrong != 28*31 {
		t.Errorf("%d tries", wrong)
	}
	if _, err := NewRecoveryCode(strings.NewReader("short")); err == nil {
		t.Error("made of nothing")
	}
	key := must[*RecoveryKey](t)(c.Key())
	b := genesisBody(dev(99))
	b.Recovery = KeyOf(key.Public())
	g := must[*Graph](t)(New(must[*Entry](t)(Sign(b, dev(1)))))
	proof := key.Prove([32]byte{1})
	if !g.CheckRecoveryProof([32]byte{1}, proof) || g.CheckRecoveryProof([32]byte{2}, proof) || g.CheckRecoveryProof([32]byte{1}, nil) {
		t.Error("the proof is not bound to its connection")
	}
}

func TestDeviceKeyIsItsID(t *testing.T) {
	seed := must[[]byte](t)(hex.DecodeString("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"))
	if id := seeded(seed).Key().ID().String(); id != "NQC4YIA-6B7NW5T-N45QTB7-G6AJHNC-XAIPSPI-HCFSO4S-IYJV3PR-YOVVOAG" {
		t.Error(id)
	}
}
