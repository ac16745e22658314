package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/calm"
	"porchlight/discovery/canon"
	"porchlight/discovery/workgroup"
	"porchlight/share"
)

// messages is one of every message of the protocol, in the order of PROTOCOL.md, empty, for decoding into.
func messages() []any {
	return []any{&Hello{}, &Event{}, &Watch{}, &PeerHint{}, &Checkup{}, &ShareItem{}, &EntryItem{}, &PackItem{}, &PackHead{}, &LayerAnswer{}, &ErrorBody{},
		&SwarmAsk{}, &SwarmAnswer{}, &HaveAnswer{}, &FindAsk{}, &FindItem{}, &Signed{},
		&Notice{}, &EntryIDs{}, &LedgerEntry{}, &PairMessage{}, &Match{}, &RecoveryProof{}, &MeetItem{}}
}

// modest fails if f allocates more than four times its input and 64 KiB. It runs f again if so: something else may have.
func modest(t testing.TB, input int, f func()) {
	t.Helper()
	least := ^uint64(0)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		if least = min(least, after.TotalAlloc-before.TotalAlloc); least <= uint64(4*input+64<<10) {
			return
		}
	}
	t.Errorf("%d bytes allocated for %d", least, input)
}

// TestEveryMessageIsFuzzed: each struct of PROTOCOL.md is among messages.
func TestEveryMessageIsFuzzed(t *testing.T) {
	for i, m := range messages() {
		name := reflect.TypeOf(m).Elem().Name()
		if _, err := canon.Marshal(m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name == "ErrorBody" {
			name = "error"
		}
		specified(t, specLineOf(t, "| "+name+" | `"))
		if i > 0 && reflect.TypeOf(m) == reflect.TypeOf(messages()[i-1]) {
			t.Errorf("%s twice", name)
		}
	}
}

// FuzzMessages decodes bytes as each message. What decodes is encoded the same way twice, costs little, and passes its
// check only within its limits.
func FuzzMessages(f *testing.F) {
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, b []byte) {
		for i := range messages() {
			modest(t, len(b), func() { decodes(t, i, b) })
		}
	})
}

// signer is a key whose public half the seeds know.
type signer struct{ key ed25519.PrivateKey }

func (s signer) Public() ed25519.PublicKey { return s.key.Public().(ed25519.PublicKey) }
func (s signer) Sign(msg []byte) []byte    { return ed25519.Sign(s.key, msg) }

// FuzzSigned opens bodies of manifests and tickets whose signature is right, whatever they say, and reads headers. What is
// taken says the same when it is made again.
func FuzzSigned(f *testing.F) {
	by := signer{ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}
	m, err := SignManifest(Manifest{Path: "a/b", Size: 1 << 30, MTime: time.Unix(9, 9), Made: time.Unix(10, 0)}, by)
	if err != nil {
		f.Fatal(err)
	}
	k, err := SignTicket(Ticket{Holder: discovery.DeviceID{2}, Until: time.Unix(11, 0)}, by)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m.Body)
	f.Add(k.Body)
	f.Add([]byte(k.Header()))
	if m, err = SignManifest(membersManifest(), by); err != nil {
		f.Fatal(err)
	}
	if k, err = SignTicket(membersTicket(), by); err != nil {
		f.Fatal(err)
	}
	f.Add(m.Body)
	f.Add(k.Body)
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Manifest
		var k Ticket
		var merr, kerr error
		modest(t, len(b), func() {
			m, merr = OpenManifest(Signed{b, by.Sign(append([]byte(manifestDomain), b...))})
			k, kerr = OpenTicket(Signed{b, by.Sign(append([]byte(ticketDomain), b...))})
		})
		if merr == nil {
			if again, err := SignManifest(m, by); err != nil || m.Origin != discovery.IDOf(by.Public()) || m.Size < 0 {
				t.Errorf("%+v: %v", m, err)
			} else if back, err := OpenManifest(again); err != nil || back != m && !back.MTime.Equal(m.MTime) {
				t.Errorf("%+v became %+v, %v", m, back, err)
			}
		}
		if kerr == nil && (k.Origin != discovery.IDOf(by.Public()) || k.Allows(k.Holder, discovery.DeviceID{}, k.Root, time.Now())) {
			t.Errorf("%+v", k)
		}
		if _, err := OpenManifest(Signed{b, make([]byte, ed25519.SignatureSize)}); err == nil {
			t.Error("a manifest without a signature")
		}
		if s, err := ParseHeader(string(b)); err == nil && s.Header() != string(b) {
			t.Errorf("%q is read as %q", b, s.Header())
		}
	})
}

// decodes checks what becomes of b as message number i.
func decodes(t *testing.T, i int, b []byte) {
	m := messages()[i]
	if canon.UnmarshalOpen(b, m) != nil {
		return
	}
	first, err := canon.Marshal(m)
	if err != nil {
		t.Fatalf("%T: %v", m, err)
	}
	back := messages()[i]
	if err := canon.Unmarshal(first, back); err != nil {
		t.Fatalf("%T is not read again: %v", m, err)
	}
	if second, err := canon.Marshal(back); err != nil || !bytes.Equal(first, second) {
		t.Fatalf("%T changed: %x, %x, %v", m, first, second, err)
	}
	checks(t, m)
}

// checks holds what a message that passed its check may say.
func checks(t *testing.T, m any) {
	switch m := m.(type) {
	case *Hello:
		if m.Check() == nil && (m.Name != "" && discovery.CheckName(m.Name) != nil || m.Workgroup != "" && discovery.CheckName(m.Workgroup) != nil || len(m.Removed) > workgroup.MaxWorkgroups || len(m.Caps) > MaxCaps || len(m.Proofs) > MaxProofs || len(m.Install) > MaxInstall) {
			t.Errorf("%+v passed", m)
		}
		if m.Check() == nil && (len(m.Proven()) != len(m.Proofs) || len(m.Notices()) != len(m.Removed)) {
			t.Errorf("%+v lost something", m)
		}
	case *EntryIDs:
		if list, err := m.List(); err == nil && (len(list) > workgroup.MaxBatch || !bytes.Equal(IDsOf(list).IDs, m.IDs)) {
			t.Errorf("%+v passed", m)
		}
	case *PeerHint:
		if m.Check() == nil && (len(m.ID) != 32 || len(m.Addrs) > MaxPeerAddrs) {
			t.Errorf("%+v passed", m)
		}
	case *ShareItem:
		if o, err := m.Offer(); err == nil && (o.Kind == 0 || discovery.CheckName(o.Name) != nil) {
			t.Errorf("%+v passed", o)
		}
	case *EntryItem:
		e, err := m.Entry("d")
		if err == nil && (!e.Path.Under("d") || e.Size < 0 || len(e.Reason) > 3*MaxErrorText) {
			t.Errorf("%+v passed", e)
		}
		if err == nil && e.Kind != share.Other && strings.Contains(string(e.Path), "..") {
			if _, err := share.ParsePath(string(e.Path)); err != nil {
				t.Errorf("%q passed: %v", e.Path, err)
			}
		}
	case *LayerAnswer:
		if l, err := m.Content(); err == nil && l.Check() != nil {
			t.Error("an inconsistent layer passed")
		}
	case *FindItem:
		if f, err := m.Check(); err == nil && (f.Size < SwarmSize || f.Path == "") {
			t.Errorf("%+v passed", f)
		}
	case *HaveAnswer:
		if peers, err := m.Check(9); err == nil && (len(m.Bits) != 2 || len(peers) > MaxSwarm) {
			t.Errorf("%+v passed", m)
		}
	case *SwarmAnswer:
		if a, err := m.Check(discovery.DeviceID{1}, discovery.DeviceID{2}, share.ID{}, "a", SwarmSize, time.Unix(0, 0)); err == nil && (a.Known || a.Others > MaxSwarm || len(a.Advice) > MaxAdvice) {
			t.Errorf("%+v passed", a) // nobody here has the keys for what is known
		}
	case *ErrorBody:
		if b, err := canon.Marshal(m); err != nil || ErrorOf(200, b) == nil {
			t.Errorf("%+v is no error", m)
		}
	}
}

// bombs is CBOR made to cost whoever decodes it.
func bombs() map[string][]byte {
	field := func(name string, value ...byte) []byte {
		return append(append([]byte{0xa1, 0x60 | byte(len(name))}, name...), value...)
	}
	list := func(n int, element ...byte) []byte {
		return append(binary.BigEndian.AppendUint16([]byte{0x99}, uint16(n)), bytes.Repeat(element, n)...)
	}
	huge := []byte{0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	out := map[string][]byte{
		"nesting": bytes.Repeat([]byte{0x81}, canon.MaxItem), "nested maps": bytes.Repeat([]byte{0xa1, 0x61, 'a'}, canon.MaxItem/3),
		"a tag": field("v", 0xc1, 0x01), "tags in tags": bytes.Repeat([]byte{0xc0}, canon.MaxItem), "a float": field("v", 0xfb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0),
		"indefinite text": field("name", 0x7f, 0x61, 'a', 0xff), "indefinite list": field("caps", 0x9f, 0xff), "an indefinite map": {0xbf, 0xff},
		"duplicate keys": {0xa2, 0x61, 'v', 1, 0x61, 'v', 2}, "many keys": append([]byte{0xb9, 0xff, 0xff}, bytes.Repeat([]byte{0x61, 'v', 1}, 20_000)...),
		"invalid text": field("name", 0x62, 0xff, 0xfe), "trailing bytes": {0xa0, 0xa0}, "a simple value": field("v", 0xf8, 0xff), "nothing": {}, "a break": {0xff},
		"a long key": append([]byte{0xa1, 0x79, 0xff, 0xf0}, bytes.Repeat([]byte{'k'}, 0xfff0+1)...),
	}
	for name, major := range map[string]byte{"bytes": 0x5b, "text": 0x7b, "list": 0x9b, "map": 0xbb, "tag": 0xdb} {
		out["huge "+name] = append([]byte{major}, huge...)
		for _, f := range []string{"name", "caps", "proofs", "dirs", "addrs", "id", "layer", "root", "p", "text"} {
			out["huge "+name+" for "+f] = field(f, append([]byte{major}, huge...)...)
		}
	}
	for _, f := range []string{"caps", "proofs", "dirs", "addrs", "peers", "sizes", "removed"} {
		for name, element := range map[string][]byte{"empty maps": {0xa0}, "empty texts": {0x60}, "empty bytes": {0x40}, "empty lists": {0x80}, "nulls": {0xf6}} {
			for _, n := range []int{canon.MaxArray, canon.MaxArray + 1, 0xffff} {
				out[fmt.Sprintf("%d %s for %s", n, name, f)] = field(f, list(n, element...)...)
			}
		}
	}
	return out
}

// TestBombs: each bomb, as each message, is over within 1 ms (on a calm computer) and costs at most 64 KiB besides four times its length; so is
// a sequence that begins with it.
func TestBombs(t *testing.T) {
	var slowest time.Duration
	limit := time.Millisecond
	if !calm.Is() {
		limit *= 20 // of the race detector, and of a machine that is busy the whole time
	}
	for name, b := range bombs() {
		for i := range messages() {
			took := time.Hour
			modest(t, len(b), func() {
				began := time.Now()
				err := canon.UnmarshalOpen(b, messages()[i])
				took = min(took, time.Since(began))
				if err != nil && !errors.Is(err, canon.ErrMessage) {
					t.Errorf("%s: %v", name, err)
				}
			})
			for try := 0; took > limit && try < 20; try++ { // the machine may be busy: the best is what the program takes
				began := time.Now()
				_ = canon.UnmarshalOpen(b, messages()[i])
				took = min(took, time.Since(began))
			}
			slowest = max(slowest, took)
			if t.Failed() || took > limit {
				t.Fatalf("%s as %T: %v", name, messages()[i], took)
			}
		}
	}
	t.Logf("%d bombs as %d messages: at most %v", len(bombs()), len(messages()), slowest)
}
