package share

import (
	"path"
	"strings"
	"testing"
)

func TestParsePath(t *testing.T) {
	long := strings.Repeat("x", 255)
	for _, tt := range []struct {
		in string
		ok bool
	}{
		{"", true}, {"a", true}, {"a/b c/ü", true}, {"写真/2019.jpg", true}, {long, true}, {strings.Repeat("a/", 63) + "a", true},
		{"..", false}, {"../a", false}, {"a/..", false}, {"a/../b", false}, {".", false}, {"./a", false}, {"/a", false}, {"a/", false}, {"a//b", false},
		{`a\b`, false}, {`C:\x`, false}, {"a\x00", false}, {"a\nb", false}, {"a\u202eb", false}, {"a\u2066", false}, {"\ufeffa", false}, {"a\x7f", false}, {"a\u0085", false},
		{long + "x", false}, {strings.Repeat("a/", 64) + "a", false}, {strings.Repeat(long+"/", 16) + "a", false}, {"\xff", false},
		{".porchlight-part/x", false}, {"a/.PORCHLIGHT-bin", false}, {".porchlight", true},
	} {
		if _, err := ParsePath(tt.in); (err == nil) != tt.ok {
			t.Errorf("%q: %v, want ok=%v", tt.in, err, tt.ok)
		}
	}
}

func TestPathParts(t *testing.T) {
	p := Path("a/b/c")
	if p.Base() != "c" || p.Dir() != "a/b" || !p.Under("a") || !p.Under("a/b/c") || p.Under("a/bc") || !p.Under("") || len(p.Components()) != 3 {
		t.Error("parts of a/b/c are wrong")
	}
	if j, err := Path("a").Join("b"); err != nil || j != "a/b" {
		t.Error(j, err)
	}
	if _, err := Path("a").Join("b/../.."); err == nil {
		t.Error("join took dots")
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"a/b", "../x", `a\b`, "a//b", "\x00", ".porchlight-x", strings.Repeat("a/", 70)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePath(s)
		if err != nil || p == "" {
			return
		}
		if s := string(p); path.IsAbs(s) || path.Clean(s) != s || s == ".." || strings.HasPrefix(s, "../") {
			t.Errorf("%q passed and is not a clean local path", s)
		}
	})
}
