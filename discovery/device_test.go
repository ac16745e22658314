package discovery

import (
	"crypto/ed25519"
	"strings"
	"testing"
)

func seq(n int, from byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

// The vectors are published with the protocol; another implementation must reproduce them.
var idVectors = []struct {
	seed  byte
	shown string
}{
	{0x00, "NQC4YIA-6B7NW5T-N45QTB7-G6AJHNC-XAIPSPI-HCFSO4S-IYJV3PR-YOVVOAG"},
	{0x20, "2TEJWXX-QRL57CY-GHPLP5U-K6X6U5W-NFHRFTN-CLXDRHX-BSAANQ4-745XBAE"},
}

func TestDeviceIDVectors(t *testing.T) {
	for _, v := range idVectors {
		pub := ed25519.NewKeyFromSeed(seq(32, v.seed)).Public().(ed25519.PublicKey)
		id := IDOf(pub)
		if id.String() != v.shown {
			t.Errorf("seed %#x: %s, want %s", v.seed, id, v.shown)
		}
		back, err := ParseDeviceID(strings.ToLower(strings.ReplaceAll(v.shown, "-", " ")))
		if err != nil || back != id {
			t.Errorf("parse of the shown form: %v %v", back, err)
		}
	}
}

func TestParseDeviceIDFindsEverySingleMistake(t *testing.T) {
	letters := strings.ReplaceAll(idVectors[0].shown, "-", "")
	for i := range letters {
		for _, c := range []byte(alphabet) {
			if letters[i] == c {
				continue
			}
			if _, err := ParseDeviceID(letters[:i] + string(c) + letters[i+1:]); err == nil {
				t.Fatalf("letter %d changed to %c went unnoticed", i, c)
			}
		}
	}
	for _, s := range []string{"", letters[:7], letters + "A", strings.Repeat("!", 56), strings.Repeat("é", 28)} {
		if _, err := ParseDeviceID(s); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
	if got, err := ParseDeviceID(strings.NewReplacer("O", "0", "I", "1", "B", "8").Replace(letters)); err != nil || got.String() != idVectors[0].shown {
		t.Errorf("digits for letters: %v", err)
	}
}

func TestCheckName(t *testing.T) {
	for _, tt := range []struct {
		name string
		ok   bool
	}{
		{"Anna-PC", true}, {"Büro oben", true}, {"写真", true}, {"", false}, {" a", false}, {"a ", false},
		{strings.Repeat("x", 64), true}, {strings.Repeat("x", 65), false}, {"a\x00b", false}, {"a\u202eb", false}, {"\xff", false}, {"a\nb", false},
	} {
		if got := CheckName(tt.name) == nil; got != tt.ok {
			t.Errorf("%q: %v, want %v", tt.name, got, tt.ok)
		}
	}
}
