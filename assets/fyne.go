//go:build !headless

package assets

import (
	"fmt"
	"os"
	"strings"

	"fyne.io/fyne/v2/lang"
)

// Register hands the catalogue to Fyne, so that what is drawn by its own widgets and what asks Fyne's lang package finds
// the same words. Once per process, before the first window.
func Register() error {
	if err := lang.AddTranslationsFS(files, "lang"); err != nil {
		return fmt.Errorf("register words: %w", err)
	}
	return nil
}

// SystemLanguages returns what the system says the user reads, for Match. The environment comes first, as everywhere on
// Unix; elsewhere it is mostly empty and Fyne asks the system.
func SystemLanguages() []string {
	for _, name := range []string{"LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := os.Getenv(name); v != "" {
			return strings.Split(v, ":") // only LANGUAGE is a list
		}
	}
	return []string{lang.SystemLocale().LanguageString()}
}
