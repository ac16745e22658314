package pairing

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery"
)

var update = flag.Bool("update", false, "write the vectors anew")

type vectors struct {
	Join []joinVector `json:"join"`
	SAS  []sasVector  `json:"sas"`
	QR   []qrVector   `json:"qr"`
}

type joinVector struct {
	PRS       string    `json:"prs"` // text
	Exporter  string    `json:"exp"`
	Inviter   string    `json:"inviter"`
	Joiner    string    `json:"joiner"`
	Name      string    `json:"name"`
	A         string    `json:"a"` // scalar of the joiner
	B         string    `json:"b"`
	Generator string    `json:"generator"`
	ISK       string    `json:"isk"`
	Messages  [4]string `json:"messages"`
}

type sasVector struct {
	Exporter string    `json:"exp"`
	Inviter  string    `json:"inviter"`
	Joiner   string    `json:"joiner"`
	NA       string    `json:"nA"`
	NB       string    `json:"nB"`
	Messages [4]string `json:"messages"`
	SAS      string    `json:"sas"`
	Pictures [4]string `json:"pictures"` // symbol and English name
	Digits   string    `json:"digits"`
}

type qrVector struct {
	Text      string   `json:"text"`
	Digits    string   `json:"digits"`
	Secret    string   `json:"secret"`
	Addresses []string `json:"addresses"`
}

func seq(n int, from byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

// The public keys of the seeds 00…1f and 20…3f.
const (
	keyA = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
	keyB = "29acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd7"
)

func makeVectors(t *testing.T) (v vectors) {
	ch := Channel{[32]byte(seq(32, 0xc0)), discovery.IDOf(unhex(t, keyA)), discovery.IDOf(unhex(t, keyB))}
	code := Code{"27482913", letters().EncodeToString(seq(16, 0x70))}
	for _, typed := range []Code{{Digits: code.Digits}, code} {
		v.Join = append(v.Join, makeJoin(t, ch, code, typed))
	}
	v.SAS = []sasVector{makeSAS(t, ch)}
	addrs := []netip.AddrPort{netip.MustParseAddrPort("192.168.1.20:47470"), netip.MustParseAddrPort("[fd00::20]:47470")}
	v.QR = []qrVector{{code.QR(addrs), code.Digits, code.Secret, []string{addrs[0].String(), addrs[1].String()}}, {code.QR(nil), code.Digits, code.Secret, []string{}}}
	return v
}

func makeJoin(t *testing.T, ch Channel, code, typed Code) joinVector {
	a, b := seq(32, 0x21), seq(32, 0x43)
	now := time.Unix(0, 0)
	invite := &Invite{code: code, rand: bytes.NewReader(b), until: now.Add(1), last: map[string]time.Time{}}
	var err error
	check := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var m [4][]byte
	var j *Join
	var r *Run
	j, m[0], err = NewJoin(ch, typed, "Bob-PC", bytes.NewReader(a))
	check()
	c := *j.cpace
	r, m[1], err = invite.Answer(ch, "", now, m[0])
	check()
	m[2], err = j.Confirm(m[1])
	check()
	m[3], err = r.Finish(now, m[2])
	check()
	err = j.Finish(m[3])
	check()
	qr := typed.Secret != ""
	g, err := generator(code.prs(qr), ch.identities(), ch.Exporter[:])
	check()
	var two join2
	err = decode(m[1], &two)
	check()
	isk, err := c.finish(two.Share, two.AD)
	check()
	out := joinVector{
		PRS: string(code.prs(qr)), Exporter: hex.EncodeToString(ch.Exporter[:]), Inviter: ch.Inviter.Hex(), Joiner: ch.Joiner.Hex(), Name: "Bob-PC",
		A: hex.EncodeToString(a), B: hex.EncodeToString(b), Generator: hex.EncodeToString(g), ISK: hex.EncodeToString(isk),
	}
	for i := range m {
		out.Messages[i] = hex.EncodeToString(m[i])
	}
	return out
}

func makeSAS(t *testing.T, ch Channel) sasVector {
	nA, nB := seq(32, 0x11), seq(32, 0x33)
	var err error
	check := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var m [4][]byte
	var a *SASJoiner
	var b *SASInviter
	var i, j SAS
	a, m[0], err = NewSASJoiner(ch, ToJoin, "Bob-PC", bytes.NewReader(nA))
	check()
	b, m[1], err = NewSASInviter(ch, bytes.NewReader(nB), m[0])
	check()
	m[2], err = a.Answer(m[1])
	check()
	m[3], i, err = b.Reveal(m[2])
	check()
	j, err = a.Show(m[3])
	check()
	if i != j {
		t.Fatalf("%x and %x", i, j)
	}
	out := sasVector{
		Exporter: hex.EncodeToString(ch.Exporter[:]), Inviter: ch.Inviter.Hex(), Joiner: ch.Joiner.Hex(),
		NA: hex.EncodeToString(nA), NB: hex.EncodeToString(nB), SAS: hex.EncodeToString(i[:]), Digits: i.Digits(),
	}
	for n, p := range i.Pictures() {
		out.Messages[n], out.Pictures[n] = hex.EncodeToString(m[n]), p.Symbol+" "+p.English
	}
	return out
}

func TestVectors(t *testing.T) {
	const file = "testdata/vectors.json"
	made := bytes.Buffer{}
	enc := json.NewEncoder(&made)
	enc.SetIndent("", " ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(makeVectors(t)); err != nil {
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
}

// What another program, which shares no code with this one, made of the same rules.
func TestVectorsFromElsewhere(t *testing.T) {
	v := makeVectors(t)
	commit := unhex(t, v.SAS[0].Messages[1])
	for _, tt := range []struct{ what, got, want string }{
		{"inviter", v.SAS[0].Inviter, "6c05cc201e0fdb6eb79d84c3f378093b6e043e4f41c4593b88c26bb7c70ead5c"},
		{"commitment", hex.EncodeToString(commit[len(commit)-32:]), "c163d11eb708cc1da63af71f700bc06c7d516834699ca2fa7463157f7a06e704"},
		{"sas", v.SAS[0].SAS, "881511"},
		{"digits", v.SAS[0].Digits, "8918289"},
		{"first picture", v.SAS[0].Pictures[0], pictures()[34].Symbol + " " + pictures()[34].English},
		{"last picture", v.SAS[0].Pictures[3], pictures()[17].Symbol + " " + pictures()[17].English},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %s instead of %s", tt.what, tt.got, tt.want)
		}
	}
}
