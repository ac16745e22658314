package viewmodel

import (
	"testing"
	"time"

	"porchlight/assets"
	"porchlight/share"
	"porchlight/share/safefs"
)

func TestFormat(t *testing.T) {
	for lang, want := range map[string][]string{
		"en": {"0 bytes", "1 byte", "999 bytes", "1.00\u00a0kB", "5.99\u00a0MB", "84.1\u00a0MB", "841\u00a0MB", "1.48\u00a0GB", "1.00\u00a0GB", "9.22\u00a0EB", "1,234,567", "99 %",
			"Today 09:41", "Yesterday 18:20", "12 Aug 2024", "", "a few seconds left", "about 40 s left", "2 min left", "1 h 5 min left", "about 3 days left"},
		"de": {"0 Byte", "1 Byte", "999 Byte", "1,00\u00a0kB", "5,99\u00a0MB", "84,1\u00a0MB", "841\u00a0MB", "1,48\u00a0GB", "1,00\u00a0GB", "9,22\u00a0EB", "1.234.567", "99 %",
			"Heute 09:41", "Gestern 18:20", "12. Aug. 2024", "", "noch ein paar Sekunden", "noch etwa 40 s", "noch 2 min", "noch 1 h 5 min", "noch etwa 3 Tage"},
	} {
		w, err := assets.Load(lang)
		if err != nil {
			t.Fatal(err)
		}
		f := NewFormat(w)
		at := func(s string) string {
			x, err := time.Parse("2006-01-02 15:04", s)
			if err != nil {
				t.Fatal(err)
			}
			return f.When(x, noon())
		}
		got := []string{f.Size(0), f.Size(1), f.Size(999), f.Size(1000), f.Size(5_990_112), f.Size(84_123_330), f.Size(841_233_300), f.Size(1_482_113_024), f.Size(999_999_999), f.Size(1<<63 - 1), f.Count(1234567), f.Percent(999, 1000),
			at("2026-11-22 09:41"), at("2026-11-21 18:20"), at("2024-08-12 10:00"), f.When(time.Time{}, noon()),
			f.Left(3 * time.Second), f.Left(44 * time.Second), f.Left(2 * time.Minute), f.Left(65 * time.Minute), f.Left(73 * time.Hour)}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s %d: %q, want %q", lang, i, got[i], want[i])
			}
		}
	}
}

// TestWhyItCannotBeOpened: every reason has words of its own, in every language.
func TestWhyItCannotBeOpened(t *testing.T) {
	for _, lang := range assets.Languages() {
		words, err := assets.Load(lang)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{words.Text("kind.other"): true}
		for _, why := range []string{safefs.ReasonLink, safefs.ReasonMount, safefs.ReasonName, safefs.ReasonDeep, safefs.ReasonAccess, safefs.ReasonBroken} {
			key := kindKey(share.Entry{Kind: share.Other, Path: "a.jpg", Reason: why})
			if text := words.Text(key); seen[text] || text == key {
				t.Errorf("%s in %s: %q", why, lang, text)
			} else {
				seen[text] = true
			}
		}
		for _, why := range []string{safefs.ReasonDevice, safefs.ReasonPipe, safefs.ReasonSocket, "of a later version"} {
			if key := kindKey(share.Entry{Kind: share.Other, Path: "a.jpg", Reason: why}); key != "kind.other" {
				t.Errorf("%s: %s", why, key)
			}
		}
	}
}
