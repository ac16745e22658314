package keyring

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the vectors anew")

func seq(from byte) (b [32]byte) {
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

type vector struct {
	Key    string `json:"key"`
	ID     string `json:"id"`
	Label  string `json:"label"`
	Tag    string `json:"tag"`
	Exp    string `json:"exp"`
	Client string `json:"client"`
	Server string `json:"server"`
}

func TestVectors(t *testing.T) {
	const file = "testdata/vectors.json"
	var list []vector
	for _, x := range []struct {
		key, exp byte
		label    string
	}{{0xa0, 0xc0, "k7q2m4xdab3f5hja"}, {0, 0x20, "aaaaaaaaaaaaaaaa"}} {
		k, exp := Secret(seq(x.key)), seq(x.exp)
		id, tag, c, s := k.ID(), k.Tag(x.label), k.Proof(exp, Client), k.Proof(exp, Server)
		list = append(list, vector{hex.EncodeToString(k[:]), hex.EncodeToString(id[:]), x.label, base64.RawURLEncoding.EncodeToString(tag[:]),
			hex.EncodeToString(exp[:]), hex.EncodeToString(c[:]), hex.EncodeToString(s[:])})
	}
	// what another program, which shares no code with this one, made of the same rules
	want := list[0]
	want.ID, want.Tag = "5ae16510aef70edeb711c9593d42e406", "6lJ3qzCD9XQ"
	want.Client, want.Server = "d27444ce66105a5cb46c9d6d30815d58", "89988b9c57f8fddf82b35f94720b1e3e"
	if d := cmp.Diff(want, list[0]); d != "" {
		t.Error(d)
	}
	made, err := json.MarshalIndent(list, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, append(made, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(data), string(made)+"\n"); d != "" {
		t.Errorf("vectors differ:\n%s", d)
	}
}

func TestAnnounce(t *testing.T) {
	r := rand.NewChaCha8([32]byte{1})
	const label = "k7q2m4xdab3f5hja"
	place := map[int]int{} // where the tag of the first workgroup stands
	for n := range 12 {
		var secrets []Secret
		var tags []Tag
		for i := range n {
			s := Secret(seq(byte(i)))
			secrets, tags = append(secrets, s), append(tags, s.Tag(label))
		}
		for range 40 {
			text, err := Announce(tags, r)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				if text != "" {
					t.Errorf("no workgroup is announced as %q", text)
				}
				continue
			}
			got, err := ParseTags(text)
			if err != nil || n <= 4 && len(got) != 4 || n > 4 && len(got) != 8 {
				t.Fatalf("%d workgroups: %d tags, %v", n, len(got), err)
			}
			marked := 0
			for _, s := range secrets {
				if s.Marks(label, got) {
					marked++
				}
				if s.Marks("another4xdab3f5hj", got) {
					t.Error("the tags of one label mark another")
				}
			}
			if marked != min(n, MaxTags) || Secret(seq(0x77)).Marks(label, got) {
				t.Errorf("%d of %d workgroups marked", marked, n)
			}
			if n == 1 {
				place[slices.Index(got, tags[0])]++
			}
		}
	}
	for i := range 4 {
		if place[i] == 0 {
			t.Errorf("never in place %d: %v", i, place)
		}
	}
	first, _ := Announce([]Tag{{1}, {2}}, r)
	second, _ := Announce([]Tag{{1}, {2}}, r)
	if first == second {
		t.Error("padding repeats")
	}
	if _, err := Announce([]Tag{{1}}, strings.NewReader("short")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
}

func TestParseTags(t *testing.T) {
	for _, text := range []string{"", "AAAAAAAAAAA", strings.Repeat("A", 42), strings.Repeat("A", 44), strings.Repeat("A", 64), strings.Repeat("A", 87),
		strings.Repeat("A", 1000), strings.Repeat("A", 42) + "+", strings.Repeat("A", 42) + "B", strings.Repeat("=", 43)} {
		if tags, err := ParseTags(text); !errors.Is(err, ErrTags) {
			t.Errorf("%q: %d tags, %v", text, len(tags), err)
		}
	}
}

func TestProofs(t *testing.T) {
	r := rand.NewChaCha8([32]byte{2})
	ours, theirs := Secret(seq(1)), Secret(seq(2))
	exp, other := seq(0xc0), seq(0xc1)
	hello, err := Fill([]Proof{ours.Proof(exp, Client)}, r)
	if err != nil || len(hello) != MaxProofs {
		t.Fatalf("%d proofs, %v", len(hello), err)
	}
	for _, tt := range []struct {
		name string
		s    Secret
		exp  [32]byte
		by   Side
		want bool
	}{
		{"same workgroup", ours, exp, Client, true}, {"other workgroup", theirs, exp, Client, false},
		{"replay on another connection", ours, other, Client, false}, {"reflection", ours, exp, Server, false},
	} {
		if got := tt.s.Proves(tt.exp, tt.by, hello); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if full, err := Fill(make([]Proof, 20), r); err != nil || len(full) != MaxProofs {
		t.Errorf("%d proofs, %v", len(full), err)
	}
	if s := fmt.Sprintf("%v %+v %#v %s %x", ours, ours, ours, ours, Key{Secret: ours}); strings.Contains(s, "2 3 4") || strings.Contains(s, "020304") {
		t.Errorf("a secret in a log: %s", s)
	}
}

// ledgerOf returns what a ledger knows that announced the first n keys.
func ledgerOf(n int) func(ID) (uint32, bool) {
	epochs := map[ID]uint32{}
	for i := range n {
		epochs[Secret(seq(byte(i))).ID()] = uint32(i)
	}
	return func(id ID) (uint32, bool) { e, ok := epochs[id]; return e, ok }
}

func TestRing(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	key := func(n int) Key { return Key{Epoch: uint32(n), Secret: seq(byte(n))} }
	var r Ring
	if _, ok := r.InUse(); ok {
		t.Error("an empty ring has a key in use")
	}
	if n := r.Learn([]Key{{Epoch: 77, Secret: seq(2)}, key(1), key(2)}, ledgerOf(5), now); n != 2 {
		t.Errorf("%d new keys", n)
	}
	if n := r.Learn([]Key{key(9)}, ledgerOf(5), now); n != 0 {
		t.Error("a key that nobody announced")
	}
	if r.Use(key(3).Secret.ID(), now) || !r.Use(key(2).Secret.ID(), now) {
		t.Error("use")
	}
	if k, ok := r.InUse(); !ok || k.Epoch != 2 {
		t.Errorf("%d in use", k.Epoch)
	}
	label := "k7q2m4xdab3f5hja"
	slept := []Tag{key(1).Secret.Tag(label)}
	if !r.Marks(label, slept, now.Add(KeepFor-1)) {
		t.Error("a device that slept is a stranger too soon")
	}
	exp := seq(7)
	both := []Proof{key(2).Secret.Proof(exp, Client), key(1).Secret.Proof(exp, Client)}
	if k, ok := r.Proves(exp, Client, both, now); !ok || k.Epoch != 2 {
		t.Errorf("%d proved", k.Epoch)
	}
	if k, ok := r.Proves(exp, Client, both[1:], now); !ok || k.Epoch != 1 {
		t.Errorf("%d proved", k.Epoch)
	}
	if _, ok := r.Proves(exp, Server, both, now); ok {
		t.Error("a reflected proof")
	}
	disk, err := Encode(r.Keys(now), false)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Decode(disk)
	if err != nil || !slices.EqualFunc(back, r.keys, func(a, b Key) bool {
		return a.Epoch == b.Epoch && a.Secret == b.Secret && a.Retired.Equal(b.Retired)
	}) {
		t.Errorf("%v became %v, %v", r.keys, back, err)
	}
	if k, ok := Restore(back).InUse(); !ok || k.Epoch != 2 {
		t.Errorf("%d in use after a restart", k.Epoch)
	}
	member, err := Encode(r.Keys(now), true)
	if err != nil || bytes.Equal(member, disk) {
		t.Errorf("a member learns when keys went out of use: %v", err)
	}
	if r.Marks(label, slept, now.Add(KeepFor)) || len(r.Keys(now.Add(KeepFor))) != 1 {
		t.Error("an old key is for ever")
	}
}

func TestRingIsBounded(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	var r Ring
	var keys []Key
	for n := range 40 {
		keys = append(keys, Key{Epoch: uint32(n), Secret: seq(byte(n))})
	}
	r.Learn(keys[:1], ledgerOf(40), now)
	r.Use(keys[0].Secret.ID(), now)
	r.Learn(keys, ledgerOf(40), now)
	got := r.Keys(now)
	if len(got) != MaxKeys || got[0].Epoch != 0 || got[1].Epoch != 25 || got[15].Epoch != 39 {
		t.Errorf("%d keys, %d, %d … %d", len(got), got[0].Epoch, got[1].Epoch, got[len(got)-1].Epoch)
	}
	full, err := Encode(got, false)
	if err != nil || len(full) > maxRing {
		t.Errorf("%d bytes, %v", len(full), err)
	}
	if _, err := Decode(full); err != nil {
		t.Error(err)
	}
	many, err := Encode(keys[:MaxKeys+1], true)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"17 keys": many, "too large": make([]byte, maxRing+1), "not CBOR": []byte("x"), "short": []byte("\xa1dkeys\x81\xa2ae\x01akB12")} {
		if _, err := Decode(b); !errors.Is(err, ErrRing) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzRead reads what neighbours send: tags of announcements, and rings of members.
func FuzzRead(f *testing.F) {
	b, err := Encode([]Key{{Epoch: 1, Secret: seq(1), Retired: time.Unix(5, 0)}, {Epoch: 2, Secret: seq(2)}}, false)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(strings.Repeat("A", 43)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if tags, err := ParseTags(string(b)); err == nil {
			var all []byte
			for _, tag := range tags {
				all = append(all, tag[:]...)
			}
			if base64.RawURLEncoding.EncodeToString(all) != string(b) {
				t.Fatal("tags became others")
			}
		}
		keys, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Encode(keys, false)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(again)
		if err != nil || len(back) != len(keys) {
			t.Fatalf("%d keys became %d, %v", len(keys), len(back), err)
		}
	})
}
