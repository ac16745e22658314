package viewmodel

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"porchlight/assets"
)

// TestEveryWordIsInTheCatalogue reads the sources of this package and of the window for keys of words and names of icons:
// a missing one would show as its key.
func TestEveryWordIsInTheCatalogue(t *testing.T) {
	words, err := assets.Load(assets.Source)
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, dir := range []string{".", "../gui"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(data)
		}
	}
	keys := regexp.MustCompile(`(?:Text|section)\("([a-z.-]+)"[,)]|, "(error\.[a-z-]+)"\}`).FindAllStringSubmatch(source.String(), -1)
	if len(keys) < 100 {
		t.Errorf("only %d keys found", len(keys))
	}
	for _, k := range keys {
		if key := k[1] + k[2]; !words.Has(key) {
			t.Errorf("no words for %s", key)
		}
	}
	for _, prefix := range []struct{ key, values string }{
		{"kind.", "folder file picture film music pdf document sheet slides text archive program code other"},
		{"state.", "here trouble away unproven blocked"}, {"act.", "pause resume cancel retry show forget"}, {"column.", "name size changed kind"},
		{"page.", "neighbours shares transfers settings about first"}, {"network.", "home office public home.text office.text public.text"},
	} {
		for _, v := range strings.Fields(prefix.values) {
			if !words.Has(prefix.key + v) {
				t.Errorf("no words for %s%s", prefix.key, v)
			}
		}
	}
	for _, m := range regexp.MustCompile(`(?:icon|tool|thing|drawing|newEmptyNote)\((?:w, )?"([a-z]+)"|Icon: "([a-z]+)"|Icon[^\n=]*= "([a-z]+)"`).FindAllStringSubmatch(source.String(), -1) {
		if name := m[1] + m[2] + m[3]; name != "" {
			if _, err := assets.Icon(name, "", ""); err != nil {
				t.Errorf("no icon %s", name)
			}
		}
	}
}
