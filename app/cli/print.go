package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"porchlight/discovery"
)

// show makes a text of a neighbour safe to print: what moves the cursor or turns text around is shown as its number.
func show(s string) string {
	clean := func(r rune) bool {
		return !unicode.IsControl(r) && !discovery.IsBidi(r) && r != utf8.RuneError
	}
	if strings.IndexFunc(s, func(r rune) bool { return !clean(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case clean(r):
			b.WriteRune(r)
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// say prints a line of words.
func (c *call) say(key string, params ...any) error {
	_, err := fmt.Fprintln(c.Stdout, c.words.Text(key, params...))
	return err
}

// done says that something was done; with --json the exit code says it, and the object is empty.
func (c *call) done(key string, params ...any) error {
	if c.json {
		return c.object(struct{}{})
	}
	return c.say(key, params...)
}

// when is a point in time for JSON; nil when it is not known, or is in a year JSON cannot write.
func when(t time.Time) *time.Time {
	if y := t.Year(); t.IsZero() || y < 0 || y > 9999 {
		return nil
	}
	t = t.UTC()
	return &t
}

// object prints one JSON value.
func (c *call) object(v any) error {
	e := json.NewEncoder(c.Stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// array prints JSON values as they come, one to a line, as one array.
type array struct {
	w     io.Writer
	begun bool
}

func (a *array) put(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	lead := "[\n"
	if a.begun {
		lead = ",\n"
	}
	a.begun = true
	_, err = a.w.Write(append([]byte(lead), data...))
	return err
}

// end closes the array; also after an error, so that what was printed can be read.
func (a *array) end() error {
	tail := "\n]\n"
	if !a.begun {
		tail = "[]\n"
	}
	_, err := io.WriteString(a.w, tail)
	return err
}

// list prints all of in as one array.
func list[In, Out any](c *call, in []In, row func(In) Out) error {
	a := array{w: c.Stdout}
	for _, v := range in {
		if err := a.put(row(v)); err != nil {
			return err
		}
	}
	return a.end()
}

// columns are the headings of a table.
func (w words) columns(names ...string) (row []string) {
	for _, n := range names {
		row = append(row, w.Text("cli.column."+n))
	}
	return row
}

// table prints rows of cells in columns.
func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		if _, err := fmt.Fprintln(t, strings.TrimRight(strings.Join(row, "\t"), "\t")); err != nil {
			return err
		}
	}
	return t.Flush()
}
