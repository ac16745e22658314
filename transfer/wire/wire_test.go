package wire

import (
	"strings"
	"testing"

	"porchlight/share"
)

// What is only shown must not move a terminal's cursor or turn the direction of a line.
func TestWhatIsShownIsHarmless(t *testing.T) {
	for _, name := range []string{"\x1b[2Jgone", "a\u202etxt.exe", "two\nlines", "\u009bx", "\u2066y", "sep\u2028arated"} {
		e, err := EntryItem{P: name, K: uint8(share.Other), R: name}.Entry("dir")
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{string(e.Path), e.Reason} {
			if strings.ContainsAny(text, "\x1b\u202e\n\u009b\u2066\u2028") || !strings.Contains(text, "\ufffd") {
				t.Errorf("%q is shown as %q", name, text)
			}
		}
	}
}
