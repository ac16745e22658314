package config

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery"
	"porchlight/discovery/powercut"
)

// TestAPowerCutLeavesSettings: whenever the power goes while settings are saved, the home has the ones before or the new ones.
func TestAPowerCutLeavesSettings(t *testing.T) {
	for _, before := range []string{"", "one", "one two", "one two three"} {
		t.Run("after "+before, func(t *testing.T) {
			home := t.TempDir()
			s, _, err := Load(home)
			if err != nil {
				t.Fatal(err)
			}
			usual := s.Name
			for _, name := range strings.Fields(before) {
				s.Name = name
				if err := Save(home, s); err != nil {
					t.Fatal(err)
				}
			}
			last := s.Name
			disk, err := powercut.New(home)
			if err != nil {
				t.Fatal(err)
			}
			s.Name = "fresh"
			if err := save(disk, home, s); err != nil {
				t.Fatal(err)
			}
			var old, fresh, restored int
			n, err := disk.Outcomes(t.TempDir(), func(dir, what string) {
				got, back, err := Load(dir)
				switch {
				case err != nil || got.Name != last && got.Name != "fresh" && got.Name != usual:
					t.Errorf("%s: %q %v", what, got.Name, err)
				case got.Name == "fresh":
					fresh++
				case before != "" && got.Name != last:
					t.Errorf("%s: the settings fell back to %q, and nobody had changed them", what, got.Name)
				default:
					old++
				}
				if back {
					restored++
				}
				got.Port = 7 // and it can be saved again
				if err := Save(dir, got); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			})
			if err != nil || old == 0 || fresh == 0 || restored != 0 {
				t.Errorf("%d outcomes: %d old, %d fresh, %d restored: %v", n, old, fresh, restored, err)
			}
			t.Logf("%d steps, %d outcomes: %d with the settings before, %d with the new ones", disk.Steps(), n, old, fresh)
		})
	}
}

// TestEveryCutOfTheFileFallsBack: whatever part of the settings a damaged disk gives back, it is the whole of them or the
// previous ones, and that is told.
func TestEveryCutOfTheFileFallsBack(t *testing.T) {
	home := t.TempDir()
	s, _, err := Load(home)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "two"} {
		s.Name = name
		if err := Save(home, s); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := os.ReadFile(SettingsPath(home))
	if err != nil {
		t.Fatal(err)
	}
	end := len(strings.TrimSpace(string(whole))) // without the line's end it is whole, too
	for n := range end {
		for _, bad := range [][]byte{whole[:n], append(append([]byte{}, whole[:n]...), make([]byte, len(whole)-n)...)} {
			if err := os.WriteFile(SettingsPath(home), bad, 0o600); err != nil {
				t.Fatal(err)
			}
			got, restored, err := Load(home)
			if err != nil || !restored || got.Name != "one" {
				t.Fatalf("%d bytes of %d: %q %v %v", n, len(whole), got.Name, restored, err)
			}
		}
	}
	if err := os.Remove(SettingsPath(home)); err != nil {
		t.Fatal(err)
	}
	if got, restored, err := Load(home); err != nil || !restored || got.Name != "one" {
		t.Errorf("without the file: %q %v %v", got.Name, restored, err)
	}
}

func TestNewerSettingsAreNotTouched(t *testing.T) {
	const newer = `{"format":2,"name":{"now":"an object"},"workgroup":"HOME","rooms":["kitchen"]}`
	for _, file := range []string{"settings.json", "settings.json.bak"} {
		home := t.TempDir()
		for name, text := range map[string]string{"settings.json": "{", file: newer} {
			if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := Load(home); !errors.Is(err, ErrNewer) {
			t.Errorf("%s: %v", file, err)
		}
		if _, err := Update(t.Context(), home, func(s *Settings) error { s.Name = "x"; return nil }); !errors.Is(err, ErrNewer) {
			t.Errorf("%s: %v", file, err)
		}
		if got, err := os.ReadFile(filepath.Join(home, file)); err != nil || string(got) != newer {
			t.Errorf("%s was touched: %s %v", file, got, err)
		}
	}
}

// TestWhatIsNotKnownIsKept: fields of another version, at the top and in a network, are there after a rewrite as they were.
func TestWhatIsNotKnownIsKept(t *testing.T) {
	home := t.TempDir()
	const text = `{"name":"Bo","workgroup":"HOME","network":"home","downloads":"/in","keep_running":true,"later":{"a":[1,2.50,null]},
		"networks":{"router aa":{"network":"office","said":"2026-05-01T12:00:00Z","colour":"blue"},"range b":{"network":"space","said":"2026-05-01T12:00:00Z","n":1}}}`
	downloads, err := filepath.Abs(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	said, err := json.Marshal(downloads)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(SettingsPath(home), []byte(strings.Replace(text, `"/in"`, string(said), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Update(t.Context(), home, func(s *Settings) error { s.Theme = ThemeDark; return nil })
	if err != nil || s.Networks["router aa"].Network != discovery.Office || s.Networks["range b"].Network != discovery.Public {
		t.Fatalf("%+v %v", s, err)
	}
	data, err := os.ReadFile(SettingsPath(home))
	if err != nil {
		t.Fatal(err)
	}
	var got, want map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	want["format"], want["theme"], want["downloads"] = 1.0, ThemeDark, downloads
	want["networks"].(map[string]any)["range b"].(map[string]any)["network"] = "public"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
