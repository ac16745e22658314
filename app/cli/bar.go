package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"porchlight/transfer"
)

// bar draws one line again and again, on a terminal only.
type bar struct {
	w    io.Writer
	on   bool
	term *os.File // nil when the width is fixed
	last int      // characters of the line that is on the screen
}

func newBar(c *call) *bar {
	b := &bar{w: c.Stderr}
	if f, ok := c.Stderr.(*os.File); ok && width(f) > 0 {
		b.on, b.term = true, f
	}
	return b
}

func (b *bar) draw(j transfer.Job) {
	columns := 80
	if b.term != nil {
		columns = width(b.term)
	}
	text := barText(j, columns-1) // in the last column some terminals begin a new line
	n := utf8.RuneCountInString(text)
	fmt.Fprintf(b.w, "\r%s%s", text, strings.Repeat(" ", max(0, b.last-n)))
	b.last = n
}

// clear empties the line, so that others can write there.
func (b *bar) clear() {
	if b.on && b.last > 0 {
		fmt.Fprintf(b.w, "\r%s\r", strings.Repeat(" ", b.last))
	}
	b.last = 0
}

// barText is the line in at most the given number of columns: name, bar, and as many facts as fit.
func barText(j transfer.Job, columns int) string {
	facts := []string{fmt.Sprintf(wordOf, size(j.Bytes), size(j.Total))}
	part := 0.0
	if j.Listed && j.Total > 0 {
		part = min(1, float64(j.Bytes)/float64(j.Total))
		facts = append([]string{fmt.Sprintf("%3d%%", int(part*100))}, facts...)
	}
	if j.Rate > 0 {
		facts = append(facts, fmt.Sprintf(wordPerSecond, size(j.Rate)))
	}
	if d := j.Left(); d > 0 {
		facts = append(facts, fmt.Sprintf(wordLeftShort, left(d)))
	}
	name := cut(show(j.Title), max(8, columns/4))
	for ; len(facts) > 0; facts = facts[:len(facts)-1] {
		text := strings.Join(facts, "  ")
		room := columns - utf8.RuneCountInString(name) - utf8.RuneCountInString(text) - 6 // two gaps and two brackets
		if room >= 5 {
			room = min(room, 40)
			full := int(part * float64(room))
			return name + "  [" + strings.Repeat("#", full) + strings.Repeat(".", room-full) + "]  " + text
		}
	}
	return cut(name, columns)
}

// cut shortens a text to n characters.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	return string(r[:max(0, n-1)]) + "…"
}
