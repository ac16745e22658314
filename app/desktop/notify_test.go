package desktop

import (
	"strings"
	"testing"
)

// TestToastIsOneScript: nothing a neighbour chose gets into what PowerShell reads, nor what its command line takes apart.
func TestToastIsOneScript(t *testing.T) {
	for _, bad := range []string{"\"", "`", "$(", "\n", "\x00", "“", "”", "„", "%"} {
		if strings.Contains(toast, bad) {
			t.Errorf("the script has %q in it", bad)
		}
	}
	if strings.Count(toast, "$env:"+toastTitle+")") != 1 || strings.Count(toast, "$env:"+toastText+")") != 1 {
		t.Errorf("the words are not taken from the environment: %s", toast)
	}
}
