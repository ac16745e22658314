package ledger

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery"
	"porchlight/discovery/canon"
)

var update = flag.Bool("update", false, "write the vectors anew")

type vectors struct {
	Devices []deviceVector `json:"devices"`
	Code    []codeVector   `json:"recovery"`
	Entries []entryVector  `json:"entries"`
	Refused []refusedVec   `json:"refused"`
	States  []stateVector  `json:"states"`
}

type deviceVector struct {
	Seed   string `json:"seed"`
	Public string `json:"public"`
	ID     string `json:"id"`
	Shown  string `json:"shown"`
}

type codeVector struct {
	Bytes  string `json:"bytes"`
	Shown  string `json:"shown"`
	Public string `json:"public"`
}

type entryVector struct {
	Name   string `json:"name"`
	Fields string `json:"fields"`
	Seed   string `json:"seed"` // of the author; empty for the recovery key
	Body   string `json:"body"`
	ID     string `json:"id"`
	Sig    string `json:"sig"`
	Raw    string `json:"raw"`
}

type refusedVec struct {
	Name string `json:"name"`
	Raw  string `json:"raw"`
	Why  string `json:"why"`
}

type stateVector struct {
	Name    string   `json:"name"`
	Entries []string `json:"entries"` // raw, parents first
	Members []string `json:"members"` // "shown ID, role", most senior first
	Void    []string `json:"void"`    // IDs of entries
}

func seq(n int, from byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

func seeded(seed []byte) signer { return signer{ed25519.NewKeyFromSeed(seed)} }

// scribe writes the vectors: everything from fixed seeds, and Ed25519 signatures are deterministic.
type scribe struct {
	t   *testing.T
	v   vectors
	rec *RecoveryKey
	g   *Graph
}

// add signs body with a device's seed, or without one with the recovery key, and notes the entry.
func (s *scribe) add(name, fields string, seed []byte, body Body) *Entry {
	var by Signer = s.rec
	if seed != nil {
		by = seeded(seed)
	}
	e := must[*Entry](s.t)(Sign(body, by))
	var outer wireEntry
	if err := canon.Unmarshal(e.raw, &outer); err != nil {
		s.t.Fatal(err)
	}
	s.v.Entries = append(s.v.Entries, entryVector{name, fields, hex.EncodeToString(seed), hex.EncodeToString(outer.Body),
		e.id.String(), hex.EncodeToString(outer.Sig), hex.EncodeToString(e.raw)})
	return e
}

// next is add with parents, and inserts the entry.
func (s *scribe) next(name, fields string, seed []byte, prev []Hash, b Body) *Entry {
	d := must[Body](s.t)(s.g.DraftOn(b.Kind, prev))
	b.Workgroup, b.Prev, b.Depth = d.Workgroup, d.Prev, d.Depth
	e := s.add(name, fields, seed, b)
	if _, err := s.g.Insert(e); err != nil {
		s.t.Fatal(err)
	}
	return e
}

// state notes what the law says of all so far.
func (s *scribe) state(name string) {
	st := stateVector{Name: name, Void: []string{}}
	for i := range s.g.nodes {
		st.Entries = append(st.Entries, hex.EncodeToString(s.g.nodes[i].raw))
		if s.g.now.void.has(i) {
			st.Void = append(st.Void, s.g.nodes[i].id.String())
		}
	}
	for _, m := range s.g.State().Members {
		st.Members = append(st.Members, m.ID.String()+map[Role]string{Member: ", member", Admin: ", admin"}[m.Role])
	}
	s.v.States = append(s.v.States, st)
}

func makeVectors(t *testing.T) vectors {
	s := &scribe{t: t}
	a, b, c := seq(32, 0), seq(32, 0x20), seq(32, 0x40)
	for _, seed := range [][]byte{a, b, c} {
		k := seeded(seed).Key()
		s.v.Devices = append(s.v.Devices, deviceVector{hex.EncodeToString(seed), hex.EncodeToString(k[:]), k.ID().Hex(), k.ID().String()})
	}
	code := RecoveryCode(seq(16, 0x40))
	s.rec = must[*RecoveryKey](t)(code.Key())
	s.v.Code = []codeVector{{hex.EncodeToString(code[:]), code.String(), hex.EncodeToString(s.rec.Public())}}
	s.story(a, b, c)
	_, list := refusals(t)
	for _, r := range list {
		s.v.Refused = append(s.v.Refused, refusedVec{r.name, hex.EncodeToString(r.raw), r.why.Error()})
	}
	return s.v
}

// story is a workgroup in which a founder loses a laptop.
func (s *scribe) story(a, b, c []byte) {
	ka, kb, kc := seeded(a).Key(), seeded(b).Key(), seeded(c).Key()
	genesis := s.add("genesis", `time 1700000000, name "Home", person 80…8f "Anna", via 5, recovery key above, salt 60…6f`, a, Body{Kind: Genesis, Time: 1700000000,
		Name: "Home", Person: Person(seq(16, 0x80)), PersonName: "Anna", Via: ViaFounder, Recovery: KeyOf(s.rec.Public()), Salt: [16]byte(seq(16, 0x60))})
	s.g = must[*Graph](s.t)(New(genesis))
	s.next("admit", `parent genesis, time 1700000060, target b, role 1, name "Bob-PC", person 90…9f "Bob", via 1`, a, s.g.Heads(), Body{Kind: Admit, Time: 1700000060,
		Target: kb, Role: Member, Name: "Bob-PC", Person: Person(seq(16, 0x90)), PersonName: "Bob", Via: ViaCode})
	s.next("new discovery key", `parent admit, time 1700000120, epoch 1, key ID of the discovery key a0…bf`, a, s.g.Heads(),
		Body{Kind: NewDiscoveryKey, Time: 1700000120, Epoch: 1, KeyID: keyID(seq(32, 0xa0))})
	s.next("set role", `parent new discovery key, time 1700000180, target b, role 2`, a, s.g.Heads(), Body{Kind: SetRole, Time: 1700000180, Target: kb, Role: Admin})
	good := s.g.Heads()
	s.state("two admins")
	s.next("b admits c", `parent set role, time 1700000240, target c, role 1, name "Cy-PC", person c0…cf "Cy", via 2`, b, good, Body{Kind: Admit, Time: 1700000240,
		Target: kc, Role: Member, Name: "Cy-PC", Person: Person(seq(16, 0xc0)), PersonName: "Cy", Via: ViaPictures})
	s.state("three members")
	s.next("a removes b, not knowing", `parent set role, time 1700000240, target b, reason 3`, a, good, Body{Kind: Remove, Time: 1700000240, Target: kb, Reason: Lost})
	s.state("the admission by b is void")
	s.next("the recovery code removes a", `parent set role, time 1700000300, target a, reason 3`, nil, good, Body{Kind: Remove, Time: 1700000300, Target: ka, Reason: Lost})
	s.state("everybody back but a")
}

// keyID is the ID of a discovery key, as discovery/keyring makes it, which stands above this package.
func keyID(k []byte) [16]byte {
	sum := hashWith("porchlight key id v1\x00", k)
	return [16]byte(sum[:16])
}

func TestVectors(t *testing.T) {
	const file = "testdata/vectors.json"
	v := makeVectors(t)
	made := bytes.Buffer{}
	enc := json.NewEncoder(&made)
	enc.SetIndent("", " ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, made.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(data), made.String()); d != "" {
		t.Errorf("vectors differ:\n%s", d)
	}
	var read vectors
	if err := json.Unmarshal(data, &read); err != nil {
		t.Fatal(err)
	}
	replay(t, read)
}

// replay runs the vectors as another implementation would: from their bytes alone.
func replay(t *testing.T, v vectors) {
	unhex := func(s string) []byte { return must[[]byte](t)(hex.DecodeString(s)) }
	for _, e := range v.Entries {
		p, err := Parse(unhex(e.Raw))
		if err != nil || p.ID().String() != e.ID {
			t.Errorf("%s: %v", e.Name, err)
		}
	}
	for _, s := range v.States {
		var raw [][]byte
		for _, e := range s.Entries {
			raw = append(raw, unhex(e))
		}
		g, err := Read(hashOf(unhex(v.Entries[0].Body)), raw)
		if err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
		for _, m := range g.State().Members {
			if len(s.Members) == 0 || s.Members[0][:63] != m.ID.String() {
				t.Errorf("%s: %v, is a member", s.Name, m.ID)
				break
			}
			s.Members = s.Members[1:]
		}
		if len(s.Members) != 0 {
			t.Errorf("%s: %v are no members", s.Name, s.Members)
		}
		for _, id := range s.Void {
			if !g.IsVoid(Hash(unhex(id))) {
				t.Errorf("%s: %s is not void", s.Name, id)
			}
		}
	}
	if len(v.Entries) != 7 || len(v.States) != 4 || len(v.Refused) < 30 {
		t.Errorf("%d entries, %d states, %d refused", len(v.Entries), len(v.States), len(v.Refused))
	}
	for _, d := range v.Devices {
		if id, err := discovery.ParseDeviceID(d.Shown); err != nil || id.Hex() != d.ID {
			t.Errorf("%s: %v", d.Shown, err)
		}
	}
}

// What another program, which shares no code with this one, made of the same rules.
func TestVectorsFromElsewhere(t *testing.T) {
	v := makeVectors(t)
	recovery := must[[]byte](t)(hex.DecodeString("8cca5d3f96df9821f0755ca2b7f8dc05fea00691102e26bc283d287ff03ea7b3"))
	genesis := Body{Kind: Genesis, Author: seeded(seq(32, 0)).Key(), Time: 1700000000, Name: "Home", Person: Person(seq(16, 0x80)),
		PersonName: "Anna", Via: ViaFounder, Recovery: Key(recovery), Salt: [16]byte(seq(16, 0x60))}
	body := must[[]byte](t)(canon.Marshal(genesis.wire()))
	key := keyID(seq(32, 0xa0))
	wg := must[[]byte](t)(hex.DecodeString("cb619226e093ab01ec0a9a0966d2be22f5e85f52fdcccd70410ecda647498ebd"))
	admit := Body{Workgroup: Hash(wg), Kind: Admit, Author: genesis.Author, Prev: []Hash{Hash(wg)}, Depth: 1, Time: 1700000060,
		Target: seeded(seq(32, 0x20)).Key(), Role: Member, Name: "Bob-PC", Person: Person(seq(16, 0x90)), PersonName: "Bob", Via: ViaCode}
	for _, tt := range []struct{ what, got, want string }{
		{"a genesis", hex.EncodeToString(body), "ab0101030104582003a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b80600071a6553f1000a64486f6d65" +
			"0b50808182838485868788898a8b8c8d8e8f0c64416e6e610d050e58208cca5d3f96df9821f0755ca2b7f8dc05fea00691102e26bc283d287ff03ea7b30f50606162636465666768696a6b6c6d6e6f"},
		{"its ID", hashOf(body).String(), "a838987151932d3a96cd9d9e26abf057e677d9eddf3cdfc7e21abe4c96d81df0"},
		{"an admit", hex.EncodeToString(must[[]byte](t)(canon.Marshal(admit.wire()))), "ad0101025820cb619226e093ab01ec0a9a0966d2be22f5e85f52fdcccd70410ecda647498ebd" +
			"030204582003a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b805815820cb619226e093ab01ec0a9a0966d2be22f5e85f52fdcccd70410ecda647498ebd060107" +
			"1a6553f13c08582029acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd709010a66426f622d50430b50909192939495969798999a9b9c9d9e9f0c63426f620d01"},
		{"recovery code", v.Code[0].Shown, "IBAUEQ2-EIVDEO7-SCJJJFU-YTKOJ4X"},
		{"recovery key", v.Code[0].Public, hex.EncodeToString(seeded(must[[]byte](t)(hex.DecodeString("88a94da124eb82fccd95875eaf74fd54c0b6dd17b260fb0cbb8eaa78ce7d3437"))).Public())},
		{"key ID", hex.EncodeToString(key[:]), "5ae16510aef70edeb711c9593d42e406"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %s instead of %s", tt.what, tt.got, tt.want)
		}
	}
}
