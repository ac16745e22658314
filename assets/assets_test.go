package assets

import (
	"bytes"
	"encoding/xml"
	"image/png"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestEveryLanguageSaysEverything(t *testing.T) {
	holes := regexp.MustCompile(`\{\{\.\w+\}\}`)
	of := func(s string) []string {
		h := holes.FindAllString(s, -1)
		slices.Sort(h)
		return slices.Compact(h)
	}
	source, err := catalogue(Source)
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range Languages() {
		words, err := catalogue(lang)
		if err != nil {
			t.Fatal(err)
		}
		for key, f := range source {
			w, ok := words[key]
			if !ok {
				t.Errorf("%s has no words for %s", lang, key)
				continue
			}
			if !slices.Equal(of(f.Other), of(w.Other)) || (f.One == "") != (w.One == "") {
				t.Errorf("%s: %s has other holes or shapes than in English: %q", lang, key, w.Other)
			}
			if w.One != "" && len(of(w.One)) > 0 && !slices.Equal(of(w.One), of(f.Other)) {
				t.Errorf("%s: %s has other holes for one than for many: %q", lang, key, w.One)
			}
			if strings.TrimSpace(w.Other) == "" && key != "format.thousands" {
				t.Errorf("%s: %s says nothing", lang, key)
			}
		}
		for key := range words {
			if _, ok := source[key]; !ok {
				t.Errorf("%s: %s is not in English", lang, key)
			}
		}
	}
}

func TestText(t *testing.T) {
	for _, tt := range []struct {
		lang, key string
		params    []any
		want      string
	}{
		{"en", "page.shares", nil, "My shares"},
		{"de", "page.shares", nil, "Meine Freigaben"},
		{"en", "browser.count", []any{"Count", 1, "N", "1"}, "1 item"},
		{"en", "browser.count", []any{"Count", 1200, "N", "1,200"}, "1,200 items"},
		{"de", "browser.count", []any{"Count", 1, "N", 1}, "1 Eintrag"},
		{"en", "rate", []any{"Size", "{{.Size}}"}, "{{.Size}}/s"},
		{"xx", "page.shares", nil, "My shares"},
		{"en", "no.such.words", nil, "no.such.words"},
	} {
		w, err := Load(tt.lang)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Text(tt.key, tt.params...); got != tt.want {
			t.Errorf("%s %s: %q, want %q", tt.lang, tt.key, got, tt.want)
		}
	}
}

func TestMatch(t *testing.T) {
	for want, in := range map[string][]string{"de": {"fr_FR", "de_DE.UTF-8"}, "en": {"xx", "C", ""}} {
		if got := Match(in...); got != want {
			t.Errorf("%v: %s, want %s", in, got, want)
		}
	}
	if got := Match("de-AT"); got != "de" {
		t.Error(got)
	}
}

func TestPictures(t *testing.T) {
	data, err := AppIcon()
	if err != nil {
		t.Fatal(err)
	}
	if im, err := png.Decode(bytes.NewReader(data)); err != nil || im.Bounds().Dx() != 512 || im.Bounds().Dy() != 512 {
		t.Errorf("icon: %v", err)
	}
	entries, err := files.ReadDir("icons")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		svg, err := Icon(strings.TrimSuffix(e.Name(), ".svg"), "#112233", "none")
		if err != nil {
			t.Fatal(err)
		}
		if err := xml.Unmarshal(svg, new(struct{})); err != nil || !bytes.Contains(svg, []byte("#112233")) || bytes.Contains(svg, []byte("#000000")) {
			t.Errorf("%s: %v", e.Name(), err)
		}
	}
	for _, name := range []string{Regular, SemiBold} {
		if font, err := Font(name); err != nil || !bytes.HasPrefix(font, []byte("OTTO")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !strings.Contains(FontLicence(), "SIL OPEN FONT LICENSE") {
		t.Error("the fonts came without their licence")
	}
	if _, err := Icon("no-such-icon", "", ""); err == nil {
		t.Error("an icon that is not there was found")
	}
}
