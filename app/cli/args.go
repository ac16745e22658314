package cli

import (
	"strconv"
	"strings"
)

// line is a command line without what may stand anywhere.
type line struct {
	home string
	json bool
	help bool
	rest []string
}

// split takes --home, --json and --help out of the arguments, wherever they stand before a "--".
func split(args []string) (line, error) {
	var l line
	for i := 0; i < len(args); i++ {
		a := args[i]
		value, joined := strings.CutPrefix(a, "--home=")
		switch {
		case a == "--":
			l.rest = append(l.rest, args[i:]...)
			return l, nil
		case a == "--json":
			l.json = true
		case a == "--help" || a == "-h":
			l.help = true
		case a == "--version":
			l.rest = append(l.rest, "version")
		case a == "--home":
			if i++; i < len(args) {
				l.home = args[i]
			}
		case joined:
			l.home = value
		default:
			l.rest = append(l.rest, a)
			continue
		}
		if l.home == "" && (joined || a == "--home") {
			return line{}, usage(wordNeedsValue, "--home")
		}
	}
	return l, nil
}

// parse sorts the arguments of a command into flags and others; they may stand in any order.
func parse(cmd command, in []string) (args []string, flags map[string]string, err error) {
	flags = map[string]string{}
	for i := 0; i < len(in); i++ {
		a := in[i]
		if a == "--" {
			args = append(args, in[i+1:]...)
			break
		}
		if len(a) < 2 || a[0] != '-' {
			args = append(args, a)
			continue
		}
		name, value, joined := strings.Cut(a, "=")
		takes, known := cmd.flags[name]
		switch {
		case !known:
			return nil, nil, usage(wordNoFlag, cmd.name, show(a))
		case takes && !joined && i+1 == len(in):
			return nil, nil, usage(wordNeedsValue, name)
		case takes && !joined:
			i++
			value = in[i]
		case !takes && joined:
			return nil, nil, usage(wordTakesNoValue, name)
		}
		flags[name] = value
	}
	if len(args) < cmd.min {
		return nil, nil, usage(wordTooFew, cmd.name)
	}
	if cmd.max >= 0 && len(args) > cmd.max {
		return nil, nil, usage(wordTooMany, cmd.name, show(args[cmd.max]))
	}
	return args, flags, nil
}

// number reads a whole number above zero.
func number(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n > 0
}
