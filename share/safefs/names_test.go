package safefs

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"porchlight/share"
)

func TestAdapt(t *testing.T) {
	long := strings.Repeat("ü", 200)
	for _, tt := range []struct {
		name, want string
		strict     bool
	}{
		{"photo.jpg", "photo.jpg", true},
		{"Cafe\u0301.txt", "Caf\u00e9.txt", false},
		{"a:b?c.txt", "a:b?c.txt", false},
		{`a:b?c"<>|*.txt`, "a_b_c_____.txt", true},
		{"CON", "_CON", true}, {"con.txt", "_con.txt", true}, {"nul .x.y", "_nul .x.y", true}, {"COM1", "_COM1", true}, {"lpt³.doc", "_lpt³.doc", true},
		{"God.{ED7BA470-8E54-465E-825C-99712043E01C}", "God._ED7BA470-8E54-465E-825C-99712043E01C}", true}, {"x.{20d04fe0-3aea-1069-a2d8-08002b30309d}", "x.{20d04fe0-3aea-1069-a2d8-08002b30309d}", false},
		{"x.{not a CLSID, but as long as one is.}", "x.{not a CLSID, but as long as one is.}", true}, {"COM10", "COM10", true}, {"console", "console", true}, {"CON", "CON", false},
		{"end.", "end_", true}, {"end. .", "end___", true}, {"end ", "end_", true}, {"end.", "end.", false},
		{"a/b\\c", "a_b_c", false}, {"x\x00\n\u202e", "x___", false},
		{"", "_", false}, {".", "_", false}, {"..", "__", false}, {"...", "___", true},
		{".porchlight-part", "_.porchlight-part", false}, {".PORCHLIGHT-x", "_.PORCHLIGHT-x", false},
		{"bad\xffutf8", "bad_utf8", false},
		{long + ".jpeg", strings.Repeat("ü", 125) + ".jpeg", false},
		{strings.Repeat("x", 300), strings.Repeat("x", 255), false},
	} {
		got, err := NewNames(tt.strict, false, 0).Adapt(tt.name)
		if err != nil || got != tt.want {
			t.Errorf("Adapt(%q, strict %v) = %q, %v; want %q", tt.name, tt.strict, got, err, tt.want)
		}
	}
}

func TestNumbered(t *testing.T) {
	n := NewNames(true, true, 0)
	for _, tt := range []struct {
		name string
		k    int
		want string
	}{
		{"a.txt", 1, "a.txt"}, {"a.txt", 2, "a (2).txt"}, {"a", 3, "a (3)"}, {".profile", 2, ".profile (2)"}, {"x.tar.gz", 2, "x (2).tar.gz"},
		{"Mr. Smith goes to Washington", 2, "Mr. Smith goes to Washington (2)"}, {"v1.2 final", 2, "v1 (2).2 final"},
		{strings.Repeat("x", 251) + ".txt", 2, strings.Repeat("x", 247) + " (2).txt"},
	} {
		if got := n.Numbered(tt.name, tt.k); got != tt.want {
			t.Errorf("Numbered(%q, %d) = %q, want %q", tt.name, tt.k, got, tt.want)
		}
	}
	if n.Key("STRASSE.txt") != n.Key("straße.TXT") || n.Key("Cafe\u0301") != n.Key("CAFÉ") || NewNames(false, false, 0).Key("A") == NewNames(false, false, 0).Key("a") {
		t.Error("keys")
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"a", "CON.txt", "x:y", "..", "\u0958\u0301", ".porchlight-part", "a. . ", strings.Repeat("\U0001F600", 80), "\xff", "ǅ.tar.gz"} {
		f.Add(s, 2, true)
		f.Add(s, 11, false)
	}
	f.Fuzz(func(t *testing.T, s string, k int, strict bool) {
		n := NewNames(strict, true, 0)
		got, err := n.Adapt(s)
		if err != nil {
			t.Fatalf("nothing for %q: %v", s, err)
		}
		try := n.Numbered(got, k%1000)
		for _, name := range []string{got, try} {
			if share.CheckComponent(name) != nil || len(name) > 255 || !norm.NFC.IsNormalString(name) || strings.ContainsAny(name, "/\\") || !utf8.ValidString(name) {
				t.Errorf("%q became %q", s, name)
			}
			if strict && (reserved(name) || strings.ContainsAny(name, `<>:"|?*`) || strings.HasSuffix(name, ".") || strings.HasSuffix(name, " ")) {
				t.Errorf("%q became %q", s, name)
			}
		}
		if again, err := n.Adapt(got); err != nil || again != got {
			t.Errorf("%q became %q, then %q", s, got, again)
		}
		if k%1000 >= 2 && n.Key(got) == n.Key(try) {
			t.Errorf("number %d of %q is the same name", k%1000, got)
		}
	})
}
