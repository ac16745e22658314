package pairing

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func count(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// The values are those of draft-irtf-cfrg-cpace-21, appendices A.1, A.3.5 and B.1.

func TestDraftEncoding(t *testing.T) {
	for _, tt := range []struct {
		parts [][]byte
		want  string
	}{
		{[][]byte{nil}, "00"},
		{[][]byte{[]byte("1234")}, "0431323334"},
		{[][]byte{count(127)}, "7f" + hex.EncodeToString(count(127))},
		{[][]byte{count(128)}, "8001" + hex.EncodeToString(count(128))},
		{[][]byte{[]byte("1234"), []byte("5"), nil, []byte("678")}, "043132333401350003363738"},
		{[][]byte{[]byte("123"), []byte("PartyA"), []byte("234"), []byte("PartyB")}, "03313233065061727479410332333406506172747942"},
		{[][]byte{[]byte("3456"), []byte("PartyA"), []byte("2345"), []byte("PartyB")}, "043334353606506172747941043233343506506172747942"},
	} {
		if got := hex.EncodeToString(lv(tt.parts...)); got != tt.want {
			t.Errorf("%q: %s", tt.parts, got)
		}
	}
}

const (
	draftCI    = "0b415f696e69746961746f720b425f726573706f6e646572"
	draftSID   = "7e4b4791d6a8ef019b936c79fb7f2c57"
	draftA     = "21b4f4bd9e64ed355c3eb676a28ebedaf6d8f17bdc365995b319097153044080"
	draftB     = "848b0779ff415f0af4ea14df9dd1d3c29ac41d836c7808896c4eba19c51ac40a"
	draftYa    = "1d13c89278cdadd826f6d8d7f887701430f8380ddc17611cdd6dc989ce0c9f32"
	draftYb    = "248cccf6d5cdc3646f0ad593f9e6cef4e69d4945f8372e623512ecea32185623"
	draftK     = "5b067effbdc0b2a0e1d907b21ebb25cfedb96a852179a847c37e43ee71322c6b"
	draftISK   = "6e19b875f7a561d6b3ca3dbb9ef42ac55de3e717881018204b8922b4d5e53bb2aa82c300bea7b65d2b671da71922ddf6472301b79bc270adfa8bf413285f2263"
	draftPoint = "d04bf6d41f6a289632a2e929fa29bebd51092512a7829fdde7d314b62f05a73f"
)

func TestDraftRun(t *testing.T) {
	prs, ci, sid := []byte("Password"), unhex(t, draftCI), unhex(t, draftSID)
	want := "0843506163653235350850617373776f72646d" + strings.Repeat("00", 109) + "18" + draftCI + "10" + draftSID
	if got := hex.EncodeToString(generatorString(prs, ci, sid)); got != want {
		t.Errorf("generator string %s", got)
	}
	g, err := generator(prs, ci, sid)
	if err != nil || hex.EncodeToString(g) != draftPoint {
		t.Errorf("generator %x, %v", g, err)
	}
	a, err := newCPace(true, prs, ci, sid, []byte("ADa"), bytes.NewReader(unhex(t, draftA)))
	if err != nil || hex.EncodeToString(a.share) != draftYa {
		t.Fatalf("Ya %x, %v", a.share, err)
	}
	b, err := newCPace(false, prs, ci, sid, []byte("ADb"), bytes.NewReader(unhex(t, draftB)))
	if err != nil || hex.EncodeToString(b.share) != draftYb {
		t.Fatalf("Yb %x, %v", b.share, err)
	}
	for _, side := range []struct {
		own, other *cpace
	}{{a, b}, {b, a}} {
		if k, err := multiply(side.own.private, side.other.share); err != nil || hex.EncodeToString(k) != draftK {
			t.Errorf("K %x, %v", k, err)
		}
		if isk, err := side.own.finish(side.other.share, side.other.ad); err != nil || hex.EncodeToString(isk) != draftISK {
			t.Errorf("ISK %x, %v", isk, err)
		}
	}
}

func TestDraftLowOrder(t *testing.T) {
	s, err := ecdh.X25519().NewPrivateKey(unhex(t, "af46e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449aff"))
	if err != nil {
		t.Fatal(err)
	}
	ff := strings.Repeat("ff", 30)
	refused := 0
	for _, tt := range []struct{ u, q string }{
		{strings.Repeat("00", 32), ""},
		{"01" + strings.Repeat("00", 31), ""},
		{"ec" + ff + "7f", ""},
		{"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", ""},
		{"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157", ""},
		{"ed" + ff + "7f", ""},
		{"da" + ff + "ff", "d8e2c776bbacd510d09fd9278b7edcd25fc5ae9adfba3b6e040e8d3b71b21806"},
		{"ee" + ff + "7f", ""},
		{"db" + ff + "ff", "c85c655ebe8be44ba9c0ffde69f2fe10194458d137f09bbff725ce58803cdb38"},
		{"d9" + ff + "ff", "db64dafa9b8fdd136914e61461935fe92aa372cb056314e1231bc4ec12417456"},
		{"cdeb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880", "e062dcd5376d58297be2618c7498f55baa07d7e03184e8aada20bca28888bf7a"},
		{"4c9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7", "993c6ad11c4c29da9a56f7691fd0ff8d732e49de6250b6c2e80003ff4629a175"},
	} {
		q, err := multiply(s, unhex(t, tt.u))
		if tt.q == "" {
			refused++
			if !errors.Is(err, ErrMessage) {
				t.Errorf("%s gives %x, %v", tt.u, q, err)
			}
			// and neither side of a join goes on with it
			w := newMeeting(t)
			in, _ := encode(join1{unhex(t, tt.u), lv([]byte(joinerAD), []byte("x")), false})
			if _, _, err := w.invite.Answer(w.ch, "a", w.now, in); !errors.Is(err, ErrMessage) || w.invite.Tried() != 0 {
				t.Errorf("inviter goes on with %s: %v", tt.u, err)
			}
			j, _ := w.join(w.ch)
			in, _ = encode(join2{unhex(t, tt.u), lv([]byte(inviterAD))})
			if _, err := j.Confirm(in); !errors.Is(err, ErrMessage) {
				t.Errorf("joiner goes on with %s: %v", tt.u, err)
			}
		} else if err != nil || hex.EncodeToString(q) != tt.q {
			t.Errorf("%s gives %x, %v", tt.u, q, err)
		}
	}
	if refused != 7 {
		t.Errorf("%d points refused", refused)
	}
}

func BenchmarkCPaceStart(b *testing.B) {
	for b.Loop() {
		if _, err := newCPace(true, []byte("27482913"), count(80), count(32), nil, bytes.NewReader(count(32))); err != nil {
			b.Fatal(err)
		}
	}
}
