package cli

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Widths of the manual.
const (
	helpWidth   = 96 // of a line; usage and JSON, which are to be copied, are not broken
	helpColumn  = 40 // of the commands in the list
	optionWidth = 16
)

// key is the name of a command or an option as the catalogue has it: "share-add", "o".
func key(name string) string { return strings.ReplaceAll(strings.TrimLeft(name, "-"), " ", "-") }

// line is the command as it is typed, with its options.
func (c command) line() string {
	text := c.short()
	for _, o := range c.options {
		text += " [" + o.String() + "]"
	}
	return text
}

// short is the command without its options.
func (c command) short() string { return strings.TrimSpace("porchlight " + c.name + " " + c.args) }

func (o option) String() string { return strings.TrimSpace(o.name + " " + o.value) }

// top is the list of all commands.
func (w words) top() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", w.Text("cli.about"))
	fmt.Fprintf(&b, "  %-*s  %s\n", helpColumn, "porchlight", w.Text("cli.brief.window"))
	for _, c := range commands() {
		text := c.line()
		if utf8.RuneCountInString(text) > helpColumn {
			text = c.short()
		}
		fmt.Fprintf(&b, "  %-*s  %s\n", helpColumn, text, w.Text("cli.brief."+key(c.name)))
	}
	fmt.Fprintf(&b, "\n%s\n", w.Text("cli.about.anywhere"))
	w.option(&b, "--home DIR", w.Text("cli.option.home"))
	w.option(&b, "--json", w.Text("cli.option.json"))
	w.option(&b, "--help", w.Text("cli.option.help"))
	fmt.Fprintf(&b, "\n%s\n", w.Text("cli.about.device"))
	return b.String()
}

// about is what is said about one command.
func (w words) about(c command) string {
	var b strings.Builder
	text := "cli.about." + key(c.name)
	if !w.Has(text) {
		text = "cli.brief." + key(c.name) // says it all
	}
	fmt.Fprintf(&b, "%s\n\n%s\n", c.line(), wrap(w.Text(text), ""))
	for i, o := range c.options {
		if i == 0 {
			b.WriteString("\n")
		}
		w.option(&b, o.String(), w.Text(w.optionKey(c, o)))
	}
	for i, row := range c.answers {
		lead := "      "
		if i == 0 {
			lead = "\nJSON: "
		}
		b.WriteString(lead + row + "\n")
	}
	return b.String()
}

// optionKey is where the words of an option are; some options say the same in every command.
func (w words) optionKey(c command, o option) string {
	if own := "cli.option." + key(c.name) + "." + key(o.name); w.Has(own) {
		return own
	}
	return "cli.option." + key(o.name)
}

func (words) option(b *strings.Builder, name, text string) {
	indent := strings.Repeat(" ", 2+optionWidth+2)
	text = wrap(text, indent)
	if len(name) > optionWidth {
		fmt.Fprintf(b, "  %s\n%s\n", name, text)
		return
	}
	fmt.Fprintf(b, "  %-*s  %s\n", optionWidth, name, strings.TrimPrefix(text, indent))
}

// wrap breaks each line of a text where it gets too long, and indents them all.
func wrap(text, indent string) string {
	var lines []string
	for _, paragraph := range strings.Split(text, "\n") {
		line := indent
		for _, word := range strings.Fields(paragraph) {
			if line != indent && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > helpWidth {
				lines, line = append(lines, line), indent
			}
			if line != indent {
				line += " "
			}
			line += word
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// exits explains the exit codes.
func (w words) exits() string {
	text := "\n" + w.Text("cli.exit") + "\n"
	for code, name := range []string{exitOK: "done", exitFailed: "failed", exitUsage: "usage", exitNoEngine: "no-engine", exitNotFound: "not-found", exitAway: "away"} {
		text += fmt.Sprintf("  %d  %s\n", code, w.Text("cli.exit."+name))
	}
	return text
}

// help prints the manual, or what is said about the command (or the group of commands) that is named.
func help(_ context.Context, c *call) error {
	name := strings.Join(c.args, " ")
	var parts []string
	for _, cmd := range commands() {
		if cmd.name == name || strings.HasPrefix(cmd.name, name+" ") {
			parts = append(parts, c.words.about(cmd))
		}
	}
	switch {
	case name == "":
		parts = []string{c.words.top()}
	case len(parts) == 0:
		return usage("cli.usage.no-command", "Name", show(name))
	}
	text := strings.Join(parts, "\n") + c.words.exits()
	if c.json {
		return c.object(struct {
			Help string `json:"help"`
		}{text})
	}
	_, err := fmt.Fprint(c.Stdout, text)
	return err
}
