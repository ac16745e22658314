package assets

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Source is the language every text is written in first; what another language lacks is shown in it.
const Source = "en"

// Words is the catalogue of one language. It never changes after Load; any goroutine may use it.
type Words struct {
	lang   string
	own    map[string]forms
	source map[string]forms
}

// forms are the shapes of one text. Languages with one plural shape need One and Other; a text without a number has Other only.
type forms struct{ One, Other string }

// UnmarshalJSON reads "text", or {"one": "text", "other": "text"}: what Fyne's catalogue reads too.
func (f *forms) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &f.Other)
	}
	var shapes struct {
		One   string `json:"one"`
		Other string `json:"other"`
	}
	if err := json.Unmarshal(data, &shapes); err != nil {
		return err
	}
	*f = forms(shapes)
	return nil
}

// Load reads the words of a language ("en", "de"). An unknown or empty one gives English.
func Load(lang string) (*Words, error) {
	source, err := catalogue(Source)
	if err != nil {
		return nil, err
	}
	w := &Words{lang: Source, own: source, source: source}
	if lang != Source && slices.Contains(Languages(), lang) {
		if w.own, err = catalogue(lang); err != nil {
			return nil, err
		}
		w.lang = lang
	}
	return w, nil
}

func catalogue(lang string) (map[string]forms, error) {
	data, err := read("lang", lang+".json")
	if err != nil {
		return nil, err
	}
	var m map[string]forms
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("words of %s: %w", lang, err)
	}
	return m, nil
}

// Lang returns the language, "en" or "de".
func (w *Words) Lang() string { return w.lang }

// Has reports whether there are words under key.
func (w *Words) Has(key string) bool {
	_, ok := w.source[key]
	return ok
}

// Keys lists every key, sorted.
func (w *Words) Keys() []string { return slices.Sorted(maps.Keys(w.source)) }

// Text returns the words under key. Params come in pairs of name and value and stand for {{.Name}} in the text; the one
// called "Count" also chooses between singular and plural. A key without words returns itself.
func (w *Words) Text(key string, params ...any) string {
	f, ok := w.own[key]
	if !ok {
		if f, ok = w.source[key]; !ok {
			return key
		}
	}
	text := f.Other
	if f.One != "" && isOne(params) {
		text = f.One
	}
	if len(params) == 0 || !strings.Contains(text, "{{") {
		return text
	}
	pairs := make([]string, 0, len(params))
	for i := 0; i+1 < len(params); i += 2 {
		pairs = append(pairs, fmt.Sprintf("{{.%v}}", params[i]), fmt.Sprint(params[i+1]))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

func isOne(params []any) bool {
	for i := 0; i+1 < len(params); i += 2 {
		if params[i] == "Count" {
			return fmt.Sprint(params[i+1]) == "1"
		}
	}
	return false
}

// Languages lists the languages there are words for, English first.
func Languages() []string {
	entries, err := files.ReadDir("lang")
	if err != nil {
		return []string{Source}
	}
	langs := []string{Source}
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), path.Ext(e.Name())); name != Source {
			langs = append(langs, name)
		}
	}
	return langs
}

// Match returns the first language of the wanted ones that there are words for, or English. It reads "de", "de-AT" and
// what the environment of Unix says, "de_DE.UTF-8".
func Match(wanted ...string) string {
	known := Languages()
	for _, s := range wanted {
		if i := strings.IndexAny(s, "-_.:@"); i >= 0 {
			s = s[:i]
		}
		if s = strings.ToLower(s); slices.Contains(known, s) {
			return s
		}
	}
	return Source
}
